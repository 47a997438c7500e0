"""Which rows of a picture have the laser's line: those where it is seen, as far as its ends, without specks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Singles: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

ROWS: Final = 5
NEIGHBOURS: Final = np.arange(-ROWS, ROWS + 1, dtype=np.float32)
ROWS_WEIGHTS: Final = np.exp(-0.5 * np.square(NEIGHBOURS / 2.0)).astype(np.float32)
"""Rows of this weight (sigma 2) are taken together: 0.4 mm on the usual rig, less than what lies between its lines."""

FEWEST_ROWS: Final = 4
_MEAN: Final = ROWS_WEIGHTS / ROWS_WEIGHTS.sum()

_MOST_BROKEN: Final = 0.3
_FAINT: Final = 0.25
_ASIDE_PX: Final = 10.0
_ASIDE_ROWS: Final = 60
"""A piece of line that is fainter than `_FAINT` of the rest and so far aside of it is a reflection."""

_INSIDE: Final = 3
_HALF_OF_INSIDE: Final = np.full(_INSIDE, 0.5 / _INSIDE, np.float32)
"""A line is blurred: where it ends, half of the light of the rows inside is left."""

_BEYOND: Final = np.arange(6)
"""Rows that may lie beyond an end and have light of the line."""


Counts: TypeAlias = Callable[[Singles, Ints], Mask]
"""Of columns and their rows: which are of what is looked for, and not of a wall behind it."""


def rows_with_line(
    columns: Singles, contrast: Singles, within: Mask, least: float, jump_px: float, counts: Counts | None = None
) -> Mask:
    """Rows in which a line at `columns`, so much brighter than what is around, is there; only where it is `within`.

    What is fainter than `least` may be noise; where the columns jump, one line ends and another begins. What is bright
    or faint is told by the rows that count, if these are fainter than all.
    """
    rows = np.flatnonzero(_sure(contrast, least) & within)
    rows = _without_strays(rows, columns[rows], contrast[rows], jump_px, counts)
    rows = _as_far_as_ends(rows, columns[rows], contrast[rows], least, jump_px)
    found = np.zeros(len(columns), bool)
    found[rows] = True
    return found


def _sure(contrast: Singles, least: float) -> Mask:
    """Rows with the line: it is there with its neighbours, and does not only end nearby."""
    together = np.convolve(contrast, _MEAN, "same")
    here = contrast.copy()
    here[1:] += contrast[:-1]
    here[:-1] += contrast[1:]
    return np.asarray((together > least) & (here > np.maximum(0.75 * together, 1.5 * least)))


def _without_strays(rows: Ints, found_at: Singles, light: Singles, jump_px: float, counts: Counts | None) -> Ints:
    """Short pieces are specks; faint ones that stand aside of a bright line are its reflections."""
    if len(rows) < FEWEST_ROWS:
        return rows[:0]
    gaps = rows[1:] - rows[:-1]
    cuts = np.flatnonzero((gaps > 2 * ROWS) | (np.abs(found_at[1:] - found_at[:-1]) > jump_px * gaps)) + 1
    if not len(cuts):
        return rows
    if len(cuts) > _MOST_BROKEN * len(rows):
        return rows[:0]  # noise is brightest somewhere in each row
    bounds = np.concatenate([[0], cuts, [len(rows)]])
    first, lengths = bounds[:-1], bounds[1:] - bounds[:-1]
    usual, counting = float(light.mean()), None if counts is None else counts(found_at, rows)
    if counting is not None and counting.any():
        usual = min(usual, float(light[counting].mean()))
    is_bright = np.add.reduceat(light, first) / lengths >= _FAINT * usual
    begins, ends = found_at[first], found_at[first + lengths - 1]
    # A faint piece that goes on where another one ends is the same line on something dark.
    goes_on = np.zeros(len(first), bool)
    near = (np.abs(begins[1:] - ends[:-1]) <= _ASIDE_PX) & (gaps[cuts - 1] <= _ASIDE_ROWS)
    goes_on[1:] |= near
    goes_on[:-1] |= near
    return np.asarray(rows[np.repeat((lengths >= FEWEST_ROWS) & (is_bright | goes_on), lengths)])


def _as_far_as_ends(rows: Ints, found_at: Singles, light: Singles, least: float, jump_px: float) -> Ints:
    """Without the rows beyond an end that have only their neighbours' light: a line ends where half of it is left.

    No end is where it goes on a few rows farther, as it does across something dark.
    """
    if len(rows) < FEWEST_ROWS:
        return rows[:0]
    is_cut = (rows[1:] - rows[:-1] > 2 * ROWS) | (np.abs(found_at[1:] - found_at[:-1]) > jump_px)
    cuts = np.flatnonzero(is_cut) + 1
    first, last = np.concatenate([[0], cuts]), np.concatenate([cuts, [len(rows)]]) - 1
    half = np.maximum(np.convolve(light, _HALF_OF_INSIDE), np.float32(least))  # in place n: of the rows up to n
    before, after = first[:, None] + _BEYOND, last[:, None] - _BEYOND
    dim = (
        light.take(before, mode="clip") < half.take(np.minimum(before + _INSIDE, last[:, None])),
        light.take(after, mode="clip") < half.take(np.maximum(after - 1, first[:, None] + _INSIDE - 1), mode="clip"),
    )
    begins, ends = (np.logical_and.accumulate(each, axis=1).sum(1) for each in dim)
    pieces = [
        rows[begin:end]
        for begin, end in zip(first + begins, last + 1 - ends, strict=True)
        if end - begin >= FEWEST_ROWS
    ]
    return np.concatenate(pieces) if pieces else rows[:0]
