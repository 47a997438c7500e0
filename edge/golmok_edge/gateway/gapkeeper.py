"""Keeps the gap ledger of a running gateway: feeds the tracker, tells what it finds, and remembers it over restarts.

What the tracker knows is written to a small file now and then; what was committed since is read again from the store
at the next start. So a kill at any moment loses nothing: what was decided but not yet told is decided again. The file
lies beside the store, because a store that is damaged and set aside must not take it along.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from golmok_cloud_sync.protocol import Record, Stream
from golmok_cloud_sync.protocol.gaps import (
    BROKER,
    DISK_FULL,
    FLOOD,
    OFF,
    PREFIX,
    QUARANTINED,
    SILENT,
    START,
    Cause,
    Gap,
    Moment,
    Point,
    alive_before,
    events,
    parse,
)
from golmok_edge.gateway.clock import Clock
from golmok_edge.gateway.gaps import THE_BUS, Say, Scope, State, Tracker, Watched
from golmok_edge.gateway.gapstate import FILE_NAME, Kept, KeptChannel, Runs, in_order, keep, read, write
from golmok_edge.gateway.live import rfc3339
from golmok_edge.gateway.timekeeper import Timekeeper
from golmok_edge.settings import Device, normal_silence_s
from golmok_edge.store import Commit, Item

_log = logging.getLogger(__name__)

_ToldOf: TypeAlias = tuple[str, str, Point]
"""Channel, reason and beginning of a gap."""
MOST_BLOCKS: Final = 2_000
"""So many commits are read again at a start at the most."""


def watched_of(devices: Iterable[Device]) -> list[Watched]:
    """The channels of the settings, and what is expected of each."""
    found = []
    for device in devices:
        silence_s, interval_s = normal_silence_s(device), device.interval_s
        limit_ms = None if silence_s is None else round(silence_s * 1000)
        interval_ms = None if interval_s is None else max(1, round(interval_s * 1000))
        for channel in device.lasting:
            name = f"{device.name}.{channel.quantity}"
            found.append(Watched(name, device.name, limit_ms, interval_ms, device.bus is None))
    return found


class History(Protocol):
    """What is read of the store at the start: a `golmok_edge.store.Reader`."""

    def boots(self) -> list[str]:
        """The boots that something is known of, in their order."""

    def last_moment(self) -> Moment | None:
        """The newest moment of which something is on disk."""

    def recent(self, stream: Stream, after: Moment | None, most_blocks: int) -> Iterator[Record]:
        """What was committed from then on (and some before it), at most so many commits."""


class GapKeeper:
    """The ledger's hand in a running gateway. Any thread may call."""

    def __init__(
        self, devices: Iterable[Device], clock: Clock, time: Timekeeper, put: Callable[[Record], None], folder: Path
    ) -> None:
        """`put` hands an event to the store; `folder` is the store's."""
        self._clock, self._time, self._put = clock, time, put
        self._file = folder / FILE_NAME
        self._lock = threading.Lock()
        self._runs = Runs((), clock.boot)
        self._began = self._now()
        self._tracker = Tracker(watched_of(devices), self._apart_ms)
        self._found: list[Say] = []
        """What was found at the start and cannot be told yet."""
        self._lost: Counter[str] = Counter()
        """Readings of each channel that the disk refused and that nobody brings again."""
        self._newest: Point | None = None
        """The newest moment of which something is on disk."""
        self._heard: Point | None = None
        """When the newest message of the local bus that is on disk was published at the earliest."""
        self._on_the_way: Counter[Record] = Counter()
        """Events that were put: only what has arrived on disk may be remembered as told."""
        self._is_changed = False

    # --- over a restart

    def recover(self, reader: History) -> Moment | None:
        """Learn from file and store where we were; the last sign of life before this start, None if there is none.

        What is found is told by `begin`, when events can be put.
        """
        kept = read(self._file)
        self._runs = Runs(in_order(kept.boots if kept else (), reader.boots()), self._clock.boot)
        self._began = self._now()
        alive = reader.last_moment()
        # Without records the store is new, though we are not: the one before was damaged and set aside.
        last = self._newest = self._runs.point(alive or (kept.at if kept else None))
        if last is None:
            return None
        at = self._runs.point(kept.at) if kept else None
        after = kept.at if kept and at is not None and at <= last else None  # else the store was put back to before it
        doubtful = self._take_up(kept, last, reader) if kept else {}
        heard = self._runs.point(kept.heard) if kept else None
        self._heard = heard if heard is not None and heard <= last else None
        starts = self._read_events(reader, after, last, self._over(kept, last) if kept else {})
        for begin, end in [*starts, (last, self._began)]:
            self._tracker.cause(OFF, begin, end)
            self._found += self._tracker.missed(OFF, begin, end)
        for record in reader.recent("readings", None if doubtful else after, MOST_BLOCKS):
            self._found += self._take(record)
        for state, channel in doubtful.values():
            if state.since is None:  # nothing of it is left, so the file knows best
                self._take_up_channel(state, channel, last)
        self._tracker.take_up_told()
        return self._runs.moment(last)

    def begin(self) -> None:
        """From now on every channel is expected. Tells what was found at the start."""
        with self._lock:
            self._tracker.begin(self._began)
            found, self._found = self._found, []
            self._is_changed = True
        if not found:
            self.save()  # at the first start nothing else knows what is expected since when
        with self._lock:
            self._say(found)

    def save(self) -> None:
        """Remember all this, if it has changed and all that was told is on disk."""
        with self._lock:
            if not self._is_changed or self._on_the_way:
                return
            kept = keep(self._tracker, self._newest or self._began, self._runs, self._heard)
            self._is_changed = False
        try:
            write(self._file, kept)
        except OSError as error:  # the next start reads more of the store, that is all
            _log.warning("%s cannot be written: %s", self._file, error)

    # --- what happens

    def committed(self, commit: Commit) -> None:
        """These are on disk. Called in the store's thread."""
        with self._lock:
            self._see(commit)
            readings = commit.records.get("readings", ())
            says = self._disk_takes_again(readings[0]) if readings else []
            for record in readings:
                says += self._take(record)
            self._say(says)

    def refused(self, items: Sequence[Item]) -> None:
        """The disk took none of them. Called in the store's thread."""
        items = [item for item in items if item.stream == "readings"]
        times = [record.mono_ms for item in items for record in item.records]
        if times:
            with self._lock:
                self._tracker.begins(DISK_FULL, self._runs.now(min(times)))
                # What came over the bus will be brought again.
                self._lost.update(r.channel for item in items if item.tag is None for r in item.records)

    def bus_lost(self) -> None:
        """The local bus is away from now on."""
        with self._lock:
            self._tracker.begins(BROKER, self._now(), THE_BUS)

    def bus_back(self) -> None:
        """The local bus is there again."""
        with self._lock:
            self._tracker.ends(BROKER, self._now(), THE_BUS)

    def bus_forgot_us(self, since_mono_ms: int | None) -> None:
        """The broker has lost what it had for us since it was last heard, in this boot; None: as far as is on disk."""
        with self._lock:
            begin = (self._heard or self._began) if since_mono_ms is None else self._runs.now(since_mono_ms)
            now = self._now()
            self._tracker.cause(BROKER, begin, now, THE_BUS)
            self._say(self._tracker.lost(BROKER, begin, now, self._tracker.counted_none(THE_BUS)))

    def has_told(self, reason: str) -> bool:
        """Whether all that was found of gaps with this reason is on disk."""
        with self._lock:
            return not any(event.channel == PREFIX + reason for event in self._on_the_way)

    def unheard(self, devices: Sequence[str]) -> None:
        """What these devices say is not taken from now on: one of them floods."""
        with self._lock:
            for device in devices:
                self._tracker.begins(FLOOD, self._now(), Scope(device=device))

    def heard_again(self, devices: Sequence[str]) -> None:
        """They are heard again: what they said meanwhile is lost, and nobody counted it."""
        with self._lock:
            now = self._now()
            for scope in (Scope(device=device) for device in devices):
                begin = self._tracker.ends(FLOOD, now, scope)
                if begin is not None:
                    self._say(self._tracker.lost(FLOOD, begin, now, self._tracker.counted_none(scope)))

    def tick(self, *, holds_bus: bool = False, slack_ms: int = 0) -> None:
        """Time has passed; `slack_ms` is how long a reading may be on its way to the disk.

        With `holds_bus` what had waited at the broker is just coming.
        """
        with self._lock:
            self._say(self._tracker.tick(self._runs.now(self._clock.mono_ms() - slack_ms), holds_bus=holds_bus))

    # --- what is missing now

    def rows(self) -> list[dict[str, Any]]:
        """The gaps that are open now, a row for each device, reason and beginning."""
        rows: dict[tuple[str, str, Point], dict[str, Any]] = {}
        with self._lock:
            now = self._now()
            for say in self._tracker.missing_now(now):
                device = say.channel.partition(".")[0]
                row = rows.setdefault((device, say.reason, say.begin), self._row(device, say, now))
                row["channels"].append(say.channel)
        return [row for _, row in sorted(rows.items())]

    def going_on(self) -> list[Gap]:
        """The gaps that are open now, as an event would tell them."""
        with self._lock:
            says = self._tracker.missing_now(self._now())
        return [
            Gap(say.reason, {say.channel: None}, self._runs.moment(say.begin), None, 0, None, say.detail)
            for say in says
        ]

    def _row(self, device: str, say: Say, now: Point) -> dict[str, Any]:
        length_ms = self._apart_ms(say.begin, now)
        return {
            "device": device,
            "channels": [],
            "reason": say.reason,
            "detail": say.detail,
            "from": rfc3339(self._wall_ms(say.begin)),
            "for_s": None if length_ms is None else max(0.0, length_ms / 1000),
        }

    # --- inside

    def _say(self, says: Iterable[Say]) -> None:
        """Put the events that tell this: channels whose gaps have the same ends share one."""
        news: dict[tuple[str, str, Point], Say] = {}
        for say in says:
            key = (say.channel, say.reason, say.begin)
            if key in news and say.end == say.begin:
                del news[key]  # it was never told
            else:
                news[key] = say
        together: dict[tuple[Any, ...], dict[str, int | None]] = {}
        for say in news.values():
            state = self._tracker.states.get(say.channel)
            limits = (0, None) if say.is_sure or state is None else (state.limit_ms, state.watched.interval_ms)
            ends = (say.reason, say.begin, say.end, *limits, say.detail, say.is_lost)
            together.setdefault(ends, {})[say.channel] = say.lacks
        for (reason, begin, end, limit_ms, interval_ms, detail, is_lost), channels in together.items():
            begins, stops = self._runs.moment(begin), None if end is None else self._runs.moment(end)
            gap = Gap(reason, channels, begins, stops, limit_ms, interval_ms, detail, is_lost=is_lost)
            for event in events(gap, self._clock.boot, self._clock.mono_ms()):
                self._on_the_way[event] += 1
                self._is_changed = True
                self._put(event)

    def _see(self, commit: Commit) -> None:
        self._is_changed = True
        for records in commit.records.values():  # the newest stands last in each
            at = self._runs.point(Moment(records[-1].boot, records[-1].mono_ms))
            if at is not None and (self._newest is None or at > self._newest):
                self._newest = at
        for event in commit.records.get("events", ()):
            if event in self._on_the_way:
                self._on_the_way[event] -= 1
                self._on_the_way = +self._on_the_way

    def _take(self, record: Record) -> list[Say]:
        self._hear(record)
        if record.quality == "bad" or record.value is None:
            self._tracker.bad(record.channel, record.reason)
            return []
        at = self._point(record)
        return [] if at is None else self._tracker.good(record.channel, at)

    def _hear(self, record: Record) -> None:
        state = self._tracker.states.get(record.channel)
        if state is None or not state.watched.is_on_bus or record.waited_ms is None:
            return
        at = self._runs.point(Moment(record.boot, record.mono_ms - record.waited_ms))
        if at is not None and (self._heard is None or at > self._heard):
            self._heard = at

    def _point(self, record: Record) -> Point | None:
        """When a reading was, as far as its boot's clock can tell; None where nobody can."""
        taken = self._runs.point(Moment(record.boot, record.mono_ms))
        stated_ms = None if record.wall_ms is None else self._time.mono_ms(record.boot, record.wall_ms)
        if taken is None or stated_ms is None:
            return taken if record.waited_ms == 0 else None
        return taken._replace(mono_ms=min(stated_ms, taken.mono_ms))

    def _now(self) -> Point:
        return self._runs.now(self._clock.mono_ms())

    def _wall_ms(self, at: Point) -> int | None:
        return self._time.moment_ms(*self._runs.moment(at))

    def _apart_ms(self, begin: Point, end: Point) -> int | None:
        if begin.run == end.run:
            return end.mono_ms - begin.mono_ms
        begin_ms, end_ms = self._wall_ms(begin), self._wall_ms(end)
        return None if begin_ms is None or end_ms is None else end_ms - begin_ms

    def _disk_takes_again(self, first: Record) -> list[Say]:
        """From the first reading that it refused to the first one that it took some were lost for sure: so many."""
        end = self._runs.point(Moment(first.boot, first.mono_ms))
        began = None if end is None else self._tracker.ends(DISK_FULL, end)
        lost, self._lost = self._lost, Counter[str]()
        return [] if began is None or end is None else self._tracker.lost(DISK_FULL, began, end, lost)

    def _take_up(self, kept: Kept, last: Point, reader: History) -> dict[str, tuple[State, KeptChannel]]:
        """What was remembered, as far as the store goes: it may have been put back to what it was before.

        Not that of channels whose last reading the store has lost since; they are given back.
        """
        for cause in kept.causes:
            begin, end = self._runs.point(cause.begin), self._runs.point(cause.end or kept.at)
            if begin is not None and end is not None and begin < last:
                self._tracker.cause(cause.reason, begin, min(end, last), cause.scope)
        taken = [Moment(record.boot, record.mono_ms) for record in reader.recent("readings", None, 1)]
        newest = self._runs.point(taken[-1]) if taken else None
        doubtful = {}
        for name, channel in kept.channels.items():
            state, heard = self._tracker.states.get(name), self._runs.point(channel.last)
            if state is None:
                self._found += self._ended(name, self._told(channel, last))
            elif newest is not None and heard is not None and heard > newest:
                doubtful[name] = state, channel
            else:
                self._take_up_channel(state, channel, last)
        return doubtful

    def _take_up_channel(self, state: State, channel: KeptChannel, last: Point) -> None:
        since = self._runs.point(channel.since)
        if since is not None and since <= last:
            state.since, state.last = since, self._runs.point(channel.last)
            state.detail, state.told = channel.detail, self._told(channel, last)
            for reason, begin, end in self._spans(channel.sure, last):
                state.keeps_away(Cause(reason, begin, end, is_sure=True))
            state.lost = {(reason, begin): end for reason, begin, end in self._spans(channel.lost, last)}

    def _spans(self, kept: Iterable[tuple[str, Moment, Moment]], last: Point) -> Iterator[tuple[str, Point, Point]]:
        for reason, *moments in kept:
            begin, end = map(self._runs.point, moments)
            if begin is not None and end is not None and end <= last:
                yield reason, begin, end

    def _told(self, channel: KeptChannel, last: Point) -> dict[tuple[str, Point], Point | None]:
        told = {}
        for reason, begin, end in channel.told:
            at = self._runs.point(begin)
            if at is not None and at <= last:
                told[reason, at] = self._runs.point(end)
        return told

    def _ended(self, channel: str, told: dict[tuple[str, Point], Point | None]) -> list[Say]:
        """Nobody expects this channel any more."""
        return [Say(channel, reason, begin, self._began) for (reason, begin), end in told.items() if end is None]

    def _over(self, kept: Kept, last: Point) -> dict[_ToldOf, Point]:
        return {
            (name, reason, begin): end
            for name, channel in kept.channels.items()
            for reason, begin, end in self._spans(channel.over, last)
        }

    def _read_events(
        self, reader: History, after: Moment | None, last: Point, over: dict[_ToldOf, Point]
    ) -> list[tuple[Point, Point]]:
        """Take in what was told since then; from when to when we were off meanwhile.

        `over` is where processes died that told of something of which they saw no end.
        """
        starts = []
        strangers: dict[str, dict[tuple[str, Point], Point | None]] = {}
        for event in reader.recent("events", after, MOST_BLOCKS):
            if event.channel == START:
                alive, at = self._runs.point(alive_before(event)), self._runs.point(Moment(event.boot, event.mono_ms))
                if alive is not None and at is not None:
                    starts.append((alive, at))
                    for name, expected in self._tracker.states.items():
                        for (reason, begin), end in expected.told.items():
                            if end is None:
                                over.setdefault((name, reason, begin), alive)
            elif event.channel.startswith(PREFIX):
                gap = parse(event)
                if gap.reason == QUARANTINED:
                    continue  # what a damaged store had: it stands, whatever else is found
                for name in gap.channels:
                    state = self._tracker.states.get(name)
                    if begins := self._runs.point(gap.begin):
                        over.pop((name, gap.reason, begins), None)
                    self._take_told(gap, state, strangers.setdefault(name, {}) if state is None else state.told)
        for name, told in strangers.items():
            self._found += self._ended(name, told)
        for name, expected in self._tracker.states.items():
            for (reason, begin), end in expected.told.items():
                until = end or over.get((name, reason, begin), last)
                if reason != SILENT and expected.watched.limit_ms is not None:  # what was told was so
                    expected.keeps_away(Cause(reason, begin, until))
        return starts

    def _take_told(self, gap: Gap, state: State | None, told: dict[tuple[str, Point], Point | None]) -> None:
        begin, end = self._runs.point(gap.begin), self._runs.point(gap.end)
        if begin is None or (state is not None and state.since is not None and begin < state.since):
            return
        told.pop((gap.reason, begin), None)
        if state is not None:
            state.lost.pop((gap.reason, begin), None)
        if state is not None and state.watched.limit_ms is not None and gap.is_lost and end is not None:
            state.lost[gap.reason, begin] = end
            state.keeps_away(Cause(gap.reason, begin, end, is_sure=True))
        elif not gap.is_void:
            told[gap.reason, begin] = end
