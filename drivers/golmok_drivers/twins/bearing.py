"""What the housing of a rolling bearing does: the acceleration that a sensor on it feels, sound or damaged.

Three things add up, after McFadden and Smith (1984) and Randall and Antoni (2011, section 2):

* the shaft: unbalance once a turn and misalignment twice, as sines given by their vibration velocity;
* the blows: each time a ball passes the damage. Their distance varies from one to the next, because balls slip by a
  hundredth or two, so that the multiples of their frequency smear; each makes the housing ring in its resonance and die
  away. How hard a blow is depends on the load where it falls: an outer race stands still in the load, an inner race
  turns through it once a turn, a ball once a turn of the cage;
* noise: of the machine around it, and of the sensor.

Far into its life a damage is no longer a pit: the shaft gains play, and what shakes it shakes it more (`play`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from golmok_drivers.bearings import Bearing

STANDARD_G: Final = 9.80665
B6205: Final = Bearing(9, 7.94 / 39.04)
"""A common one, in mm."""
_LOAD_ZONE: Final = 0.9
"""How much of a blow is lost opposite the load, for parts that turn through it."""
_FORGOTTEN: Final = 8.0
"""Time constants after which nothing is heard of a blow."""


@dataclass(frozen=True)
class Shaft:
    """A bearing, what turns in it, and the housing around it. Lengths in seconds, frequencies in Hz."""

    bearing: Bearing = B6205
    speed_hz: float = 29.2
    velocity_mm_s: float = 0.45
    """Effective, of the unbalance; misalignment has a third of it."""
    rings_hz: float = 1900.0
    rings_s: float = 0.0017
    """The time constant with which a ringing dies away."""
    noise: float = 0.3
    """Effective, m/s2, of the machine around it."""
    slip: float = 0.012

    def acceleration(
        self,
        count: int,
        rate_hz: float,
        *,
        part: Literal["outer", "inner", "ball"] = "outer",
        blow: float = 0.0,
        seed: int | str = 0,
    ) -> list[float]:
        """`count` samples in m/s2; `blow` is what a blow in the full load is felt as at first, m/s2."""
        chance = random.Random(f"{seed}/{part}")  # noqa: S311  (a simulation, not a secret)
        turn = 2 * math.pi * self.speed_hz
        angles = chance.uniform(0, 2 * math.pi), chance.uniform(0, 2 * math.pi)
        play = 1 + (blow / 60) ** 2
        once = play * self.velocity_mm_s / 1000 * math.sqrt(2) * turn
        felt = [
            once * math.sin(turn * at / rate_hz + angles[0])
            + once * 2 / 3 * math.sin(2 * turn * at / rate_hz + angles[1])
            + chance.gauss(0.0, self.noise)
            for at in range(count)
        ]
        if blow > 0:
            for at_s in self._blows(part, count / rate_hz, chance):
                self._ring(felt, rate_hz, at_s, blow * self._load(part, at_s) * chance.uniform(0.8, 1.2))
        return felt

    def _blows(self, part: str, length_s: float, chance: random.Random) -> Iterator[float]:
        every_s = 1 / (self.bearing.blows_a_turn()[part] * self.speed_hz)
        at_s = chance.uniform(0, every_s) - _FORGOTTEN * self.rings_s
        while at_s < length_s:
            yield at_s
            at_s += every_s * max(0.5, chance.gauss(1.0, self.slip))

    def _load(self, part: str, at_s: float) -> float:
        if part == "outer":
            return 1.0
        cage = (1 - self.bearing.ratio) / 2  # turns of the cage in a turn of the shaft
        turns_hz = self.speed_hz if part == "inner" else self.speed_hz * cage
        return 1 - _LOAD_ZONE * (0.5 - 0.5 * math.cos(2 * math.pi * turns_hz * at_s))

    def _ring(self, felt: list[float], rate_hz: float, at_s: float, blow: float) -> None:
        """Add the ringing after a blow to what is felt."""
        first = max(0, math.ceil(at_s * rate_hz))
        last = min(len(felt), math.ceil((at_s + _FORGOTTEN * self.rings_s) * rate_hz))
        for at in range(first, last):
            since_s = at / rate_hz - at_s
            ringing = math.exp(-since_s / self.rings_s) * math.sin(2 * math.pi * self.rings_hz * since_s)
            felt[at] += blow * ringing


def sensed(samples: list[float], *, digit_g: float, noise_g: float = 0.0112, seed: int | str = 0) -> list[int]:
    """What a sensor of 8 bits makes of it, such as a LIS3DH in its fast mode: its noise, its steps, its ends.

    `digit_g`: 0.016 at 2 g, 0.032 at 4 g (data sheet, table 4); `noise_g`: 220 ug/sqrt(Hz) over 2.6 kHz (table 4).
    """
    chance = random.Random(f"{seed}/sensor")  # noqa: S311  (a simulation, not a secret)
    digit = digit_g * STANDARD_G
    noisy = (sample + chance.gauss(0.0, noise_g * STANDARD_G) for sample in samples)
    return [max(-128, min(127, round(value / digit))) for value in noisy]
