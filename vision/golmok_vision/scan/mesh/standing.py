"""What a piece stands on, where nobody saw it: nothing floats over the plate, and a bowl has a floor.

Of a bowl on the table neither the floor inside nor the foot below is seen, from any side. What is seen ends some
millimetres over the plate, and the least surface that closes it is a ring with a hole. So where the lowest wall that
was seen ends above the plate, it is led on down to it, as steep as it is; and what that encloses, if nothing else
closes it, gets a floor as high as what was seen around it. Invented, and called so: these places are no samples.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from golmok_vision.scan.cloud import Singles
from golmok_vision.scan.mesh.samples import Samples

_FLOATS_MM: Final = 1.5
"""Lower edges are led to the plate by its mirror image."""

_LOWEST: Final = 0.002
"""The share of the samples that may lie lower by mistake."""

_BAND_MM: Final = 0.6
_AROUND_MM: Final = 3.0
_FACES_UP: Final = 0.3
_FLATTEST: Final = 1.5
"""What leads inwards by more than this, mm a mm, is not followed further: a foot is there somewhere."""

_AT_ONCE: Final = 2_000


class Added(NamedTuple):
    """Places (n, 3), mm, and what each adds to the flow through the surface: outward normal times area, mm2."""

    places: Singles
    flow: Singles


class Edge(NamedTuple):
    """Where the piece ends above the plate: places (n, 3), mm; outward directions (n, 2); how much edge each is, mm;
    and how far inwards the wall leads, mm with each mm down."""

    places: Singles
    outward: Singles
    along_mm: Singles
    inwards: Singles

    @property
    def foot(self) -> Singles:
        """Where the wall comes to the plate (n, 2)."""
        return np.asarray(self.places[:, :2] - self.outward * (self.places[:, 2] * self.inwards)[:, None])


def lower_edge(samples: Samples) -> Edge | None:
    """The lowest wall that was seen; None where that is at the plate."""
    height, length = samples.points[:, 2], np.linalg.norm(samples.normals[:, :2], axis=1)
    walls = (samples.normals[:, 2] < _FACES_UP) & (length > 1e-3)
    if not walls.any():
        return None
    least = float(np.quantile(height[walls], _LOWEST))
    if min(least, float(np.quantile(height, _LOWEST))) < _FLOATS_MM:
        return None
    ends = walls & (height < least + max(_BAND_MM, samples.spacing_mm))
    places = samples.points[ends]
    # An edge leads through its surroundings once, however many samples lie there.
    count = cKDTree(places[:, :2]).query_ball_point(places[:, :2], _AROUND_MM, return_length=True)
    outward = samples.normals[ends, :2] / length[ends, None]
    inwards = np.clip(-samples.normals[ends, 2] / length[ends], 0, _FLATTEST).astype(np.float32)
    return Edge(places, outward, (2 * _AROUND_MM / count).astype(np.float32), inwards)


def skirt_of(edge: Edge, apart_mm: float) -> Added:
    """The way down from the edge to the plate."""
    count = np.ceil(edge.places[:, 2] / apart_mm).astype(np.int64)
    of = np.repeat(np.arange(len(count)), count)
    nth = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)
    down = ((nth + 0.5) / count[of] * edge.places[of, 2]).astype(np.float32)
    places = edge.places[of]
    places[:, :2] -= edge.outward[of] * (down * edge.inwards[of])[:, None]
    places[:, 2] -= down
    # Of a slope: as much to the side as its height, as much downwards as its width.
    flow = np.column_stack([edge.outward, -edge.inwards]) * (edge.along_mm * edge.places[:, 2] / count)[:, None]
    return Added(places, flow[of].astype(np.float32))


def floor_of(edge: Edge, samples: Samples, open_at: Singles, area_mm2: float) -> Added:
    """A floor over those of `open_at` (n, 2), mm, that the foot encloses, each standing for `area_mm2`."""
    within = open_at[_turns_around(edge, open_at) > 0.5]
    if not len(within):
        return Added(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))
    near = cKDTree(within).query(samples.points[:, :2], distance_upper_bound=_AROUND_MM)[0] < np.inf
    height = samples.points[near & (samples.normals[:, 2] > _FACES_UP), 2]
    level = float(height.min()) if len(height) else float(edge.places[:, 2].min())
    places = np.column_stack([within, np.full(len(within), level, np.float32)]).astype(np.float32)
    return Added(places, np.broadcast_to(np.array([0, 0, area_mm2], np.float32), places.shape))


def _turns_around(edge: Edge, at: Singles) -> npt.NDArray[np.float64]:
    """How often the foot leads around each place: the winding number in the plane."""
    foot, found = edge.foot, []
    for part in range(0, len(at), _AT_ONCE):
        away = foot[None] - at[part : part + _AT_ONCE, None]
        far = np.maximum(np.square(away).sum(2), 1.0)
        found.append((np.einsum("pei,ei->pe", away, edge.outward) / far) @ edge.along_mm / (2 * np.pi))
    return np.concatenate(found) if found else np.zeros(0)
