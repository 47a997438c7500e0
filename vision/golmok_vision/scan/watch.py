"""Whether all was as it should be while the piece was scanned: who watches sees by what does not turn.

The laser's line on the plate, near the rim, stands still whatever stands on it. Where it is not where the calibration
says, the laser or the camera was moved: one picture alone was spoilt, one laser from some frame on was touched, both
from the same frame on means that the camera was knocked. Decided from a few numbers of each frame, without pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.dataset import Picture
from golmok_vision.scan.rig import Rig
from golmok_vision.scan.trouble import Trouble, laser_name

Floats: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_ALONG: Final = 80
_ACROSS: Final = 0.05
"""Of the picture's width: how far aside the line is looked for."""

_INNER, _OUTER = 0.6, 0.97
_CLEAR: Final = 4.5
_TOGETHER: Final = 7
_ENOUGH, _MOST = 0.2, 0.5
_ASIDE: Final = 1.2 / 1640
_MOVED: Final = 0.8 / 1640
_MOST_SINGLE: Final = 0.1


class Standing(NamedTuple):
    """Where a laser's line on the plate is: so many pixels beside where it should be, seen on such a share of it."""

    aside_px: float
    share: float

    @property
    def is_seen(self) -> bool:
        """Whether there is such a line: the piece may stand before it."""
        return self.share > 0


class Watcher:
    """Looks for the lines on the plate; one for each rig."""

    def __init__(self, rig: Rig, radius_mm: float) -> None:
        self._size = rig.lens.width, rig.lens.height
        self._reach = max(8, round(_ACROSS * rig.lens.width))
        self._expected = [self._line(rig, i, radius_mm) for i in range(len(rig.lasers))]

    def _line(self, rig: Rig, laser: int, radius_mm: float) -> Floats:
        """Pixels along the line on the plate on the camera's side, as far as they are in the picture."""
        plane = rig.lasers[laser]
        level = np.array([-plane.normal[1], plane.normal[0], 0.0])
        level /= np.linalg.norm(level)
        level *= np.sign(level[0]) or 1.0
        foot = np.array([plane.normal[0], plane.normal[1], 0.0]) * plane.offset_mm
        points = foot + np.linspace(_INNER, _OUTER, _ALONG)[:, None] * radius_mm * level
        pixels = rig.project(points)
        inside = (pixels > [self._reach, 1]).all(1) & (pixels < np.array(self._size) - [self._reach + 1, 2]).all(1)
        return np.asarray(pixels[inside])

    def look(self, picture: Picture, off: Picture, laser: int) -> Standing:
        """Where the line is in this picture."""
        at = self._expected[laser]
        if len(at) < _ALONG // 4:
            return Standing(0.0, 0.0)
        aside = np.arange(-self._reach, self._reach + 1)
        across = (at[:, :1] + aside).astype(np.float32)
        down = np.repeat(at[:, 1:], len(aside), axis=1).astype(np.float32)
        lit, dark = (cv2.remap(each, across, down, cv2.INTER_LINEAR).astype(np.float32) for each in (picture, off))
        return standing(np.asarray(cv2.blur(lit - dark, (3, _TOGETHER)), float), aside)


def standing(profiles: Floats, aside: npt.NDArray[np.int64]) -> Standing:
    """Where a line parallel to the expected one is: `profiles` has a row for each place along it, columns `aside`.

    Each place votes for where it is brightest. A fifth of the votes for where the line should be is enough: the
    piece may stand before the rest. To say that it is elsewhere takes most of the votes: the line on a piece that
    reaches so far is not parallel.
    """
    level = np.median(profiles, axis=1)
    noise = 1.5 * np.median(np.abs(profiles - level[:, None]), axis=1) + 0.1
    top = profiles.argmax(1)
    clear = (profiles[np.arange(len(top)), top] - level) / noise
    votes = aside[top[clear > _CLEAR]].astype(float)
    if len(votes) < 4:
        return Standing(0.0, 0.0)
    counts = np.array([np.count_nonzero(np.abs(votes - px) <= _tolerance(px)) for px in votes])
    for middle, needed in ((0.0, _ENOUGH), (float(votes[counts.argmax()]), _MOST)):
        near = votes[np.abs(votes - middle) <= _tolerance(middle)]
        if len(near) >= needed * len(top):
            return Standing(float(near.mean()), len(near) / len(top))
    return Standing(0.0, 0.0)


def _tolerance(px: float) -> float:
    """A sheet that was turned shifts its line not everywhere by the same."""
    return 2.0 + 0.12 * abs(px)


@dataclass(frozen=True)
class Verdict:
    """Which pictures (frames x lasers) are to be left out, and what is wrong."""

    left_out: Mask
    troubles: tuple[Trouble, ...]


def judge(standing: Sequence[Sequence[Standing | None]], width: int) -> Verdict:
    """From where each frame's lines stood (None: no picture) to what was moved, and when."""
    aside = np.array([[s.aside_px if s and s.is_seen else np.nan for s in each] for each in standing])
    if not aside.size:
        return Verdict(np.zeros(aside.shape, bool), ())
    is_off = np.abs(aside) > _ASIDE * width
    since = [_since(aside[:, i], width) for i in range(aside.shape[1])]
    troubles: list[Trouble] = []
    left_out = np.zeros(aside.shape, bool)
    moved = [i for i, first in enumerate(since) if first is not None]
    if len(moved) > 1 and max(since[i] or 0 for i in moved) - min(since[i] or 0 for i in moved) <= 2:
        frame = min(since[i] or 0 for i in moved)
        troubles.append(Trouble("camera-moved" if frame else "all-moved", "bad", {"frame": frame}))
    elif moved and aside.shape[1] == 1:  # a second line would tell which of the two it was
        troubles.append(Trouble("line-moved-at" if since[0] else "line-moved", "bad", {"frame": since[0]}))
    else:
        troubles += [
            Trouble("laser-moved-at" if since[i] else "laser-moved", "bad", {**laser_name(i), "frame": since[i]})
            for i in moved
        ]
    for i in range(aside.shape[1]):
        if since[i] is not None:
            left_out[since[i] :, i] = True
            continue
        single = np.flatnonzero(is_off[:, i])
        left_out[single, i] = True
        troubles += [Trouble("frame-aside", "note", {"file": f"frames/{k:04d}_l{i}.png"}) for k in single[:20]]
        if len(single) > _MOST_SINGLE * len(aside):
            troubles.append(Trouble("unsteady", "bad", {**laser_name(i), "count": len(single)}))
    return Verdict(left_out, tuple(troubles))


def _since(aside: Floats, width: int) -> int | None:
    """The frame from which on the line stood elsewhere than before, or than it should; nothing if it never did."""
    seen = np.flatnonzero(np.isfinite(aside))
    if len(seen) < 5:
        return None
    values = aside[seen]
    limit = _MOVED * width
    if abs(float(np.median(values))) > limit and _share(np.abs(values) > limit / 2) > 0.9:
        return 0
    best, at = 0.0, 0
    for k in range(3, len(seen) - 2):
        step = abs(float(np.median(values[k:])) - float(np.median(values[:k])))
        # A cut beside the true one has some strangers on one side; the medians alone would not tell.
        odd = np.abs(values[:k] - np.median(values[:k])).sum() + np.abs(values[k:] - np.median(values[k:])).sum()
        score = step * len(values) / (odd + 0.1 * limit * len(values))
        if step > limit and score > best:
            best, at = score, k
    if not best:
        return None
    after = np.abs(values[at:] - np.median(values[:at])) > limit / 2
    return int(seen[at]) if _share(after) > 0.8 else None


def _share(which: Mask) -> float:
    return float(np.count_nonzero(which)) / max(len(which), 1)
