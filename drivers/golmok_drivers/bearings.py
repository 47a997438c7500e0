"""Whether a rolling bearing has a damage, from a short capture of its housing's acceleration. Plain Python.

Each time a ball passes a pit it strikes, and the housing rings in its own resonance, far above the frequencies at which
a machine shakes. So the damage shows in the envelope of what is left above ABOVE_HZ: as lines at the frequency of the
blows and its multiples, which follow from the bearing's geometry. That is long before it shakes the machine enough for
the vibration velocity (ISO 20816) to leave its normal zone.

P. D. McFadden and J. D. Smith, "Model for the vibration produced by a single point defect in a rolling element
bearing", Journal of Sound and Vibration 96 (1984) 69-82; R. B. Randall and J. Antoni, "Rolling element bearing
diagnostics: a tutorial", Mechanical Systems and Signal Processing 25 (2011) 485-520 (squared envelope: section 5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

ABOVE_HZ: Final = 1000.0
"""Below this machines shake; above it housings ring."""
THINNED: Final = 4
"""So many squares are averaged to one sample of the envelope: at 5,376 Hz blows are told apart up to 670 a second."""
HARMONICS: Final = 3
SLIP: Final = 0.025
"""Balls slip, and nobody knows the speed exactly: a line may lie so far beside where it should."""
DAMAGED_DB: Final = 10.0
"""Lines so far above the noise are some: noise alone has three such maxima once in ten million captures."""
HEALTHY_KURTOSIS: Final = 4.0
"""Noise has 3; more means blows."""


@dataclass(frozen=True)
class Bearing:
    """A bearing's geometry: how many balls, ball over pitch diameter, contact angle in degrees.

    6205: 9 balls, 7.94 mm over 39.04 mm. Makers' catalogues have the figures.
    """

    balls: int
    ratio: float
    angle_deg: float = 0.0

    def __post_init__(self) -> None:
        if self.balls < 3 or not 0 < self.ratio < 1:
            raise ValueError("a bearing has at least 3 balls, and they are smaller than its pitch diameter")

    def blows_a_turn(self) -> dict[str, float]:
        """How often a damage of each part is struck in a turn of the shaft (Randall and Antoni, 2011, section 2.1)."""
        slope = self.ratio * math.cos(math.radians(self.angle_deg))
        return {
            "outer": self.balls / 2 * (1 - slope),
            "inner": self.balls / 2 * (1 + slope),
            "ball": (1 - slope * slope) / self.ratio,  # both races are struck in a turn of the ball
        }


class Line(NamedTuple):
    """A family of lines in the envelope."""

    part: str
    hz: float
    db: float
    """How far above the noise, the mean of its harmonics; one beyond the end of the spectrum counts as none."""


def high_passed(samples: Sequence[float], rate_hz: float, above_hz: float = ABOVE_HZ) -> list[float]:
    """What is above that frequency: a Butterworth filter of the fourth order, in two sections."""
    found = list(samples)
    for quality in (0.541196100146197, 1.306562964876377):  # 1 / (2 cos(pi/8)), 1 / (2 cos(3 pi/8))
        turn = 2 * math.pi * above_hz / rate_hz
        alpha, cosine = math.sin(turn) / (2 * quality), math.cos(turn)
        b0, b1 = (1 + cosine) / 2 / (1 + alpha), -(1 + cosine) / (1 + alpha)
        a1, a2 = -2 * cosine / (1 + alpha), (1 - alpha) / (1 + alpha)
        x1 = x2 = found[0]
        y1 = y2 = 0.0
        filtered = []
        for x in found:
            y = b0 * (x + x2) + b1 * x1 - a1 * y1 - a2 * y2
            x1, x2, y1, y2 = x, x1, y, y1
            filtered.append(y)
        found = filtered
    return found


def kurtosis(samples: Sequence[float]) -> float:
    """3 of noise, far more where there are blows; 0 where nothing moves."""
    mean = math.fsum(samples) / len(samples)
    squares = [(sample - mean) ** 2 for sample in samples]
    second = math.fsum(squares) / len(squares)
    return math.fsum(square * square for square in squares) / len(squares) / second**2 if second else 0.0


class Envelope:
    """The spectrum of the squared envelope of a capture."""

    def __init__(self, samples: Sequence[float], rate_hz: float) -> None:
        """`samples` in any unit, at least half a second of them, `rate_hz` above twice ABOVE_HZ; else ValueError."""
        if rate_hz <= 2 * ABOVE_HZ or len(samples) < rate_hz / 2:
            raise ValueError(f"half a second at more than {2 * ABOVE_HZ:g} samples a second is needed")
        ringing = high_passed(samples, rate_hz)[int(rate_hz / 200) :]  # the filter's own start left out
        squares = [value * value for value in ringing]
        self._thin = [math.fsum(squares[at : at + THINNED]) for at in range(0, len(squares) - THINNED + 1, THINNED)]
        mean = math.fsum(self._thin) / len(self._thin)
        last = len(self._thin) - 1
        self._thin = [
            (value - mean) * (0.5 - 0.5 * math.cos(2 * math.pi * at / last)) for at, value in enumerate(self._thin)
        ]
        self.rate_hz = rate_hz / THINNED
        self.step_hz = self.rate_hz / len(self._thin)
        self.kurtosis = kurtosis(ringing)
        """Of what rings."""
        self._powers: dict[int, float] = {}
        half = len(self._thin) // 2
        sparse = range(8, half - 1, max(1, half // 100))
        self._noise = median(self._power(at) for at in sparse) / math.log(2) or 1e-300

    def line(self, part: str, hz: float) -> Line:
        """How far the lines at `hz` and its multiples stand out of the noise."""
        tops = [top for number in range(1, HARMONICS + 1) if (top := self._top(number * hz)) is not None]
        mean = math.fsum(tops) / HARMONICS
        return Line(part, hz, 10 * math.log10(max(mean / self._noise, 1e-3)))

    def _top(self, hz: float) -> float | None:
        """The greatest power around a frequency; None beyond the end of the spectrum."""
        first, last = round(hz * (1 - SLIP) / self.step_hz), round(hz * (1 + SLIP) / self.step_hz)
        if first < 2 or last >= len(self._thin) // 2:
            return None
        return max(self._power(at) for at in range(first - 1, last + 2))

    def _power(self, at: int) -> float:
        """One line of the spectrum (G. Goertzel, American Mathematical Monthly 65 (1958) 34-35)."""
        if at not in self._powers:
            factor = 2 * math.cos(2 * math.pi * at / len(self._thin))
            before = last = 0.0
            for value in self._thin:
                before, last = last, value + factor * last - before
            self._powers[at] = last * last + before * before - factor * last * before
        return self._powers[at]


def lines(samples: Sequence[float], rate_hz: float, bearing: Bearing, speed_hz: float) -> list[Line]:
    """How far a damage of each part stands out, the plainest first, of a shaft that turns `speed_hz` times a second."""
    envelope = Envelope(samples, rate_hz)
    found = [envelope.line(part, blows * speed_hz) for part, blows in bearing.blows_a_turn().items()]
    return sorted(found, key=lambda line: -line.db)
