"""From light to the numbers of a picture: shot noise, read noise, saturation, eight bits.

Levels are in DN, the steps of the eight-bit scale, before noise; electrons come in through the gain. The defaults are
those of a Sony IMX219 (Pi camera 2) in its 2 x 2 binned mode at low gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from golmok_vision.render.raster import Singles
from golmok_vision.scan.dataset import Picture

_POOL: Final = 1 << 24


@dataclass(frozen=True)
class Sensor:
    """`electrons_per_dn` is what the eight-bit step holds; `black_dn` is added so that noise is not cut off at 0."""

    electrons_per_dn: float = 16.0
    read_electrons: float = 6.0
    black_dn: float = 2.0
    exposure: float = 1.0

    def picture(self, light_dn: Singles, noise: NormalPool, random: np.random.Generator) -> Picture:
        """What the camera hands over."""
        level = light_dn * np.float32(self.exposure)
        variance = np.maximum(level, 0) / np.float32(self.electrons_per_dn)
        variance += np.float32((self.read_electrons / self.electrons_per_dn) ** 2)
        np.sqrt(variance, out=variance)
        variance *= noise.take(level.size, random).reshape(level.shape)
        level += variance
        level += np.float32(self.black_dn + 0.5)
        np.clip(level, 0, 255, out=level)
        return level.astype(np.uint8)


class NormalPool:
    """Normally distributed numbers, drawn once and handed out from random places.

    A full scan needs 5,000 million of them: drawing each takes longer than all the rest together. Two pictures overlap
    in the pool often, but hardly ever pixel on pixel.
    """

    def __init__(self, seed: int) -> None:
        random = np.random.Generator(np.random.SFC64([seed, 77]))
        self._numbers = random.standard_normal(_POOL, np.float32)

    def take(self, count: int, random: np.random.Generator) -> Singles:
        """So many; a view where they lie in one piece. Not to be written to."""
        if count > _POOL // 2:
            return np.concatenate([self.take(count // 2, random), self.take(count - count // 2, random)])
        start = int(random.integers(0, _POOL - count))
        return self._numbers[start : start + count]
