"""Gray code: decoded against a made world, against OpenCV's own patterns, and on a real capture where it is there."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from golmok_vision.scan import DatasetError, OrderError, Picture
from golmok_vision.scan.graycode import (
    Pair,
    decode,
    flattest,
    frames_of,
    likely_step,
    spots,
    stripes_of,
    triangulate,
)

Floats = npt.NDArray[np.float64]
REAL = Path(__file__).parents[3] / "shared/data/scan/graycode"
CODE = (200, 150)
STEP = 2
SIZE = (320, 240)


def a_pair() -> Pair:
    rotation = np.asarray(cv2.Rodrigues(np.array([0.02, -0.25, 0.01]))[0], float)
    camera = np.array([[420.0, 0, 159], [0, 421, 118], [0, 0, 1]])
    projector = np.array([[560.0, 0, 205], [0, 562, 160], [0, 0, 1]])
    return Pair(camera, np.array([-0.08, 0.03, 0.001, 0, 0]), projector, np.array([0.02, 0, 0, 0, 0]), rotation,
                np.array([180.0, 4, 30]))  # fmt: skip


def a_world(pair: Pair) -> Floats:
    """For each camera pixel the projector's place that it sees on a slanted plane."""
    columns, rows = np.meshgrid(np.arange(SIZE[0], dtype=float), np.arange(SIZE[1], dtype=float))
    pixels = np.column_stack([columns.ravel(), rows.ravel()]).reshape(-1, 1, 2)
    rays = cv2.undistortPoints(pixels, pair.camera, pair.camera_distortion).reshape(-1, 2)
    toward = np.column_stack([rays, np.ones(len(rays))])
    normal = np.array([0.2, 0.1, 0.97])
    points = toward * (700 * 0.97 / (toward @ normal))[:, None]
    rotation = cv2.Rodrigues(pair.rotation)[0]
    places, _ = cv2.projectPoints(points, rotation, pair.translation, pair.projector, pair.projector_distortion)
    return np.asarray(places, float).reshape(-1, 2) / STEP


def patterns(places: Floats) -> list[Picture]:
    """What the camera sees, in OpenCV's order; a dark corner, and texture."""
    random = np.random.default_rng(0)
    paint = np.clip(random.normal(0.6, 0.15, SIZE[::-1]), 0.15, 1)
    paint[:40, :40] = 0.01
    number = np.rint(places).astype(int)
    inside = ((number >= 0) & (number < CODE)).all(1).reshape(SIZE[::-1])
    shown = []
    for axis, size in enumerate(CODE):
        gray = number[:, axis] ^ number[:, axis] >> 1
        for bit in reversed(range((size - 1).bit_length())):
            on = (gray >> bit & 1).reshape(SIZE[::-1]).astype(bool)
            shown += [on, ~on]
    shown += [np.ones(SIZE[::-1], bool), np.zeros(SIZE[::-1], bool)]
    noise = [random.normal(0, 1.2, SIZE[::-1]) for _ in shown]
    return [
        np.clip(8 + 180 * paint * (on & inside) + n, 0, 255).astype(np.uint8)
        for on, n in zip(shown, noise, strict=True)
    ]


def test_a_made_world_comes_back() -> None:
    pair = a_pair()
    places = a_world(pair)
    decoded = decode(patterns(places), *CODE)
    number = np.rint(places).astype(int).reshape(*SIZE[::-1], 2)
    assert (decoded.column[decoded.seen] == number[decoded.seen][:, 0]).all()
    assert (decoded.row[decoded.seen] == number[decoded.seen][:, 1]).all()
    assert decoded.seen.sum() > 0.97 * decoded.lit.sum()
    assert not decoded.seen[:38, :38].any()
    found = spots(decoded, CODE[0])
    assert likely_step(found, pair) == STEP
    cloud = triangulate(found, pair, STEP)
    assert len(cloud) > 0.9 * len(found.pixels)
    flat = flattest(cloud)
    assert flat is not None
    assert flat.share > 0.7  # the code steps by two pixels, a millimetre here
    truth = np.array([0.2, 0.1, 0.97]) / np.linalg.norm([0.2, 0.1, 0.97])
    assert abs(flat.normal @ truth) > 0.9999
    assert abs(flat.offset) == pytest.approx(700 * 0.97 / np.linalg.norm([0.2, 0.1, 0.97]), rel=1e-3)


def test_the_number_of_frames_says_how_coarse_the_code_was_drawn() -> None:
    assert frames_of(1024, 768) == 42
    assert stripes_of(1024, 768, 42) == (1024, 768)
    assert stripes_of(1920, 1080, 42) == (960, 540)
    with pytest.raises(OrderError, match="41 frames, a projector of 1024 x 768 needs 42"):
        stripes_of(1024, 768, 41)
    with pytest.raises(OrderError, match="65,536"):
        frames_of(0, 768)


def test_frames_that_do_not_belong_together_are_refused() -> None:
    frames = [np.zeros((10, 10), np.uint8)] * 10
    with pytest.raises(OrderError, match="10 frames"):
        decode(frames, 1024, 768)
    with pytest.raises(OrderError, match="same size"):
        decode([*frames[:9], np.zeros((9, 10), np.uint8)], 4, 4)


def test_darkness_decodes_to_nothing() -> None:
    decoded = decode([np.zeros((10, 10), np.uint8)] * 10, 4, 4)
    found = spots(decoded, 4)
    assert not decoded.seen.any()
    assert len(triangulate(found, a_pair(), 1)) == 0
    assert flattest(np.empty((0, 3))) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is not there"),
        ("no xml", "pair.xml"),
        ("<?xml version='1.0'?><opencv_storage></opencv_storage>", "cam_int"),
    ],
)
def test_a_calibration_that_is_none_is_told(text: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "pair.xml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(DatasetError, match=said):
        Pair.read(file)


@pytest.mark.skipif(not REAL.is_dir(), reason="no real capture beside this project")
def test_the_real_capture_meets_its_chessboard() -> None:
    """Where the board is, the camera alone says: from the corners of its squares of 75 mm."""
    files = sorted((REAL / "capture").glob("*.png"))
    frames = [np.asarray(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), np.uint8) for file in files]
    pair = Pair.read(REAL / "calibration_result.xml")
    decoded = decode(frames, 1024, 768)
    assert decoded.seen.sum() > 0.7 * decoded.lit.sum()
    found = spots(decoded, 1024)
    assert likely_step(found, pair) == 2
    points = triangulate(found, pair, 2)
    assert len(points) > 200_000
    flat = flattest(points)
    assert flat is not None
    assert flat.rms / flat.range < 1.2e-3
    seen, corners = cv2.findChessboardCornersSB(frames[-2], (9, 7))
    assert seen
    grid = np.zeros((63, 3))
    grid[:, :2] = np.mgrid[:9, :7].T.reshape(-1, 2) * 75
    _, turned, shift = cv2.solvePnP(grid, corners.astype(float), pair.camera, pair.camera_distortion)
    board = np.asarray(cv2.Rodrigues(turned)[0], float)[:, 2]
    assert abs(board @ flat.normal) > 0.999
    assert abs(board @ shift.ravel()) == pytest.approx(abs(flat.offset), rel=0.015)
