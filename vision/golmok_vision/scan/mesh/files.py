"""Models on disk: STL to print, PLY with all that is known, GLB and OBJ with colours. trimesh knows the formats."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import trimesh

from golmok_vision.scan.errors import MeshError
from golmok_vision.scan.mesh.model import Model

_UNREADABLE: Final = (
    ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, EOFError, MemoryError,
)  # fmt: skip
_METRES_PER_MM: Final = 1e-3


def _stl(model: Model) -> bytes:
    return bytes(trimesh.exchange.stl.export_stl(model.trimesh()))


def _ply(model: Model) -> bytes:
    mesh = _painted(model)
    mesh.vertex_attributes["invented"] = model.invented
    mesh.vertex_attributes["gap_mm"] = model.gap_mm
    return bytes(trimesh.exchange.ply.export_ply(mesh, vertex_normal=False))


def _obj(model: Model) -> bytes:
    drawn: Any = _painted(model)
    text: str = drawn.export(file_type="obj", include_normals=False, include_texture=False)
    return text.encode()


def _glb(model: Model) -> bytes:
    """glTF is in metres and has y up, says its standard; names of one's own begin with an underscore."""
    mesh = _painted(model)
    mesh.vertex_attributes["_INVENTED"] = model.invented.astype(np.float32)
    turned = np.array([[1.0, 0, 0, 0], [0, 0, 1.0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1.0]])
    turned[:3] *= _METRES_PER_MM
    mesh.apply_transform(turned)
    # A viewer lights vertices by their normals and makes facets where there are none.
    scene: Any = trimesh.Scene(mesh)
    return bytes(scene.export(file_type="glb", include_normals=True))


WRITERS: Final[dict[str, Callable[[Model], bytes]]] = {"stl": _stl, "ply": _ply, "glb": _glb, "obj": _obj}


def write_model(model: Model, kind: str) -> bytes:
    """The bytes of `mesh.stl`, `.ply`, `.glb` or `.obj`; millimetres, but for GLB, which is metres by its standard."""
    return WRITERS[kind](model)


def read_model(content: bytes, name: str = "mesh.ply") -> Model:
    """The model of a `mesh.ply` of ours; raises `MeshError` that names it and the remedy."""
    try:
        read = trimesh.exchange.ply.load_ply(io.BytesIO(content))
        vertex: Any = read["metadata"]["_ply_raw"]["vertex"]["data"]
        model = Model(
            np.column_stack([vertex[axis] for axis in "xyz"]).astype(np.float32),
            np.asarray(read["faces"], np.int32),
            np.column_stack([vertex[kind] for kind in ("red", "green", "blue")]).astype(np.uint8),
            np.asarray(vertex["invented"], np.uint8).reshape(-1),
            np.asarray(vertex["gap_mm"], np.float32).reshape(-1),
        )
    except _UNREADABLE as error:
        raise MeshError(f"{name} is damaged or no mesh of a scan ({error}): run `golmok-scan reconstruct`") from None
    if model.faces.size == 0 or model.faces.min() < 0 or model.faces.max() >= len(model.vertices):
        raise MeshError(f"{name} is damaged: run `golmok-scan reconstruct`")
    if not np.isfinite(model.vertices).all():
        raise MeshError(f"{name} holds vertices that are no numbers: run `golmok-scan reconstruct`")
    return model


def _painted(model: Model) -> trimesh.Trimesh:
    mesh = model.trimesh()
    mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=np.insert(model.colours, 3, 255, axis=1))
    return mesh
