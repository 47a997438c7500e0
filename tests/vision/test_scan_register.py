"""Two poses of one piece: brought together wherever the second one lay."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from golmok_vision.scan.cloud import Cloud
from golmok_vision.scan.register import moved, register
from golmok_vision.scan.rig import Pose
from tests.vision.scan_clouds import scanned


@pytest.mark.parametrize(
    ("turn", "shift"),
    [
        ((20, 0, 0), (3, -2, 1)),
        ((95, 170, -60), (0, 8, 15)),
    ],
)
def test_the_second_pose_is_found(turn: tuple[float, ...], shift: tuple[float, ...]) -> None:
    # No line is shared, and each pose hides another end of the piece.
    first, second = scanned(1, to_z=0.7), scanned(2, from_z=-0.6)
    away = Pose(Rotation.from_euler("xyz", turn, degrees=True).as_matrix(), np.array(shift, float))
    lying = moved(second, away, 0)
    found = register(first, lying)
    back = moved(lying, found.pose, 100)
    assert float(np.linalg.norm(back.points - second.points, axis=1).max()) < 0.06
    assert float(np.linalg.norm(back.points - second.points, axis=1).mean()) < 0.03
    assert np.allclose(back.towards, second.towards, atol=2e-3)
    assert found.is_certain
    assert found.overlap > 0.6
    assert int(back.frame.min()) == 100


def test_another_piece_does_not_fit() -> None:
    first = scanned(3)
    dice = np.random.default_rng(4)
    towards = dice.normal(size=(6000, 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    other = Cloud.of(towards * [18, 25, 45], towards)
    found = register(first, other)
    assert found.overlap < 0.3 or found.rms_mm > 0.2
