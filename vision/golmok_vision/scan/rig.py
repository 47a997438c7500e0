"""The scanner as numbers: a camera, planes of laser light, a turntable. Millimetres, degrees, pixels; no I/O but text.

The rig's frame is the turntable's at step 0:

* z runs along the turntable's axis, up; z = 0 is the plate's surface where the axis meets it;
* x points from the axis to the camera's centre (which so has y = 0), y follows by the right hand.

The camera and the lasers stand still in it. The piece turns: what is at `p` at step 0 is at `turn(angle) @ p` later,
counter-clockwise seen from above for positive angles. Pixels are OpenCV's: (0, 0) is the centre of the top-left one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.errors import DatasetError

Floats: TypeAlias = npt.NDArray[np.float64]

FORMAT: Final = 1
"""The version of the documents that `Rig.document` gives."""

_TINY: Final = 1e-12
_MOST_PIXELS: Final = 100_000
"""Along an edge of a picture; where a document says more it is damaged."""

_ROUNDS: Final = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-10)
"""OpenCV's own five rounds of undoing the distortion leave 0.1 px at the corners of a wide lens."""


def turn(angle_deg: float) -> Floats:
    """The rotation about z, 3 x 3."""
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class Lens:
    """A pinhole with OpenCV's distortion (k1, k2, p1, p2, k3), for pictures of `width` x `height`."""

    width: int
    height: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    distortion: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)

    @property
    def matrix(self) -> Floats:
        """OpenCV's camera matrix, 3 x 3."""
        return np.array([[self.fx_px, 0.0, self.cx_px], [0.0, self.fy_px, self.cy_px], [0.0, 0.0, 1.0]])

    def project(self, in_camera: npt.ArrayLike) -> Floats:
        """Pixels (n, 2) of points (n, 3) in the camera's frame (x right, y down, z forward)."""
        points = np.asarray(in_camera, float).reshape(-1, 1, 3)
        if not len(points):  # OpenCV takes no empty list
            return np.zeros((0, 2))
        pixels, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), self.matrix, np.array(self.distortion))
        return np.asarray(pixels, float).reshape(-1, 2)

    def rays(self, pixels: npt.ArrayLike) -> Floats:
        """Where the rays through pixels (n, 2) pierce the plane z = 1 of the camera's frame, (n, 2)."""
        points = np.asarray(pixels, float).reshape(-1, 1, 2)
        if not len(points):
            return np.zeros((0, 2))
        ideal = cv2.undistortPoints(points, self.matrix, np.array(self.distortion), None, None, None, _ROUNDS)
        return np.asarray(ideal, float).reshape(-1, 2)


@dataclass(frozen=True)
class Pose:
    """Where the camera is: `in_camera = rotation @ in_rig + translation_mm`."""

    rotation: Floats
    translation_mm: Floats

    @property
    def centre_mm(self) -> Floats:
        """The camera's centre in the rig's frame."""
        return np.asarray(-self.rotation.T @ self.translation_mm)

    def into_camera(self, in_rig: npt.ArrayLike) -> Floats:
        """Points (n, 3) of the rig's frame in the camera's."""
        return np.asarray(np.asarray(in_rig, float) @ self.rotation.T + self.translation_mm)

    def into_rig(self, in_camera: npt.ArrayLike) -> Floats:
        """Points (n, 3) of the camera's frame in the rig's."""
        return np.asarray((np.asarray(in_camera, float) - self.translation_mm) @ self.rotation)

    @classmethod
    def looking(cls, from_mm: npt.ArrayLike, at_mm: npt.ArrayLike, roll_deg: float = 0.0) -> Pose:
        """The camera at `from_mm` that looks at `at_mm`, the picture's top to the sky but for `roll_deg`."""
        centre = np.asarray(from_mm, float)
        forward = np.asarray(at_mm, float) - centre
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        level = np.stack([right, np.cross(forward, right), forward])
        rotation = turn(roll_deg) @ level
        return cls(rotation, -rotation @ centre)


@dataclass(frozen=True)
class Plane:
    """All points with `normal . p == offset_mm`, in the rig's frame; a laser's sheet of light is one."""

    normal: Floats
    offset_mm: float

    def distance_mm(self, points_mm: npt.ArrayLike) -> Floats:
        """How far points (n, 3) are from it, with sign."""
        return np.asarray(np.asarray(points_mm, float) @ self.normal - self.offset_mm)


@dataclass(frozen=True)
class Turntable:
    """How many steps of the motor make one turn; negative where the plate turns clockwise seen from above."""

    steps_per_turn: float

    def angle_deg(self, step: float) -> float:
        """How far the plate has turned at this step of the motor."""
        return 360.0 * step / self.steps_per_turn


@dataclass(frozen=True)
class Rig:
    """All that one must know of a scanner to turn its pictures into millimetres."""

    lens: Lens
    pose: Pose
    lasers: tuple[Plane, ...]
    turntable: Turntable
    quality: Mapping[str, Any] = field(default_factory=dict)
    """How far to trust it; free to whoever calibrates, and not needed for reconstructing."""

    def project(self, in_rig: npt.ArrayLike) -> Floats:
        """Pixels (n, 2) of points (n, 3)."""
        return self.lens.project(self.pose.into_camera(in_rig))

    def triangulate(self, pixels: npt.ArrayLike, laser: int) -> Floats:
        """Where the rays through pixels (n, 2) meet the sheet of this laser: points (n, 3), NaN where they never do."""
        flat = self.lens.rays(pixels)
        directions = np.column_stack([flat, np.ones(len(flat))]) @ self.pose.rotation
        plane, centre = self.lasers[laser], self.pose.centre_mm
        slope = directions @ plane.normal
        slope = np.where(np.abs(slope) > _TINY, slope, np.nan)
        depth = (plane.offset_mm - centre @ plane.normal) / slope
        return np.asarray(centre + np.where(depth > 0, depth, np.nan)[:, None] * directions)

    def document(self) -> dict[str, Any]:
        """All of it as plain numbers and lists: what `calibration.json` and `truth/rig.json` hold."""
        lens = self.lens
        return {
            "format": FORMAT,
            "unit": "mm",
            "camera": {
                "width": lens.width,
                "height": lens.height,
                "fx_px": lens.fx_px,
                "fy_px": lens.fy_px,
                "cx_px": lens.cx_px,
                "cy_px": lens.cy_px,
                "distortion": list(lens.distortion),
                "rotation": self.pose.rotation.tolist(),
                "translation_mm": self.pose.translation_mm.tolist(),
            },
            "lasers": [{"normal": each.normal.tolist(), "offset_mm": each.offset_mm} for each in self.lasers],
            "turntable": {"steps_per_turn": self.turntable.steps_per_turn},
            "quality": dict(self.quality),
        }

    @classmethod
    def from_document(cls, document: Any, source: str = "the document") -> Rig:
        """The rig of a document; raises `DatasetError` that names the member which is wrong."""
        read = _Reader(document, source)
        if read("format") != FORMAT:
            raise DatasetError(f"{source}: format is {read('format')!r}, this version reads {FORMAT}: calibrate again")
        camera = read.inside("camera")
        lens = Lens(
            camera.count("width"),
            camera.count("height"),
            camera.number("fx_px"),
            camera.number("fy_px"),
            camera.number("cx_px"),
            camera.number("cy_px"),
            tuple(camera.numbers("distortion", 5).tolist()),
        )
        pose = Pose(camera.numbers("rotation", 3, 3), camera.numbers("translation_mm", 3))
        if np.abs(pose.rotation @ pose.rotation.T - np.eye(3)).max() > 1e-6 or np.linalg.det(pose.rotation) < 0:
            raise DatasetError(f"{source}: camera.rotation is not a rotation")
        lasers = tuple(Plane(each.unit("normal"), each.number("offset_mm")) for each in read.each_inside("lasers"))
        if not lasers:
            raise DatasetError(f"{source}: lasers is empty: calibrate again")
        table = Turntable(read.inside("turntable").number("steps_per_turn"))
        if table.steps_per_turn == 0 or lens.fx_px <= 0 or lens.fy_px <= 0:
            raise DatasetError(f"{source}: a focal length or the steps of a turn are zero")
        if max(lens.width, lens.height) > _MOST_PIXELS:
            raise DatasetError(f"{source}: a picture of {lens.width} x {lens.height} pixels is none")
        quality = document.get("quality", {})
        if not isinstance(quality, dict) or not isinstance(quality.get("passed", True), bool):
            raise DatasetError(f"{source}: quality must be an object whose passed is true or false")
        return cls(lens, pose, lasers, table, quality)


class _Reader:
    """Takes members of a document that may be anything, and names the one that is wrong."""

    def __init__(self, document: Any, source: str, path: str = "") -> None:
        if not isinstance(document, dict):
            raise DatasetError(f"{source}: {path.rstrip('.') or 'it'} must be an object")
        self._document = document
        self._source = source
        self._path = path

    def __call__(self, name: str) -> Any:
        if name not in self._document:
            raise DatasetError(f"{self._source}: {self._path}{name} is missing")
        return self._document[name]

    def inside(self, name: str) -> _Reader:
        return _Reader(self(name), self._source, f"{self._path}{name}.")

    def each_inside(self, name: str) -> list[_Reader]:
        found = self(name)
        if not isinstance(found, list):
            raise DatasetError(f"{self._source}: {self._path}{name} must be a list")
        return [_Reader(each, self._source, f"{self._path}{name}[{i}].") for i, each in enumerate(found)]

    def number(self, name: str) -> float:
        value = self(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise DatasetError(f"{self._source}: {self._path}{name} must be a number, it is {value!r}")
        return float(value)

    def count(self, name: str) -> int:
        value = self.number(name)
        if value != int(value) or value < 1:
            raise DatasetError(f"{self._source}: {self._path}{name} must be a whole number, 1 or more")
        return int(value)

    def numbers(self, name: str, *shape: int) -> Floats:
        try:
            array = np.asarray(self(name), float)
        except (TypeError, ValueError):
            array = np.empty(0)
        if (shape and array.shape != shape) or (not shape and array.ndim != 1) or not np.isfinite(array).all():
            wanted = " x ".join(map(str, shape)) or "a list of"
            raise DatasetError(f"{self._source}: {self._path}{name} must be {wanted} numbers")
        return array

    def unit(self, name: str) -> Floats:
        vector = self.numbers(name, 3)
        length = float(np.linalg.norm(vector))
        if length < _TINY:
            raise DatasetError(f"{self._source}: {self._path}{name} has no direction")
        return vector if abs(length - 1) < 1e-12 else vector / length  # what was written must come back
