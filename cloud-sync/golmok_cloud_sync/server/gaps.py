"""The gap ledger: what can never come, or was never taken, from when to when, and why.

Derived from voids (records that a gateway gave up), from the events `gap.*` (what it knows it missed), and from where
one life of a store ends and another begins that does not remember it. Nobody walks over the readings for it: only
those beside a void are looked at. A line stands where its void or event stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from golmok_cloud_sync.protocol import STREAMS, Record, Stream
from golmok_cloud_sync.protocol.gaps import OFF, PREFIX, Gap, Moment
from golmok_cloud_sync.server.dating import Dating, EventBook, records
from golmok_cloud_sync.server.fleet import GatewayNow, StoreNow
from golmok_cloud_sync.server.log import BatchLog, StreamInfo
from golmok_cloud_sync.server.query import Filter
from golmok_cloud_sync.server.times import show
from golmok_cloud_sync.server.verify import void_body

_CHUNK: Final = 64
_NEAR: Final = 32
"""So many batches beside a void are looked at for the reading of a channel before and after it."""
_EVENTS: Final = STREAMS.index("events")


class Line(NamedTuple):
    """A gap and where it stands. Times are None where they are not known."""

    store: str
    epoch_order: int
    rank: int
    """The place of its stream among the streams."""
    seq: int
    seq_end: int
    """The last seq of it (that of the event itself, if it was an event)."""
    epoch: str
    channel: str | None
    """None: several, or not known."""
    reason: str
    missing: int | None
    """How many records, where that is known."""
    counts: dict[str, int | None]
    from_ms: int | None
    to_ms: int | None
    is_open: bool = False
    """Whether it goes on: then it has no end."""
    detail: str = ""

    @property
    def stands(self) -> tuple[str, int, int, int]:
        """What the ledger is sorted by."""
        return self[:4]

    def of_channel(self, channel: str) -> Line | None:
        """What this gap is to one channel, if anything."""
        if self.rank == _EVENTS and _tells_of_gaps(self.counts):
            return self._replace(channel=channel, missing=None)  # what was said of gaps is lost, so it may be one
        if self.counts:
            return self._replace(channel=channel, missing=self.counts[channel]) if channel in self.counts else None
        return self if self.channel in (None, channel) else None

    def touches(self, wanted: Filter) -> bool:
        """Whether it reaches into the time asked for. An end that is not known is taken for endless."""
        if not wanted.by_time:
            return True
        if self.from_ms is None and self.to_ms is None:
            return False
        begins = wanted.to_ms is None or self.from_ms is None or self.from_ms < wanted.to_ms
        return begins and (wanted.from_ms is None or self.to_ms is None or self.to_ms >= wanted.from_ms)


def ledger(log: BatchLog, gateway: str, book: EventBook, wanted: Filter) -> list[Line]:
    """The gaps of a gateway, in order. Reads the log: to be used in a thread of its own."""
    dating = book.catch_up(log)
    beside = _Beside(log, gateway, dating, wanted.channel)
    lines = [*_said(book, dating, beside), *_voids(log, gateway, beside), *_seams(log, gateway, book, beside)]
    if wanted.channel is not None:
        lines = [mine for line in lines if (mine := line.of_channel(wanted.channel)) is not None]
    return sorted((line for line in lines if line.touches(wanted)), key=lambda line: line.stands)


def heard_until_ms(log: BatchLog, now: GatewayNow, dating: Dating) -> int | None:
    """Until when the gateway has told what it has: its last call, or the last reading of a backlog that is coming."""
    told = [ms for store in now.stores.values() if (ms := _told_until_ms(log, now.gateway, store, dating)) is not None]
    return min(told, default=None)


def _told_until_ms(log: BatchLog, gateway: str, store: StoreNow, dating: Dating) -> int | None:
    streams = [store.streams[name] for name in ("readings", "events") if name in store.streams]
    if not any(stream.backlog for stream in streams):
        return store.contact_ms if streams else None
    for info in reversed(log.streams(gateway, "readings")):
        if info.key.store == store.store:
            for batch in log.read_back(info.id, info.position.next_seq, 1):
                for record in records(batch)[-1:]:
                    return dating.date(record).ms
    return None


def document(line: Line) -> dict[str, Any]:
    """A gap as a line of JSON shows it: with what every line has, and from, to, count."""
    return {
        "store": line.store,
        "epoch": line.epoch,
        "seq": line.seq,
        "ts": show(line.from_ms),
        "channel": line.channel,
        "value": line.missing,
        "unit": "1",
        "quality": "bad",
        "reason": line.reason,
        "stream": STREAMS[line.rank],
        "seq_end": line.seq_end,
        "from": show(line.from_ms),
        "to": show(line.to_ms),
        "count": line.missing,
        "counts": line.counts,
        "open": line.is_open,
        "detail": line.detail,
    }


# --- what the gateway said ----------------------------------------------------------------------------------------


def _said(book: EventBook, dating: Dating, beside: _Beside) -> Iterator[Line]:
    for store, order, seq, epoch, gap in book.gaps():
        from_ms, to_ms, is_open = _earlier(gap.from_ms, dating.moment(gap.begin)), gap.to_ms, gap.is_open
        if is_open and (ended := book.start_after(store, order, seq)):
            # That start knew nothing of it, or would have told: what comes after is told anew.
            to_ms, is_open = dating.moment(ended.at), False
        elif to_ms is None:
            to_ms = dating.moment(gap.end)
        if gap.epoch is not None:
            from_ms, to_ms = beside.lost_end(_Place(store, order, epoch), gap, from_ms, to_ms)
        length_ms = None if from_ms is None or to_ms is None else to_ms - from_ms
        if length_ms is not None and gap.limit_ms and length_ms <= gap.limit_ms:
            continue  # over a restart nobody counted: now that it can be dated, it was none
        counts = {name: _missing(gap, count, length_ms) for name, count in gap.channels.items()}
        yield Line(
            store,
            order,
            _EVENTS,
            seq,
            seq,
            epoch,
            next(iter(counts)) if len(counts) == 1 else None,
            gap.reason,
            _sum(list(counts.values())) if counts else gap.total,
            counts,
            from_ms,
            to_ms,
            is_open,
            gap.detail,
        )


def _earlier(one: int | None, other: int | None) -> int | None:
    return min((ms for ms in (one, other) if ms is not None), default=None)


def _missing(gap: Gap, count: int | None, length_ms: int | None) -> int | None:
    if count is not None or gap.interval_ms is None or length_ms is None:
        return count
    return max(0, round(length_ms / gap.interval_ms) - 1)


def _tells_of_gaps(counts: Iterable[str]) -> bool:
    return any(name.startswith(PREFIX) for name in counts)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


# --- what was given up --------------------------------------------------------------------------------------------


def _voids(log: BatchLog, gateway: str, beside: _Beside) -> Iterator[Line]:
    for info in log.streams(gateway):
        seq = 1
        while batches := log.read(info.id, seq, _CHUNK, voids=True):
            for batch in batches:
                body = void_body(batch)
                if not beside.concerns(info, body.counts):
                    continue
                yield Line(
                    info.key.store,
                    info.epoch_order,
                    STREAMS.index(info.key.stream),
                    batch.first_seq,
                    batch.next_seq - 1,
                    info.key.epoch,
                    next(iter(body.counts)) if len(body.counts) == 1 else None,
                    body.reason,
                    batch.next_seq - batch.first_seq,
                    dict(body.counts),
                    beside.before(info, batch.first_seq),
                    beside.after(info, batch.next_seq),
                )
            seq = batches[-1].next_seq


# --- where a store ended and another took its place ---------------------------------------------------------------


def _seams(log: BatchLog, gateway: str, book: EventBook, beside: _Beside) -> Iterator[Line]:
    """Before the first start of an epoch that knows of no life before it, though the gateway had one."""
    streams = log.streams(gateway, "readings")
    for start in book.first_starts():
        if start.alive is not None:
            continue
        earlier = [info for info in streams if info.key.store == start.store and info.epoch_order < start.order]
        if earlier:
            info = StreamInfo(-1, earlier[-1].key._replace(epoch=start.epoch), start.order, earlier[-1].position)
            from_ms, to_ms = beside.before(info, 1), beside.after_start(info, start.at)
            if from_ms is not None and (to_ms is None or from_ms < to_ms):
                yield Line(
                    start.store,
                    start.order,
                    _EVENTS,
                    start.seq,
                    start.seq,
                    start.epoch,
                    None,
                    OFF,
                    None,
                    {},
                    from_ms,
                    to_ms,
                )


# --- the readings beside it ---------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """An epoch."""

    store: str
    order: int
    epoch: str


class _Beside:
    """When the last record before a place was, and the first after it: of one channel if one is asked for."""

    def __init__(self, log: BatchLog, gateway: str, dating: Dating, channel: str | None) -> None:
        self._log, self._gateway, self._dating, self._channel = log, gateway, dating, channel
        self._known: dict[Stream, list[StreamInfo]] = {}
        self._ends: dict[int, dict[str, int]] = {}
        self._firsts: dict[int, dict[str, int]] = {}

    def concerns(self, info: StreamInfo, counts: Mapping[str, int]) -> bool:
        """Whether a void with these counts says anything of the channel asked for."""
        is_of_gaps = info.key.stream == "events" and _tells_of_gaps(counts)
        return self._channel is None or not counts or self._channel in counts or is_of_gaps

    def before(self, info: StreamInfo, seq: int) -> int | None:
        """Also in an earlier epoch of the same store."""
        places = [(one, one.position.next_seq) for one in self._streams(info) if one.epoch_order < info.epoch_order]
        if info.id >= 0:
            places.append((info, seq))
        for wanted in self._wanted(info):
            for one, at in reversed(places):
                for batch in self._log.read_back(one.id, at, _NEAR if wanted else 1):
                    if (ms := self._first(reversed(records(batch, wanted)), wanted)) is not None:
                        return ms
        return None

    def after(self, info: StreamInfo, seq: int) -> int | None:
        """Also in a later epoch of the same store."""
        places = [(info, seq)] if info.id >= 0 else []
        places += [(one, 1) for one in self._streams(info) if one.epoch_order > info.epoch_order]
        return self._after(info, places)

    def after_start(self, info: StreamInfo, at: Moment) -> int | None:
        """The first reading of this epoch of the channel asked for, else when it began."""
        mine = [(one, 1) for one in self._streams(info) if one.epoch_order == info.epoch_order]
        found = self._after(info, mine) if self._channel is not None else None
        return self._dating.moment(at) if found is None else found

    def lost_end(self, at: _Place, gap: Gap, from_ms: int | None, to_ms: int | None) -> tuple[int | None, int | None]:
        """The gap between the readings of its channels that are left before it and those that came after it.

        All of the channels: an end that is not known of one is not known.
        """
        names = [name for name in gap.channels if self._channel in (None, name)] or list(gap.channels)
        readings = [info for info in self._every("readings") if info.key.store == at.store]
        before = [info for info in readings if info.key.epoch == gap.epoch]
        if not before and from_ms is None:  # nobody knows which one it was: one of those before this one
            before = [info for info in readings if info.epoch_order < at.order]
        ends: dict[str, int] = {}
        for info in before:
            ends |= self._last_of_each(info)
        firsts: dict[str, int] = {}
        for info in readings:
            if info.epoch_order == at.order:
                firsts = self._first_of_each(info)
        begins = [_latest(ends.get(name), from_ms) for name in names]
        stops = [_latest(firsts.get(name), to_ms) for name in names]
        known = [ms for ms in begins if ms is not None]
        return (
            min(known) if known and len(known) == len(begins) else from_ms,
            max((ms for ms in stops if ms is not None), default=to_ms),
        )

    def _last_of_each(self, info: StreamInfo) -> dict[str, int]:
        """Of the channels that have one near the end of a stream: no later than it was taken."""
        if info.id not in self._ends:
            found = self._ends[info.id] = {}
            for batch in self._log.read_back(info.id, info.position.next_seq, _NEAR):
                for record in reversed(records(batch, None)):
                    ms = self._dating.date(record).ms
                    if ms is not None and record.channel not in found:
                        taken = self._dating.moment(Moment(record.boot, record.mono_ms))
                        found[record.channel] = ms if taken is None else min(ms, taken)
        return self._ends[info.id]

    def _first_of_each(self, info: StreamInfo) -> dict[str, int]:
        """Of the channels that have one near the beginning of a stream."""
        if info.id not in self._firsts:
            found = self._firsts[info.id] = {}
            for batch in self._log.read(info.id, 1, _NEAR, voids=False):
                for record in records(batch, None):
                    if record.channel not in found and (ms := self._dating.date(record).ms) is not None:
                        found[record.channel] = ms
        return self._firsts[info.id]

    def _after(self, info: StreamInfo, places: Sequence[tuple[StreamInfo, int]]) -> int | None:
        for wanted in self._wanted(info):
            for one, at in places:
                for batch in self._log.read(one.id, at, _NEAR if wanted else 1, voids=False):
                    if (ms := self._first(iter(records(batch, wanted)), wanted)) is not None:
                        return ms
        return None

    def _wanted(self, info: StreamInfo) -> list[str | None]:
        return [self._channel, None] if self._channel is not None and info.key.stream == "readings" else [None]

    def _streams(self, info: StreamInfo) -> list[StreamInfo]:
        return [one for one in self._every(info.key.stream) if one.key.store == info.key.store]

    def _every(self, stream: Stream) -> list[StreamInfo]:
        if stream not in self._known:
            self._known[stream] = self._log.streams(self._gateway, stream)
        return self._known[stream]

    def _first(self, found: Iterator[Record], wanted: str | None) -> int | None:
        for record in found:
            if wanted is None:
                return self._dating.date(record).ms
            if record.channel == wanted and record.quality != "bad":
                ms = self._dating.date(record).ms
                if ms is not None:
                    return ms
        return None


def _latest(one: int | None, other: int | None) -> int | None:
    return max((ms for ms in (one, other) if ms is not None), default=None)
