"""Distances to a mesh, against those that are known."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from golmok_vision.scan import MeshError
from golmok_vision.scan.nearest import Surface


def test_distances_to_a_box_of_twelve_triangles_are_exact() -> None:
    box = trimesh.creation.box((40, 30, 20))
    points = np.random.default_rng(0).uniform(-40, 40, (3000, 3))
    found = Surface(box.vertices, box.faces).nearest(points)
    outside = np.maximum(np.abs(points) - [20, 15, 10], 0)
    depth = (np.array([20, 15, 10]) - np.abs(points)).min(1)
    is_inside = depth > 0
    truth = np.where(is_inside, depth, np.linalg.norm(outside, axis=1))
    assert found.away_mm == pytest.approx(truth, abs=1e-9)
    assert np.linalg.norm(points - found.places, axis=1) == pytest.approx(found.away_mm)
    assert (found.inside == is_inside).all()


def test_slivers_and_triangles_without_area_do_no_harm() -> None:
    needle = trimesh.creation.cylinder(radius=10, height=60, sections=300)
    faces = np.vstack([needle.faces, [[0, 0, 1], [2, 2, 2]]])
    angle = np.linspace(0, 6, 500)
    points = np.column_stack([12 * np.cos(angle), 12 * np.sin(angle), np.linspace(-28, 28, 500)])
    assert Surface(needle.vertices, faces).nearest(points).away_mm == pytest.approx(np.full(500, 2.0), abs=1e-3)


def test_sprinkled_points_lie_on_it_evenly() -> None:
    box = trimesh.creation.box((4, 2, 1))
    surface = Surface(box.vertices, box.faces)
    points, normals = surface.sprinkled(20_000)
    assert surface.nearest(points).away_mm.max() < 1e-9
    assert (normals[:, 2] > 0.9).mean() == pytest.approx(8 / 28, abs=0.02)


def test_what_has_no_surface_is_told() -> None:
    with pytest.raises(MeshError, match="no surface"):
        Surface(np.zeros((3, 3)), [[0, 1, 2]])
