"""`golmok_cloud_sync.protocol.clock`: from a boot's monotonic time to the time of day and back."""

from __future__ import annotations

import random

from hypothesis import given
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


@given(any_anchors())
def test_it_is_exact_at_the_anchors_that_count(known: list[Anchor]) -> None:
    anchors = anchors_of(known)
    assert anchors.known
    assert all(anchors.wall_ms(one.mono_ms) == one.wall_ms for one in anchors.known)


@given(any_anchors(), st.randoms(use_true_random=False))
def test_the_order_in_which_anchors_come_does_not_matter(known: list[Anchor], dice: random.Random) -> None:
    """The gateway reads its own backwards at a start, the cloud forwards, and some come late."""
    mixed = list(known)
    dice.shuffle(mixed)
    assert anchors_of(mixed).known == anchors_of(known).known


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
