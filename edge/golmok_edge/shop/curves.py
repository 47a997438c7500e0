"""Today's curve of a channel: where the day begins at the shop, and what of it has no record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

Point: TypeAlias = Sequence[float]
"""[ms since 1970, least, mean, most]; the time is where the point's bucket begins."""

POINTS: Final = 288
"""One in five minutes: as fine as a telephone shows a day."""
_SHORTEST: Final = timedelta(minutes=3)
"""A shop that was just opened has a curve to look at, not a dot."""


class Span(NamedTuple):
    """What a curve is asked for."""

    start: datetime
    end: datetime

    @property
    def question(self) -> dict[str, int]:
        """As the gateway is asked."""
        return {"from_ms": _ms(self.start), "to_ms": _ms(self.end), "points": POINTS}

    @property
    def bucket_ms(self) -> float:
        """How much time a point stands for."""
        return (_ms(self.end) - _ms(self.start)) / POINTS

    def narrowed(self, points: Sequence[Point]) -> Span:
        """From the first of `points` on, but never so short that it is no curve."""
        first = datetime.fromtimestamp(points[0][0] / 1000, UTC) if points else self.end
        return Span(max(self.start, min(first, self.end - _SHORTEST)), self.end)

    def is_much_shorter_than(self, other: Span) -> bool:
        """Whether points that were asked for the other are too few for this one."""
        return self.end - self.start < (other.end - other.start) / 2


def today(now: datetime, zone: ZoneInfo) -> Span:
    """From the shop's midnight until now."""
    return Span(now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0), now)


def curve(points: Sequence[Point], span: Span, bucket_ms: float, normal_s: float | None, reason: str) -> dict[str, Any]:
    """What the page draws; where nothing was said for longer than `normal_s` is a gap for `reason`."""
    gaps = [] if normal_s is None else _gaps(points, span, bucket_ms, normal_s, reason)
    return {"from": _ms(span.start), "to": _ms(span.end), "points": points, "gaps": gaps}


def _gaps(points: Sequence[Point], span: Span, bucket_ms: float, normal_s: float, reason: str) -> list[dict[str, Any]]:
    # A point stands for a bucket, so two neighbours may be almost two buckets apart and nothing be missing.
    longest_ms = 1000 * normal_s + 2 * bucket_ms
    ends = pairwise([*(int(point[0]) for point in points), _ms(span.end)])
    return [{"from": a, "to": b, "reason": reason} for a, b in ends if b - a > longest_ms]


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)
