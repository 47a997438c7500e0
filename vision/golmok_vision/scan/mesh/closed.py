"""The closed surface of a function on a grid: marching cubes, flat on the plate, no shells that nobody measured.

Whatever the function is, the surface is closed: nodes beyond the grid count as outside. Below the plate stands one
layer of mirror image, so walls go straight through z = 0; what the surface has below is pressed flat onto the plate.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes

from golmok_vision.scan.cloud import Singles
from golmok_vision.scan.errors import MeshError
from golmok_vision.scan.mesh.indicator import Grid

Faces: TypeAlias = npt.NDArray[np.int32]

_SMALLEST_SHELL: Final = 0.01
"""Of the largest one's volume."""

_FLAT_LAYERS: Final = 2
"""Of the grid: what is no higher cannot be told from the plate."""

_APART_MM: Final = 0.002
_APART_ROUNDS: Final = 8

_LEAST_SEEN: Final = 0.1
"""Of a shell's vertices: with less it is all invention."""


def closed_surface(inside: Singles, level: float, grid: Grid) -> tuple[Singles, Faces]:
    """Vertices (mm) and faces, outward; raises `MeshError` where nothing is inside."""
    x, y, z = inside.shape
    padded = np.full((x + 2, y + 2, z + 3), -1.0, np.float32)
    np.subtract(inside, np.float32(level), out=padded[1:-1, 1:-1, 2:-1])
    padded[:, :, 1] = padded[:, :, 2]
    padded[padded == 0] = -1e-7  # a node on the surface would be a triangle without area
    if padded.max() <= 0:
        raise MeshError("the points enclose nothing: only one side of a sheet was seen; scan the piece all around")
    if not (padded[1:-1, 1:-1, 2 + _FLAT_LAYERS :] > 0).any():
        raise MeshError("nothing stands higher than the plate: is the piece on the table?")
    found = marching_cubes(padded, 0.0, gradient_direction="ascent")  # type: ignore[no-untyped-call]  # it has no types
    nodes = np.asarray(found[0], np.float32) - np.array([1, 1, 2], np.float32)
    vertices = nodes * np.float32(grid.edge_mm) + grid.corner_mm.astype(np.float32)
    vertices[:, 2] = np.maximum(vertices[:, 2], 0)
    return vertices, np.asarray(found[1], np.int32)


def shells(faces: Faces, count: int) -> npt.NDArray[np.int32]:
    """For each vertex the number of the part that it hangs together with."""
    edges = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int32)


def volume_of(vertices: Singles, faces: Faces) -> npt.NDArray[np.float64]:
    """What each face adds to the volume, mm3."""
    a, b, c = (vertices[faces[:, i]].astype(float) for i in range(3))
    return np.asarray(np.einsum("ni,ni->n", a, np.cross(b, c)) / 6)


def without_ghosts(
    vertices: Singles, faces: Faces, unseen: npt.NDArray[np.bool_]
) -> tuple[Singles, Faces, npt.NDArray[np.int64]]:
    """Only shells that points were measured on, no hollows that nobody saw, no crumbs; and which vertices are left.

    Raises `MeshError` where nothing is left.
    """
    shell = shells(faces, len(vertices))
    count = int(shell.max()) + 1
    volume = np.bincount(shell[faces[:, 0]], volume_of(vertices, faces), count)
    seen = np.bincount(shell, ~unseen, count) / np.bincount(shell, minlength=count)
    real = (seen > _LEAST_SEEN) & (volume > _SMALLEST_SHELL * np.abs(volume).max())
    if not real.any():
        raise MeshError("the points form no surface that encloses something: scan the piece all around")
    kept = np.flatnonzero(real[shell])
    new = np.full(len(vertices), -1, np.int32)
    new[kept] = np.arange(len(kept), dtype=np.int32)
    return vertices[kept], new[faces[real[shell[faces[:, 0]]]]], kept


def distinct(vertices: Singles, faces: Faces) -> Singles:
    """No two vertices at one place: an STL has only places, and who reads it would take the two for one.

    The second of two goes a few thousandths of a millimetre towards its neighbours; what lies on the plate stays there.
    """
    vertices = vertices.copy()
    for nth in range(1, _APART_ROUNDS):
        order = np.lexsort(vertices.T)
        second = order[1:][(vertices[order[1:]] == vertices[order[:-1]]).all(1)]
        if not len(second):
            break
        around = faces[np.isin(faces, second).any(1)]
        ends = np.concatenate([around[:, [0, 1, 2]].ravel(), around[:, [1, 2, 0]].ravel()])
        others = np.concatenate([around[:, [1, 2, 0]].ravel(), around[:, [0, 1, 2]].ravel()])
        for vertex in second:
            way = vertices[others[ends == vertex]].mean(0) - vertices[vertex]
            way[2] *= vertices[vertex, 2] > 0
            length = float(np.linalg.norm(way))
            vertices[vertex] += way * min(nth * _APART_MM / max(length, 1e-9), 0.5)
    return vertices
