"""Machines whose clocks drift, jump and stop being kept, against the truth: what is dated is right, or says so.

The world knows the true time. The gateway's `Timekeeper` sees only a machine's clocks and a cloud's replies; the
cloud sees only the events that came of it. Both must date each reading within the error that they state, or not.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from golmok_cloud_sync.protocol import Record, frame, record_crc
from golmok_cloud_sync.protocol.clock import RIGHT_MS
from golmok_cloud_sync.server.dating import Dating, EventBook
from golmok_cloud_sync.server.log import EpochKey
from golmok_cloud_sync.server.sqlite_log import SqliteBatchLog
from golmok_cloud_sync.server.verify import verify
from golmok_edge.gateway.timekeeper import Timekeeper

NOW = 1_770_000_000_000
DAY = 86_400_000
SPANS = st.one_of(st.integers(0, 90_000), st.integers(0, DAY), st.integers(0, 7 * DAY))
SHARE = st.floats(-1, 1)
DELAYS = st.one_of(st.integers(0, 200), st.integers(0, 6_000))
JUMPS = st.one_of(st.integers(-3_600_000, 3_600_000), st.integers(-60 * 365 * DAY, 60 * 365 * DAY))


class Machine:
    """A machine's clocks in a world that knows the time. The quartz is one of at most 50 ppm."""

    def __init__(self, number: int, now_ms: int) -> None:
        self.boot = f"{number:032x}"
        self.now_ms = now_ms
        self._mono = 0.0
        self._off_ms = -now_ms  # a boot at 1970
        self._kept_ms: int | None = None
        self.stall_ms = 0
        """How long something holds the process up after its next look at a clock."""

    def pass_ms(self, ms: int, ppm: float = 0) -> None:
        self.now_ms += ms
        self._mono += ms * (1 + ppm / 1e6)

    def jump(self, ms: int) -> None:
        self._off_ms += ms
        self._kept_ms = None

    def keep(self, within_ms: int, off_ms: int) -> None:
        self._kept_ms, self._off_ms = within_ms, off_ms

    def forsake(self) -> None:
        self._kept_ms = None

    def mono_ms(self) -> int:
        return int(self._look(self._mono))

    def wall_ms(self) -> int:
        return int(self._look(self.now_ms + self._off_ms))

    def kept_within_ms(self) -> int | None:
        return self._kept_ms

    def _look(self, seen: float) -> float:
        self.pass_ms(self.stall_ms)
        self.stall_ms = 0
        return seen


class Happened(NamedTuple):
    """A record, and when it truly was."""

    at_ms: int
    record: Record


class Clocks(RuleBasedStateMachine):
    """One gateway through its boots."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="golmok-clock-")
        self.log = SqliteBatchLog(Path(self.folder.name))
        self.book = EventBook("gw-1")
        self.happened: list[Happened] = []
        self.events: list[Record] = []
        self.boots = 0
        self.machine = Machine(0, NOW)
        self.start()

    def teardown(self) -> None:
        if hasattr(self, "log"):
            try:
                self.the_gateway_dates_right_or_not_at_all()
                self.the_cloud_dates_right_or_not_at_all()
            finally:
                self.log.close()
                self.folder.cleanup()

    def start(self) -> None:
        """The gateway starts, also in the middle of a boot: it knows what its store knows."""
        self.time = Timekeeper(self.machine, reversed(self.events))
        self.said([Record("gateway.start", "{}", "", self.machine.boot, self.machine.mono_ms())])

    def said(self, events: list[Record]) -> None:
        for event in events:
            crc = record_crc(self.events[-1]) if self.events else 0
            self.events.append(event)
            part = frame("events", len(self.events), [event], crc)
            assert self.log.append([verify(EpochKey("gw-1", "s", "e"), part).batch], 0)[0].taken

    @rule(span=SPANS, ppm=SHARE)
    def time_passes(self, span: int, ppm: float) -> None:
        self.machine.pass_ms(span, ppm * 49)

    @rule(waited=st.sampled_from([0, 0, 0, None, 5_000]))
    def something_is_measured_or_heard(self, waited: int | None) -> None:
        self.something_is_measured(waited)

    def something_is_measured(self, waited: int | None) -> None:
        record = Record("a.b", 1.0, "Cel", self.machine.boot, self.machine.mono_ms(), waited_ms=waited)
        self.happened.append(Happened(self.machine.now_ms, record))

    @rule(within=st.one_of(st.integers(1, 900), st.integers(1, 16_000)), share=SHARE)
    def somebody_keeps_the_clock(self, within: int, share: float) -> None:
        self.machine.keep(within, int(share * (within - 1)))

    @rule(within=st.integers(1, 900), share=SHARE, stall=st.one_of(st.just(0), st.integers(0, 20_000)))
    def somebody_keeps_the_clock_and_the_gateway_looks(self, within: int, share: float, stall: int) -> None:
        self.somebody_keeps_the_clock(within, share)
        self.the_gateway_looks_at_it(stall)

    @rule()
    def nobody_keeps_it_any_more(self) -> None:
        self.machine.forsake()

    @rule(jump=JUMPS)
    def somebody_sets_it_who_does_not_know_the_time(self, jump: int) -> None:
        self.machine.jump(jump)

    @rule(stall=st.one_of(st.just(0), st.integers(0, 20_000)))
    def the_gateway_looks_at_it(self, stall: int) -> None:
        self.machine.stall_ms = stall
        self.said(self.time.heed_kernel())
        self.machine.stall_ms = 0
        self.something_is_measured(0)

    @rule(up=DELAYS, down=DELAYS)
    def the_cloud_answers(self, up: int, down: int) -> None:
        sent = self.machine.mono_ms()
        self.machine.pass_ms(up)
        server_ms = self.machine.now_ms
        self.machine.pass_ms(down)
        self.said(self.time.heed_server(server_ms, sent, self.machine.mono_ms()))

    @rule()
    def the_gateway_is_started_anew(self) -> None:
        self.start()

    @rule(off=SPANS)
    def the_machine_is_started_anew(self, off: int) -> None:
        self.boots += 1
        self.machine = Machine(self.boots, self.machine.now_ms + off)
        self.start()

    @rule()
    def the_gateway_dates_right_or_not_at_all(self) -> None:
        for at_ms, record in self.happened:
            wall_ms = self.time.wall_ms(record)
            if record.boot == self.machine.boot and wall_ms is not None:
                assert abs(wall_ms - at_ms) <= self.stated_ms(record) + 2

    def stated_ms(self, record: Record) -> int:
        """What the cloud says that the gateway's time may be wrong by."""
        dated = self.dating().date(record)
        assert dated.ms is not None
        if dated.min_ms is None or dated.max_ms is None:
            return RIGHT_MS
        return max(dated.ms - dated.min_ms, dated.max_ms - dated.ms)

    def dating(self) -> Dating:
        return self.book.catch_up(self.log)

    @rule()
    def the_cloud_dates_right_or_not_at_all(self) -> None:
        dating = self.dating()
        for at_ms, record in self.happened:
            dated = dating.date(record)
            slack_ms = 2 if record.waited_ms == 0 else RIGHT_MS
            assert dated.min_ms is None or dated.min_ms - slack_ms <= at_ms - (record.waited_ms or 0)
            assert dated.max_ms is None or at_ms <= dated.max_ms + slack_ms
            if dated.ms is not None:
                assert abs(dated.ms - at_ms) <= self.stated_ms(record) + 2

    @precondition(lambda self: hasattr(self, "log"))
    @rule()
    def a_boot_that_never_learned_the_time_lies_between_its_neighbours(self) -> None:
        dating = self.dating()
        known = [boot for boot, anchors in dating.boots.items() if anchors.known]
        first, last = min(known, default=""), max(known, default="")
        for _, record in self.happened:
            dated = dating.date(record)
            assert dated.min_ms is not None or not known or record.boot <= first or dated.ms or record.waited_ms is None
            assert dated.max_ms is not None or not known or record.boot >= last or dated.ms


TestClocks = Clocks.TestCase
TestClocks.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
