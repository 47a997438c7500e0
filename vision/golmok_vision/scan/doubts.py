"""What the two lasers say of each other and of one scan: doubts that no single picture raises.

Both lasers measure the same surface, a part of a turn apart. Where the table slipped, stood still or lost its way in
between, they measure places that differ: most of the surface may agree, and the model is wrong all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from golmok_vision.scan.cloud import Cloud
from golmok_vision.scan.dataset import LASERS, Picture
from golmok_vision.scan.trouble import Trouble, laser_name
from golmok_vision.scan.watch import Standing

Floats: TypeAlias = npt.NDArray[np.float64]

AGREE_LIMIT_MM: Final = 0.15
TORN_MM: Final = 0.7
TORN_LIMIT: Final = 0.04
"""Of the surface that both have measured. Good scans of 0.3, 0.5 and all of the resolution had up to 0.006, a slip of 9
degrees in the middle 0.06 to 0.10, a table that stood still for the last sixth 0.16."""

_SPREAD_MM: Final = 0.6
"""Points nearer to each other are one: else eight neighbours lie on one line in a large picture, and span no plane."""

_SILENT: Final = 0.05
_DARKER: Final = 1e-3
_NOISE_DN, _NOISE_SHARE = 12, 0.15


def doubts(cloud: Cloud, off: Floats | None, lasers: int = len(LASERS)) -> list[Trouble]:
    """What is wrong with a scan by what its two lasers measured; `off` are their disagreements."""
    if lasers < 2:
        return [Trouble("one-laser-scan", "note")]
    found = _silent(cloud)
    if off is None:
        return found or [Trouble("uncompared", "note")]
    apart, torn = float(np.median(off)), float(np.mean(off > TORN_MM))
    if torn > TORN_LIMIT:
        found.append(Trouble("torn", "bad", {"share": torn, "mm": TORN_MM}))
    if apart > AGREE_LIMIT_MM:
        found.append(Trouble("piece-disagrees", "bad", {"mm": apart, "limit": AGREE_LIMIT_MM}))
    return found


def _silent(cloud: Cloud) -> list[Trouble]:
    counts = [int(np.count_nonzero(cloud.laser == laser)) for laser in range(len(LASERS))]
    return [
        Trouble("laser-silent", "bad", {**laser_name(laser), "count": count, "most": max(counts)})
        for laser, count in enumerate(counts)
        if count < _SILENT * max(counts)
    ]


def lasers_apart_mm(cloud: Cloud) -> float | None:
    """How far apart the two lasers measure the surface, the median; nothing where too little can be compared."""
    off = disagreements_mm(cloud)
    return None if off is None else float(np.median(off))


def disagreements_mm(cloud: Cloud) -> Floats | None:
    """Distances from one laser's points to planes through the other's near by; nothing where there are too few."""
    one, other = (cloud.points[cloud.laser == laser].astype(float) for laser in (0, 1))
    if min(len(one), len(other)) < 200:
        return None
    _, first = np.unique(np.floor(other / _SPREAD_MM).astype(np.int64), axis=0, return_index=True)
    other = other[first]
    some = one[:: max(1, len(one) // 4000)]
    away, near = cKDTree(other).query(some, k=8, distance_upper_bound=2.0)
    there = np.isfinite(away).all(1)
    if there.sum() < 50:
        return None
    patches = other[near[there]]
    middle = patches.mean(1)
    centred = patches - middle[:, None]
    values, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", centred, centred))
    off = np.abs(((some[there] - middle) * axes[:, :, 0]).sum(1))
    flat = values[:, 1] > 0.02 * values[:, 2]
    return np.asarray(off[flat]) if flat.sum() >= 50 else None


def are_apart(lit: Picture, off: Picture) -> bool:
    """Whether a laser's picture is darker somewhere than the one without: a laser adds light, so one was shifted,
    is of another stop, or the room's light has changed between the two."""
    some, dark = lit[::2, ::2].astype(np.int16), off[::2, ::2].astype(np.int16)
    return float(np.mean(dark - some > _NOISE_DN + _NOISE_SHARE * some)) > _DARKER


def are_swapped(own: Sequence[Standing | None], others: Sequence[Standing]) -> bool:
    """Whether the lines stand where the other laser's belong (`others`), and not where their own do."""
    seen = sum(each is not None and each.is_seen for each in own)
    return bool(others) and seen <= len(own) // 5 and sum(each.is_seen for each in others) > len(others) // 2
