"""Today's curve of a channel: where the day begins at the shop, and what of it has no record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

Point: TypeAlias = Sequence[float]
"""[ms since 1970, least, mean, most]."""

POINTS: Final = 288
"""One in five minutes: as fine as a telephone shows a day."""
_SHORTEST: Final = timedelta(minutes=3)
"""A shop that was just opened has a curve to look at, not a dot."""


def midnight(now: datetime, zone: ZoneInfo) -> datetime:
    """When the shop's day began."""
    return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)


def curve(points: Sequence[Point], day: datetime, now: datetime, normal_s: float | None, reason: str) -> dict[str, Any]:
    """What the page draws: from the first value of the day (or midnight) until now, holes marked with `reason`."""
    end_ms = _ms(now)
    first_ms = points[0][0] if points else end_ms
    start_ms = max(_ms(day), min(first_ms, _ms(now - _SHORTEST)))
    return {"from": start_ms, "to": end_ms, "points": points, "gaps": _gaps(points, day, end_ms, normal_s, reason)}


def _gaps(
    points: Sequence[Point], day: datetime, end_ms: int, normal_s: float | None, reason: str
) -> list[dict[str, Any]]:
    if normal_s is None or not points:
        return []
    # A point stands for a bucket, so two neighbours may be almost two buckets apart and nothing be missing.
    longest_ms = 1000 * normal_s + 2 * (end_ms - _ms(day)) / POINTS
    times = [int(point[0]) for point in points]
    ends = pairwise([*times, end_ms])
    return [{"from": a, "to": b, "reason": reason} for a, b in ends if b - a > longest_ms]


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)
