"""Clouds of known pieces: points of their surface, seen from around and a little above, with noise along the ray."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import trimesh

from golmok_vision.scan import Cloud
from golmok_vision.scan.nearest import Surface

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Piece:
    """A mesh that stands at z = 0, and the part of its surface that a scanner sees (not what it stands on)."""

    mesh: trimesh.Trimesh

    @classmethod
    def of(cls, mesh: trimesh.Trimesh) -> Piece:
        low, high = mesh.bounds
        mesh.apply_translation([-(low[0] + high[0]) / 2, -(low[1] + high[1]) / 2, -low[2]])
        return cls(mesh)

    def seen(self, count: int, seed: int = 0, lowest: float = -0.8) -> tuple[Floats, Floats]:
        """Points and their normals; `lowest` is the least z of a normal that is seen."""
        dice = np.random.default_rng(seed)
        corners = np.asarray(self.mesh.triangles, float)
        which = np.searchsorted(np.cumsum(self.mesh.area_faces), dice.uniform(0, self.mesh.area, count))
        which = np.minimum(which, len(corners) - 1)
        shares = dice.dirichlet((1, 1, 1), count)
        points = np.einsum("nk,nki->ni", shares, corners[which])
        normals = np.asarray(self.mesh.face_normals, float)[which]
        seen = normals[:, 2] > lowest
        return points[seen], normals[seen]

    def cloud(self, count: int, noise_mm: float = 0.1, seed: int = 0, strays: float = 0.01) -> Cloud:
        """Of points that are seen, so many of the surface altogether; of them `strays` lie anywhere on their ray."""
        points, normals = self.seen(count, seed)
        dice = np.random.default_rng([seed, 1])
        towards = normals + 0.5 * dice.normal(size=normals.shape)
        towards = np.where((np.einsum("ni,ni->n", towards, normals) > 0.2)[:, None], towards, normals)
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        along = noise_mm * dice.normal(size=len(points))
        along = np.where(dice.random(len(points)) < strays, dice.uniform(-12, 12, len(points)), along)
        return Cloud.of(points + towards * along[:, None], towards)

    def deviations(self, vertices: npt.ArrayLike, faces: npt.ArrayLike, count: int = 4000) -> Floats:
        """How far seen points of the truth are from a mesh, mm."""
        return Surface(vertices, faces).nearest(self.seen(count, seed=6)[0]).away_mm


def cup() -> Piece:
    """A wall of 2 mm, a floor of 2.5 mm."""
    outline = [(0, 0), (16, 0), (19, 30), (17, 30), (14.2, 2.5), (0, 2.5)]
    return Piece.of(trimesh.creation.revolve(np.array(outline, float), sections=96))


def tube() -> Piece:
    """A hole through, down to the plate, and sharp edges."""
    return Piece.of(trimesh.creation.annulus(r_min=9, r_max=16, height=20, sections=96))


def block() -> Piece:
    return Piece.of(trimesh.creation.box((36, 24, 18)))


def ball(radius: float = 15.0) -> Piece:
    return Piece.of(trimesh.creation.icosphere(subdivisions=5, radius=radius))


def pillar(radius: float = 12.0) -> Piece:
    return Piece.of(trimesh.creation.cylinder(radius=radius, height=25, sections=256))


PIECES = {"cup": cup, "tube": tube, "block": block, "ball": ball, "pillar": pillar}
