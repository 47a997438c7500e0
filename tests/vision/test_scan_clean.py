"""What is no point of the piece goes, what is one stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from golmok_vision.scan.clean import is_piece
from golmok_vision.scan.cloud import Cloud
from tests.vision.scan_clouds import scanned


def test_a_clean_cloud_stays() -> None:
    cloud = scanned(1, lines=120)
    assert is_piece(cloud).mean() > 0.98


def test_points_in_the_air_go() -> None:
    cloud = scanned(2, lines=120)
    dice = np.random.default_rng(3)
    flying = dice.choice(len(cloud), 200, replace=False)
    points = cloud.points.copy()
    points[flying] += cloud.towards[flying] * dice.uniform(1.2, 6, (200, 1)).astype(np.float32)
    kept = is_piece(replace(cloud, points=points))
    assert kept[flying].mean() < 0.1
    rest = np.ones(len(cloud), bool)
    rest[flying] = False
    assert kept[rest].mean() > 0.97


def test_the_plates_own_points_and_crumbs_go() -> None:
    cloud = scanned(4, lines=120)
    plate = np.column_stack([np.linspace(50, 110, 300), np.zeros(300), np.full(300, 0.45)])
    crumb = np.array([80.0, 80.0, 40.0]) + np.arange(12)[:, None] * [0, 0, 0.3]
    more = np.concatenate([plate, crumb]).astype(np.float32)
    added = Cloud(
        np.concatenate([cloud.points, more]), np.concatenate([cloud.towards, np.ones_like(more)]),
        np.concatenate([cloud.colour, np.zeros((len(more), 3), np.uint8)]),
        np.concatenate([cloud.laser, np.zeros(len(more), np.uint8)]),
        np.concatenate([cloud.frame, np.repeat([500, 501], [300, 12]).astype(np.uint16)]),
    )  # fmt: skip
    kept = is_piece(added)
    assert not kept[len(cloud) :].any()
    assert kept[: len(cloud)].mean() > 0.98


def test_a_line_far_from_the_others_stays_where_stops_are_few_and_goes_where_they_are_many() -> None:
    """On a surface that the light grazes lines lie so far apart; elsewhere it is a reflection."""
    for lines, stays in ((120, True), (1600, False)):
        cloud = scanned(6, lines=lines)
        around = np.degrees(np.arctan2(cloud.points[:, 1], cloud.points[:, 0])) % 360
        frames = np.unique(cloud.frame[np.abs(around - 180) < 25])
        far = np.abs(around - 180) < 15
        alone = (cloud.frame == frames[len(frames) // 2]) & (cloud.laser == 0) & (np.abs(cloud.points[:, 2] - 32) < 12)
        cloud, alone = cloud[alone | ~far], alone[alone | ~far]
        assert (is_piece(cloud)[alone].mean() > 0.9) == stays, lines


def test_few_points_are_no_trouble() -> None:
    cloud = scanned(5)
    for count in (0, 1, 7, 40):
        assert len(is_piece(cloud[np.arange(count)])) == count
