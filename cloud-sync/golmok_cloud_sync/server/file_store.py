"""The files of gateways on disk: what is coming, and what is here whole.

    files/GATEWAY/ID.json     what was told of it
    files/GATEWAY/ID.part     the bytes so far; its size is the offset, and nothing else says how far it is
    files/GATEWAY/ID.file     the same once its SHA-256 is right: one rename

`ID` is made of what was told of the file, by a hash: no word of a gateway is part of a path. Everything here blocks,
and is called in threads, for one ID by one at a time.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from golmok_cloud_sync.protocol.tus import FileHead
from golmok_cloud_sync.server.errors import ServerError
from golmok_cloud_sync.server.folders import make_folder, sync_folder

FOLDER: Final = "files"
LASTS_S: Final = 7 * 86_400.0
"""A file that did not grow for so long is given up; sent again, it begins anew."""
_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a gateway may lay down here."""

    file_bytes: int = 1 << 30
    gateway_bytes: int = 10 << 30
    """Of all its files, those that are still coming included."""
    files: int = 2_000
    coming: int = 100
    spare_bytes: int = 1 << 30
    """What files leave free on the disk: the log lies there too."""

    @property
    def most_of_one(self) -> int:
        """Bytes of one file."""
        return min(self.file_bytes, self.gateway_bytes)


class Upload(NamedTuple):
    """One file of a gateway."""

    gateway: str
    id: str
    head: FileHead
    offset: int
    is_here: bool
    """Whether it is whole, and its hash is right."""
    touched_s: float
    """When its last bytes came, in seconds since 1970."""

    @property
    def expires_s(self) -> float:
        """When it is given up if nothing more comes."""
        return self.touched_s + LASTS_S


class NoRoomError(ServerError):
    """There is no room for the file; `remedy` says what to do."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.remedy = remedy


class TooLargeError(ServerError, ValueError):
    """No file may be so large."""


class OffsetError(ServerError, ValueError):
    """The bytes do not follow on those that are here."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"the next byte wanted is {offset}")
        self.offset = offset


class DamagedError(ServerError, ValueError):
    """The bytes are not those that were announced."""


class FileStore:
    """The files in the folder `folder` of the server."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.folder = folder / FOLDER
        self.limits = limits or Limits()
        make_folder(self.folder)

    def announce(self, gateway: str, head: FileHead) -> Upload:
        """A place for the file; the one that it has if it was announced before. Raises `NoRoomError` and others."""
        if (known := self.find(gateway, head.id)) is not None:
            return known
        if head.size > self.limits.most_of_one:
            raise TooLargeError(f"{head.size} bytes are too many: a file may have at most {self.limits.most_of_one}")
        self._check_room(gateway, head)
        make_folder(self.folder / gateway)
        told, part = self._path(gateway, head.id, "json"), self._path(gateway, head.id, "part")
        with _room():
            _write(part, b"")
            _write(told, msgspec.json.encode(head))
        sync_folder(told.parent)
        return self._finished(self._found(gateway, head.id, head))

    def find(self, gateway: str, upload: str) -> Upload | None:
        """How far it is; what this tells is on disk. Finishes what a kill left unfinished. Raises `DamagedError`."""
        if _ID.fullmatch(upload) is None:
            return None
        try:
            head = msgspec.json.decode(self._path(gateway, upload, "json").read_bytes(), type=FileHead)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return self._finished(self._found(gateway, upload, head))

    def append(self, upload: Upload, offset: int, piece: bytes) -> int:
        """Bytes from `offset` on; the new offset, on disk once `find` tells it. Raises `OffsetError`, `NoRoomError`."""
        part = self._path(upload.gateway, upload.id, "part")
        try:
            descriptor = os.open(part, os.O_RDWR)
        except FileNotFoundError:  # it is whole already, or dropped
            raise OffsetError(upload.offset) from None
        try:
            here = os.fstat(descriptor).st_size
            if here != offset or offset + len(piece) > upload.head.size:
                raise OffsetError(here)
            self._check_disk(len(piece))
            with _room(lambda: os.ftruncate(descriptor, offset)):
                _write_all(descriptor, piece, offset)
        finally:
            os.close(descriptor)
        return offset + len(piece)

    def take_back(self, upload: Upload, offset: int) -> None:
        """Forget the bytes from `offset` on."""
        _cut(self._path(upload.gateway, upload.id, "part"), offset)

    def drop(self, upload: Upload) -> None:
        """Forget the file."""
        for kind in ("json", "part", "file"):
            self._path(upload.gateway, upload.id, kind).unlink(missing_ok=True)
        sync_folder(self.folder / upload.gateway)

    def all(self, gateway: str) -> list[Upload]:
        """What is here and what is coming, the newest last."""
        found = [self._told(file) for file in (self.folder / gateway).glob("*.json")]
        return sorted((one for one in found if one is not None), key=lambda one: one.touched_s)

    def gateways(self) -> list[str]:
        """Those that have sent files."""
        return sorted(folder.name for folder in self.folder.glob("*") if folder.is_dir())

    def path(self, upload: Upload) -> Path:
        """Where the bytes of a whole file are."""
        return self._path(upload.gateway, upload.id, "file")

    def sweep(self) -> list[Upload]:
        """Give up what was not gone on with, and what a kill left behind; what was given up."""
        old = [one for gateway in self.gateways() for one in self.all(gateway) if self._is_old(one)]
        for one in old:
            self.drop(one)
        for stray in self.folder.glob("*/*"):
            lone = stray.suffix == ".new" or not stray.with_suffix(".json").exists()
            with suppress(FileNotFoundError):
                if lone and time.time() - stray.stat().st_mtime > LASTS_S:
                    stray.unlink()
        return old

    # --- what stands where

    def _path(self, gateway: str, upload: str, kind: str) -> Path:
        return self.folder / gateway / f"{upload}.{kind}"

    def _told(self, file: Path) -> Upload | None:
        with suppress(FileNotFoundError, msgspec.DecodeError):
            head = msgspec.json.decode(file.read_bytes(), type=FileHead)
            return self._found(file.parent.name, file.stem, head)
        return None

    def _found(self, gateway: str, upload: str, head: FileHead) -> Upload:
        for kind, is_here in (("file", True), ("part", False), ("json", False)):
            with suppress(FileNotFoundError):
                stat = self._path(gateway, upload, kind).stat()
                offset = 0 if kind == "json" else stat.st_size
                return Upload(gateway, upload, head, offset, is_here, stat.st_mtime)
        return Upload(gateway, upload, head, 0, False, 0.0)

    def _finished(self, upload: Upload) -> Upload:
        """Shown from now on if all its bytes are here. Raises `DamagedError`; then it is dropped."""
        if upload.is_here:
            return upload
        part = self._path(upload.gateway, upload.id, "part")
        with part.open("ab") as file:  # "ab": it is made again if only its name was lost with the power
            os.fsync(file.fileno())
        if upload.offset < upload.head.size:
            return upload
        with part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != upload.head.sha256:
            self.drop(upload)
            raise DamagedError("the file that came is not the file that was announced: its SHA-256 is another")
        part.replace(self.path(upload))
        sync_folder(part.parent)
        return upload._replace(is_here=True)

    def _is_old(self, upload: Upload) -> bool:
        return not upload.is_here and time.time() > upload.expires_s

    def _check_room(self, gateway: str, head: FileHead) -> None:
        limits, mine = self.limits, self.all(gateway)
        coming = [one for one in mine if not one.is_here]
        remedy = "on the server, delete what nobody needs: golmok-cloud files --data DIR"
        if len(mine) >= limits.files or len(coming) >= limits.coming:
            raise NoRoomError(f"{gateway} has {len(mine)} files here, {len(coming)} of them unfinished", remedy)
        taken = sum(one.head.size for one in mine)
        if taken + head.size > limits.gateway_bytes:
            raise NoRoomError(
                f"the files of {gateway} take {taken} bytes; they may take {limits.gateway_bytes}, and {head.size} "
                "more are too many",
                f"{remedy}; or let them take more: golmok-cloud serve --files-bytes N",
            )
        self._check_disk(head.size)

    def _check_disk(self, more: int) -> None:
        if shutil.disk_usage(self.folder).free - more < self.limits.spare_bytes:
            raise _full()


@contextmanager
def _room(undo: Callable[[], None] = lambda: None) -> Iterator[None]:
    """A disk that is full meanwhile is a `NoRoomError`; what was half done is undone."""
    try:
        yield
    except OSError as error:
        undo()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full() from error
        raise


def _full() -> NoRoomError:
    return NoRoomError("the server's disk is nearly full", "make room on the server's disk")


def _cut(file: Path, size: int) -> None:
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.ftruncate(descriptor, size)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(file: Path, content: bytes) -> None:
    """Beside its place, synced, renamed. Its folder is the caller's to sync."""
    new = file.with_suffix(f"{file.suffix}.new")
    with new.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    new.replace(file)


def _write_all(descriptor: int, content: bytes, offset: int) -> None:
    left = memoryview(content)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written
