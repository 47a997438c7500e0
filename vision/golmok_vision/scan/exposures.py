"""How long to expose a piece: once where that will do, several times where it is dark here and white there.

Somebody takes pictures of some sides of the piece by the exposures of a ladder, the longest first; here it is decided
which of them the scan needs. Decisions only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from golmok_vision.scan.dataset import Picture
from golmok_vision.scan.line import find_points
from golmok_vision.scan.points import is_white

Floats: TypeAlias = npt.NDArray[np.float64]


class OnPiece(Protocol):
    """Which pixels of a laser's line are the piece's: `Triangulator.is_piece`."""

    def __call__(self, pixels: Floats, laser: int) -> npt.NDArray[np.bool_]: ...


_LONGER: Final = 8.0
_SHORTER: Final = (1 / 4, 1 / 16)
_WORTH: Final = 1.2
_MORE: Final = 0.06
"""A longer exposure that shows no more than this share of the line is not worth its time."""

MOST_WHITE: Final = 0.05
"""Of the line's points: fewer are grains of speckle and glints."""

_MOST_ROOM: Final = 0.1


@dataclass(frozen=True)
class Look:
    """How many points of lines pictures show, how many of these are overexposed; and whether the room alone is."""

    found: int = 0
    white: int = 0
    is_flooded: bool = False

    def __add__(self, other: Look) -> Look:
        return Look(self.found + other.found, self.white + other.white, self.is_flooded or other.is_flooded)

    @property
    def is_white(self) -> bool:
        """Whether a shorter exposure would show more."""
        return self.white > MOST_WHITE * self.found


def look(picture: Picture, off: Picture, laser: int, on_piece: OnPiece | None) -> Look:
    """What a picture with a laser shows by this exposure, on the piece where that is known."""
    is_piece = None if on_piece is None else partial(on_piece, laser=laser)
    pixels, _ = find_points(picture, off, is_piece)
    if is_piece is not None:
        pixels = pixels[is_piece(pixels)]
    return Look(len(pixels), int(is_white(picture, pixels).sum()), is_flooded(off))


def is_flooded(off: Picture) -> bool:
    """Whether too much of a picture without laser is white."""
    return bool((off[::4, ::4] >= 250).mean() > _MOST_ROOM)


def ladder(usual_ms: float, longest_ms: float) -> tuple[float, ...]:
    """Exposures to try, the longest first; none is longer than the usual one and than `longest_ms`."""
    longer = min(_LONGER * usual_ms, longest_ms)
    return (*((longer,) if longer > _WORTH * usual_ms else ()), usual_ms, *(usual_ms * share for share in _SHORTER))


def chosen(rungs: Sequence[float], seen: Sequence[Look], usual_ms: float) -> tuple[float, ...]:
    """Which of them to take at each stop; `seen` by each rung, all sides together."""
    usual = list(rungs).index(usual_ms)
    first = usual
    if usual and not seen[0].is_flooded and seen[0].found - seen[usual].found > _MORE * seen[0].found:
        first = 0
    last = first
    while last + 1 < len(seen) and seen[last].is_white:
        last += 1
    return tuple(rungs[first : last + 1])
