"""Places that the camera looked through, and places of a surface that it only looked along."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from golmok_vision.scan.cloud import Cloud
from golmok_vision.scan.mesh.lines_of_sight import looked_through

UP = np.array([0, 0, 1], np.float32)


def sheet(low: tuple[float, float], high: tuple[float, float], z: float, apart: float = 0.8) -> npt.NDArray[np.float32]:
    x, y = np.meshgrid(np.arange(low[0], high[0], apart), np.arange(low[1], high[1], apart))
    return np.column_stack([x.ravel(), y.ravel(), np.full(x.size, z)]).astype(np.float32)


def test_the_mouth_of_a_slot_is_no_surface_and_its_edges_are() -> None:
    seen = np.concatenate([
        sheet((-30, -20), (-5, 20), 0), sheet((5, -20), (30, 20), 0),  # two fins
        sheet((-5, -20), (5, 20), -12),  # the bottom between them
    ])  # fmt: skip
    cloud = Cloud.of(seen, np.broadcast_to(UP, seen.shape).copy())
    places = sheet((-20, -18), (20, 18), 0)
    through = looked_through(places, np.broadcast_to(UP, places.shape).copy(), cloud)
    aside = np.abs(places[:, 0])
    assert through[aside < 4].all()
    assert not through[aside > 7].any()


def test_a_surface_that_was_looked_along_is_one() -> None:
    seen = sheet((-30, -20), (30, 20), 0, 2.5)
    grazing = np.array([0.985, 0, 0.17], np.float32)
    cloud = Cloud.of(seen, np.broadcast_to(grazing / np.linalg.norm(grazing), seen.shape).copy())
    places = sheet((-20, -18), (20, 18), 0)
    assert not looked_through(places, np.broadcast_to(UP, places.shape).copy(), cloud).any()


def test_a_stray_alone_opens_nothing() -> None:
    seen = np.concatenate([sheet((-30, -20), (30, 20), 0), [[0, 0, -9], [0.2, 0, -14]]]).astype(np.float32)
    cloud = Cloud.of(seen, np.broadcast_to(UP, seen.shape).copy())
    places = sheet((-20, -18), (20, 18), 0)
    assert not looked_through(places, np.broadcast_to(UP, places.shape).copy(), cloud).any()
    assert looked_through(places[:0], places[:0], cloud).shape == (0,)
