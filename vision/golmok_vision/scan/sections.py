"""Level sections of a closed mesh: outlines with length and area, exact, each loop closed.

A level plane enters a triangle by one edge and leaves it by another; in a closed mesh that is wound one way, each cut
edge is left by exactly one triangle and entered by exactly one. So following edges gives closed loops without matching
any coordinates: counter-clockwise around material, clockwise around hollows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from golmok_vision.scan.errors import OrderError
from golmok_vision.scan.mesh import Model
from golmok_vision.scan.nearest import Floats

_SMALLEST_MM2: Final = 0.01


@dataclass(frozen=True)
class Section:
    """At `height_mm`: loops of (n, 2) points, x and y; hollows turn clockwise. Area is without the hollows."""

    height_mm: float
    loops: tuple[Floats, ...]

    @property
    def length_mm(self) -> float:
        """Of all loops."""
        return float(sum(np.linalg.norm(loop - np.roll(loop, 1, axis=0), axis=1).sum() for loop in self.loops))

    @property
    def area_mm2(self) -> float:
        """Of the material."""
        return float(sum(_area(loop) for loop in self.loops))


def section(model: Model, height_mm: float) -> Section:
    """The section at a height; raises `OrderError` where the model is not there."""
    z = model.vertices[:, 2].astype(float)
    if not z.min() < height_mm < z.max():
        raise OrderError(f"a section at {height_mm:g} mm is asked for; the piece is there from {z.min():.1f} to "
                         f"{z.max():.1f} mm")  # fmt: skip
    above = z > height_mm  # a vertex on the plane counts as below: then no edge lies in it
    faces = model.faces.astype(np.int64)
    count = above[faces].sum(1)
    cut = faces[(count == 1) | (count == 2)]
    into, out = _edges(cut, above[cut], len(z))
    order = np.argsort(into)
    following = order[np.searchsorted(into[order], out)]
    points = _points(model.vertices.astype(float), into, height_mm, len(z))
    loops = [points[loop] for loop in _cycles(following)]
    return Section(height_mm, tuple(loop for loop in loops if abs(_area(loop)) > _SMALLEST_MM2))


def _edges(
    cut: npt.NDArray[np.int64], above: npt.NDArray[np.bool_], vertices: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each cut triangle the edge that the outline comes in by, and goes out by: material on its left."""
    before, after = above, np.roll(above, -1, axis=1)
    following = np.roll(cut, -1, axis=1)
    key = np.minimum(cut, following) * vertices + np.maximum(cut, following)
    # Going round a triangle as it is wound, the outside is on the near side: the outline comes in where it goes down.
    comes, goes = (before & ~after).argmax(1), (~before & after).argmax(1)
    rows = np.arange(len(cut))
    return key[rows, comes], key[rows, goes]


def _points(vertices: Floats, edges: npt.NDArray[np.int64], height_mm: float, count: int) -> Floats:
    one, other = vertices[edges // count], vertices[edges % count]
    share = (height_mm - one[:, 2:]) / (other[:, 2:] - one[:, 2:])
    return np.asarray((one + share * (other - one))[:, :2])


def _cycles(following: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    left, cycles = np.ones(len(following), bool), []
    for start in range(len(following)):
        if not left[start]:
            continue
        cycle, at = [], start
        while left[at]:
            left[at] = False
            cycle.append(at)
            at = int(following[at])
        cycles.append(np.array(cycle))
    return cycles


def _area(loop: Floats) -> float:
    x, y = loop[:, 0], loop[:, 1]
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)
