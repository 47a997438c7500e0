"""How a device is, and when it is tried again. Decides only."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from golmok_drivers.api import DriverError
from golmok_drivers.errors import DriverFloods, DriverLeaks, Misbehaved

_log = logging.getLogger(__name__)

BURST_S: Final = 2.0
"""A device may give at once what it may give in so many seconds."""
FLOODS_AFTER_S: Final = 5.0
"""One that has been slowed down for so long without a break floods."""


@dataclass(slots=True)
class DeviceState:
    """How a device is, for `status` and the pages."""

    state: str = "starting"
    """starting, good, uncertain (what it says is doubtful), bad (it answers wrongly or not at all)."""
    reason: str = ""
    detail: str = ""
    last_good_mono_ms: int | None = None
    readings: int = 0
    failures: int = 0
    restarts: int = 0
    since_mono_ms: int | None = None
    """Since when it is in this state for this reason."""
    next_attempt_mono_ms: int | None = None
    """When it is tried again; None while it is being tried."""
    left_behind: int = 0
    """What it was told to do and never ended, and what cannot be ended either."""

    last_trouble: tuple[str, str, int] | None = None
    """What its driver did last that drivers must not do, and when; kept when it is good again."""

    part: str = ""
    """Who answered the last probe, and his number; empty until it was asked since it was last bad."""
    serial: str = ""
    stranger: str = ""
    """What is to be said of a part that is not the one of the settings."""

    def known_as(self, device: str, part: str, serial: str, expected: str) -> None:
        """That part answers; `expected` is the number that stands in the settings."""
        before, self.part, self.serial = self.serial, part, serial
        self.stranger = ""
        if expected and serial and serial != expected:
            self.stranger = f"it is {serial}, not {expected}: swapped? set serial = {serial!r} if it shall stay"
        if before and serial and before != serial:
            _log.warning("%s is another %s than before: %s, it was %s", device, part, serial, before)

    def went_wrong(self, device: str, error: DriverError, mono_ms: int) -> None:
        """It is bad, for that reason."""
        self.failures += 1
        self.tell(device, "bad", error.reason, str(error), mono_ms)
        if isinstance(error, Misbehaved):
            self.last_trouble = (error.reason, str(error), mono_ms)

    def tell(self, device: str, state: str, reason: str, detail: str, mono_ms: int) -> None:
        """It is so now."""
        if (state, reason) != (self.state, self.reason):
            level = logging.WARNING if state == "bad" else logging.INFO
            _log.log(level, "%s is %s%s", device, state, f": {reason} {detail}" if reason else "")
            self.since_mono_ms = mono_ms
        self.state, self.reason, self.detail = state, reason, detail


class Pauses:
    """How long a device rests before it is opened again: twice as long each time, until it has shown that it behaves.

    A good reading shows it, but not of a device that leaks or floods: those are good until they are not. Such a one
    must have lived a while.
    """

    def __init__(self, least_s: float, most_s: float) -> None:
        self._least_s, self._most_s = least_s, most_s
        self._pause_s = least_s

    def after(self, error: DriverError | None, *, was_good: bool, lived_s: float) -> float:
        """The pause after a life of that length, which that error ended."""
        is_sly = isinstance(error, DriverLeaks | DriverFloods)
        behaved = lived_s >= self._most_s if is_sly else was_good
        self._pause_s = self._least_s if behaved else min(self._pause_s * 2, self._most_s)
        return self._pause_s


class Allowance:
    """How many readings a device may give: so many a second for long, what it has saved up at once."""

    def __init__(self, most_per_s: float, burst_s: float = BURST_S) -> None:
        self._most_per_s, self._burst = most_per_s, max(1.0, most_per_s * burst_s)
        self._saved, self._at_s = self._burst, 0.0
        self._slowed_since_s: float | None = None

    def take(self, count: int, now_s: float) -> float:
        """It gave so many: the seconds that it must wait until it may give more."""
        self._saved = min(self._burst, self._saved + max(0.0, now_s - self._at_s) * self._most_per_s) - count
        self._at_s = now_s
        if self._saved >= 0:
            self._slowed_since_s = None
            return 0.0
        if self._slowed_since_s is None:
            self._slowed_since_s = now_s
        return -self._saved / self._most_per_s

    def floods(self, now_s: float) -> bool:
        """Whether it has been slowed down for too long."""
        return self._slowed_since_s is not None and now_s - self._slowed_since_s >= FLOODS_AFTER_S
