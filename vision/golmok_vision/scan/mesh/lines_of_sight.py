"""Where the camera looked through: no surface can be there.

Between the camera and each point that it saw there is nothing. Where points lie well behind a place and the way from
them to the camera leads through it, the place is in the mouth of a slot or a hole, however well its edges fit.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from golmok_vision.scan.cloud import Cloud, Singles

Mask = npt.NDArray[np.bool_]

_BEHIND_MM: Final = 1.0
"""So far behind a place a point must lie to be none of its own surface."""

_THROUGH_MM: Final = 0.5
"""How near a line of sight passes a place that it goes through; also the step in which it is followed."""

_FARTHEST_MM: Final = 15.0
"""A line of sight is followed little farther than surfaces are bridged."""

_MOST_LINES: Final = 20_000
_TOGETHER: Final = 3
_TOGETHER_MM: Final = 1.5
"""So many lines of sight within this: one or two may be of strays."""

_AT_ONCE: Final = 4_000


def looked_through(places: Singles, normals: Singles, cloud: Cloud) -> Mask:
    """Through which of `places` (n, 3), mm, of a surface that faces as `normals` say, the camera saw what is behind."""
    hits = _hits(places, normals, cloud[:: max(1, len(cloud) // _MOST_LINES)]) if len(places) else places
    if len(hits) < _TOGETHER:
        return np.zeros(len(places), bool)
    far, _ = cKDTree(hits).query(places, k=_TOGETHER, distance_upper_bound=_TOGETHER_MM)
    return np.asarray(np.isfinite(far[:, -1]))


def _hits(places: Singles, normals: Singles, seen: Cloud) -> Singles:
    """Where lines of sight pass a place, each line once for each."""
    tree, box = cKDTree(places), _Box(places)
    ahead = np.arange(_BEHIND_MM, _FARTHEST_MM, _THROUGH_MM, dtype=np.float32)
    found = []
    for at in range(0, len(seen), _AT_ONCE):
        points, towards = seen.points[at : at + _AT_ONCE], seen.towards[at : at + _AT_ONCE]
        way = points[:, None] + ahead[:, None] * towards[:, None, :]
        line, step = np.nonzero(box.may_hold(way))
        where = way[line, step]
        far, nearest = tree.query(where, distance_upper_bound=_THROUGH_MM)
        near = np.isfinite(far)
        line, nearest = line[near], nearest[near]
        behind = np.einsum("ij,ij->i", places[nearest] - points[line], normals[nearest])
        pairs = np.unique(np.column_stack([line, nearest])[behind > _BEHIND_MM], axis=0)
        found.append(places[pairs[:, 1]])
    return np.concatenate(found) if found else places[:0]


class _Box:
    """Which millimetres of the places' box have one near: most of a line of sight leads where there is none."""

    def __init__(self, places: Singles) -> None:
        self._low = places.min(0) - 2
        self._shape = np.ceil(places.max(0) - self._low).astype(np.int64) + 3
        self._held = np.zeros(self._shape, bool)
        cells = np.unique(np.floor(places - self._low).astype(np.int64), axis=0)
        around = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)
        for aside in around:
            self._held[tuple((cells + aside).T)] = True

    def may_hold(self, way: Singles) -> Mask:
        cells = np.floor(way - self._low).astype(np.int64)
        inside = ((cells >= 0) & (cells < self._shape)).all(-1)
        held = np.zeros(way.shape[:-1], bool)
        held[inside] = self._held[tuple(cells[inside].T)]
        return held
