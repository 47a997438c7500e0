"""How flat a cloud is: the chessboard in it, or else its largest plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np

from golmok_vision.scan.dataset import Picture
from golmok_vision.scan.graycode import Floats, Mask
from golmok_vision.scan.pair import Cloud

_NEAR: Final = 2e-3
_TRIES: Final = 200
_STRAY: Final = 6.0
_LEAST_POINTS: Final = 50


@dataclass(frozen=True)
class Flat:
    """A plane, `normal . p == offset`, and how well its points keep to it."""

    of: Literal["board", "largest"]
    """What it is of: the chessboard's points, or all points."""

    normal: Floats
    offset: float
    count: int
    """Its points: those within 0.2 % of the range; of a board all but strays."""

    share: float
    """How much that is of the board's points, or of all."""

    rms: float
    """Of its points' distances from it."""

    range: float
    """Their median distance from the camera, by which `rms` is to be judged."""


def flattest(cloud: Cloud, outline: Floats | None, seed: int = 0) -> Flat | None:
    """The plane of the chessboard within `outline`, else the one that most points lie near."""
    if outline is not None:
        flat = largest(cloud.points[_within(cloud.pixels, outline)], "board", seed)
        if flat is not None:
            return flat
    return largest(cloud.points, "largest", seed)


def board_outline(white: Picture) -> Floats | None:
    """The outermost inner corners of a chessboard, however many squares it has; what lies within is the board's."""
    found, corners, squares = cv2.findChessboardCornersSBWithMeta(white, (3, 3), cv2.CALIB_CB_LARGER)
    if not found:
        return None
    grid = np.asarray(corners, float).reshape(*squares.shape, 2)
    return np.array([grid[0, 0], grid[0, -1], grid[-1, -1], grid[-1, 0]])


def _within(pixels: Floats, outline: Floats) -> Mask:
    sides = np.roll(outline, -1, 0) - outline
    to = pixels[:, None] - outline
    turns = sides[:, 0] * to[..., 1] - sides[:, 1] * to[..., 0]
    return np.asarray((turns > 0).all(1) | (turns < 0).all(1))


def largest(points: Floats, of: Literal["board", "largest"] = "largest", seed: int = 0) -> Flat | None:
    """The plane with the most points near it (0.2 % of the range), by RANSAC and then least squares."""
    if len(points) < _LEAST_POINTS:
        return None
    random = np.random.default_rng(seed)
    some = points[random.choice(len(points), min(4000, len(points)), replace=False)]
    near = _NEAR * float(np.median(np.linalg.norm(some, axis=1)))
    most, best = -1, np.zeros(4)
    for _ in range(_TRIES):
        a, b, c = some[random.choice(len(some), 3, replace=False)]
        normal = np.cross(b - a, c - a)
        length = float(np.linalg.norm(normal))
        if length < 1e-9:
            continue
        normal /= length
        count = int((np.abs((some - a) @ normal) < near).sum())
        if count > most:
            most, best = count, np.append(normal, normal @ a)
    for _ in range(5):
        member = points[_near(points, best, near, of)]
        if len(member) < 3:
            return None
        middle = member.mean(0)
        normal = np.linalg.svd((member - middle).T @ (member - middle))[0][:, -1]
        best = np.append(normal, normal @ middle)
    member = points[_near(points, best, near, of)]
    rms = float(np.sqrt(np.square(member @ best[:3] - best[3]).mean()))
    away = float(np.median(np.linalg.norm(member, axis=1)))
    return Flat(of, best[:3], float(best[3]), len(member), len(member) / len(points), rms, away)


def _near(points: Floats, plane: Floats, near: float, of: Literal["board", "largest"]) -> Mask:
    """What is of the plane. All of a board is, so however rough it is nothing but strays is left out."""
    away = np.abs(points @ plane[:3] - plane[3])
    if of == "board":
        near = max(near, _STRAY * 1.48 * float(np.median(away)))
    return np.asarray(away < near)
