"""One frame's pictures become points: line, rays, sheet, colour. What is piece, plate or wall is told apart here.

All is in the turntable's frame; what belongs to the piece is turned back to step 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.dataset import Picture
from golmok_vision.scan.line import find_points
from golmok_vision.scan.rig import Lens, Rig, turn

Floats: TypeAlias = npt.NDArray[np.float64]
Singles: TypeAlias = npt.NDArray[np.float32]
Mask: TypeAlias = npt.NDArray[np.bool_]

PLATE_MM: Final = 0.3
"""What is lower is the plate: speckle alone makes its points this high."""

DEFAULT_RADIUS_MM: Final = 110.0
"""What is further from the axis is no piece, where the plate's diameter is not known."""

STILL_MM: Final = 1.2
"""What lies nearer to z = 0 is taken for the plate when its height is measured."""
_TABLE_STEP: Final = 4
WHITE: Final = 250
"""An eight-bit level from here on may be any."""

_FEWEST_ON_PLATE: Final = 20


class RayTable:
    """Where pixels look, undistorted once on a grid and looked up from then on: off by less than 1e-6."""

    def __init__(self, lens: Lens) -> None:
        across = np.arange(-1, lens.width // _TABLE_STEP + 3, dtype=float) * _TABLE_STEP
        down = np.arange(-1, lens.height // _TABLE_STEP + 3, dtype=float) * _TABLE_STEP
        grid = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
        self._rays = lens.rays(grid).reshape(len(down), len(across), 2)

    def rays(self, pixels: Floats) -> Floats:
        """Rays (n, 2) at z = 1 through pixels (n, 2)."""
        places = pixels / _TABLE_STEP + 1
        low = np.clip(places.astype(np.int64), 0, np.array(self._rays.shape[1::-1]) - 2)
        share = places - low
        x, y = low.T
        u, v = share[:, :1], share[:, 1:]
        r = self._rays
        upper, lower = r[y, x] * (1 - u) + r[y, x + 1] * u, r[y + 1, x] * (1 - u) + r[y + 1, x + 1] * u
        return np.asarray(upper * (1 - v) + lower * v)


class Stop(NamedTuple):
    """A frame's pictures: without lasers, with each (None where it cannot be used), in colour if there is one."""

    off: Picture
    lit: tuple[Picture | None, ...]
    color: Picture | None
    shorter: tuple[Stop, ...] = ()
    """The same by shorter exposures, for where this one is white."""


@dataclass(frozen=True)
class FramePoints:
    """What one frame gave: `Cloud`'s columns without the frame, in order along each line; and the plate's height.

    `plate_mm` is for each laser the median height of its points on the plate, NaN where there are few.
    """

    points: Singles
    towards: Singles
    colour: npt.NDArray[np.uint8]
    laser: npt.NDArray[np.uint8]
    plate_mm: tuple[float, ...]


class Triangulator:
    """For one rig; thread-safe, keeps nothing of a frame."""

    def __init__(self, rig: Rig, reach_mm: float) -> None:
        self._rig = rig
        self._reach_mm = reach_mm
        self._rays = RayTable(rig.lens)

    def measure(self, stop: Stop, step: float) -> FramePoints:
        """All that one stop of the table shows of the piece."""
        back = turn(-self._rig.turntable.angle_deg(step))
        points, pixels, lasers = [np.zeros((0, 3))], [np.zeros((0, 2))], []
        plate = []
        for laser, picture in enumerate(stop.lit):
            if picture is None:
                plate.append(float("nan"))
                continue
            is_piece = partial(self.is_piece, laser=laser)
            found = line_pixels(picture, stop.off, is_piece)
            brighter = picture
            for darker in stop.shorter:
                shorter = darker.lit[laser]
                if shorter is not None:
                    found = bracketed(found, brighter, line_pixels(shorter, darker.off, is_piece))
                    brighter = shorter
            there = self.triangulate(found, laser)
            radius = np.hypot(there[:, 0], there[:, 1])
            near = radius < self._reach_mm
            plate.append(_plate_mm(there[near]))
            piece = near & (there[:, 2] > PLATE_MM)
            points.append(there[piece])
            pixels.append(found[piece])
            lasers.append(np.full(int(piece.sum()), laser, np.uint8))
        there, at = np.concatenate(points), np.concatenate(pixels)
        towards = self._rig.pose.centre_mm - there
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        return FramePoints(
            (there @ back.T).astype(np.float32), (towards @ back.T).astype(np.float32),
            _colours(stop.off if stop.color is None else stop.color, at),
            np.concatenate(lasers) if lasers else np.zeros(0, np.uint8), tuple(plate),
        )  # fmt: skip

    def plate_mm(self, picture: Picture, off: Picture, laser: int) -> float:
        """The median height of the points on the plate, NaN where there are few."""
        there = self.triangulate(line_pixels(picture, off), laser)
        return _plate_mm(there[np.hypot(there[:, 0], there[:, 1]) < self._reach_mm])

    def is_piece(self, pixels: Floats, laser: int) -> Mask:
        """Which pixels (n, 2) of a laser's line lie above the plate and not beside it."""
        there = self.triangulate(pixels, laser)
        return np.asarray((np.hypot(there[:, 0], there[:, 1]) < self._reach_mm) & (there[:, 2] > PLATE_MM))

    def triangulate(self, pixels: Floats, laser: int) -> Floats:
        """As `Rig.triangulate`, with rays looked up; behind the camera and beyond sight is NaN."""
        pose, plane = self._rig.pose, self._rig.lasers[laser]
        directions = np.column_stack([self._rays.rays(pixels), np.ones(len(pixels))]) @ pose.rotation
        slope = directions @ plane.normal
        depth = (plane.offset_mm - pose.centre_mm @ plane.normal) / np.where(np.abs(slope) > 1e-9, slope, np.nan)
        return np.asarray(pose.centre_mm + np.where(depth > 0, depth, np.nan)[:, None] * directions)


def line_pixels(picture: Picture, off: Picture, is_piece: Callable[[Floats], Mask] | None = None) -> Floats:
    """The line's pixels (n, 2)."""
    pixels, _ = find_points(picture, off, is_piece)
    return pixels


def bracketed(found: Floats, picture: Picture, darker: Floats) -> Floats:
    """The points of a picture, and in its white places those that a shorter exposure has there; in order of rows."""
    together = np.concatenate([found[~is_white(picture, found)], darker[is_white(picture, darker)]])
    return together[np.lexsort((together[:, 0], together[:, 1]))]


def is_white(picture: Picture, pixels: Floats) -> Mask:
    """Where the picture is overexposed at pixels (n, 2) or beside them."""
    height, width = picture.shape[:2]
    x, y = np.rint(pixels).astype(np.int64).T
    beside = [picture[np.clip(y, 0, height - 1), np.clip(x + k, 0, width - 1)] for k in (-1, 0, 1)]
    return np.asarray(np.max(beside, axis=0) >= WHITE)


def _plate_mm(points: Floats) -> float:
    low = points[np.abs(points[:, 2]) < STILL_MM, 2]
    return float(np.median(low)) if len(low) >= _FEWEST_ON_PLATE else float("nan")


def _colours(picture: Picture, pixels: Floats) -> npt.NDArray[np.uint8]:
    """Red, green, blue at pixels (n, 2); grey from a picture of one channel."""
    if not len(pixels):
        return np.zeros((0, 3), np.uint8)
    at = pixels.astype(np.float32)
    wide = np.zeros((-(-len(at) // 4096) * 4096, 2), np.float32)
    wide[: len(at)] = at
    places = wide.reshape(-1, 4096, 2)
    found = cv2.remap(picture, places[:, :, 0].copy(), places[:, :, 1].copy(), cv2.INTER_LINEAR)
    flat = np.asarray(found, np.uint8).reshape(len(wide), -1)[: len(at)]
    return np.ascontiguousarray(np.repeat(flat, 3, axis=1) if flat.shape[1] == 1 else flat[:, ::-1])
