"""When to speak: how long to wait after a success, after a failure, and after the power came back.

A fleet that loses its cloud must not come back as one wave: failures wait with full jitter (AWS Architecture
Blog, "Exponential Backoff And Jitter", 2015) up to ten minutes, a success halves the wait instead of clearing
it, and a machine that has just started waits up to 30 s. A server that says when to come again is heeded, and who
heeds it does not come back in the same moment as all others.

Orders and alarms have a lane of their own with a pace of its own (`for_urgent`): what telemetry is told does not
concern them, and they never wait for long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Final

USUAL_S: Final = 60.0
"""The pace that servers ask of everybody: no wish. Who pays for his line by the request may come less often."""
LEAST_WAIT_S: Final = 1.0
MOST_WAIT_S: Final = 600.0
START_SPREAD_S: Final = 30.0
LEAST_INTERVAL_S: Final = 0.1
"""A server that asks for less, by mistake, is not flooded."""
MOST_CLOSED_S: Final = 3600.0
"""A server that wants to be left alone for longer, by mistake, is not left alone for ever."""
URGENT_MOST_WAIT_S: Final = 30.0
"""What orders and alarms wait at most, whatever they are told: by then a cloud that is back hears of them."""
_TOLD_SPREAD: Final = 0.5
"""Of the time that the server told. A server that tells everybody the same must not see them all come at once."""
_TOLD_MOST: Final = 8
"""Times the time that the server told: it knows better than we when it has room, but may be wrong again and again."""


@dataclass(slots=True)
class Pace:
    """The next moment to speak, in seconds of a monotonic clock that the caller reads."""

    interval_s: float
    """At most so long until new data are sent; the settings' word."""
    uniform: Callable[[float, float], float] = SystemRandom().uniform
    most_wait_s: float = MOST_WAIT_S
    most_closed_s: float = MOST_CLOSED_S
    _asked_s: float = field(init=False)
    _ceiling_s: float = 0.0
    _due_s: float = 0.0
    _closed_until_s: float = 0.0
    _is_failing: bool = False

    def __post_init__(self) -> None:
        self._asked_s = self.interval_s

    def for_urgent(self) -> Pace:
        """The pace of orders and alarms, which go as soon as they are there."""
        return Pace(0.0, self.uniform, URGENT_MOST_WAIT_S, URGENT_MOST_WAIT_S)

    def start(self, now_s: float, *, new_boot: bool, loopback: bool) -> None:
        """The process starts; the machine itself has, too, if `new_boot`."""
        self._due_s = now_s + (self.uniform(0, START_SPREAD_S) if new_boot and not loopback else 0.0)

    def succeeded(self, now_s: float, asked_s: float, retry_after_s: float = 0.0, *, more: bool = False) -> None:
        """A reply came; the server asked for `asked_s` between requests; `more` waits to be sent."""
        self._ceiling_s = self._ceiling_s / 2 if self._ceiling_s > LEAST_WAIT_S else 0.0
        self._asked_s, self._is_failing = max(LEAST_INTERVAL_S, asked_s), False
        self._closed_until_s = now_s + min(retry_after_s, self.most_closed_s)
        self._due_s = now_s + (0.0 if more else self._interval())

    def _interval(self) -> float:
        """The settings' interval, or less if the server asks for less than it asks of everybody."""
        return min(self.interval_s, self._asked_s) if self._asked_s < USUAL_S else self.interval_s

    def failed(self, now_s: float, retry_after_s: float = 0.0) -> None:
        """No reply, or one that says to come later."""
        told_s = min(retry_after_s, self.most_closed_s)
        most_s = min(self.most_wait_s, max(LEAST_WAIT_S, told_s * _TOLD_MOST)) if told_s else self.most_wait_s
        self._ceiling_s = min(most_s, max(LEAST_WAIT_S, self._ceiling_s * 2))
        self._is_failing = True
        self._closed_until_s = now_s + told_s
        self._due_s = self._closed_until_s + self.uniform(0, max(self._ceiling_s, told_s * _TOLD_SPREAD))

    def wait_s(self, now_s: float, *, hurry: bool = False) -> float:
        """Seconds until the next request; with `hurry` only a failure of the last one counts, and the server's word."""
        if hurry and not self._is_failing:
            return max(0.0, self._closed_until_s - now_s)
        return max(0.0, self._due_s - now_s, self._closed_until_s - now_s)
