"""Whether a device still measures: a part that gives the same value on and on, or values that scatter, is not believed.

No part says of itself that it is stuck or that its wire is loose; what it gives does. `Channel.still_s` and `noise`
state what a sound part never does. What looks good and is not is made uncertain, with the reason `stuck` or `noisy`;
its value stays. What is beyond a part's range while it scatters is `noisy`, too, and stays bad.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from golmok_drivers.api import Channel, OutOfRange, Reading

STUCK: Final = "stuck"
NOISY: Final = "noisy"
_LOOKED_AT: Final = 15
"""Values in a row from which the scatter is told: one blow among them, or a step, changes nothing."""
_TO_DEVIATION: Final = 0.6745 * 6**0.5
"""Median of the absolute second difference of noise, for its standard deviation 1."""
_LEAST_SAME: Final = 5


class Watch:
    """Looks at what one device gives."""

    def __init__(self, channels: Sequence[Channel], still_s: float | None = None) -> None:
        """`still_s` stands for what the channels state, where they state anything."""
        self._still = {
            c.quantity: _Still(c.still_s if still_s is None else still_s) for c in channels if c.still_s is not None
        }
        self._scatter = {c.quantity: _Scatter(c.noise) for c in channels if c.noise is not None}

    def look(self, readings: Sequence[Reading], at_s: float) -> Sequence[Reading]:
        """The readings, those that are not to be believed uncertain; `at_s` is of a clock that only goes forward."""
        if not (self._still or self._scatter):
            return readings
        for reading in readings:
            self._note(reading, at_s)
        told = [still for still in self._still.values() if still.has_told]
        is_stuck = bool(told) and all(still.is_stuck(at_s) for still in told)
        noisy = {quantity for quantity, scatter in self._scatter.items() if scatter.is_noisy}
        if not (is_stuck or noisy):
            return readings
        return [_doubted(reading, STUCK if is_stuck else NOISY, is_stuck, noisy) for reading in readings]

    def _note(self, reading: Reading, at_s: float) -> None:
        value, is_good = reading.value, reading.quality == "good"
        if isinstance(value, bool) or not isinstance(value, int | float) or not (is_good or _is_beyond(reading)):
            return
        if is_good and (still := self._still.get(reading.quantity)):
            still.note(float(value), at_s)
        if scatter := self._scatter.get(reading.quantity):
            scatter.note(float(value))


def _is_beyond(reading: Reading) -> bool:
    return reading.quality == "bad" and reading.reason == OutOfRange.reason


def _doubted(reading: Reading, reason: str, is_stuck: bool, noisy: set[str]) -> Reading:
    if reading.quantity in noisy and _is_beyond(reading):
        return reading._replace(reason=NOISY)  # it is only there because it scatters
    concerned = reading.quality == "good" and (is_stuck or reading.quantity in noisy)
    return reading._replace(quality="uncertain", reason=reason) if concerned else reading


class _Still:
    """Since when a channel has the same value."""

    def __init__(self, still_s: float | None) -> None:
        self._still_s = still_s or 0.0
        self._value: float | None = None
        self._since_s = 0.0
        self._times = 0

    def note(self, value: float, at_s: float) -> None:
        if value != self._value:
            self._value, self._since_s, self._times = value, at_s, 0
        self._times += 1

    @property
    def has_told(self) -> bool:
        """Whether it gave any number that could stand still."""
        return self._times > 0

    def is_stuck(self, at_s: float) -> bool:
        return self._still_s > 0 and self._times >= _LEAST_SAME and at_s - self._since_s >= self._still_s


class _Scatter:
    """How far a channel's values scatter about a straight line."""

    def __init__(self, most: float | None) -> None:
        self._most = most or 0.0
        self._values: deque[float] = deque(maxlen=_LOOKED_AT)

    def note(self, value: float) -> None:
        self._values.append(value)

    @property
    def is_noisy(self) -> bool:
        if len(self._values) < _LOOKED_AT:
            return False
        values = list(self._values)
        bends = [abs(a - 2 * b + c) for a, b, c in zip(values, values[1:], values[2:], strict=False)]
        return sorted(bends)[len(bends) // 2] / _TO_DEVIATION > self._most
