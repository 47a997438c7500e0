"""A capture: turn, light, take, write, one stop after another, so that it can be killed anywhere and goes on.

Which pictures are there says what is left. What was ordered stands in `capture.json`: two orders never mix. After a
restart nobody knows how the plate stands, so it is brought home; then the last picture is taken once more and compared
with the one on disk: if the piece was touched meanwhile, going on would make one model of two poses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any, Final, TypeAlias

from golmok_edge.scan.checking import troubles
from golmok_edge.scan.eye import Eye
from golmok_edge.scan.hardware import Scanner
from golmok_edge.scan.plan import LIT, Light, Shown, Stop, What, sides, stops
from golmok_edge.scan.settings import Scan
from golmok_edge.scan.words import trouble
from golmok_vision.scan import Dataset, DatasetError, Description, OrderError, ScanError, Steps
from golmok_vision.scan.dataset import MOST_EXPOSURES
from golmok_vision.scan.exposures import Look, OnPiece, chosen, ladder, look
from golmok_vision.scan.points import DEFAULT_RADIUS_MM, Triangulator
from golmok_vision.scan.sight import BoardFinder, cells_told, empty_cells
from golmok_vision.scan.view import moved

Progress: TypeAlias = Callable[[int, int], None]

_GREY_BYTES, _COLOR_BYTES = 0.6, 1.9  # of a PNG of ours, per pixel
_MOST_MOVED: Final = 0.004
_VIEWS_TRIED: Final = 3
_OF_A_FRAME: Final = 0.9
"""So much of the time between two of its pictures a camera can expose one."""

_OF_THE_LONGEST: Final = ("line-dim", "no-line")
"""What the check may find by a shorter exposure: it is the longest that must show the line."""


class NotReadyError(ScanError):
    """What was found before the first picture would spoil the scan; `found` says what."""

    def __init__(self, found: Sequence[dict[str, Any]]) -> None:
        self.found = list(found)
        super().__init__("; ".join(each["text"] for each in found))


@dataclass(frozen=True)
class Order:
    """What is to be captured."""

    what: What = "frames"
    steps: int = 400
    force: bool = False
    """Begin although the check found something."""

    exposures_ms: tuple[float, ...] | None = None
    """Of the piece's laser pictures, the longest first; None: as the piece needs it."""

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 10_000:
            raise OrderError("--steps must be from 1 to 10000")
        given = self.exposures_ms
        if given is not None and not 1 <= len(given) <= MOST_EXPOSURES:
            raise OrderError(f"--exposures takes from 1 to {MOST_EXPOSURES} exposures")
        if given and not (given[0] <= 500 and given[-1] >= 0.05 and all(a > b for a, b in pairwise(given))):
            raise OrderError("--exposures must be from 0.05 to 500 ms, each shorter than the one before")


class Capture:
    """One order on one scanner into one dataset."""

    def __init__(self, scanner: Scanner, settings: Scan, dataset: Dataset, order: Order) -> None:
        self._scanner = scanner
        self._settings = settings
        self._dataset = dataset
        self._order = order
        self._eye = Eye(scanner, settings)
        self._settle_s = settings.settle_ms / 1000
        self._placed: int | None = None
        self._exposures_ms: tuple[float, ...] = (settings.laser_ms,)
        self._all = stops(order.what, order.steps, settings.motor.per_turn, scanner.lights.lasers)

    def run(self, progress: Progress, looking: Progress = lambda done, total: None) -> dict[str, Any]:
        """Begin or go on until all is there; raises `ScanError` and what the hardware raises (`DriverError`).

        `looking` is told how far the look around the piece is that comes before its first picture.
        """
        self._dataset.sweep()
        found = self._exposed(looking) if self._order.what == "frames" else []
        left = self._left()
        self._dataset.require_room(self._bytes(left))
        self._describe()
        before = len(self._all) - len(left)
        progress(before, len(self._all))
        found += self._taken(left, lambda done: progress(before + done, len(self._all))) if left else []
        if self._order.what == "frames" and self._is_bracketed:
            found.append(trouble("exposures", "note", ms=", ".join(f"{ms:g}" for ms in self._exposures_ms)))
        if self._eye.late:
            found.append(trouble("late", "note", count=self._eye.late))
        return {
            "dataset": str(self._dataset.folder), "what": self._order.what, "stops": len(self._all),
            "taken": len(left), "kept": before, "late": self._eye.late, "exposures_ms": list(self._exposures_ms),
            "verdict": "pass", "troubles": found,
        }  # fmt: skip

    def check(self) -> list[dict[str, Any]]:
        """Look before anything is captured: what is wrong with focus, exposure and lasers."""
        longest, shortest = self._exposures_ms[0], self._exposures_ms[-1]
        found = self._checked_by(shortest)
        if longest == shortest:
            return found
        dim = [each for each in self._checked_by(longest) if each["code"] in _OF_THE_LONGEST]
        return dim + [each for each in found if each["code"] not in _OF_THE_LONGEST]

    def _checked_by(self, ms: float) -> list[dict[str, Any]]:
        off, *lit = (self._eye.picture(light, ms) for light in self._lit)
        return troubles(off, lit, ms)

    @property
    def _lit(self) -> tuple[Light, ...]:
        return LIT[: 1 + self._scanner.lights.lasers]

    # --- what is there

    def _files(self, stop: Stop) -> dict[Shown, Path]:
        if stop.what == "camera":
            return {("off", 0): self._dataset.camera_file(stop.index)}
        if stop.what == "table":
            return {(light, 0): self._dataset.table_file(stop.index, light) for light in stop.lights}
        shown = stop.shown(len(self._exposures_ms))
        return {each: self._dataset.frame_file(stop.index, *each) for each in shown}

    def _missing(self, stop: Stop) -> dict[Shown, Path]:
        return {shown: file for shown, file in self._files(stop).items() if not file.exists()}

    def _left(self) -> list[Stop]:
        return [stop for stop in self._all if self._missing(stop)]

    def _bytes(self, left: Sequence[Stop]) -> int:
        wide, high = self._scanner.camera.size
        lights = [light for stop in left for light, _ in self._missing(stop)]
        each = sum(_COLOR_BYTES if light == "color" else _GREY_BYTES for light in lights)
        return round(wide * high * each) + (1 << 20 if lights else 0)

    def _describe(self) -> None:
        """Say in the dataset what it is, once; another order in the same folder is refused."""
        order = {
            "steps": self._order.steps if self._order.what == "frames" else len(self._all),
            "per_turn": self._settings.motor.per_turn,
            "size": list(self._scanner.camera.size),
            "lasers": self._scanner.lights.lasers,
            "exposures_ms": [self._settings.laser_ms, self._settings.color_ms, self._settings.board_ms],
            "gain": self._settings.gain,
            **({"brackets_ms": list(self._exposures_ms)} if self._is_bracketed else {}),
        }
        known = self._ordered()
        mine = known.get(self._order.what)
        if mine is not None and mine != order:
            wrong = ", ".join(
                f"{key} was {mine.get(key)} and is {order.get(key)}"
                for key in {**mine, **order}
                if mine.get(key) != order.get(key)
            )
            raise OrderError(
                f"{self._dataset.folder} was begun otherwise ({wrong}): go on as it was, or choose another folder"
            )
        if mine is None and len(self._left()) < len(self._all):
            raise DatasetError(f"{self._dataset.folder} holds pictures that no capture took: choose another folder")
        if mine == order:
            return
        self._dataset.describe(self._description())
        if self._scanner.truth is not None and self._order.what == "frames":
            self._scanner.truth(self._dataset, tuple(float(stop.step) for stop in self._all))
        self._dataset.write_json(self._record, {**known, self._order.what: order})

    @property
    def _record(self) -> Path:
        return self._dataset.folder / "capture.json"

    def _ordered(self) -> dict[str, Any]:
        """What was ordered of this dataset so far."""
        return self._dataset.read_json(self._record) if self._record.exists() else {}

    def _description(self) -> Description:
        there = self._dataset.description_file.exists()
        known = self._dataset.description if there else Description(self._scanner.board, plate=self._scanner.plate)
        places = tuple(float(stop.step) for stop in self._all)
        steps = replace(known.steps, nominal_per_turn=self._settings.motor.per_turn)
        if self._order.what == "frames":
            steps = replace(steps, frames=places)
        elif self._order.what == "table":
            steps = Steps(steps.nominal_per_turn, steps.frames, places, tuple(s.placement for s in self._all), (0,))
        return replace(known, steps=steps)

    # --- exposures

    @property
    def _is_bracketed(self) -> bool:
        """Whether the piece is not taken by the settings' exposure alone."""
        return self._exposures_ms != (self._settings.laser_ms,)

    def _exposed(self, looking: Progress) -> list[dict[str, Any]]:
        """Know by which exposures the piece is taken: as ordered, as begun, or as a look around it tells."""
        mine = self._ordered().get("frames")
        if self._order.exposures_ms is not None:
            self._exposures_ms = self._order.exposures_ms
        elif mine is not None:
            self._exposures_ms = tuple(mine.get("brackets_ms", mine["exposures_ms"][:1]))
        elif len(self._left()) == len(self._all):
            self._dataset.require_room(self._bytes(self._all))
            found = self._placed_at(self._all[0])
            self._exposures_ms = self._looked_around(looking)
            self._scanner.table.go(self._all[0].step)
            return found + self._checked()
        return []

    def _looked_around(self, looking: Progress) -> tuple[float, ...]:
        """Each side by all exposures of the ladder, until nothing is white any more."""
        usual_ms, is_piece = self._settings.laser_ms, self._piece()
        # A longer exposure always shows more of the dark wall: only where the piece is known can its worth be told.
        longest_ms = 0.0 if is_piece is None else _OF_A_FRAME * 1000 / self._settings.fps
        rungs = ladder(usual_ms, longest_ms)
        seen = [Look() for _ in rungs]
        around = sides(self._all)
        for count, stop in enumerate(around, start=1):
            self._scanner.table.go(stop.step)
            self._scanner.clock.sleep(self._settle_s)
            for rung, ms in enumerate(rungs):
                off, *lit = (self._eye.picture(light, ms) for light in self._lit)
                here = sum((look(picture, off, laser, is_piece) for laser, picture in enumerate(lit)), Look())
                seen[rung] += here
                if ms <= usual_ms and not here.is_white:
                    break
            looking(count, len(around))
        return chosen(rungs, seen, usual_ms)

    def _piece(self) -> OnPiece | None:
        """What tells the piece from plate and wall, where the rig is calibrated already."""
        if not self._dataset.calibration_file.exists():
            return None
        radius = self._scanner.plate.diameter_mm / 2 or DEFAULT_RADIUS_MM
        return Triangulator(self._dataset.calibration(), radius).is_piece

    # --- taking

    def _taken(self, left: Sequence[Stop], done: Callable[[int], None]) -> list[dict[str, Any]]:
        if self._order.what == "camera":
            return self._taken_in_hand(left, done)
        found: list[dict[str, Any]] = []
        for count, stop in enumerate(left, start=1):
            if stop.placement != self._placed:
                found += self._placed_at(stop)
                if stop.what == "frames" and len(left) == len(self._all):
                    found += self._checked()
            self._scanner.table.go(stop.step)
            self._scanner.clock.sleep(self._settle_s)
            for (light, nth), file in self._missing(stop).items():
                ms = None if light == "color" else self._exposures_ms[nth]
                self._dataset.write_picture(file, self._eye.picture(light, ms))
            done(count)
        return found

    def _placed_at(self, stop: Stop) -> list[dict[str, Any]]:
        self._placed = stop.placement
        self._scanner.person.ask("piece" if stop.what == "frames" else f"table-{stop.placement}", stop.placement)
        return self._at_home(stop)

    def _at_home(self, stop: Stop) -> list[dict[str, Any]]:
        """Find step 0, and see whether all is as it should be or as it was."""
        of_one = [each for each in self._all if each.placement == stop.placement]
        taken = list(takewhile(lambda each: self._files(each)["off", 0].exists(), of_one))
        table = self._scanner.table
        if table.has_home:
            table.home()
        elif taken:
            raise NotReadyError([trouble("no-home-switch", "bad")])
        elif table.position is None:
            table.call_zero()
        if taken:
            self._require_same(taken[-1])
        return []

    def _require_same(self, last: Stop) -> None:
        self._scanner.table.go(last.step)
        self._scanner.clock.sleep(self._settle_s)
        file = self._files(last)["off", 0]
        if moved(self._dataset.read_picture(file), self._eye.picture("off", self._exposures_ms[0])) > _MOST_MOVED:
            raise NotReadyError([trouble("touched", "bad", file=file.relative_to(self._dataset.folder))])

    def _checked(self) -> list[dict[str, Any]]:
        self._scanner.clock.sleep(self._settle_s)
        found = self.check()
        if found and not self._order.force:
            raise NotReadyError(found)
        return [{**each, "weight": "note"} for each in found]

    def _taken_in_hand(self, left: Sequence[Stop], done: Callable[[int], None]) -> list[dict[str, Any]]:
        finder = BoardFinder(self._scanner.board)
        kept = [stop for stop in self._all if stop not in left]
        seen = [finder.find(self._dataset.read_picture(self._files(stop)["off", 0])) for stop in kept]
        for count, stop in enumerate(left, start=1):
            key = "hand"
            for nth in range(_VIEWS_TRIED):
                cells, cells_ko = cells_told(empty_cells(seen, self._scanner.camera.size))
                self._scanner.person.ask(key, stop.index, cells=cells or "-", cells_ko=cells_ko or "-")
                picture = self._eye.picture("off", self._settings.board_ms)
                sighting = finder.find(picture)
                key = "again"
                if sighting.is_enough or nth == _VIEWS_TRIED - 1:
                    break
            seen.append(sighting)
            self._dataset.write_picture(self._files(stop)["off", 0], picture)
            done(count)
        return []
