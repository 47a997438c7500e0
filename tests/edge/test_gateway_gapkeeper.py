"""The gap ledger over random lives of a gateway, against an oracle that knows when what really was."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from golmok_cloud_sync.protocol import Anchor, Record, Stream
from golmok_cloud_sync.protocol.gaps import PREFIX, START, Folded, Moment, parse, start_fields
from golmok_edge.gateway.gapkeeper import GapKeeper
from golmok_edge.gateway.timekeeper import ANCHOR, Timekeeper
from golmok_edge.settings import Device
from golmok_edge.store import Commit, Item
from tests.edge.gateway_support import BOOT, T0, HandClock, device

FAST = device("fast", "temperature", "humidity", interval_s=1.0)
SLOW = device("slow", "temperature", interval_s=20.0)
PLUG = device("plug", "power", bus=None, expect_s=10.0)
DOOR = device("door", "open")
BUTTON = device("button", "press", bus=None)
DEVICES = (FAST, SLOW, PLUG, DOOR, BUTTON)
LIMIT_MS = {"fast.temperature": 6_000, "fast.humidity": 6_000, "slow.temperature": 50_000, "plug.power": 10_000}
PASSING = st.sampled_from([100, 900, 2_500, 5_900, 6_100, 9_000, 12_000, 40_000, 55_000])


class Disk:
    """What is on disk: a store, as far as the ledger looks at it."""

    def __init__(self) -> None:
        self.commits: list[dict[Stream, list[Record]]] = []

    def boots(self) -> list[str]:
        return list(dict.fromkeys(record.boot for record in self._all()))

    def last_moment(self) -> Moment | None:
        records = list(self._all())
        mine = [record.mono_ms for record in records if record.boot == records[-1].boot]
        return Moment(records[-1].boot, max(mine)) if records else None

    def recent(self, stream: Stream, after: Moment | None, most_blocks: int) -> Iterator[Record]:
        blocks = [commit[stream] for commit in self.commits if commit.get(stream)][-most_blocks:]
        boots = self.boots()
        for records in blocks:
            if (
                after is None
                or after.boot not in boots
                or max((boots.index(r.boot), r.mono_ms) for r in records)
                >= (
                    boots.index(after.boot),
                    after.mono_ms,
                )
            ):
                yield from records

    def events(self) -> list[Record]:
        return [event for commit in self.commits for event in commit.get("events", ())]

    def _all(self) -> Iterator[Record]:
        for commit in self.commits:
            for records in commit.values():
                yield from records


class Named(NamedTuple):
    """A piece of a gap, as the events on disk tell it, in true time."""

    begin: int
    end: int
    reason: str
    is_open: bool
    is_dated: bool = False
    """It is one only because its dates say that it was long."""


class Lives(RuleBasedStateMachine):
    """A gateway that is killed, rebooted, cut from its broker, and whose store is set aside."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="golmok-gaps-"))
        self.disk = Disk()
        self.gone: list[Record] = []
        """Events of stores that were set aside: the cloud has them."""
        self.now = 1_000_000
        """True time: milliseconds since the first boot began."""
        self.boots: dict[str, int] = {}
        self.good: dict[str, list[int]] = {}
        self.offs: list[tuple[int, int]] = []
        self.aways: list[tuple[int, int]] = []
        self.away_since: int | None = None
        self.forgotten: list[tuple[int, int]] = []
        self.refused: list[tuple[int, int]] = []
        self.refused_since: int | None = None
        self.untold: set[tuple[int, int]] = set()
        self.pending: list[Record] = []

    def teardown(self) -> None:
        if self.boots:
            self._look()
        shutil.rmtree(self.folder)

    # --- what happens

    @initialize(is_dated=st.booleans(), has_broker=st.booleans())
    def first_start(self, is_dated: bool, has_broker: bool) -> None:
        self.is_dated = is_dated
        self._boot()
        self._start()
        self.expected_since = self.now
        if has_broker:
            self.back()

    @rule(ms=PASSING)
    def time_passes(self, ms: int) -> None:
        self.now += ms
        self.keeper.tick()
        self._flush()

    @rule(one=st.sampled_from([FAST, SLOW, DOOR]), is_good=st.booleans(), ms=st.integers(1, 2_000))
    def is_read(self, one: Device, is_good: bool, ms: int) -> None:
        self.now += ms
        self._commit([self._record(one, channel.quantity, is_good) for channel in one.channels])
        self._note(one, is_good)

    @rule(times=st.integers(3, 20), every=st.integers(900, 1_100))
    def is_read_for_a_while(self, times: int, every: int) -> None:
        for _ in range(times):
            self.is_read(FAST, True, every)

    @precondition(lambda self: self.away_since is None)
    @rule(one=st.sampled_from([PLUG, BUTTON]), ms=st.integers(1, 2_000))
    def speaks(self, one: Device, ms: int) -> None:
        self.is_read(one, True, ms)

    @rule(is_told=st.booleans())
    def is_remembered(self, is_told: bool) -> None:
        if is_told:
            self._flush()
        self.keeper.save()

    @rule(ms=PASSING, dies_before_telling=st.booleans())
    def is_killed(self, ms: int, dies_before_telling: bool) -> None:
        self._die(ms, dies_before_telling)
        self._start()

    @rule(ms=PASSING, dies_before_telling=st.booleans())
    def is_rebooted(self, ms: int, dies_before_telling: bool) -> None:
        self._die(ms, dies_before_telling)
        self._boot()
        self.now += 3
        self._start()

    @rule(ms=PASSING)
    def is_set_aside(self, ms: int) -> None:
        """Its store was damaged, and is found so at the next start: only what is remembered beside it is known."""
        self.is_remembered(True)
        self.gone += self.disk.events()
        self.disk = Disk()
        self.is_rebooted(ms, dies_before_telling=False)

    @precondition(lambda self: self.away_since is None)
    @rule()
    def broker_goes(self) -> None:
        self.away_since = self.now
        self.keeper.bus_lost()

    @precondition(lambda self: self.away_since is not None)
    @rule(sent=st.lists(st.integers(100, 12_000), max_size=5))
    def broker_comes_back(self, sent: list[int]) -> None:
        """What waited there has its own time, or not: then nobody knows when it was."""
        since = max(self.away_since or 0, *(self.good.get("plug.power") or [0]))
        self.back()
        at = since
        for ms in sent:
            at += ms
            if at < self.now:
                record = self._record(PLUG, "power", True)._replace(waited_ms=None, wall_ms=T0 + at)
                self._commit([record if self.is_dated else record._replace(wall_ms=None)])
                if self.is_dated:
                    self.good.setdefault("plug.power", []).append(at)

    @precondition(lambda self: self.away_since is None)
    @rule(ms=st.one_of(st.integers(0, 1_500), st.integers(0, 20_000)))
    def broker_forgets(self, ms: int) -> None:
        """It died with all it had for us, and is there again at once."""
        heard = [self.good.get(channel, [0])[-1] for channel in ("plug.power", "button.press")]
        before = max((end for _, end in self.forgotten), default=0)  # the marker had come back since
        since = max(self.now - ms, self.boots[self.clock.boot], before, *heard)
        self.forgotten.append((since, self.now))
        self.aways.append((since, self.now))
        self.keeper.bus_forgot_us(since - self.boots[self.clock.boot])
        self._flush()

    @rule(ms=st.sampled_from([3_000, 8_000, 70_000]))
    def disk_is_full(self, ms: int) -> None:
        for _ in range(3):
            self.now += ms // 3
            self.refused_since = self.refused_since or self.now
            self.keeper.refused([Item("readings", [self._record(FAST, "temperature", True)])])
            self.keeper.tick()

    # --- how it happens

    def back(self) -> None:
        if self.away_since is not None:
            self.aways.append((self.away_since, self.now))
        self.away_since = None
        self.keeper.bus_back()

    def _boot(self) -> None:
        name = f"boot{len(self.boots)}"
        self.boots[name] = self.now
        self.clock = HandClock(boot=name)

    def _start(self) -> None:
        self.pending = []
        self._set_clock()
        anchors = [_anchor(boot, began) for boot, began in self.boots.items()] if self.is_dated else []
        self.keeper = GapKeeper(DEVICES, self._clock_of_now(), Timekeeper(self.clock, anchors), self._put, self.folder)
        alive = self.keeper.recover(self.disk)
        if alive is not None:
            assert self.boots[alive.boot] + alive.mono_ms <= self.now
            self.offs.append((self.boots[alive.boot] + alive.mono_ms, self.now))
        self._commit(
            [Record(START, json.dumps(start_fields(alive)), "", self.clock.boot, self.clock.mono_ms())], "events"
        )
        self.keeper.begin()
        self.away_since = self.now
        self.keeper.bus_lost()

    def _die(self, ms: int, dies_before_telling: bool) -> None:
        if dies_before_telling and self.pending:
            self.untold.update(self.refused)  # what died with the process and left no hole nobody can tell
        if not dies_before_telling:
            self._flush()
        if self.away_since is not None:
            self.aways.append((self.away_since, self.now))
        self.refused_since = None
        self.now += ms

    def _clock_of_now(self) -> HandClock:
        lives = self

        class Now(HandClock):
            def mono_ms(self) -> int:
                lives._set_clock()
                return lives.clock.mono

        return Now(boot=self.clock.boot)

    def _set_clock(self) -> None:
        self.clock.mono = self.now - self.boots[self.clock.boot]

    def _put(self, event: Record) -> None:
        self.pending.append(event)

    def _flush(self) -> None:
        while self.pending:
            events, self.pending = self.pending, []
            self._commit(events, "events")

    def _commit(self, records: list[Record], stream: Stream = "readings") -> None:
        self.disk.commits.append({stream: records})
        if stream == "readings" and self.refused_since is not None:
            self.refused.append((self.refused_since, self.boots[records[0].boot] + records[0].mono_ms))
            self.refused_since = None
        self.keeper.committed(Commit([], {stream: records}, {}, 0))

    def _record(self, one: Device, quantity: str, is_good: bool) -> Record:
        self._set_clock()
        channel, mono_ms = f"{one.name}.{quantity}", self.clock.mono
        if is_good:
            return Record(channel, 1.5, "", self.clock.boot, mono_ms)
        return Record(channel, None, "", self.clock.boot, mono_ms, "bad", "crc")

    def _note(self, one: Device, is_good: bool) -> None:
        if is_good:
            for channel in one.channels:
                self.good.setdefault(f"{one.name}.{channel.quantity}", []).append(self.now)

    # --- the oracle

    def _look(self) -> None:
        self.time_passes(60_000)  # whatever is going on is sure by now
        for channel, limit_ms in LIMIT_MS.items():
            named = self._named(channel)
            readings = sorted({self.expected_since, *self.good.get(channel, ())})
            holes = [(a, b) for a, b in pairwise([*readings, self.now]) if b - a > limit_ms]
            told = [(piece.begin, piece.end) for piece in named]
            lost = {"plug.power": self.forgotten, "fast.temperature": self.refused}.get(channel, [])
            lost = [(begin, end) for begin, end in lost if begin < end]
            assert _union([*told, *lost]) == _union([*holes, *lost]), (channel, named, holes)
            assert _union([*told, *holes]) == _union(told), (channel, named, holes)
            # What is lost for sure stands also within a gap that only its dates make one.
            for some in ([p for p in named if p.is_dated], [p for p in named if not p.is_dated]):
                assert all(a.end <= b.begin for a, b in pairwise(sorted(some))), f"{channel} is named twice: {named}"
            for piece in named:
                self._has_its_reason(piece)
            # What is lost for sure is called so, but for what another is sure of.
            sure = _union([(p.begin, p.end) for p in named if p.reason in ("broker", "disk-full", "off")])
            for begin, end in set(lost) - self.untold:
                assert any(first <= begin and end <= last for first, last in sure), (channel, begin, end, named)
        for channel in ("door.open", "button.press"):
            named = self._named(channel)
            for begin, end in self.offs:
                assert any(p.begin <= begin and end <= p.end for p in named if p.reason == "off") or begin == end
            assert {p.reason for p in named} <= ({"off"} if channel == "door.open" else {"off", "broker"})

    def _has_its_reason(self, piece: Named) -> None:
        spans = {"off": self.offs, "broker": [*self.aways, (self.away_since or self.now, self.now)]}.get(piece.reason)
        if spans is not None:
            assert any(begin < piece.end and piece.begin < end for begin, end in spans), piece
        else:
            assert piece.reason in ("silent", "disk-full")

    def _named(self, channel: str) -> list[Named]:
        """All that the events on disk say of the channel, read as anybody would who was told the format."""
        found: dict[tuple[str, str, int], Named] = {}
        for event in [*self.gone, *self.disk.events()]:
            if event.channel.startswith(PREFIX) and channel in (said := json.loads(str(event.value)))["channels"]:
                begin = self.boots[said["from_boot"]] + said["from_mono_ms"]
                is_open = said["to_mono_ms"] is None
                end = self.now if is_open else self.boots[said["to_boot"]] + said["to_mono_ms"]
                piece = Named(begin, end, event.channel.removeprefix(PREFIX), is_open, bool(said["limit_ms"]))
                is_none = begin == end or (said["limit_ms"] and end - begin <= said["limit_ms"])
                found[piece.reason, said["from_boot"], said["from_mono_ms"]] = (
                    piece._replace(end=begin) if is_none else piece
                )
        return [piece for piece in found.values() if piece.begin < piece.end]


def _anchor(boot: str, began: int) -> Record:
    return Record(ANCHOR, json.dumps(Anchor(0, T0 + began, 0)._asdict()), "", boot, 0)


def _union(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((begin, end))
    return joined


class Plug:
    """A gateway with one device on the local bus."""

    def __init__(self, folder: Path, limit_s: float) -> None:
        self.folder, self.disk, self.clock = folder, Disk(), HandClock(mono=10_000)
        self.device = device("plug", "power", bus=None, expect_s=limit_s)
        self.told: list[Record] = []
        self.start()

    def start(self) -> None:
        self.keeper = GapKeeper([self.device], self.clock, Timekeeper(self.clock), self.told.append, self.folder)
        self.keeper.recover(self.disk)
        self.keeper.begin()
        self.keeper.bus_back()

    def says(self, mono_ms: int) -> None:
        self.clock.mono = mono_ms
        records = [Record("plug.power", 1.5, "", self.clock.boot, mono_ms)]
        self.disk.commits.append({"readings": records})
        self.keeper.committed(Commit([], {"readings": records}, {}, 0))
        self.keeper.tick()


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("limit_s", [1.0, 10.0])
def test_what_the_broker_forgot_in_a_moment_is_named_in_a_hole_and_without_one(
    tmp_path: Path, limit_s: float, is_killed: bool
) -> None:
    plug = Plug(tmp_path, limit_s)
    plug.says(10_200)
    plug.clock.mono = 10_900
    plug.keeper.bus_forgot_us(10_300)
    if is_killed:  # before it has remembered anything, but for what is in the store
        plug.disk.commits.append({"events": list(plug.told)})
        plug.start()
    plug.says(11_600)  # a hole of 1.4 s: a gap with the first limit, and none with the second
    plug.says(11_700)
    standing = Folded[tuple[int]]()
    for place, event in enumerate(plug.told):
        standing.add((place,), parse(event))
    gaps = [gap for _, gap in standing.standing() if gap.begin and gap.end]
    spans = [(gap.begin.mono_ms, gap.end.mono_ms) for gap in gaps if gap.reason == "broker" and gap.begin and gap.end]
    assert len(spans) == 1
    assert spans[0][0] <= 10_300, gaps
    assert spans[0][1] >= 10_900, gaps


@pytest.mark.parametrize("is_same_boot", [False, True])
def test_what_the_broker_forgot_over_a_restart_stands_though_the_hole_may_be_none(
    tmp_path: Path, is_same_boot: bool
) -> None:
    """The last message on disk is as far as anybody knows that the bus was heard."""
    plug = Plug(tmp_path, limit_s=10.0)
    plug.says(10_200)
    heard = plug.clock.boot, plug.clock.mono
    if not is_same_boot:
        plug.clock.boot, plug.clock.mono = "another", 400
    plug.clock.mono += 300
    plug.start()
    plug.keeper.bus_forgot_us(None)
    plug.clock.mono += 100
    plug.keeper.bus_forgot_us(None)
    end = plug.clock.mono
    plug.says(end + 200)
    plug.says(end + 900)
    standing = Folded[tuple[int]]()
    for place, event in enumerate(plug.told):
        standing.add((place,), parse(event))
    (gap,) = [gap for _, gap in standing.standing() if gap.reason == "broker" and not gap.is_void]
    assert gap.begin == heard
    assert gap.end == (plug.clock.boot, end)


def test_after_a_store_was_set_aside_boots_stand_in_their_order(tmp_path: Path) -> None:
    """The new store knows only the last of them, and what is remembered beside it only those before."""
    plug = Plug(tmp_path, limit_s=1.0)
    plug.says(10_200)
    plug.keeper.save()
    plug.disk = Disk()
    plug.clock.boot, plug.clock.mono = "second", 300
    plug.start()
    plug.keeper.bus_forgot_us(None)
    plug.says(700)
    plug.disk.commits.append({"events": list(plug.told)})
    plug.clock.boot, plug.clock.mono = "third", 300  # killed before it has remembered anything
    plug.start()
    plug.says(2_700)
    standing = Folded[tuple[int]]()
    for place, event in enumerate(plug.told):
        standing.add((place,), parse(event))
    gaps = [gap for _, gap in standing.standing()]
    assert any(gap.reason == "broker" and gap.begin and gap.begin.boot == BOOT for gap in gaps), gaps


TestLives: Any = Lives.TestCase
TestLives.settings = settings(max_examples=40, stateful_step_count=20, suppress_health_check=list(HealthCheck))
