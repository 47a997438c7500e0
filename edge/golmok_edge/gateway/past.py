"""What a channel did in an interval of the day, as many points as a chart has room for; and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from golmok_cloud_sync.protocol import Record
from golmok_cloud_sync.protocol.gaps import Gap, Moment
from golmok_edge.gateway import gaplist
from golmok_edge.gateway.clock import Clock
from golmok_edge.gateway.timekeeper import Timekeeper
from golmok_edge.store import Found, Reader, buckets, numbers

_Done = TypeVar("_Done")


class Reading(Protocol):
    """Who lends a reader, and another one where its file turns out to be damaged."""

    def read_beside(self, do: Callable[[Reader], _Done]) -> _Done:
        """What `do` makes of it."""


class Past:
    """Reads the store for the pages, by a reader of its own."""

    def __init__(
        self, reading: Reading, clock: Clock, time: Timekeeper, going_on: Callable[[], Sequence[Gap]] = tuple
    ) -> None:
        """`going_on` gives the gaps that are open just now."""
        self._reading, self._clock, self._time, self._going_on = reading, clock, time, going_on

    def chart(self, channel: str, from_ms: int, to_ms: int, points: int) -> dict[str, Any]:
        """`points` are `[start (ms since 1970), least, mean, greatest]`; empty ones are left out.

        `approximate`: the time of day is not known in this boot, so the machine's own clock stands in.
        """
        unit = ""
        timed: list[tuple[int, Found]] = []
        for at_ms, found in self._reading.read_beside(
            lambda reader: list(self._found(reader, channel, from_ms, to_ms))
        ):
            unit = found.record.unit or unit
            timed.append((at_ms, found))
        rows = buckets(numbers(timed), from_ms, to_ms, points)
        return {
            "channel": channel,
            "unit": unit,
            "points": [[one.start_ms, one.least, one.mean, one.greatest] for one in rows],
            "gaps": list(gaplist.of_channel(self.gaps(channel, from_ms, to_ms), channel)),
            "approximate": not self._time.is_known,
        }

    def gaps(self, channel: str | None, from_ms: int | None, to_ms: int | None) -> list[dict[str, Any]]:
        """What is missing of a time: see `gaplist.rows`."""
        going_on = self._going_on()
        return self._reading.read_beside(
            lambda reader: gaplist.rows(
                reader.newest_first("events"),
                self._date,
                going_on=going_on,
                channel=channel,
                from_ms=from_ms,
                to_ms=to_ms,
            )
        )

    def _date(self, moment: Moment) -> int | None:
        return self._wall_ms(Record("gap", None, "", *moment))

    def _found(self, reader: Reader, channel: str, from_ms: int, to_ms: int) -> Iterator[tuple[int, Found]]:
        for boot in reader.boots():
            monos = self._monos(boot, from_ms, to_ms)
            if monos is None or monos[1] < 0:
                continue
            for found in reader.series(channel, boot, max(0, monos[0]), monos[1] + 1):
                at_ms = self._wall_ms(found.record)
                if at_ms is not None:
                    yield at_ms, found

    def _monos(self, boot: str, from_ms: int, to_ms: int) -> tuple[int, int] | None:
        if boot == self._clock.boot and not self._time.is_known:
            return from_ms - self._own_offset_ms(), to_ms - self._own_offset_ms()
        return self._time.monos_between(boot, from_ms, to_ms)

    def _wall_ms(self, record: Record) -> int | None:
        known = self._time.wall_ms(record)
        if known is None and not self._time.is_known and record.boot == self._clock.boot and record.waited_ms == 0:
            return record.mono_ms + self._own_offset_ms()
        return known

    def _own_offset_ms(self) -> int:
        return self._clock.wall_ms() - self._clock.mono_ms()
