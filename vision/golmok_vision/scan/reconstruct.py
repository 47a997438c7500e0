"""From the pictures of the piece to its points: what the first half of `golmok-scan reconstruct` does.

Each frame is measured on its own and put on the shelf; then all are judged together (was something moved, do the two
lasers agree), what is no point of the piece is left out, and `cloud.ply` is written. A frame whose picture is missing
or spoilt is left out and told. Nothing here reads `truth/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.clean import is_piece
from golmok_vision.scan.cloud import Cloud, write_cloud
from golmok_vision.scan.dataset import LASERS, MOST_EXPOSURES, Dataset, Picture
from golmok_vision.scan.doubts import are_apart, are_swapped, disagreements_mm, doubts
from golmok_vision.scan.errors import PictureDamagedError, PictureMissingError, ReconstructionError
from golmok_vision.scan.evidence import Progress
from golmok_vision.scan.points import DEFAULT_RADIUS_MM, WHITE, FramePoints, Stop, Triangulator
from golmok_vision.scan.register import moved, register
from golmok_vision.scan.rig import Rig
from golmok_vision.scan.shelf import Record, Shelf
from golmok_vision.scan.trouble import Trouble, is_good
from golmok_vision.scan.turning import NO_GRAIN, grain, judge_turning
from golmok_vision.scan.watch import Standing, Watcher, judge

Floats: TypeAlias = npt.NDArray[np.float64]

PLATE_LIMIT_MM: Final = 0.6
OVERLAP_LIMIT: Final = 0.3
FIT_LIMIT_MM: Final = 0.2
_FEWEST_POINTS: Final = 500
_MOST_BAD: Final = 0.15
_WIDEST_GAP_DEG: Final = 20.0
_MOST_WHITE: Final = 0.25
_BLACK: Final = 4
_TRIED: Final = 6


@dataclass(frozen=True)
class Points:
    """The cloud, what is wrong with it, and figures about it."""

    cloud: Cloud
    troubles: tuple[Trouble, ...]
    figures: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether it may be trusted."""
        return is_good(self.troubles)


def reconstruct(
    dataset: Dataset, others: Sequence[Dataset] = (), progress: Progress = lambda done, total: None, threads: int = 2
) -> Points:
    """Measure all frames (those that are not on the shelf yet), judge, and write `cloud.ply`.

    `others` hold the same piece lying otherwise: their points are brought to the first's. One without calibration was
    taken with the first's. Raises `ReconstructionError` where there is nothing to write, `DatasetError` without
    `calibration.json`.
    """
    own = dataset.calibration()
    scans = [Scan(dataset, own)]
    scans += [Scan(each, each.calibration() if each.calibration_file.exists() else own) for each in others]
    total, before = sum(scan.frames for scan in scans), 0
    for scan in scans:
        for done in scan.measure(threads):
            progress(before + done, total)
        before += scan.frames
    for kind in ("ply", "stl", "glb", "obj"):  # what was made before is no result of these pictures
        dataset.mesh_file(kind).unlink(missing_ok=True)
    dataset.cloud_file.unlink(missing_ok=True)
    points = together([scan.points() for scan in scans], [scan.frames for scan in scans])
    dataset.write_bytes(dataset.cloud_file, write_cloud(points.cloud))
    return points


def together(poses: Sequence[Points], frames: Sequence[int]) -> Points:
    """The clouds of one piece that lay differently as one, in the first's frame."""
    first, *others = poses
    cloud, troubles, placed = first.cloud, list(first.troubles), []
    for nth, other in enumerate(others, start=1):
        troubles += other.troubles
        found = register(first.cloud, other.cloud)
        if found.overlap < OVERLAP_LIMIT or found.rms_mm > FIT_LIMIT_MM:
            troubles.append(Trouble("poses-apart", "bad", {"nth": nth + 1, "mm": found.rms_mm, "share": found.overlap}))
        elif not found.is_certain:
            troubles.append(Trouble("poses-unclear", "note", {"nth": nth + 1}))
        cloud = joined([cloud, moved(other.cloud, found.pose, sum(frames[:nth]))])
        placed.append({
            "rotation": found.pose.rotation.tolist(), "translation_mm": found.pose.translation_mm.tolist(),
            "rms_mm": round(found.rms_mm, 4), "overlap": round(found.overlap, 4), "is_certain": found.is_certain,
        })  # fmt: skip
    figures = {
        **first.figures,
        **{name: sum(each.figures[name] for each in poses) for name in ("frames", "points", "left_out")},
        "poses": placed,
    }
    return Points(cloud, tuple(troubles), figures)


class Scan:
    """The frames of one dataset, by one rig."""

    def __init__(self, dataset: Dataset, rig: Rig) -> None:
        self._dataset = dataset
        self._rig = rig
        self._steps = dataset.description.steps.frames
        self._lights = LASERS[: len(rig.lasers)]
        if not self._steps:
            raise ReconstructionError([Trouble("no-frames", "bad")])
        radius = dataset.description.plate.diameter_mm / 2 or DEFAULT_RADIUS_MM
        self._triangulator = Triangulator(rig, radius)
        self._watcher = Watcher(rig, radius)
        self._shelf = Shelf(dataset, rig)

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self._steps)

    # --- frame by frame

    def measure(self, threads: int) -> Iterator[int]:
        """Put every frame on the shelf; counts them."""
        cv2.setNumThreads(1)
        self._dataset.sweep()
        with ThreadPoolExecutor(max(1, threads)) as pool:
            for done, _ in enumerate(pool.map(self._frame, range(len(self._steps))), start=1):
                yield done

    def _frame(self, frame: int) -> None:
        if self._shelf.get(frame) is None:
            self._shelf.put(frame, self._measured(frame))

    def _measured(self, frame: int) -> Record:
        troubles: list[Trouble] = []
        off = self._picture(frame, "off", troubles)
        if off is None:
            lasers = len(self._lights)
            none = np.zeros((0, 3), np.float32)
            nothing = FramePoints(
                none, none, none.astype(np.uint8), np.zeros(0, np.uint8), (float("nan"),) * lasers
            )  # fmt: skip
            return Record(nothing, (None,) * lasers, tuple(troubles), NO_GRAIN)
        lit = tuple(self._lit(frame, light, off, troubles) for light in self._lights)
        standing = tuple(None if p is None else self._watcher.look(p, off, i) for i, p in enumerate(lit))
        stop = Stop(off, lit, self._colored(frame, troubles), tuple(self._shorter(frame, troubles)))
        found = self._triangulator.measure(stop, self._steps[frame])
        angle = self._rig.turntable.angle_deg(self._steps[frame])
        return Record(found, standing, tuple(troubles), grain(found, lit, off, self._rig, angle))

    def _shorter(self, frame: int, troubles: list[Trouble]) -> Iterator[Stop]:
        """Shorter exposures of the same, if there are any."""
        for nth in range(1, MOST_EXPOSURES):
            if not self._dataset.frame_file(frame, "off", nth).exists():
                return
            off = self._picture(frame, "off", troubles, nth)
            if off is not None:
                yield Stop(off, tuple(self._picture(frame, light, troubles, nth) for light in self._lights), None)

    def _lit(self, frame: int, light: Any, off: Picture, troubles: list[Trouble]) -> Picture | None:
        """A picture with a laser, unless it does not go with the one without."""
        lit = self._picture(frame, light, troubles)
        if lit is None or not are_apart(lit, off):
            return lit
        names = {
            "file": self._dataset.frame_file(frame, light).name,
            "off": self._dataset.frame_file(frame, "off").name,
        }
        troubles.append(Trouble("picture-apart", "note", names))
        return None

    def _picture(self, frame: int, light: Any, troubles: list[Trouble], shorter: int = 0) -> Picture | None:
        """One picture that can be used, or nothing and why."""
        file = self._dataset.frame_file(frame, light, shorter)
        lens = self._rig.lens
        try:
            picture = next(self._dataset.read_pictures([file], (lens.width, lens.height)))
        except (PictureMissingError, PictureDamagedError) as error:
            troubles.append(Trouble("picture", "note", {"error": str(error)}))
            return None
        some = picture[::4, ::4]
        name = {"file": self._told(file)}
        if int(some.max()) <= _BLACK:
            troubles.append(Trouble("picture-black", "note", name))
            return None
        if np.count_nonzero(some >= WHITE) > _MOST_WHITE * some.size:
            troubles.append(Trouble("picture-white", "note", name))
            return None
        return picture

    def _told(self, file: Path) -> str:
        return str(file.relative_to(self._dataset.folder))

    def _colored(self, frame: int, troubles: list[Trouble]) -> Picture | None:
        file = self._dataset.frame_file(frame, "color")
        if not file.exists():
            return None
        try:
            picture = self._dataset.read_picture(file, color=True)
        except PictureDamagedError as error:
            troubles.append(Trouble("picture", "note", {"error": str(error)}))
            return None
        return picture if picture.shape[1::-1] == (self._rig.lens.width, self._rig.lens.height) else None

    # --- all together

    def points(self) -> Points:
        """The cloud of all that is on the shelf, and the verdict."""
        records = [self._shelf.get(frame) or self._measured(frame) for frame in range(len(self._steps))]
        troubles = [trouble for record in records for trouble in record.troubles]
        spoilt = len(troubles)
        if not self._rig.quality.get("passed", True):
            troubles.append(Trouble("calibration-failed", "bad"))
        verdict = judge([record.standing for record in records], self._rig.lens.width)
        troubles += verdict.troubles
        if self._is_swapped([each for record in records for each in record.standing]):
            troubles.append(Trouble("lasers-swapped", "bad"))
        everything = joined([_kept(record, k, verdict.left_out[k]) for k, record in enumerate(records)])
        cloud = everything[is_piece(everything)]
        total = len(self._lights) * len(records)
        if spoilt > _MOST_BAD * total:
            troubles.append(Trouble("many-bad", "bad", {"count": spoilt, "total": total}))
        if len(cloud) < _FEWEST_POINTS // 10:
            # With the pictures gone or all moved the table need not be empty.
            raise ReconstructionError(troubles if not is_good(troubles) else [*troubles, Trouble("empty", "bad")])
        if len(cloud) < _FEWEST_POINTS:
            troubles.append(Trouble("few-points", "bad", {"count": len(cloud)}))
        troubles += self._turn_troubles(records)
        troubles += self._plate_troubles(records)
        off = disagreements_mm(cloud)
        angles = [self._rig.turntable.angle_deg(step) for step in self._steps]
        troubles += judge_turning([record.grain for record in records], angles, cloud)
        troubles += doubts(cloud, off, len(self._lights))
        if len(self._lights) < len(LASERS) and self._dataset.frame_file(0, LASERS[1]).exists():
            troubles.append(Trouble("laser-uncalibrated", "note"))
        figures = {
            "lasers": len(self._lights),
            "frames": len(records),
            "points": len(cloud),
            "left_out": len(everything) - len(cloud),
            "lasers_disagree_mm": None if off is None else round(float(np.median(off)), 4),
        }
        return Points(cloud, tuple(troubles), figures)

    def _is_swapped(self, standing: Sequence[Standing | None]) -> bool:
        """Whether l0 is laser 1 and the other way round; looked for only where no line stands in its own place."""
        if len(self._lights) < 2 or sum(each is not None and each.is_seen for each in standing) > len(standing) // 5:
            return False
        found = []
        for frame in range(0, len(self._steps), max(1, len(self._steps) // _TRIED)):
            off, *lit = (self._picture(frame, light, []) for light in ("off", *self._lights))
            found += [
                self._watcher.look(picture, off, 1 - laser)
                for laser, picture in enumerate(lit)
                if off is not None and picture is not None
            ]
        return are_swapped(standing, found)

    def _turn_troubles(self, records: Sequence[Record]) -> list[Trouble]:
        """Whether the frames went around."""
        good = [k for k, record in enumerate(records) if len(record.found.points)]
        angles = np.sort([self._rig.turntable.angle_deg(self._steps[k]) % 360 for k in good])
        if len(angles) < 2:
            return []
        gaps = np.diff(np.append(angles, angles[0] + 360))
        widest, usual = float(gaps.max()), float(np.median(gaps))
        if widest < max(_WIDEST_GAP_DEG, 3 * usual):
            return []
        return [Trouble("part-turn", "bad", {"degrees": widest, "measured": abs(self._rig.turntable.steps_per_turn)})]

    def _plate_troubles(self, records: Sequence[Record]) -> list[Trouble]:
        heights = np.array([record.found.plate_mm for record in records], float)
        if np.isfinite(heights).sum() < 5:
            return []
        height = float(np.nanmedian(heights))
        return [Trouble("plate-height", "bad", {"mm": height})] if abs(height) > PLATE_LIMIT_MM else []


def joined(clouds: Sequence[Cloud]) -> Cloud:
    """One cloud of several, in order."""
    return Cloud(
        np.concatenate([each.points for each in clouds]),
        np.concatenate([each.towards for each in clouds]),
        np.concatenate([each.colour for each in clouds]),
        np.concatenate([each.laser for each in clouds]),
        np.concatenate([each.frame for each in clouds]),
    )


def _kept(record: Record, frame: int, left_out: npt.NDArray[np.bool_]) -> Cloud:
    """A frame's points, without those of lasers that are left out."""
    found = record.found
    cloud = Cloud(
        found.points, found.towards, found.colour, found.laser, np.full(len(found.points), frame, np.uint16)
    )  # fmt: skip
    return cloud[~left_out[found.laser]]
