"""Whether a machine is off, idle, running or abnormal, from its current (or power) and its vibration."""

from __future__ import annotations

from typing import Final, NamedTuple

from golmok_edge.rules.condition import RIGHT, UNKNOWN, Fresh, Look, Memory, Seen, number

OFF, IDLE, RUNNING, ABNORMAL = "off", "idle", "running", "abnormal"
STATES: Final = (OFF, IDLE, RUNNING, ABNORMAL)


class Bounds(NamedTuple):
    """Where its states begin, in the channels' units."""

    idle_above: float
    running_above: float
    current_high: float | None = None
    vibration_high: float | None = None


class Machine:
    """A machine. It vibrates abnormally only while it runs: what shakes it while it stands is somebody else."""

    def __init__(
        self, current: str, vibration: str | None, bounds: Bounds, *, settle_ms: int, fresh_ms: int | None
    ) -> None:
        self.channels = (current,) if vibration is None else (current, vibration)
        self._bounds, self._settle_ms = bounds, settle_ms
        self._fresh = Fresh(fresh_ms)
        self._current: float | None = None
        self._vibration: float | None = None
        self.state: str | None = None
        """None until it was seen."""
        self._next, self._next_ms = "", 0
        self.ran_ms = 0
        """How long it has run in all, abnormally or not."""
        self._changes: list[tuple[str | None, str]] = []

    def see(self, seen: Seen) -> None:
        """See `Condition`."""
        if seen.channel == self.channels[0]:
            self._current = number(seen)
            self._fresh.touch()
        else:
            self._vibration = number(seen)
        self._settle(0)

    def pass_time(self, for_ms: int) -> None:
        """See `Condition`."""
        self._fresh.pass_time(for_ms)
        if self._current is None or self._fresh.is_stale:
            return
        if self.state in (RUNNING, ABNORMAL):
            self.ran_ms += for_ms
        self._settle(for_ms)

    def look(self) -> Look:
        """See `Condition`."""
        if self.state is None or self._current is None or self._fresh.is_stale:
            return UNKNOWN
        if self.state != ABNORMAL:
            return RIGHT
        is_vibration = self._is_over(self._vibration, self._bounds.vibration_high)
        value, limit = (
            (self._vibration, self._bounds.vibration_high)
            if is_vibration
            else (self._current, self._bounds.current_high)
        )
        return Look("wrong", "abnormal", value, limit, self.channels[-1 if is_vibration else 0])

    def changes(self) -> list[tuple[str | None, str]]:
        """From which state to which it has gone since this was last asked."""
        changes, self._changes = self._changes, []
        return changes

    def memory(self) -> Memory:
        """See `Condition`."""
        return {"state": self.state, "ran_ms": self.ran_ms}

    def recall(self, memory: Memory) -> None:
        """See `Condition`."""
        if memory["state"] not in (None, *STATES):
            raise ValueError("no such state")
        self.state, self.ran_ms = memory["state"], int(memory["ran_ms"])

    def _settle(self, for_ms: int) -> None:
        """A state counts when it has lasted."""
        if self._current is None:
            return
        now = self._now(self._current)
        if now == self.state:
            self._next, self._next_ms = "", 0
            return
        self._next_ms = self._next_ms + for_ms if now == self._next else 0
        self._next = now
        if self._next_ms >= self._settle_ms or self.state is None:
            self._changes.append((self.state, now))
            self.state, self._next, self._next_ms = now, "", 0

    def _now(self, current: float) -> str:
        if current <= self._bounds.idle_above:
            return OFF
        is_over = self._is_over(current, self._bounds.current_high)
        if current <= self._bounds.running_above:
            return ABNORMAL if is_over else IDLE
        return ABNORMAL if is_over or self._is_over(self._vibration, self._bounds.vibration_high) else RUNNING

    @staticmethod
    def _is_over(value: float | None, high: float | None) -> bool:
        return value is not None and high is not None and value > high
