"""Bodies of known size: their diameter to a tenth of a percent, and nothing else passed as one."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from golmok_vision.scan import MeshError, OrderError
from golmok_vision.scan.gauge import Gauge, check
from golmok_vision.scan.rig import turn
from tests.vision.clouds import Piece

LEANING = np.array([[1.0, 0, 0], [0, 0.9998, -0.02], [0, 0.02, 0.9998]])


def rough(mesh: trimesh.Trimesh, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points of it with noise, normals with noise, and some of a clamp beside it."""
    points, normals = Piece.of(mesh).seen(15_000, seed)
    dice = np.random.default_rng(seed)
    clamp = dice.uniform(-3, 3, (len(points) // 30, 3)) + np.array([25.0, 0, 5])
    normals = normals + 0.05 * dice.normal(size=normals.shape)
    points = points + normals * dice.normal(scale=0.05, size=(len(points), 1))
    many = np.concatenate([points, clamp]), np.concatenate([normals, dice.normal(size=clamp.shape)])
    return many[0], many[1] / np.linalg.norm(many[1], axis=1, keepdims=True)


@pytest.mark.parametrize("radius", [8.0, 15.0, 40.0])
def test_a_ball(radius: float) -> None:
    points, normals = rough(trimesh.creation.icosphere(subdivisions=6, radius=radius))
    found = check(Gauge("ball", 2 * radius), points, normals)
    assert abs(found["scale_error"]) < 1e-3
    assert found["roundness_rms_mm"] == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("rotation", [np.eye(3), LEANING, np.array([[0, 0, 1.0], [0, 1, 0], [-1, 0, 0]]) @ turn(20)])
def test_a_cylinder_standing_leaning_and_lying(rotation: np.ndarray) -> None:
    mesh = trimesh.creation.cylinder(radius=20, height=50, sections=512)
    mesh.vertices = mesh.vertices @ rotation.T
    found = check(Gauge.parse("cylinder:40"), *rough(mesh))
    assert abs(found["scale_error"]) < 1e-3


def test_a_gauge_that_is_too_small_is_seen_to_be() -> None:
    points, normals = rough(trimesh.creation.icosphere(subdivisions=6, radius=14.85))
    assert check(Gauge.parse("ball:30"), points, normals)["scale_error"] == pytest.approx(-0.01, abs=1e-3)


@pytest.mark.parametrize("gauge", ["ball:30", "cylinder:30"])
def test_a_box_is_neither(gauge: str) -> None:
    with pytest.raises(MeshError, match=r"is no (ball|cylinder)"):
        check(Gauge.parse(gauge), *rough(trimesh.creation.box((30, 40, 25))))


@pytest.mark.parametrize("text", ["ball", "cube:30", "ball:0", "ball:x", "ball:nan", "cylinder:-4", ""])
def test_what_is_no_gauge_is_told(text: str) -> None:
    with pytest.raises(OrderError, match="give the shape and its diameter"):
        Gauge.parse(text)
