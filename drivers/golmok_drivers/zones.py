"""Which room a beacon is in, by which receiver hears it best: good for "which room", never a proof of a table.

Radio strength in a room moves by 10 dB when somebody walks by. Each receiver's is smoothed by a Kalman filter of one
dimension; the room changes only when another receiver has been stronger by 6 dB for 5 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HYSTERESIS_DB: Final = 6.0
HOLD_S: Final = 5.0
LOST_S: Final = 15.0
"""A receiver that has not heard it for so long does not count."""
_DRIFT_DB2_PER_S: Final = 0.3
_NOISE_DB2: Final = 25.0


class Smoother:
    """A strength that drifts (variance per second), heard through noise (variance); both in dB squared."""

    def __init__(self, drift: float = _DRIFT_DB2_PER_S, noise: float = _NOISE_DB2) -> None:
        self._drift, self._noise = drift, noise
        self._value: float | None = None
        self._variance, self._at_s = noise, 0.0

    def put(self, rssi: float, at_s: float) -> float:
        """The strength, given one more advert."""
        if self._value is None:
            self._value, self._at_s = float(rssi), at_s
            return self._value
        self._variance += self._drift * max(0.0, at_s - self._at_s)
        self._at_s = at_s
        gain = self._variance / (self._variance + self._noise)
        self._value += gain * (rssi - self._value)
        self._variance *= 1 - gain
        return self._value


@dataclass
class _Receiver:
    smoother: Smoother
    rssi: float = 0.0
    heard_s: float = 0.0


class Zone:
    """Which receiver a beacon is nearest to."""

    def __init__(self, hysteresis_db: float = HYSTERESIS_DB, hold_s: float = HOLD_S) -> None:
        self.now: str | None = None
        """The receiver; None before it was heard, and after it was lost by all."""
        self._hysteresis_db, self._hold_s = hysteresis_db, hold_s
        self.rssi = 0.0
        """How strongly that one hears it, smoothed, in dBm."""
        self._receivers: dict[str, _Receiver] = {}
        self._rival, self._rival_since_s = "", 0.0

    def hear(self, receiver: str, rssi: int, at_s: float) -> str | None:
        """Take an advert; the receiver that it is nearest to now."""
        one = self._receivers.setdefault(receiver, _Receiver(Smoother()))
        if at_s - one.heard_s > LOST_S:
            one.smoother = Smoother()  # it may have come back from anywhere
        one.rssi, one.heard_s = one.smoother.put(rssi, at_s), at_s
        return self.tick(at_s)

    def tick(self, at_s: float) -> str | None:
        """The same, when only time has passed."""
        heard = {name: one.rssi for name, one in self._receivers.items() if at_s - one.heard_s <= LOST_S}
        if not heard:
            self.now, self._rival = None, ""
            return None
        best = max(heard, key=lambda name: heard[name])
        if self.now not in heard:
            self.now, self._rival = best, ""
        elif best == self.now or heard[best] - heard[self.now] < self._hysteresis_db:
            self._rival = ""
        elif best != self._rival:
            self._rival, self._rival_since_s = best, at_s
        elif at_s - self._rival_since_s >= self._hold_s:
            self.now, self._rival = best, ""
        self.rssi = heard[self.now] if self.now is not None else 0.0
        return self.now
