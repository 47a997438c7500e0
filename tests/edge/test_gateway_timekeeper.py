"""`golmok_edge.gateway.timekeeper`: what is known of the time, and when that is worth an event."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_cloud_sync.protocol import Record
from golmok_cloud_sync.protocol.clock import RIGHT_MS
from golmok_edge.gateway.timekeeper import ANCHOR, EVERY_MS, Timekeeper, anchor_of

from .gateway_support import BOOT, T0, HandClock, record


def kept(error_ms: int | None = 5) -> tuple[HandClock, Timekeeper]:
    clock = HandClock(mono=1_000, wall=T0 + 1_000, kept=error_ms)
    return clock, Timekeeper(clock)


def test_nobody_keeps_the_clock_and_nothing_is_known() -> None:
    _, time = kept(None)
    assert time.heed_kernel() == []
    assert not time.is_known
    assert time.now_ms() is None
    assert time.wall_ms(record()) is None
    assert time.monos_between(BOOT, T0, T0 + 1) is None


def test_the_first_anchor_is_an_event_that_dates_all_of_its_boot() -> None:
    _, time = kept()
    (event,) = time.heed_kernel()
    assert (event.channel, event.boot, event.mono_ms) == (ANCHOR, BOOT, 1_000)
    assert json.loads(str(event.value)) == {"mono_ms": 1_000, "wall_ms": T0 + 1_000, "error_ms": 5}
    assert time.wall_ms(record(mono_ms=400)) == T0 + 400
    least, most = time.monos_between(BOOT, T0 + 400, T0 + 500) or (0, 0)
    assert 400 - 2 * RIGHT_MS <= least <= 400 < 500 <= most <= 500 + 2 * RIGHT_MS
    assert time.wall_ms(record(boot="another")) is None


def test_its_own_time_wins_and_what_waited_has_none() -> None:
    _, time = kept()
    time.heed_kernel()
    assert time.wall_ms(record(wall_ms=5, waited_ms=None)) == 5
    assert time.wall_ms(record(waited_ms=None)) is None
    assert time.wall_ms(record(waited_ms=1)) is None


def test_nothing_new_is_no_event_for_an_hour() -> None:
    clock, time = kept()
    assert time.heed_kernel()
    for _ in range(359):
        clock.pass_ms(10_000)
        assert time.heed_kernel() == []
    clock.pass_ms(10_000)
    assert time.heed_kernel(), "a quartz drifts"
    assert clock.mono == 1_000 + EVERY_MS


@given(st.integers(1, 3_000_000), st.integers(-(10**9), 10**9).filter(lambda ms: abs(ms) > 400))
def test_what_says_something_else_is_an_event(later_ms: int, leap_ms: int) -> None:
    clock, time = kept()
    assert time.heed_kernel()
    clock.pass_ms(later_ms)
    clock.wall += leap_ms
    assert time.heed_kernel()
    assert time.now_ms() == clock.wall


@given(st.integers(1, 3_000_000), st.integers(-100, 100))
def test_what_says_the_same_is_none(later_ms: int, jitter_ms: int) -> None:
    clock, time = kept()
    assert time.heed_kernel()
    clock.pass_ms(later_ms)
    clock.wall += jitter_ms
    assert time.heed_kernel() == []


def test_a_far_more_exact_one_is_an_event() -> None:
    clock, time = kept(None)
    assert time.heed_server(T0, 0, 1_900)
    clock.kept = 3
    assert time.heed_kernel()
    assert time.now_ms() == clock.wall


def test_a_reply_dates_to_the_middle_of_its_way() -> None:
    _, time = kept(None)
    (event,) = time.heed_server(T0 + 5_000, 4_000, 4_200)
    assert json.loads(str(event.value)) == {"mono_ms": 4_100, "wall_ms": T0 + 5_000, "error_ms": 101}
    assert time.heed_server(T0 + 9_000, 8_000, 8_000 + 3 * RIGHT_MS) == [], "too vague to say anything"


def test_the_cloud_is_not_heeded_while_the_machines_clock_is_kept() -> None:
    """Two clocks that differ would take turns, an event each time, and time would run to and fro."""
    clock, time = kept()
    assert time.heed_kernel()
    for _ in range(100):
        clock.pass_ms(10_000)
        assert time.heed_server(clock.wall + 5_000, clock.mono, clock.mono) == []
        assert time.heed_kernel() == []
    clock.kept = None
    assert time.heed_server(clock.wall + 5_000, clock.mono, clock.mono)


def test_a_late_anchor_dates_the_whole_boot() -> None:
    clock, time = kept(None)
    early = record(mono_ms=10)
    assert time.wall_ms(early) is None
    clock.kept, clock.mono, clock.wall = 5, 86_400_000, T0 + 86_400_000
    time.heed_kernel()
    assert time.wall_ms(early) == T0 + 10


def test_what_was_held_up_between_two_looks_at_the_clocks_is_an_error() -> None:
    class Held(HandClock):
        def wall_ms(self) -> int:
            self.pass_ms(600)
            return super().wall_ms()

    time = Timekeeper(Held(mono=1_000, wall=T0 + 1_000, kept=5))
    (event,) = time.heed_kernel()
    assert json.loads(str(event.value)) == {"mono_ms": 1_300, "wall_ms": T0 + 1_600, "error_ms": 305}


def test_what_may_be_wrong_by_more_than_a_second_is_no_anchor() -> None:
    clock, time = kept(RIGHT_MS + 1)
    assert time.heed_kernel() == []
    assert time.heed_server(clock.wall, clock.mono, clock.mono + 2 * RIGHT_MS) == []
    assert not time.is_known


def test_the_cloud_is_heeded_where_the_machines_own_clock_is_kept_too_badly() -> None:
    clock, time = kept(RIGHT_MS + 1)
    assert time.heed_server(clock.wall, clock.mono, clock.mono + 200)
    clock.pass_ms(EVERY_MS)
    assert time.heed_server(clock.wall, clock.mono, clock.mono) == [], "it is right still: no two clocks in turns"
    clock.pass_ms(6 * EVERY_MS)
    assert time.heed_server(clock.wall, clock.mono, clock.mono)


@pytest.mark.parametrize("wall_ms", [0, 86_400_000, 1_577_836_799_999])
def test_a_clock_that_was_never_set_is_not_believed_whoever_keeps_it(wall_ms: int) -> None:
    clock = HandClock(mono=1_000, wall=wall_ms, kept=5)
    time = Timekeeper(clock)
    assert time.heed_kernel() == []
    clock.kept = None
    assert time.heed_server(wall_ms, 900, 1_000) == []


def test_when_a_clock_is_set_what_it_said_just_before_is_written_too() -> None:
    clock, time = kept()
    time.heed_kernel()
    clock.pass_ms(1_800_000)
    assert time.heed_kernel() == []
    clock.pass_ms(30_000)
    clock.wall += 90_000
    before, after = time.heed_kernel()
    assert (before.mono_ms, after.mono_ms) == (1_801_000, 1_831_000)
    assert time.wall_ms(record(mono_ms=1_801_000)) == T0 + 1_801_000
    assert time.wall_ms(record(mono_ms=1_801_001)) is None
    assert time.wall_ms(record(mono_ms=1_831_000)) == T0 + 1_921_000


def test_a_cloud_whose_clock_was_wrong_for_a_while_dates_nothing_wrong_in_the_end() -> None:
    clock, time = kept(None)
    for minute in range(180):
        lie_ms = 7_200_000 if 60 <= minute < 120 else 0
        time.heed_server(clock.wall + lie_ms, clock.mono, clock.mono + 40)
        clock.pass_ms(60_000)
    assert all(abs((time.wall_ms(record(mono_ms=at)) or 0) - T0 - at) <= 200 for at in range(0, 10_800_000, 7_777))


def test_after_a_restart_the_anchors_in_the_store_tell_the_same() -> None:
    clock, time = kept()
    events = []
    for leap_ms in (0, 90_000, -5_000):
        clock.pass_ms(60_000)
        clock.wall += leap_ms
        events += time.heed_kernel()
    assert len(events) == 3
    again = Timekeeper(HandClock(), reversed(events))
    assert all(again.wall_ms(record(mono_ms=at)) == time.wall_ms(record(mono_ms=at)) for at in range(0, 300_000, 777))


@pytest.mark.parametrize("value", [None, 5, "", "[]", "null", '{"mono_ms": 1}', '{"mono_ms": "x", "wall_ms": 1}', "[1"])
def test_an_event_that_is_no_anchor_is_passed_over(value: str | int | None) -> None:
    assert anchor_of(Record(ANCHOR, value, "", BOOT, 1)) is None
    assert anchor_of(Record("gateway.start", '{"mono_ms":1,"wall_ms":2,"error_ms":3}', "", BOOT, 1)) is None
    assert not Timekeeper(HandClock(), [Record(ANCHOR, value, "", BOOT, 1)]).is_known
