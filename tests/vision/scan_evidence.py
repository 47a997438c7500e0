"""What a perfect camera would have seen of the board, without drawing pictures: for judging the bundle alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from golmok_vision.render import board as boards
from golmok_vision.render.scanner import TrueRig
from golmok_vision.render.simulate import BOARD
from golmok_vision.scan import Rig
from golmok_vision.scan.bundle import Corners, Evidence, LinePoints, TableView
from golmok_vision.scan.rig import Plane, Turntable, turn

Floats = npt.NDArray[np.float64]


@dataclass
class Witness:
    """Makes evidence from a true rig: corners and lines with this much noise (pixels)."""

    seed: int = 1
    noise_px: float = 0.05
    steps_per_turn: float = 3200.0
    hand: int = 14

    def __post_init__(self) -> None:
        true = TrueRig.standard(self.seed)
        self.true = replace(true, rig=replace(true.rig, turntable=Turntable(self.steps_per_turn)))
        self.rig: Rig = self.true.rig
        self.dice = np.random.default_rng(self.seed)
        self.corners_mm = np.asarray(BOARD.opencv().getChessboardCorners(), float)

    def evidence(self) -> Evidence:
        """All that the bundle needs; lines are a point every 5 mm."""
        steps = boards.table_steps(3200)
        places = [boards.in_hand(BOARD, self.rig.pose, self.dice, i, self.hand) for i in range(self.hand)]
        table, lines = [], []
        for view, (step, placement) in enumerate(zip(steps.table, steps.placement, strict=True)):
            place = boards.on_table(BOARD, placement, np.eye(3), self.rig.pose.centre_mm)
            spin = turn(self.rig.turntable.angle_deg(step))
            place = boards.Placed(spin @ place.rotation, spin @ place.shift_mm)
            table.append(place)
            lines += [(view, laser, self._line(place, plane)) for laser, plane in enumerate(self.rig.lasers)]
        return Evidence(
            self._corners(places), self._corners(table),
            [TableView(s, p) for s, p in zip(steps.table, steps.placement, strict=True)],
            LinePoints(
                np.concatenate([np.full(len(p), view) for view, _, p in lines]),
                np.concatenate([np.full(len(p), laser) for _, laser, p in lines]),
                np.concatenate([p for _, _, p in lines]),
            ),
            steps.lying, BOARD.thickness_mm,
        )  # fmt: skip

    def views(self, which: Corners) -> list[Corners]:
        """One for each picture."""
        return [
            Corners(np.zeros(int((which.view == v).sum()), np.int64), which.on_board_mm[which.view == v],
                    which.pixels[which.view == v]) for v in range(int(which.view.max()) + 1)
        ]  # fmt: skip

    def _seen(self, points: Floats) -> Floats:
        return self.rig.project(points) + self.noise_px * self.dice.normal(size=(len(points), 2))

    def _corners(self, places: list[boards.Placed]) -> Corners:
        pixels = [self._seen(self.corners_mm @ p.rotation.T + p.shift_mm) for p in places]
        view = np.repeat(np.arange(len(places)), len(self.corners_mm))
        return Corners(view, np.tile(self.corners_mm, (len(places), 1)), np.concatenate(pixels))

    def _line(self, place: boards.Placed, plane: Plane) -> Floats:
        """Along the board from edge to edge, as far as it is on it."""
        wide, high = BOARD.squares_x * BOARD.square_mm, BOARD.squares_y * BOARD.square_mm
        normal = place.rotation.T @ plane.normal
        offset = plane.offset_mm - plane.normal @ place.shift_mm
        down = np.arange(0, high, 5)
        across = (offset - normal[1] * down) / normal[0] if abs(normal[0]) > 0.05 else np.full(len(down), -1.0)
        on = (across > 0) & (across < wide)
        points = np.column_stack([across, down, np.zeros(len(down))])[on]
        return self._seen(points @ place.rotation.T + place.shift_mm)


def radial_error_mm(true: Rig, found: Rig, pick: Callable[[Floats], Floats] = np.max) -> float:
    """How far off the found rig puts points of a piece that the true one sees in the lasers' sheets."""
    worst = []
    for laser, plane in enumerate(true.lasers):
        out = np.cross(plane.normal, [0.0, 0.0, 1.0])
        out *= np.sign(out[0]) / np.linalg.norm(out)
        foot = plane.normal * plane.offset_mm
        points = np.array([foot + out * r + np.array([0, 0, z]) for r in (10, 30, 50) for z in (5, 50, 100)])
        points -= np.outer(plane.distance_mm(points), plane.normal)
        worst.append(np.linalg.norm(found.triangulate(true.project(points), laser) - points, axis=1))
    return float(pick(np.concatenate(worst)))
