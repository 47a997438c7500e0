"""First values for the bundle: found step by step, each from what the one before left, none of them exact.

The turntable is found by screw motion: between two pictures of one placement the board made a rotation about the
axis, so the rotation's axis is the table's direction, its angle says how far a step of the motor turns, and the point
that it leaves in place lies on the axis. Nothing is taken from `nominal_per_turn`: pairs are taken from the smallest
difference of steps upwards, and each estimate tells how many whole turns the next larger difference hides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.bundle import Corners, Evidence, LinePoints, State, TableView, on_planes
from golmok_vision.scan.rig import Lens, Plane, Pose, Rig, Turntable, turn
from golmok_vision.scan.trouble import laser_name

Floats: TypeAlias = npt.NDArray[np.float64]

_LEAST_TURN_DEG: Final = 1.0
_SAME_AXIS_COS: Final = 0.97


class GuessError(Exception):
    """There is too little to begin with; `code` is a key of `trouble.TEXTS`."""

    def __init__(self, code: str, args: Mapping[str, Any] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.args_of = args or {}


def guess_lens(views: Sequence[Corners], size: tuple[int, int]) -> Lens:
    """The lens from pictures of the board, by Zhang's method as OpenCV has it."""
    if len(views) < 4:
        raise GuessError("few-views")
    flags = cv2.CALIB_FIX_K3 | cv2.CALIB_FIX_ASPECT_RATIO
    start = np.array([[size[0], 0, size[0] / 2], [0, size[0], size[1] / 2], [0, 0, 1]], float)
    _, matrix, distortion, _, _ = cv2.calibrateCamera(
        [v.on_board_mm.astype(np.float32) for v in views], [v.pixels.astype(np.float32) for v in views], size,
        start, np.zeros(5), flags=flags | cv2.CALIB_USE_INTRINSIC_GUESS,
    )  # fmt: skip
    d = np.asarray(distortion, float).ravel()
    return Lens(*size, float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2]),
                tuple(float(each) for each in d[:5]))  # fmt: skip


def guess_pose(lens: Lens, view: Corners) -> Pose:
    """Where the board is to the camera."""
    flat = np.asarray(lens.rays(view.pixels))
    _, rotations, shifts, errors = cv2.solvePnPGeneric(
        view.on_board_mm, flat, np.eye(3), np.zeros(5), flags=cv2.SOLVEPNP_IPPE
    )
    best = int(np.argmin(np.ravel(errors)))
    vector, shift = cv2.solvePnPRefineLM(view.on_board_mm, flat, np.eye(3), np.zeros(5), rotations[best], shifts[best])
    return Pose(np.asarray(cv2.Rodrigues(vector)[0], float), np.asarray(shift, float).ravel())


@dataclass(frozen=True)
class Axis:
    """The turntable's axis in the camera's frame: a point on it, its direction up, degrees a step turns about that."""

    through_mm: Floats
    up: Floats
    deg_per_step: float


@dataclass(frozen=True)
class _Move:
    steps: float
    angle_deg: float
    about: Floats
    rotation: Floats
    shift: Floats


def guess_axis(views: Sequence[TableView], poses: Sequence[Pose | None]) -> Axis:
    """The axis from the board's poses at different steps of the motor."""
    moves = sorted(_moves(views, poses), key=lambda move: move.steps)
    if len(moves) < 3:
        raise GuessError("few-turns")
    # An axis and its opposite are one: all along that of the move that turned furthest from nothing and from half.
    main = max(moves, key=lambda move: min(move.angle_deg, 175 - move.angle_deg)).about
    about = np.stack([move.about * np.sign(move.about @ main) for move in moves])
    good = np.abs(about @ main) > _SAME_AXIS_COS
    if good.sum() < 3:
        raise GuessError("no-axis")
    direction = np.median(about[good], axis=0)
    direction /= np.linalg.norm(direction)
    kept = [move for move, is_good in zip(moves, good, strict=True) if is_good]
    signed = [move.angle_deg * float(np.sign(move.about @ direction)) for move in kept]
    per_step = _unwound([move.steps for move in kept], signed)
    # (1 - R) c = t says where the axis is, across it.
    left = np.concatenate([np.eye(3) - move.rotation for move in kept] + [direction[None]])
    right = np.concatenate([move.shift for move in kept] + [np.zeros(1)])
    through = np.linalg.lstsq(left, right, rcond=None)[0]
    return Axis(np.asarray(through), direction, per_step)


def _moves(views: Sequence[TableView], poses: Sequence[Pose | None]) -> list[_Move]:
    found = []
    for (a, one), (b, other) in combinations([(v, p) for v, p in zip(views, poses, strict=True) if p is not None], 2):
        if a.placement != b.placement or a.step == b.step:
            continue
        if b.step < a.step:
            (a, one), (b, other) = (b, other), (a, one)
        rotation = other.rotation @ one.rotation.T
        vector = np.asarray(cv2.Rodrigues(rotation)[0], float).ravel()
        angle = float(np.degrees(np.linalg.norm(vector)))
        if _LEAST_TURN_DEG < angle < 175:
            shift = other.translation_mm - rotation @ one.translation_mm
            found.append(_Move(b.step - a.step, angle, vector / np.linalg.norm(vector), rotation, shift))
    return found


def _unwound(steps: Sequence[float], angles_deg: Sequence[float]) -> float:
    """Degrees a step turns, from differences of steps in rising order and angles between -180 and 180."""
    shortest = [angle / count for count, angle in zip(steps, angles_deg, strict=True) if count <= 1.01 * steps[0]]
    per_step = float(np.median(shortest))
    numerator = denominator = 0.0
    for count, angle in zip(steps, angles_deg, strict=True):
        whole = angle + 360 * round((per_step * count - angle) / 360)
        if abs(whole - per_step * count) > 30:
            continue
        numerator += whole * count
        denominator += count * count
        per_step = numerator / denominator
    return per_step


def guess_state(evidence: Evidence, lens: Lens, hand: Sequence[Pose], table: Sequence[Pose | None]) -> State:
    """All unknowns, from the lens and the board's poses to the camera."""
    axis = guess_axis(evidence.views, table)
    lying = [
        pose for view, pose in zip(evidence.views, table, strict=True)
        if pose is not None and view.placement in evidence.lying
    ]  # fmt: skip
    if not lying:
        raise GuessError("no-lying")
    # A lying board's z leads down into the plate.
    up, per_step = axis.up, axis.deg_per_step
    if np.median([pose.rotation[:, 2] @ up for pose in lying]) > 0:
        up, per_step = -up, -per_step
    heights = [(pose.translation_mm - axis.through_mm) @ pose.rotation[:, 2] / (up @ pose.rotation[:, 2])
               for pose in lying]  # fmt: skip
    origin = axis.through_mm + up * (float(np.median(heights)) - evidence.thickness_mm)
    camera = _camera_pose(origin, up)
    turntable = Turntable(360.0 / per_step)
    placed = tuple(
        _at_step_0(p, evidence.views, table, camera, turntable)
        for p in range(1 + max(view.placement for view in evidence.views))
    )
    rig = Rig(lens, camera, (), turntable)
    lasers = tuple(_sheet(rig, placed, evidence, laser) for laser in range(evidence.lasers))
    return State(Rig(lens, camera, lasers, turntable), tuple(hand), placed)


def _camera_pose(origin: Floats, up: Floats) -> Pose:
    """The rig's frame from its origin and z axis in the camera's: x leads to the camera's centre."""
    towards = -origin - up * (-origin @ up)
    x = towards / np.linalg.norm(towards)
    return Pose(np.column_stack([x, np.cross(up, x), up]), origin)


def _at_step_0(
    placement: int, views: Sequence[TableView], table: Sequence[Pose | None], camera: Pose, turntable: Turntable
) -> Pose:
    """How the board of a placement lay at step 0, by the median picture of it."""
    found = []
    for view, pose in zip(views, table, strict=True):
        if pose is None or view.placement != placement:
            continue
        back = turn(-turntable.angle_deg(view.step))
        rotation = back @ camera.rotation.T @ pose.rotation
        found.append((rotation, back @ camera.into_rig(pose.translation_mm)))
    if not found:
        raise GuessError("placement-unseen")
    rotations = np.stack([each[0] for each in found])
    typical = int(np.linalg.norm(rotations - np.median(rotations, axis=0), axis=(1, 2)).argmin())
    return Pose(rotations[typical], np.median([each[1] for each in found], axis=0))


def _sheet(rig: Rig, placed: Sequence[Pose], evidence: Evidence, laser: int) -> Plane:
    """The plane through a laser's points on the board, whatever some of them say."""
    mine = evidence.lines.laser == laser
    if not mine.any():
        raise GuessError("laser-unseen", laser_name(laser))
    points = line_points(rig, placed, evidence)[mine]
    if len(points) < 50:
        raise GuessError("laser-unseen", laser_name(laser))
    kept = points
    for most in (8.0, 3.0, 1.0):
        middle = np.median(kept, axis=0)
        _, values, axes = np.linalg.svd(kept - middle, full_matrices=False)
        off = np.abs((points - middle) @ axes[2])
        kept = points[off < max(most, 2 * float(np.median(off)))]
    if values[1] < 0.05 * values[0]:
        raise GuessError("sheet-unknown", laser_name(laser))
    middle = kept.mean(0)
    normal = np.linalg.svd(kept - middle, full_matrices=False)[2][2]
    return Plane(np.asarray(normal), float(normal @ middle))


def line_points(rig: Rig, placed: Sequence[Pose], evidence: Evidence) -> Floats:
    """Where the lines' points are on the boards, (n, 3), rig's frame."""
    lines: LinePoints = evidence.lines
    turns = np.stack([turn(rig.turntable.angle_deg(view.step)) for view in evidence.views])
    which = np.array([view.placement for view in evidence.views])
    normals = np.stack([pose.rotation[:, 2] for pose in placed])[which]
    shifts = np.stack([pose.translation_mm for pose in placed])[which]
    normals, shifts = (np.einsum("nij,nj->ni", turns, each)[lines.view] for each in (normals, shifts))
    return on_planes(rig, lines.pixels, normals, shifts)
