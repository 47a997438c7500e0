"""What the calibration pictures say, before anything is made of it: the board's corners, the lines on the board.

Reads pictures, one at a time; knows nothing of lenses and poses. What cannot be used is told as a `Trouble` and left
out: one bad picture spoils no calibration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.bundle import Corners, Evidence, LinePoints, TableView
from golmok_vision.scan.dataset import LASERS, Board, Dataset, Picture
from golmok_vision.scan.errors import OrderError, PictureDamagedError, PictureMissingError
from golmok_vision.scan.line import find_points
from golmok_vision.scan.sight import BoardFinder, Sighting
from golmok_vision.scan.trouble import Trouble

Floats: TypeAlias = npt.NDArray[np.float64]
Progress: TypeAlias = Callable[[int, int], None]

_EVERY_ROW: Final = 4
"""Neighbours along a line know the same (its rows are smoothed over two): every fourth is taken."""

_BRIGHT: Final = 0.3
_OWN_MARGIN: Final = 0.15
"""Of a square: the paper's edge is kept away from."""

_MOST_STRAY: Final = 0.5


@dataclass
class Seen:
    """The board in the hand (picture numbers and sightings), on the table (one for each picture), and the lines."""

    size: tuple[int, int]
    lasers: int = len(LASERS)
    hand: dict[int, Sighting] = field(default_factory=dict)
    table: list[Sighting] = field(default_factory=list)
    lines: list[tuple[int, int, Floats]] = field(default_factory=list)
    """Table picture, laser, pixels (n, 2)."""

    troubles: list[Trouble] = field(default_factory=list)


class Reader:
    """Reads the calibration pictures of one dataset."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._board = dataset.description.board
        self._finder = BoardFinder(self._board)

    def read(self, progress: Progress) -> Seen:
        """All of it."""
        hand, views = self._dataset.camera_pictures(), len(self._dataset.description.steps.table)
        seen = Seen(self._size(hand, views), len(self._dataset.lasers))
        for nth, index in enumerate(hand):
            picture = self._picture(seen, self._dataset.camera_file(index))
            if picture is not None:
                self._in_hand(seen, index, picture)
            progress(nth + 1, len(hand) + views)
        for view in range(views):
            self._on_table(seen, view)
            progress(len(hand) + view + 1, len(hand) + views)
        return seen

    def _size(self, hand: Sequence[int], views: int) -> tuple[int, int]:
        """Width and height of the pictures: that of most of some."""
        files = [self._dataset.camera_file(i) for i in hand[:2]]
        files += [self._dataset.table_file(i, "off") for i in range(min(views, 3))]
        sizes = []
        for file in files:
            try:
                sizes.append(self._dataset.read_picture(file).shape[1::-1])
            except (PictureMissingError, PictureDamagedError):
                continue
        if not sizes:
            raise PictureMissingError("there are no calibration pictures in calib/camera and calib/table: capture them")
        return max(sizes, key=sizes.count)

    def _picture(self, seen: Seen, file: Path) -> Picture | None:
        """A picture of the right size, or nothing and a trouble."""
        try:
            return next(self._dataset.read_pictures([file], seen.size))
        except (PictureMissingError, PictureDamagedError) as error:
            seen.troubles.append(Trouble("picture", "note", {"error": str(error)}))
        return None

    def _in_hand(self, seen: Seen, index: int, picture: Picture) -> None:
        sighting = self._finder.find(picture)
        seen.hand[index] = sighting
        if not sighting.is_enough:
            seen.troubles.append(Trouble("view-rejected", "note", {"file": f"calib/camera/{index:03d}.png",
                                                                   "corners": len(sighting.ids)}))  # fmt: skip

    def _on_table(self, seen: Seen, view: int) -> None:
        off = self._picture(seen, self._dataset.table_file(view, "off"))
        sighting = Sighting(np.zeros(0, np.int64), np.zeros((0, 2))) if off is None else self._finder.find(off)
        seen.table.append(sighting)
        if off is None:
            return
        if not sighting.is_enough:
            seen.troubles.append(Trouble("view-rejected", "note", {"file": f"calib/table/{view:03d}_off.png",
                                                                   "corners": len(sighting.ids)}))  # fmt: skip
            return
        for laser, light in enumerate(LASERS[: seen.lasers]):
            picture = self._picture(seen, self._dataset.table_file(view, light))
            if picture is None:
                continue
            points = on_board(picture, off, sighting, self._board, self._finder.corners_mm)
            if points is not None:
                seen.lines.append((view, laser, points))


def on_board(picture: Picture, off: Picture, sighting: Sighting, board: Board, corners_mm: Floats) -> Floats | None:
    """Pixels (n, 2) of the line where it lies on the board's white paper; nothing where there is no line."""
    try:
        pixels, contrast = find_points(picture, off)
    except OrderError:
        return None
    if not len(pixels):
        return None
    flat, _ = cv2.findHomography(sighting.pixels, corners_mm[sighting.ids, :2], 0)
    if flat is None:
        return None
    there = cv2.perspectiveTransform(pixels.reshape(-1, 1, 2), flat).reshape(-1, 2) / board.square_mm
    inside = (there > _OWN_MARGIN).all(1) & (there < np.array([board.squares_x, board.squares_y]) - _OWN_MARGIN).all(1)
    pixels, contrast = pixels[inside], contrast[inside]
    if len(pixels) < 20:
        return None
    bright = contrast > _BRIGHT * float(np.percentile(contrast, 90))
    pixels = pixels[bright][::_EVERY_ROW]
    return pixels if len(pixels) >= 5 else None


def gathered(seen: Seen, dataset: Dataset, views: Sequence[int]) -> Evidence:
    """As the bundle wants it; `views` are the pictures in the hand that count, in order."""
    description = dataset.description
    corners_mm = BoardFinder(description.board).corners_mm
    steps = description.steps
    table_views = [TableView(step, placement) for step, placement in zip(steps.table, steps.placement, strict=True)]
    lines = seen.lines
    return Evidence(
        _corners([seen.hand[i] for i in views], corners_mm),
        _corners([each if each.is_enough else _nothing() for each in seen.table], corners_mm),
        table_views,
        LinePoints(
            np.concatenate([np.full(len(p), view) for view, _, p in lines]).astype(np.int64),
            np.concatenate([np.full(len(p), laser) for _, laser, p in lines]).astype(np.int64),
            np.concatenate([p for _, _, p in lines]),
        ) if lines else LinePoints(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2))),
        steps.lying,
        description.board.thickness_mm,
        seen.lasers,
    )  # fmt: skip


def one_view(sighting: Sighting, corners_mm: Floats) -> Corners:
    """A single picture's corners."""
    return _corners([sighting], corners_mm)


def _nothing() -> Sighting:
    return Sighting(np.zeros(0, np.int64), np.zeros((0, 2)))


def _corners(sightings: Sequence[Sighting], corners_mm: Floats) -> Corners:
    if not sightings:
        return Corners(np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((0, 2)))
    ids = np.concatenate([each.ids for each in sightings])
    return Corners(
        np.repeat(np.arange(len(sightings)), [len(each.ids) for each in sightings]),
        corners_mm[ids],
        np.concatenate([each.pixels for each in sightings]),
    )
