"""A world for Gray code: a camera and a projector of known calibration look at a surface of known shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan import Picture
from golmok_vision.scan.pair import Pair, ideal

Floats: TypeAlias = npt.NDArray[np.float64]
Surface: TypeAlias = Callable[[Floats, Floats], Floats]
"""The depth over the camera's x and y."""


def slanted(x: Floats, y: Floats) -> Floats:
    """A plane."""
    return (700 * 0.97 - 0.2 * x - 0.1 * y) / 0.97


def ball(x: Floats, y: Floats) -> Floats:
    """A ball of 300 halfway in a wall."""
    return 720 - np.sqrt(np.maximum(300.0**2 - x**2 - y**2, 200.0**2)) + 200


def waves(x: Floats, y: Floats) -> Floats:
    """Up and down by 6, in 150."""
    return 700 + 6 * np.sin(x * 2 * np.pi / 150) * np.cos(y * 2 * np.pi / 150) + 0.05 * x


def a_pair(size: tuple[int, int] = (320, 240)) -> Pair:
    """The baseline across; both lenses bend."""
    rotation = np.asarray(cv2.Rodrigues(np.array([0.02, -0.25, 0.01]))[0], float)
    camera = np.array([[420.0, 0, 159], [0, 421, 118], [0, 0, 1]])
    camera[:2] *= size[0] / 320
    projector = np.array([[280.0, 0, 102], [0, 280, 80], [0, 0, 1]])
    return Pair(camera, np.array([-0.08, 0.03, 0.001, 0, 0]), projector, np.array([-0.1, 0.05, 0, 0, 0]), rotation,
                np.array([180.0, 4, 30]))  # fmt: skip


@dataclass(frozen=True)
class World:
    """What is looked at, with what; stripes of `step` of the projector's pixels."""

    surface: Surface = slanted
    pair: Pair = field(default_factory=a_pair)
    size: tuple[int, int] = (320, 240)
    projector: tuple[int, int] = (199, 151)
    step: int = 1
    noise_dn: float = 1.0
    blur_px: float = 0.5
    finer: int = 2
    """Rays a pixel, each way."""

    @property
    def code(self) -> tuple[int, int]:
        """Its places, each way."""
        return -(-self.projector[0] // self.step), -(-self.projector[1] // self.step)

    def points(self, pixels: Floats) -> Floats:
        """What these pixels see."""
        rays = ideal(pixels, self.pair.camera, self.pair.camera_distortion)
        depth = np.full(len(rays), 700.0)
        for _ in range(25):
            depth = self.surface(*(rays * depth[:, None]).T)
        return np.asarray(np.column_stack([rays, np.ones(len(rays))]) * depth[:, None], float)

    def paint(self) -> Floats:
        """Light and dark fields, with a dark corner."""
        wide, high = self.size
        columns, rows = np.meshgrid(np.arange(wide), np.arange(high))
        paint: Floats = np.where((columns // 40 + rows // 40) % 2, 0.8, 0.5)
        paint[: high // 6, : wide // 8] = 0.01
        return paint

    def frames(self, paint: Floats | None = None, seed: int = 0) -> list[Picture]:
        """What the camera sees, in OpenCV's order."""
        fine = tuple(side * self.finer for side in self.size)
        columns, rows = np.meshgrid(*((np.arange(side) + 0.5) / self.finer - 0.5 for side in fine))
        shown = self.pair.shown(self.points(np.column_stack([columns.ravel(), rows.ravel()])))
        pixel = np.floor(shown + 0.5).astype(int)
        inside = ((pixel >= 0) & (pixel < self.projector)).all(1)
        paint = self.paint() if paint is None else paint
        random = np.random.default_rng(seed)
        return [self._seen(on & inside, paint, random) for on in _patterns(pixel // self.step, self.code)]

    def _seen(self, on: npt.NDArray[np.bool_], paint: Floats, random: np.random.Generator) -> Picture:
        fine = on.reshape(self.size[1] * self.finer, -1).astype(np.float32)
        fine *= cv2.resize(paint.astype(np.float32), fine.shape[::-1], interpolation=cv2.INTER_NEAREST)
        if self.blur_px:
            fine = np.asarray(cv2.GaussianBlur(fine, (0, 0), self.blur_px * self.finer), np.float32)
        seen = cv2.resize(fine, self.size, interpolation=cv2.INTER_AREA)
        noisy = 8 + 180 * np.asarray(seen) + random.normal(0, self.noise_dn, self.size[::-1])
        return np.asarray(np.clip(np.rint(noisy), 0, 255), np.uint8)


def _patterns(place: npt.NDArray[np.int64], code: tuple[int, int]) -> list[npt.NDArray[np.bool_]]:
    shown = []
    for axis, size in enumerate(code):
        gray = place[:, axis] ^ place[:, axis] >> 1
        for bit in reversed(range((size - 1).bit_length())):
            on = (gray >> bit & 1).astype(bool)
            shown += [on, ~on]
    return [*shown, np.ones(len(place), bool), np.zeros(len(place), bool)]
