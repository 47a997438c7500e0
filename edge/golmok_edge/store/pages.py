"""The pages of a store's file and of its log, read without SQLite: what is left where SQLite gives up.

Knows the file format (https://www.sqlite.org/fileformat2.html) and the shapes of our rows, and believes nothing that
does not hold. Each version of a page is read that the file or the log has: records never change, so an older page is
as good as a newer one; whether a block is whole its own check sum says. No tree is walked and no list followed but
the chain of one row's overflow, so whatever is damaged costs what stands in it and no more.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

PAGE_BYTES: Final = 4_096
_LEAF: Final = {13: True, 10: False}
"""Types of leaf pages: of a table (its cells have a row id), of an index."""
_LOCAL_TABLE: Final = PAGE_BYTES - 35
_LOCAL_INDEX: Final = (PAGE_BYTES - 12) * 64 // 255 - 23
_LEAST_LOCAL: Final = (PAGE_BYTES - 12) * 32 // 255 - 23
_OVERFLOW: Final = PAGE_BYTES - 4
_MOST_PAYLOAD: Final = 64 << 20
_INTS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_MOST_COLUMNS: Final = 16
_WAL_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_FRAME: Final = _FRAME_HEADER + PAGE_BYTES

Value = int | float | str | bytes | None


class Row(NamedTuple):
    """A row, as far as its bytes make one. `id` is None in an index."""

    id: int | None
    columns: tuple[Value, ...]


class PageRows(NamedTuple):
    """What a page says: its rows, and whether all of its cells made one."""

    rows: list[Row]
    is_whole: bool


class PageError(ValueError):
    """Bytes that are no row."""


class Frame(NamedTuple):
    """A page in the log: its number, and where its bytes begin."""

    page: int
    at: int
    follows: bool
    """Whether everything in the log up to here holds together, as SQLite asks it."""


class Pages:
    """All versions of all pages of a file and its log. Reads only."""

    def __init__(self, file: Path, wal: Path) -> None:
        self._file, self._wal = _open(file), _open(wal)
        self.count = -(-_size(self._file) // PAGE_BYTES)
        """Pages of the file; the last one may be cut short."""
        self.frames = list(_frames(self._wal)) if self._wal is not None else []
        """What is committed in the log; first what SQLite would read too."""
        self._newest: dict[int, list[int]] = {}
        for frame in self.frames:
            self._newest.setdefault(frame.page, []).insert(0, frame.at)

    def close(self) -> None:
        """Let go of both."""
        for descriptor in (self._file, self._wal):
            if descriptor is not None:
                os.close(descriptor)
        self._file = self._wal = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def page(self, number: int) -> bytes:
        """Page `number` as the file has it, from 1; empty where it cannot be read."""
        return _read(self._file, (number - 1) * PAGE_BYTES)

    def frame(self, frame: Frame) -> bytes:
        """The page in a frame of the log."""
        return _read(self._wal, frame.at)

    def rows(self, page: bytes, number: int) -> PageRows:
        """The rows of a page; none if it is no leaf. `number` is its own."""
        begin = 100 if number == 1 else 0
        has_ids = _LEAF.get(page[begin]) if len(page) == PAGE_BYTES else None
        if has_ids is None:
            return PageRows([], len(page) == PAGE_BYTES and page[begin] in (2, 5))
        count = int.from_bytes(page[begin + 3 : begin + 5], "big")
        rows: list[Row] = []
        pointers = page[begin + 8 : begin + 8 + 2 * count]
        for at in struct.unpack(f">{len(pointers) // 2}H", pointers[: len(pointers) // 2 * 2]):
            with suppress(PageError, IndexError):
                rows.append(self._row(page, at, has_ids=has_ids))
        return PageRows(rows, len(rows) == count)

    def _row(self, page: bytes, at: int, *, has_ids: bool) -> Row:
        size, at = _varint(page, at)
        row_id = None
        if has_ids:
            row_id, at = _varint(page, at)
        return Row(row_id, parse_record(self._payload(page, at, size, _LOCAL_TABLE if has_ids else _LOCAL_INDEX)))

    def _payload(self, page: bytes, at: int, size: int, most_local: int) -> bytes:
        if not 0 < size <= _MOST_PAYLOAD:
            raise PageError(f"a row of {size} bytes")
        if size <= most_local:
            return page[at : at + size]
        local = _LEAST_LOCAL + (size - _LEAST_LOCAL) % _OVERFLOW
        local = local if local <= most_local else _LEAST_LOCAL
        follows = int.from_bytes(page[at + local : at + local + 4], "big")
        pieces = [page[at : at + local]]
        left = size - local
        while left > 0:
            # The newest version: an older row's overflow may have been used again, which its check sum tells.
            piece = self._latest(follows)
            pieces.append(piece[4 : 4 + left])
            left -= _OVERFLOW
            follows = int.from_bytes(piece[:4], "big")
        return b"".join(pieces)

    def _latest(self, number: int) -> bytes:
        frames = self._newest.get(number)
        page = _read(self._wal, frames[0]) if frames else self.page(number)
        if len(page) != PAGE_BYTES:
            raise PageError(f"page {number} is not there")
        return page


def parse_record(payload: bytes) -> tuple[Value, ...]:
    """The columns of a row. Raises `PageError`."""
    header, at = _varint(payload, 0)
    if header > len(payload):
        raise PageError("a row without an end")
    kinds = []
    while at < header:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    if len(kinds) > _MOST_COLUMNS:
        raise PageError("more columns than any table has")
    columns: list[Value] = []
    for kind in kinds:
        size = _size_of(kind)
        piece = payload[at : at + size]
        if len(piece) != size:
            raise PageError("a row that is cut short")
        columns.append(_value(kind, piece))
        at += size
    return tuple(columns)


def _size_of(kind: int) -> int:
    if kind in _INTS:
        return _INTS[kind]
    if kind == 7:
        return 8
    if kind in (0, 8, 9):
        return 0
    if kind < 12:
        raise PageError(f"a column of kind {kind}")
    return (kind - 12) // 2


def _value(kind: int, piece: bytes) -> Value:
    if kind in _INTS:
        return int.from_bytes(piece, "big", signed=True)
    if kind == 7:
        return float(struct.unpack(">d", piece)[0])
    if kind in (8, 9):
        return kind - 8
    if kind == 0:
        return None
    try:
        return piece.decode() if kind % 2 else piece
    except UnicodeDecodeError:
        raise PageError("a text that is none") from None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where the next begins."""
    value = 0
    for place in range(8):
        byte = data[at + place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + place + 1
    value = value << 8 | data[at + 8]
    return value - (1 << 64) if value >> 63 else value, at + 9


# --- the log


def _frames(wal: int) -> Iterator[Frame]:
    """The frames of all commits that have an end. What does not hold is passed over, and what follows read on.

    Each frame names a check sum that goes on from the one before, so that each can be judged by the two.
    """
    header = os.pread(wal, _WAL_HEADER, 0)
    if len(header) < _WAL_HEADER:
        return
    order = ">" if header[3] & 1 else "<"
    seed: tuple[int, int] = struct.unpack(">II", header[24:32])
    follows = _checksum(header[:24], (0, 0), order) == seed
    # What marks the frames of this round; behind them lie those of rounds before. If the head is rotten, ask the first.
    salts = header[16:24] if follows else _first_salts(wal, order)
    waiting: list[Frame] = []
    late: list[Frame] = []
    for at in range(_WAL_HEADER, _size(wal) - _FRAME + 1, _FRAME):
        frame = os.pread(wal, _FRAME, at)
        if len(frame) < _FRAME:
            break
        sums: tuple[int, int] = struct.unpack(">II", frame[16:24])
        is_ours = frame[8:16] == salts
        is_good = is_ours and _checksum(frame[:8] + frame[_FRAME_HEADER:], seed, order) == sums
        follows = follows and is_good
        seed = sums
        if is_good:
            waiting.append(Frame(int.from_bytes(frame[:4], "big"), at + _FRAME_HEADER, follows))
        if is_ours and frame[4:8] != b"\0\0\0\0":  # the end of a commit, even where its page is rotten
            yield from (one for one in waiting if one.follows)
            late += [one for one in waiting if not one.follows]
            waiting = []
    yield from late


def lost_commits(wal: Path, file: Path) -> int:
    """Commits in the log of `file` that SQLite would pass over in silence: they follow something rotten.

    The first is not counted: a power cut may have come while it was written, and then nobody was told of it. But
    before the second was begun, the first was on disk. Nor are they where only the log's head is torn and the file
    has all their pages: a log is begun anew when all of it was carried over, and then its head is written first.
    """
    descriptor = _open(wal)
    if descriptor is None:
        return 0
    try:
        header = os.pread(descriptor, _WAL_HEADER, 0)
        if len(header) < _WAL_HEADER:
            return 0
        order = ">" if header[3] & 1 else "<"
        seed = header[24:32]
        has_head = is_read = _checksum(header[:24], (0, 0), order) == struct.unpack(">II", seed)
        salts = header[16:24] if is_read else _first_salts(descriptor, order)
        passed_over = 0
        waiting: dict[int, int] = {}
        newest: dict[int, int] = {}  # page -> where its last version begins that was committed
        for at in range(_WAL_HEADER, _size(descriptor) - _FRAME + 1, _FRAME):
            frame = os.pread(descriptor, _FRAME, at)
            is_good = frame[8:16] == salts and _holds(frame, seed, order)
            is_read = is_read and is_good
            if is_good:
                waiting[int.from_bytes(frame[:4], "big")] = at + _FRAME_HEADER
            if is_good and frame[4:8] != b"\0\0\0\0":
                passed_over += not is_read
                newest |= waiting
                waiting = {}
            seed = frame[16:24]
        if not has_head and passed_over and _are_in(file, descriptor, newest):
            return 0
        return max(0, passed_over - 1)
    finally:
        os.close(descriptor)


def _first_salts(wal: int, order: str) -> bytes:
    """What marks the frames of the newest round where the head does not say it: they stand first.

    The first that follows from the one before it tells; those two at least are what was written.
    """
    before = b""
    for at in range(_WAL_HEADER, _size(wal) - _FRAME + 1, _FRAME):
        frame = os.pread(wal, _FRAME, at)
        if before[8:16] == frame[8:16] and _holds(frame, before[16:24], order):
            return frame[8:16]
        before = frame
    return os.pread(wal, 8, _WAL_HEADER + 8)


def _are_in(file: Path, wal: int, places: Mapping[int, int]) -> bool:
    """Whether `file` has the pages as they stand at these places of the log."""
    descriptor = _open(file)
    if descriptor is None:
        return False
    try:
        return all(
            _read(descriptor, (page - 1) * PAGE_BYTES) == os.pread(wal, PAGE_BYTES, at) for page, at in places.items()
        )
    finally:
        os.close(descriptor)


def _holds(frame: bytes, seed: bytes, order: str) -> bool:
    first, second = struct.unpack(">II", seed)
    return _checksum(frame[:8] + frame[_FRAME_HEADER:], (first, second), order) == struct.unpack(">II", frame[16:24])


def _checksum(data: bytes, seed: tuple[int, int], order: str) -> tuple[int, int]:
    words = array("I", data)
    if (order == "<") != (sys.byteorder == "little"):
        words.byteswap()
    first, second = seed
    numbers: Sequence[int] = words.tolist()
    for one, other in zip(numbers[::2], numbers[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second


# --- files


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC) if path.is_file() else None
    except OSError:
        return None


def _size(descriptor: int | None) -> int:
    return 0 if descriptor is None else os.fstat(descriptor).st_size


def _read(descriptor: int | None, at: int) -> bytes:
    """A page; empty where the card gives none."""
    if descriptor is None or at < 0:
        return b""
    try:
        return os.pread(descriptor, PAGE_BYTES, at)
    except OSError:
        return b""
