"""A channel's readings over a time, thinned to as many points as a screen has: each with its least, mean, greatest.

Series are taken out of the log a batch at a time, and those of the batches looked at last are kept, because a page
asks for nearly the same hours again a minute later.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, NamedTuple

from golmok_cloud_sync.protocol import CodecError, Record, decode, decode_columns
from golmok_cloud_sync.server.dating import Dating
from golmok_cloud_sync.server.log import BatchLog, Stored, StreamInfo

_CHUNK: Final = 64
_KEPT: Final = 8_192
"""Series kept decoded; each has some hundred readings, so this is some 20 MB."""


class _Series(NamedTuple):
    """One channel in one boot of one batch. `walls` are of readings whose source stated the time."""

    boot: str
    unit: str
    mono_ms: array[int]
    values: array[float]
    walls: array[int]
    stated: array[float]


Point = tuple[int, float, float, float]


@dataclass
class _Bucket:
    ms: int = 0
    total: float = 0.0
    count: int = 0
    least: float = float("inf")
    greatest: float = float("-inf")

    def add(self, ms: int, value: float) -> None:
        self.ms += ms
        self.total += value
        self.count += 1
        self.least = min(self.least, value)
        self.greatest = max(self.greatest, value)

    def point(self) -> Point:
        return self.ms // self.count, self.least, self.total / self.count, self.greatest


@dataclass
class Charts:
    """Draws from `log`. May be used from several threads."""

    log: BatchLog
    _kept: OrderedDict[tuple[int, str], list[_Series]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def draw(
        self, gateway: str, channel: str, from_ms: int, to_ms: int, points: int, dating: Dating
    ) -> tuple[str, list[Point]]:
        """The channel's unit, and its points from `from_ms` up to, not including, `to_ms`."""
        buckets: dict[int, _Bucket] = {}
        unit = ""
        width = max(1, to_ms - from_ms)
        for info in self.log.streams(gateway, "readings"):
            for batch in self._batches(info, from_ms, to_ms, dating):
                for series in self._series(batch, channel):
                    unit = series.unit or unit
                    for ms, value in _timed(series, dating):
                        if from_ms <= ms < to_ms:
                            buckets.setdefault((ms - from_ms) * points // width, _Bucket()).add(ms, value)
        return unit, [bucket.point() for _, bucket in sorted(buckets.items())]

    def _batches(self, info: StreamInfo, from_ms: int, to_ms: int, dating: Dating) -> Iterator[Stored]:
        seq = 1
        while batches := self.log.read(info.id, seq, _CHUNK, voids=False):
            for batch in batches:
                if batch.span is not None and dating.may_hold(batch.span, from_ms, to_ms):
                    yield batch
            seq = batches[-1].next_seq

    def _series(self, batch: Stored, channel: str) -> list[_Series]:
        key = (batch.id, channel)
        with self._lock:
            known = self._kept.get(key)
            if known is not None:
                self._kept.move_to_end(key)
                return known
        made = _decode(batch, channel)
        with self._lock:
            self._kept[key] = made
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made


def _decode(batch: Stored, channel: str) -> list[_Series]:
    assert batch.codec is not None
    count = batch.next_seq - batch.first_seq
    try:
        columns = decode_columns(batch.payload, batch.codec, count)
        if columns.wall_ms is not None or columns.waited_ms is not None:
            return _of_records([r for r in decode(batch.payload, batch.codec, count) if r.channel == channel])
    except CodecError:
        return []  # `dating.records` says so whenever it is read
    return [
        _numbers(s.boot, s.unit, list(zip(s.mono_ms, s.values, strict=True)), [])
        for s in columns.series
        if s.channel == channel
    ]


def _of_records(records: list[Record]) -> list[_Series]:
    by_boot: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        by_boot.setdefault((record.boot, record.unit), []).append(record)
    return [
        _numbers(
            boot,
            unit,
            [(r.mono_ms, r.value) for r in mine if r.wall_ms is None and r.waited_ms == 0],
            [(r.wall_ms, r.value) for r in mine if r.wall_ms is not None],
        )
        for (boot, unit), mine in by_boot.items()
    ]


def _numbers(boot: str, unit: str, taken: list[tuple[int, object]], stated: list[tuple[int, object]]) -> _Series:
    """Only numbers and truth values can be drawn."""
    drawn = [(ms, float(v)) for ms, v in taken if isinstance(v, int | float)]
    told = [(ms, float(v)) for ms, v in stated if isinstance(v, int | float)]
    return _Series(
        boot,
        unit,
        array("q", [ms for ms, _ in drawn]),
        array("d", [v for _, v in drawn]),
        array("q", [ms for ms, _ in told]),
        array("d", [v for _, v in told]),
    )


def _timed(series: _Series, dating: Dating) -> Iterator[tuple[int, float]]:
    yield from zip(series.walls, series.stated, strict=True)
    anchors = dating.boots.get(series.boot)
    if anchors is not None and anchors.known:
        for mono_ms, value in zip(series.mono_ms, series.values, strict=True):
            ms = anchors.wall_ms(mono_ms)
            if ms is not None:
                yield ms, value
