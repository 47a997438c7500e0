"""`golmok_cloud_sync.protocol.clock`: from a boot's monotonic time to the time of day and back."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from golmok_cloud_sync.protocol import Anchor, Anchors
from golmok_cloud_sync.protocol.clock import DRIFT

MONOS = st.integers(0, 10**12)
T0 = 1_700_000_000_000


def anchors_of(known: list[Anchor]) -> Anchors:
    anchors = Anchors()
    for one in known:
        anchors.add(one)
    return anchors


@st.composite
def any_anchors(draw: st.DrawFn) -> list[Anchor]:
    """Right and wrong ones, exact and vague."""
    monos = draw(st.lists(st.integers(0, 10**7), min_size=1, max_size=12))
    return [
        Anchor(mono, T0 + mono + draw(st.integers(-20_000, 20_000)), draw(st.sampled_from([1, 20, 500, 10_000])))
        for mono in monos
    ]


@st.composite
def consistent(draw: st.DrawFn) -> list[Anchor]:
    """As a quartz gives them that drifts, measured without error."""
    monos = sorted(draw(st.sets(st.integers(0, 10**10), min_size=1, max_size=10)))
    wall, last, found = T0, 0, []
    for mono in monos:
        wall += (mono - last) + draw(st.integers(-1, 1)) * (mono - last) // DRIFT
        last = mono
        found.append(Anchor(mono, wall, 0))
    return found


@given(MONOS)
def test_without_an_anchor_nothing_is_guessed(moment: int) -> None:
    assert Anchors().wall_ms(moment) is None
    assert Anchors().mono_ms(moment) is None
    assert Anchors().monos_between(moment, moment + 1) is None
    assert Anchors().bounds(moment) is None


@given(any_anchors())
def test_it_is_exact_at_the_anchors_that_count(known: list[Anchor]) -> None:
    anchors = anchors_of(known)
    assert anchors.runs
    assert all(anchors.wall_ms(one.mono_ms) == one.wall_ms for run in anchors.runs for one in run)


@given(any_anchors(), st.randoms(use_true_random=False))
def test_the_order_in_which_anchors_come_does_not_matter(known: list[Anchor], dice: random.Random) -> None:
    """The gateway reads its own backwards at a start, the cloud forwards, and some come late."""
    mixed = list(known)
    dice.shuffle(mixed)
    assert anchors_of(mixed).known == anchors_of(known).known
    assert anchors_of(mixed).runs == anchors_of(known).runs


@given(any_anchors())
def test_what_counts_can_be_told_from_what_has_come(known: list[Anchor]) -> None:
    """Held against the plain rule: it counts unless a more exact one that agrees, drift and all, is there."""
    best: dict[int, Anchor] = {}
    for one in sorted(known, key=lambda a: (a.error_ms, a.wall_ms)):
        best.setdefault(one.mono_ms, one)

    def outweighs(one: Anchor, other: Anchor) -> bool:
        apart = abs(one.mono_ms - other.mono_ms)
        error = one.error_ms + apart // DRIFT
        differ = abs((one.wall_ms - one.mono_ms) - (other.wall_ms - other.mono_ms))
        return error < other.error_ms and differ <= error + other.error_ms

    plain = [one for _, one in sorted(best.items()) if not any(outweighs(other, one) for other in best.values())]
    assert anchors_of(known).known == plain


@given(consistent(), st.lists(MONOS, min_size=2, max_size=20))
def test_time_never_runs_backwards_between_consistent_anchors(known: list[Anchor], moments: list[int]) -> None:
    anchors = anchors_of(known)
    times = [anchors.wall_ms(moment) or 0 for moment in sorted(moments)]
    assert times == sorted(times)


@given(consistent(), MONOS)
def test_there_and_back_is_the_same_moment(known: list[Anchor], moment: int) -> None:
    anchors = anchors_of(known)
    wall = anchors.wall_ms(moment)
    assert wall is not None
    back = anchors.mono_ms(wall)
    assert back is not None
    assert abs(back - moment) <= 1


@example([Anchor(0, T0 + 2001, 10_000), Anchor(1, T0 + 1, 10_000)], 0, 0)
@given(any_anchors(), st.integers(-(10**6), 2 * 10**7), st.integers(0, 10**6))
def test_what_was_in_an_interval_of_the_day_is_looked_for_where_it_is(
    known: list[Anchor], moment: int, width: int
) -> None:
    """Clocks may have been set to and fro: whatever is dated into the interval lies between the two ends."""
    anchors = anchors_of(known)
    wall = anchors.wall_ms(moment)
    if wall is not None:
        least, most = anchors.monos_between(wall - width, wall + width) or (moment + 1, moment - 1)
        assert least <= moment <= most


@given(any_anchors(), st.lists(st.integers(0, 10**7), min_size=3, max_size=3))
def test_all_that_was_between_two_moments_has_a_time_between_two_times(known: list[Anchor], monos: list[int]) -> None:
    anchors = anchors_of(known)
    first, moment, last = sorted(monos)
    wall, ends = anchors.wall_ms(moment), anchors.walls_between(first, last)
    assert ends is not None
    assert wall is None or ends[0] <= wall <= ends[1]


@given(consistent(), st.integers(0, 10**9))
def test_outside_the_anchors_a_second_is_a_second(known: list[Anchor], far: int) -> None:
    anchors = anchors_of(known)
    first, last = known[0], known[-1]
    assert anchors.wall_ms(first.mono_ms - far) == first.wall_ms - far
    assert anchors.wall_ms(last.mono_ms + far) == last.wall_ms + far


@given(consistent(), st.integers(1, 10**6))
def test_a_late_anchor_dates_the_whole_boot_anew(known: list[Anchor], late: int) -> None:
    anchors = anchors_of(known)
    last = known[-1]
    shifted = Anchor(last.mono_ms + late, last.wall_ms + late + 7_200_000, 0)
    anchors.add(shifted)
    assert anchors.wall_ms(shifted.mono_ms + 5) == shifted.wall_ms + 5
    assert anchors.wall_ms(last.mono_ms) == last.wall_ms


def test_of_two_at_one_moment_the_more_exact_one_stays() -> None:
    vague, exact, other = Anchor(10, T0, 500), Anchor(10, T0 + 90_000, 5), Anchor(10, T0 + 3, 80)
    anchors = Anchors()
    assert anchors.add(vague)
    assert anchors.add(exact)
    assert not anchors.add(other)
    assert not anchors.add(vague)
    assert anchors.known == [exact]


def test_a_slow_reply_does_not_bend_what_a_fast_one_has_straightened() -> None:
    anchors = anchors_of([Anchor(0, T0, 2)])
    assert not anchors.add(Anchor(60_000, T0 + 61_500, 2_000))
    assert anchors.wall_ms(60_000) == T0 + 60_000


def test_a_copy_of_what_counts_goes_on_alike() -> None:
    anchors = anchors_of([Anchor(0, T0, 2), Anchor(10**9, T0 + 10**9, 2)])
    copy = Anchors(list(anchors.known))
    assert not copy.add(Anchor(5, T0 + 700, 1_000))
    assert copy.known == anchors.known


HOUR = 3_600_000


def test_where_a_clock_was_set_the_time_in_between_is_not_known_but_bounded() -> None:
    anchors = anchors_of([Anchor(0, T0, 2), Anchor(HOUR, T0 + HOUR + 90_000, 2)])
    assert anchors.wall_ms(0) == T0
    assert anchors.wall_ms(HOUR) == T0 + HOUR + 90_000
    assert anchors.wall_ms(HOUR - 1) is None
    low, high = anchors.bounds(HOUR // 2) or (0, 0)
    assert low <= T0 + HOUR // 2 < T0 + HOUR // 2 + 90_000 <= high


def test_what_is_said_on_both_sides_of_a_lie_holds_all_through() -> None:
    truth = [Anchor(at * HOUR, T0 + at * HOUR, 5) for at in (0, 1, 2, 8, 9)]
    lie = [Anchor(at * HOUR, T0 + at * HOUR + 7_200_000, 1) for at in (3, 4, 5, 6, 7)]
    anchors = anchors_of(lie + truth)
    assert anchors.runs == [truth]
    assert all(anchors.wall_ms(at * HOUR // 7) == T0 + at * HOUR // 7 for at in range(70))


def test_two_clocks_that_take_turns_do_not_throw_the_time_to_and_fro() -> None:
    anchors = Anchors()
    for at in range(40):
        anchors.add(Anchor(at * 60_000, T0 + at * 60_000 + (at % 2) * 5_000, 20))
        if at % 2 == 0:
            assert anchors.wall_ms(30_000) == T0 + 30_000


def test_clocks_that_differ_by_less_than_a_second_do_not_contradict() -> None:
    anchors = anchors_of([Anchor(0, T0, 2), Anchor(HOUR, T0 + HOUR + 900, 2)])
    assert len(anchors.runs) == 1
    assert anchors.wall_ms(HOUR // 2) == T0 + HOUR // 2 + 450


@pytest.mark.parametrize(("days", "worst_ms"), [(1 / 24, 90), (1, 2_160), (7, 15_120)])
def test_between_two_exact_anchors_no_quartz_of_50_ppm_can_be_further_off(days: float, worst_ms: int) -> None:
    """The figure that is promised: half the time between them, times 50 ppm; a steady drift costs nothing."""
    length = int(days * 24 * HOUR)
    anchors = anchors_of([Anchor(0, T0, 0), Anchor(length, T0 + length, 0)])
    low, high = anchors.bounds(length // 2) or (0, 0)
    assert (high - low) // 2 == pytest.approx(worst_ms, abs=1)
    steady = anchors_of([Anchor(0, T0, 0), Anchor(length, T0 + length + length // DRIFT, 0)])
    for at in range(0, length, length // 97):
        assert abs((steady.wall_ms(at) or 0) - (T0 + at + at / DRIFT)) <= 1
