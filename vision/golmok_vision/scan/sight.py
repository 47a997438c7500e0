"""What is seen of the calibration board: which of its inner corners, and where in the picture.

A sighting knows nothing of cameras or poses; it is one picture's evidence. Corners are numbered as OpenCV numbers
them, row by row from the top left of the board as it is printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.dataset import Board, Picture

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

FEWEST_CORNERS: Final = 6
_LEAST_BREADTH_PX: Final = 1.5
_CELLS: Final = (3, 3)
_CELL_NAMES: Final = (
    "top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right",
)  # fmt: skip
_CELL_NAMES_KO: Final = (
    "왼쪽 위", "위", "오른쪽 위", "왼쪽", "가운데", "오른쪽", "왼쪽 아래", "아래", "오른쪽 아래",
)  # fmt: skip


@dataclass(frozen=True)
class Sighting:
    """Corners of the board in one picture: their numbers (n), and pixels (n, 2)."""

    ids: Ints
    pixels: Floats
    markers: int = 0
    """How many markers were read: with some of these and no corners the board is not the one that was described."""

    @property
    def is_enough(self) -> bool:
        """Whether a pose can be found from it: a row of corners and one beside it leave it open."""
        return len(self.ids) >= FEWEST_CORNERS and all(
            _breadth(np.delete(self.pixels, nth, axis=0)) > _LEAST_BREADTH_PX for nth in range(len(self.ids))
        )


def _breadth(pixels: Floats) -> float:
    """How far the corners lie beside the line that fits them best, RMS."""
    squares = np.linalg.eigvalsh(np.cov(pixels.T, bias=True))
    return float(np.sqrt(max(squares[0], 0.0)))


class BoardFinder:
    """Looks for one board."""

    def __init__(self, board: Board) -> None:
        self._opencv = board.opencv()
        parameters = cv2.aruco.DetectorParameters()
        parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_NONE
        self._detector = cv2.aruco.CharucoDetector(self._opencv)
        self._detector.setDetectorParameters(parameters)
        self.corners_mm: Floats = np.asarray(self._opencv.getChessboardCorners(), float)
        """Where the corners are on the board, (n, 3)."""

    def find(self, picture: Picture) -> Sighting:
        """The corners that are seen; none if none."""
        corners, ids, _, marker_ids = self._detector.detectBoard(_brightened(picture))
        markers = 0 if marker_ids is None else len(marker_ids)
        if ids is None or not len(ids):
            return Sighting(np.zeros(0, np.int64), np.zeros((0, 2)), markers)
        ids, corners = np.asarray(ids).ravel().astype(np.int64), np.asarray(corners, np.float32).reshape(-1, 2)
        pixels = _refined(picture, corners)
        kept = np.linalg.norm(pixels - corners, axis=1) < 3.0
        return Sighting(ids[kept], pixels[kept].astype(float), markers)


def _brightened(picture: Picture) -> Picture:
    """A board by the laser's exposure is dark; the thresholds of the detector are made for photographs."""
    top = float(np.percentile(picture[::4, ::4], 99.5))
    return picture if top > 120 else np.asarray(cv2.convertScaleAbs(picture, alpha=200 / max(top, 8.0)), np.uint8)


def _refined(picture: Picture, corners: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """To the sub-pixel, in a window that no other corner reaches into."""
    if len(corners) < 2:
        return corners
    apart = np.linalg.norm(corners[:, None] - corners[None], axis=2) + np.eye(len(corners)) * 1e6
    reach = max(2, min(ceil(picture.shape[1] / 250), int(0.35 * float(np.median(apart.min(1))))))
    until = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-3)
    found = cv2.cornerSubPix(picture, corners.reshape(-1, 1, 2).copy(), (reach, reach), (-1, -1), until)
    return np.asarray(found, np.float32).reshape(-1, 2)


def empty_cells(sightings: Sequence[Sighting], size: tuple[int, int]) -> list[int]:
    """Which of the 3 x 3 parts of the picture (row by row) no corner was ever seen in."""
    counts = np.zeros(_CELLS[0] * _CELLS[1], int)
    for each in sightings:
        cells = np.clip((each.pixels / size * _CELLS).astype(int), 0, 2)
        np.add.at(counts, cells[:, 1] * _CELLS[1] + cells[:, 0], 1)
    return [int(cell) for cell in np.flatnonzero(counts < 3)]


def cells_told(cells: Sequence[int]) -> tuple[str, str]:
    """Their names in English and Korean."""
    return ", ".join(_CELL_NAMES[cell] for cell in cells), ", ".join(_CELL_NAMES_KO[cell] for cell in cells)
