"""The gaps of a time, read from the events of this machine's own store: for the owner's page and the technician."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final

from golmok_cloud_sync.protocol import Record
from golmok_cloud_sync.protocol.gaps import PREFIX, START, Folded, Gap, Moment, parse
from golmok_edge.gateway.live import rfc3339

MOST_EVENTS: Final = 20_000
"""So many are looked at, the newest first."""
MOST_ROWS: Final = 5_000

Date = Callable[[Moment], int | None]
Row = dict[str, Any]


def rows(
    newest_first: Iterable[Record],
    date: Date,
    *,
    going_on: Iterable[Gap] = (),
    channel: str | None = None,
    from_ms: int | None = None,
    to_ms: int | None = None,
) -> list[Row]:
    """The gaps that reach into that time, the oldest first; `going_on` are those that the running gateway knows of.

    What closes a gap is an event behind its end, so nothing before `from_ms` need be looked at.
    """
    book, starts = Folded[tuple[int]](), list[tuple[int, Moment]]()
    for place, gap in enumerate(going_on, 1):
        book.add((place,), gap)
    for age, event in enumerate(islice(newest_first, MOST_EVENTS)):
        at = Moment(event.boot, event.mono_ms)
        if event.channel.startswith(PREFIX):
            book.add((-age,), parse(event))
        elif event.channel == START:
            starts.insert(0, (-age, at))
        if from_ms is not None and (ms := date(at)) is not None and ms < from_ms:
            break
    found = (_row(gap, _end(place, gap, starts), date) for (place,), gap in book.standing())
    mine = [row for row in found if row is not None and _is_asked_for(row, channel, from_ms, to_ms)]
    return sorted(mine, key=lambda row: (row["from_ms"] is None, row["from_ms"]))[:MOST_ROWS]


def _end(place: int, gap: Gap, starts: Iterable[tuple[int, Moment]]) -> Moment | None:
    """An open gap of which a later start knows nothing ended with it: what came after is told anew."""
    if not gap.is_open or place > 0:
        return gap.end
    return next((at for age, at in starts if age > place), None)


def _row(gap: Gap, end: Moment | None, date: Date) -> Row | None:
    begins = (gap.from_ms, date(gap.begin) if gap.begin else None)
    from_ms = min((ms for ms in begins if ms is not None), default=None)
    to_ms = date(end) if gap.to_ms is None and end else gap.to_ms
    length_ms = None if from_ms is None or to_ms is None else to_ms - from_ms
    if gap.limit_ms and length_ms is not None and length_ms <= gap.limit_ms:
        return None
    counts = dict(gap.channels)
    if gap.interval_ms and length_ms is not None:
        lacks = max(0, round(length_ms / gap.interval_ms) - 1)
        counts = {name: lacks if count is None else count for name, count in counts.items()}
    is_open = end is None and gap.to_ms is None
    ends = {"from": rfc3339(from_ms), "to": rfc3339(to_ms), "from_ms": from_ms, "to_ms": to_ms, "open": is_open}
    return {"reason": gap.reason, "detail": gap.detail, "channels": counts, **ends}


def _is_asked_for(row: Row, channel: str | None, from_ms: int | None, to_ms: int | None) -> bool:
    if channel is not None and row["channels"] and channel not in row["channels"]:
        return False
    begins = to_ms is None or row["from_ms"] is None or row["from_ms"] < to_ms
    return begins and (from_ms is None or row["to_ms"] is None or row["to_ms"] >= from_ms)


def of_channel(found: Iterable[Row], channel: str) -> Iterator[Row]:
    """The same with the count of one channel."""
    for row in found:
        yield {**{k: v for k, v in row.items() if k != "channels"}, "count": row["channels"].get(channel)}
