"""Conditions that need no history: a limit, a state that lasts, silence."""

from __future__ import annotations

from golmok_edge.rules.condition import BETWEEN, RIGHT, UNKNOWN, Fresh, Look, Memory, Seen, number


class Limit:
    """A value outside low … high; `between` where it is back, but not by the hysteresis."""

    def __init__(
        self, channel: str, low: float | None, high: float | None, *, hysteresis: float = 0.0, fresh_ms: int | None
    ) -> None:
        self.channels = (channel,)
        self._low, self._high, self._hysteresis = low, high, hysteresis
        self._fresh = Fresh(fresh_ms)
        self._last: float | None = None

    def see(self, seen: Seen) -> None:
        """See `Condition`."""
        self._last = number(seen)
        self._fresh.touch()

    def pass_time(self, for_ms: int) -> None:
        """See `Condition`."""
        self._fresh.pass_time(for_ms)

    def look(self) -> Look:
        """See `Condition`."""
        value = self._last
        if value is None or self._fresh.is_stale:
            return UNKNOWN
        if self._high is not None and value > self._high:
            return Look("wrong", "high", value, self._high)
        if self._low is not None and value < self._low:
            return Look("wrong", "low", value, self._low)
        is_near = (self._high is not None and value > self._high - self._hysteresis) or (
            self._low is not None and value < self._low + self._hysteresis
        )
        return BETWEEN if is_near else RIGHT

    def memory(self) -> Memory:
        """Nothing: the next value says it all."""
        return {}

    def recall(self, memory: Memory) -> None:
        """See `Condition`."""


class Left:
    """A state that must not last. It holds until something else is said: doors speak only when they move."""

    def __init__(self, channel: str, state: bool, *, fresh_ms: int | None) -> None:
        self.channels = (channel,)
        self._state = state
        self._fresh = Fresh(fresh_ms)
        self._last: bool | None = None

    def see(self, seen: Seen) -> None:
        """See `Condition`."""
        self._last = bool(seen.value) if seen.is_good and isinstance(seen.value, bool | int | float) else None
        self._fresh.touch()

    def pass_time(self, for_ms: int) -> None:
        """See `Condition`."""
        self._fresh.pass_time(for_ms)

    def look(self) -> Look:
        """See `Condition`."""
        if self._last is None or self._fresh.is_stale:
            return UNKNOWN
        return Look("wrong", "left", self._last) if self._last == self._state else RIGHT

    def memory(self) -> Memory:
        """Nothing: a driver says the state when it starts."""
        return {}

    def recall(self, memory: Memory) -> None:
        """See `Condition`."""


class Silence:
    """Nothing good came for `for_ms`. A restart begins to count anew: whoever was off heard nobody."""

    def __init__(self, channel: str, for_ms: int) -> None:
        self.channels = (channel,)
        self._for_ms, self._quiet_ms = for_ms, 0
        self._has_heard = False

    def see(self, seen: Seen) -> None:
        """See `Condition`."""
        if seen.is_good and seen.value is not None:
            self._quiet_ms, self._has_heard = 0, True

    def pass_time(self, for_ms: int) -> None:
        """See `Condition`."""
        self._quiet_ms += for_ms

    def look(self) -> Look:
        """See `Condition`."""
        if self._quiet_ms >= self._for_ms:
            return Look("wrong", "silent", limit=self._for_ms / 1000)
        return RIGHT if self._has_heard else UNKNOWN

    def memory(self) -> Memory:
        """Nothing, on purpose."""
        return {}

    def recall(self, memory: Memory) -> None:
        """See `Condition`."""
