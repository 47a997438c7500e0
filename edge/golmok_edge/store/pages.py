"""The pages of a store's file and of its log, read without SQLite: what is left where SQLite gives up.

Knows the file format (https://www.sqlite.org/fileformat2.html) and the shapes of our rows, and believes nothing that
does not hold. Each version of a page is read that the file or the log has: records never change, so an older page is
as good as a newer one; whether a block is whole its own check sum says. No tree is walked and no list followed but
the chain of one row's overflow, so whatever is damaged costs what stands in it and no more.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from .pagefile import PAGE_BYTES, open_to_read, read_page, size_of
from .wal import NO_LOG, Frame, read_log

_LEAF: Final = {13: True, 10: False}
"""Types of leaf pages: of a table (its cells have a row id), of an index."""
_LOCAL_TABLE: Final = PAGE_BYTES - 35
_LOCAL_INDEX: Final = (PAGE_BYTES - 12) * 64 // 255 - 23
_LEAST_LOCAL: Final = (PAGE_BYTES - 12) * 32 // 255 - 23
_OVERFLOW: Final = PAGE_BYTES - 4
_MOST_PAYLOAD: Final = 64 << 20
_INTS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_MOST_COLUMNS: Final = 16

Value = int | float | str | bytes | None


class Row(NamedTuple):
    """A row, as far as its bytes make one. `id` is None in an index."""

    id: int | None
    columns: tuple[Value, ...]


class PageRows(NamedTuple):
    """What a page says: its rows, and whether all of its cells made one."""

    rows: list[Row]
    is_whole: bool
    is_leaf: bool = False


class PageError(ValueError):
    """Bytes that are no row."""


class Pages:
    """All versions of all pages of a file and its log. Reads only."""

    def __init__(self, file: Path, wal: Path) -> None:
        self._file, self._wal = open_to_read(file), open_to_read(wal)
        self.count = -(-size_of(self._file) // PAGE_BYTES)
        """Pages of the file; the last one may be cut short."""
        self.log = NO_LOG if self._wal is None else read_log(self._wal)
        """Of its rest only what has its own check sum can be believed."""
        self._newest = {frame.page: frame.at for frame in self.log.frames}
        self._newest_of_rest = self._newest | {frame.page: frame.at for frame in self.log.rest}

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
        return read_page(self._file, (number - 1) * PAGE_BYTES)

    def frame(self, frame: Frame) -> bytes:
        """The page in a frame of the log."""
        return read_page(self._wal, frame.at)

    def rows(self, page: bytes, number: int, *, is_of_rest: bool = False) -> PageRows:
        """The rows of a page; none if it is no leaf. `number` is its own."""
        newest = self._newest_of_rest if is_of_rest else self._newest
        begin = 100 if number == 1 else 0
        has_ids = _LEAF.get(page[begin]) if len(page) == PAGE_BYTES else None
        if has_ids is None:
            return PageRows([], len(page) == PAGE_BYTES and page[begin] in (2, 5))
        count = int.from_bytes(page[begin + 3 : begin + 5], "big")
        rows: list[Row] = []
        pointers = page[begin + 8 : begin + 8 + 2 * count]
        for at in dict.fromkeys(struct.unpack(f">{len(pointers) // 2}H", pointers[: len(pointers) // 2 * 2])):
            with suppress(PageError, IndexError):
                rows.append(self._row(page, at, newest, has_ids=has_ids))
        return PageRows(rows, len(rows) == count, is_leaf=True)

    def _row(self, page: bytes, at: int, newest: Mapping[int, int], *, has_ids: bool) -> Row:
        size, at = _varint(page, at)
        row_id = None
        if has_ids:
            row_id, at = _varint(page, at)
        most_local = _LOCAL_TABLE if has_ids else _LOCAL_INDEX
        if not 0 < size <= _MOST_PAYLOAD:
            raise PageError(f"a row of {size} bytes")
        if size <= most_local:
            return Row(row_id, parse_record(page[at : at + size]))
        return Row(row_id, parse_record(self._with_overflow(page, at, size, most_local, newest)))

    def _with_overflow(self, page: bytes, at: int, size: int, most_local: int, newest: Mapping[int, int]) -> bytes:
        local = _LEAST_LOCAL + (size - _LEAST_LOCAL) % _OVERFLOW
        local = local if local <= most_local else _LEAST_LOCAL
        follows = int.from_bytes(page[at + local : at + local + 4], "big")
        pieces = [page[at : at + local]]
        left = size - local
        while left > 0:
            # The newest version: an older row's overflow may have been used again, which its check sum tells.
            piece = self._latest(follows, newest)
            pieces.append(piece[4 : 4 + left])
            left -= _OVERFLOW
            follows = int.from_bytes(piece[:4], "big")
        return b"".join(pieces)

    def _latest(self, number: int, newest: Mapping[int, int]) -> bytes:
        at = newest.get(number)
        page = self.page(number) if at is None else read_page(self._wal, at)
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
