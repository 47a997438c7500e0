"""How far points are from a mesh, and where on it the nearest place is: what comparing and aligning stand on.

Triangles of any size: they are cut until none is longer than a grain, the nearest middles are candidates, and the
distance to each candidate is exact. One can be missed only where pieces of more than `_CANDIDATES` triangles lie about
equally far, and then the error is a small part of the grain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import trimesh
from scipy.spatial import cKDTree

from golmok_vision.scan.errors import MeshError

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

_CANDIDATES: Final = 8
_CHUNK: Final = 20_000
_GRAINS: Final = 120
"""Of the longest edge of the box: how fine the triangles are cut."""

_MOST_PIECES: Final = 1_500_000


@dataclass(frozen=True)
class Nearest:
    """For each point: mm to the mesh, the place on it, and that triangle's normal, outward."""

    away_mm: Floats
    places: Floats
    normals: Floats

    inside: npt.NDArray[np.bool_]
    """Whether the point lies behind the surface."""


class Surface:
    """A mesh to measure from. Raises `MeshError` where it has no triangle with an area."""

    def __init__(self, vertices: npt.ArrayLike, faces: npt.ArrayLike) -> None:
        corners = np.asarray(vertices, float)[np.asarray(faces, np.int64)]
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(cross, axis=1)
        real = length > 0
        if not real.any():
            raise MeshError("the mesh has no surface: all of its triangles are points or lines")
        self._corners, self._normals = corners[real], cross[real] / length[real, None]
        self.areas = length[real] / 2
        middles, self._parent = _pieces(self._corners)
        self._tree = cKDTree(middles)

    def nearest(self, points: npt.ArrayLike) -> Nearest:
        """Of points (n, 3)."""
        asked = np.asarray(points, float).reshape(-1, 3)
        away, places, normals = np.full(len(asked), np.inf), np.empty_like(asked), np.empty_like(asked)
        count = min(_CANDIDATES, self._tree.n)
        for at in range(0, len(asked), _CHUNK):
            part = slice(at, at + _CHUNK)
            _, found = self._tree.query(asked[part], k=count)
            away[part], places[part], normals[part] = self._best(asked[part], self._parent[found.reshape(-1, count)])
        return Nearest(away, places, normals, np.einsum("ni,ni->n", asked - places, normals) < 0)

    def _best(self, asked: Floats, candidates: Ints) -> tuple[Floats, Floats, Floats]:
        n, count = candidates.shape
        flat = candidates.ravel()
        repeated = np.repeat(asked, count, axis=0)
        closest: Any = trimesh.triangles.closest_point(self._corners[flat], repeated)  # type: ignore[no-untyped-call]
        away = np.linalg.norm(closest - repeated, axis=1).reshape(n, count)
        best = away.argmin(1)
        rows = np.arange(n)
        places = np.asarray(closest, float).reshape(n, count, 3)[rows, best]
        return away[rows, best], places, self._normals[candidates[rows, best]]

    def sprinkled(self, count: int, seed: int = 0) -> tuple[Floats, Floats]:
        """So many points spread evenly over it, and the normal at each."""
        dice = np.random.Generator(np.random.SFC64(seed))
        ends = np.cumsum(self.areas)
        which = np.minimum(np.searchsorted(ends, dice.uniform(0, ends[-1], count), side="right"), len(ends) - 1)
        u, v = dice.uniform(size=(2, count, 1))
        u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
        a, b, c = (self._corners[which, i] for i in range(3))
        return a + u * (b - a) + v * (c - a), self._normals[which]


def _pieces(corners: Floats) -> tuple[Floats, Ints]:
    """The middles of the triangles' pieces, none longer than a grain, and whose pieces they are."""
    grain = float(np.ptp(corners.reshape(-1, 3), axis=0).max()) / _GRAINS
    parent = np.arange(len(corners))
    while True:
        edges = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)
        large = edges.max(1) > grain
        if not large.any() or len(corners) > _MOST_PIECES:
            return corners.mean(1), parent
        corners = np.concatenate([corners[~large], _halved(corners[large], edges[large])])
        parent = np.concatenate([parent[~large], np.repeat(parent[large], 2)])


def _halved(corners: Floats, edges: Floats) -> Floats:
    """Each triangle cut through the middle of its longest edge: two rows in place of one."""
    first = edges.argmax(1)
    rows = np.arange(len(corners))
    a, b, c = (corners[rows, (first + i) % 3] for i in range(3))
    middle = (a + b) / 2
    return np.stack([np.stack([a, middle, c], 1), np.stack([middle, b, c], 1)], 1).reshape(-1, 3, 3)
