"""Meshes of others as pieces that stand on the turntable, and what their surface is like.

A mesh that somebody brings may be in metres or inches, far from the origin, inside out, not closed, of a million
triangles, some of them of no area: it is scaled, moved and shaded so that it can be scanned, or refused in words.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import trimesh

from golmok_vision.render.raster import Floats, Singles
from golmok_vision.scan.errors import MeshError

Finish: TypeAlias = Literal["plain", "gloss", "dark", "texture"]
FINISHES: Final[tuple[Finish, ...]] = get_args(Finish)

_KINDS: Final = (".stl", ".ply", ".obj")
_CREASE_COS: Final = np.cos(np.radians(35.0))
"""Flatter meets of faces are a rounded surface cut into facets and shaded as such; sharper ones are edges."""

_TEXTURE_MM: Final = 2.0
"""Triangles are cut to this so that a texture which is kept at the corners has somewhere to be."""

_MOST_TRIANGLES: Final = 3_000_000
_FARTHEST: Final = 1e15
"""Triangles with corners beyond, or at no number, are damage."""

# What a reader of damaged files may raise; trimesh has no error of its own.
_UNREADABLE: Final = (
    ValueError, KeyError, IndexError, TypeError, AttributeError, NotImplementedError, struct.error, EOFError,
    ZeroDivisionError, MemoryError, ImportError,
)  # fmt: skip


@dataclass(frozen=True)
class Solid:
    """Triangles in millimetres; `colors` are linear (0 to 1) red, green, blue of each vertex, if it has any."""

    vertices: Floats
    faces: npt.NDArray[np.int64]
    colors: Floats | None = None


def load(file: Path) -> Solid:
    """The mesh of an STL, PLY or OBJ file, in whatever unit; raises `MeshError`."""
    if file.suffix.lower() not in _KINDS:
        raise MeshError(f"{file}: give an STL, PLY or OBJ file, z up")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise MeshError(f"{file}: {error.strerror}") from None
    try:
        extra: Mapping[str, Any] = {}
        if file.suffix.lower() == ".obj":
            content = content.decode("utf-8", "replace").encode()  # names in old encodings: nothing is lost with them
            extra = {"skip_materials": True}
        found = trimesh.load_mesh(io.BytesIO(content), file_type=file.suffix.lower()[1:], process=False, **extra)
        mesh = found if isinstance(found, trimesh.Trimesh) else found.to_mesh()
        return _checked(mesh, str(file))
    except MeshError:
        raise
    except ImportError:  # what trimesh would guess a text's encoding with, or read another kind of file
        raise MeshError(
            f"{file} cannot be read as a mesh: it is damaged, or another kind of file; export it again"
        ) from None
    except _UNREADABLE as error:
        raise MeshError(
            f"{file} cannot be read as a mesh ({error or type(error).__name__}): export it again as STL, PLY or OBJ"
        ) from None


def _checked(mesh: trimesh.Trimesh, name: str) -> Solid:
    vertices = np.asarray(mesh.vertices, float)
    faces = np.asarray(mesh.faces, np.int64)
    if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
        raise MeshError(f"{name}: a triangle names a vertex that is not there")
    faces = faces[(np.abs(vertices) < _FARTHEST).all(1)[faces].all(1)] if len(faces) else faces
    if not len(faces):
        raise MeshError(f"{name} has no triangles; a cloud of points cannot be scanned")
    if len(faces) > _MOST_TRIANGLES:
        raise MeshError(f"{name} has {len(faces):,} triangles, {_MOST_TRIANGLES:,} can be taken: simplify it first")
    colors = None
    if isinstance(mesh.visual, trimesh.visual.ColorVisuals) and mesh.visual.kind == "vertex":
        colors = np.asarray(mesh.visual.vertex_colors, float)[:, :3] / 255.0
        colors = colors**2.2  # files hold what a screen is sent, light adds linearly
    return _joined(Solid(vertices, faces, colors))


def _joined(solid: Solid) -> Solid:
    """Vertices at one place made one (an STL has three for each triangle), those of no triangle dropped.

    Where colours meet, one of them stays; surfaces cut apart there would be shaded as if there were an edge.
    """
    used, faces = np.unique(solid.faces, return_inverse=True)
    vertices = solid.vertices[used]
    where = np.zeros(len(vertices), np.int64)
    for column in vertices.T:  # rows of three at once take half a minute for a million triangles
        _, rank = np.unique(column, return_inverse=True)
        _, first, where = np.unique(where * (len(vertices) + 1) + rank, return_index=True, return_inverse=True)
    colors = None if solid.colors is None else solid.colors[used][first]
    return Solid(vertices[first], where.reshape(-1)[faces.reshape(-1, 3)], colors)


def stand(solid: Solid, size_mm: float) -> Solid:
    """Scaled to `size_mm` along its longest edge, in the middle of the plate, its lowest point at z = 0."""
    low, high = solid.vertices.min(0), solid.vertices.max(0)
    extent = high - low
    longest = float(extent.max())
    # In their unit the vertices have so many digits only; what is lost far from the origin no scaling brings back.
    if not np.isfinite(longest) or longest <= 1e-5 * float(np.abs(solid.vertices).max()):
        raise MeshError("the mesh is a point, or so far from the origin that its shape is lost in rounding: centre it")
    middle = (low + high) / 2
    vertices = (solid.vertices - [middle[0], middle[1], low[2]]) * (size_mm / longest)
    faces = solid.faces
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    if np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2 < 1e-4 * size_mm**2:
        raise MeshError("the mesh has next to no surface: it is a line or a point")
    return Solid(vertices, faces, solid.colors)


@dataclass(frozen=True)
class Body:
    """What the renderer takes: three rows for each triangle, with normals, colours and how much of a mirror it is."""

    corners: Singles
    normals: Singles
    colors: Singles
    gloss: float = 0.0
    sharpness: float = 60.0


def dress(solid: Solid, finish: Finish, random: np.random.Generator) -> Body:
    """The piece with a surface: its own colours if it has them, else those of the finish."""
    vertices, faces, colors = solid.vertices, solid.faces, solid.colors
    if finish == "texture":
        vertices, faces, colors = _cut(vertices, faces, colors)
        paint = _texture(vertices, random)
        colors = paint if colors is None else paint * (0.3 + 0.7 * colors)
    tint = np.array([0.60, 0.58, 0.55]) if colors is None else np.clip(colors, 0.02, 0.95)
    if finish == "dark":
        tint = tint * 0.12
    corners = vertices[faces]
    keep = _areas(corners) > 1e-9
    corners, faces = corners[keep], faces[keep]
    normals = _normals(vertices, faces, corners)
    each = np.broadcast_to(tint, (len(faces), 3, 3)) if tint.ndim == 1 else tint[faces]
    return Body(
        corners.reshape(-1, 3).astype(np.float32),
        normals.reshape(-1, 3).astype(np.float32),
        np.ascontiguousarray(each.reshape(-1, 3), np.float32),
        gloss=0.9 if finish == "gloss" else 0.0,
    )


def _areas(corners: Floats) -> Floats:
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return np.asarray(np.linalg.norm(cross, axis=1) / 2)


def _normals(vertices: Floats, faces: npt.NDArray[np.int64], corners: Floats) -> Floats:
    """One for each corner: the mean over the vertex's faces, but the face's own at an edge."""
    weighted = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sums = np.column_stack([
        np.bincount(faces.ravel(), np.repeat(weighted[:, axis], 3), len(vertices)) for axis in range(3)
    ])  # fmt: skip
    sums = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-30)
    own = weighted / np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-30)
    smooth = sums[faces]
    is_edge = np.einsum("fcx,fx->fc", smooth, own) < _CREASE_COS
    return np.asarray(np.where(is_edge[:, :, None], own[:, None, :], smooth))


def _cut(
    vertices: Floats, faces: npt.NDArray[np.int64], colors: Floats | None
) -> tuple[Floats, npt.NDArray[np.int64], Floats | None]:
    """Halve edges until none is longer than a texture's grain."""
    keep = _areas(vertices[faces]) > 1e-9
    together = vertices if colors is None else np.column_stack([vertices, colors])
    faces = faces[keep]
    for _ in range(12):
        corners = together[faces][:, :, :3]
        longest = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2).max(1)
        large = longest > _TEXTURE_MM
        if not large.any() or len(faces) > _MOST_TRIANGLES // 8:
            break
        halved = trimesh.remesh.subdivide(together, faces, np.flatnonzero(large))  # type: ignore[no-untyped-call]
        together, faces = np.asarray(halved[0], float), np.asarray(halved[1], np.int64)  # trimesh has no types here
    together = np.asarray(together, float)
    return together[:, :3], faces, None if colors is None else together[:, 3:]


def _texture(vertices: Floats, random: np.random.Generator) -> Floats:
    """Bands and blotches from dark to light, each in another colour."""
    waves = np.zeros(len(vertices))
    for _ in range(4):
        direction = random.normal(size=3)
        direction *= random.uniform(0.15, 0.6) / np.linalg.norm(direction)
        waves += np.sin(vertices @ direction + random.uniform(0, 2 * np.pi))
    level = 1 / (1 + np.exp(-3 * waves))
    dark, light = random.uniform(0.05, 0.15, 3), random.uniform(0.4, 0.85, 3)
    return np.asarray(dark + level[:, None] * (light - dark))


def sample(solid: Solid, count: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Points spread evenly over the surface, and the face's normal at each."""
    corners = solid.vertices[solid.faces]
    areas = _areas(corners)
    picked = corners[
        np.searchsorted(np.cumsum(areas), random.uniform(0, areas.sum(), count), side="right") % len(areas)
    ]
    u, v = random.uniform(size=(2, count, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    a, b, c = picked[:, 0], picked[:, 1], picked[:, 2]
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    return a + u * (b - a) + v * (c - a), normals


def stl(solid: Solid) -> bytes:
    """The piece as binary STL."""
    mesh = trimesh.Trimesh(solid.vertices, solid.faces, process=False)
    return bytes(trimesh.exchange.stl.export_stl(mesh))
