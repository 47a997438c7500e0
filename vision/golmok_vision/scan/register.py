"""Two clouds of one piece that lay differently, brought together: what one pose hides the other shows.

Iterated closest points (Chen and Medioni 1992, point to plane), with weights that let what only one cloud has have no
say. How the piece was laid is not asked: a coarse search over all rotations comes first, with few points; the best of
its starts are refined, and the best of those is taken. A piece that looks the same from several sides (a ball, a
plain ring) has no answer, and is told so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from golmok_vision.scan.cloud import Cloud
from golmok_vision.scan.rig import Pose

Floats: TypeAlias = npt.NDArray[np.float64]

_COARSE_POINTS: Final = 300
_COARSE_ROUNDS: Final = 8
_FINE_POINTS: Final = 15_000
_FINE_ROUNDS: Final = 40
_BEST_STARTS: Final = 6
_TURN_DEG: Final = 30.0
_SAME_SIDE: Final = 0.5
_DONE_MM: Final = 1e-5
_CERTAIN: Final = 0.85
"""Another pose that fits nearly as well, this share of it, makes the answer uncertain."""


@dataclass(frozen=True)
class Registration:
    """Where the second cloud goes (`pose` brings its points into the first's frame), and how well it fits."""

    pose: Pose
    rms_mm: float
    """Of the distances to the other surface, where both have one: robust."""

    overlap: float
    """Share of the second cloud's points that have a neighbour on the first within three times that."""

    is_certain: bool


class Surface:
    """A cloud to which others are brought: points with normals that look out."""

    def __init__(self, cloud: Cloud, most: int) -> None:
        points = cloud.points.astype(float)
        tree = cKDTree(points)
        index = np.arange(0, len(points), max(1, len(points) // most))
        self.points = points[index]
        self.normals = _normals(tree, points, index, cloud.towards[index].astype(float))
        self.tree = cKDTree(self.points)
        low, high = np.percentile(points, [1, 99], axis=0)
        self.middle = (low + high) / 2
        self.size_mm = float(np.linalg.norm(high - low))


def register(first: Cloud, second: Cloud) -> Registration:
    """Bring the second cloud to the first."""
    fine = Surface(first, 4 * _FINE_POINTS), Surface(second, _FINE_POINTS)
    coarse = Surface(first, 8 * _COARSE_POINTS), Surface(second, _COARSE_POINTS)
    starts = [_settled(*coarse, start, _COARSE_ROUNDS, coarse[0].size_mm / 8) for start in _starts(coarse)]
    starts.sort(key=lambda pose: -_score(*coarse, pose, 0.02 * coarse[0].size_mm))
    found: list[tuple[float, Pose]] = []
    for start in _different(starts)[:_BEST_STARTS]:
        pose = _settled(*fine, start, _FINE_ROUNDS, 0.03 * fine[0].size_mm)
        found.append((_score(*fine, pose, 0.3), pose))
    found.sort(key=lambda each: -each[0])
    score, pose = found[0]
    others = [each for each, other in found[1:] if not _is_same(pose, other)]
    off = _distances(*fine, pose)
    spread = 1.4826 * float(np.median(np.abs(off[np.abs(off) < 0.5]))) if (np.abs(off) < 0.5).any() else 9.9
    overlap = float(np.mean(np.abs(off) < max(3 * spread, 0.1)))
    return Registration(pose, spread, overlap, not others or max(others) < _CERTAIN * score)


def moved(cloud: Cloud, pose: Pose, first_frame: int) -> Cloud:
    """The cloud in the other's frame; its frames are counted on from `first_frame`."""
    rotation = pose.rotation.T.astype(np.float32)
    return Cloud(
        cloud.points @ rotation + pose.translation_mm.astype(np.float32),
        cloud.towards @ rotation,
        cloud.colour,
        cloud.laser,
        cloud.frame + np.uint16(first_frame),
    )


def _normals(tree: cKDTree, points: Floats, index: npt.NDArray[np.int64], towards: Floats) -> Floats:
    """Normals at some of the points, by the plane through their neighbours."""
    _, near = tree.query(points[index], k=min(24, len(points)))
    patches = points[near]
    centred = patches - patches.mean(1, keepdims=True)
    _, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", centred, centred))
    normals = axes[:, :, 0]
    return np.asarray(normals * np.sign((normals * towards).sum(1))[:, None])


def _starts(surfaces: tuple[Surface, Surface]) -> list[Pose]:
    """As it is, and turned in all directions, middle on middle."""
    first, second = surfaces
    turns = [np.eye(3)]
    # Directions spread evenly over the sphere, and around each of them in equal steps.
    count = round(4 * np.pi / np.radians(_TURN_DEG) ** 2)
    k = np.arange(count) + 0.5
    polar, azimuth = np.arccos(1 - 2 * k / count), np.pi * (1 + 5**0.5) * k
    for p, a in zip(polar, azimuth, strict=True):
        rolls = np.radians(np.arange(0, 360, _TURN_DEG))
        turns.extend(Rotation.from_euler("ZYZ", [[a, p, roll] for roll in rolls]).as_matrix())
    return [Pose(r, first.middle - r @ second.middle) for r in turns]


def _settled(first: Surface, second: Surface, pose: Pose, rounds: int, reach_mm: float) -> Pose:
    """Iterate; what is further than `reach_mm` counts little, and that shrinks."""
    rotation, shift = pose.rotation, pose.translation_mm
    for k in range(rounds):
        points, normals = second.points @ rotation.T + shift, second.normals @ rotation.T
        away, near = first.tree.query(points)
        target, facing = first.points[near], first.normals[near]
        off = ((target - points) * facing).sum(1)
        reach = max(reach_mm * 0.75**k, 0.15)
        weight = 1 / (1 + np.square(off / (0.5 * reach)))
        weight *= (away < 3 * reach + 1) & ((facing * normals).sum(1) > _SAME_SIDE)
        if np.count_nonzero(weight) < 12:
            break
        middle = points.mean(0)
        left = np.column_stack([np.cross(points - middle, facing), facing]) * weight[:, None]
        step = np.linalg.lstsq(left.T @ left + 1e-9 * np.eye(6), left.T @ (off * weight), rcond=None)[0]
        turn = np.asarray(cv2.Rodrigues(np.clip(step[:3], -0.3, 0.3))[0], float)
        rotation, shift = turn @ rotation, turn @ (shift - middle) + middle + step[3:]
        if k > 12 and float(np.abs(step[3:]).max() + np.abs(step[:3]).max() * 50) < _DONE_MM:
            break
    return Pose(rotation, shift)


def _distances(first: Surface, second: Surface, pose: Pose) -> Floats:
    """From each of the second's points to the first's surface, square to it; infinite where there is none."""
    points, normals = second.points @ pose.rotation.T + pose.translation_mm, second.normals @ pose.rotation.T
    away, near = first.tree.query(points)
    off = ((first.points[near] - points) * first.normals[near]).sum(1)
    known = ((first.normals[near] * normals).sum(1) > _SAME_SIDE) & (away < 0.03 * first.size_mm + 1)
    return np.where(known, off, np.inf)


def _score(first: Surface, second: Surface, pose: Pose, near_mm: float) -> float:
    """How much of the second lies on the first."""
    return float(np.mean(1 / (1 + np.square(_distances(first, second, pose) / near_mm))))


def _different(poses: list[Pose]) -> list[Pose]:
    """The best ones of those that came to the same place."""
    kept: list[Pose] = []
    for pose in poses:
        if not any(_is_same(pose, other) for other in kept):
            kept.append(pose)
        if len(kept) >= _BEST_STARTS:
            break
    return kept


def _is_same(one: Pose, other: Pose) -> bool:
    cosine = (np.trace(one.rotation.T @ other.rotation) - 1) / 2
    return bool(cosine > np.cos(np.radians(8)))
