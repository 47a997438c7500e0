"""The body of one block: a run of records as one compressed, checksummed piece of JSON columns.

JSON, because a number's shortest decimal text packs better than its eight bytes (measured on decimals: 274 B
against 313 B of msgpack for ten readings, 2.9 against 3.6 B a reading for a thousand), and because a technician
can read it: `zstd -d`. Columns, because they unpack at more than a million records a second: texts that repeat
are decoded once. The body says all of its records and where they belong (`place`), so it can be salvaged alone, and a
block that stands in the wrong place of a damaged file is never taken for another.

A body is two lines: the head says which channels its records are of, the second what they say. Polled channels come
round and round in one order, so heads repeat, and neither end makes the same one twice in a row.

The zstd frame carries the checksum that tells a torn or rotten block from a good one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from itertools import accumulate, repeat
from math import copysign, isfinite
from operator import itemgetter, sub
from typing import Any, Final

import msgspec
import zstandard

from golmok_cloud_sync.protocol.record import MAX_TIME_MS, STREAMS, Quality, Record, Stream, Value, check

MAX_COUNT: Final = 1_024
"""Most records in one block: what is unpacked at once."""
MAX_TEXT: Final = 1 << 18
"""Most characters of text values in one block, unless a single record has more."""
_MAX_RAW: Final = 16 << 20
"""More than any block unpacks to; a header that says more is damaged."""

Kind = tuple[str, str, Quality, str]
"""Channel, unit, quality, reason: what the records of a channel mostly share."""

_NUMBERS: Final = frozenset({float, int, bool, type(None)})
_record: Final = partial(tuple.__new__, Record)  # at a third of the time of Record(...)


class BodyError(ValueError):
    """A body that does not unpack to what was packed."""


def place_of(stream: Stream, first_seq: int) -> int:
    """Where a block belongs, as one number: its first seq on disk and its stream."""
    return first_seq * len(STREAMS) + STREAMS.index(stream)


def stream_at(place: int) -> tuple[Stream, int]:
    """The stream and the first seq that `place_of` made `place` of."""
    first_seq, rank = divmod(place, len(STREAMS))
    return STREAMS[rank], first_seq


class _Head(msgspec.Struct, array_like=True, frozen=True):
    boot: str
    kinds: list[Kind]
    which: list[int]  # for each record the index of its kind; empty if all have the first


class _Said(msgspec.Struct, array_like=True):
    values: list[Value]
    mono_ms: list[int]  # the first, then differences
    wall_ms: list[int | None] | None  # None: none has any
    waited_ms: list[int | None] | None  # None: all 0
    place: int = 0  # see `place_of`; 0: not told, as in the first stores


class Block:
    """A run of records that becomes one row, as columns."""

    __slots__ = ("columns", "count")

    def __init__(self, records: Sequence[Record]) -> None:
        self.count = len(records)
        self.columns: Sequence[Sequence[Any]] = tuple(zip(*records, strict=True))

    @property
    def boot(self) -> str:
        """The boot of all its records."""
        return str(self.columns[3][0])

    @property
    def mono_ms(self) -> Sequence[int]:
        """The times of its records."""
        return self.columns[4]


class Packer:
    """Makes bodies. Not for two threads at once."""

    def __init__(self) -> None:
        self._json = msgspec.json.Encoder()
        # Level 1: on these small blocks as tight as 3, in half the time.
        self._zstd = zstandard.ZstdCompressor(level=1, write_checksum=True, write_content_size=True)
        self._head: tuple[str, list[Kind], bytes] = "", [], b""

    def pack(self, block: Block, place: int = 0) -> bytes:
        """The body of `block`. Raises `RecordError`."""
        channels, values, units, _, monos, qualities, reasons, walls, waits = block.columns
        kinds = list(zip(channels, units, qualities, reasons, strict=True))
        if self._head[:2] != (block.boot, kinds):
            self._head = block.boot, kinds, self._json.encode(_head(block.boot, kinds))
        said = _Said(
            values,  # type: ignore[arg-type]  # a tuple is written like a list
            [monos[0], *map(sub, monos[1:], monos)],
            None if walls.count(None) == len(walls) else walls,  # type: ignore[arg-type]
            None if waits.count(0) == len(waits) else waits,  # type: ignore[arg-type]
            place,
        )
        return self._zstd.compress(self._head[2] + b"\n" + self._json.encode(said))


def _head(boot: str, kinds: Sequence[Kind]) -> _Head:
    numbers = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
    for kind in numbers:
        _check_shape(*kind, boot)
    return _Head(boot, list(numbers), [] if len(numbers) == 1 else list(map(numbers.__getitem__, kinds)))


class _Columns:
    """What the records of a head share, as columns that need no second look."""

    def __init__(self, head: _Head) -> None:
        self.head = head
        self.boot = head.boot
        channels, units, qualities, reasons = zip(*head.kinds, strict=True)
        if len(head.which) > 1:
            pick = itemgetter(*head.which)  # a whole column in one call
            self.channels, self.units, self.qualities, self.reasons = map(pick, (channels, units, qualities, reasons))
        else:
            self.channels, self.units, self.qualities, self.reasons = map(
                repeat, (channels[0], units[0], qualities[0], reasons[0])
            )

    def records(self, said: _Said) -> list[Record]:
        """The records that have these columns and say `said`."""
        return list(
            map(
                _record,
                zip(  # columns of equal length, and endless ones
                    self.channels,
                    said.values,
                    self.units,
                    repeat(self.boot),
                    accumulate(said.mono_ms),
                    self.qualities,
                    self.reasons,
                    said.wall_ms or repeat(None),
                    said.waited_ms or repeat(0),
                ),
            )
        )


class Unpacker:
    """Reads bodies. Not for two threads at once."""

    def __init__(self) -> None:
        self._heads = msgspec.json.Decoder(_Head)
        self._said = msgspec.json.Decoder(_Said)
        self._zstd = zstandard.ZstdDecompressor()
        self._last: tuple[bytes, _Columns] | None = None

    def unpack(self, body: bytes, count: int, place: int = 0) -> list[Record]:
        """The `count` records of `body`, which stands at `place` (0: wherever it says). Raises `BodyError`."""
        columns, said = self._open(body, count, place)
        return columns.records(said)

    def examine(self, body: bytes) -> tuple[int, list[Record]]:
        """Where a body says that it belongs (0: it does not say), and its records. Raises `BodyError`."""
        columns, said = self._open(body, None, 0)
        return said.place, columns.records(said)

    def find(self, body: bytes, count: int, channel: str, place: int = 0) -> list[tuple[int, Record]]:
        """The records of one channel in `body` with their numbers in it, without building the others."""
        columns, said = self._open(body, count, place)
        head = columns.head
        wanted = {number for number, kind in enumerate(head.kinds) if kind[0] == channel}
        if not wanted:
            return []
        if len(wanted) == len(head.kinds):
            return list(enumerate(columns.records(said)))
        monos = list(accumulate(said.mono_ms))
        walls: Sequence[int | None] = said.wall_ms or [None] * count
        waits: Sequence[int | None] = said.waited_ms or [0] * count
        found = []
        for place, number in enumerate(head.which):
            if number in wanted:
                name, unit, quality, reason = head.kinds[number]
                told = Record(
                    name, said.values[place], unit, head.boot, monos[place], quality, reason, walls[place], waits[place]
                )
                found.append((place, told))
        return found

    def _open(self, body: bytes, count: int | None, place: int) -> tuple[_Columns, _Said]:
        if not isinstance(body, bytes):  # whatever a damaged page reads as
            raise BodyError(f"a block is not bytes but {type(body).__name__}")
        try:
            if zstandard.frame_content_size(body) > _MAX_RAW:
                raise BodyError("a block says that it is larger than any that is written")
            head, _, rest = self._zstd.decompress(body).partition(b"\n")
            if self._last is None or self._last[0] != head:
                self._last = head, _Columns(self._heads.decode(head))
            said = self._said.decode(rest)
        except (zstandard.ZstdError, msgspec.MsgspecError) as error:
            raise BodyError(f"a block cannot be unpacked: {error}") from error
        if count is None:
            count = len(said.values)
        if len(said.values) != count or len(said.mono_ms) != count or not count:
            raise BodyError(f"a block of {count} records has {len(said.values)}")
        if place and said.place and said.place != place:
            raise BodyError(f"in its place stands {' '.join(map(str, stream_at(said.place)))}")
        return self._last[1], said


def checked(records: Sequence[Record]) -> Sequence[Record]:
    """Give back `records` if each may be stored, as `record.check` says, else raise `RecordError`."""
    if not records:
        return records
    block = Block(records)
    if not _is_plain(block):
        return [check(record) for record in records]
    channels, _, units, boots, _, qualities, reasons, _, _ = block.columns
    for shape in set(zip(channels, units, qualities, reasons, boots, strict=True)):
        _check_shape(*shape)
    return records


def blocks_of(records: Sequence[Record]) -> list[Block]:
    """Cut `records` where a block must end: at another boot, at `MAX_COUNT`, at `MAX_TEXT`. Raises `RecordError`."""
    block = Block(records)
    if _is_plain(block):
        boots = block.columns[3]
        if len(records) <= MAX_COUNT and boots.count(boots[0]) == len(boots):
            return [block]
    else:
        records = [check(record) for record in records]
    return [Block(part) for part in _cut(records)]


def _cut(records: Sequence[Record]) -> Iterable[Sequence[Record]]:
    begin, text, boot = 0, 0, records[0].boot
    for at, record in enumerate(records):
        size = len(record.value) if type(record.value) is str else 0
        if at > begin and (record.boot != boot or at - begin >= MAX_COUNT or text + size > MAX_TEXT):
            yield records[begin:at]
            begin, text = at, 0
        boot = record.boot
        text += size
    yield records[begin:]


def _is_plain(block: Block) -> bool:
    """Whether all values and times are surely fine, as most are: judged by whole columns, in a sixth of the time.

    Texts, minus zeros, sources' own times and whatever is none of these are looked at one by one.
    """
    _, values, _, _, monos, _, _, walls, waits = block.columns
    return (
        _are_numbers(values)
        and set(map(type, monos)) == {int}
        and min(monos) >= 0
        and max(monos) <= MAX_TIME_MS
        and walls.count(None) == len(walls)
        and waits.count(0) == len(waits)
        and set(map(type, waits)) == {int}
    )


def _are_numbers(values: Sequence[Any]) -> bool:
    kinds = set(map(type, values))
    if kinds - _NUMBERS:
        return False
    if float in kinds:
        floats = values if len(kinds) == 1 else [v for v in values if type(v) is float]
        if not all(map(isfinite, floats)):
            return False
        if 0.0 in floats and any(v == 0.0 and copysign(1.0, v) < 0.0 for v in floats):
            return False
    if int in kinds:
        ints = values if len(kinds) == 1 else [v for v in values if type(v) is int]
        return bool(min(ints) >= -(2**63) and max(ints) < 2**63)
    return True


@lru_cache(maxsize=4_096)
def _check_shape(channel: str, unit: str, quality: Quality, reason: str, boot: str) -> None:
    check(Record(channel, None, unit, boot, 0, quality, reason))
