"""What a capture takes, and in which order: stops of the table, and the light of each picture. Decisions only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

What: TypeAlias = Literal["camera", "table", "frames"]
Light: TypeAlias = Literal["off", "l0", "l1", "color"]

Shown: TypeAlias = tuple[Light, int]
"""In which light, and by which of the exposures."""

LIT: Final[tuple[Light, ...]] = ("off", "l0", "l1")
LOOKED: Final[tuple[Light, ...]] = (*LIT, "color")
"""By which somebody may look through the camera."""

WHATS: Final[tuple[What, ...]] = ("camera", "table", "frames")
HAND_PICTURES: Final = 24
_MOST_SIDES: Final = 8
_STOPS_A_SIDE: Final = 8
_LYING, _UPRIGHT, _LEANING = 0, 1, 2
_TABLE: Final = ((_UPRIGHT, 17, 48.0), (_LEANING, 13, 42.0))
"""Placement of a standing board, pictures, and to how many degrees aside it is turned."""
_LYING_PICTURES: Final = 18


@dataclass(frozen=True)
class Stop:
    """The table stands still at `step`, and a picture is taken in each of `lights`."""

    what: What
    index: int
    step: int = 0
    lights: tuple[Light, ...] = ("off",)
    placement: int = 0

    def shown(self, exposures: int = 1) -> tuple[Shown, ...]:
        """Its pictures in the order in which they are taken, each by so many exposures but for that in colour."""
        laser = [light for light in self.lights if light != "color"]
        colour: tuple[Shown, ...] = (("color", 0),) if "color" in self.lights else ()
        return (*((light, nth) for nth in range(exposures) for light in laser), *colour)


def stops(what: What, steps: int, per_turn: int, lasers: int) -> tuple[Stop, ...]:
    """All that is to be taken, in order."""
    lit = LIT[: 1 + lasers]
    if what == "camera":
        return tuple(Stop("camera", i) for i in range(HAND_PICTURES))
    if what == "frames":
        places = [round(per_turn * k / steps) for k in range(steps)]
        return tuple(Stop("frames", i, step, (*lit, "color")) for i, step in enumerate(places))
    return tuple(Stop("table", i, step, lit, placement) for i, (placement, step) in enumerate(_table(per_turn)))


def sides(frames: Sequence[Stop]) -> tuple[Stop, ...]:
    """From where a piece is looked at before it is captured: some stops of those all around."""
    count = min(_MOST_SIDES, max(1, len(frames) // _STOPS_A_SIDE))
    return tuple(frames[len(frames) * k // count] for k in range(count))


def _table(per_turn: int) -> Sequence[tuple[int, int]]:
    """All around lying, then to both sides standing: (placement, step)."""
    found = [(_LYING, round(per_turn * k / _LYING_PICTURES)) for k in range(_LYING_PICTURES)]
    for placement, count, reach_deg in _TABLE:
        sides = [reach_deg * (2 * k / (count - 1) - 1) for k in range(count)]
        found += [(placement, round(per_turn * side / 360)) for side in sides]
    return found


@dataclass(frozen=True)
class Pace:
    """How long to rest before each picture: longer when frames come late, and slowly shorter again.

    A busy machine is helped by being asked less. `tries` counts those in a row that were late.
    """

    rest_s: float = 0.0
    tries: int = 0

    @property
    def timeout_s(self) -> float:
        """How long to wait for a frame."""
        return 1.5 + 2 * self.rest_s

    @property
    def is_hopeless(self) -> bool:
        """Whether to give up."""
        return self.tries >= _MOST_TRIES

    def after_late(self) -> Pace:
        """A frame was late."""
        return Pace(min(max(2 * self.rest_s, 0.1), _LONGEST_REST_S), self.tries + 1)

    def after_good(self) -> Pace:
        """A frame came."""
        rest_s = 0.8 * self.rest_s
        return Pace(rest_s if rest_s > 0.01 else 0.0)


_LONGEST_REST_S: Final = 4.0
_MOST_TRIES: Final = 7
