"""A calibration that contradicts a capture, mended by it: rays of camera and projector that see one spot must meet.

Whether they meet says nothing about depth, so neither a plane nor any other shape is assumed or favoured. Alone it does
not hold a calibration (size and tilt could drift), so three more things do:
- the given calibration: where it shows points of the working space must change no more than the rays were off;
- a projector's pixels are square (unless it was calibrated as something else: some chips have diamonds);
- its lens is centred on its axis, so that the tangential distortion is nearly none.
The camera is taken as given, and so is how far what is seen is away (the median).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from scipy.optimize import least_squares

from golmok_vision.scan.graycode import Floats, Spots
from golmok_vision.scan.pair import Drawn, Pair, aside, misfits, triangulate

_WORTH: Final = 0.25
"""Of a stripe: rays that pass each other by less are none of the calibration's fault."""

_BETTER: Final = 0.5
_MOST_MOVED: Final = 0.03
_PLACES: Final = 800
_ROUNDS: Final = 3
_SPACE: Final = (0.7, 1.0, 1.4)
"""The working space: the depth of what is seen, and nearer and farther."""

_RAYS: Final = 150
"""What is left of the misfits is smooth, so that neighbours say the same: they count as this many. For the same reason
what the given calibration says about the working space counts as many times as there are numbers to find."""

_SQUARE_WITHIN: Final = 0.05
_NOT_SQUARE: Final = 1e-3
_TANGENTIAL: Final = 1e-3
_SCALE: Final = np.array([0.3, 0.3, 1000, 1000, 1, 10, 0.1, 0.1, 30, 0.2, 0.2, 0.2, 0.5, 0.5])


@dataclass(frozen=True)
class Fit:
    """A calibration, and by how many of the projector's pixels rays pass each other with it and with the given one."""

    pair: Pair
    aside_px: float
    given_aside_px: float
    is_mended: bool


def fitted(seen: Spots, given: Pair, drawn: Drawn, *, may_mend: bool = True) -> Fit:
    """The given calibration where rays meet with it or mending does not help; else the mended one."""
    some = seen.thinned(_PLACES)
    before = aside(some, given, drawn)
    kept = Fit(given, before, before, False)
    is_known = len(given.projector_distortion) in (4, 5) and len(some.pixels) >= _PLACES
    if not (may_mend and is_known and before > _WORTH * drawn.step):
        return kept
    pair = _mended(some, given, drawn)
    after = aside(some, pair, drawn)
    nearer = _depth(some, given, drawn) / _depth(some, pair, drawn)
    if after > _BETTER * before or abs(nearer - 1) > _MOST_MOVED:
        return kept
    # Rays meet at any size: the given calibration knows it best where it was made, about where things are.
    return Fit(replace(pair, translation=pair.translation * nearer), after, before, True)


def _depth(some: Spots, pair: Pair, drawn: Drawn) -> float:
    points = triangulate(some, pair, drawn).points
    return float(np.median(points[:, 2])) if len(points) else np.inf


def _mended(some: Spots, given: Pair, drawn: Drawn) -> Pair:
    build = _builder(given)
    points = triangulate(some, given, drawn).points
    space = np.concatenate([points * nearer for nearer in _SPACE])
    shown = given.shown(space)
    # What the rays are off one way, across the baseline, is what the calibration may be off along it.
    off = misfits(some, given, drawn)
    may_move = float(np.sqrt(np.square(np.clip(off, *np.percentile(off, [2, 98]))).mean()))
    noise = may_move / 10
    skew = float(given.projector[0, 0] / given.projector[1, 1])
    aim = 1.0 if abs(skew - 1) < _SQUARE_WITHIN else skew
    x = np.zeros(len(_SCALE))
    for _ in range(_ROUNDS):
        off = misfits(some, build(x), drawn)
        # Cauchy's weights: a place that was decoded wrongly must not pull.
        weight = 1 / np.sqrt(1 + np.square(off / (3 * max(noise, 1.48 * float(np.median(np.abs(off)))))))

        def wrong(x: Floats, weight: Floats = weight, noise: float = noise) -> Floats:
            pair = build(x)
            moved = (pair.shown(space) - shown) / may_move * np.sqrt(len(x) / shown.size)
            aspect = pair.projector[0, 0] / pair.projector[1, 1] / aim - 1
            return np.concatenate(
                [
                    misfits(some, pair, drawn) * weight / noise * np.sqrt(_RAYS / len(weight)),
                    moved.ravel(),
                    [aspect / _NOT_SQUARE],
                    pair.projector_distortion[2:4] / _TANGENTIAL,
                ]
            )

        x = np.asarray(least_squares(wrong, x, x_scale=_SCALE, max_nfev=30).x, float)
        noise = max(1.48 * float(np.median(np.abs(misfits(some, build(x), drawn)))), 0.02 * drawn.step)
    return build(x)


def _builder(given: Pair) -> Callable[[Floats], Pair]:
    """Changes of focal lengths (shares), centre, distortion, rotation and direction of the baseline, as a `Pair`."""
    length = float(np.linalg.norm(given.translation))
    toward = given.translation / length
    one, other = np.linalg.svd(toward[None])[2][1:]
    lens = np.pad(given.projector_distortion, (0, 5 - len(given.projector_distortion)))

    def build(x: Floats) -> Pair:
        projector = given.projector.copy()
        projector[[0, 1], [0, 1]] *= 1 + x[:2]
        projector[:2, 2] += x[2:4]
        direction = toward + one * x[12] + other * x[13]
        return replace(
            given,
            projector=projector,
            projector_distortion=lens + x[4:9],
            rotation=np.asarray(cv2.Rodrigues(x[9:12])[0], float) @ given.rotation,
            translation=direction / np.linalg.norm(direction) * length,
        )

    return build
