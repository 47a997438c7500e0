"""All that pictures of the board say about the rig, put into one sum of squares and made least.

Unknown are the lens, where the camera is to the turntable's axis, how far a step of the motor turns, the lasers'
sheets, and where the board was: once for each picture in the hand, once for each placement on the table. Everything is
estimated at once, so that no error of one step is frozen into the next. Two kinds of residuals: corners (pixels), and
points of a laser's line on the board (distance of the place where their ray meets the board from the laser's sheet).

A residual depends on few unknowns. So the Jacobian's columns are found by moving one unknown of every block at once
(of each picture's pose the first, of each the second, …): 36 evaluations, however many pictures there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.rig import Lens, Plane, Pose, Rig, Turntable

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

CORNER_PX: Final = 0.1
LINE_MM: Final = 0.08
"""What is expected of a corner and of a point of a line; residuals are counted in these."""

_SOFT: Final = 2.5
_LENS, _AXIS, _STEP, _SHEET, _POSE = 8, 5, 1, 3, 6
_MOST_ROUNDS: Final = 60
_DONE: Final = 1e-8


class Corners(NamedTuple):
    """Corners of the board in pictures: `view` says in which one, `on_board_mm` (n, 3) and `pixels` (n, 2)."""

    view: Ints
    on_board_mm: Floats
    pixels: Floats


class TableView(NamedTuple):
    """A picture of the table: the motor's step, and how the board lay."""

    step: float
    placement: int


class LinePoints(NamedTuple):
    """Points of the lasers' lines on the board in table pictures `view`."""

    view: Ints
    laser: Ints
    pixels: Floats


@dataclass(frozen=True)
class Evidence:
    """All that was seen. `views` are the table's pictures, `lying` the placements that lie on the plate."""

    hand: Corners
    table: Corners
    views: Sequence[TableView]
    lines: LinePoints
    lying: Sequence[int]
    thickness_mm: float
    lasers: int = 2


@dataclass(frozen=True)
class State:
    """A value for each unknown. Poses bring the board into the camera (hand) or into the rig at step 0 (placed)."""

    rig: Rig
    hand: tuple[Pose, ...]
    placed: tuple[Pose, ...]


@dataclass(frozen=True)
class Solution:
    """The best state, what is left over (pixels, mm), and how sure it is."""

    state: State
    hand_px: Floats
    table_px: Floats
    lines_mm: Floats
    spread: Floats
    """A matrix S: the unknowns' covariance is S @ S.T."""

    unknowns: Floats
    bundle: Bundle

    def uncertainty_mm(self, points_mm: Floats, laser: int) -> Floats:
        """How far (one sigma, mm) points (n, 3) may be off by what is not known of the rig."""
        pixels = self.state.rig.project(points_mm)
        base = self.state.rig.triangulate(pixels, laser)
        total = np.zeros(len(points_mm))
        # The first unknowns are the rig; the boards' poses do not matter here.
        count = self.bundle.rig_unknowns
        moves = np.zeros((len(points_mm), 3, count))
        for i in range(count):
            step = 1e-5 * max(1.0, abs(self.unknowns[i]))
            moved = self.unknowns.copy()
            moved[i] += step
            moves[:, :, i] = (self.bundle.rig_of(moved).triangulate(pixels, laser) - base) / step
        total = np.square(moves @ self.spread[:count]).sum((1, 2))
        return np.asarray(np.sqrt(total))


class Bundle:
    """The sum of squares for one set of evidence."""

    def __init__(self, evidence: Evidence, size: tuple[int, int], lasers: int, hand: int, placements: int) -> None:
        self._evidence = evidence
        self._size = size
        self._lasers = lasers
        self._hand, self._placements = hand, placements
        self.rig_unknowns = _LENS + _AXIS + _STEP + _SHEET * lasers
        self._steps = np.array([view.step for view in evidence.views])
        self._placement = np.array([view.placement for view in evidence.views], np.int64)
        self._is_lying = np.isin(np.arange(placements), list(evidence.lying))
        self._blocks = self._owners()

    @property
    def hand_views(self) -> Ints:
        """The view of each corner in the hand."""
        return self._evidence.hand.view

    def solve(self, start: State, told: Callable[[int], None] = lambda rounds: None) -> Solution:
        """The state that explains the evidence best; `told` hears how many rounds were made."""
        x = least(self._residuals, self._jacobian, self._packed(start), told)
        residuals = self._residuals(x)
        n, m = 2 * len(self._evidence.hand.view), 2 * len(self._evidence.table.view)
        return Solution(
            self._unpacked(x), residuals[:n].reshape(-1, 2) * CORNER_PX,
            residuals[n : n + m].reshape(-1, 2) * CORNER_PX, residuals[n + m :] * LINE_MM,
            _spread(self._jacobian(x), residuals), x, self,
        )  # fmt: skip

    # --- unknowns as one row of numbers

    def rig_of(self, x: Floats) -> Rig:
        """The rig that the unknowns stand for."""
        axis = x[_LENS : _LENS + _AXIS]
        rotation = _rotations(axis[None, :3])[0]
        centre = np.array([axis[3], 0.0, axis[4]])
        first = _LENS + _AXIS + _STEP
        sheets = x[first : self.rig_unknowns].reshape(-1, _SHEET)
        fx, fy, cx, cy, *bend = (float(each) for each in x[:_LENS])
        lens = Lens(*self._size, fx, fy, cx, cy, (*bend, 0.0))
        planes = tuple(Plane(_normal(azimuth, lean), float(offset)) for azimuth, lean, offset in sheets)
        return Rig(lens, Pose(rotation, -rotation @ centre), planes, Turntable(360.0 / float(x[first - 1])))

    def _packed(self, state: State) -> Floats:
        rig, lens = state.rig, state.rig.lens
        centre = rig.pose.centre_mm
        sheets = [
            [np.arctan2(p.normal[1], p.normal[0]), np.arcsin(np.clip(p.normal[2], -1, 1)), p.offset_mm]
            for p in rig.lasers
        ]  # fmt: skip
        placed = np.array([_six(pose) for pose in state.placed])
        return np.concatenate([
            [lens.fx_px, lens.fy_px, lens.cx_px, lens.cy_px, *lens.distortion[:4]],
            _vector(rig.pose.rotation), centre[[0, 2]], [360.0 / rig.turntable.steps_per_turn], np.ravel(sheets),
            placed.ravel(), np.ravel([_six(pose) for pose in state.hand]),
        ])  # fmt: skip

    def _unpacked(self, x: Floats) -> State:
        rotations, shifts = self._placed(x)
        placed = tuple(Pose(r, t) for r, t in zip(rotations, shifts, strict=True))
        six = x[self.rig_unknowns + _POSE * self._placements :].reshape(-1, _POSE)
        hand = tuple(Pose(r, t) for r, t in zip(_rotations(six[:, :3]), six[:, 3:], strict=True))
        return State(self.rig_of(x), hand, placed)

    def _placed(self, x: Floats) -> tuple[Floats, Floats]:
        """Poses of the placements; a lying board's height is not free, it is the board's thickness at the axis."""
        six = x[self.rig_unknowns : self.rig_unknowns + _POSE * self._placements].reshape(-1, _POSE)
        rotations, shifts = _rotations(six[:, :3]), six[:, 3:].copy()
        normals = rotations[:, :, 2]
        level = self._evidence.thickness_mm - (normals[:, :2] * shifts[:, :2]).sum(1) / normals[:, 2]
        shifts[self._is_lying, 2] = level[self._is_lying]
        return rotations, shifts

    # --- residuals

    def _residuals(self, x: Floats) -> Floats:
        e = self._evidence
        rig = self.rig_of(x)
        six = x[self.rig_unknowns + _POSE * self._placements :].reshape(-1, _POSE)
        turned = np.einsum("nij,nj->ni", _rotations(six[:, :3])[e.hand.view], e.hand.on_board_mm)
        in_hand = _projected(rig.lens, turned + six[e.hand.view, 3:]) - e.hand.pixels
        rotations, shifts = self._on_table(x, rig)
        there = np.einsum("nij,nj->ni", rotations[e.table.view], e.table.on_board_mm) + shifts[e.table.view]
        on_table = _projected(rig.lens, rig.pose.into_camera(there)) - e.table.pixels
        return np.concatenate([
            in_hand.ravel() / CORNER_PX, on_table.ravel() / CORNER_PX, self._off_sheet(rig, rotations, shifts) / LINE_MM
        ])  # fmt: skip

    def _on_table(self, x: Floats, rig: Rig) -> tuple[Floats, Floats]:
        """Where the board was in each table picture: rotations (views, 3, 3) and shifts (views, 3)."""
        angles = np.radians(self._steps * (360.0 / rig.turntable.steps_per_turn))
        c, s, o = np.cos(angles), np.sin(angles), np.zeros(len(angles))
        turns = np.stack([c, -s, o, s, c, o, o, o, o + 1], axis=1).reshape(-1, 3, 3)
        rotations, shifts = self._placed(x)
        return turns @ rotations[self._placement], np.einsum("nij,nj->ni", turns, shifts[self._placement])

    def _off_sheet(self, rig: Rig, rotations: Floats, shifts: Floats) -> Floats:
        view, laser, pixels = self._evidence.lines
        if not len(view):
            return np.zeros(0)
        points = on_planes(rig, pixels, rotations[view, :, 2], shifts[view])
        normals = np.stack([plane.normal for plane in rig.lasers])[laser]
        offsets = np.array([plane.offset_mm for plane in rig.lasers])[laser]
        return np.asarray((points * normals).sum(1) - offsets)

    # --- Jacobian

    def _owners(self) -> list[tuple[int, Ints]]:
        """Blocks of unknowns: how many one has, and in each residual's row at which column its own begins (or -1)."""
        e = self._evidence
        rows = 2 * len(e.hand.view), 2 * len(e.table.view), len(e.lines.view)
        none = [np.full(count, -1, np.int64) for count in rows]
        hand_at = self.rig_unknowns + _POSE * self._placements
        shared = [(1, np.full(sum(rows), i, np.int64)) for i in range(_LENS + _AXIS + _STEP)]
        sheet = np.concatenate([none[0], none[1], _LENS + _AXIS + _STEP + _SHEET * e.lines.laser])
        placement = [self.rig_unknowns + _POSE * self._placement[view] for view in (e.table.view, e.lines.view)]
        placed = np.concatenate([none[0], np.repeat(placement[0], 2), placement[1]])
        hand = np.concatenate([np.repeat(hand_at + _POSE * e.hand.view, 2), none[1], none[2]])
        return [*shared, (_SHEET, sheet), (_POSE, placed), (_POSE, hand)]

    def _jacobian(self, x: Floats) -> Floats:
        base = self._residuals(x)
        jacobian = np.zeros((len(base), len(x)))
        for width, starts in self._blocks:
            rows = np.flatnonzero(starts >= 0)
            for k in range(width):
                columns = np.unique(starts[rows]) + k
                step = np.zeros(len(x))
                step[columns] = 1e-6 * np.maximum(1e-2, np.abs(x[columns]))
                moved = self._residuals(x + step)
                owner = starts[rows] + k
                jacobian[rows, owner] = (moved - base)[rows] / step[owner]
        return jacobian


def on_planes(rig: Rig, pixels: Floats, normals: Floats, through: Floats) -> Floats:
    """Where the rays through pixels (n, 2) meet planes, each with its own normal and a point on it; rig's frame."""
    flat = rig.lens.rays(pixels)
    directions = np.column_stack([flat, np.ones(len(flat))]) @ rig.pose.rotation
    centre = rig.pose.centre_mm
    along = ((through - centre) * normals).sum(1) / (directions * normals).sum(1)
    return np.asarray(centre + along[:, None] * directions)


def without(points: Corners, bad: npt.NDArray[np.bool_]) -> Corners:
    """Those corners that are not bad."""
    return Corners(points.view[~bad], points.on_board_mm[~bad], points.pixels[~bad])


def thinned(evidence: Evidence, solution: Solution, most: float) -> Evidence:
    """The evidence without what is further off than `most` times the robust spread of its kind."""
    bad = [_far(np.linalg.norm(px, axis=1), most) for px in (solution.hand_px, solution.table_px)]
    far = _far(np.abs(solution.lines_mm), most)
    lines = LinePoints(evidence.lines.view[~far], evidence.lines.laser[~far], evidence.lines.pixels[~far])
    return replace(evidence, hand=without(evidence.hand, bad[0]), table=without(evidence.table, bad[1]), lines=lines)


def _far(lengths: Floats, most: float) -> npt.NDArray[np.bool_]:
    if not len(lengths):
        return np.zeros(0, bool)
    return np.asarray(lengths > most * max(1.5 * float(np.median(lengths)), 1e-6))


def least(
    residuals: Callable[[Floats], Floats],
    jacobian: Callable[[Floats], Floats],
    x: Floats,
    told: Callable[[int], None] = lambda rounds: None,
) -> Floats:
    """Where the sum of the residuals' soft absolute values is least, from `x` on: Levenberg and Marquardt's way.

    By the normal equations: with a few thousand residuals of two hundred unknowns each round takes 0.1 s, where
    scipy's `least_squares`, which decomposes the Jacobian itself, takes 1 s and finds the same to eight digits.
    """
    damping = 1e-4
    off = residuals(x)
    cost = _cost(off)
    for rounds in range(_MOST_ROUNDS):
        told(rounds)
        slopes, weight = jacobian(x), 1 / np.sqrt(1 + np.square(off / _SOFT))
        normal, down = slopes.T @ (slopes * weight[:, None]), slopes.T @ (off * weight)
        scale = np.diag(normal) + 1e-12 * np.diag(normal).max()
        for _ in range(12):
            step = np.linalg.solve(normal + damping * np.diag(scale), -down)
            tried = residuals(x + step)
            gain = cost - _cost(tried)
            if gain > 0:
                break
            damping *= 8
        else:
            return x
        x, off, cost, damping = x + step, tried, cost - gain, damping / 8
        if gain < _DONE * cost:
            break
    return x


def _cost(off: Floats) -> float:
    return float((2 * _SOFT**2 * (np.sqrt(1 + np.square(off / _SOFT)) - 1)).sum())


def _spread(jacobian: Floats, residuals: Floats) -> Floats:
    """A root of the covariance of the unknowns. What the residuals say is believed where it is worse than expected."""
    scale = np.maximum(np.linalg.norm(jacobian, axis=0), 1e-12)
    slopes = jacobian / scale
    lower = np.linalg.cholesky(slopes.T @ slopes + 1e-12 * np.eye(len(scale)))
    worse = max(1.0, 1.5 * float(np.median(np.abs(residuals))))
    root = worse * np.linalg.inv(lower).T / scale[:, None]
    root[scale <= 1e-12] = 0  # not free
    return np.asarray(root)


def _projected(lens: Lens, points: Floats) -> Floats:
    z = np.where(np.abs(points[:, 2]) > 1e-9, points[:, 2], 1e-9)
    x, y = points[:, 0] / z, points[:, 1] / z
    k1, k2, p1, p2, k3 = lens.distortion
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return np.column_stack([lens.fx_px * bent_x + lens.cx_px, lens.fy_px * bent_y + lens.cy_px])


def _normal(azimuth: float, lean: float) -> Floats:
    return np.array([np.cos(lean) * np.cos(azimuth), np.cos(lean) * np.sin(azimuth), np.sin(lean)])


def _six(pose: Pose) -> Floats:
    return np.concatenate([_vector(pose.rotation), pose.translation_mm])


def _vector(rotation: Floats) -> Floats:
    return np.asarray(cv2.Rodrigues(rotation)[0], float).ravel()


def _rotations(vectors: Floats) -> Floats:
    """Rotation matrices (n, 3, 3) of rotation vectors (n, 3)."""
    angles = np.linalg.norm(vectors, axis=1)
    x, y, z = (vectors / np.maximum(angles, 1e-12)[:, None]).T
    o = np.zeros(len(vectors))
    cross = np.stack([o, -z, y, z, o, -x, -y, x, o], axis=1).reshape(-1, 3, 3)
    s, c = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    return np.asarray(np.eye(3) + s * cross + (1 - c) * (cross @ cross))
