"""The newest value of each channel, for whoever wants to see it: the pages, `status`, the local bus, the cloud.

Fed after each commit only, so that nobody sees a value that a power cut could still take away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from golmok_cloud_sync.protocol import Record
from golmok_edge.gateway.clock import Clock
from golmok_edge.gateway.timekeeper import Timekeeper

_MOST_UNREAD: Final = 10_000
"""Values that a watcher may be behind before he is let go: he can ask for the latest again."""


class Newest(NamedTuple):
    """A record and its seq."""

    seq: int
    record: Record


class Live:
    """The newest record of each channel. Belongs to the event loop's thread, but for `records`."""

    def __init__(self, clock: Clock, time: Timekeeper, newest: Mapping[str, Newest]) -> None:
        self._clock, self._time = clock, time
        self._newest = dict(newest)
        self._watchers: set[asyncio.Queue[dict[str, Any] | None]] = set()

    def committed(self, newest: Mapping[str, Newest]) -> None:
        """Take in the newest of each channel that a commit brought."""
        self._newest.update(newest)
        if self._watchers:
            for row in map(self.row, newest.values()):
                self._tell(row)

    def records(self) -> list[Record]:
        """The newest record of each channel; any thread may ask."""
        return [one.record for one in list(self._newest.values())]

    def rows(self) -> list[dict[str, Any]]:
        """All of them as the socket tells them."""
        return [self.row(self._newest[channel]) for channel in sorted(self._newest)]

    def newest(self, channels: Container[str]) -> dict[str, Newest]:
        """Those of these channels."""
        return {channel: one for channel, one in self._newest.items() if channel in channels}

    def row(self, newest: Newest) -> dict[str, Any]:
        """One of them as the socket tells it."""
        record = newest.record
        return {
            "channel": record.channel,
            "value": record.value,
            "unit": record.unit,
            "quality": record.quality,
            "reason": record.reason,
            "ts": rfc3339(self._time.wall_ms(record)),
            "age_s": self._age_s(record),
            "seq": newest.seq,
        }

    @contextmanager
    def watch(self) -> Iterator[asyncio.Queue[dict[str, Any] | None]]:
        """A queue of every value from now on; None at its end, when its reader was too slow."""
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    @property
    def watchers(self) -> int:
        """How many watch."""
        return len(self._watchers)

    def _tell(self, row: dict[str, Any]) -> None:
        for queue in list(self._watchers):
            if queue.qsize() >= _MOST_UNREAD:
                self._watchers.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(row)

    def _age_s(self, record: Record) -> float | None:
        """How old a record is; None if that is not known."""
        if record.boot == self._clock.boot and record.waited_ms == 0 and record.wall_ms is None:
            return max(0.0, (self._clock.mono_ms() - record.mono_ms) / 1000)
        then, now = self._time.wall_ms(record), self._time.now_ms()
        return None if then is None or now is None else max(0.0, (now - then) / 1000)


def newest_of(records: Iterable[Record], seqs: Iterable[int]) -> dict[str, Newest]:
    """The last record of each channel."""
    return {record.channel: Newest(seq, record) for record, seq in zip(records, seqs, strict=True)}


def rfc3339(wall_ms: int | None) -> str | None:
    """UTC, with milliseconds."""
    if wall_ms is None:
        return None
    try:
        return datetime.fromtimestamp(wall_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None  # outside the years 1 to 9999
