"""The folder of what is to be sent: one folder a parcel, in it the files, and how far each is.

    outgoing/PARCEL/parcel.json     what belongs to it; of each file size and SHA-256, and whether it is in the cloud
    outgoing/PARCEL/NAME            a hard link to the file as it is now: whatever becomes of it, this is what is sent
    outgoing/.state.json            what is being sent, or waited for; a hint, never synced
    outgoing/.lock                  held by the one process that sends

A parcel appears by one rename, so a kill leaves it whole or not at all. Its name is made of what is in it: the same
files asked for twice are one parcel.
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

import msgspec

from golmok_cloud_sync.protocol.tus import FileHead
from golmok_edge.store.layout import replace_file, sync_file, sync_folder

PARCEL: Final = "parcel.json"
KEPT: Final = 200
"""Parcels that are in the cloud and still known."""
_STATE: Final = ".state.json"
_NEW: Final = ".new-"
_OLD_S: Final = 3_600.0
_DIGITS: Final = 12

Failure = Literal["", "too-large", "damaged", "gone"]
"""Why a file is not sent any more: nothing that waiting could change."""


class Item(msgspec.Struct, frozen=True):
    """A file of a parcel."""

    name: str
    size: int
    sha256: str
    sent: bool = False
    failed: Failure = ""

    @property
    def waits(self) -> bool:
        return not (self.sent or self.failed)


class Parcel(msgspec.Struct, frozen=True):
    """Files that belong together, such as those of a scan."""

    key: str
    group: str
    asked: str
    """When, by this machine's clock."""
    items: tuple[Item, ...]

    @property
    def waits(self) -> bool:
        return any(item.waits for item in self.items)

    @property
    def failed(self) -> Failure:
        return next((item.failed for item in self.items if item.failed), "")

    def head(self, item: Item) -> FileHead:
        """What the cloud is told of a file."""
        return FileHead(item.name, item.size, item.sha256, self.group)


class State(msgspec.Struct, frozen=True):
    """What whoever sends is doing."""

    code: str = ""
    """Why it waits (a key of `words.TEXTS`); empty while it sends."""
    detail: str = ""
    parcel: str = ""
    done: int = 0
    """Bytes of the file under way that are in the cloud."""


class Told(msgspec.Struct, frozen=True):
    """How a parcel is, for people."""

    code: str
    """`sent`, `failed-…`, `sending`, `queued`, or why it waits."""
    done: int
    total: int
    asked: str
    detail: str = ""

    @property
    def percent(self) -> int:
        return 100 * self.done // self.total if self.total else 100


class Outgoing:
    """What is to be sent from this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, group: str, files: Sequence[Path]) -> Parcel:
        """Have these files sent, in this order, as they are now; asked for again, the cloud is asked again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=_NEW, dir=self.folder))
        try:
            for file in files:
                _link(file, new / file.name)
            items = tuple(_item(new / file.name) for file in files)
            parcel = Parcel(_key(group, items), group, _now(), items)
            replace_file(new / PARCEL, msgspec.json.encode(parcel))
            self._place(new, parcel)
            return parcel
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _place(self, new: Path, parcel: Parcel) -> None:
        there = self.folder / parcel.key
        try:
            new.rename(there)
            sync_folder(self.folder)
        except OSError:
            if not there.is_dir():
                raise
            for name in (*(item.name for item in parcel.items), PARCEL):  # it was asked for before
                (new / name).replace(there / name)
            sync_folder(there)

    def parcel(self, key: str) -> Parcel | None:
        """One of them."""
        try:
            return msgspec.json.decode((self.folder / key / PARCEL).read_bytes(), type=Parcel)
        except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
            return None

    def all(self) -> list[Parcel]:
        """All that are known, the oldest first."""
        found = (self.parcel(folder.name) for folder in self.folder.glob("*") if not folder.name.startswith("."))
        return sorted((one for one in found if one is not None), key=lambda one: (one.asked, one.key))

    def waiting(self) -> list[Parcel]:
        """Those of which something is to be sent."""
        return [parcel for parcel in self.all() if parcel.waits]

    def file(self, parcel: Parcel, item: Item) -> Path:
        """Where a file's bytes are."""
        return self.folder / parcel.key / item.name

    def sent(self, parcel: Parcel, item: Item) -> None:
        """It is in the cloud."""
        self._note(parcel, msgspec.structs.replace(item, sent=True, failed=""))
        self.file(parcel, item).unlink(missing_ok=True)

    def failed(self, parcel: Parcel, item: Item, why: Failure) -> None:
        """It is not sent any more."""
        self._note(parcel, msgspec.structs.replace(item, failed=why))

    def told(self, parcel: Parcel) -> Told:
        """How it is."""
        state = self.state()
        done, total = sum(i.size for i in parcel.items if i.sent), sum(i.size for i in parcel.items)
        if not parcel.waits:
            return Told(f"failed-{parcel.failed}" if parcel.failed else "sent", done, total, parcel.asked)
        if state.parcel != parcel.key:
            return Told(state.code or "queued", done, total, parcel.asked, state.detail)
        return Told(state.code or "sending", done + state.done, total, parcel.asked, state.detail)

    def newest(self, group: str) -> Parcel | None:
        """What was asked for last of a group."""
        return next((parcel for parcel in reversed(self.all()) if parcel.group == group), None)

    # --- whoever sends

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether it is this process that sends; until the end of the `with`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def say(self, state: State) -> None:
        """Tell what is being done. Not synced: it is of no use after a restart."""
        new = self.folder / f"{_STATE}.new"
        new.write_bytes(msgspec.json.encode(state))
        new.replace(self.folder / _STATE)

    def state(self) -> State:
        """What whoever sends told last."""
        try:
            return msgspec.json.decode((self.folder / _STATE).read_bytes(), type=State)
        except (FileNotFoundError, msgspec.DecodeError):
            return State()

    def tidy(self, kept: int = KEPT) -> None:
        """Forget what was sent long ago, and what a kill left half made."""
        for parcel in [one for one in self.all() if not one.waits and not one.failed][:-kept]:
            shutil.rmtree(self.folder / parcel.key, ignore_errors=True)
        for half in self.folder.glob(f"{_NEW}*"):
            with suppress(FileNotFoundError):
                if time.time() - half.stat().st_mtime > _OLD_S:
                    shutil.rmtree(half, ignore_errors=True)

    # --- how

    def _note(self, parcel: Parcel, news: Item) -> None:
        now = self.parcel(parcel.key) or parcel
        items = tuple(news if item.name == news.name else item for item in now.items)
        self._keep(msgspec.structs.replace(now, items=items))

    def _keep(self, parcel: Parcel) -> None:
        replace_file(self.folder / parcel.key / PARCEL, msgspec.json.encode(parcel))


def _item(file: Path) -> Item:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        return Item(file.name, os.fstat(content.fileno()).st_size, digest)


def _key(group: str, items: Sequence[Item]) -> str:
    told = "\0".join((group, *(f"{item.name} {item.sha256}" for item in items)))
    plain = re.sub(r"[^a-z0-9-]+", "-", group.lower())[:40].strip("-")
    return f"{plain or 'files'}-{hashlib.sha256(told.encode()).hexdigest()[:_DIGITS]}"


def _link(file: Path, there: Path) -> None:
    try:
        there.hardlink_to(file.resolve(strict=True))
    except FileNotFoundError:
        raise
    except OSError:  # another disk, or one that knows no links
        shutil.copyfile(file, there)
        sync_file(there)


def _now() -> str:
    return f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S.%f}"
