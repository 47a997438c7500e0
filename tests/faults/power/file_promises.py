"""What a cloud had promised of files by a moment, and whether its folder still holds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from golmok_cloud_sync.protocol.tus import FileHead
from golmok_cloud_sync.server.file_store import DamagedError, FileStore, Limits

from .promises import BrokenPromiseError

DATA: Final = "cloud/data"
GATEWAY: Final = "gw-1"
LIMITS: Final = Limits(spare_bytes=0)


def content_of(seed: int, size: int) -> bytes:
    """What is in the file that a mark names."""
    return Random(seed).randbytes(size)


@dataclass(slots=True)
class FilesTold:
    """The files that were announced, the offsets that were told, and those that were shown."""

    heads: dict[int, FileHead] = field(default_factory=dict)
    offsets: dict[int, int] = field(default_factory=dict)
    shown: set[int] = field(default_factory=set)

    def hear(self, mark: bytes) -> None:
        """Take in one mark."""
        kind, seed, told = msgspec.msgpack.decode(mark)
        if kind == "announced":
            self.heads[seed] = msgspec.convert(told, FileHead)
            self.offsets[seed] = 0
        elif kind == "offset":
            self.offsets[seed] = told
        else:
            self.shown.add(seed)

    def check(self, folder: Path, *, thorough: bool) -> None:
        """Open the store, compare, and bring every file to its end."""
        try:
            for seed, head in self.heads.items():
                self._check(FileStore(folder / DATA, LIMITS), seed, head)
        except BrokenPromiseError:
            raise
        except Exception as error:
            raise BrokenPromiseError(f"the cloud's files do not work: {error!r}") from error

    def _check(self, store: FileStore, seed: int, head: FileHead) -> None:
        content, told = content_of(seed, head.size), self.offsets[seed]
        shown = {one.id for one in store.all(GATEWAY) if one.is_here}
        _say(seed not in self.shown or head.id in shown, "a file that was shown is gone")
        if head.id in shown:
            there = store.path(next(one for one in store.all(GATEWAY) if one.id == head.id))
            _say(there.read_bytes() == content, "a file is shown whose bytes are others")
            return
        for part in (folder for folder in store.folder.glob(f"{GATEWAY}/{head.id}.part")):
            _say(part.read_bytes()[:told] == content[:told], f"{told} bytes acknowledged are not there")
        _say(bool(told == 0 or list(store.folder.glob(f"{GATEWAY}/{head.id}.part"))), "an upload is forgotten")
        for _ in range(2):
            try:
                upload = store.announce(GATEWAY, head)
                if not upload.is_here:
                    store.append(upload, upload.offset, content[upload.offset :])
                found = store.find(GATEWAY, head.id)
                _say(found is not None and found.is_here, "it does not come to its end")
                _say(store.path(upload).read_bytes() == content, "a file is shown whose bytes are others")
                return
            except DamagedError:  # what was never acknowledged was torn: it comes anew
                continue
        raise BrokenPromiseError("it does not come to its end")


def _say(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise BrokenPromiseError(otherwise)
