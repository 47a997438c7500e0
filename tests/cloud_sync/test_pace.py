"""`golmok_cloud_sync.client.pace`: nobody floods a cloud that comes back, and an alarm does not wait."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from golmok_cloud_sync.client.pace import (
    LEAST_INTERVAL_S,
    LEAST_WAIT_S,
    MOST_CLOSED_S,
    MOST_WAIT_S,
    START_SPREAD_S,
    URGENT_MOST_WAIT_S,
    Pace,
)

INTERVALS = st.floats(0.1, 3600)
NOWS = st.floats(0, 1e9)
SHARES = st.floats(0, 1)


@dataclass
class Dice:
    """Falls where it is told, as a share of the interval; remembers what it was asked."""

    share: float = 1.0
    asked: list[tuple[float, float]] = field(default_factory=list)

    def uniform(self, low: float, high: float) -> float:
        self.asked.append((low, high))
        return low + self.share * (high - low)


def pace(interval_s: float = 60.0, share: float = 1.0) -> tuple[Pace, Dice]:
    dice = Dice(share)
    return Pace(interval_s, dice.uniform), dice


@given(failures=st.integers(1, 40), share=SHARES, now_s=NOWS)
def test_failures_wait_with_full_jitter_from_one_second_to_ten_minutes(
    failures: int, share: float, now_s: float
) -> None:
    mine, dice = pace(share=share)
    for _ in range(failures):
        mine.failed(now_s)
    ceilings = [min(MOST_WAIT_S, LEAST_WAIT_S * 2**n) for n in range(failures)]
    assert dice.asked == [(0, ceiling) for ceiling in ceilings]
    assert 0 <= mine.wait_s(now_s) <= ceilings[-1] + 1e-6


@given(failures=st.integers(1, 20), successes=st.integers(1, 20))
def test_each_success_halves_what_the_next_failure_may_wait(failures: int, successes: int) -> None:
    mine, dice = pace()
    for _ in range(failures):
        mine.failed(0)
    ceiling = dice.asked[-1][1]
    for _ in range(successes):
        mine.succeeded(0, 60)
        ceiling = ceiling / 2 if ceiling > LEAST_WAIT_S else 0
    mine.failed(0)
    assert dice.asked[-1] == (0, min(MOST_WAIT_S, max(LEAST_WAIT_S, 2 * ceiling)))


@given(now_s=NOWS, share=SHARES, new_boot=st.booleans(), loopback=st.booleans())
def test_the_start_is_spread_on_a_new_boot_only_and_never_on_loopback(
    now_s: float, share: float, new_boot: bool, loopback: bool
) -> None:
    mine, dice = pace(share=share)
    mine.start(now_s, new_boot=new_boot, loopback=loopback)
    if new_boot and not loopback:
        assert dice.asked == [(0, START_SPREAD_S)]
        assert abs(mine.wait_s(now_s) - share * START_SPREAD_S) < 1e-5
    else:
        assert (dice.asked, mine.wait_s(now_s)) == ([], 0)


@given(interval_s=INTERVALS, asked_s=st.one_of(st.floats(0, 59), st.floats(60, 1e6)))
def test_the_server_can_only_ask_for_more_often_and_not_for_a_flood(interval_s: float, asked_s: float) -> None:
    mine, _ = pace(interval_s)
    mine.succeeded(0, asked_s)
    wanted_s = min(interval_s, max(LEAST_INTERVAL_S, asked_s)) if asked_s < 60 else interval_s
    assert mine.wait_s(0) == wanted_s
    mine.succeeded(0, asked_s, more=True)
    assert mine.wait_s(0) == 0


@given(failures=st.integers(0, 12))
def test_what_hurries_goes_at_once_when_the_last_request_was_answered(failures: int) -> None:
    """Also soon after a long outage, when others still go slowly."""
    mine, _ = pace()
    for _ in range(failures):
        mine.failed(0)
    mine.succeeded(0, 60)
    assert mine.wait_s(0) == 60
    assert mine.wait_s(0, hurry=True) == 0


@given(share=SHARES, failures=st.integers(1, 12))
def test_what_hurries_waits_behind_a_failure_like_everything_else(share: float, failures: int) -> None:
    mine, _ = pace(share=share)
    for _ in range(failures):
        mine.failed(0)
    assert mine.wait_s(0, hurry=True) == mine.wait_s(0)


@given(retry_after_s=st.floats(0, 1e6), hurry=st.booleans(), fails=st.booleans())
def test_nobody_speaks_before_the_server_said_but_within_the_hour(
    retry_after_s: float, hurry: bool, fails: bool
) -> None:
    mine, _ = pace(share=0.0)
    if fails:
        mine.failed(0, retry_after_s)
    else:
        mine.succeeded(0, 2, retry_after_s)
    closed_s = min(retry_after_s, MOST_CLOSED_S)
    assert closed_s <= mine.wait_s(0, hurry=hurry) <= max(2, closed_s)


@given(retry_after_s=st.floats(0.1, 1e6), failures=st.integers(1, 12))
def test_who_is_told_the_same_as_all_others_does_not_come_with_them(retry_after_s: float, failures: int) -> None:
    """What the server said, and beyond it a spread of half of that; more if it says so again and again."""
    mine, dice = pace()
    for _ in range(failures):
        mine.failed(0, retry_after_s)
    told_s = min(retry_after_s, MOST_CLOSED_S)
    ceiling = min(MOST_WAIT_S, LEAST_WAIT_S * 2 ** (failures - 1), max(LEAST_WAIT_S, 8 * told_s))
    assert dice.asked[-1] == (0, max(ceiling, told_s / 2))
    assert abs(mine.wait_s(0) - told_s - dice.asked[-1][1]) < 1e-6


@given(tells=st.lists(st.one_of(st.none(), st.floats(0, 1e9)), min_size=1, max_size=30), share=SHARES)
def test_orders_have_a_pace_of_their_own_and_never_wait_for_long(tells: list[float | None], share: float) -> None:
    """Whatever happened to telemetry, and whatever they are told themselves."""
    mine, _ = pace(share=share)
    mine.start(0, new_boot=True, loopback=False)
    urgent = mine.for_urgent()
    for told in tells:
        mine.failed(0, told or 0.0)
        assert urgent.wait_s(0) == 0
    for told in tells:
        urgent.failed(0, told or 0.0)
        assert urgent.wait_s(0) <= 2 * URGENT_MOST_WAIT_S
    urgent.succeeded(0, 60, more=True)
    assert urgent.wait_s(0) == 0
