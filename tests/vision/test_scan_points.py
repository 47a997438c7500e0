"""One frame: rays by the table, and the line where a picture is white."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from golmok_vision.render.scanner import TrueRig
from golmok_vision.scan.points import RayTable, Triangulator, bracketed, line_pixels
from tests.vision.line_pictures import Scene


def test_the_table_of_rays_is_as_good_as_the_lens() -> None:
    rig = TrueRig.standard(2).rig
    pixels = np.random.default_rng(1).uniform([-0.5, -0.5], [1639.5, 1231.5], (2000, 2))
    assert np.abs(RayTable(rig.lens).rays(pixels) - rig.lens.rays(pixels)).max() < 2e-6
    for laser in range(2):
        found, true = Triangulator(rig, 125).triangulate(pixels, laser), rig.triangulate(pixels, laser)
        near = np.linalg.norm(true, axis=1) < 500
        assert np.abs(found - true)[near].max() < 2e-3
    assert RayTable(rig.lens).rays(np.zeros((0, 2))).shape == (0, 2)


def test_where_a_picture_is_white_the_shorter_exposure_says_where_the_line_is() -> None:
    # White on one side further than on the other: as gloss makes it.
    scene = Scene(peak=150, curve=0.5, ambient=10.0)
    short, short_off = scene.pictures()
    bright, bright_off = replace(scene, exposure=4.0).pictures()
    rows = np.arange(scene.height)
    for row in rows[100:140]:
        x = int(scene.truth()[row])
        bright[row, x - 2 : x + 9] = 255
    alone, darker = line_pixels(bright, bright_off), line_pixels(short, short_off)
    merged = bracketed(alone, bright, darker)

    def off(points: np.ndarray) -> np.ndarray:
        there = points[(points[:, 1] >= 102) & (points[:, 1] < 138)]
        return np.asarray(np.abs(there[:, 0] - scene.truth()[there[:, 1].astype(int)]))

    assert np.median(off(alone)) > 0.5
    assert np.median(off(merged)) < 0.3
    assert len(merged) > 0.9 * len(alone)
    assert (np.diff(merged[:, 1]) >= 0).all()
