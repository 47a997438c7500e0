"""The laser's line in a picture: one column for each row, to a few hundredths of a pixel, in about a millisecond.

Two stages. The coarse one finds about where the line is, on a picture of half the size: with a picture of the laser
off this is the brightest place of each row; without one, or where those do not make a line, it is the best path from
top to bottom (`path.py`). The fine one looks at a narrow strip along it. It takes the centre of gravity under a
Gaussian window as wide as the line (a matched filter for its place), twice, so that the window ends up on the line;
and then a straight line through a few neighbouring rows, each weighted by its light. The weights are what helps
against speckle: a row that happens to be dark knows little of where the line is. Where the line jumps, rows of the
other side have no say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, pi, sqrt
from typing import Final, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.dataset import Picture
from golmok_vision.scan.errors import OrderError
from golmok_vision.scan.path import Mix, best_mix, best_path, mix_of_line
from golmok_vision.scan.rows import FEWEST_ROWS, NEIGHBOURS, ROWS, ROWS_WEIGHTS, Counts, rows_with_line

Floats: TypeAlias = npt.NDArray[np.float64]
Singles: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_ROWS_VARIANCE: Final = float((ROWS_WEIGHTS * np.square(NEIGHBOURS)).sum() / ROWS_WEIGHTS.sum())
_BEND_ROWS: Final = 14
_CALM_ROWS: Final = 5
_MOST_PULL_PX: Final = 0.08

_POWERS: Final = np.stack([NEIGHBOURS**0, NEIGHBOURS, NEIGHBOURS**2])

_WINDOW: Final = 1.3  # times the line's sigma
_NARROWEST_PX: Final = 0.8
_WIDEST_PX: Final = 7.0
_FAINTEST_DN: Final = 1.5
_SURE: Final = 2.2
_ROUGH: Final = 0.08
_ANYHOW: Final = 2.0
_STEEPEST: Final = 1.1
_STANDS_OUT: Final = 1.2
_LEAST_IN_AMBIENT: Final = 0.3
"""Without a picture of the laser off, what is fainter than this share of the line is taken for the room's pattern."""

_ONE_SIDED: Final = 0.25
"""Of the line's light: what shines on one side only, a wall or a sheet beside the line, is none of its width."""

_FAINT_NOISES: Final = 25.0


@dataclass(frozen=True)
class Line:
    """`x` is the column in each row of the picture, NaN where there is none; (0, 0) is the top-left pixel's centre."""

    x: Floats
    contrast_dn: Singles
    """How much brighter than its surroundings the middle of the line is, in each row."""

    sigma_px: float
    """Of the line's profile, over the whole picture."""


def find_line(
    image: Picture, off: Picture | None = None, columns: tuple[int, int] | None = None, counts: Counts | None = None
) -> Line:
    """The one line that leads about from top to bottom, brighter than what is around; `off` is without the laser.

    Pictures have one channel or three. Only `columns` (from, to) are looked at, if given. `counts` as `rows_with_line`
    has it: not given with `columns`.
    """
    left, right = columns or (0, image.shape[1])
    image, off = _alike(image[:, left:right], None if off is None else off[:, left:right])
    found = _in_ambient_light(image) if off is None else _in_difference(image, off)
    return _line(image, off, found, left, counts)


def _line(
    image: Picture, off: Picture | None, found: _Found | None, left: int = 0, counts: Counts | None = None
) -> Line:
    if found is None:
        return Line(np.full(len(image), np.nan), np.zeros(len(image), np.float32), 0.0)
    return _Strip(image, off, found).line(left, counts)


def find_points(
    image: Picture, off: Picture | None = None, is_piece: Callable[[Floats], Mask] | None = None
) -> tuple[Floats, Singles]:
    """The same line where it leads in any direction: pixels (n, 2), and the contrast at each.

    Where the line lies flatter than 45 degrees (on the top of a piece) it is followed from column to column. `is_piece`
    tells which pixels are the piece's: a dark one's line is not taken for a reflection of that on the wall behind it.
    """
    upright, lying = find_line(image, off, None, _counts(is_piece, 1)), _lying(image, off, _counts(is_piece, -1))
    rows, columns = (np.flatnonzero(np.isfinite(each.x) & (_steepness(each.x) <= _STEEPEST))
                     for each in (upright, lying))  # fmt: skip
    columns = columns[~_is_upright(upright, lying, columns)]
    pixels = [np.column_stack([upright.x[rows], rows]), np.column_stack([columns, lying.x[columns]])]
    return np.concatenate(pixels), np.concatenate([upright.contrast_dn[rows], lying.contrast_dn[columns]])


def _counts(is_piece: Callable[[Floats], Mask] | None, order: int) -> Counts | None:
    """For columns and rows, or (`order` -1) for rows and columns."""
    if is_piece is None:
        return None
    return lambda columns, rows: is_piece(np.stack([columns, rows], axis=1).astype(float)[:, ::order])


def _is_upright(upright: Line, lying: Line, columns: Ints) -> Mask:
    """Which columns of the lying line are of the upright one, steep as it is: there, speckle looks like a flat line."""
    rows = np.clip(np.rint(lying.x[columns]).astype(np.int64), 0, len(upright.x) - 1)
    near = np.abs(upright.x[rows] - columns) <= 2 * upright.sigma_px + 2
    return np.asarray(near & (_steepness(upright.x)[rows] <= 1))


def _lying(image: Picture, off: Picture | None, counts: Counts | None = None) -> Line:
    """From column to column. No path through the whole picture: the line need not lead from side to side."""
    image, off = _alike(_turned(image), None if off is None else _turned(off))
    found = _in_ambient_light(image) if off is None else _in_difference(image, off, _ANYHOW)
    return _line(image, off, found, counts=counts)


def _turned(picture: Picture) -> Picture:
    return np.asarray(cv2.transpose(picture), np.uint8)


def _steepness(x: Floats) -> Floats:
    """Columns per row, over four rows; where the line ends, over the last two."""
    steep = np.full(len(x), np.nan)
    steep[2:-2] = np.abs(x[4:] - x[:-4]) / 4
    two, at_end = np.abs(x[2:] - x[:-2]) / 2, np.full(len(x), np.inf)
    at_end[:-2] = two
    at_end[2:] = np.fmin(at_end[2:], two)
    at_end[np.isnan(at_end)] = np.inf
    return np.asarray(np.where(np.isnan(steep), at_end, steep))


def _alike(image: Picture, off: Picture | None) -> tuple[Picture, Picture | None]:
    """Both with one channel, or both with three."""
    if image.shape[0] < 2 * FEWEST_ROWS or image.shape[1] < 16:
        raise OrderError(f"no line can be found in {image.shape[1]} x {image.shape[0]} pixels")
    if off is not None and off.shape[:2] != image.shape[:2]:
        raise OrderError(
            f"the picture without laser has {off.shape[1]} x {off.shape[0]} pixels, the other "
            f"{image.shape[1]} x {image.shape[0]}: take both with the same camera"
        )
    if off is not None and off.ndim != image.ndim:
        image, off = _grey(image), _grey(off)
    return image, off


def _grey(picture: Picture) -> Picture:
    return picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)


class _Found(NamedTuple):
    """What the coarse stage knows: about where the line is in each row, how wide, in which mix of channels."""

    about: Ints
    sigma_px: float
    mix: Mix | None


def _in_ambient_light(image: Picture) -> _Found | None:
    half = _halved(image)
    mix = best_mix(half) if image.ndim == 3 else None
    half = half if mix is None else mix.of(half)
    path = best_path(half)
    if path.stands_out < _STANDS_OUT:
        return None
    return _Found(_to_rows(path.columns, len(image)), _sigma_px(half, path.columns, in_ambient=True), mix)


def _in_difference(image: Picture, off: Picture, rough: float = _ROUGH) -> _Found:
    """A part of the rows will do for a start: it saves most of what must be read. `rough` as in `_brightest`."""
    some, mix = _some_of_it(image, off)
    columns = _brightest(some, rough)
    if columns is None:
        some = np.asarray(cv2.subtract(_halved(image), _halved(off)), np.uint8)
        some = some if mix is None else mix.of(some)
        columns = best_path(some).columns
    return _Found(_to_rows(columns, len(image)), _sigma_px(some, columns), mix)


def _some_of_it(image: Picture, off: Picture) -> tuple[Picture, Mix | None]:
    """The difference as one channel, a quarter high and half as wide."""
    # The difference is let go at once: where more than a few megabytes are held, malloc gives them back each time, and
    # the kernel clears them anew for the next picture.
    if image.ndim == 2:
        return _halved(np.asarray(cv2.subtract(image[::2], off[::2]), np.uint8)), None
    width = image.shape[1] // 2
    difference = np.asarray(cv2.subtract(image[1::4, : 2 * width], off[1::4, : 2 * width]), np.uint8)
    mix = mix_of_line(difference[::32])
    if mix.channel is None:
        return np.asarray(cv2.resize(mix.of(difference), (width, len(difference))), np.uint8), mix
    # Of two pixels as one of six channels OpenCV takes one out in half the time that one of three takes.
    pairs = difference.reshape(len(difference), width, 6)
    left, right = (cv2.extractChannel(pairs, channel) for channel in (mix.channel, 3 + mix.channel))
    return np.asarray(cv2.addWeighted(left, 0.5, right, 0.5, 0), np.uint8), mix


def _halved(image: Picture) -> Picture:
    height, width = image.shape[0] // 2, image.shape[1] // 2
    whole = image[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _brightest(some: Picture, rough: float) -> Ints | None:
    """For each row of the difference its brightest place; nothing where more than `rough` of them do not follow."""
    smooth = np.asarray(cv2.blur(some, (3, 3)))
    columns = smooth.argmax(1)
    top = smooth[np.arange(len(columns)), columns]
    sample = smooth[::8, ::16].ravel()
    seen = top >= int(np.partition(sample, len(sample) // 2)[len(sample) // 2]) + 2
    jumps = (np.abs(columns[1:] - columns[:-1]) > 8) & seen[1:] & seen[:-1]
    if np.count_nonzero(jumps) > rough * max(int(np.count_nonzero(seen)), 1):
        return None
    return np.asarray(columns)


def _to_rows(columns: Ints, rows: int) -> Ints:
    """Columns of a picture of half the width and a part of the height as those of each row of the whole one."""
    each = rows / len(columns)
    nearest = np.minimum((np.arange(rows) / each).astype(np.int64), len(columns) - 1)
    places = (np.arange(rows) + 0.5) / each - 0.5
    straight = np.interp(places, np.arange(len(columns)), 2.0 * columns)
    steps = 2 * columns[nearest]
    return np.where(np.abs(straight - steps) <= 8, np.rint(straight).astype(np.int64), steps)


def _sigma_px(half: Picture, coarse: Ints, in_ambient: bool = False) -> float:
    """The line's sigma in pixels of the whole picture: from the half width of its mean profile, where it is bright."""
    reach = 10
    some = np.arange(0, len(coarse), max(1, len(coarse) // 64))
    across = np.clip(coarse[some, None] + np.arange(-reach, reach + 1), 0, half.shape[1] - 1)
    values = half.ravel().take(across + some[:, None] * half.shape[1]).astype(np.float32)
    middle = values[:, reach - 1 : reach + 2].sum(1)
    profile = values[middle >= np.partition(middle, len(middle) // 2)[len(middle) // 2]].mean(0)
    profile -= np.partition(profile, 4)[:5].mean()
    top = float(profile[reach - 1 : reach + 2].max())
    if in_ambient and abs(float(profile[:4].mean() - profile[-4:].mean())) > _ONE_SIDED * top:
        profile = np.minimum(profile, profile[::-1])
    if top <= 0:
        return 2.0
    sides = _falls_to_half(profile[reach::-1] / top) + _falls_to_half(profile[reach:] / top)
    full_width = 2.0 * float(sides)  # of the whole picture's pixels, blurred by the halving
    return min(max(sqrt(max(full_width**2 / 5.545 - 0.6, 0.0)), _NARROWEST_PX), _WIDEST_PX)


def _falls_to_half(profile: Singles) -> float:
    below = np.flatnonzero(profile < 0.5)
    if not len(below):
        return float(len(profile))
    i = max(int(below[0]), 1)
    above, here = float(profile[i - 1]), float(profile[i])
    return i - 1 + min(max((above - 0.5) / max(above - here, 1e-6), 0.0), 1.0)


class _Strip:
    """The pixels along the path, and the line in them.

    Arrays are (pixels across, rows of the picture): what is done for each row then runs over contiguous memory.
    """

    def __init__(self, image: Picture, off: Picture | None, found: _Found) -> None:
        about, sigma, mix = found
        self._sigma = sigma
        self._window = max(_WINDOW * sigma, 1.2)
        self._reach = ceil(2.3 * self._window) + 2
        self._width = image.shape[1]
        self._is_ambient = off is None
        self._about = about.astype(np.float32)
        flank = 0 if off is not None else ceil(sigma) + 2
        across = _around(about, self._reach + flank, image.shape[1])
        values, self._noise = _levelled(_gathered(image, off, across, mix), flank)
        if about.min() < self._reach or about.max() >= image.shape[1] - self._reach:
            columns = about + np.arange(-self._reach, self._reach + 1)[:, None]
            values[(columns < 0) | (columns >= image.shape[1])] = 0
        self._values = values
        self._off = np.arange(-self._reach, self._reach + 1, dtype=np.float32)[:, None]
        self._most = np.float32(self._reach)
        self._ones = np.ones(len(self._off), np.float32)

    def line(self, left: int, counts: Counts | None) -> Line:
        """What there is of it."""
        # From the middle of the strip: that of a pixel of the half picture lies between two of the whole one's.
        x, _ = self._settled(np.full(1, 0.5, np.float32))
        x, light = self._settled(x)
        columns = _straightened(self._about + x, light, _jump_px(self._sigma))
        if float(light.mean()) < _FAINT_NOISES * self._noise * sqrt(self._window):
            for _ in range(2):  # a row alone knows little: the neighbours say where to look again
                x, light = self._settled(np.clip(columns - self._about, -self._most, self._most))
                columns = _straightened(self._about + x, light, _jump_px(self._sigma))
        reach = np.float32(self._reach - 1)
        within = (np.abs(columns - self._about) < reach) & (columns > -0.5) & (columns < self._width - 0.5)
        window, sigma = self._window, self._sigma
        shape = sqrt((sigma**2 + window**2) / (2 * pi)) / (sigma * window)  # of a Gaussian under a Gaussian window
        contrast = light * np.float32(shape)
        noise = self._noise * sqrt(sqrt(pi) * window) * shape
        least = max(_SURE * noise, _FAINTEST_DN)
        if self._is_ambient:
            least = max(least, _LEAST_IN_AMBIENT * float(np.median(contrast[contrast >= np.median(contrast)])))
        sure = rows_with_line(columns, contrast, within, least, _jump_px(sigma), counts)
        x_found = np.where(sure, columns.astype(float) + left, np.nan)
        x_found -= _flattened(x_found)
        return Line(x_found, np.where(sure, contrast, np.float32(0)), sigma)

    def _settled(self, x: Singles) -> tuple[Singles, Singles]:
        """Look with the window where the line was found last (in each row, or in all at one place): where it is now,
        and its light."""
        off = self._off - x
        window = np.square(off)
        window *= np.float32(-0.5 / self._window**2)
        np.exp(window, out=window)
        if len(x) == 1:
            light, step = np.stack([window[:, 0], (window * off)[:, 0]]) @ self._values
        else:
            window *= self._values
            light = self._ones @ window
            window *= off
            step = self._ones @ window
        light = np.maximum(light, np.float32(0))
        # What a Gaussian window takes off the distance of a Gaussian line from its middle is given back.
        step = step / np.maximum(light, np.float32(1e-3))
        step *= np.float32(1 + (self._sigma / self._window) ** 2)
        most = np.float32(2 * self._sigma + 1)
        return np.clip(x + np.clip(step, -most, most), -self._most, self._most), light


def _jump_px(sigma: float) -> float:
    return min(max(3.0, 2.0 * sigma), 6.0)


def _around(about: Ints, reach: int, width: int) -> Ints:
    """Where in the picture the pixels within `reach` of the path are; at its edge the last pixel again."""
    aside, rows = np.arange(-reach, reach + 1)[:, None], np.arange(0, len(about) * width, width)
    if about.min() < reach or about.max() >= width - reach:
        return np.asarray(np.clip(about + aside, 0, width - 1) + rows)
    return np.asarray((about + rows) + aside)


def _gathered(image: Picture, off: Picture | None, across: Ints, mix: Mix | None) -> Singles:
    """How much brighter than without the laser those pixels are, as one channel."""
    pictures = [np.ascontiguousarray(each) for each in (image, off) if each is not None]
    channel = None if mix is None else mix.channel
    if mix is not None and channel is None:
        taken = [each.reshape(-1, 3).take(across, 0).astype(np.float32) @ mix.parts for each in pictures]
    else:
        across = across if channel is None else 3 * across + channel
        taken = [each.ravel().take(across).astype(np.float32) for each in pictures]
    if off is not None:
        taken[0] -= taken[1]
    return taken[0]


def _levelled(values: Singles, flank: int) -> tuple[Singles, float]:
    """The strip without its flanks and what shines there too, and the noise of its outermost pixels."""
    if flank:
        a, b = np.median(values[:flank], axis=0), np.median(values[-flank:], axis=0)
        slope = np.linspace(0, 1, len(values) - 2 * flank, dtype=np.float32)
        values = values[flank:-flank] - (a + (b - a) * slope[:, None])
    sides = values[:2, ::4].ravel(), values[-2:, ::4].ravel()
    middle = sides[0].size // 2
    levels = [np.partition(side, middle)[middle] for side in sides]
    nearer_dark = int(levels[1] < levels[0])  # on the other side something may shine, or the picture end
    edges, level = sides[nearer_dark], levels[nearer_dark]
    noise = 1.5 * float(np.partition(np.abs(edges - level), middle, axis=None)[middle]) + 0.3
    return values if flank else values - level, noise


def _straightened(columns: Singles, light: Singles, jump_px: float) -> Singles:
    """In each row the straight line through its neighbours, weighted by light, as far as there is no jump."""
    rows = len(columns)
    # Columns, weights and pieces with empty rows around, so that each row sees its neighbours in one window.
    padded = np.zeros((3, rows + 2 * ROWS), np.float32)
    padded[0, ROWS:-ROWS] = columns
    padded[1, ROWS:-ROWS] = light
    padded[2, ROWS:-ROWS] = 1
    np.cumsum(np.abs(columns[1:] - columns[:-1]) > jump_px, out=padded[2, ROWS + 1 : -ROWS])
    padded[2, ROWS + 1 : -ROWS] += 1
    strides = padded.strides[0], padded.strides[1], padded.strides[1]
    near, weights, piece = np.lib.stride_tricks.as_strided(padded, (3, 2 * ROWS + 1, rows), strides, writeable=False)
    weights = weights * ROWS_WEIGHTS[:, None]
    weights *= piece == padded[2, ROWS:-ROWS]
    weights[ROWS] += np.float32(1e-3)  # a row of no light stays where it is
    s0, s1, s2 = _POWERS @ weights
    weights *= near - columns
    aside0, aside1 = _POWERS[:2] @ weights
    s2 += np.float32(0.05) * s0  # a line needs rows on both sides, else it swings: this makes it level there
    return np.asarray(columns + (s2 * aside0 - s1 * aside1) / np.maximum(s0 * s2 - s1 * s1, 1e-9))


def _flattened(x: Floats) -> Floats:
    """How far straightening has pulled a line that bends towards the inside of its bend: by half of its bend times
    the variance of the weights; 0 where the bend is not known."""
    pull = np.zeros(len(x))
    edge = _BEND_ROWS + _CALM_ROWS
    if len(x) > 2 * edge:
        # Of a mean over some rows: the bend of a single one is mostly its noise.
        calm = np.convolve(x, np.full(2 * _CALM_ROWS + 1, 1 / (2 * _CALM_ROWS + 1)), "valid")
        bend = (calm[2 * _BEND_ROWS :] - 2 * calm[_BEND_ROWS:-_BEND_ROWS] + calm[: -2 * _BEND_ROWS]) / _BEND_ROWS**2
        pull[edge:-edge] = _ROWS_VARIANCE / 2 * bend
    # A jump is no bend; nor is what is not known.
    return np.where(np.abs(pull) < _MOST_PULL_PX, pull, 0)
