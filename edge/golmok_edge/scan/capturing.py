"""A capture: turn, light, take, write, one stop after another, so that it can be killed anywhere and goes on.

Which pictures are there says what is left. What was ordered stands in `capture.json`: two orders never mix. After a
restart nobody knows how the plate stands, so it is brought home; then the last picture is taken once more and compared
with the one on disk: if the piece was touched meanwhile, going on would make one model of two poses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, TypeAlias

from golmok_edge.scan.checking import troubles as look
from golmok_edge.scan.eye import Eye
from golmok_edge.scan.hardware import Scanner
from golmok_edge.scan.plan import LIT, Light, Stop, What, stops
from golmok_edge.scan.settings import Scan
from golmok_edge.scan.words import trouble
from golmok_vision.scan import Dataset, DatasetError, Description, OrderError, ScanError, Steps
from golmok_vision.scan.sight import BoardFinder, cells_told, empty_cells
from golmok_vision.scan.view import moved

Progress: TypeAlias = Callable[[int, int], None]

_GREY_BYTES, _COLOR_BYTES = 0.6, 1.9  # of a PNG of ours, per pixel
_MOST_MOVED: Final = 0.004
_VIEWS_TRIED: Final = 3


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

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 10_000:
            raise OrderError("--steps must be from 1 to 10000")


class Capture:
    """One order on one scanner into one dataset."""

    def __init__(self, scanner: Scanner, settings: Scan, dataset: Dataset, order: Order) -> None:
        self._scanner = scanner
        self._settings = settings
        self._dataset = dataset
        self._order = order
        self._eye = Eye(scanner, settings)
        self._settle_s = settings.settle_ms / 1000
        self._all = stops(order.what, order.steps, settings.motor.per_turn, scanner.lights.lasers)

    def run(self, progress: Progress) -> dict[str, Any]:
        """Begin or go on until all is there; raises `ScanError` and what the hardware raises (`DriverError`)."""
        self._dataset.sweep()
        left = self._left()
        self._dataset.require_room(self._bytes(left))
        self._describe()
        before = len(self._all) - len(left)
        progress(before, len(self._all))
        found = self._taken(left, lambda done: progress(before + done, len(self._all))) if left else []
        if self._eye.late:
            found.append(trouble("late", "note", count=self._eye.late))
        return {
            "dataset": str(self._dataset.folder), "what": self._order.what, "stops": len(self._all),
            "taken": len(left), "kept": before, "late": self._eye.late, "verdict": "pass", "troubles": found,
        }  # fmt: skip

    def check(self) -> list[dict[str, Any]]:
        """Look before anything is captured: what is wrong with focus, exposure and lasers."""
        off, *lit = (self._eye.picture(light) for light in LIT[: 1 + self._scanner.lights.lasers])
        return look(off, lit, self._settings.laser_ms)

    # --- what is there

    def _files(self, stop: Stop) -> dict[Light, Path]:
        name = {"table": self._dataset.table_file, "frames": self._dataset.frame_file}
        if stop.what == "camera":
            return {"off": self._dataset.camera_file(stop.index)}
        return {light: name[stop.what](stop.index, light) for light in stop.lights}

    def _missing(self, stop: Stop) -> dict[Light, Path]:
        return {light: file for light, file in self._files(stop).items() if not file.exists()}

    def _left(self) -> list[Stop]:
        return [stop for stop in self._all if self._missing(stop)]

    def _bytes(self, left: Sequence[Stop]) -> int:
        wide, high = self._scanner.camera.size
        lights = [light for stop in left for light in self._missing(stop)]
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
        }
        record = self._dataset.folder / "capture.json"
        known = self._dataset.read_json(record) if record.exists() else {}
        mine = known.get(self._order.what)
        if mine is not None and mine != order:
            wrong = ", ".join(
                f"{key} was {mine.get(key)} and is {order[key]}" for key in order if mine.get(key) != order[key]
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
        self._dataset.write_json(record, {**known, self._order.what: order})

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

    # --- taking

    def _taken(self, left: Sequence[Stop], done: Callable[[int], None]) -> list[dict[str, Any]]:
        if self._order.what == "camera":
            return self._taken_in_hand(left, done)
        found: list[dict[str, Any]] = []
        placement: int | None = None
        for count, stop in enumerate(left, start=1):
            if stop.placement != placement:
                placement = stop.placement
                self._scanner.person.ask("piece" if stop.what == "frames" else f"table-{placement}", placement)
                found += self._at_home(stop)
            self._scanner.table.go(stop.step)
            self._scanner.clock.sleep(self._settle_s)
            for light, file in self._missing(stop).items():
                self._dataset.write_picture(file, self._eye.picture(light))
            done(count)
        return found

    def _at_home(self, stop: Stop) -> list[dict[str, Any]]:
        """Find step 0, and see whether all is as it should be or as it was."""
        of_one = [each for each in self._all if each.placement == stop.placement]
        taken = list(takewhile(lambda each: self._files(each)["off"].exists(), of_one))
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
        return self._checked() if stop.what == "frames" else []

    def _require_same(self, last: Stop) -> None:
        self._scanner.table.go(last.step)
        self._scanner.clock.sleep(self._settle_s)
        file = self._files(last)["off"]
        if moved(self._dataset.read_picture(file), self._eye.picture("off")) > _MOST_MOVED:
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
        seen = [finder.find(self._dataset.read_picture(self._files(stop)["off"])) for stop in kept]
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
            self._dataset.write_picture(self._files(stop)["off"], picture)
            done(count)
        return []
