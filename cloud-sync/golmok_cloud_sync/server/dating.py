"""When a record was: derived from the clock anchors among a gateway's events, each time it is read.

Anchors of a boot serve all stores of the gateway, and one that comes late dates the whole boot anew: nothing
derived is kept but in memory, and `EventBook.catch_up` reads on in the log from where it stopped.
"""

from __future__ import annotations

import logging
from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, NamedTuple

import msgspec

from golmok_cloud_sync.protocol import Anchor, Anchors, CodecError, Record, decode_columns
from golmok_cloud_sync.protocol.clock import RIGHT_MS
from golmok_cloud_sync.protocol.columns import join
from golmok_cloud_sync.protocol.gaps import PREFIX, START, Folded, Gap, Moment, alive_before, parse
from golmok_cloud_sync.server.log import BatchLog, Span, Stored, StreamInfo

ANCHOR: Final = "clock.anchor"
_CHUNK: Final = 64
_log = logging.getLogger(__name__)


class _AnchorValue(msgspec.Struct):
    mono_ms: int
    wall_ms: int
    error_ms: int = 0


_ANCHOR_DECODER: Final = msgspec.json.Decoder(_AnchorValue)


class Dated(NamedTuple):
    """A record's time; the bounds within which it lies where it is not known, or not to a second."""

    ms: int | None
    min_ms: int | None = None
    max_ms: int | None = None


class Passed(NamedTuple):
    """A boot, and up to when in it something is known to have happened."""

    boot: str
    last_mono_ms: int


@dataclass(frozen=True)
class Dating:
    """The anchors of a gateway as they were at one moment."""

    boots: Mapping[str, Anchors] = field(default_factory=dict)
    orders: Sequence[Sequence[Passed]] = ()
    """Boots in the order in which they followed one another; each store of a gateway knows an order of its own."""

    def date(self, record: Record) -> Dated:
        """When `record` was."""
        if record.wall_ms is not None:
            return Dated(record.wall_ms)
        anchors = self.boots.get(record.boot)
        taken = anchors.wall_ms(record.mono_ms) if anchors is not None else None
        bounds = anchors.bounds(record.mono_ms) if anchors is not None else None
        low, high = bounds or self._around(record.boot, record.mono_ms)
        if taken is not None and bounds is not None:
            is_right = max(taken - bounds[0], bounds[1] - taken) <= RIGHT_MS
            low, high = (taken, taken) if is_right else (min(bounds[0], taken), max(bounds[1], taken))
            if record.waited_ms == 0:
                return Dated(taken) if is_right else Dated(taken, low, high)
        if record.waited_ms == 0:
            return Dated(None, low, high)
        return Dated(None, None if record.waited_ms is None or low is None else low - record.waited_ms, high)

    def moment(self, moment: Moment | None) -> int | None:
        """When a moment of a boot was, if it can be dated."""
        return None if moment is None else self.date(Record(PREFIX, None, "", *moment)).ms

    def may_hold(self, span: Span, from_ms: int | None, to_ms: int | None) -> bool:
        """Whether a batch that lies in `span` can hold a record from `from_ms` up to, not including, `to_ms`."""
        if span.boot is None:
            return True
        anchors = self.boots.get(span.boot)
        bounds = [] if span.wall_min is None or span.wall_max is None else [(span.wall_min, span.wall_max)]
        if anchors is not None and (walls := anchors.walls_between(span.mono_min, span.mono_max)):
            bounds.append(walls)
        return any((to_ms is None or low < to_ms) and (from_ms is None or high >= from_ms) for low, high in bounds)

    def _around(self, boot: str, mono_ms: int) -> tuple[int | None, int | None]:
        """What the boots before and after one without any anchor say of a moment in it."""
        lows, highs = [], []
        for order in self.orders:
            at = next((place for place, one in enumerate(order) if one.boot == boot), None)
            if at is None:
                continue
            if (ended_ms := self._end_before(order, at)) is not None:
                lows.append(ended_ms + mono_ms)
            if (began_ms := self._begin_after(order, at)) is not None:
                highs.append(began_ms - max(0, order[at].last_mono_ms - mono_ms))
        return max(lows, default=None), min(highs, default=None)

    def _end_before(self, order: Sequence[Passed], at: int) -> int | None:
        passed_ms = 0
        for one in reversed(order[:at]):
            if bounds := self._bounds(one.boot, one.last_mono_ms):
                return bounds[0] + passed_ms
            passed_ms += one.last_mono_ms
        return None

    def _begin_after(self, order: Sequence[Passed], at: int) -> int | None:
        passed_ms = 0
        for one in order[at + 1 :]:
            if bounds := self._bounds(one.boot, 0):
                return bounds[1] - passed_ms
            passed_ms += one.last_mono_ms
        return None

    def _bounds(self, boot: str, mono_ms: int) -> tuple[int, int] | None:
        anchors = self.boots.get(boot)
        return anchors.bounds(mono_ms) if anchors is not None else None


class Start(NamedTuple):
    """A start of the process that writes a store, and where its event stands."""

    store: str
    order: int
    """Of its epoch."""
    seq: int
    epoch: str
    at: Moment
    alive: Moment | None
    """The last sign of life before it, as far as it knew."""


class _Told(NamedTuple):
    """What the events of one store tell; places are (order of the epoch, seq)."""

    gaps: Folded[tuple[int, int]]
    starts: list[Start]
    epochs: dict[int, str]


@dataclass
class EventBook:
    """What the events of one gateway say about time: anchors, gaps and starts, kept up with its log."""

    gateway: str
    _stores: dict[str, _Told] = field(default_factory=dict)
    _boots: dict[str, Anchors] = field(default_factory=dict)
    _orders: dict[int, dict[str, int]] = field(default_factory=dict)
    """Of each stream of events: its boots in their order, and the last moment of each."""
    _next: dict[int, int] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _dating: Dating = field(default_factory=Dating)

    def catch_up(self, log: BatchLog) -> Dating:
        """Read the events that came since the last time, and give what is known now. Reads the log: not on the loop."""
        with self._lock:
            changed = [self._read_on(log, info) for info in log.streams(self.gateway, "events")]
            if any(changed):
                orders = [[Passed(*one) for one in boots.items()] for boots in self._orders.values()]
                self._dating = Dating({boot: Anchors(list(a.known)) for boot, a in self._boots.items()}, orders)
            return self._dating

    @property
    def dating(self) -> Dating:
        """What was known at the last `catch_up`."""
        return self._dating

    def gaps(self) -> Iterator[tuple[str, int, int, str, Gap]]:
        """Store, order of the epoch, seq, epoch and what is told there, of all that still stands."""
        with self._lock:
            told = [
                (store, order, seq, one.epochs[order], gap)
                for store, one in self._stores.items()
                for (order, seq), gap in one.gaps.standing()
            ]
        yield from told

    def start_after(self, store: str, order: int, seq: int) -> Start | None:
        """The first start behind a place."""
        with self._lock:
            starts = self._stores[store].starts if store in self._stores else []
            at = bisect_right(starts, (order, seq), key=_place)
            return starts[at] if at < len(starts) else None

    def first_starts(self) -> list[Start]:
        """The first start of each epoch of each store."""
        with self._lock:
            every = [start for told in self._stores.values() for start in reversed(told.starts)]
        return list({(start.store, start.order): start for start in every}.values())

    def _read_on(self, log: BatchLog, info: StreamInfo) -> bool:
        changed = False
        while self._next.get(info.id, 1) < info.position.next_seq:
            batches = log.read(info.id, self._next.get(info.id, 1), _CHUNK)
            if not batches:
                break
            for batch in batches:
                changed = self._take(info, batch) or changed
            self._next[info.id] = batches[-1].next_seq
        return changed

    def _take(self, info: StreamInfo, batch: Stored) -> bool:
        changed = False
        boots = self._orders.setdefault(info.id, {})
        for seq, event in enumerate(records(batch), batch.first_seq):
            changed = changed or event.boot not in boots
            boots[event.boot] = max(boots.get(event.boot, 0), event.mono_ms)
            if event.channel == ANCHOR:
                changed = self._anchor(event) or changed
            elif event.channel == START:
                at, alive = Moment(event.boot, event.mono_ms), alive_before(event)
                start = Start(info.key.store, info.epoch_order, seq, info.key.epoch, at, alive)
                insort(self._told(info).starts, start, key=_place)
            elif event.channel.startswith(PREFIX):
                self._told(info).gaps.add((info.epoch_order, seq), parse(event))
        return changed

    def _told(self, info: StreamInfo) -> _Told:
        told = self._stores.setdefault(info.key.store, _Told(Folded(), [], {}))
        told.epochs[info.epoch_order] = info.key.epoch
        return told

    def _anchor(self, event: Record) -> bool:
        try:
            anchor = _ANCHOR_DECODER.decode(event.value if isinstance(event.value, str) else "")
        except msgspec.DecodeError as error:
            _log.warning("%s sent a clock anchor that cannot be read: %s", self.gateway, error)
            return False
        anchors = self._boots.setdefault(event.boot, Anchors())
        return anchors.add(Anchor(anchor.mono_ms, anchor.wall_ms, anchor.error_ms))


def _place(start: Start) -> tuple[int, int]:
    return start.order, start.seq


def records(batch: Stored, channel: str | None = None) -> list[Record]:
    """The records of a batch; none of a void, or of one that was damaged on this disk.

    With `channel`, none as well if none of them is of that channel, which is told without building them.
    """
    if batch.codec is None:
        return []
    try:
        columns = decode_columns(batch.payload, batch.codec, batch.next_seq - batch.first_seq)
    except CodecError as error:
        _log.error("batch %s of stream %s cannot be read any more: %s", batch.id, batch.stream_id, error)
        return []
    if channel is not None and all(s.channel != channel for s in columns.series):
        return []
    return join(columns)
