"""SQLite's write-ahead log, read without SQLite: which frames hold, and which commits it would pass over in silence.

Knows the format (https://www.sqlite.org/fileformat2.html#the_write_ahead_log). Each frame names a check sum that goes
on from the one before, so that each can be judged by the two, and a rotten one does not hide those behind it.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from .pagefile import PAGE_BYTES, open_to_read, read_page, size_of

_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_FRAME: Final = _FRAME_HEADER + PAGE_BYTES
_NATIVE: Final = "<" if sys.byteorder == "little" else ">"
_TRIES: Final = 3


class Frame(NamedTuple):
    """A page in the log: its number, and where its bytes begin."""

    page: int
    at: int
    follows: bool
    """Whether everything in the log up to here holds together, as SQLite asks it."""


class Log(NamedTuple):
    """What a log holds."""

    frames: list[Frame]
    """Those of all commits that have an end, and that hold; first what SQLite would read too."""
    rest: list[Frame]
    """What else lies there: rotten, not committed, or of rounds before."""
    passed_over: int
    """Commits that hold, and follow on something rotten: SQLite passes them over."""
    has_head: bool
    newest: Mapping[int, int]
    """For each page where its last version lies that was committed."""


NO_LOG: Final = Log([], [], 0, has_head=True, newest={})


def read_log(descriptor: int) -> Log:
    """Look at all of it. Raises OSError."""
    for _ in range(_TRIES):
        header = os.pread(descriptor, _HEADER, 0)
        if len(header) < _HEADER:
            break
        log = _read(descriptor, header)
        if header == os.pread(descriptor, _HEADER, 0):
            return log  # else it was begun anew meanwhile
    return NO_LOG


def lost_commits(wal: Path, file: Path) -> int:
    """Commits in the log of `file` that SQLite would pass over in silence: they follow something rotten.

    The first is not counted: a power cut may have come while it was written, and then nobody was told of it. But
    before the second was begun, the first was on disk. Nor are they where only the log's head is torn and the file
    has all their pages: a log is begun anew when all of it was carried over, and then its head is written first.
    """
    descriptor = open_to_read(wal)
    if descriptor is None:
        return 0
    try:
        log = read_log(descriptor)
        if not log.has_head and log.passed_over and _are_in(file, descriptor, log.newest):
            return 0
        return max(0, log.passed_over - 1)
    finally:
        os.close(descriptor)


def _read(wal: int, header: bytes) -> Log:
    order = ">" if header[3] & 1 else "<"
    seed = header[24:32]
    has_head = _checksum(header[:24], (0, 0), order) == struct.unpack(">II", seed)
    # What marks the frames of this round; behind them lie those of rounds before. If the head is rotten, ask the first.
    order = order if has_head else _NATIVE
    salts = header[16:24] if has_head else _first_salts(wal, order)
    follows, passed_over = has_head, 0
    first, late, rest, waiting = list[Frame](), list[Frame](), list[Frame](), list[Frame]()
    newest: dict[int, int] = {}
    for at, frame in _places(wal):
        is_ours = frame[8:16] == salts
        is_good = is_ours and _holds(frame, seed, order)
        follows = follows and is_good
        seed = frame[16:24]
        (waiting if is_good else rest).append(Frame(int.from_bytes(frame[:4], "big"), at + _FRAME_HEADER, follows))
        if is_ours and frame[4:8] != b"\0\0\0\0":  # the end of a commit, even where its page is rotten
            first += [one for one in waiting if one.follows]
            late += [one for one in waiting if not one.follows]
            if is_good:
                passed_over += not follows
                newest |= {one.page: one.at for one in waiting}
            waiting = []
    return Log([*first, *late], [*rest, *waiting], passed_over, has_head, newest)


def _places(wal: int) -> Iterator[tuple[int, bytes]]:
    for at in range(_HEADER, size_of(wal) - _FRAME + 1, _FRAME):
        frame = os.pread(wal, _FRAME, at)
        if len(frame) < _FRAME:
            return
        yield at, frame


def _first_salts(wal: int, order: str) -> bytes:
    """What marks the frames of the newest round where the head does not say it: they stand first.

    The first that follows from the one before it tells; those two at least are what was written.
    """
    before = b""
    for _, frame in _places(wal):
        if before[8:16] == frame[8:16] and _holds(frame, before[16:24], order):
            return frame[8:16]
        before = frame
    return os.pread(wal, 8, _HEADER + 8)


def _are_in(file: Path, wal: int, places: Mapping[int, int]) -> bool:
    """Whether `file` has the pages as they stand at these places of the log."""
    descriptor = open_to_read(file)
    if descriptor is None:
        return False
    try:
        return all(
            read_page(descriptor, (page - 1) * PAGE_BYTES) == os.pread(wal, PAGE_BYTES, at)
            for page, at in places.items()
        )
    finally:
        os.close(descriptor)


def _holds(frame: bytes, seed: bytes, order: str) -> bool:
    first, second = struct.unpack(">II", seed)
    return _checksum(frame[:8] + frame[_FRAME_HEADER:], (first, second), order) == struct.unpack(">II", frame[16:24])


def _checksum(data: bytes, seed: tuple[int, int], order: str) -> tuple[int, int]:
    words = array("I", data)
    if order != _NATIVE:
        words.byteswap()
    first, second = seed
    numbers: Sequence[int] = words.tolist()
    for one, other in zip(numbers[::2], numbers[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
