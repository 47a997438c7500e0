"""What a power cut may leave of a folder: the files of a journal without what the page cache still held.

The model, harsher than ext4 with a well-behaved card:

- Before a file's last sync everything is there. Each later write is kept, dropped or torn, each for itself: the page
  cache writes back as it likes. Torn: only some of its 512-byte sectors are there, and one of them may hold garbage
  (only in the bytes that were being written: SQLite and ext4 both build on that).
- A file may have grown to the size it had, with zeros or garbage where nothing was written back, or not.
- Names (made, renamed, taken away, linked) are as at the last sync of their folder; each later change is kept or not.
  A rename is whole or not at all. One between two folders is sure only when both were synced.
- Files that are mapped into memory (SQLite's -shm) hold anything, or are gone.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from .journal import (
    AnyEntry,
    Content,
    File,
    Folder,
    Gone,
    Less,
    Linked,
    Made,
    Mark,
    Renamed,
    Size,
    SyncBegins,
    Synced,
    Write,
    read,
)

SECTOR: Final = 512
_ROOT: Final = 0
_Names = dict[tuple[int, str], int]
"""(folder, name) -> what it names."""


class _Change(NamedTuple):
    """Something that was done to a file's bytes: a write, or (body None) a new size, `offset`."""

    at: int
    number: int
    offset: int
    body: bytes | None


@dataclass(slots=True)
class _File:
    inode: int
    durable: bytes = b""
    pending: list[_Change] = field(default_factory=list)


@dataclass(slots=True)
class _Naming:
    """Names that changed together, and the folders that must be synced before that is sure."""

    at: int
    names: dict[tuple[int, str], int | None]
    waits: set[int]


class Outcome(NamedTuple):
    """What is left: folders and files by path."""

    folders: list[str]
    files: dict[str, bytes]

    def write(self, into: Path) -> Path:
        """Put it into `into`, in place of what is there."""
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir(parents=True)
        for folder in self.folders:
            (into / folder).mkdir()
        for path, body in self.files.items():
            (into / path).write_bytes(body)
        return into


class Disk:
    """The files as they are by now, and what of them is sure."""

    def __init__(self) -> None:
        self.marks: list[bytes] = []
        """What the program had said so far."""
        self._at = 0
        self._folders: dict[int, int] = {_ROOT: 0}  # -> inode
        self._files: dict[int, _File] = {}
        self._sure: _Names = {}
        self._now: _Names = {}
        self._namings: list[_Naming] = []
        self._begun: dict[int, int] = {}
        self._next = _ROOT + 1

    def apply(self, entry: AnyEntry) -> None:
        """Go on by one entry of the journal."""
        self._at += 1
        if isinstance(entry, Write | Content | Size | Gone) and self._is_nowhere(entry.path):
            return
        match entry:
            case Mark(body):
                self.marks.append(body)
            case Folder(path, inode):
                self._folder_there(path, inode)
            case File(path, inode, body):
                key = self._new_file(inode)
                self._files[key].durable = body
                self._name_there(path, key)
            case Write(number, inode, path, offset, body):
                self._change(inode, path, _Change(self._at, number, offset, body))
            case Less(number, size):
                self._shorten(number, size)
            case Content(inode, path, body):
                if self._is_other(inode, path, body):
                    self._change(inode, path, _Change(self._at, 0, 0, None))
                    self._change(inode, path, _Change(self._at, 0, 0, body))
            case Size(inode, path, size):
                self._change(inode, path, _Change(self._at, 0, size, None))
            case SyncBegins(number):
                self._begun[number] = self._at
            case Synced(number, inode):
                self._sync(inode, self._begun.pop(number))
            case Made(path, inode):
                self._folders[key := self._new_key()] = inode
                self._rename({path: key})
            case Linked(path, inode):
                known = [key for key in self._now.values() if key in self._files and self._files[key].inode == inode]
                self._rename({path: known[0] if known else self._new_file(inode)})
            case Renamed(old, new):
                renamed = self._find(old)
                self._rename({old: None, new: self._new_file(-1) if renamed is None else renamed})
            case Gone(path):
                if self._find(path) is not None:
                    self._rename({path: None})

    def outcome(self, random: Random) -> Outcome:
        """One of the states in which a cut at this moment may leave the folder."""
        names = dict(self._sure)
        is_kept = _chooser(random, len(self._namings))
        for place, naming in enumerate(self._namings):
            if not naming.waits or is_kept(place):
                _apply(names, naming)
        folders: list[str] = []
        files: dict[str, bytes] = {}
        self._collect(names, _ROOT, "", random, folders, files)
        return Outcome(folders, files)

    def written(self) -> Outcome:
        """The folder as the processes see it: nothing was lost."""
        folders: list[str] = []
        files: dict[str, bytes] = {}
        self._collect(self._now, _ROOT, "", None, folders, files)
        return Outcome(folders, files)

    # --- how things got here

    def _new_key(self) -> int:
        self._next += 1
        return self._next

    def _new_file(self, inode: int) -> int:
        key = self._new_key()
        self._files[key] = _File(inode)
        return key

    def _place(self, path: str) -> tuple[int, str]:
        """The folder that `path` lies in, and its name there."""
        *folders, name = path.split("/")
        at = _ROOT
        for folder in folders:
            at = self._now[at, folder]
        return at, name

    def _is_nowhere(self, path: str) -> bool:
        """Whether its folder was removed: a file that is still open can be written on, and nobody will see it.

        Two threads may also note in another order what they have done there.
        """
        at: int | None = _ROOT
        for folder in path.split("/")[:-1]:
            at = None if at is None else self._now.get((at, folder))
        return at is None

    def _find(self, path: str) -> int | None:
        return self._now.get(self._place(path))

    def _folder_there(self, path: str, inode: int) -> None:
        if not path:
            self._folders[_ROOT] = inode
            return
        self._folders[key := self._new_key()] = inode
        self._name_there(path, key)

    def _name_there(self, path: str, key: int) -> None:
        self._now[self._place(path)] = self._sure[self._place(path)] = key

    def _rename(self, names: dict[str, int | None]) -> None:
        placed = {self._place(path): key for path, key in names.items()}
        naming = _Naming(self._at, placed, {folder for folder, _ in placed})
        self._namings.append(naming)
        _apply(self._now, naming)

    def _file(self, inode: int, path: str) -> _File:
        """The file of that name, which was made a moment ago if nothing was known of it."""
        key = self._find(path)
        if key is not None and key in self._files and self._files[key].inode in (inode, -1):
            self._files[key].inode = inode
        else:
            key = self._new_file(inode)
            self._rename({path: key})
        return self._files[key]

    def _change(self, inode: int, path: str, change: _Change) -> None:
        self._file(inode, path).pending.append(change)

    def _is_other(self, inode: int, path: str, body: bytes) -> bool:
        file = self._file(inode, path)
        return bytes(_applied(file.durable, file.pending)) != body

    def _shorten(self, number: int, size: int) -> None:
        for file in self._files.values():
            for place, change in enumerate(file.pending):
                if change.number == number and change.body is not None:
                    file.pending[place] = change._replace(body=change.body[:size])

    def _sync(self, inode: int, since: int) -> None:
        for file in self._files.values():
            if inode in (0, file.inode) and file.pending:
                done = [change for change in file.pending if change.at < since]
                file.durable = bytes(_applied(file.durable, done))
                file.pending = file.pending[len(done) :]
        for naming in self._namings:
            if naming.at < since:
                naming.waits -= {key for key, its in self._folders.items() if inode in (0, its)}
        while self._namings and not self._namings[0].waits:
            _apply(self._sure, self._namings.pop(0))

    # --- what is left of it

    def _collect(
        self,
        names: _Names,
        folder: int,
        path: str,
        random: Random | None,
        folders: list[str],
        files: dict[str, bytes],
    ) -> None:
        for (its, name), key in names.items():
            if its != folder:
                continue
            if key in self._folders:
                folders.append(path + name)
                self._collect(names, key, f"{path}{name}/", random, folders, files)
            elif random is None:
                files[path + name] = bytes(_applied(self._files[key].durable, self._files[key].pending))
            else:
                files[path + name] = _left(self._files[key], random)
                if name.endswith("-wal") and random.random() < 0.3:
                    files[f"{path}{name.removesuffix('-wal')}-shm"] = random.randbytes(32_768)


def at_start(entries: Sequence[AnyEntry]) -> int:
    """How many entries say what was there at the beginning: before those, nothing can be cut."""
    return next((at for at, entry in enumerate(entries) if not isinstance(entry, File | Folder)), len(entries))


def states(entries: Sequence[AnyEntry]) -> Iterator[Disk]:
    """The same disk again and again: as it was at the beginning, then one entry further each time."""
    disk = Disk()
    begin = at_start(entries)
    for entry in entries[:begin]:
        disk.apply(entry)
    yield disk
    for entry in entries[begin:]:
        disk.apply(entry)
        yield disk


def cut(journal: Path, into: Path, random: Random, at: int | None = None) -> list[bytes]:
    """Put into `into` what a power cut after the first `at` states of `journal` (all) may leave of the traced folder.

    Gives the marks that had been made by then: what they promise must be found there.
    """
    *_, disk = islice(states(read(journal)), at)
    disk.outcome(random).write(into)
    return disk.marks


def _apply(names: _Names, naming: _Naming) -> None:
    for place, key in naming.names.items():
        if key is None:
            names.pop(place, None)
        else:
            names[place] = key


def _applied(body: bytes, changes: Iterable[_Change]) -> bytearray:
    made = bytearray(body)
    for change in changes:
        if change.body is None:
            _resize(made, change.offset)
        else:
            _put(made, change.offset, change.body)
    return made


def _resize(made: bytearray, size: int) -> None:
    del made[size:]
    made.extend(bytes(size - len(made)))


def _put(made: bytearray, offset: int, body: bytes) -> None:
    if body and len(made) < offset:
        made.extend(bytes(offset - len(made)))
    made[offset : offset + len(body)] = body


def _chooser(random: Random, count: int) -> Callable[[int], bool]:
    """Which of `count` changes are kept: none, all, the first ones, the last ones, or each as chance has it."""
    kind = random.randrange(6)
    border = random.randint(0, count)
    share = random.random()
    return [
        lambda _: False,
        lambda _: True,
        lambda place: place < border,
        lambda place: place >= border,
        lambda _: random.random() < share,
        lambda place: place != border,
    ][kind]


def _left(file: _File, random: Random) -> bytes:
    """A file's bytes after the cut."""
    if not file.pending:
        return file.durable
    is_kept = _chooser(random, len(file.pending))
    torn = random.choice((0.0, 0.1, 0.5))
    made = bytearray(file.durable)
    top = 0
    for place, change in enumerate(file.pending):
        if change.body is None:
            if is_kept(place):
                _resize(made, change.offset)
            continue
        top = max(top, change.offset + len(change.body))
        if random.random() < torn:
            for offset, part in _sectors(change.offset, change.body, random):
                _put(made, offset, part)
        elif is_kept(place):
            _put(made, change.offset, change.body)
    if len(made) < top and random.random() < 0.3:
        made.extend(random.choice((bytes, random.randbytes))(top - len(made)))
    return bytes(made)


def _sectors(offset: int, body: bytes, random: Random) -> list[tuple[int, bytes]]:
    """Some of the sectors of a write: the first ones or any, and perhaps one with garbage."""
    starts = [offset, *range(offset - offset % SECTOR + SECTOR, offset + len(body), SECTOR)]
    ends = [*starts[1:], offset + len(body)]
    parts = [(start, body[start - offset : end - offset]) for start, end in zip(starts, ends, strict=True)]
    if random.random() < 0.5:
        parts = parts[: random.randint(0, len(parts))]
    else:
        parts = [part for part in parts if random.random() < 0.5]
    if parts and random.random() < 0.5:
        place = random.randrange(len(parts))
        start, part = parts[place]
        begin = random.randint(0, len(part))
        parts[place] = (start, part[:begin] + random.randbytes(len(part) - begin))
    return parts
