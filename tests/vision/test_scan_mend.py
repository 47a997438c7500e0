"""A wrong calibration mended by its rays alone, judged by a surface that is known and not flat."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np

from golmok_vision.scan.graycode import Floats, Spots
from golmok_vision.scan.mend import fitted
from golmok_vision.scan.pair import Drawn, Pair, triangulate
from tests.vision.projector import World

DRAWN = Drawn(2)


def a_room() -> World:
    """A long lens, and a projector below it whose axis points up over the picture, as most do."""
    pair = Pair(
        np.array([[3450.0, 0, 640], [0, 3450, 512], [0, 0, 1]]),
        np.array([-0.22, -0.5, 0, 0, 0]),
        np.array([[3820.0, 0, 1010], [0, 3820, 1600], [0, 0, 1]]),
        np.array([-0.17, 0.34, 0.0003, -0.0003, 0]),
        np.asarray(cv2.Rodrigues(np.array([-0.13, 0.01, -0.009]))[0], float),
        np.array([86.0, -600, -200]),
    )
    return World(lambda x, y: 3650 - 0.06 * x - 0.12 * y + 20 * np.sin(x / 90), pair)


@cache
def seen() -> Spots:
    random = np.random.default_rng(0)
    pixels = np.stack(np.meshgrid(np.linspace(80, 1240, 46), np.linspace(30, 850, 36)), -1).reshape(-1, 2)
    world = a_room()
    places = (world.pair.shown(world.points(pixels)) + random.normal(0, 0.08, pixels.shape)) / DRAWN.step
    return Spots(pixels, places, np.zeros_like(pixels))


def bend(pair: Pair) -> float:
    """RMS of the depth's error after any shift, tilt and scale."""
    cloud = triangulate(seen(), pair, DRAWN)
    truth = a_room().points(cloud.pixels)
    off = cloud.points[:, 2] - truth[:, 2]
    plain: Floats = np.column_stack([np.ones(len(truth)), truth])
    return float((off - plain @ np.linalg.lstsq(plain, off, rcond=None)[0]).std())


def wrong() -> Pair:
    """As calibrations go wrong: the lens's axis elsewhere, a lens aslant and a turn make up for it, but not quite."""
    given = a_room().pair
    projector = given.projector.copy()
    projector[:2, 2] -= (130, 120)
    turn = np.asarray(cv2.Rodrigues(np.array([-0.03, 0.033, 0]))[0], float)
    lens = np.array([-0.11, 0, -0.0045, -0.009, 0.5])
    return replace(given, projector=projector, projector_distortion=lens, rotation=turn @ given.rotation)


def test_rays_that_do_not_meet_mend_the_calibration() -> None:
    fit = fitted(seen(), wrong(), DRAWN)
    assert fit.is_mended
    assert fit.given_aside_px > 0.5 > 5 * fit.aside_px
    assert bend(fit.pair) < 0.4 * bend(wrong())
    given, mended = (np.median(triangulate(seen(), each, DRAWN).points[:, 2]) for each in (wrong(), fit.pair))
    assert abs(mended / given - 1) < 0.01


def test_a_calibration_with_which_rays_meet_stays_as_it_is() -> None:
    given = a_room().pair
    fit = fitted(seen(), given, DRAWN)
    assert not fit.is_mended
    assert fit.pair is given
    assert fit.aside_px == fit.given_aside_px < 0.1


def test_a_calibration_stays_as_given_where_that_is_wanted() -> None:
    fit = fitted(seen(), wrong(), DRAWN, may_mend=False)
    assert not fit.is_mended
    assert fit.given_aside_px > 0.5
