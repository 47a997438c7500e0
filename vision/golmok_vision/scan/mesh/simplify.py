"""Fewer triangles, still closed: by quadrics (Garland & Heckbert 1997), as `fast-simplification` does it.

That library now and then pinches a surface where it is thin. So each result is looked at, and where an edge belongs to
four triangles or a hole closed, another order of collapsing is tried.
"""

from __future__ import annotations

from typing import Final

import fast_simplification
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from golmok_vision.scan.cloud import Singles
from golmok_vision.scan.errors import MeshError, OrderError
from golmok_vision.scan.mesh.closed import distinct
from golmok_vision.scan.mesh.model import Model, is_closed

FEWEST: Final = 100
_SCHEDULES: Final = ((3, 5, 7), (5, 6, 7), (4, 6, 8), (6, 7, 8), (2, 4, 6, 8), (7, 7, 8), (3, 4, 5, 6, 7, 8, 9))
"""How fast the library raises its tolerance, one run after the other."""

_VOLUME: Final = 0.1
"""How much of it may change: more is another piece."""


def simplified(model: Model, triangles: int) -> Model:
    """The same with at most so many triangles, closed, with the same holes.

    Raises `OrderError` for fewer than `FEWEST`, `MeshError` where the piece cannot be had with so few.
    """
    if triangles < FEWEST:
        raise OrderError(f"a mesh of {triangles} triangles is asked for; {FEWEST} or more make a piece")
    if len(model.faces) <= triangles:
        return model
    holes = _euler(model.faces)
    for schedule in _SCHEDULES:
        vertices, faces = model.vertices, model.faces
        for aggression in schedule:
            vertices, faces = _collapsed(vertices, faces, triangles, aggression)
            if len(faces) <= triangles:
                break
        fewer = model.like(distinct(_put_down(model, vertices), faces), faces)
        change = abs(fewer.volume_mm3 / model.volume_mm3 - 1)
        if len(faces) <= triangles and is_closed(faces, len(vertices)) and _euler(faces) == holes and change < _VOLUME:
            return fewer
    raise MeshError(f"the piece cannot be had with {triangles} triangles and stay closed: ask for more")


def _collapsed(
    vertices: Singles, faces: npt.NDArray[np.int32], triangles: int, aggression: int
) -> tuple[Singles, npt.NDArray[np.int32]]:
    found = fast_simplification.simplify(vertices, faces, target_count=triangles, agg=aggression)
    used, again = np.unique(found[1], return_inverse=True)
    return np.asarray(found[0], np.float32)[used], again.reshape(-1, 3).astype(np.int32)


def _put_down(model: Model, vertices: Singles) -> Singles:
    """What lay on the plate lies on it: collapsing lets it rise and sink by hundredths of a millimetre."""
    _, nearest = cKDTree(model.vertices).query(vertices)
    height = np.where(model.vertices[nearest, 2] <= 0, 0, np.maximum(vertices[:, 2], 0))
    return np.column_stack([vertices[:, :2], height]).astype(np.float32)


def _euler(faces: npt.NDArray[np.int32]) -> int:
    """Vertices - edges + faces of a closed mesh: 2 for each piece, less 2 for each hole through it."""
    return len(np.unique(faces)) - len(faces) // 2
