"""Points that are none: what hangs in the air at edges, and the plate's own.

At an edge half of the laser's line falls on what is in front and half on what is behind: the point between them is on
neither. It gives itself away by standing alone, or beside the surface on which the other frames' points agree.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.ndimage import label
from scipy.spatial import cKDTree

from golmok_vision.scan.cloud import Cloud

Floats: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_GAP_MM: Final = 1.2
_FEWEST: Final = 5
_LOW_MM: Final = 1.2
_NEIGHBOURS: Final = 16
_NEAR_MM: Final = 2.5
_AGREEING: Final = 6
_OFF_MM: Final = 0.25
_BEND: Final = 0.2
"""So much of the distance to its neighbours a point may lie beside their plane: surfaces are curved."""

_WIDE_MM: Final = 5.0
_WIDEST_MM: Final = 12.0
_GRAZING: Final = 25.0
"""So many times as far as usual lines lie apart on a surface that the light grazes."""

_FEWEST_STOPS: Final = 8
_MOST_CELLS: Final = 200
_SMALLEST_PART: Final = 0.01


def is_piece(cloud: Cloud) -> Mask:
    """Which points are the piece's: long enough runs, agreeing with their neighbours, in a part that is no crumb."""
    kept = long_runs(cloud)
    index = np.flatnonzero(kept)
    index = index[agreeing(cloud[index])]
    index = index[in_large_parts(cloud.points[index], same_part_mm(cloud))]
    found = np.zeros(len(cloud), bool)
    found[index] = True
    return found


def long_runs(cloud: Cloud) -> Mask:
    """Without short runs of a line, and without runs that never leave the plate. Points are in order along lines."""
    if len(cloud) < 2:
        return np.zeros(len(cloud), bool)
    apart = np.linalg.norm(np.diff(cloud.points, axis=0), axis=1) > _GAP_MM
    apart |= (np.diff(cloud.frame.astype(int)) != 0) | (np.diff(cloud.laser.astype(int)) != 0)
    run = np.concatenate([[0], np.cumsum(apart)])
    lengths = np.bincount(run)
    heights = np.maximum.reduceat(cloud.points[:, 2], np.flatnonzero(np.concatenate([[True], apart])))
    return np.asarray(((lengths >= _FEWEST) & (heights > _LOW_MM))[run])


def agreeing(cloud: Cloud) -> Mask:
    """Without points beside the plane through their neighbours on other lines, where those agree with each other."""
    if len(cloud) < 4 * _NEIGHBOURS:
        return np.ones(len(cloud), bool)
    points = cloud.points.astype(float)
    some = np.arange(0, len(points), 3 if len(points) > 100_000 else 1)
    line = cloud.frame.astype(np.int64) * 256 + cloud.laser
    good = np.ones(len(points), bool)
    tree = cKDTree(points[some])
    for begin in range(0, len(points), 50_000):  # keeps memory low
        mine = slice(begin, begin + 50_000)
        away, near = tree.query(points[mine], k=_NEIGHBOURS, distance_upper_bound=_NEAR_MM)
        there = np.isfinite(away)
        near = some[np.where(there, near, 0)]
        there &= line[near] != line[mine][:, None]
        good[mine] = _fits(points[mine], points[near], there)
    return good


def _fits(points: Floats, near: Floats, there: Mask) -> Mask:
    count = there.sum(1)
    weight = there / np.maximum(count, 1)[:, None]
    middle = np.matmul(weight[:, None], near)[:, 0]
    centred = (near - middle[:, None]) * there[:, :, None]
    spread = np.matmul(centred.transpose(0, 2, 1), centred) / np.maximum(count, 1)[:, None, None]
    values, axes = np.linalg.eigh(spread)
    off = np.abs(((points - middle) * axes[:, :, 0]).sum(1))
    rough = np.sqrt(np.maximum(values[:, 0], 0))
    # A plane is known where neighbours lie to all sides and flat.
    wide = np.sqrt(np.einsum("nki,nki->n", centred, centred) / np.maximum(count, 1))
    known = (
        (count >= _AGREEING)
        & (values[:, 1] > 0.05 * values[:, 2])
        & (rough < 0.25 * np.sqrt(np.maximum(values[:, 1], 0)))
    )
    return np.asarray(~(known & (off > np.maximum(_OFF_MM + _BEND * wide, 4 * rough))))


def in_large_parts(points: npt.NDArray[np.float32], apart_mm: float, least: float = _SMALLEST_PART) -> Mask:
    """Without crumbs: points within some `apart_mm` make parts; those with less than a share of all are left out."""
    if not len(points):
        return np.zeros(0, bool)
    low = points.min(0)
    cell = max(apart_mm / 2, float((points.max(0) - low).max()) / _MOST_CELLS)
    at = ((points - low) / cell).astype(int)
    grid = np.zeros(at.max(0) + 1, bool)
    grid[tuple(at.T)] = True
    parts, _ = label(grid, np.ones((3, 3, 3)))
    part = parts[tuple(at.T)]
    counts = np.bincount(part)
    return np.asarray(counts[part] >= max(least * len(points), 20))


def between_lines_mm(cloud: Cloud) -> float:
    """How far one laser line is usually from the next; 0 where the frames do not tell."""
    stops = len(np.unique(cloud.frame))
    if stops < _FEWEST_STOPS:
        return 0.0
    radius = float(np.median(np.hypot(cloud.points[:, 0], cloud.points[:, 1])))
    return 2 * np.pi * radius / (stops * len(np.unique(cloud.laser)))


def same_part_mm(cloud: Cloud) -> float:
    """What is no farther away may be the next line of the same surface."""
    return float(np.clip(_GRAZING * between_lines_mm(cloud), _WIDE_MM, _WIDEST_MM))
