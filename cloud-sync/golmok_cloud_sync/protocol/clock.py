"""From a boot's monotonic time to the time of day, as far as its clock anchors tell.

An anchor says: when this boot's monotonic clock stood at `mono_ms`, it was `wall_ms` (UTC), give or take
`error_ms`. Between two anchors time runs evenly; before the first and after the last it runs at one second a
second from there. With no anchor it is not known, and nothing here guesses.

An anchor that a more exact one not far from it agrees with tells nothing more, and is left out: a reply that took
two seconds must not bend the time that one of two milliseconds has straightened.
"""

from __future__ import annotations

from bisect import bisect_left
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


@dataclass(slots=True)
class Anchors:
    """The anchors of one boot, in the order of monotonic time."""

    known: list[Anchor] = field(default_factory=list)
    """Those that count."""
    _all: dict[int, Anchor] = field(default_factory=dict)

    def add(self, anchor: Anchor) -> bool:
        """Take `anchor` in; False if nothing changed. Of two at one moment the more exact one stays."""
        at_once = self._all.get(anchor.mono_ms)
        if at_once is not None and at_once.error_ms <= anchor.error_ms:
            return False
        self._all[anchor.mono_ms] = anchor
        if any(_tells_more(other, anchor) for other in self.known):
            return False
        kept = [other for other in self.known if other.mono_ms != anchor.mono_ms and not _tells_more(anchor, other)]
        self.known = sorted([*kept, anchor])
        return True

    def wall_ms(self, mono_ms: int) -> int | None:
        """The time of day at `mono_ms`, in milliseconds since 1970 (UTC); None if no anchor is known."""
        known = self.known
        if not known:
            return None
        at = bisect_left(known, mono_ms, key=lambda a: a.mono_ms)
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
