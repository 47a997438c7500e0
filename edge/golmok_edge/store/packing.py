"""The body of one block: a run of records as one compressed, checksummed piece of JSON columns.

JSON, because a number's shortest decimal text packs better than its eight bytes (measured on decimals: 274 B
against 313 B of msgpack for ten readings, 2.9 against 3.6 B a reading for a thousand), and because a technician
can read it: `zstd -d`. Columns, because they unpack at more than a million records a second: texts that repeat
are decoded once. The body says all of its records but their numbers, so it can be salvaged alone.

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

from golmok_cloud_sync.protocol.record import MAX_TIME_MS, Quality, Record, Value, check

MAX_COUNT: Final = 1_024
"""Most records in one block: what is unpacked at once."""
MAX_TEXT: Final = 1 << 18
"""Most characters of text values in one block, unless a single record has more."""
_MAX_RAW: Final = 16 << 20
"""More than any block unpacks to; a header that says more is damaged."""

Kind = tuple[str, str, Quality, str]
"""Channel, unit, quality, reason: what the records of a channel mostly share."""

_record: Final = partial(tuple.__new__, Record)  # at a third of the time of Record(...)
_kind: Final = itemgetter(0, 2, 5, 6)


class BodyError(ValueError):
    """A body that does not unpack to what was packed."""


class _Body(msgspec.Struct, array_like=True):
    boot: str
    kinds: list[Kind]
    which: list[int]  # for each record the index of its kind; empty if all have the first
    values: list[Value]
    mono_ms: list[int]  # the first, then differences
    wall_ms: list[int | None] | None  # None: none has any
    waited_ms: list[int | None] | None  # None: all 0


class Packer:
    """Makes bodies. Not for two threads at once."""

    def __init__(self) -> None:
        self._json = msgspec.json.Encoder()
        self._zstd = zstandard.ZstdCompressor(level=3, write_checksum=True, write_content_size=True)

    def pack(self, records: Sequence[Record]) -> bytes:
        """The body of `records`, all of one boot, which have passed `checked`."""
        channels, values, units, boots, monos, qualities, reasons, walls, waits = zip(*records, strict=True)
        kinds = list(zip(channels, units, qualities, reasons, strict=True))
        numbers = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
        body = _Body(
            boots[0],
            list(numbers),
            [] if len(numbers) == 1 else list(map(numbers.__getitem__, kinds)),
            values,  # type: ignore[arg-type]  # a tuple is written like a list
            [monos[0], *map(sub, monos[1:], monos)],
            None if walls.count(None) == len(walls) else list(walls),
            None if waits.count(0) == len(waits) else list(waits),
        )
        return self._zstd.compress(self._json.encode(body))


class Unpacker:
    """Reads bodies. Not for two threads at once."""

    def __init__(self) -> None:
        self._json = msgspec.json.Decoder(_Body)
        self._zstd = zstandard.ZstdDecompressor()

    def unpack(self, body: bytes, count: int) -> list[Record]:
        """The `count` records of `body`. Raises `BodyError`."""
        return _join(self._open(body, count), count)

    def find(self, body: bytes, count: int, channel: str) -> list[tuple[int, Record]]:
        """The records of one channel in `body` with their places in it, without building the others."""
        opened = self._open(body, count)
        wanted = {number for number, kind in enumerate(opened.kinds) if kind[0] == channel}
        if not wanted:
            return []
        if not opened.which or len(wanted) == len(opened.kinds):
            return list(enumerate(_join(opened, count)))
        places = [place for place, number in enumerate(opened.which) if number in wanted]
        return [(place, record) for place, record in zip(places, _pick(opened, places, count), strict=True)]

    def _open(self, body: bytes, count: int) -> _Body:
        try:
            if zstandard.frame_content_size(body) > _MAX_RAW:
                raise BodyError("a block says that it is larger than any that is written")
            opened = self._json.decode(self._zstd.decompress(body))
        except (zstandard.ZstdError, msgspec.MsgspecError) as error:
            raise BodyError(f"a block cannot be unpacked: {error}") from error
        if len(opened.values) != count or len(opened.mono_ms) != count:
            raise BodyError(f"a block of {count} records has {len(opened.values)}")
        return opened


def checked(records: Sequence[Record]) -> Sequence[Record]:
    """Give back `records` if each may be stored (as `record.check` says), else raise `RecordError`.

    What most records are is judged by whole columns, in a sixth of the time; the rest one by one.
    """
    if not records:
        return records
    channels, values, units, boots, monos, qualities, reasons, walls, waits = zip(*records, strict=True)
    if not (
        _are_numbers(values)
        and _are_times(monos)
        and walls.count(None) == len(walls)
        and (waits.count(0) == len(waits) and bool not in set(map(type, waits)))
    ):
        return [check(record) for record in records]
    for shape in set(zip(channels, units, boots, qualities, reasons, strict=True)):
        _check_shape(*shape)
    return records


def cut(records: Sequence[Record]) -> Iterable[Sequence[Record]]:
    """Cut `records` where a block must end: at another boot, at `MAX_COUNT`, at `MAX_TEXT`."""
    begin, text, boot = 0, 0, records[0].boot if records else ""
    if len(records) <= MAX_COUNT and all(r[3] == boot for r in records) and not any(type(r[1]) is str for r in records):
        return [records] if records else []
    blocks = []
    for at, record in enumerate(records):
        size = len(record.value) if type(record.value) is str else 0
        if at > begin and (record.boot != boot or at - begin >= MAX_COUNT or text + size > MAX_TEXT):
            blocks.append(records[begin:at])
            begin, text = at, 0
        boot = record.boot
        text += size
    blocks.append(records[begin:])
    return blocks


def _join(body: _Body, count: int) -> list[Record]:
    channels: Iterable[str]
    if len(body.which) > 1:
        pick = itemgetter(*body.which)  # picks a whole column in one call
        channels, units, qualities, reasons = map(pick, zip(*body.kinds, strict=True))
    else:
        channels, units, qualities, reasons = map(repeat, body.kinds[0])
    return list(
        map(
            _record,
            zip(  # noqa: B905  # columns of `count`, checked above, and endless ones
                channels,
                body.values,
                units,
                repeat(body.boot, count),
                accumulate(body.mono_ms),
                qualities,
                reasons,
                body.wall_ms or repeat(None),
                body.waited_ms or repeat(0),
            ),
        )
    )


def _pick(body: _Body, places: list[int], count: int) -> Iterable[Record]:
    monos = list(accumulate(body.mono_ms))
    walls: Sequence[Any] = body.wall_ms or [None] * count
    waits: Sequence[Any] = body.waited_ms or [0] * count
    for place in places:
        channel, unit, quality, reason = body.kinds[body.which[place]]
        value = body.values[place]
        yield Record(channel, value, unit, body.boot, monos[place], quality, reason, walls[place], waits[place])


def _are_numbers(values: Sequence[Any]) -> bool:
    """Whether all values are surely fine; texts, minus zeros and what is neither are looked at one by one."""
    kinds = set(map(type, values))
    if kinds - {float, int, bool, type(None)}:
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


def _are_times(monos: Sequence[Any]) -> bool:
    return set(map(type, monos)) == {int} and min(monos) >= 0 and max(monos) <= MAX_TIME_MS


@lru_cache(maxsize=4_096)
def _check_shape(channel: str, unit: str, boot: str, quality: Quality, reason: str) -> None:
    check(Record(channel, None, unit, boot, 0, quality, reason))
