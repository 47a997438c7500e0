"""Clouds as a perfect scanner would give them, for judging what is made of clouds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from golmok_vision.scan.cloud import Cloud

Floats = npt.NDArray[np.float64]


def knobbly(towards: Floats) -> Floats:
    """The radius in each direction (n, 3) of a piece of about 60 mm that looks the same from nowhere else."""
    x, y, z = towards.T
    return np.asarray(
        30 + 4 * np.sin(3 * x + 1) * np.cos(2 * y) + 5 * x * y + 3 * np.sin(4 * z) + 2 * np.cos(5 * x * z)
    )


def scanned(seed: int, lines: int = 60, noise_mm: float = 0.05, from_z: float = -0.9, to_z: float = 0.95) -> Cloud:
    """Lines from bottom to top at equal angles, seen from outside, of two lasers in turn."""
    dice = np.random.default_rng(seed)
    around = np.repeat(2 * np.pi * (np.arange(lines) + dice.uniform()) / lines, 120)
    z = np.tile(np.sin(np.linspace(np.arcsin(from_z), np.arcsin(to_z), 120)), lines)
    flat = np.sqrt(1 - z * z)
    towards = np.column_stack([flat * np.cos(around), flat * np.sin(around), z])
    points = towards * (knobbly(towards) + noise_mm * dice.normal(size=len(z)))[:, None] + [0, 0, 32]
    frame = np.repeat(np.arange(lines), 120)
    return Cloud(
        points.astype(np.float32), towards.astype(np.float32), np.full((len(z), 3), 90, np.uint8),
        (frame % 2).astype(np.uint8), (frame // 2).astype(np.uint16),
    )  # fmt: skip
