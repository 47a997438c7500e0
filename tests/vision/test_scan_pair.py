"""Points by a camera and a projector, against surfaces that are known: near the truth, and bent where it is bent."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from golmok_vision.scan import DatasetError
from golmok_vision.scan.graycode import Spots, decode, spots
from golmok_vision.scan.pair import Cloud, Drawn, Pair, blur, likely_drawn, triangulate
from tests.vision.projector import Surface, World, a_pair, ball, slanted, waves


@cache
def seen(surface: Surface, step: int = 1, blur_px: float = 0.5) -> tuple[World, Spots]:
    world = World(surface, step=step, blur_px=blur_px)
    return world, spots(decode(world.frames(), *world.code), *world.code)


def errors(world: World, cloud: Cloud) -> tuple[float, float]:
    """Mean and RMS of how much too deep the points are."""
    off = cloud.points[:, 2] - world.points(cloud.pixels)[:, 2]
    return float(off.mean()), float(np.sqrt(np.square(off).mean()))


@pytest.mark.parametrize(
    ("surface", "step", "first", "share"),
    [(slanted, 1, 0.0, 0.6), (slanted, 2, 0.5, 0.8), (ball, 1, 0.0, 0.5), (waves, 2, 0.5, 0.75)],
)
def test_parts_of_stripes_are_nearer_the_truth_than_stripes(
    surface: Surface, step: int, first: float, share: float
) -> None:
    world, found = seen(surface, step)
    drawn = likely_drawn(found, world.pair)
    assert drawn == Drawn(step, first)
    cloud = triangulate(found, world.pair, drawn)
    assert len(cloud.points) > 0.99 * len(found.pixels)
    mean, rms = errors(world, cloud)
    whole = triangulate(replace(found, places=np.rint(found.places)), world.pair, drawn)
    assert rms < share * errors(world, whole)[1]
    assert abs(mean) < 0.06  # a hundredth of a pixel: nothing is pulled flat


def test_how_far_a_pixel_sees_is_found_and_taken_away() -> None:
    world, found = seen(ball, blur_px=1.0)
    blur_px = blur(found, world.pair, Drawn(1))
    assert 0.6 < blur_px < 1.1
    beside = np.linalg.norm(found.brighter, axis=1) > 0.1
    plain, mended = (triangulate(each, world.pair, Drawn(1)) for each in (found, found.unblurred(blur_px)))
    truth = world.points(found.pixels)[:, 2], world.points(mended.pixels)[:, 2]
    rms = [np.sqrt(np.square(c.points[:, 2] - t)[beside].mean()) for c, t in zip((plain, mended), truth, strict=True)]
    assert rms[1] < 0.7 * rms[0]


def test_a_calibration_that_is_of_another_pair_is_told() -> None:
    world, found = seen(slanted)
    other = replace(world.pair, translation=world.pair.translation[[1, 0, 2]] * 3)
    with pytest.raises(DatasetError, match="do not meet"):
        likely_drawn(found, other)
    nothing = Spots(*(np.empty((0, 2)) for _ in range(3)))
    assert len(triangulate(nothing, world.pair, Drawn(1)).points) == 0
    with pytest.raises(DatasetError, match="too dark"):
        likely_drawn(nothing, world.pair)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is not there"),
        ("no xml", "pair.xml"),
        ("<?xml version='1.0'?><opencv_storage></opencv_storage>", "cam_int"),
    ],
)
def test_a_calibration_that_is_none_is_told(text: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "pair.xml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(DatasetError, match=said):
        Pair.read(file)


def test_the_made_pair_sees_what_it_shows() -> None:
    pair = a_pair()
    pixels = np.array([[160.0, 120], [20, 200]])
    world = World(pair=pair)
    places = pair.shown(world.points(pixels))
    cloud = triangulate(Spots(pixels, places, np.zeros((2, 2))), pair, Drawn(1))
    assert cloud.points == pytest.approx(world.points(pixels), rel=1e-6)
