"""The measured points of a scan, and `cloud.ply`: what triangulating leaves to meshing.

Each point knows from where it was seen. That tells which side of the surface is outside without any guess, and which
way its error runs; so a cloud without it is no cloud of ours. The file is an ordinary binary PLY: any viewer shows
it, with its colours.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import trimesh

from golmok_vision.scan.errors import DatasetError

Singles: TypeAlias = npt.NDArray[np.float32]

_AXES: Final = ("x", "y", "z")
_TOWARDS: Final = tuple(f"towards_{axis}" for axis in _AXES)
_COLORS: Final = ("red", "green", "blue")
_REMEDY: Final = "run `golmok-scan reconstruct` again"
# What trimesh may raise over a damaged file; it has no error of its own.
_UNREADABLE: Final = (
    ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, EOFError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True)
class Cloud:
    """n points in the turntable's frame at step 0, in millimetres; raises `DatasetError` where rows do not match.

    `towards` (n, 3) is the unit vector from each point to the camera that saw it, in the same frame (the piece turns,
    so each frame has its own). `colour` (n, 3) is red, green, blue as a screen shows them. `laser` says whose line it
    was, `frame` in which frame of the dataset.
    """

    points: Singles
    towards: Singles
    colour: npt.NDArray[np.uint8]
    laser: npt.NDArray[np.uint8]
    frame: npt.NDArray[np.uint16]

    def __post_init__(self) -> None:
        n = len(self.points)
        shapes = {"points": (n, 3), "towards": (n, 3), "colour": (n, 3), "laser": (n,), "frame": (n,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise DatasetError(f"cloud: {name} is {getattr(self, name).shape}, it must be {shape}")

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.integer] | slice) -> Cloud:
        """Some of the points."""
        return Cloud(
            self.points[which], self.towards[which], self.colour[which], self.laser[which], self.frame[which]
        )  # fmt: skip

    @classmethod
    def of(cls, points: npt.ArrayLike, towards: npt.ArrayLike) -> Cloud:
        """Points of one laser and one frame, in grey: what a test or another scanner has."""
        n = len(np.asarray(points))
        return cls(
            np.asarray(points, np.float32).reshape(n, 3),
            np.asarray(towards, np.float32).reshape(n, 3),
            np.full((n, 3), 160, np.uint8),
            np.zeros(n, np.uint8),
            np.zeros(n, np.uint16),
        )


def write_cloud(cloud: Cloud) -> bytes:
    """The bytes of `cloud.ply`; `Dataset.write_bytes` puts them there whole or not at all. No cloud is empty."""
    if not len(cloud):
        raise DatasetError("not one point was measured: is the piece on the table, and do the lasers shine?")
    drawn: Any = trimesh.PointCloud(cloud.points)  # type: ignore[no-untyped-call]  # trimesh has no types here
    drawn.colors = np.insert(cloud.colour, 3, 255, axis=1)
    # The writer takes the attributes of whatever has them.
    drawn.vertex_attributes = {
        **{name: np.ascontiguousarray(cloud.towards[:, i]) for i, name in enumerate(_TOWARDS)},
        "laser": cloud.laser,
        "frame": cloud.frame,
    }
    return bytes(trimesh.exchange.ply.export_ply(drawn))


def read_cloud(content: bytes, name: str = "cloud.ply") -> Cloud:
    """The cloud of a `cloud.ply`; raises `DatasetError` that names the file, what is wrong, and the remedy."""
    try:
        read = trimesh.exchange.ply.load_ply(io.BytesIO(content))
        rows: Any = read["metadata"]["_ply_raw"]["vertex"]["data"]
        cloud = Cloud(
            _columns(rows, _AXES, np.float32),
            _columns(rows, _TOWARDS, np.float32),
            _columns(rows, _COLORS, np.uint8),
            _column(rows, "laser", np.uint8),
            _column(rows, "frame", np.uint16),
        )
    except _UNREADABLE as error:
        raise DatasetError(f"{name} is damaged or no cloud of a scan ({error}): {_REMEDY}") from None
    if not (np.isfinite(cloud.points).all() and np.isfinite(cloud.towards).all()):
        raise DatasetError(f"{name} holds points that are no numbers: {_REMEDY}")
    return cloud


def _columns(rows: Any, names: tuple[str, ...], kind: type) -> Any:
    return np.column_stack([_column(rows, name, kind) for name in names])


def _column(rows: Any, name: str, kind: type) -> Any:
    return np.asarray(rows[name], kind).reshape(-1)
