"""Which exposures a piece needs: decided by what each shows of it."""

from __future__ import annotations

import pytest

from golmok_vision.scan.exposures import Look, chosen, ladder

RUNGS = (60.0, 10.0, 2.5, 0.625)
NOTHING = Look()

CASES = {
    "plain": ([Look(500, 300), Look(495, 0), NOTHING, NOTHING], (10.0,)),
    "dark": ([Look(500, 0), Look(300, 0), NOTHING, NOTHING], (60.0,)),
    "dark and light": ([Look(500, 200), Look(300, 0), NOTHING, NOTHING], (60.0, 10.0)),
    "dark and a mirror": ([Look(500, 200), Look(300, 100), Look(300, 20), Look(300, 4)], RUNGS),
    "a mirror": ([Look(500, 200), Look(500, 100), Look(490, 0), NOTHING], (10.0, 2.5)),
    "a glint": ([Look(500, 200), Look(500, 5), NOTHING, NOTHING], (10.0,)),
    "dark in a bright room": ([Look(500, 0, is_flooded=True), Look(300, 0), NOTHING, NOTHING], (10.0,)),
    "nothing there": ([NOTHING] * 4, (10.0,)),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_taken_is_as_long_as_the_dark_needs_and_as_short_as_the_white(case: str) -> None:
    seen, wanted = CASES[case]
    assert chosen(RUNGS, seen, 10.0) == wanted


def test_a_ladder_goes_no_longer_than_the_camera_can() -> None:
    assert ladder(10.0, 60.0) == RUNGS
    assert ladder(10.0, 1000.0)[0] == 80.0
    assert ladder(10.0, 0.0) == ladder(10.0, 11.0) == (10.0, 2.5, 0.625)
