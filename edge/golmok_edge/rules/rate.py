"""A value that rises or falls too fast: the slope of a straight line (least squares) through the last `over_ms`.

What was seen is gathered in at most 32 means, so that neither a fast sensor nor its noise costs anything.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from golmok_edge.rules.condition import RIGHT, UNKNOWN, Fresh, Look, Memory, Seen, number

_BINS: Final = 32
_LEAST_SPAN: Final = 0.75
"""Of the time, that must have been seen before a slope means something."""
_HOUR_MS: Final = 3_600_000


class _Bin:
    __slots__ = ("begin_ms", "count", "time_ms", "value")

    def __init__(self, at_ms: int) -> None:
        self.begin_ms, self.count, self.time_ms, self.value = at_ms, 0, 0.0, 0.0

    def add(self, at_ms: int, value: float) -> None:
        self.count += 1
        self.time_ms += (at_ms - self.time_ms) / self.count
        self.value += (value - self.value) / self.count


class Rate:
    """Faster than `rise_per_h` or `fall_per_h`."""

    def __init__(
        self, channel: str, rise_per_h: float | None, fall_per_h: float | None, *, over_ms: int, fresh_ms: int | None
    ) -> None:
        self.channels = (channel,)
        self._rise, self._fall, self._over_ms = rise_per_h, fall_per_h, over_ms
        self._fresh = Fresh(over_ms if fresh_ms is None else min(fresh_ms, over_ms))
        self._bins: deque[_Bin] = deque()
        self._look = UNKNOWN

    def see(self, seen: Seen) -> None:
        """See `Condition`. A value that is not good is left out."""
        value = number(seen)
        if value is None:
            return
        self._fresh.touch()
        if not self._bins or seen.at_ms - self._bins[-1].begin_ms >= self._over_ms / _BINS:
            self._bins.append(_Bin(seen.at_ms))
        self._bins[-1].add(seen.at_ms, value)
        while seen.at_ms - self._bins[0].begin_ms > self._over_ms:
            self._bins.popleft()
        self._look = self._judged(value)

    def pass_time(self, for_ms: int) -> None:
        """See `Condition`."""
        self._fresh.pass_time(for_ms)

    def look(self) -> Look:
        """See `Condition`."""
        return UNKNOWN if self._fresh.is_stale else self._look

    def memory(self) -> Memory:
        """Nothing: a new slope is not far."""
        return {}

    def recall(self, memory: Memory) -> None:
        """See `Condition`."""

    def _judged(self, value: float) -> Look:
        slope = self._slope_per_h()
        if slope is None:
            return UNKNOWN
        if self._rise is not None and slope > self._rise:
            return Look("wrong", "rising", round(slope, 2), self._rise)
        if self._fall is not None and -slope > self._fall:
            return Look("wrong", "falling", round(slope, 2), -self._fall)
        return RIGHT

    def _slope_per_h(self) -> float | None:
        bins = self._bins
        if len(bins) < 3 or bins[-1].time_ms - bins[0].time_ms < _LEAST_SPAN * self._over_ms:
            return None
        count = sum(one.count for one in bins)
        middle = sum(one.time_ms * one.count for one in bins) / count
        mean = sum(one.value * one.count for one in bins) / count
        spread = sum(one.count * (one.time_ms - middle) ** 2 for one in bins)
        return _HOUR_MS * sum(one.count * (one.time_ms - middle) * (one.value - mean) for one in bins) / spread
