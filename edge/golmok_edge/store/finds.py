"""What the rows of a damaged store are, known by their shape: blocks, voids, epochs, boots, numbers that were kept.

A block's own check sum says whether it is whole, and its body where it belongs. All else has none but the epochs, and
is believed as far as it can be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Final, NamedTuple

import zstandard

from golmok_cloud_sync.protocol.record import STREAMS, Record, Stream

from . import rows
from .packing import BodyError, Unpacker, stream_at
from .pages import PageRows, Row
from .taken import is_packed, unpack_taken

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_MOST_TEXT: Final = 255
_REMEMBERED: Final = 4_096
_LARGEST: Final = 1 << 20
_BEYOND: Final = 2**53
_NEAR_ID: Final = 256


class Block(NamedTuple):
    """A whole block. `boot` is the number of its run, `taken` the broker's messages, where its row was readable."""

    stream: Stream
    first_seq: int
    records: list[Record]
    body: bytes
    boot: int | None = None
    messages: int = 0
    taken_before: int = 0
    taken: bytes | None = None


class Void(NamedTuple):
    """Records lo to hi-1 can never come."""

    stream: Stream
    lo: int
    hi: int
    reason: str
    counts: str


class Boot(NamedTuple):
    """The name of a run's boot."""

    run: int
    boot: str


class Hint(NamedTuple):
    """A number that was kept."""

    name: str
    value: int


class Kept(NamedTuple):
    """Messages of a block that was deleted."""

    stream: Stream
    first_seq: int
    messages: int
    taken_before: int
    taken: bytes


class Found(NamedTuple):
    """An epoch, and its place among the others."""

    number: int
    epoch: rows.Epoch


Find = Block | Void | Boot | Hint | Kept | Found


class Finder:
    """Tells what rows are. Not for two threads at once."""

    def __init__(self) -> None:
        self._unpacker = Unpacker()
        self._seen: dict[tuple[int, int], bool] = {}
        """Rows that were looked at lately, and whether they were something."""

    def finds(self, page: bytes, said: PageRows) -> Iterator[Find]:
        """All that a page holds. Where its order is lost, the bytes themselves are searched for blocks."""
        is_known = said.is_whole
        for row in said.rows:
            key = (-1 if row.id is None else row.id, hash(row.columns))
            if key not in self._seen:  # the log has a page once for each commit that added to it
                find = self._find(row)
                self._remember(key, is_known=find is not None)
                if find is not None:
                    yield find
            is_known = is_known and self._seen[key]
        if not is_known:
            yield from self._searched(page)

    def is_block(self, row: Row) -> bool:
        """Whether a row is a whole block."""
        return isinstance(self._find(row), Block)

    def _remember(self, key: tuple[int, int], *, is_known: bool) -> None:
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[key] = is_known

    def _find(self, row: Row) -> Find | None:
        match row:
            case Row(int(first_seq), (None, int(), boot, _, _, messages, before, taken, bytes(body))):
                return self._block(first_seq, body, boot, (messages, before, taken))
            case Row(int(number), (None, str(epoch), str(bases))):
                known = rows.parse_epoch(epoch, bases)
                return Found(number, known) if known and 0 < number < _BEYOND else None
            case Row(int(run), (None, str(boot))):
                return Boot(run, boot) if 0 < run < _BEYOND and 0 < len(boot) <= _MOST_TEXT else None
            case Row(None, (str(name), int(value))):
                return Hint(name, value) if name.isascii() and 0 <= value < _BEYOND else None
            case Row(None, (str(stream), int(lo), int(hi), str(reason), str(counts))):
                return _void(stream, lo, hi, reason, counts)
            case Row(None, (str(stream), int(first), int(messages), int(before), bytes(taken))):
                return Kept(stream, first, messages, before, taken) if stream in STREAMS and is_packed(taken) else None
        return None

    def _block(self, row_id: int, body: bytes, boot: object, more: tuple[object, object, object]) -> Block | None:
        try:
            place, records = self._unpacker.examine(body)
        except BodyError:
            return None
        if not place:
            return None  # of the first stores, before 0.2: nothing tells its stream
        stream, first_seq = stream_at(place)
        if first_seq != row_id:
            return Block(stream, first_seq, records, body)
        messages, before, taken = more
        if not (isinstance(messages, int) and isinstance(before, int) and messages >= 0 and before >= 0):
            messages, before = 0, 0
        run = boot if isinstance(boot, int) and 0 < boot < _BEYOND else None
        return Block(stream, first_seq, records, body, run, messages, before, taken if is_packed(taken) else None)

    def _searched(self, page: bytes) -> Iterator[Block]:
        at = page.find(_MAGIC)
        while at >= 0:
            with suppress(BodyError, zstandard.ZstdError):
                body = _frame(page[at:])
                place, records = self._unpacker.examine(body)
                if place:
                    yield Block(*stream_at(place), records, body, taken=_taken_before(page, at))
            at = page.find(_MAGIC, at + 1)


def _frame(rest: bytes) -> bytes:
    """The compressed frame that `rest` begins with. Raises `ZstdError`."""
    if zstandard.frame_content_size(rest) > _LARGEST:
        raise zstandard.ZstdError("larger than any block that fits into a page")
    one = zstandard.ZstdDecompressor().decompressobj()
    one.decompress(rest)
    if not one.eof:
        raise zstandard.ZstdError("it does not end in this page")
    return rest[: len(rest) - len(one.unused_data)]


def _taken_before(page: bytes, at: int) -> bytes | None:
    """The broker's messages, which stand right before the body in a row: they begin with the number of a session.

    Packet ids count up, so bytes that are something else are not taken for messages.
    """
    for begin in range(at - 18, page.rfind(_MAGIC, 0, at), -10):
        if page[begin + 4 : begin + 8] == b"\0\0\0\0" and page[begin : begin + 4] != b"\0\0\0\0":
            ids = [packet_id for packet_id, _ in unpack_taken(page[begin:at])]
            steps = sum(0 < (after - before) % 65_535 < _NEAR_ID for before, after in pairwise(ids))
            return page[begin:at] if 4 * steps >= 3 * (len(ids) - 1) else None
    return None


def _void(stream: str, lo: int, hi: int, reason: str, counts: str) -> Void | None:
    try:
        known = json.loads(counts)
    except ValueError:
        return None
    good = isinstance(known, dict) and all(type(n) is int and n >= 0 for n in known.values())
    good = good and 0 < lo < hi < _BEYOND and reason.isprintable() and 0 < len(reason) <= _MOST_TEXT
    return Void(stream, lo, hi, reason, counts) if good and stream in STREAMS else None
