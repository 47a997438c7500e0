"""`golmok_edge.gateway.health`: pauses, and what a device may give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_drivers.errors import BusNack, DriverError, DriverFloods, DriverHangs, DriverLeaks
from golmok_edge.gateway.health import FLOODS_AFTER_S, Allowance, DeviceState, Pauses


def test_a_pause_doubles_until_something_good_comes() -> None:
    pauses = Pauses(1, 60)
    bad = [pauses.after(BusNack("x"), was_good=False, lived_s=0) for _ in range(8)]
    assert bad == [2, 4, 8, 16, 32, 60, 60, 60]
    assert pauses.after(DriverHangs("x"), was_good=True, lived_s=0) == 1


@pytest.mark.parametrize("error", [DriverLeaks("x"), DriverFloods("x")])
def test_who_leaks_or_floods_must_live_a_while_to_be_believed(error: DriverError) -> None:
    pauses = Pauses(1, 60)
    assert [pauses.after(error, was_good=True, lived_s=59) for _ in range(3)] == [2, 4, 8]
    assert pauses.after(error, was_good=True, lived_s=60) == 1


@given(
    st.floats(0.1, 1e4),
    st.floats(0.1, 20),
    st.lists(st.tuples(st.floats(0, 10), st.integers(0, 10_000)), max_size=50),
)
def test_who_waits_as_told_never_gives_more_than_it_may(
    most_per_s: float, burst_s: float, life: list[tuple[float, int]]
) -> None:
    allowance, now_s, given_before = Allowance(most_per_s, burst_s), 1_000.0, 0
    for passes_s, count in life:
        now_s += passes_s
        burst = max(1.0, most_per_s * burst_s)
        assert given_before <= burst + most_per_s * (now_s - 1_000.0) + 1e-3
        given_before += count
        now_s += allowance.take(count, now_s)


def test_who_is_slowed_down_without_a_break_floods() -> None:
    allowance = Allowance(10, 1)
    assert allowance.take(10, 100.0) == 0
    for now_s in range(100, 100 + int(FLOODS_AFTER_S)):
        assert allowance.take(20, float(now_s)) > 0
        assert not allowance.floods(now_s)
    assert allowance.floods(100 + FLOODS_AFTER_S)
    assert allowance.take(0, 10_000.0) == 0
    assert not allowance.floods(10_000.0)


def test_a_state_knows_since_when_and_remembers_trouble() -> None:
    state = DeviceState()
    state.went_wrong("one", DriverHangs("it hangs"), 5)
    state.went_wrong("one", DriverHangs("it hangs"), 7)
    assert (state.state, state.reason, state.failures, state.since_mono_ms) == ("bad", "hangs", 2, 5)
    state.tell("one", "good", "", "", 9)
    assert (state.since_mono_ms, state.last_trouble) == (9, ("hangs", "it hangs", 7))
    state.went_wrong("one", BusNack("nobody"), 11)
    assert state.last_trouble == ("hangs", "it hangs", 7), "the device's fault, not its driver's"
