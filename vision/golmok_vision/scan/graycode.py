"""Gray code: a projector throws stripes of light, and each pixel of the camera learns which of the projector's it sees.

The order of the frames is that of OpenCV's `GrayCodePattern` with white and black at the end: for each bit of the
column, the coarsest first, the pattern and its inverse; the same for each bit of the row; all white; all black. With
a projector of 1024 x 768 these are 2 x 10 + 2 x 10 + 2 = 42.

A bit is judged by whether the pattern or its inverse is brighter, which no texture can upset; a pixel counts where the
difference is clear in every bit. A camera that sees finer than the projector draws gets one point for each of the
projector's pixels, from the middle of all of the camera's that see it: the steps of the code then do not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.dataset import Picture
from golmok_vision.scan.errors import DatasetError, OrderError

Floats: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.uint16]
Mask: TypeAlias = npt.NDArray[np.bool_]

_LIT_DN: Final = 12
_CLEAR_DN: Final = 3
_MOST_ASIDE_PX: Final = 3.0
_PLANE_SHARE: Final = 2e-3
_TRIES: Final = 200


@dataclass(frozen=True)
class Decoded:
    """For each pixel of the camera the column and row of the projector, where `seen`."""

    column: Codes
    row: Codes
    seen: Mask
    lit: Mask
    """Where the projector's light falls at all; what is not seen of it could not be decoded."""


def bits_of(width: int, height: int) -> tuple[int, int]:
    """How many bits a column and a row have."""
    if not (2 <= width <= 1 << 16 and 2 <= height <= 1 << 16):
        raise OrderError("the projector must have from 2 to 65,536 columns and rows")
    return (width - 1).bit_length(), (height - 1).bit_length()


def frames_of(width: int, height: int) -> int:
    """How many pictures a projector of this size needs."""
    return 2 * sum(bits_of(width, height)) + 2


def one_channel(picture: Picture) -> Picture:
    """A picture in colour as grey."""
    return picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)


def decode(frames: Sequence[Picture], width: int, height: int) -> Decoded:
    """What each pixel of the camera sees of a projector of `width` x `height`; one-channel frames in their order."""
    wanted = frames_of(width, height)
    if len(frames) != wanted:
        raise OrderError(
            f"{len(frames)} frames, a projector of {width} x {height} needs {wanted}: for each bit the pattern and its "
            f"inverse, columns before rows, then white, then black"
        )
    if len({frame.shape for frame in frames}) != 1 or frames[0].ndim != 2:
        raise OrderError("the frames must have one channel, and all the same size")
    light = np.asarray(cv2.subtract(frames[-2], frames[-1]))
    lit = np.where(light > _LIT_DN, np.uint8(255), np.uint8(0))
    columns, _ = bits_of(width, height)
    clear = lit.copy()
    column = _code(frames[: 2 * columns], clear)
    row = _code(frames[2 * columns : -2], clear)
    seen = clear.astype(bool)
    seen &= (column < width) & (row < height)
    return Decoded(column, row, seen, lit.astype(bool))


def _code(frames: Sequence[Picture], clear: Picture) -> Codes:
    """The number whose Gray code the pairs show; takes pixels that are unclear in one of them out of `clear`."""
    least = np.full(frames[0].shape, 255, np.uint8)
    before = np.zeros(frames[0].shape, np.uint8)
    # Whole bytes: eight-bit work is several times as fast as sixteen-bit work.
    parts = [np.zeros(frames[0].shape, np.uint8) for _ in range(2)]
    place = len(frames) // 2
    for pattern, inverse in zip(frames[::2], frames[1::2], strict=True):
        place -= 1
        bit = cv2.compare(pattern, inverse, cv2.CMP_GT)
        cv2.bitwise_xor(before, bit, dst=before)  # a Gray code's bit tells whether the number's changes
        part = parts[place // 8]
        np.bitwise_or(part, before & np.uint8(1 << place % 8), out=part)
        cv2.min(least, cv2.absdiff(pattern, inverse), dst=least)
    clear &= np.where(least >= _CLEAR_DN, np.uint8(255), np.uint8(0))
    low, high = parts
    return np.asarray(high.astype(np.uint16) << 8 | low)


@dataclass(frozen=True)
class Pair:
    """A calibrated camera and projector: `in_projector = rotation @ in_camera + translation`, in the board's unit."""

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


@dataclass(frozen=True)
class Spots:
    """Each of the projector's places that is seen, and the middle of the camera's pixels that see it."""

    pixels: Floats
    places: Floats


def spots(decoded: Decoded, width: int) -> Spots:
    """One for each place of the code; `width` is the code's."""
    rows, columns = np.nonzero(decoded.seen)
    number = decoded.row[rows, columns].astype(np.int64) * width + decoded.column[rows, columns]
    size = int(number.max()) + 1 if len(number) else 0
    count = np.bincount(number, minlength=size)
    held = np.flatnonzero(count)
    x, y, square = (
        np.bincount(number, each, size)[held] / count[held]
        for each in (columns, rows, np.square(columns.astype(float)) + np.square(rows.astype(float)))
    )
    # Pixels of one place lie together; where they do not, some were decoded wrongly.
    together = square - x * x - y * y < 0.5 * np.maximum(count[held], 4)
    held = held[together]
    return Spots(
        np.column_stack([x[together], y[together]]), np.column_stack([held % width, held // width]).astype(float)
    )


def triangulate(seen: Spots, pair: Pair, step: float) -> Floats:
    """Points (n, 3) in the camera's frame; a place of the code is `step` of the calibration's pixels wide."""
    if not len(seen.pixels):
        return np.empty((0, 3))
    rays = _ideal(seen.pixels, pair.camera, pair.camera_distortion)
    stripes = _ideal(seen.places * step, pair.projector, pair.projector_distortion)
    toward = np.column_stack([rays, np.ones(len(rays))])
    in_projector = toward @ pair.rotation.T
    # Two equations for one depth: column and row of the projector.
    slopes = in_projector[:, :2] - stripes * in_projector[:, 2:]
    offsets = stripes * pair.translation[2] - pair.translation[:2]
    square = np.square(slopes).sum(1)
    depth = (slopes * offsets).sum(1) / np.where(square > 1e-12, square, np.nan)
    beyond = in_projector[:, 2] * depth + pair.translation[2]
    aside = np.abs(slopes * depth[:, None] - offsets).max(1) / np.where(beyond > 0, beyond, np.nan)
    good = (depth > 0) & (aside * pair.projector[0, 0] < _MOST_ASIDE_PX * step)
    return np.asarray(toward[good] * depth[good, None])


def likely_step(seen: Spots, pair: Pair) -> int:
    """With which step most rays of camera and projector meet: patterns are often drawn coarser than pixels."""
    every = max(1, len(seen.pixels) // 3000)
    some = Spots(seen.pixels[::every], seen.places[::every])
    # The tolerance grows with the step; that must not make a greater one look better.
    return max(range(1, 9), key=lambda step: len(triangulate(some, pair, step)) / step)


def stripes_of(width: int, height: int, frames: int) -> tuple[int, int]:
    """How many places the code has each way: the projector's pixels, or as many of them as fit this many frames."""
    for step in range(1, 17):
        code = -(-width // step), -(-height // step)
        if min(code) >= 2 and frames_of(*code) == frames:
            return code
    raise OrderError(
        f"{frames} frames, a projector of {width} x {height} needs {frames_of(width, height)}: for each bit the "
        f"pattern and its inverse, columns before rows, then white, then black"
    )


def _ideal(pixels: Floats, matrix: Floats, distortion: Floats) -> Floats:
    rounds = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-10)
    points = np.asarray(pixels, float).reshape(-1, 1, 2)
    return np.asarray(cv2.undistortPoints(points, matrix, distortion, None, None, None, rounds), float).reshape(-1, 2)


@dataclass(frozen=True)
class Flat:
    """The plane that most points lie on: `normal . p == offset`."""

    normal: Floats
    offset: float
    share: float
    """Of all points."""

    rms: float
    """Of its points' distances from it."""

    range: float
    """Their median distance from the camera, by which `rms` is to be judged."""


def flattest(points: Floats, seed: int = 0) -> Flat | None:
    """The plane with the most points near it (0.2 % of the range), by RANSAC and then least squares."""
    if len(points) < 50:
        return None
    random = np.random.default_rng(seed)
    some = points[random.choice(len(points), min(4000, len(points)), replace=False)]
    near = _PLANE_SHARE * float(np.median(np.linalg.norm(some, axis=1)))
    most, best = -1, np.zeros(4)
    for _ in range(_TRIES):
        a, b, c = some[random.choice(len(some), 3, replace=False)]
        normal = np.cross(b - a, c - a)
        length = float(np.linalg.norm(normal))
        if length < 1e-9:
            continue
        normal /= length
        count = int((np.abs((some - a) @ normal) < near).sum())
        if count > most:
            most, best = count, np.append(normal, normal @ a)
    for _ in range(5):
        member = points[np.abs(points @ best[:3] - best[3]) < near]
        if len(member) < 3:
            return None
        middle = member.mean(0)
        normal = np.linalg.svd((member - middle).T @ (member - middle))[0][:, -1]
        best = np.append(normal, normal @ middle)
    member = points[np.abs(points @ best[:3] - best[3]) < near]
    rms = float(np.sqrt(np.square(member @ best[:3] - best[3]).mean()))
    return Flat(
        best[:3], float(best[3]), len(member) / len(points), rms, float(np.median(np.linalg.norm(member, axis=1)))
    )
