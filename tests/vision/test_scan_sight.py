"""What is seen of the board: a sighting that is called enough gives a pose, whichever corners it has."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from golmok_vision.render import board as boards
from golmok_vision.render.scanner import TrueRig
from golmok_vision.render.simulate import BOARD
from golmok_vision.scan.bundle import Corners
from golmok_vision.scan.guess import guess_pose
from golmok_vision.scan.rig import turn
from golmok_vision.scan.sight import BoardFinder, Sighting

RIG = TrueRig.standard(1, 0.35).rig
CORNERS_MM = BoardFinder(BOARD).corners_mm
IN_A_ROW = BOARD.squares_x - 1


def lying(ids: list[int], degrees: float, seed: int) -> Sighting:
    """Those corners of a board that lies on the table, with noise."""
    place = boards.on_table(BOARD, 0, np.eye(3), RIG.pose.centre_mm)
    points = (CORNERS_MM[ids] @ place.rotation.T + place.shift_mm) @ turn(degrees).T
    noise = np.random.default_rng(seed).normal(size=(len(ids), 2))
    return Sighting(np.array(ids), RIG.project(points) + 0.3 * noise)


@given(
    st.lists(st.integers(0, len(CORNERS_MM) - 1), min_size=6, max_size=9, unique=True)
    | st.lists(st.integers(0, 2 * IN_A_ROW - 1), min_size=6, max_size=8, unique=True),
    st.floats(0, 360),
    st.integers(0, 1000),
)
def test_enough_is_enough_for_a_pose(ids: list[int], degrees: float, seed: int) -> None:
    seen = lying(sorted(ids), degrees, seed)
    if seen.is_enough:
        view = Corners(np.zeros(len(ids), np.int64), CORNERS_MM[seen.ids], seen.pixels)
        assert np.isfinite(guess_pose(RIG.lens, view).translation_mm).all()


def test_a_row_and_one_corner_beside_it_are_not_enough() -> None:
    row = list(range(IN_A_ROW))
    assert not lying(row, 20, 1).is_enough
    assert not lying([*row, IN_A_ROW + 3], 20, 1).is_enough
    assert lying([*row, IN_A_ROW + 1, IN_A_ROW + 5], 20, 1).is_enough
    assert not Sighting(np.zeros(0, np.int64), np.zeros((0, 2))).is_enough
