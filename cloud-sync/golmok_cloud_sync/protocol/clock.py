"""From a boot's monotonic time to the time of day, as far as its clock anchors tell.

An anchor says: when this boot's monotonic clock stood at `mono_ms`, it was `wall_ms` (UTC), give or take
`error_ms`. Between two anchors time runs evenly; before the first and after the last it runs at one second a
second from there. With no anchor it is not known, and nothing here guesses.

An anchor that a more exact one not far from it agrees with tells nothing more, and is left out: a reply that took
two seconds must not bend the time that one of two milliseconds has straightened.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from typing import Final, NamedTuple


class Anchor(NamedTuple):
    """The monotonic clock stood at `mono_ms` when it was `wall_ms`, give or take `error_ms`."""

    mono_ms: int
    wall_ms: int
    error_ms: int


DRIFT: Final = 20_000
"""A quartz is wrong by one part in so many, 50 ppm, at most."""


def _tells_more(anchor: Anchor, other: Anchor) -> bool:
    """Whether `anchor` agrees with `other` and, drift and all, is the more exact one at the moment of `other`."""
    apart_ms = abs(anchor.mono_ms - other.mono_ms)
    error_ms = anchor.error_ms + apart_ms // DRIFT
    differ_ms = abs((anchor.wall_ms - other.wall_ms) - (anchor.mono_ms - other.mono_ms))
    return error_ms < other.error_ms and differ_ms <= error_ms + other.error_ms


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
    """Those that count."""
    _all: list[Anchor] = field(init=False)
    _most_error_ms: int = field(init=False)

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
            return True
        self._all.insert(at, anchor)
        if self._is_outweighed(anchor):
            return False
        near = _near(self.known, anchor.mono_ms, self._most_error_ms)
        kept = [one for one in self.known[near] if not _tells_more(anchor, one)]
        insort(kept, anchor)
        self.known[near] = kept
        return True

    def _is_outweighed(self, anchor: Anchor) -> bool:
        return any(_tells_more(other, anchor) for other in self._all[_near(self._all, anchor.mono_ms, anchor.error_ms)])

    def wall_ms(self, mono_ms: int) -> int | None:
        """The time of day at `mono_ms`, in milliseconds since 1970 (UTC); None if no anchor is known."""
        known = self.known
        if not known:
            return None
        at = bisect_left(known, mono_ms, key=_mono_ms)
        if at == 0 or at == len(known):
            nearest = known[0] if at == 0 else known[-1]
            return nearest.wall_ms + mono_ms - nearest.mono_ms
        before, after = known[at - 1], known[at]
        share = (mono_ms - before.mono_ms) / (after.mono_ms - before.mono_ms)
        return round(before.wall_ms + share * (after.wall_ms - before.wall_ms))

    def mono_ms(self, wall_ms: int) -> int | None:
        """The monotonic time at which it was `wall_ms`; None if no anchor is known."""
        known = self.known
        if not known:
            return None
        at = bisect_left(known, wall_ms, key=lambda a: a.wall_ms)
        if at == 0 or at == len(known):
            nearest = known[0] if at == 0 else known[-1]
            return nearest.mono_ms + wall_ms - nearest.wall_ms
        before, after = known[at - 1], known[at]
        share = (wall_ms - before.wall_ms) / max(1, after.wall_ms - before.wall_ms)
        return round(before.mono_ms + share * (after.mono_ms - before.mono_ms))
