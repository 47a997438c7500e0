"""About where a line leads from top to bottom of a picture that has more in it than the line.

For pictures without one of the laser off, for weak lines, for pictures in which single places outshine the line. Each
row alone may be wrong; the best path through all rows is not. It may jump, for a price, since a line that falls on
things before one another does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.dataset import Picture

Singles: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int64]

_STEP: Final = 2
"""A path moves by no more columns from row to row, without a jump: 63 degrees from upright."""

_PRICES: Final = np.array([0.9, 0.3, 0.0, 0.3, 0.9], np.float32)
"""Of a move by so many columns, in rows of typical line."""

_JUMP: Final = 5.0
_MOST_GAIN: Final = 3.0
_SLANTS: Final = (-0.8, -0.4, 0.0, 0.4, 0.8)  # columns per row
_ALONG: Final = 9
_SIDES: Final = (3, 5, 8)
"""How far from the middle of a line, in pixels of the quarter picture, it must be darker: for lines of all widths."""

# Blue, green, red. A laser's own colour stands out most where the others are taken away.
_MIXES: Final = (
    (1 / 3, 1 / 3, 1 / 3), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0),
    (-0.5, -0.5, 1.0), (-0.5, 1.0, -0.5), (1.0, -0.5, -0.5),
)  # fmt: skip

_COLOUR: Final = 0.6
"""A channel with less of the line's light than this share of the brightest one's adds noise and takes time."""


@dataclass(frozen=True)
class Mix:
    """How much of each of three channels makes the one in which the line is looked for."""

    parts: Singles

    @property
    def channel(self) -> int | None:
        """The one that it is made of alone."""
        return int(self.parts.argmax()) if np.count_nonzero(self.parts) == 1 else None

    def of(self, picture: Picture) -> Picture:
        """That one channel, cut off at 0 and 255."""
        if self.channel is not None:
            return np.asarray(cv2.extractChannel(picture, self.channel), np.uint8)
        # Not from bytes to bytes: OpenCV does that one pixel after the other.
        light = cv2.transform(picture.astype(np.float32), self.parts[None])
        _, light = cv2.threshold(light, 0, 0, cv2.THRESH_TOZERO)
        return np.asarray(cv2.convertScaleAbs(light), np.uint8)


class Path(NamedTuple):
    """The best path from top to bottom: a column in each row, also where nothing is."""

    columns: Ints
    stands_out: float
    """How much more there is along it than along the next best path: about 1 where there is no line."""


def best_path(half: Picture) -> Path:
    """Where a line leads in the picture (of half the size)."""
    response = ridges(_quartered(half))
    columns = _traced(response)
    stands_out = _along(response, columns) / max(_along_next(response, columns), 1e-3)
    rows = np.arange(half.shape[0])
    # Between rows of the quarter picture the path goes straight, but for jumps.
    spread = np.interp((rows - 0.5) / 2, np.arange(len(columns)), columns)
    nearest = columns[np.minimum(rows // 2, len(columns) - 1)]
    across = np.where(np.abs(spread - nearest) <= _STEP, spread, nearest)
    about = np.clip(np.rint(2 * across + 0.5).astype(np.int64), 0, half.shape[1] - 1)
    return Path(_brightest_near(half, about), stands_out)


def _along(response: Singles, columns: Ints) -> float:
    return float(response[np.arange(len(columns)), columns].mean())


def _along_next(response: Singles, columns: Ints) -> float:
    """Along the best path that keeps away from this one."""
    rest = response.copy()
    beside = np.clip(columns[:, None] + np.arange(-5, 6), 0, rest.shape[1] - 1)
    np.put_along_axis(rest, beside, 0, axis=1)
    return _along(rest, _traced(rest))


def best_mix(half: Picture) -> Mix:
    """The mix of channels in which the line is clearest in ambient light."""
    found: list[tuple[float, Mix]] = []
    quarter = _quartered(half)
    for parts in _MIXES:
        mix = Mix(np.array(parts, np.float32))
        response = ridges(mix.of(quarter))
        found.append((_along(response, _traced(response)) / (float(response.mean()) + 0.05), mix))
    return max(found, key=lambda each: each[0])[1]


def mix_of_line(rows: Picture) -> Mix:
    """By the line's light in some rows of the difference: its colour alone, or all channels where it has none."""
    smooth = cv2.blur(rows, (5, 1))
    light = np.array([channel.max(1).mean() for channel in cv2.split(smooth)]) - cv2.mean(smooth)[:3]
    parts = np.asarray(light > _COLOUR * light.max(), np.float32)
    return Mix(parts / max(float(parts.sum()), 1.0))


def ridges(picture: Picture) -> Singles:
    """How much brighter each place is than both what is left and what is right of it."""
    values = cv2.blur(picture.astype(np.float32), (1, 3))
    best = np.zeros_like(values)
    padded = cv2.copyMakeBorder(values, 0, 0, max(_SIDES), max(_SIDES), cv2.BORDER_REPLICATE)
    width = values.shape[1]
    for side in _SIDES:
        middle = cv2.blur(values, (max(1, side - 2), 1))
        near = cv2.blur(padded, (max(1, side - 1), 1))
        left = near[:, max(_SIDES) - side : max(_SIDES) - side + width]
        right = near[:, max(_SIDES) + side : max(_SIDES) + side + width]
        np.maximum(best, middle - np.maximum(left, right), out=best)
    return _drawn_out(np.asarray(best, np.float32))


def _drawn_out(response: Singles) -> Singles:
    """Each place with what is above and below it, in the best of some slants: lines stay, blots of texture fade."""
    rows, width = response.shape
    best = np.zeros_like(response)
    for slant in _SLANTS:
        lean = np.array([[1, slant, -slant * rows / 2], [0, 1, 0]], np.float32)
        upright = cv2.warpAffine(response, lean, (width, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        along = cv2.blur(upright, (1, _ALONG))
        back = cv2.warpAffine(along, lean, (width, rows), flags=cv2.INTER_LINEAR)
        best = np.maximum(best, back)
    return np.asarray(best, np.float32)


def _quartered(half: Picture) -> Picture:
    height, width = max(1, half.shape[0] // 2), max(1, half.shape[1] // 2)
    whole = half[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _traced(response: Singles) -> Ints:
    """The path with the most response; by dynamic programming from top to bottom."""
    rows, width = response.shape
    typical = float(np.median(response.max(1))) + 1e-3
    # Where most rows hold no line the typical is its absence: what is brighter must count for more, glints not for all.
    gain = response / np.float32(typical)
    gain = np.where(gain > 1, np.minimum(np.sqrt(np.maximum(gain, 1)), np.float32(_MOST_GAIN)), gain)
    came = np.zeros((rows, width), np.int64)
    padded = np.full(width + 2 * _STEP, -np.inf, np.float32)
    value = gain[0].copy()
    columns = np.arange(width)
    for row in range(1, rows):
        padded[_STEP:-_STEP] = value
        moves = np.stack([padded[k : k + width] - _PRICES[k] for k in range(2 * _STEP + 1)])
        which = moves.argmax(0)
        before = moves[which, columns]
        jump = int(value.argmax())
        is_jump = value[jump] - _JUMP > before
        came[row] = np.where(is_jump, jump, columns + which - _STEP)
        value = np.where(is_jump, value[jump] - np.float32(_JUMP), before) + gain[row]
    path = np.empty(rows, np.int64)
    path[-1] = int(value.argmax())
    for row in range(rows - 1, 0, -1):
        path[row - 1] = came[row, path[row]]
    return path


def _brightest_near(half: Picture, about: Ints) -> Ints:
    """The brightest place within a few columns of the path."""
    reach, width = 4, half.shape[1]
    rows = np.arange(0, len(about) * width, width)[:, None]
    across = np.clip(about[:, None] + np.arange(-reach, reach + 1), 0, width - 1)
    near = np.ascontiguousarray(half).ravel().take(across + rows)
    smooth = np.asarray(cv2.blur(near, (3, 1)))
    return np.asarray(across[np.arange(len(about)), smooth.argmax(1)])
