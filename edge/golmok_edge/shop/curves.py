"""Today's curve of a channel: where the day begins at the shop, and what of it has no record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from golmok_cloud_sync.web import Language, reason
from golmok_edge.shop.link import Row

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

    def narrowed(self, points: Sequence[Point], gaps: Sequence[Row] = ()) -> Span:
        """From the first of `points` and gaps on, but never so short that it is no curve."""
        begins = [row["from_ms"] for row in gaps if row["from_ms"] is not None]
        first_ms = min([*(point[0] for point in points[:1]), *begins], default=None)
        first = self.end if first_ms is None else datetime.fromtimestamp(first_ms / 1000, UTC)
        return Span(max(self.start, min(first, self.end - _SHORTEST)), self.end)

    def is_much_shorter_than(self, other: Span) -> bool:
        """Whether points that were asked for the other are too few for this one."""
        return self.end - self.start < (other.end - other.start) / 2


def today(now: datetime, zone: ZoneInfo) -> Span:
    """From the shop's midnight until now."""
    return Span(now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0), now)


def curve(points: Sequence[Point], span: Span, gaps: Sequence[Row], language: Language) -> dict[str, Any]:
    """What the page draws: the points, and what the gateway knows to be missing, in words."""
    start, end = _ms(span.start), _ms(span.end)
    return {"from": start, "to": end, "points": points, "gaps": [_gap(row, start, end, language) for row in gaps]}


def _gap(row: Row, start: int, end: int, language: Language) -> dict[str, Any]:
    begins, stops = row["from_ms"], row["to_ms"]
    return {
        "from": start if begins is None else max(start, begins),
        "to": end if stops is None else min(end, stops),
        "reason": reason(language, row["reason"]),
        "count": row["count"],
        "open": row["open"],
    }


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)
