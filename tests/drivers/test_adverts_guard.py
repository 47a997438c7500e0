"""Which counters are believed, which presses are new, and what an operator's ceremony takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from golmok_drivers.adverts.guard import WINDOW, Ceremony, Presses, Verdict, judge

COUNTERS = st.integers(0, 2**32 - 1)


@given(COUNTERS, COUNTERS)
def test_only_what_is_above_the_last_and_near_it_is_fresh(counter: int, last: int) -> None:
    verdict = judge(counter, last)
    assert (verdict is Verdict.FRESH) == (last < counter < last + WINDOW)
    assert (verdict is Verdict.SAME) == (counter == last)
    assert (verdict is Verdict.LOW) == (counter < last)


@given(st.lists(COUNTERS, max_size=50))
def test_whatever_is_sent_a_believed_counter_is_never_believed_again(sent: list[int]) -> None:
    last, believed = None, []
    for counter in [*sent, *sent]:
        if judge(counter, last) is Verdict.FRESH:
            believed.append(counter)
            last = counter
    assert believed == sorted(set(believed))


def test_counters_around_the_edges() -> None:
    assert judge(0, None) is Verdict.FRESH
    assert judge(0, 0) is Verdict.SAME
    assert judge(51, 1_000) is Verdict.LOW  # below 100, too
    assert judge(WINDOW - 1, 0) is Verdict.FRESH
    assert judge(WINDOW, 0) is Verdict.FAR


def test_the_same_packet_is_the_same_press_for_half_a_minute() -> None:
    presses = Presses()
    assert presses.is_new(7, ["press"], 0.0)
    assert not presses.is_new(7, ["press"], 29.0)
    assert presses.is_new(7, ["double_press"], 29.5)
    assert presses.is_new(8, ["double_press"], 29.6)
    assert presses.is_new(8, ["double_press"], 60.0)
    assert presses.is_new(None, ["press"], 60.1)
    assert presses.is_new(None, ["press"], 60.1)


def test_three_presses_within_a_minute_each_above_the_last() -> None:
    ceremony = Ceremony()
    assert [ceremony.press(counter, at_s) for counter, at_s in ((4, 0), (4, 1), (5, 2), (6, 3))] == [
        False,
        False,
        False,
        True,
    ]
    assert [ceremony.press(counter, at_s) for counter, at_s in ((7, 0), (8, 50), (9, 61), (10, 62))] == [
        False,
        False,
        False,
        True,
    ]
    assert [ceremony.press(counter, at_s) for counter, at_s in ((900, 0), (901, 1), (2, 2), (3, 3))] == [False] * 4
