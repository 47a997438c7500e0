"""From the pictures of the piece to its points: what the first half of `golmok-scan reconstruct` does.

Each frame is measured on its own and put on the shelf; then all are judged together (was something moved, do the two
lasers agree), what is no point of the piece is left out, and `cloud.ply` is written. A frame whose picture is missing
or spoilt is left out and told. Nothing here reads `truth/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from golmok_vision.scan.clean import is_piece
from golmok_vision.scan.cloud import Cloud, write_cloud
from golmok_vision.scan.dataset import LASERS, Dataset, Picture
from golmok_vision.scan.errors import PictureDamagedError, PictureMissingError, ReconstructionError
from golmok_vision.scan.evidence import Progress
from golmok_vision.scan.points import FramePoints, Stop, Triangulator
from golmok_vision.scan.rig import Rig
from golmok_vision.scan.shelf import Record, Shelf
from golmok_vision.scan.trouble import Trouble, is_good
from golmok_vision.scan.watch import Watcher, judge

Floats: TypeAlias = npt.NDArray[np.float64]

DEFAULT_RADIUS_MM: Final = 110.0
"""What is further from the axis is no piece, where the plate's diameter is not known."""

AGREE_LIMIT_MM: Final = 0.15
PLATE_LIMIT_MM: Final = 0.6
_FEWEST_POINTS: Final = 500
_MOST_BAD: Final = 0.15
_WIDEST_GAP_DEG: Final = 20.0
_WHITE, _MOST_WHITE = 250, 0.25
_BLACK: Final = 4


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


def reconstruct(dataset: Dataset, progress: Progress = lambda done, total: None, threads: int = 2) -> Points:
    """Measure all frames (those that are not on the shelf yet), judge, and write `cloud.ply`.

    Raises `ReconstructionError` where there is nothing to write, `DatasetError` without `calibration.json`.
    """
    scan = Scan(dataset, dataset.calibration())
    for done in scan.measure(threads):
        progress(done, len(dataset.description.steps.frames))
    points = scan.points()
    dataset.write_bytes(dataset.cloud_file, write_cloud(points.cloud))
    return points


class Scan:
    """The frames of one dataset, by one rig."""

    def __init__(self, dataset: Dataset, rig: Rig) -> None:
        self._dataset = dataset
        self._rig = rig
        self._steps = dataset.description.steps.frames
        if not self._steps:
            raise ReconstructionError([Trouble("no-frames", "bad")])
        radius = dataset.description.plate.diameter_mm / 2 or DEFAULT_RADIUS_MM
        self._triangulator = Triangulator(rig, radius)
        self._watcher = Watcher(rig, radius)
        self._shelf = Shelf(dataset)

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
            nothing = FramePoints(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32),
                                  np.zeros((0, 3), np.uint8), np.zeros(0, np.uint8), (float("nan"),) * 2)  # fmt: skip
            return Record(nothing, (None,) * len(LASERS), tuple(troubles))
        lit = tuple(self._picture(frame, light, troubles) for light in LASERS)
        standing = tuple(None if p is None else self._watcher.look(p, off, i) for i, p in enumerate(lit))
        found = self._triangulator.measure(Stop(off, lit, self._colored(frame, troubles)), self._steps[frame])
        return Record(found, standing, tuple(troubles))

    def _picture(self, frame: int, light: Any, troubles: list[Trouble]) -> Picture | None:
        """One picture that can be used, or nothing and why."""
        file = self._dataset.frame_file(frame, light)
        lens = self._rig.lens
        try:
            picture = next(self._dataset.read_pictures([file], (lens.width, lens.height)))
        except (PictureMissingError, PictureDamagedError) as error:
            troubles.append(Trouble("picture", "note", {"error": str(error)}))
            return None
        some = picture[::4, ::4]
        name = {"file": str(file.relative_to(self._dataset.folder))}
        if int(some.max()) <= _BLACK:
            troubles.append(Trouble("picture-black", "note", name))
            return None
        if np.count_nonzero(some >= _WHITE) > _MOST_WHITE * some.size:
            troubles.append(Trouble("picture-white", "note", name))
            return None
        return picture

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
        everything = _joined(records, verdict.left_out)
        cloud = everything[is_piece(everything)]
        if len(cloud) < _FEWEST_POINTS // 10:
            raise ReconstructionError([*troubles, Trouble("empty", "bad")])
        total = len(LASERS) * len(records)
        if spoilt > _MOST_BAD * total:
            troubles.append(Trouble("many-bad", "bad", {"count": spoilt, "total": total}))
        if len(cloud) < _FEWEST_POINTS:
            troubles.append(Trouble("few-points", "bad", {"count": len(cloud)}))
        troubles += self._turn_troubles(records)
        troubles += self._plate_troubles(records)
        apart = lasers_apart_mm(cloud)
        if apart is not None and apart > AGREE_LIMIT_MM:
            troubles.append(Trouble("piece-disagrees", "bad", {"mm": apart, "limit": AGREE_LIMIT_MM}))
        figures = {
            "frames": len(records),
            "points": len(cloud),
            "left_out": len(everything) - len(cloud),
            "lasers_disagree_mm": None if apart is None else round(apart, 4),
        }
        return Points(cloud, tuple(troubles), figures)

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


def lasers_apart_mm(cloud: Cloud) -> float | None:
    """How far apart the two lasers measure the surface: the median distance from one's points to the other's planes."""
    one, other = (cloud.points[cloud.laser == laser].astype(float) for laser in (0, 1))
    if min(len(one), len(other)) < 200:
        return None
    some = one[:: max(1, len(one) // 4000)]
    away, near = cKDTree(other).query(some, k=8, distance_upper_bound=2.0)
    there = np.isfinite(away).all(1)
    if there.sum() < 50:
        return None
    patches = other[near[there]]
    middle = patches.mean(1)
    centred = patches - middle[:, None]
    values, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", centred, centred))
    off = np.abs(((some[there] - middle) * axes[:, :, 0]).sum(1))
    flat = values[:, 1] > 0.02 * values[:, 2]
    return float(np.median(off[flat])) if flat.sum() >= 50 else None


def _joined(records: Sequence[Record], left_out: npt.NDArray[np.bool_]) -> Cloud:
    kept = []
    for frame, record in enumerate(records):
        found = record.found
        good = ~left_out[frame][found.laser] if len(found.laser) else np.zeros(0, bool)
        kept.append((found.points[good], found.towards[good], found.colour[good], found.laser[good],
                     np.full(int(good.sum()), frame, np.uint16)))  # fmt: skip
    return Cloud(*(np.concatenate(column) for column in zip(*kept, strict=True)))
