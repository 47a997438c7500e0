"""Moves the vertices of a rough closed surface onto the samples, and says where there is none near.

Each vertex goes to where the quadrics of the samples around it meet (a least-squares problem in three unknowns): on a
flat or round place along the normal only, at an edge onto the edge, at a corner into the corner. Samples that face
another way do not count, so the two sides of a thin wall do not pull at each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from golmok_vision.scan.cloud import Singles
from golmok_vision.scan.mesh.closed import Faces, distinct
from golmok_vision.scan.mesh.samples import Samples, squares

_CHUNK: Final = 20_000
_STIFF: Final = 0.03
"""How much a vertex wants to stay where it is, beside samples that say otherwise: more than the noise of normals."""

_FACING_COS: Final = 0.2
_GAP_SPACINGS: Final = 3.0
_GAP_MM: Final = 1.0
_FLAT_MM: Final = 1e-3
_OFF_PLANE_MM: Final = 0.2
_AWAY_COS: Final = 0.3
"""Between the vertex of a cube's corner and its faces it is 0.58."""


@dataclass(frozen=True)
class Fitted:
    """The vertices where they belong; how far from each the nearest sample is (mm), and which that is."""

    vertices: Singles
    gaps_mm: Singles
    nearest: npt.NDArray[np.int64]


def fitted(vertices: Singles, faces: Faces, nearest: npt.NDArray[np.int64], samples: Samples, edge_mm: float) -> Fitted:
    """Vertices on the samples, no farther from where they were than the grid was coarse.

    `nearest` names the nearest sample of each.
    """
    normals = vertex_normals(vertices, faces)
    gaps = np.linalg.norm(vertices - samples.points[nearest], axis=1)
    on_plate = vertices[:, 2] <= _FLAT_MM
    moved = vertices.copy()
    reach = 1.3 * max(samples.spacing_mm, 0.7 * edge_mm)
    near = np.flatnonzero(gaps < 3 * edge_mm + samples.spacing_mm)
    for at in range(0, len(near), _CHUNK):
        part = near[at : at + _CHUNK]
        place = vertices[part]
        for _ in range(2):
            place = place + _step(place, normals[part], nearest[part], samples, reach)
        step = place - vertices[part]
        length = np.linalg.norm(step, axis=1, keepdims=True)
        most = 1.5 * edge_mm * np.clip(2 - gaps[part, None] / (1.5 * edge_mm), 0, 1)
        moved[part] = vertices[part] + step * np.minimum(1, most / np.maximum(length, 1e-9))
    moved[:, 2] = np.where(on_plate, 0, np.maximum(moved[:, 2], 2 * _FLAT_MM))
    moved = distinct(unfolded(vertices, moved, faces), faces)
    gaps = np.linalg.norm(moved - samples.points[nearest], axis=1)
    return Fitted(moved, gaps.astype(np.float32), nearest)


def is_invented(gaps_mm: npt.NDArray[np.floating], samples: Samples) -> npt.NDArray[np.bool_]:
    """Whether nothing was measured so near."""
    return np.asarray(gaps_mm > max(_GAP_MM, _GAP_SPACINGS * samples.spacing_mm))


def leaves_samples(fit: Fitted, faces: Faces, samples: Samples) -> npt.NDArray[np.bool_]:
    """Whether the surface, near a sample as it is, goes elsewhere: off its plane, or facing another way.

    Where what was measured ends, the surface that is invented begins right beside the last samples.
    """
    facing = samples.normals[fit.nearest]
    height = np.abs(np.einsum("ni,ni->n", fit.vertices - samples.points[fit.nearest], facing))
    same_way = np.einsum("ni,ni->n", vertex_normals(fit.vertices, faces), facing)
    return np.asarray((height > max(_OFF_PLANE_MM, 0.5 * samples.spacing_mm)) | (same_way < _AWAY_COS))


def vertex_normals(vertices: Singles, faces: Faces) -> Singles:
    """Outward, the mean of the faces' by their area."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    cross = np.cross(b - a, c - a)
    sums = np.stack(
        [np.bincount(faces.ravel(), np.repeat(cross[:, axis], 3), len(vertices)) for axis in range(3)], axis=1
    )
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12), np.float32)


def _step(place: Singles, normals: Singles, nearest: npt.NDArray[np.int64], samples: Samples, reach: float) -> Singles:
    """How far to go: least squares over the samples around the nearest one."""
    around = samples.neighbours.take(nearest, 0)
    away = place[:, None] - samples.points.take(around, 0)
    facing = samples.normals.take(around, 0)
    weight = np.exp(-squares(away) / (2 * reach**2))
    weight *= np.matmul(facing, normals[:, :, None])[:, :, 0] > _FACING_COS
    total = weight.sum(1)
    k = samples.bends.take(around, 0)
    x, y, z = (away[:, :, i] for i in range(3))
    bend = k[:, :, 0] * x * x + k[:, :, 1] * y * y + k[:, :, 2] * z * z
    bend += 2 * (k[:, :, 3] * x * y + k[:, :, 4] * x * z + k[:, :, 5] * y * z)
    height = np.einsum("nki,nki->nk", facing, away) - bend
    weighted = facing * (weight / np.maximum(total, 1e-9)[:, None])[:, :, None]
    left = np.matmul(weighted.transpose(0, 2, 1), facing) + _STIFF * np.eye(3, dtype=np.float32)
    right = -np.matmul(weighted.transpose(0, 2, 1), height[:, :, None])
    step = np.linalg.solve(left, right)[:, :, 0] * (1 + _STIFF)
    return np.asarray(np.where(total[:, None] > 1e-3, step, 0), np.float32)


def unfolded(before: Singles, after: Singles, faces: Faces) -> Singles:
    """Where a move turned a triangle over, its vertices go back by halves until it lies as before."""
    after = after.copy()
    first = before[faces[:, 0]]
    old = np.cross(before[faces[:, 1]] - first, before[faces[:, 2]] - first)
    live = np.arange(len(faces))
    for _ in range(6):
        a = after[faces[live, 0]]
        new = np.cross(after[faces[live, 1]] - a, after[faces[live, 2]] - a)
        scale = np.linalg.norm(new, axis=1) * np.linalg.norm(old[live], axis=1)
        turned = np.einsum("ni,ni->n", new, old[live]) < 0.1 * scale
        if not turned.any():
            break
        bad = np.unique(faces[live[turned]])
        after[bad] = (after[bad] + before[bad]) / 2
        touched = np.zeros(len(before), bool)
        touched[bad] = True
        live = np.flatnonzero(touched[faces].any(1))
    return after
