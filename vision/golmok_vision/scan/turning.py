"""Whether the table turned from stop to stop: seen by what repeats along the lasers' lines to the grain.

Laser light is grainy (speckle), and no surface is quite even: along a line the brightness goes up and down from row to
row. A surface that stands still shows the same grain again; one that turned by a degree shows another, also where the
piece is round and its shape tells nothing. So two stops between which the brightness repeats are one stop taken twice.
Where no grain is seen above the camera's noise nothing can be told, and that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.cloud import Cloud
from golmok_vision.scan.dataset import Picture
from golmok_vision.scan.points import WHITE, FramePoints
from golmok_vision.scan.rig import Rig, turn
from golmok_vision.scan.trouble import Trouble

Floats: TypeAlias = npt.NDArray[np.float64]
Singles: TypeAlias = npt.NDArray[np.float32]
Grain: TypeAlias = npt.NDArray[np.int16]
"""One frame's, (n, 5): laser, row of the picture, brightness of the line there, of its two sides, and its column."""

NO_GRAIN: Final[Grain] = np.zeros((0, 5), np.int16)
_LEAST_DEG: Final = 0.8
"""Nearer stops show much of the same grain, on the piece's inside all of it."""

_FINE, _COARSE = 4, 12
"""Rows. Finer is noise and the sensor's own pattern (its colours lie in rows of two), coarser the piece's shape."""

_FEWEST_ROWS: Final = 60
_FEWEST_PAIRS: Final = 4
REPEATED: Final = 0.7
"""Correlation of the grain of two stops. Turned: -0.2 to 0.2, and more where a potter left rings; not turned: 0.9."""

_FAR: Final = 6.0
_ALIKE: Final = 0.5
_SEEN: Final = 0.35
"""Correlation of the brightness with that beside it in one picture: grain is wider than a pixel, noise is not."""

_MOVED_PX: Final = 2
_MOVED_SHARE: Final = 98.0
"""Percentile: where so much of two lines is nowhere further apart, they are one line."""

_ENDS: Final = 12
"""One part of so many at each end of a line has no say: over an edge it jumps about."""

_ROUND_MM: Final = 1.0
_SECTORS: Final = 12
_MOST_ROUND: Final = 0.7


def grain(found: FramePoints, lit: Sequence[Picture | None], off: Picture, rig: Rig, angle_deg: float) -> Grain:
    """The brightness of the lines on the piece, row by row."""
    columns = [NO_GRAIN]
    there = found.points.astype(float) @ turn(angle_deg).T
    for laser, picture in enumerate(lit):
        mine = there[found.laser == laser]
        if picture is None or not len(mine):
            continue
        x, y = np.rint(rig.project(mine)).astype(np.int64).T
        rows, first = np.unique(np.clip(y, 0, picture.shape[0] - 1), return_index=True)
        x = np.clip(x[first], 1, picture.shape[1] - 2)
        across = x[:, None] + np.array([-1, 0, 1])
        light = picture[rows[:, None], across].astype(np.int16) - off[rows[:, None], across]
        unburnt = (picture[rows[:, None], across] < WHITE).all(1)
        told = np.column_stack([np.full(len(rows), laser), rows, light[:, 1], light[:, 0] + light[:, 2], x])
        columns.append(told[unburnt].astype(np.int16))
    return np.concatenate(columns)


def repeats(one: Grain, other: Grain) -> float:
    """How much the grain of two stops is the same: a correlation, NaN where too little can be compared."""
    pairs = []
    for laser in (0, 1):
        a, b = (each[each[:, 0] == laser] for each in (one, other))
        rows, at_a, at_b = np.intersect1d(a[:, 1], b[:, 1], return_indices=True)
        pairs.append((_fine(rows, a[at_a, 2]), _fine(rows, b[at_b, 2])))
    return _correlation(*(np.concatenate(side) for side in zip(*pairs, strict=True)))


def is_one_line(one: Grain, other: Grain) -> bool:
    """Whether the lines of two stops lie in the same place."""
    apart = [np.zeros(0)]
    for laser in (0, 1):
        a, b = (each[each[:, 0] == laser] for each in (one, other))
        _, at_a, at_b = np.intersect1d(a[:, 1], b[:, 1], return_indices=True)
        end = len(at_a) // _ENDS
        apart.append(np.abs(a[at_a, 4].astype(float) - b[at_b, 4])[end : len(at_a) - end])
    away = np.concatenate(apart)
    return not len(away) or float(np.percentile(away, _MOVED_SHARE)) <= _MOVED_PX


def visible(one: Grain) -> float:
    """How much of the grain of a stop is more than noise: a correlation, NaN where there is too little."""
    pairs = []
    for laser in (0, 1):
        mine = one[one[:, 0] == laser]
        pairs.append((_fine(mine[:, 1], mine[:, 2]), _fine(mine[:, 1], mine[:, 3])))
    return _correlation(*(np.concatenate(side) for side in zip(*pairs, strict=True)))


def _fine(rows: Grain, light: Grain) -> Singles:
    """The light's fine ups and downs, as a share of it."""
    if not len(rows):
        return np.zeros(0, np.float32)
    place = rows.astype(np.int64) - int(rows[0])
    values, there = np.zeros((place[-1] + 1, 1), np.float32), np.zeros((place[-1] + 1, 1), np.float32)
    values[place, 0], there[place, 0] = np.log1p(np.maximum(light, 0)), 1.0

    def mean(count: int) -> Singles:
        filled = np.maximum(cv2.blur(there, (1, count), borderType=cv2.BORDER_CONSTANT), 1e-6)
        return np.asarray(cv2.blur(values, (1, count), borderType=cv2.BORDER_CONSTANT) / filled, np.float32)

    return np.asarray((mean(_FINE) - mean(_COARSE)).reshape(-1)[place], np.float32)


def _correlation(a: Singles, b: Singles) -> float:
    """Robust to single places: what is further off than three times the usual counts as that."""
    if len(a) < _FEWEST_ROWS:
        return float("nan")
    kept = []
    for side in (a, b):
        limit = 3 * 1.4826 * float(np.median(np.abs(side))) + 1e-6
        cut = np.clip(side, -limit, limit).astype(float)
        kept.append(cut - cut.mean())
    return float(kept[0] @ kept[1] / (np.linalg.norm(kept[0]) * np.linalg.norm(kept[1]) + 1e-12))


def judge_turning(grains: Sequence[Grain], angles_deg: Sequence[float], cloud: Cloud) -> list[Trouble]:
    """Whether the table stood where it should have turned, of frames in the order in which they were taken."""
    steps = np.abs(np.diff(np.asarray(angles_deg, float)))
    if not len(steps):
        return []
    lag = max(1, int(np.ceil(_LEAST_DEG / max(float(np.median(steps)), 1e-6))))
    same = np.array([repeats(grains[k], grains[k + lag]) for k in range(len(grains) - lag)])
    known = same[np.isfinite(same)]
    seen = [each for each in map(visible, grains) if np.isfinite(each)]
    if len(known) < _FEWEST_PAIRS or not seen or float(np.median(seen)) < _SEEN:
        return _untold(cloud)
    least = float(np.percentile(known, 25))
    # Rings all around repeat too; where the shape moves, the table turned.
    if least > _ALIKE and all(is_one_line(grains[0], each) for each in grains):
        return [Trouble("table-jammed", "bad")] if least > REPEATED else _untold(cloud)
    stood = np.flatnonzero(_stands_out(same))
    if not len(stood):
        return []
    return [Trouble("table-stood", "bad", {"count": len(stood) + lag - 1, "frame": int(stood[0]) + 1})]


def _stands_out(same: Floats) -> npt.NDArray[np.bool_]:
    """Which correlations are those of one stop taken twice: high, and far from the usual of this piece's texture."""
    spread = np.arctanh(np.clip(same, -0.999, 0.999))  # so that they scatter alike, whatever they are
    high = spread > np.arctanh(REPEATED)
    rest = spread[np.isfinite(spread) & ~high]
    if not len(rest):
        return np.zeros(len(same), bool)
    usual = float(np.median(rest))
    return np.asarray(high & (spread > usual + _FAR * 1.4826 * float(np.median(np.abs(rest - usual)))))


def _untold(cloud: Cloud) -> list[Trouble]:
    return [Trouble("turn-untold", "note")] if is_round(cloud) else []


def is_round(cloud: Cloud) -> bool:
    """Whether the piece looks the same wherever the table stands: what is at one height and radius is so all around."""
    points = cloud.points.astype(float)
    place = np.column_stack([np.hypot(points[:, 0], points[:, 1]), points[:, 2]]) // _ROUND_MM
    sector = np.floor((np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) % 1) * _SECTORS)
    _, cell = np.unique(place, axis=0, return_inverse=True)
    seen = np.unique(np.column_stack([cell.ravel(), sector]), axis=0)[:, 0].astype(np.int64)
    around = np.bincount(seen)[cell.ravel()]
    return float(np.mean(around > 0.8 * _SECTORS)) > _MOST_ROUND
