"""From a boot's monotonic time to the time of day, as far as its clock anchors tell.

An anchor says: when this boot's monotonic clock stood at `mono_ms`, it was `wall_ms` (UTC), give or take
`error_ms`. Between two anchors time runs evenly; before the first and after the last it runs at one second a
second from there. With no anchor it is not known, and nothing here guesses.

An anchor that a more exact one not far from it agrees with tells nothing more, and is left out: a reply that took
two seconds must not bend the time that one of two milliseconds has straightened.

No quartz can make two anchors true that contradict each other: a clock was set. What one of two clocks says on both
sides of the other holds all through, and the other was wrong. Where one simply follows the other, each holds on its
side, and in between the time is not known, only bounded.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from math import ceil, floor
from typing import Final, NamedTuple


class Anchor(NamedTuple):
    """The monotonic clock stood at `mono_ms` when it was `wall_ms`, give or take `error_ms`."""

    mono_ms: int
    wall_ms: int
    error_ms: int

    def bounds(self, mono_ms: int) -> tuple[int, int]:
        """Between which times it was `mono_ms`, if this is true and the quartz no worse than `DRIFT`."""
        apart_ms = mono_ms - self.mono_ms
        error_ms = self.error_ms + -(-abs(apart_ms) // DRIFT)
        return self.wall_ms + apart_ms - error_ms, self.wall_ms + apart_ms + error_ms


DRIFT: Final = 20_000
"""A quartz is wrong by one part in so many, 50 ppm, at most."""
RIGHT_MS: Final = 1_000
"""A time that may be wrong by more is no right time; clocks that differ by less are not called contradictory."""
_MOST_TALES: Final = 8
"""Clocks that are told apart at once."""


def _tells_more(anchor: Anchor, other: Anchor) -> bool:
    """Whether `anchor` agrees with `other` and, drift and all, is the more exact one at the moment of `other`."""
    apart_ms = abs(anchor.mono_ms - other.mono_ms)
    error_ms = anchor.error_ms + apart_ms // DRIFT
    differ_ms = abs((anchor.wall_ms - other.wall_ms) - (anchor.mono_ms - other.mono_ms))
    return error_ms < other.error_ms and differ_ms <= error_ms + other.error_ms


def contradict(one: Anchor, other: Anchor) -> bool:
    """Whether no clock that only drifts can have made both."""
    apart_ms = abs(one.mono_ms - other.mono_ms)
    return _differ_ms(one, other) > one.error_ms + other.error_ms + apart_ms // DRIFT + RIGHT_MS


def _differ_ms(one: Anchor, other: Anchor) -> int:
    return abs((one.wall_ms - other.wall_ms) - (one.mono_ms - other.mono_ms))


def _near(anchors: list[Anchor], mono_ms: int, error_ms: int) -> slice:
    """Where those stand that are so near that, drift and all, they may be exact to less than `error_ms`."""
    reach_ms = error_ms * DRIFT
    return slice(
        bisect_left(anchors, mono_ms - reach_ms, key=_mono_ms), bisect_right(anchors, mono_ms + reach_ms, key=_mono_ms)
    )


def _mono_ms(anchor: Anchor) -> int:
    return anchor.mono_ms


def _rank(anchor: Anchor) -> tuple[int, int]:
    return anchor.error_ms, anchor.wall_ms


@dataclass(slots=True)
class Anchors:
    """The anchors of one boot, in the order of monotonic time, whatever the order in which they came."""

    known: list[Anchor] = field(default_factory=list)
    """Those that tell something."""
    _all: list[Anchor] = field(init=False)
    _most_error_ms: int = field(init=False)
    _changes: int = field(init=False, default=0)
    _line: tuple[int, _Line] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._all = list(self.known)
        self._most_error_ms = max((one.error_ms for one in self.known), default=0)

    def add(self, anchor: Anchor) -> bool:
        """Take `anchor` in; False if nothing changed. Of two at one moment the more exact one stays."""
        self._most_error_ms = max(self._most_error_ms, anchor.error_ms)
        at = bisect_left(self._all, anchor.mono_ms, key=_mono_ms)
        if at < len(self._all) and self._all[at].mono_ms == anchor.mono_ms:
            if _rank(self._all[at]) <= _rank(anchor):
                return False
            self._all[at] = anchor
            self.known = [one for one in self._all if not self._is_outweighed(one)]
            self._changes += 1
            return True
        self._all.insert(at, anchor)
        if self._is_outweighed(anchor):
            return False
        near = _near(self.known, anchor.mono_ms, self._most_error_ms)
        kept = [one for one in self.known[near] if not _tells_more(anchor, one)]
        insort(kept, anchor)
        self.known[near] = kept
        self._changes += 1
        return True

    def _is_outweighed(self, anchor: Anchor) -> bool:
        return any(_tells_more(other, anchor) for other in self._all[_near(self._all, anchor.mono_ms, anchor.error_ms)])

    @property
    def last(self) -> Anchor | None:
        """The last of those that are believed."""
        known = self._drawn().anchors
        return known[-1] if known else None

    @property
    def runs(self) -> list[list[Anchor]]:
        """Those of `known` that are believed, cut where a clock was set."""
        line = self._drawn()
        cuts = [*sorted(line.cuts), len(line.anchors)]
        return [line.anchors[begin:end] for begin, end in zip([0, *cuts], cuts, strict=False) if begin < end]

    def wall_ms(self, mono_ms: int) -> int | None:
        """The time of day at `mono_ms`, in milliseconds since 1970 (UTC); None if it is not known."""
        known, cuts = self._drawn()
        if not known:
            return None
        at = bisect_left(known, mono_ms, key=_mono_ms)
        if at == 0 or at == len(known):
            nearest = known[0] if at == 0 else known[-1]
            return nearest.wall_ms + mono_ms - nearest.mono_ms
        before, after = known[at - 1], known[at]
        if at in cuts:
            return after.wall_ms if after.mono_ms == mono_ms else None
        share = (mono_ms - before.mono_ms) / (after.mono_ms - before.mono_ms)
        return round(before.wall_ms + share * (after.wall_ms - before.wall_ms))

    def bounds(self, mono_ms: int) -> tuple[int, int] | None:
        """Between which times it was `mono_ms`, if the anchors are right; None if none is known."""
        known, cuts = self._drawn()
        if not known:
            return None
        at = bisect_left(known, mono_ms, key=_mono_ms)
        if at == 0 or at == len(known):
            return (known[0] if at == 0 else known[-1]).bounds(mono_ms)
        (low, high), (other_low, other_high) = known[at - 1].bounds(mono_ms), known[at].bounds(mono_ms)
        if known[at].mono_ms == mono_ms:
            return other_low, other_high
        inner = max(low, other_low), min(high, other_high)
        if at in cuts or inner[0] > inner[1]:
            return min(low, other_low), max(high, other_high)
        return inner

    def walls_between(self, from_mono_ms: int, to_mono_ms: int) -> tuple[int, int] | None:
        """The least and the greatest time of day from one monotonic time to the other, both included."""
        known, _ = self._drawn()
        inside = known[bisect_left(known, from_mono_ms, key=_mono_ms) : bisect_right(known, to_mono_ms, key=_mono_ms)]
        # Clocks may have been set to and fro in between: each anchor there counts, and what leads up to it.
        ends = [self.bounds(at) for at in (from_mono_ms, to_mono_ms)]
        walls = [one.wall_ms for one in inside] + [wall for end in ends if end for wall in end]
        walls += [wall for one in inside for wall in self.bounds(one.mono_ms) or ()]
        # Between an exact anchor and a vague one the time may lie beside what the exact one bounds.
        walls += [wall for at in (from_mono_ms, to_mono_ms) if (wall := self.wall_ms(at)) is not None]
        return (min(walls), max(walls)) if walls else None

    def monos_between(self, from_wall_ms: int, to_wall_ms: int) -> tuple[int, int] | None:
        """Monotonic times between which all lies that was at a time of day from one to the other; None if nothing."""
        found: list[int] = []
        runs = self.runs
        for place, run in enumerate(runs):
            line = [(one.mono_ms, one.wall_ms) for one in run]
            if place == 0:  # before the first and after the last it runs at one second a second
                line.insert(0, _moved(run[0], min(0, from_wall_ms - 1 - run[0].wall_ms)))
            if place == len(runs) - 1:
                line.append(_moved(run[-1], max(0, to_wall_ms + 1 - run[-1].wall_ms)))
            for before, after in zip(line, line[1:] or line, strict=False):
                found += _monos_on(before, after, (from_wall_ms - 1, to_wall_ms + 1))  # `wall_ms` rounds
        return (min(found), max(found)) if found else None

    def mono_ms(self, wall_ms: int) -> int | None:
        """A monotonic time at which it was `wall_ms`, the last of several; None if no anchor is known."""
        runs = self.runs
        if not runs:
            return None
        run = next((run for run in reversed(runs) if wall_ms >= run[0].wall_ms), runs[0])
        return _mono_at(run, wall_ms)

    def _drawn(self) -> _Line:
        changes, line = self._changes, self._line
        if line is None or line[0] != changes:  # another thread may be adding: what is drawn bears its number
            line = self._line = (changes, _draw(list(self.known)))
        return line[1]


class _Line(NamedTuple):
    """What is believed, in order of monotonic time, and before which of them a clock was set."""

    anchors: list[Anchor]
    cuts: frozenset[int]


def _draw(known: list[Anchor]) -> _Line:
    """Cut where a clock was set, without what is contradicted from both sides."""
    kept: list[list[Anchor]] = []
    for tale in sorted(_tales(known), key=_weight):
        if all(tale[-1].mono_ms < other[0].mono_ms or other[-1].mono_ms < tale[0].mono_ms for other in kept):
            kept.append(tale)
    kept.sort()
    anchors: list[Anchor] = []
    cuts: list[int] = []
    for tale in kept:
        if anchors:
            cuts.append(len(anchors))
        anchors += tale
    return _Line(anchors, frozenset(cuts))


def _tales(known: list[Anchor]) -> list[list[Anchor]]:
    """What one clock may have told, for each clock."""
    tales: list[list[Anchor]] = []
    open_: list[list[Anchor]] = []
    for anchor in known:
        mine = [tale for tale in open_ if not contradict(tale[-1], anchor)]
        if mine:
            tale = min(mine, key=lambda one: _differ_ms(one[-1], anchor))
            tale.append(anchor)
            open_.remove(tale)
        else:
            tales.append(tale := [anchor])
        open_ = [*open_[-_MOST_TALES + 1 :], tale]
    return tales


def _weight(tale: list[Anchor]) -> tuple[int, int]:
    """The heaviest first: what held far longer, else what was there first, so that two equals do not take turns."""
    return -(tale[-1].mono_ms - tale[0].mono_ms).bit_length(), tale[0].mono_ms


def _moved(anchor: Anchor, by_ms: int) -> tuple[int, int]:
    return anchor.mono_ms + by_ms, anchor.wall_ms + by_ms


def _monos_on(before: tuple[int, int], after: tuple[int, int], walls: tuple[int, int]) -> list[int]:
    """From which to which monotonic time a straight piece of (mono, wall), which may fall, is within `walls`."""
    (mono, wall), (next_mono, next_wall) = before, after
    low, high = max(walls[0], min(wall, next_wall)), min(walls[1], max(wall, next_wall))
    if low > high:
        return []
    if wall == next_wall:
        return [mono, next_mono]
    ends = [mono + (at - wall) * (next_mono - mono) / (next_wall - wall) for at in (low, high)]
    return [floor(min(ends)), ceil(max(ends))]


def _mono_at(run: list[Anchor], wall_ms: int) -> int:
    at = bisect_left(run, wall_ms, key=lambda a: a.wall_ms)
    if at == 0 or at == len(run):
        nearest = run[0] if at == 0 else run[-1]
        return nearest.mono_ms + wall_ms - nearest.wall_ms
    before, after = run[at - 1], run[at]
    share = (wall_ms - before.wall_ms) / max(1, after.wall_ms - before.wall_ms)
    return round(before.mono_ms + share * (after.mono_ms - before.mono_ms))
