"""What is inside and what is outside: a function on a grid, by Poisson's equation (Kazhdan et al. 2006).

The samples' normals are the gradient of the function that is 1 inside and 0 outside; so its Laplacian is their
divergence, and fast sine and cosine transforms give it at once: seconds, no tree, no solver's library. The plate is a
mirror (a cosine transform in z): walls that come down to it go straight through, the outline at z = 0 needs no guess,
and a hole that reaches the plate stays a hole. What ends above it
is led down first (`standing`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import fft

from golmok_vision.scan.cloud import Singles
from golmok_vision.scan.mesh.samples import Samples
from golmok_vision.scan.mesh.standing import Added, floor_of, lower_edge, skirt_of

Corner: TypeAlias = npt.NDArray[np.float64]

_MOST_CELLS: Final = 6_000_000
_MARGIN_CELLS: Final = 8
_BLUR_CELLS: Final = 0.8


@dataclass(frozen=True)
class Grid:
    """Nodes at `corner_mm + (i, j, k) * edge_mm`; the lowest layer is half an edge above the plate."""

    corner_mm: Corner
    edge_mm: float
    shape: tuple[int, int, int]

    @classmethod
    def around(cls, samples: Samples) -> Grid:
        """As fine as the samples are, or as there is memory for."""
        low, high = samples.points.min(0).astype(float), samples.points.max(0).astype(float)
        edge = max(samples.spacing_mm * 1.15, 0.05)
        for _ in range(40):
            shape = cls._shape(low, high, edge)
            if np.prod(shape) <= _MOST_CELLS:
                break
            edge *= 1.03
        corner = np.array([*((low + high) / 2 - (np.array(shape) - 1) / 2 * edge)[:2], edge / 2])
        return cls(corner, edge, shape)

    @staticmethod
    def _shape(low: Corner, high: Corner, edge: float) -> tuple[int, int, int]:
        cells = np.ceil((high - low) / edge).astype(int) + 2 * _MARGIN_CELLS
        cells[2] = int(np.ceil(max(high[2], edge) / edge)) + _MARGIN_CELLS
        x, y, z = (fft.next_fast_len(int(n), real=True) for n in cells)
        return x, y, z

    def places(self, points: Singles) -> Singles:
        """Points in units of cells."""
        return np.asarray((points - self.corner_mm) / self.edge_mm, np.float32)


def indicator(samples: Samples, grid: Grid) -> tuple[Singles, float]:
    """The function at the nodes, and its value on the surface: more is inside."""
    measured = Added(samples.points, samples.normals * samples.areas[:, None])
    edge = lower_edge(samples)
    if edge is None:
        return _of(samples, grid, measured)
    measured = _together(measured, skirt_of(edge, grid.edge_mm))
    inside, level = _of(samples, grid, measured)
    nodes = np.argwhere(inside[:, :, 0] < level).astype(np.float32) * np.float32(grid.edge_mm)
    floor = floor_of(edge, samples, (nodes + grid.corner_mm[:2]).astype(np.float32), grid.edge_mm**2)
    return _of(samples, grid, _together(measured, floor)) if len(floor.places) else (inside, level)


def _of(samples: Samples, grid: Grid, known: Added) -> tuple[Singles, float]:
    inside = _solved(_divergence(grid.places(known.places), known.flow / np.float32(grid.edge_mm**2), grid.shape))
    level = float(np.average(at(inside, grid.places(samples.points)), weights=samples.areas))
    return inside, level


def _together(one: Added, other: Added) -> Added:
    return Added(np.concatenate([one.places, other.places]), np.concatenate([one.flow, other.flow]))


def at(values: Singles, places: Singles) -> Singles:
    """Values between nodes, linearly."""
    found = np.zeros(len(places), np.float32)
    for index, weight in _corners(places, values.shape):
        found += values.ravel()[index] * weight
    return found


def _corners(places: Singles, shape: tuple[int, ...]) -> list[tuple[npt.NDArray[np.int64], Singles]]:
    """The eight nodes around each place, and how much each counts. Below the lowest layer is its mirror image."""
    base = np.floor(places).astype(np.int64)
    share = (places - base).astype(np.float32)
    found = []
    for corner in range(8):
        index, weight = np.zeros(len(places), np.int64), np.ones(len(places), np.float32)
        for axis in range(3):
            up = corner >> axis & 1
            index = index * shape[axis] + np.clip(base[:, axis] + up, 0, shape[axis] - 1)
            weight = weight * (share[:, axis] if up else 1 - share[:, axis])
        found.append((index, weight))
    return found


def _divergence(places: Singles, flow: Singles, shape: tuple[int, int, int]) -> Singles:
    total = np.zeros(shape, np.float32)
    corners = _corners(places, shape)
    for axis in range(3):
        field = np.zeros(total.size)
        for index, weight in corners:
            np.add.at(field, index, weight * flow[:, axis])
        part = np.moveaxis(field.reshape(shape).astype(np.float32), axis, 0)
        target = np.moveaxis(total, axis, 0)
        target[1:-1] += (part[2:] - part[:-2]) / 2
        # In the mirror the flow along z is turned round, the others are as they are.
        target[0] += (part[1] + part[0]) / 2 if axis == 2 else part[1] / 2
        target[-1] -= part[-2] / 2
    return total


def _solved(divergence: Singles) -> Singles:
    """Nothing at the sides and above, mirrored at the plate."""
    across, up = {"type": 2, "axes": (0, 1)}, {"type": 4, "axes": (2,)}
    spectrum = fft.dstn(divergence, **across, overwrite_x=True)
    spectrum = fft.dctn(spectrum, **up, overwrite_x=True)
    nx, ny, nz = spectrum.shape
    kx, ky = (np.arange(1, n + 1) / n for n in (nx, ny))
    kz = (np.arange(nz) + 0.5) / nz
    waves = [(2 - 2 * np.cos(np.pi * k)).astype(np.float32) for k in (kx, ky, kz)]
    for i in range(nx):  # a layer at a time: no second grid
        sum_of = waves[0][i] + waves[1][:, None] + waves[2][None]
        spectrum[i] *= np.exp(-(_BLUR_CELLS**2 / 2) * sum_of) / sum_of
    spectrum = fft.idctn(spectrum, **up, overwrite_x=True)
    return np.asarray(fft.idstn(spectrum, **across, overwrite_x=True), np.float32)
