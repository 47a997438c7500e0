"""Time for the hardware's owner. A twin's passes when it is waited for, so that a simulated scan waits for nothing."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A clock that only goes forward."""

    def now_s(self) -> float:
        """Seconds since a moment that stays the same."""

    def sleep(self, seconds: float) -> None:
        """Wait so long."""


class RealClock:
    """The machine's: it runs on while the machine sleeps, as the cameras' time stamps do."""

    def now_s(self) -> float:
        """See `Clock.now_s`."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        time.sleep(seconds)
