"""The model of a piece: a closed mesh in mm that knows, vertex by vertex, what was measured and what was not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import trimesh
from scipy.spatial import cKDTree

from golmok_vision.scan.cloud import Singles
from golmok_vision.scan.errors import MeshError

MEASURED: Final = 0
INVENTED: Final = 1
PLATE: Final = 2
"""Where it stood: not seen, and yet known to lie in the plane of the plate."""


@dataclass(frozen=True)
class Model:
    """Triangles of a closed surface, outward, in the turntable's frame; vertices are shared.

    For each vertex: `colours` (red, green, blue as a screen shows them), `invented` (`MEASURED`, `INVENTED` or
    `PLATE`), and `gap_mm`, how far the nearest measured place is.
    """

    vertices: Singles
    faces: npt.NDArray[np.int32]
    colours: npt.NDArray[np.uint8]
    invented: npt.NDArray[np.uint8]
    gap_mm: Singles

    def trimesh(self) -> trimesh.Trimesh:
        """For measuring and writing: nothing is merged, dropped or turned round."""
        return trimesh.Trimesh(self.vertices, self.faces, process=False)

    @property
    def face_areas(self) -> npt.NDArray[np.float64]:
        """mm2 of each triangle."""
        a, b, c = (self.vertices[self.faces[:, i]].astype(float) for i in range(3))
        return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)

    @property
    def volume_mm3(self) -> float:
        """What it encloses."""
        a, b, c = (self.vertices[self.faces[:, i]].astype(float) for i in range(3))
        return float(np.einsum("ni,ni->", a, np.cross(b, c)) / 6)

    def share(self, kind: int) -> float:
        """How much of the surface is of this kind, 0 to 1."""
        areas = self.face_areas
        return float((areas * (self.invented[self.faces] == kind).mean(1)).sum() / max(areas.sum(), 1e-12))

    def like(self, vertices: Singles, faces: npt.NDArray[np.int32]) -> Model:
        """Another mesh of the same piece, with what is known of the places where it now has vertices.

        Its triangles may be large: a vertex counts as invented where most of the surface around it is.
        """
        tree = cKDTree(self.vertices)
        _, nearest = tree.query(vertices)
        other = replace(
            self, vertices=vertices, faces=faces, colours=self.colours[nearest], gap_mm=self.gap_mm[nearest],
            invented=self.invented[nearest],
        )  # fmt: skip
        corners = vertices[faces]
        inside = np.concatenate(
            [corners * 0.5 + corners.mean(1, keepdims=True) * 0.5, corners.mean(1, keepdims=True)], 1
        )
        kinds = self.invented[tree.query(inside)[1]]
        votes = np.zeros((len(vertices), 3))
        for kind in (MEASURED, INVENTED, PLATE):
            share = (kinds == kind).mean(1) * other.face_areas
            votes[:, kind] = np.bincount(faces.ravel(), np.repeat(share, 3), len(vertices))
        unseen = np.where(vertices[:, 2] <= 0, PLATE, votes[:, :2].argmax(1))
        return replace(other, invented=unseen.astype(np.uint8))


def is_closed(faces: npt.NDArray[np.int32], vertices: int) -> bool:
    """Whether each edge belongs to two triangles that are wound the same way round: it is run once each way."""
    if not len(faces):
        return False
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    there = np.sort(ends @ np.array([vertices, 1]))
    back = np.sort(ends @ np.array([1, vertices]))
    return bool((there[1:] != there[:-1]).all() and (there == back).all() and (ends[:, 0] != ends[:, 1]).all())


def require_closed(model: Model) -> Model:
    """The model; raises `MeshError` where it is not closed, has no volume, or is inside out. It never should."""
    if not np.isfinite(model.vertices).all() or not is_closed(model.faces, len(model.vertices)):
        raise MeshError("the mesh did not close: please send us this cloud.ply")
    if model.volume_mm3 <= 0:
        raise MeshError("the points enclose nothing: scan the piece all around")
    return model
