"""Gray code: a projector throws stripes of light, and each pixel of the camera learns which of the projector's it sees.

The order of the frames is that of OpenCV's `GrayCodePattern` with white and black at the end: for each bit of the
column, the coarsest first, the pattern and its inverse; the same for each bit of the row; all white; all black. With
a projector of 1024 x 768 these are 2 x 10 + 2 x 10 + 2 = 42.

A bit is judged by whether the pattern or its inverse is brighter, which no texture can upset. Where in its stripe a
pixel lies is told by how clear the bits at the stripe's two edges are: each edge is in one bit alone, every other one
in the finest, and at an edge pattern and inverse are equally bright. So of each axis one bit may be unclear: either
answer then means the same edge. `pair.py` makes points of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.dataset import Picture
from golmok_vision.scan.errors import OrderError

Floats: TypeAlias = npt.NDArray[np.float64]
Places: TypeAlias = npt.NDArray[np.float32]
Mask: TypeAlias = npt.NDArray[np.bool_]

_LIT_DN: Final = 12
_CLEAR_DN: Final = 3
_EDGES_DN: Final = 6
"""The least that the bits at a stripe's two edges must differ by, together: below, a place in it would be noise."""

_ENOUGH_DN: Final = 15
"""Of a place's pixels' light, the root of the sum of squares: below, a noise of one moves it by a tenth of a stripe."""

_ROWS_AT_ONCE: Final = 64
"""So that what is worked on stays in the processor's cache: a third of the time."""

_SIDE: Final = np.where(np.arange(256) % 2, -0.5, 0.5).astype(np.float32)
"""The finest bit changes after even stripes and before odd ones."""

_SKIP: Final = 16
_FOREIGN: Final = 0.7
_MOST_FOREIGN: Final = 0.15


@dataclass(frozen=True)
class Decoded:
    """For each pixel of the camera the column and row of the projector, where `seen`: stripe k goes from k - 0.5."""

    column: Places
    row: Places
    seen: Mask
    lit: Mask
    """Where the projector's light falls at all; what is not seen of it could not be decoded."""

    light: Picture
    """How much of it comes back."""


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
    _check_sizes(frames)
    light = np.asarray(cv2.subtract(frames[-2], frames[-1]), np.uint8)
    lit = light > _LIT_DN
    _check_order(frames)
    columns, _ = bits_of(width, height)
    column, row = np.empty(light.shape, np.float32), np.empty(light.shape, np.float32)
    clear = lit.copy()
    # Fresh memory for each part would cost as much as the work.
    scratch = (
        np.empty((8, _ROWS_AT_ONCE, light.shape[1]), np.uint8),
        np.empty((3, _ROWS_AT_ONCE, light.shape[1]), np.float32),
    )
    for start in range(0, len(light), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        some = [frame[part] for frame in frames]
        _places(some[: 2 * columns], width, clear[part], column[part], scratch)
        _places(some[2 * columns : -2], height, clear[part], row[part], scratch)
    return Decoded(column, row, clear, lit, light)


def _check_sizes(frames: Sequence[Picture]) -> None:
    for number, frame in enumerate(frames, 1):
        if frame.ndim != 2 or frame.shape != frames[0].shape:
            told = " x ".join(str(side) for side in frame.shape[1::-1])
            first = " x ".join(str(side) for side in frames[0].shape[1::-1])
            raise OrderError(
                f"frame {number} is {told}, the first {first}: the frames must have one channel, and all the same size"
            )


def _check_order(frames: Sequence[Picture]) -> None:
    """Pattern and inverse together are as bright as white and black together: with any texture, gloss or room light."""
    some = np.stack([frame[::_SKIP, ::_SKIP] for frame in frames]).astype(np.int16)
    white, black = some[-2:]
    if float(black.mean()) > float(white.mean()) + _LIT_DN:
        raise OrderError("the last frame is brighter than the one before: white comes first, black is the last")
    light = white - black
    lit = light > _LIT_DN
    if not lit.any():
        return
    lit = light >= np.median(light[lit])  # where it is dim, noise could look like another frame
    both = some[:-2:2] + some[1:-2:2] - (white + black)
    foreign = ((np.abs(both) > _FOREIGN * light) & lit).sum((1, 2)) > _MOST_FOREIGN * lit.sum()
    if foreign.any():
        number = 2 * int(foreign.argmax()) + 1
        raise OrderError(
            f"frames {number} and {number + 1} are not a pattern and its inverse: give all frames, in this order: for "
            f"each bit the pattern and its inverse, columns before rows, white, black"
        )


def _places(frames: Sequence[Picture], size: int, clear: Mask, places: Places, scratch: tuple[Picture, Places]) -> None:
    """Where between the stripes, from the pairs of one axis; takes pixels that are unclear out of `clear`."""
    least, second, bit, apart, more, before, low, high = scratch[0][:, : len(clear)]
    lean, sum_, side = scratch[1][:, : len(clear)]
    for each, value in ((least, 255), (second, 255), (before, 0), (low, 0), (high, 0)):
        each.fill(value)
    pairs = list(zip(frames[::2], frames[1::2], strict=True))
    for place, (pattern, inverse) in zip(reversed(range(len(pairs))), pairs, strict=True):
        cv2.compare(pattern, inverse, cv2.CMP_GT, dst=bit)
        cv2.bitwise_xor(before, bit, dst=before)  # a Gray code's bit tells whether the number's changes
        # Whole bytes: eight-bit work is several times as fast as sixteen-bit work.
        byte = low if place < 8 else high
        np.bitwise_or(byte, np.bitwise_and(before, np.uint8(1 << place % 8), out=bit), out=byte)
        cv2.absdiff(pattern, inverse, dst=apart)
        if place:
            cv2.min(second, cv2.max(least, apart, dst=more), dst=second)
            cv2.min(least, apart, dst=least)
    # `apart` is now the finest bit's, zero at one edge of the stripe; `least` is zero at the other.
    clear &= (cv2.add(least, apart, dst=more) >= _EDGES_DN) & (second >= _CLEAR_DN)
    cv2.subtract(least, apart, dst=lean, dtype=cv2.CV_32F)
    cv2.divide(lean, cv2.add(least, apart, dst=sum_, dtype=cv2.CV_32F), dst=lean)
    cv2.multiply(lean, cv2.LUT(low, _SIDE, dst=side), dst=lean)
    number = np.multiply(high, np.float32(256), out=sum_)
    cv2.add(number, low, dst=number, dtype=cv2.CV_32F)
    clear &= number < size
    cv2.add(number, lean, dst=places)


@dataclass(frozen=True)
class Spots:
    """What the camera sees of each of the projector's places: the middle of its pixels there, and of their places."""

    pixels: Floats
    places: Floats
    brighter: Floats
    """Toward where the surface is brighter: the gradient of the light's logarithm, per pixel."""

    def unblurred(self, blur_px: float) -> Spots:
        """With each pixel where its light comes from, beside texture not its middle; `blur_px` is RMS."""
        return Spots(self.pixels + blur_px**2 * self.brighter, self.places, self.brighter)

    def thinned(self, count: int) -> Spots:
        """Every so-many-th, about `count` of them."""
        every = max(1, len(self.pixels) // count)
        return Spots(self.pixels[::every], self.places[::every], self.brighter[::every])


def spots(decoded: Decoded, width: int, height: int) -> Spots:
    """One for each crossing of a column and a row of the code, which has `width` x `height`."""
    rows, columns = np.nonzero(decoded.seen)
    if not len(rows):
        return Spots(*(np.empty((0, 2)) for _ in range(3)))
    column, row = decoded.column[decoded.seen], decoded.row[decoded.seen]
    number = _stripe(row, height) * width + _stripe(column, width)
    # A pixel half on white and half on black sees by its white part.
    weight = decoded.light[decoded.seen].astype(float)
    sums, squares = np.bincount(number, weight), np.bincount(number, np.square(weight))
    held = np.flatnonzero(squares >= _ENOUGH_DN**2)
    square = np.square(columns.astype(float)) + np.square(rows.astype(float))
    right, down = (slope[decoded.seen] for slope in _brighter(decoded.light))
    x, y, across, along, spread, right_mean, down_mean = (
        np.asarray(np.bincount(number, weight * each)[held] / sums[held], float)
        for each in (columns, rows, column, row, square, right, down)
    )
    # Pixels of one place lie together; where they do not, some were decoded wrongly.
    together = spread - x * x - y * y < 0.5 * np.maximum(np.bincount(number)[held], 4)
    places = np.column_stack([_inner(held % width, across, width), _inner(held // width, along, height)])
    return Spots(
        np.column_stack([x, y])[together], places[together], np.column_stack([right_mean, down_mean])[together]
    )


def _brighter(light: Picture) -> tuple[Places, Places]:
    smooth = cv2.GaussianBlur(light.astype(np.float32), (3, 3), 0.5)
    level = cv2.log(np.maximum(smooth, np.float32(4)))
    right, down = (cv2.Sobel(level, cv2.CV_32F, *axes, ksize=1, scale=0.5) for axes in ((1, 0), (0, 1)))
    return np.asarray(right, np.float32), np.asarray(down, np.float32)


def _stripe(places: Places, size: int) -> npt.NDArray[np.int64]:
    return np.clip(np.rint(places), 0, size - 1).astype(np.int64)


def _inner(stripe: npt.NDArray[np.int64], place: Floats, size: int) -> Floats:
    """The outermost stripes have one edge only: no more is known than their middle."""
    return np.where((stripe > 0) & (stripe < size - 1), place, stripe)


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
