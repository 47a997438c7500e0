"""How flat a cloud is: the chessboard's own points where there is one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from golmok_vision.scan import Picture
from golmok_vision.scan.flat import board_outline, flattest, largest
from golmok_vision.scan.pair import Cloud

BOARD = (slice(60, 180), slice(80, 240))


def a_board() -> Picture:
    """A picture with a board of 8 x 6 squares."""
    columns, rows = np.meshgrid(np.arange(320), np.arange(240))
    white = np.full((240, 320), 200, np.uint8)
    white[BOARD] = np.where((columns // 20 + rows // 20) % 2, 200, 30)[BOARD]
    return np.asarray(cv2.GaussianBlur(white, (3, 3), 0.7), np.uint8)


def a_cloud(noise: float) -> Cloud:
    """A board that stands out from a larger, rougher wall."""
    random = np.random.default_rng(0)
    pixels = np.stack(np.meshgrid(np.arange(320.0), np.arange(240.0)), -1).reshape(-1, 2)
    is_board = ((pixels > (78, 58)) & (pixels < (242, 182))).all(1)
    depth = np.where(is_board, 900 + random.normal(0, noise, len(pixels)), 1000 + random.normal(0, 1, len(pixels)))
    slopes = (pixels - (160, 120)) / 400
    return Cloud(np.column_stack([slopes * depth[:, None], depth]), pixels)


def test_the_board_is_judged_where_there_is_one() -> None:
    white = a_board()
    outline = board_outline(white)
    assert outline is not None
    assert outline.min(0) == pytest.approx([99.5, 79.5], abs=0.4)
    assert outline.max(0) == pytest.approx([219.5, 159.5], abs=0.4)
    flat = flattest(a_cloud(0.2), outline)
    assert flat is not None
    assert flat.of == "board"
    assert flat.count == pytest.approx(120 * 80, rel=0.03)
    assert flat.share == 1
    assert abs(flat.offset) == pytest.approx(900, abs=0.1)
    assert flat.rms == pytest.approx(0.2, rel=0.05)
    assert 900 < flat.range < 930


def test_a_noisy_board_is_not_cut_to_its_flat_part_and_strays_are_left_out() -> None:
    cloud = a_cloud(4.0)
    cloud.points[::50] *= 1.2
    flat = flattest(cloud, board_outline(a_board()))
    assert flat is not None
    assert flat.rms == pytest.approx(4, rel=0.05)
    assert flat.share == pytest.approx(0.98, abs=0.005)


def test_without_a_board_it_is_the_largest_plane() -> None:
    flat = flattest(a_cloud(0.2), board_outline(np.full((240, 320), 200, np.uint8)))
    assert flat is not None
    assert flat.of == "largest"
    assert abs(flat.offset) == pytest.approx(1000, abs=0.2)
    assert 0.6 < flat.share < 0.8
    assert largest(np.empty((0, 3))) is None
