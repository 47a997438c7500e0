"""Pictures of laser lines whose place is known, painted without the twin: so that one mistake does not fool both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]

_FINE: Final = 4
_COLORS: Final = {
    "red": (0.05, 0.12, 1.0),
    "green": (0.1, 1.0, 0.15),
    "blue": (1.0, 0.2, 0.05),
    "white": (1.0, 1.0, 1.0),
}


@dataclass(frozen=True)
class Scene:
    """What is to be seen; lengths in pixels, light in the picture's steps."""

    fwhm: float = 4.0
    peak: float = 120.0
    tilt_deg: float = 0.0
    curve: float = 0.0
    jump: float = 0.0
    gaps: tuple[tuple[float, float], ...] = ()
    ambient: float = 20.0
    texture: float = 0.0
    flicker: float = 0.0
    exposure: float = 1.0
    hot: int = 0
    ghost: float = 0.0
    speckle: bool = True
    color: str = ""
    seed: int = 3
    height: int = 240
    width: int = 640

    def truth(self) -> Floats:
        """The line's column in each row, NaN in gaps."""
        rows = np.arange(self.height)
        x: Floats = self.width / 2 + np.tan(np.radians(self.tilt_deg)) * (rows - self.height / 2)
        x += self.curve * 40 * np.sin(rows / self.height * 8 + self.seed)
        x += np.where((rows > 0.4 * self.height) & (rows < 0.7 * self.height), self.jump, 0)
        for a, b in self.gaps:
            x[int(a * self.height) : int(b * self.height)] = np.nan
        return x

    def pictures(self) -> tuple[Picture, Picture]:
        """With the laser on, and off."""
        random = np.random.default_rng(self.seed)
        line = self._line(random)
        base = np.full((self.height, self.width), self.ambient)
        for grain in (3, 25):
            blots = cv2.GaussianBlur(random.normal(size=base.shape), (0, 0), grain)
            base *= np.clip(1 + 0.7 * self.texture * blots / blots.std(), 0.2, 3)
        places = random.integers(0, [self.height, self.width], (self.hot, 2))
        with_laser = self._exposed(base, line, places, random)
        return with_laser, self._exposed(base * (1 + self.flicker), 0 * line, places, random)

    def _line(self, random: np.random.Generator) -> Floats:
        """Each pixel the mean over its area; speckle by squaring a field of random phase, as light does it."""
        fine = (np.arange(self.width * _FINE) + 0.5) / _FINE - 0.5
        profile = np.exp(-0.5 * np.square((fine - self.truth()[:, None]) / (self.fwhm / 2.355)))
        profile = np.nan_to_num(profile)
        if self.speckle:
            fields = (np.sqrt(profile) * random.normal(size=(4, *profile.shape))).transpose(1, 2, 0)
            blurred = cv2.GaussianBlur(fields, (0, 0), sigmaX=0.5 * _FINE, sigmaY=0.5)
            profile = np.square(blurred).mean(2) * 4 * np.pi * 0.5 * _FINE * 0.5
        light = profile.reshape(self.height, self.width, _FINE).mean(2) * self.peak
        return np.asarray(light + np.roll(light, 37, axis=1) * self.ghost)

    def _exposed(
        self, base: Floats, line: Floats, places: npt.NDArray[np.int64], random: np.random.Generator
    ) -> Picture:
        light = base + line
        if self.color:
            light = base[:, :, None] * [0.8, 1.0, 1.1] + line[:, :, None] * _COLORS[self.color]
        light = light * self.exposure
        light = light + np.sqrt(1.5**2 + 0.06 * light) * random.normal(size=light.shape)
        light[places[:, 0], places[:, 1]] = 255
        return np.clip(np.rint(light), 0, 255).astype(np.uint8)
