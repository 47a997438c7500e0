"""Gray code: decoded against a made world, and frames that do not belong together."""

from __future__ import annotations

import numpy as np
import pytest

from golmok_vision.scan import OrderError, Picture
from golmok_vision.scan.graycode import decode, frames_of, one_channel, spots, stripes_of
from tests.vision.projector import Floats, World


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def frames(world: World) -> list[Picture]:
    return world.frames()


def places_of(world: World) -> Floats:
    """For each pixel of the camera the place that it sees, in stripes."""
    columns, rows = np.meshgrid(*(np.arange(side, dtype=float) for side in world.size))
    shown = world.pair.shown(world.points(np.column_stack([columns.ravel(), rows.ravel()])))
    return ((shown - (world.step - 1) / 2) / world.step).reshape(*world.size[::-1], 2)


def test_each_pixel_learns_where_in_its_stripe_it_lies(world: World, frames: list[Picture]) -> None:
    decoded = decode(frames, *world.code)
    truth = places_of(world)
    assert decoded.seen.sum() > 0.99 * decoded.lit.sum() > 0.7 * decoded.lit.size
    assert not decoded.seen[:38, :38].any()  # a dark corner
    inner = decoded.seen & ((truth > 0.5) & (truth < np.array(world.code) - 1.5)).all(-1)
    off = np.stack([decoded.column, decoded.row], -1)[inner] - truth[inner]
    assert np.abs(off).max() < 1  # the next stripe at most
    assert np.sqrt(np.square(off).mean()) < 0.17  # whole stripes: 0.29


def test_only_the_unclear_edge_of_a_stripe_may_be_unclear(world: World, frames: list[Picture]) -> None:
    """Where a coarse bit shows nothing, nothing is known of its stripe; where the finest does, it is its edge."""
    for number, kept in ((2, False), (2 * (world.code[0] - 1).bit_length() - 2, True)):
        grey = list(frames)
        grey[number] = grey[number + 1] = (frames[number] // 2 + frames[number + 1] // 2).astype(np.uint8)
        decoded = decode(grey, *world.code)
        assert bool(decoded.seen.mean() > 0.5) is kept


def test_spots_are_middles_of_stripes_and_of_their_pixels(world: World, frames: list[Picture]) -> None:
    found = spots(decode(frames, *world.code), *world.code)
    truth = places_of(world)
    x, y = np.rint(found.pixels).astype(int).T
    assert len(np.unique(np.rint(found.places), axis=0)) == len(found.places) > 25_000
    assert np.abs(found.places - truth[y, x]).max() < 1.5
    decoded = decode([np.zeros((10, 10), np.uint8)] * 10, 4, 4)
    assert not decoded.seen.any()
    assert len(spots(decoded, 4, 4).pixels) == 0


def test_the_number_of_frames_says_how_coarse_the_code_was_drawn() -> None:
    assert frames_of(1024, 768) == 42
    assert stripes_of(1024, 768, 42) == (1024, 768)
    assert stripes_of(1920, 1080, 42) == (960, 540)
    with pytest.raises(OrderError, match="41 frames, a projector of 1024 x 768 needs 42"):
        stripes_of(1024, 768, 41)
    with pytest.raises(OrderError, match="65,536"):
        frames_of(0, 768)


def test_frames_that_do_not_belong_together_are_refused(world: World, frames: list[Picture]) -> None:
    def said(wrong: list[Picture]) -> str:
        with pytest.raises(OrderError) as refused:
            decode(wrong, *world.code)
        return str(refused.value)

    assert f"{len(frames) - 2} frames" in said(frames[2:])
    assert "frame 4 is 319 x 240, the first 320 x 240" in said([*frames[:3], frames[3][:, 1:], *frames[4:]])
    assert "frames 5 and 6 are not a pattern" in said([*frames[:5], frames[7], frames[6], frames[5], *frames[8:]])
    assert "white comes first" in said([*frames[:-2], frames[-1], frames[-2]])
    with pytest.raises(OrderError, match="one channel"):
        decode([np.zeros((9, 9, 3), np.uint8)] * 10, 4, 4)


def test_pictures_in_colour_become_grey() -> None:
    assert one_channel(np.full((4, 5, 3), 90, np.uint8)).tolist() == [[90] * 5] * 4
