"""When to speak: how long to wait after a success, after a failure, and after the power came back.

A fleet that loses its cloud must not come back as one wave: failures wait with full jitter (AWS Architecture
Blog, "Exponential Backoff And Jitter", 2015) up to ten minutes, a success halves the wait instead of clearing
it, and a machine that has just started waits up to 30 s. Orders and alarms do not wait for any of this but the
server's own word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Final

LEAST_WAIT_S: Final = 1.0
MOST_WAIT_S: Final = 600.0
START_SPREAD_S: Final = 30.0


@dataclass(slots=True)
class Pace:
    """The next moment to speak, in seconds of a monotonic clock that the caller reads."""

    interval_s: float
    """At most so long until new data are sent; the settings' word."""
    uniform: Callable[[float, float], float] = SystemRandom().uniform
    _asked_s: float = field(init=False)
    _ceiling_s: float = 0.0
    _due_s: float = 0.0
    _closed_until_s: float = 0.0

    def __post_init__(self) -> None:
        self._asked_s = self.interval_s

    def start(self, now_s: float, *, new_boot: bool, loopback: bool) -> None:
        """The process starts; the machine itself has, too, if `new_boot`."""
        self._due_s = now_s + (self.uniform(0, START_SPREAD_S) if new_boot and not loopback else 0.0)

    def succeeded(self, now_s: float, asked_s: float, retry_after_s: float = 0.0, *, more: bool = False) -> None:
        """A reply came; the server asked for `asked_s` between requests; `more` waits to be sent."""
        self._ceiling_s = self._ceiling_s / 2 if self._ceiling_s > LEAST_WAIT_S else 0.0
        self._asked_s = asked_s
        self._closed_until_s = now_s + retry_after_s
        self._due_s = now_s + (0.0 if more else min(self.interval_s, self._asked_s))

    def failed(self, now_s: float, retry_after_s: float = 0.0) -> None:
        """No reply, or one that says to come later."""
        self._ceiling_s = min(MOST_WAIT_S, max(LEAST_WAIT_S, self._ceiling_s * 2))
        self._closed_until_s = now_s + retry_after_s
        self._due_s = now_s + max(retry_after_s, self.uniform(0, self._ceiling_s))

    def wait_s(self, now_s: float, *, urgent: bool = False) -> float:
        """Seconds until the next request; `urgent` (orders, alarms) heeds only failures and the server's own wait."""
        if urgent and not self._ceiling_s:
            return max(0.0, self._closed_until_s - now_s)
        return max(0.0, self._due_s - now_s, self._closed_until_s - now_s)
