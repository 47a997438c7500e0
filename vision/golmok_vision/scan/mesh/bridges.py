"""Samples between laser lines that lie far apart.

Where a sheet of light grazes a surface, its lines are millimetres apart, and along each of them the points lie close:
a neighbourhood by number is then a piece of one line and knows no surface, and nothing tells the grid that the surface
goes on between. So lines are thinned to about what lies between them, and the straight way from sample to sample on
the next line is filled, bent as both their quadrics say. Nothing is added beyond the last line, across an edge, or over
more than a few millimetres: there nobody looked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from golmok_vision.scan.cloud import Singles

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_LINE_LIKE: Final = 0.15
_SPARSE: Final = 1.5
_SAME_WAY_COS: Final = 0.8
_SLOPE: Final = 0.35
"""How far aside of the other's tangent plane a neighbour may lie, of its distance."""

_PAIRS: Final = 60_000
"""Worked on at a time."""


def is_line_like(spreads: Singles) -> Mask:
    """Whose neighbours lie along a line; `spreads` (n, 3) are the variances of each neighbourhood, least first."""
    return np.asarray(spreads[:, 1] < _LINE_LIKE * spreads[:, 2])


@dataclass(frozen=True)
class Bridged:
    """Places between samples, and which two samples (first the nearer) each of them lies between."""

    points: Singles
    normals: Singles
    between: Ints


def bridged(points: Singles, normals: Singles, bends: Singles, neighbours: npt.NDArray[np.int32],
            apart_mm: tuple[float, float]) -> Bridged:  # fmt: skip
    """What to add where samples are farther apart than usual, about as dense as they are elsewhere.

    `apart_mm`: how far they usually are, and how far they may be and still lie on one surface.
    """
    spacing_mm = apart_mm[0]
    far = np.linalg.norm(points[neighbours[:, 8]] - points, axis=1)
    sparse = np.flatnonzero(far > 2 * _SPARSE * spacing_mm)
    one = np.repeat(sparse, neighbours.shape[1] - 1)
    other = neighbours[sparse, 1:].astype(np.int64).ravel()
    one, other = _pairs(one, other, points, normals, apart_mm)
    parts = [_between(points, normals, bends, one[at : at + _PAIRS], other[at : at + _PAIRS], spacing_mm)
             for at in range(0, len(one), _PAIRS)]  # fmt: skip
    if not parts:
        return Bridged(np.empty((0, 3), np.float32), np.empty((0, 3), np.float32), np.empty((0, 2), np.int64))
    return Bridged(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _pairs(
    one: Ints, other: Ints, points: Singles, normals: Singles, apart_mm: tuple[float, float]
) -> tuple[Ints, Ints]:
    """Of one surface, each pair once."""
    key = np.unique(np.minimum(one, other) * np.int64(len(points)) + np.maximum(one, other))
    one, other = key // len(points), key % len(points)
    way = points[other] - points[one]
    length = np.linalg.norm(way, axis=1)
    aside = np.maximum(np.abs((way * normals[one]).sum(1)), np.abs((way * normals[other]).sum(1)))
    fits = (length > _SPARSE * apart_mm[0]) & (length < apart_mm[1]) & (aside < _SLOPE * length)
    fits &= (normals[one] * normals[other]).sum(1) > _SAME_WAY_COS
    return one[fits], other[fits]


def _between(points: Singles, normals: Singles, bends: Singles, one: Ints, other: Ints, spacing_mm: float
             ) -> tuple[Any, ...]:  # fmt: skip
    """Places on the way from each of `one` to its `other`."""
    length = np.linalg.norm(points[other] - points[one], axis=1)
    count = np.ceil(length / spacing_mm).astype(np.int64) - 1
    pair = np.repeat(np.arange(len(one)), count)
    nth = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count) + 1
    share = (nth / (count[pair] + 1)).astype(np.float32)[:, None]
    a, b = one[pair], other[pair]
    place = points[a] * (1 - share) + points[b] * share
    ways = [_onto(place, points[end], normals[end], bends[end]) for end in (a, b)]
    # The nearer of the two knows more; at either end it alone counts, so that nothing jumps there.
    weight = np.square(1 - share), np.square(share)
    place = place + (ways[0] * weight[0] + ways[1] * weight[1]) / (weight[0] + weight[1])
    normal = normals[a] * (1 - share) + normals[b] * share
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    nearer = np.where(share < 0.5, a[:, None], b[:, None]), np.where(share < 0.5, b[:, None], a[:, None])
    return place.astype(np.float32), normal.astype(np.float32), np.concatenate(nearer, axis=1)


def _onto(place: Singles, point: Singles, normal: Singles, bend: Singles) -> Singles:
    """The way along the normal onto a sample's quadric."""
    away = place - point
    x, y, z = away.T
    k = bend.T
    height = k[0] * x * x + k[1] * y * y + k[2] * z * z + 2 * (k[3] * x * y + k[4] * x * z + k[5] * y * z)
    height -= (normal * away).sum(1)
    return np.asarray(normal * height[:, None])
