"""The rig's numbers: projecting and triangulating undo each other, documents come back, mistakes are named."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from golmok_vision.render.scanner import TrueRig
from golmok_vision.scan import DatasetError, Lens, Plane, Pose, Rig, Turntable, turn

RIG = TrueRig.standard(4).rig


def test_rays_undo_the_distortion_up_to_the_corners() -> None:
    lens = RIG.lens
    corners = np.array([[0, 0], [lens.width - 1, 0], [0, lens.height - 1], [700.5, 31.25]])
    rays = lens.rays(corners)
    assert np.abs(lens.project(np.column_stack([rays, np.ones(4)])) - corners).max() < 1e-6


@pytest.mark.parametrize("laser", [0, 1])
def test_a_point_on_the_sheet_is_found_again_from_its_pixel(laser: int) -> None:
    plane = RIG.lasers[laser]
    points = np.array([[10.0, 5, 20], [-30, 12, 60], [2, -25, 5]])
    points -= plane.distance_mm(points)[:, None] * plane.normal
    assert np.abs(RIG.triangulate(RIG.project(points), laser) - points).max() < 1e-6


def test_a_ray_that_leads_away_from_the_sheet_meets_it_nowhere() -> None:
    behind = Plane(np.array([1.0, 0, 0]), 5000.0)  # far behind the camera, which looks the other way
    rig = Rig(RIG.lens, RIG.pose, (behind,), Turntable(3200))
    assert np.isnan(rig.triangulate([[800.0, 600.0]], 0)).all()


def test_the_camera_looks_where_it_is_told_with_the_sky_above() -> None:
    lens = Lens(100, 80, 90, 90, 49.5, 39.5)
    pose = Pose.looking([300, 0, 140], [0, 0, 40])
    middle, above, right = lens.project(pose.into_camera([[0, 0, 40], [0, 0, 60], [0, 20, 40]]))
    assert middle == pytest.approx([49.5, 39.5])
    assert above[1] < middle[1] - 3
    assert right[0] > middle[0] + 3
    assert pose.centre_mm == pytest.approx([300, 0, 140])


def test_the_plate_turns_counter_clockwise_seen_from_above() -> None:
    assert turn(90) @ [1, 0, 0] == pytest.approx([0, 1, 0])
    assert Turntable(3200).angle_deg(800) == 90
    assert Turntable(-3200).angle_deg(800) == -90


def test_a_document_comes_back_as_the_same_rig() -> None:
    written = json.loads(json.dumps(RIG.document()))
    assert Rig.from_document(written).document() == written


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"camera": 5}, "camera must be an object"),
        ({"format": 9}, "calibrate again"),
        ({"lasers": {}}, "lasers must be a list"),
        ({"lasers": [{"normal": [0, 0, 0], "offset_mm": 1}]}, r"lasers\[0\].normal has no direction"),
        ({"lasers": [{"normal": [0, 1], "offset_mm": 1}]}, r"lasers\[0\].normal must be 3 numbers"),
        ({"turntable": {"steps_per_turn": float("nan")}}, "turntable.steps_per_turn must be a number"),
        ({"turntable": {"steps_per_turn": 0}}, "zero"),
        ({"turntable": {}}, "turntable.steps_per_turn is missing"),
        ({"camera": {**RIG.document()["camera"], "distortion": [0, 0, 0]}}, "camera.distortion must be 5 numbers"),
        ({"camera": {**RIG.document()["camera"], "width": 10**9}}, "a picture of 1000000000 x"),
        ({"quality": "ok"}, "quality must be an object"),
        ({"quality": {"passed": "false"}}, "passed is true or false"),
    ],
)
def test_a_mistake_in_a_document_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(DatasetError, match=named):
        Rig.from_document({**RIG.document(), **change}, "calibration.json")


def test_a_mirrored_camera_is_refused() -> None:
    document = RIG.document()
    document["camera"]["rotation"] = (-RIG.pose.rotation).tolist()
    with pytest.raises(DatasetError, match="not a rotation"):
        Rig.from_document(document)
