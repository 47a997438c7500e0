"""What two lasers say of each other, on clouds of a known piece."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from golmok_vision.scan import Cloud, turn
from golmok_vision.scan.doubts import disagreements_mm, doubts
from tests.vision.scan_clouds import scanned


def codes(cloud: Cloud) -> list[str]:
    return [trouble.code for trouble in doubts(cloud, disagreements_mm(cloud))]


def slipped(cloud: Cloud, degrees: float) -> Cloud:
    """The table slipped in the middle of the turn; laser 1 sees each place a fifth of a turn after laser 0."""
    around = np.arctan2(cloud.points[:, 1], cloud.points[:, 0]) / (2 * np.pi) % 1
    late = (around + np.where(cloud.laser == 1, 0.2, 0.0)) % 1 > 0.5
    points = cloud.points.copy()
    points[late] = points[late] @ turn(degrees).T.astype(np.float32)
    return replace(cloud, points=points)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_good_scan_raises_none(seed: int) -> None:
    assert codes(scanned(seed, lines=160, noise_mm=0.15)) == []


@pytest.mark.parametrize("degrees", [9, -9, 25])
def test_a_slip_is_told_though_most_of_the_surface_agrees(degrees: float) -> None:
    cloud = slipped(scanned(4, lines=160), degrees)
    found = doubts(cloud, disagreements_mm(cloud))
    assert ("torn", "bad") in [(each.code, each.weight) for each in found]


def test_a_laser_without_points_and_what_cannot_be_compared_are_told() -> None:
    cloud = scanned(5, lines=160)
    assert codes(cloud[cloud.laser == 0]) == ["laser-silent"]
    assert [each.code for each in doubts(cloud[cloud.laser == 0], None, lasers=1)] == ["one-laser-scan"]
    assert codes(scanned(6, lines=8)) == ["uncompared"]
