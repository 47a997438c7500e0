"""A body of known size on the table tells whether all sizes are right: a ball or a cylinder, its diameter by caliper.

Fitted are all measured points that lie on the round part, robustly: a rim, a flat top or a hand's breadth of something
else beside it has no say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np

from golmok_vision.scan.errors import MeshError, OrderError
from golmok_vision.scan.nearest import Floats

Shape: TypeAlias = Literal["ball", "cylinder"]

_ROUNDS: Final = 40
_DONE_MM: Final = 1e-6
_MOST_POINTS: Final = 12_000
_SIDE_COS: Final = 0.2
"""Of a cylinder only the side: where the normal leans to the axis less than this."""

_LEAST_SHARE: Final = 0.3
_FITS_MM: Final = 0.5
_ROUND_SHARE: Final = 0.02


@dataclass(frozen=True)
class Gauge:
    """What stands on the table, and how large it truly is."""

    shape: Shape
    diameter_mm: float

    @classmethod
    def parse(cls, text: str) -> Gauge:
        """Of `ball:30` or `cylinder:40`; raises `OrderError`."""
        shape, _, size = text.partition(":")
        try:
            diameter = float(size)
        except ValueError:
            diameter = float("nan")
        if shape not in get_args(Shape) or not 1 <= diameter <= 1000:
            raise OrderError(f"gauge {text!r}: give the shape and its diameter in mm, ball:30 or cylinder:40")
        return cls("ball" if shape == "ball" else "cylinder", diameter)


def check(gauge: Gauge, points: Floats, normals: Floats) -> dict[str, Any]:
    """Measured diameter and scale error; raises `MeshError` where the piece is no such gauge."""
    fit = _ball if gauge.shape == "ball" else _cylinder
    every = max(1, len(points) // _MOST_POINTS)
    radius, off = fit(points[::every], normals[::every])
    fits = np.abs(off) < max(_FITS_MM, _ROUND_SHARE * radius)
    if not np.isfinite(radius) or fits.mean() < _LEAST_SHARE:
        raise MeshError(
            f"the piece is no {gauge.shape}: {fits.mean():.0%} of its surface lies on one; scan the gauge alone, in "
            f"the middle of the plate"
        )
    measured = 2 * radius
    return {
        "shape": gauge.shape,
        "true_mm": gauge.diameter_mm,
        "measured_mm": round(measured, 4),
        "scale_error": round(measured / gauge.diameter_mm - 1, 6),
        "roundness_rms_mm": round(float(np.sqrt(np.square(off[fits]).mean())), 4),
        "share_fitted": round(float(fits.mean()), 4),
    }


def _weights(off: Floats) -> Floats:
    spread = max(1.4826 * float(np.median(np.abs(off - np.median(off)))), 1e-3)
    return np.asarray(1 / np.square(1 + np.square(off / (3 * spread))))


def _solved(left: Floats, off: Floats, weight: Floats) -> Floats:
    weighted = left * weight[:, None]
    normal = weighted.T @ left
    return np.asarray(np.linalg.solve(normal + 1e-9 * np.trace(normal) * np.eye(len(normal)), -weighted.T @ off))


def _ball(points: Floats, normals: Floats) -> tuple[float, Floats]:
    """Radius, and how far each point is off."""
    # Normals of a ball meet in its middle: a start that half a ball and a rim do not lead astray.
    centre, radius = _meeting(points, normals)
    for _ in range(_ROUNDS):
        ray = points - centre
        away = np.linalg.norm(ray, axis=1)
        off = away - radius
        weight = _weights(off)
        left = np.column_stack([-ray / np.maximum(away, 1e-9)[:, None], -np.ones(len(points))])
        step = _solved(left, off, weight)
        centre, radius = centre + step[:3], radius + float(step[3])
        if float(np.abs(step).max()) < _DONE_MM:
            break
    return float(radius), np.linalg.norm(points - centre, axis=1) - radius


def _meeting(points: Floats, normals: Floats) -> tuple[Floats, float]:
    """Where p - r n is the same for all: least squares for the place and r."""
    mean_p, mean_n = points.mean(0), normals.mean(0)
    p, n = points - mean_p, normals - mean_n
    radius = float((p * n).sum() / max(float((n * n).sum()), 1e-12))
    return mean_p - radius * mean_n, radius


def _cylinder(points: Floats, normals: Floats) -> tuple[float, Floats]:
    """The same; the axis may lean."""
    best: tuple[float, Floats] = (float("nan"), np.full(len(points), np.inf))
    for axis in (np.array([0.0, 0.0, 1.0]), *np.linalg.eigh(normals.T @ normals)[1].T):
        side = np.abs(normals @ axis) < _SIDE_COS
        if side.sum() < 200:
            continue
        radius, off = _tube(points[side], normals[side], axis)
        whole = np.full(len(points), np.inf)
        whole[side] = off
        if np.median(np.abs(off)) / max(side.mean(), 1e-9) < _median(best[1]):
            best = radius, whole
    return best


def _median(off: Floats) -> float:
    known = np.isfinite(off)
    return float(np.median(np.abs(off[known])) / known.mean()) if known.any() else float("inf")


def _tube(points: Floats, normals: Floats, axis: Floats) -> tuple[float, Floats]:
    one = np.cross(axis, [1.0, 0.0, 0.0] if abs(axis[0]) < 0.7 else [0.0, 1.0, 0.0])
    one /= np.linalg.norm(one)
    other = np.cross(axis, one)
    flat = np.column_stack([points @ one, points @ other])
    facing = np.column_stack([normals @ one, normals @ other])
    centre, radius = _meeting(flat, facing)
    along = points @ axis - (points @ axis).mean()
    lean = np.zeros(2)
    for _ in range(_ROUNDS):
        ray = flat - centre - along[:, None] * lean
        away = np.linalg.norm(ray, axis=1)
        off = away - radius
        weight = _weights(off)
        unit = ray / np.maximum(away, 1e-9)[:, None]
        left = np.column_stack([-unit, -unit * along[:, None], -np.ones(len(points))])
        step = _solved(left, off, weight)
        centre, lean, radius = centre + step[:2], lean + step[2:4], radius + float(step[4])
        if float(np.abs(step).max()) < _DONE_MM:
            break
    # A leaning tube's level section is an ellipse: to first order its mean radius is still the tube's.
    off = np.linalg.norm(flat - centre - along[:, None] * lean, axis=1) - radius
    return float(radius), off
