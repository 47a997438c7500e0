"""A calibrated camera and projector: from what the camera sees of the projector's stripes, points.

Knows stripes only as places with a spacing (`Drawn`), not how they were told apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from golmok_vision.scan.errors import DatasetError
from golmok_vision.scan.graycode import Floats, Spots

_MOST_ASIDE: Final = 3.0
"""How many stripes the rays of camera and projector may pass each other by; beyond, a place was decoded wrongly."""

_LEAST_MEETING: Final = 0.1
_MOST_BLUR_PX: Final = 1.5
_SOME: Final = 3000


@dataclass(frozen=True)
class Pair:
    """`in_projector = rotation @ in_camera + translation`, in the unit of the calibration's board."""

    camera: Floats
    camera_distortion: Floats
    projector: Floats
    projector_distortion: Floats
    rotation: Floats
    translation: Floats

    @classmethod
    def read(cls, file: Path) -> Pair:
        """From OpenCV's XML or YAML with cam_int, cam_dist, proj_int, proj_dist, rotation, translation."""
        if not file.is_file():
            raise DatasetError(f"{file} is not there: give the calibration of camera and projector")
        try:
            storage = cv2.FileStorage(str(file), cv2.FILE_STORAGE_READ)
        except (cv2.error, SystemError) as error:
            raise DatasetError(f"{file} is no XML or YAML of OpenCV: {error}") from None
        # Widely used calibrations misspell `rotation`, so it is read either way.
        names = (("cam_int",), ("cam_dist",), ("proj_int",), ("proj_dist",), ("rotation", "roration"), ("translation",))
        shapes = ((3, 3), None, (3, 3), None, (3, 3), (3, 1))
        found = []
        for spellings, shape in zip(names, shapes, strict=True):
            nodes = (storage.getNode(name).mat() for name in spellings)
            matrix = next((np.asarray(node, float) for node in nodes if node is not None), None)
            if matrix is None or (shape is not None and matrix.shape != shape):
                raise DatasetError(f"{file}: {spellings[0]} is missing or has another shape")
            found.append(matrix.ravel() if shape is None or shape == (3, 1) else matrix)
        return cls(*found)

    def shown(self, points: Floats) -> Floats:
        """Where in the projector's picture points of the camera's frame are lit from."""
        turned = cv2.Rodrigues(self.rotation)[0]
        places, _ = cv2.projectPoints(points, turned, self.translation, self.projector, self.projector_distortion)
        return np.asarray(places, float).reshape(-1, 2)


@dataclass(frozen=True)
class Drawn:
    """How the stripes were drawn: the middle of stripe k is at `step * k + first` of the calibration's pixels."""

    step: float
    first: float = 0.0

    def pixels(self, places: Floats) -> Floats:
        """Places of the code in the calibration's pixels."""
        return places * self.step + self.first


@dataclass(frozen=True)
class Cloud:
    """Points in the camera's frame, and the pixels that see them."""

    points: Floats
    pixels: Floats


def ideal(pixels: Floats, matrix: Floats, distortion: Floats) -> Floats:
    """Pixels as slopes of rays, free of the lens."""
    rounds = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-10)
    points = np.asarray(pixels, float).reshape(-1, 1, 2)
    return np.asarray(cv2.undistortPoints(points, matrix, distortion, None, None, None, rounds), float).reshape(-1, 2)


def triangulate(seen: Spots, pair: Pair, drawn: Drawn) -> Cloud:
    """One point for each place whose two rays meet."""
    if not len(seen.pixels):
        return Cloud(np.empty((0, 3)), np.empty((0, 2)))
    rays = ideal(seen.pixels, pair.camera, pair.camera_distortion)
    stripes = ideal(drawn.pixels(seen.places), pair.projector, pair.projector_distortion)
    toward = np.column_stack([rays, np.ones(len(rays))])
    in_projector = toward @ pair.rotation.T
    # Two equations for one depth, column and row: least squares weighs each by how much depth moves it.
    slopes = in_projector[:, :2] - stripes * in_projector[:, 2:]
    offsets = stripes * pair.translation[2] - pair.translation[:2]
    square = np.square(slopes).sum(1)
    depth = (slopes * offsets).sum(1) / np.where(square > 1e-12, square, np.nan)
    beyond = in_projector[:, 2] * depth + pair.translation[2]
    aside = np.abs(slopes * depth[:, None] - offsets).max(1) / np.where(beyond > 0, beyond, np.nan)
    good = (depth > 0) & (aside * pair.projector[0, 0] < _MOST_ASIDE * drawn.step)
    return Cloud(np.asarray(toward[good] * depth[good, None]), seen.pixels[good])


def misfits(seen: Spots, pair: Pair, drawn: Drawn) -> Floats:
    """By how many of the projector's pixels each of its rays passes the camera's: nothing about depth is in it."""
    rays = ideal(seen.pixels, pair.camera, pair.camera_distortion)
    stripes = ideal(drawn.pixels(seen.places), pair.projector, pair.projector_distortion)
    lines = np.cross(pair.translation, np.column_stack([rays, np.ones(len(rays))]) @ pair.rotation.T)
    aside = (lines[:, :2] * stripes).sum(1) + lines[:, 2]
    return np.asarray(aside / np.hypot(lines[:, 0], lines[:, 1]) * pair.projector[0, 0])


def likely_drawn(seen: Spots, pair: Pair, step: float | None = None) -> Drawn:
    """With which step most rays of camera and projector meet: patterns are often drawn coarser than pixels.

    Calibrations differ in where the first stripe's middle is: at 0 where they multiply the code's number, half a
    stripe less half a pixel where pixels are counted, half a stripe where edges of pixels are. Another than 0 is taken
    where rays then pass each other by less than half as much.
    """
    some = seen.thinned(_SOME)
    if not len(some.pixels):
        raise DatasetError(
            "no place of the projector could be decoded: the pictures are too dark, or width and height are not those "
            "that were shown"
        )
    # The tolerance grows with the step; that must not make a greater one look better.
    steps = (step,) if step else range(1, 9)
    drawn = max((Drawn(each) for each in steps), key=lambda d: len(triangulate(some, pair, d).points) / d.step)
    if len(triangulate(some, pair, drawn).points) < _LEAST_MEETING * len(some.pixels):
        raise DatasetError(
            "the rays of camera and projector do not meet: the calibration is of another pair, the frames are in "
            "another order (pattern before inverse, columns before rows), or width and height are not the projector's"
        )
    missed = {first: aside(some, pair, Drawn(drawn.step, first)) for first in ((drawn.step - 1) / 2, drawn.step / 2)}
    first = min(missed, key=lambda each: missed[each])
    return Drawn(drawn.step, first) if missed[first] < aside(some, pair, drawn) / 2 else drawn


def aside(seen: Spots, pair: Pair, drawn: Drawn) -> float:
    """The median of what rays pass each other by, in the projector's pixels."""
    return float(np.median(np.abs(misfits(seen, pair, drawn))))


def blur(seen: Spots, pair: Pair, drawn: Drawn) -> float:
    """How far a pixel of the camera sees, RMS, from how far rays pass each other beside texture.

    Where one side of a pixel is brighter, its light comes from there. Across the baseline that shows as rays that do
    not meet; along it, where it would be a wrong depth, it is the same.
    """
    off = misfits(seen, pair, drawn)
    moved = misfits(seen.unblurred(1.0), pair, drawn) - off
    sound = np.abs(off) < 4 * 1.48 * np.median(np.abs(off))
    square = float(np.square(moved[sound]).sum())
    found = -float((off * moved)[sound].sum()) / square if square > 0 else 0.0
    return float(np.sqrt(np.clip(found, 0, _MOST_BLUR_PX**2)))
