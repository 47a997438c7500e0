"""Is the picture good enough to scan with? Focus, exposure, and whether what is seen is still the same.

Figures only; what they mean for a person is for who shows them. The width of a laser's line is the best judge of focus:
it is there whatever the piece looks like.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.dataset import Picture

BURNT_DN: Final = 250
_LEAST_DN: Final = 12.0
_REACH: Final = 12
_FWHM_OF_AREA: Final = 0.9394
"""A Gaussian's full width at half maximum, of its area over its peak."""
_MOVED_DN: Final = 6.0


@dataclass(frozen=True)
class Beam:
    """A laser's line in a picture: in how many rows it is, and over them its median width and brightness.

    `width_px` is the full width at half maximum; `burnt` the share of its rows that are saturated.
    """

    rows: int
    width_px: float = 0.0
    peak_dn: float = 0.0
    burnt: float = 0.0


def beam(on: Picture, off: Picture) -> Beam:
    """The line in the picture with the laser on, by the one with it off; both of one channel."""
    light = cv2.subtract(on, off).astype(np.float32)
    least = max(_LEAST_DN, 6 * float(np.median(np.abs(light - np.median(light)))) + 6)
    columns = light.argmax(1)
    rows = np.flatnonzero(light.max(1) > least)
    if not len(rows):
        return Beam(0)
    columns = np.clip(columns[rows], _REACH, light.shape[1] - 1 - _REACH)
    near = light[rows[:, None], columns[:, None] + np.arange(-_REACH, _REACH + 1)]
    peaks = near.max(1)
    near = np.where(near > 0.1 * peaks[:, None], near, 0)
    is_burnt = on[rows[:, None], columns[:, None] + np.arange(-_REACH, _REACH + 1)].max(1) >= BURNT_DN
    widths = near.sum(1) / peaks * _FWHM_OF_AREA
    whole = widths[~is_burnt] if not is_burnt.all() else widths
    return Beam(len(rows), float(np.median(whole)), float(np.median(peaks)), float(is_burnt.mean()))


def sharpness(picture: Picture) -> float:
    """How much is fine in a picture of one channel: it is highest where the focus is best. Only to be compared.

    The variance of the Laplacian after a blur that takes the noise away, over the mean squared (Pech-Pacheco 2000).
    """
    small = cv2.GaussianBlur(picture, (0, 0), 1.0).astype(np.float32)
    edges = cv2.Laplacian(small, cv2.CV_32F)
    return float(edges.var() / max(float(small.mean()) ** 2, 1.0) * 1e4)


def burnt(picture: Picture) -> float:
    """The share of its pixels that are saturated."""
    return float((picture >= BURNT_DN).mean())


def moved(before: Picture, now: Picture) -> float:
    """Which share of the picture looks different, whatever the room's light has done meanwhile; one channel each."""
    if before.shape != now.shape:
        return 1.0
    one, other = (cv2.blur(each, (5, 5)).astype(np.float32) for each in (before, now))
    brighter = float(np.median(other + 1) / np.median(one + 1))
    return float((np.abs(other - one * np.float32(brighter)) > _MOVED_DN).mean())


def jpeg(picture: Picture, width: int = 960, quality: int = 80) -> bytes:
    """A picture for a browser, not wider than `width`."""
    high, wide = picture.shape[:2]
    if wide > width:
        picture = np.asarray(cv2.resize(picture, (width, round(high * width / wide)), interpolation=cv2.INTER_AREA))
    _, out = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(np.asarray(out, np.uint8).tobytes())


def marked(picture: Picture) -> npt.NDArray[np.uint8]:
    """The picture in colour with what is saturated in red: where an exposure is too long."""
    shown = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture.copy()
    shown[(picture if picture.ndim == 2 else picture.max(2)) >= BURNT_DN] = (60, 60, 255)
    return np.asarray(shown, np.uint8)
