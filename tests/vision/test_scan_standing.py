"""Pieces of which neither the floor nor the foot is seen stand on the plate all the same, and are not a ring."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from golmok_vision.scan.cloud import Cloud
from golmok_vision.scan.mesh import INVENTED, MEASURED, model_of


def turned(radius: npt.NDArray[np.float64], z: npt.NDArray[np.float64], normal: npt.NDArray[np.float64]) -> Cloud:
    """Points of an outline (n) turned around the axis, about 0.7 mm apart; `normal` (n, 2) is outwards and up."""
    points, towards = [], []
    for r, height, (out, up) in zip(radius, z, normal, strict=True):
        around = np.linspace(0, 2 * np.pi, max(8, round(2 * np.pi * r / 0.7)), endpoint=False) + 7 * height
        circle = np.column_stack([np.cos(around), np.sin(around)])
        points.append(np.column_stack([r * circle, np.full(len(around), height)]))
        towards.append(np.column_stack([out * circle, np.full(len(around), up)]))
    return Cloud.of(np.concatenate(points), np.concatenate(towards))


def bowl() -> Cloud:
    """Of radius 40 outside, 37 inside, as a camera 20 degrees above sees it: not below, not the floor."""
    outer, inner = np.arange(0.75, 1.2, 0.017), np.arange(0.45, 1.2, 0.018)
    angle = np.concatenate([outer, inner])
    radius = np.concatenate([np.full(len(outer), 40.0), np.full(len(inner), 37.0)])
    way = np.column_stack([np.sin(angle), -np.cos(angle)])
    normal = way * np.where(radius > 38, 1, -1)[:, None]
    rim = np.arange(37.3, 40, 0.7)
    return turned(
        np.concatenate([radius * way[:, 0], rim * np.sin(1.2)]),
        np.concatenate([40 + radius * way[:, 1], 40 - rim * np.cos(1.2)]),
        np.concatenate([normal, np.tile([0.36, 0.93], (len(rim), 1))]),
    )


def test_a_bowl_has_a_floor_and_a_foot_that_are_called_invented() -> None:
    model = model_of(bowl())
    corners, edges = len(model.vertices), 3 * len(model.faces) // 2
    assert corners - edges + len(model.faces) == 2, "one surface without a hole through it"
    middle = np.hypot(model.vertices[:, 0], model.vertices[:, 1]) < 8
    assert middle.any()
    assert not (model.invented[middle] == MEASURED).any()
    inside = middle & (model.invented == INVENTED)
    assert 2 < model.vertices[inside, 2].max() < 8  # the lowest that was seen inside is at 6.7
    assert model.vertices[:, 2].min() == 0


def test_a_ring_on_the_table_stays_a_ring() -> None:
    """Seen from its lower side's 45 degrees upwards, within and without; nothing below."""
    around = np.arange(-np.pi / 4, np.pi + np.pi / 4, 0.08)
    way = np.column_stack([np.cos(around), np.sin(around)])
    model = model_of(turned(30 + 9 * way[:, 0], 9 + 9 * way[:, 1], way))
    corners, edges = len(model.vertices), 3 * len(model.faces) // 2
    assert corners - edges + len(model.faces) == 0
    assert np.hypot(model.vertices[:, 0], model.vertices[:, 1]).min() > 18
