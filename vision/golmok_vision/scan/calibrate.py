"""From pictures of the board to a `Rig`, and a verdict in millimetres: what `golmok-scan calibrate` does.

First values (`guess`), then everything at once (`bundle`), twice: pictures and corners that do not fit the rest are
left out in between. Then the result is judged: how far corners and lines are off, whether the two lasers measure the
same board in the same place, how far points of a piece may be off by what the pictures leave open, and whether
something of known length (the plate) confirms the board's size, which no picture of the board alone can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan import plate
from golmok_vision.scan.bundle import Bundle, Evidence, Solution, State, thinned, without
from golmok_vision.scan.dataset import Dataset
from golmok_vision.scan.errors import CalibrationError
from golmok_vision.scan.evidence import Progress, Reader, Seen, gathered, one_view
from golmok_vision.scan.guess import GuessError, guess_lens, guess_pose, guess_state, line_points
from golmok_vision.scan.rig import Lens, Pose, Rig
from golmok_vision.scan.sight import BoardFinder, Sighting, cells_told, empty_cells
from golmok_vision.scan.trouble import Trouble, is_good, laser_name

Floats: TypeAlias = npt.NDArray[np.float64]

CORNER_LIMIT: Final = 0.6 / 1640
"""RMS of corners, of the picture's width."""

LINE_LIMIT_MM: Final = 0.25
AGREE_LIMIT_MM: Final = 0.10
SURE_LIMIT_MM: Final = 0.10
STEPS_LIMIT: Final = 2e-3
_UNSOLVED: Final = 3.0 / 1640
_VIEW_ODD: Final = 4.0
_OUTLIER: Final = 6.0
_LENS_VIEWS: Final = 30
_PROBES_MM: Final = (20.0, 45.0)
_ROUNDS, _ROUND, _JUDGING = 8, 3, 12
"""For the progress: rounds that the bundle usually needs, and what a round and judging cost, in pictures read."""


@dataclass(frozen=True)
class Calibration:
    """A rig, what is wrong with it, and the figures that say so (`rig.quality` holds them too)."""

    rig: Rig
    troubles: tuple[Trouble, ...]

    @property
    def passed(self) -> bool:
        """Whether it may be used."""
        return is_good(self.troubles)

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "verdict": "pass" if self.passed else "fail",
            **self.rig.quality,
            "troubles": [trouble.document() for trouble in self.troubles],
        }


def calibrate(
    dataset: Dataset,
    progress: Progress = lambda done, total: None,
    before: Rig | None = None,
    board_mm: float = 0.0,
) -> Calibration:
    """Calibrate, and write `calibration.json`; one that did not pass is written too, and says so.

    `before` is what was found of the same rig another time: a board of another size is noticed by it. `board_mm` is
    the board's length over all `squares_x` squares, by caliper; else `dataset.toml` may have it.

    Raises `CalibrationError` where there is no result at all.
    """
    cv2.setNumThreads(1)  # with more, sums come in another order each time, and so do the last digits
    said = dataset.description
    board = replace(said.board, length_mm=board_mm) if board_mm else said.board
    dataset = dataset.described(replace(said, board=board.by_length()))
    read = len(dataset.camera_pictures()) + len(dataset.description.steps.table)
    total = read + 2 * _ROUNDS * _ROUND + _JUDGING
    seen = Reader(dataset).read(lambda done, _: progress(done, total))
    dataset.calibration_file.unlink(missing_ok=True)  # what was found before is no result of these pictures
    result = Calibrator(dataset, seen, before, lambda done: progress(read + done, total)).run()
    dataset.write_json(dataset.calibration_file, result.rig.document())
    progress(total, total)
    return result


class Calibrator:
    """One calibration of one dataset, from what was seen on its pictures."""

    def __init__(
        self, dataset: Dataset, seen: Seen, before: Rig | None = None, done: Callable[[int], None] = lambda done: None
    ) -> None:
        self._dataset = dataset
        self._done = done
        self._before = before
        self._seen = seen
        self._board = dataset.description.board
        self._corners_mm = BoardFinder(self._board).corners_mm
        self._troubles = list(seen.troubles)

    def run(self) -> Calibration:
        """The rig and the verdict."""
        views = [index for index, sighting in self._seen.hand.items() if sighting.is_enough]
        self._require_board(views)
        try:
            lens = self._first_lens(views)
            evidence = gathered(self._seen, self._dataset, views)
            start = guess_state(evidence, lens, self._poses(lens, views), self._table_poses(lens))
        except GuessError as error:
            raise CalibrationError([*self._troubles, Trouble(error.code, "bad", error.args_of)]) from None
        evidence, start = self._without_odd(evidence, start, views)
        solution = self._solved(evidence, start)
        self._judge_camera(solution, views)
        self._judge_table(solution)
        quality = {**self._judged_lasers(solution, evidence), **self._judged_size(solution)}
        rig = solution.state.rig
        document = {
            "passed": is_good(self._troubles),
            "camera": {"views": len(views), "corner_rms_px": _rms(solution.hand_px),
                       "focal_px": round(rig.lens.fx_px, 3)},
            "table": {"views": sum(each.is_enough for each in self._seen.table),
                      "corner_rms_px": _rms(solution.table_px),
                      "steps_per_turn": round(rig.turntable.steps_per_turn, 4)},
            **quality,
            "troubles": [trouble.document() for trouble in self._troubles],
        }  # fmt: skip
        return Calibration(replace(rig, quality=document), tuple(self._troubles))

    # --- first values

    def _require_board(self, views: Sequence[int]) -> None:
        everything: list[Sighting] = [*self._seen.hand.values(), *self._seen.table]
        found = sum(each.is_enough for each in everything)
        if found < 4:
            markers = sum(each.markers for each in everything)
            code = "other-board" if markers > 4 * len(everything) else "few-views"
            raise CalibrationError([*self._troubles, Trouble(code, "bad")])

    def _first_lens(self, views: Sequence[int]) -> Lens:
        sightings = [self._seen.hand[i] for i in views]
        if len(sightings) < 8:
            sightings += [each for each in self._seen.table if each.is_enough]
        step = max(1, len(sightings) // _LENS_VIEWS)
        return guess_lens([one_view(each, self._corners_mm) for each in sightings[::step]], self._seen.size)

    def _poses(self, lens: Lens, views: Sequence[int]) -> list[Pose]:
        return [guess_pose(lens, one_view(self._seen.hand[i], self._corners_mm)) for i in views]

    def _table_poses(self, lens: Lens) -> list[Pose | None]:
        return [
            guess_pose(lens, one_view(each, self._corners_mm)) if each.is_enough else None for each in self._seen.table
        ]

    # --- the bundle

    def _without_odd(self, evidence: Evidence, start: State, views: list[int]) -> tuple[Evidence, State]:
        """Without pictures in the hand whose corners fit no pose."""
        bundle = self._bundle(evidence, start)
        solution = bundle.solve(start, self._rounds(0))
        off = np.linalg.norm(solution.hand_px, axis=1)
        each = np.array([_median(off[evidence.hand.view == k]) for k in range(len(views))])
        limit = _VIEW_ODD * max(float(np.median(each)) if len(each) else 0.0, 0.05)
        odd = np.flatnonzero(each > limit)
        for k in odd:
            self._troubles.append(
                Trouble("view-odd", "note", {"file": f"calib/camera/{views[k]:03d}.png", "px": float(each[k])})
            )
        evidence = replace(evidence, hand=without(evidence.hand, np.isin(evidence.hand.view, odd)))
        return thinned(evidence, replace(solution, hand_px=solution.hand_px[~np.isin(bundle.hand_views, odd)]),
                       _OUTLIER), solution.state  # fmt: skip

    def _bundle(self, evidence: Evidence, state: State) -> Bundle:
        return Bundle(evidence, self._seen.size, len(state.rig.lasers), len(state.hand), len(state.placed))

    def _rounds(self, solves: int) -> Callable[[int], None]:
        """Progress of the bundle after so many that are solved."""
        return lambda rounds: self._done(_ROUND * (solves * _ROUNDS + min(rounds, _ROUNDS)))

    def _solved(self, evidence: Evidence, start: State) -> Solution:
        solution = self._bundle(evidence, start).solve(start, self._rounds(1))
        self._done(2 * _ROUNDS * _ROUND)
        px = _rms(solution.table_px)
        if px > _UNSOLVED * self._seen.size[0]:
            raise CalibrationError([*self._troubles, Trouble("unsolved", "bad", {"px": px})])
        return solution

    # --- the verdict

    def _judge_camera(self, solution: Solution, views: Sequence[int]) -> None:
        sightings = [self._seen.hand[i] for i in views]
        empty = empty_cells([*sightings, *(each for each in self._seen.table if each.is_enough)], self._seen.size)
        if empty:
            names, names_ko = cells_told(empty)
            self._troubles.append(Trouble("coverage", "note", {"cells": names, "cells_ko": names_ko}))
        if len(views) < 8:
            self._troubles.append(Trouble("few-hand", "note", {"count": len(views)}))
        tilts = [np.degrees(np.arccos(min(1.0, abs(pose.rotation[2, 2])))) for pose in solution.state.hand]
        if tilts and float(np.percentile(tilts, 75)) < 10:
            self._troubles.append(Trouble("no-tilt", "bad"))
        limit = CORNER_LIMIT * self._seen.size[0]
        px = max(_rms(solution.hand_px), _rms(solution.table_px))
        if px > limit:
            self._troubles.append(Trouble("blurred", "bad", {"px": px, "limit": limit}))

    def _judge_table(self, solution: Solution) -> None:
        nominal = self._dataset.description.steps.nominal_per_turn
        measured = abs(solution.state.rig.turntable.steps_per_turn)
        if abs(measured / nominal - 1) > STEPS_LIMIT:
            self._troubles.append(Trouble("steps", "note", {"measured": measured, "nominal": nominal}))

    def _judged_lasers(self, solution: Solution, evidence: Evidence) -> dict[str, Any]:
        rig = solution.state.rig
        rough = [_rms(solution.lines_mm[evidence.lines.laser == i]) for i in range(len(rig.lasers))]
        for i, mm in enumerate(rough):
            if mm > LINE_LIMIT_MM:
                self._troubles.append(Trouble("line-rough", "bad", {**laser_name(i), "mm": mm, "limit": LINE_LIMIT_MM}))
        apart = self._apart_mm(solution, evidence)
        if apart is None:
            self._troubles.append(Trouble("one-laser", "note"))
        elif apart > AGREE_LIMIT_MM:
            self._troubles.append(Trouble("lasers-disagree", "bad", {"mm": apart, "limit": AGREE_LIMIT_MM}))
        unsure = self._unsure_mm(solution)
        if unsure > SURE_LIMIT_MM:
            self._troubles.append(Trouble("unsure", "bad", {"mm": unsure, "limit": SURE_LIMIT_MM}))
        return {
            "lasers": [{"rms_mm": mm} for mm in rough],
            "lasers_disagree_mm": None if apart is None else round(apart, 4),
            "uncertainty_mm": round(unsure, 4),
        }

    def _apart_mm(self, solution: Solution, evidence: Evidence) -> float | None:
        """How far apart the lasers measure the board, worst of the placements: by triangulated points' depths.

        Nothing where there is one.
        """
        if len(solution.state.rig.lasers) < 2:
            return None
        placements = np.array([view.placement for view in evidence.views])[evidence.lines.view]
        depth = self._depth_mm(solution, evidence)
        worst = 0.0
        for placement in np.unique(placements):
            means = [
                depth[(placements == placement) & (evidence.lines.laser == i)]
                for i in range(len(solution.state.rig.lasers))
            ]
            if min(len(each) for each in means) >= 30:
                worst = max(worst, abs(_median(means[0]) - _median(means[1])))
        return worst

    def _depth_mm(self, solution: Solution, evidence: Evidence) -> Floats:
        """How far in front of the board, square to it, each laser's points are measured."""
        rig, lines = solution.state.rig, evidence.lines
        on_board = line_points(rig, solution.state.placed, evidence)
        measured = np.zeros_like(on_board)
        for i in range(len(rig.lasers)):
            mine = lines.laser == i
            measured[mine] = rig.triangulate(lines.pixels[mine], i)
        return np.asarray(
            np.linalg.norm(measured - on_board, axis=1)
            * np.sign(((on_board - measured) * (on_board - rig.pose.centre_mm)).sum(1))
        )

    def _unsure_mm(self, solution: Solution) -> float:
        """One sigma of points of a piece in the middle, by the calibration alone: the mean over such points."""
        rig = solution.state.rig
        found = []
        for laser, plane in enumerate(rig.lasers):
            level = np.cross(plane.normal, [0.0, 0.0, 1.0])
            level /= np.linalg.norm(level)
            level *= np.sign(level @ [rig.pose.centre_mm[0], rig.pose.centre_mm[1], 0.0])
            foot = plane.normal * plane.offset_mm
            probes = np.array(
                [foot + level * out + np.array([0.0, 0.0, z]) for out in _PROBES_MM for z in (10.0, 80.0)]
            )
            found.append(solution.uncertainty_mm(probes, laser))
        return float(np.mean(found))

    def _judged_size(self, solution: Solution) -> dict[str, Any]:
        """Something of known length besides the board."""
        judged = plate.judge(self._dataset, solution.state.rig, self._before)
        self._troubles += judged.troubles
        return {"plate": judged.figures, "scale": {"from": judged.scale_from, "doubt": round(judged.scale_doubt, 6)}}


def _rms(off: Floats) -> float:
    if not off.size:
        return 0.0
    squares = np.square(off)
    return round(float(np.sqrt((squares.sum(1) if off.ndim == 2 else squares).mean())), 4)


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else 0.0
