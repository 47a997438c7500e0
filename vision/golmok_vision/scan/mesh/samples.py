"""From a cloud to samples of a surface: thinned, without strays, each with its normal and how the surface bends there.

Normals need no guess of what is outside: a point was seen from the camera's side. At an edge the two faces must not be
mixed, so neighbours count less the more their normals differ (as Oztireli et al. do it, Eurographics 2009); positions
are then smoothed by a quadric fitted to the neighbours (jets: Cazals & Pouget 2005), which keeps round things round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from golmok_vision.scan.clean import between_lines_mm, in_large_parts, same_part_mm
from golmok_vision.scan.cloud import Cloud, Singles
from golmok_vision.scan.errors import MeshError
from golmok_vision.scan.mesh.bridges import Bridged, bridged, is_line_like
from golmok_vision.scan.mesh.lines_of_sight import looked_through

Ints: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_NEIGHBOURS: Final = 20
_LEAST_SAMPLES: Final = 200
_MOST_SAMPLES: Final = 90_000
_FINEST_MM: Final = 0.15
_LINES_SHARE: Final = 0.35

_ROUNDS: Final = 3
"""Of filtering normals."""

_ALONG_LINES: Final = np.array([2.5, 5.0, 10.0])
"""Of the usual spacing: how far apart samples are left on lines that lie far apart, and on those farther apart."""

_FEW_ALONE: Final = 0.002

_SAME_FACE: Final = 0.35
"""How far normals of one face differ (length of the difference): noise and bend over the neighbourhood."""

_CHUNK: Final = 20_000
"""Rows worked on at a time: what lies between is neighbours x rows x a matrix each, and memory is short on a Pi."""

_THICKEST: Final = 0.12
"""Of the spread of neighbours, how much may run across the surface. On a surface it is 0.01, in a cloud 0.2."""

_NARROWEST: Final = 0.03
"""And how much must run along its second direction: on a surface 0.4, on a line nothing."""

_MOST_AGAINST: Final = 0.15

_SMALLEST_PIECE: Final = 0.02
"""Of all samples: what hangs together and has less is a stray, not a piece."""


@dataclass(frozen=True)
class Samples:
    """n places of the surface, float32, mm, turntable's frame; about `spacing_mm` apart.

    `normals` point outward. `bends` (n, 6) holds the symmetric matrix K (xx, yy, zz, xy, xz, yz) of each sample's
    quadric: the surface is where `normal . r == r K r`, r from the sample. `neighbours` (n, k) names the nearest
    samples, the sample itself first. `areas` are mm2 of surface for each.
    """

    points: Singles
    normals: Singles
    bends: Singles
    neighbours: npt.NDArray[np.int32]
    areas: Singles
    colours: Singles
    spacing_mm: float
    tree: cKDTree

    def __len__(self) -> int:
        return len(self.points)

    def nearest(self, places: Singles) -> tuple[Singles, Ints]:
        """How far the nearest sample is from each place, and which that is."""
        away, which = self.tree.query(places)
        return np.asarray(away, np.float32), np.asarray(which, np.int64)


def samples_of(cloud: Cloud) -> Samples:
    """Samples of the cloud's surface; raises `MeshError` where the points are too few or form no surface."""
    points, towards, colours = _thinned(cloud)
    apart_mm = same_part_mm(cloud)
    keep = _no_strays(points, apart_mm)
    points, towards, colours = points[keep], towards[keep], colours[keep]
    if len(points) < _LEAST_SAMPLES:
        raise MeshError(
            f"only {len(points)} places of a surface were measured: is the piece on the table, and in the light of the "
            f"lasers? Capture again, a dark piece with a longer exposure"
        )
    around = _Around.of(points)
    usual, on_lines = around.spacing_mm, np.zeros(len(points), bool)
    spread = _spreads(points, around.neighbours)
    for along_mm in _ALONG_LINES * usual:
        alone = is_line_like(spread[0])
        if alone.mean() < _FEW_ALONE or along_mm > apart_mm / 3:
            break
        points, towards, colours = (_fewer(each, points, alone, along_mm) for each in (points, towards, colours))
        on_lines = np.concatenate([on_lines[~alone], np.ones(len(points) - int((~alone).sum()), bool)])
        around = _Around.of(points)
        spread = _spreads(points, around.neighbours)
    whole, around = around, _among_lines(around, points, on_lines, apart_mm)
    if around is not whole:
        spread = _spreads(points, around.neighbours)
    normals = _normals(spread, towards)
    _require_agreement(normals, around.neighbours)
    normals = _filtered(points, normals, around)
    smooth, bends = _on_quadrics(points, normals, around)
    near = np.concatenate([around.neighbours, whole.neighbours], axis=1)
    added = bridged(smooth, normals, bends, near, (usual, apart_mm))
    if len(added.points):
        smooth, normals, colours = _with_bridges(smooth, normals, colours, added, usual, cloud)
        around = _Around.of(smooth)
        smooth, bends = _on_quadrics(smooth, normals, around)
    areas = np.pi * np.square(around.distances[:, 8]) / 8.5
    areas = np.minimum(areas, 4 * np.median(areas))
    # Far from all samples many are about equally near: a tree of snug boxes then takes ten times as long.
    tree = cKDTree(smooth, compact_nodes=False, balanced_tree=False)
    return Samples(
        smooth, normals, bends, around.neighbours, areas.astype(np.float32), colours, around.spacing_mm, tree
    )  # fmt: skip


@dataclass(frozen=True)
class _Around:
    """The nearest samples of each, itself first, and how far they are."""

    neighbours: npt.NDArray[np.int32]
    distances: Singles

    @classmethod
    def of(cls, points: Singles) -> _Around:
        distances, neighbours = cKDTree(points).query(points, k=_NEIGHBOURS)
        return cls(neighbours.astype(np.int32), distances.astype(np.float32))

    @property
    def spacing_mm(self) -> float:
        return float(np.median(self.distances[:, 1]))

    def reach(self, nth: int) -> Singles:
        """How far the nth neighbour is, (n, 1); no less than usual: where samples crowd, noise must not count more."""
        far = self.distances[:, nth]
        return np.asarray(np.maximum(far, np.median(far))[:, None], np.float32)


def _among_lines(around: _Around, points: Singles, on_lines: Mask, apart_mm: float) -> _Around:
    """For samples of lines far apart the neighbours on such lines only, where these are a surface.

    Else the nearest ones would be those of a dense face behind the edge, and the normal that of neither.
    """
    mine = np.flatnonzero(on_lines)
    if len(mine) < _NEIGHBOURS:
        return around
    distances, which = cKDTree(points[mine]).query(points[mine], k=_NEIGHBOURS)
    neighbours = mine[which].astype(np.int32)
    known = distances[:, -1] < 2 * apart_mm
    found = _Around(around.neighbours.copy(), around.distances.copy())
    known[known] = ~is_line_like(_spreads(points, neighbours[known])[0])
    found.neighbours[mine[known]] = neighbours[known]
    found.distances[mine[known]] = distances[known]
    return found


def _fewer(of: Singles, points: Singles, alone: Mask, along_mm: float) -> Singles:
    """Fewer samples on lines that lie far apart (`alone`), so that neighbours are on other lines too."""
    order, first = _cells(points[alone].astype(float), along_mm)
    return np.concatenate([of[~alone], _means(of[alone], order, first)])


def _with_bridges(
    points: Singles, normals: Singles, colours: Singles, added: Bridged, spacing: float, cloud: Cloud
) -> tuple[Singles, Singles, Singles]:
    """One sample for each small cube of what was added, where none was measured and the camera saw nothing behind."""
    order, first = _cells(added.points.astype(float), spacing)
    place, normal = (_means(each, order, first) for each in (added.points, added.normals))
    colour = _means(colours[added.between].mean(1), order, first)
    free = cKDTree(points).query(place)[0] > 0.6 * spacing
    place, colour, normal = place[free], colour[free], normal[free]
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    there = ~looked_through(place, normal, cloud)
    pairs = (points, place[there]), (normals, normal[there]), (colours, colour[there])
    points, normals, colours = (np.concatenate(pair) for pair in pairs)
    return points, normals, colours


# --- thinning


def _thinned(cloud: Cloud) -> tuple[Singles, Singles, Singles]:
    """The mean of the points of each small cube: positions, where they were seen from, colours."""
    points = cloud.points.astype(float)
    if not len(points):
        raise MeshError("the cloud is empty: is the piece on the table? Capture again")
    if not np.isfinite(points).all():
        raise MeshError("the cloud holds points that are no numbers: run `golmok-scan reconstruct` again")
    edge = max(_edge(points), _LINES_SHARE * between_lines_mm(cloud))  # along a line points lie much closer
    order, first = _cells(points, edge)
    return _means(points, order, first), _means(cloud.towards, order, first), _means(cloud.colour, order, first)


def _means(of: npt.NDArray[Any], order: Ints, first: Ints) -> Singles:
    """Of what lies in each cube, as `_cells` puts it."""
    counts = np.diff(np.append(first, len(of)))[:, None]
    return np.asarray(np.add.reduceat(of[order].astype(float), first, axis=0) / counts, np.float32)


def _edge(points: npt.NDArray[np.float64]) -> float:
    """Of the cubes: so that about as many samples are left as there is time for."""
    coarse = 1.0
    for _ in range(3):
        used = len(_cells(points, coarse)[1])
        finer = coarse * float(np.sqrt(used / _MOST_SAMPLES))
        if finer >= coarse or used >= 0.5 * len(points):
            break
        coarse = max(finer, _FINEST_MM)
    return coarse


def _cells(points: npt.NDArray[np.float64], edge: float) -> tuple[Ints, Ints]:
    """Points in the order of their cubes, and where in that order each cube begins."""
    cell = np.floor((points - points.min(0)) / edge).astype(np.int64)
    wide = cell.max(0) + 1
    key = (cell[:, 0] * wide[1] + cell[:, 1]) * wide[2] + cell[:, 2]
    order = np.argsort(key, kind="stable")
    return order, np.flatnonzero(np.diff(key[order], prepend=-1))


# --- strays


def _no_strays(points: Singles, apart_mm: float) -> Mask:
    """Not what is far from its neighbours, and not small heaps with nothing else within `apart_mm`."""
    if len(points) <= _NEIGHBOURS:
        return np.ones(len(points), bool)
    distances, _ = cKDTree(points).query(points, k=7)
    dense = np.asarray(distances[:, 6] < 2.5 * float(np.median(distances[:, 6])))
    dense[dense] = in_large_parts(points[dense], apart_mm, _SMALLEST_PIECE)
    return dense


# --- normals


def squares(of: Singles) -> Singles:
    """The squared lengths of vectors (n, k, 3), as (n, k). In a third of the time of a sum over the last axis."""
    return np.asarray(np.einsum("nki,nki->nk", of, of), np.float32)


def _chunks(count: int) -> Iterator[slice]:
    return (slice(at, min(at + _CHUNK, count)) for at in range(0, count, _CHUNK))


def _spreads(points: Singles, neighbours: npt.NDArray[np.int32]) -> tuple[Singles, Singles]:
    """How far the neighbours in each row spread (three variances, least first), and which way they spread least."""
    spreads = np.empty((len(neighbours), 3), np.float32)
    thin = np.empty_like(spreads)
    for part in _chunks(len(neighbours)):
        around = points.take(neighbours[part], 0)
        around -= np.einsum("nki->ni", around)[:, None] / np.float32(around.shape[1])
        spreads[part], axes = np.linalg.eigh(np.matmul(around.transpose(0, 2, 1), around))
        thin[part] = axes[:, :, 0]
    return spreads, thin


def _normals(spread: tuple[Singles, Singles], towards: Singles) -> Singles:
    """Across the plane through each sample's neighbours (as they spread), on the camera's side."""
    spreads, normals = spread
    _require_sheet(spreads)
    behind = np.einsum("ni,ni->n", normals, towards) < 0
    normals[behind] *= -1
    return normals


def _require_sheet(spreads: Singles) -> None:
    """Points around a point of a surface spread two ways and not the third: neither a cloud nor a thread does."""
    share = spreads / np.maximum(spreads.sum(1, keepdims=True), 1e-12)
    if float(np.median(share[:, 0])) > _THICKEST or float(np.median(share[:, 1])) < _NARROWEST:
        raise MeshError(
            "the points lie on no surface: what was measured is noise or a single line; look at the pictures, and "
            "shield the piece from sunlight"
        )


def _require_agreement(normals: Singles, neighbours: npt.NDArray[np.int32]) -> None:
    """Next to each other points look the same way; where many do not, they were seen from where nobody stood."""
    against = [np.einsum("ni,ni->n", normals, normals[neighbours[:, k]]) < 0 for k in (1, 2, 3)]
    if float(np.mean(against)) > _MOST_AGAINST:
        raise MeshError(
            "neighbouring points contradict each other about which side is outside: the turntable turned otherwise "
            "than was believed, or a laser moved; calibrate again"
        )


def _filtered(points: Singles, normals: Singles, near: _Around) -> Singles:
    """The mean over the neighbours on the same face."""
    neighbours, reach = near.neighbours, near.reach(_NEIGHBOURS // 2)
    for _ in range(_ROUNDS):
        smooth = np.empty_like(normals)
        for part in _chunks(len(points)):
            around = normals.take(neighbours[part], 0)
            apart = squares(points.take(neighbours[part], 0) - points[part, None]) / np.square(reach[part])
            unlike = squares(around - normals[part, None]) / _SAME_FACE**2
            smooth[part] = np.matmul(np.exp(-apart - unlike)[:, None], around)[:, 0]
        normals = smooth / np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
    return normals


# --- quadrics


def _on_quadrics(points: Singles, normals: Singles, near: _Around) -> tuple[Singles, Singles]:
    """Each sample moved along its normal onto the quadric through its neighbours, and how that bends."""
    neighbours, reaches = near.neighbours, near.reach(-1)
    smooth, bends = np.empty_like(points), np.empty((len(points), 6), np.float32)
    for part in _chunks(len(points)):
        n, p, reach = normals[part], points[part], reaches[part]
        one, other = _across(n)
        around = points.take(neighbours[part], 0) - p[:, None]
        # In units of the reach, so that one ridge serves all scales.
        u, v, h = (np.matmul(around, axis[:, :, None])[:, :, 0] / reach for axis in (one, other, n))
        unlike = squares(normals.take(neighbours[part], 0) - n[:, None]) / (2 * _SAME_FACE) ** 2
        weights = np.exp(-1.5 * (u * u + v * v) - unlike)
        terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=2)
        found = _fitted(terms, h, weights)
        away = np.abs(h - np.matmul(terms, found[:, :, None])[:, :, 0])
        tolerance = 3 * np.median(away, axis=1, keepdims=True) + 1e-6
        found = _fitted(terms, h, weights / (1 + np.square(away / tolerance)))
        smooth[part] = p + n * (found[:, :1] * reach)
        d, e, f = (found[:, i, None] / reach for i in (3, 4, 5))
        bends[part] = _matrix(d, e, f, one, other)
    return smooth, bends


def _across(normals: Singles) -> tuple[Singles, Singles]:
    """Two directions in the plane, each at right angles to the other."""
    helper = np.where(np.abs(normals[:, 2:]) < 0.7, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]]).astype(np.float32)
    one = np.cross(normals, helper)
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    return one, np.cross(normals, one)


_RIDGE: Final = np.diag([1e-4, 1e-3, 1e-3, 2e-2, 2e-2, 2e-2]).astype(np.float32)


def _fitted(terms: Singles, heights: Singles, weights: Singles) -> Singles:
    weights = weights / weights.sum(1, keepdims=True)
    weighted = terms * weights[:, :, None]
    left = np.matmul(weighted.transpose(0, 2, 1), terms) + _RIDGE
    right = np.matmul(weighted.transpose(0, 2, 1), heights[:, :, None])
    return np.asarray(np.linalg.solve(left, right)[:, :, 0], np.float32)


def _matrix(d: Singles, e: Singles, f: Singles, one: Singles, other: Singles) -> Singles:
    """The quadric d u2 + e u v + f v2 as a matrix of space: xx, yy, zz, xy, xz, yz."""
    rows, columns = (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)
    a, b = one[:, rows] * one[:, columns], other[:, rows] * other[:, columns]
    mixed = (one[:, rows] * other[:, columns] + other[:, rows] * one[:, columns]) / 2
    return np.asarray(d * a + e * mixed + f * b, np.float32)
