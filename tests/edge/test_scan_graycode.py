"""`golmok-scan graycode` as a user types it, on a made capture, and on a real one where it is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from golmok_edge.scan import cli
from tests.vision.projector import World, slanted

REAL = Path(__file__).parents[3] / "shared/data/scan/graycode"
WIDTH, HEIGHT = World().projector


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames with names that are not in the alphabet's order, and the pair's calibration."""
    folder = tmp_path_factory.mktemp("capture")
    world = World(slanted)
    columns, rows = np.meshgrid(np.arange(320), np.arange(240))
    paint = np.full((240, 320), 0.9)
    board = (slice(60, 180), slice(80, 240))
    paint[board] = np.where((columns // 20 + rows // 20) % 2, 0.9, 0.2)[board]
    for number, frame in enumerate(world.frames(paint), 1):
        cv2.imwrite(str(folder / f"frame{number}.png"), frame)
    storage = cv2.FileStorage(str(folder / "pair.yml"), cv2.FILE_STORAGE_WRITE)
    pair = world.pair
    for name, value in (
        ("cam_int", pair.camera),
        ("cam_dist", pair.camera_distortion),
        ("proj_int", pair.projector),
        ("proj_dist", pair.projector_distortion),
        ("rotation", pair.rotation),
        ("translation", pair.translation.reshape(3, 1)),
    ):
        storage.write(name, value)
    storage.release()
    return folder


def run(
    capsys: pytest.CaptureFixture[str], frames: Path, calibration: Path, *more: str, exit_code: int = 0
) -> dict[str, Any]:
    size = () if "--width" in more else ("--width", str(WIDTH), "--height", str(HEIGHT))
    command = ["graycode", "--frames", str(frames), "--calibration", str(calibration), "--json", *size, *more]
    assert cli.main(command) == exit_code
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_the_board_of_a_capture_is_judged(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(capsys, capture, capture / "pair.yml")
    assert found["code"] == [WIDTH, HEIGHT]
    assert (found["step"], found["first_px"]) == (1, 0.0)
    assert found["decoded_share"] > 0.99
    assert found["points"] > 25_000
    assert found["plane"]["of"] == "board"
    assert found["planarity"] < 1.5e-3  # a pixel of this projector is 10 there
    assert abs(found["plane"]["offset"]) == pytest.approx(700 * 0.97 / np.linalg.norm([0.2, 0.1, 0.97]), abs=0.1)
    assert not found["calibration"]["mended"]
    assert cli.main(["graycode", "--frames", str(capture), "--width", str(WIDTH), "--height", str(HEIGHT),
                     "--calibration", str(capture / "pair.yml")]) == 0  # fmt: skip
    assert "the chessboard's points: 100% of them" in capsys.readouterr().out


def test_what_is_wrong_with_frames_is_told(capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = capture / "pair.yml"
    for file in capture.glob("*.png"):
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "frame10.png").replace(tmp_path / "frame7.png")
    (tmp_path / "frame10.png").symlink_to(capture / "frame7.png")
    assert "frames 7 and 8 are not a pattern" in run(capsys, tmp_path, pair, exit_code=2)["error"]
    (tmp_path / "frame7.png").unlink()
    assert f"{2 * 8 + 2 * 8 + 1} frames" in run(capsys, tmp_path, pair, exit_code=2)["error"]
    assert "not there" in run(capsys, capture, tmp_path / "pair.yml", exit_code=1)["error"]
    assert "nowhere" in run(capsys, tmp_path / "nowhere", pair, exit_code=1)["error"]


@pytest.mark.skipif(not REAL.is_dir(), reason="no real capture beside this project")
def test_the_real_capture_meets_its_chessboard(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the board is, the camera alone says: from the corners of its squares of 75 mm."""
    found = run(capsys, REAL / "capture", REAL / "calibration_result.xml", "--width", "1024", "--height", "768")
    assert found["step"] == 2
    assert found["decoded_share"] > 0.85
    assert found["points"] > 300_000
    assert found["plane"]["of"] == "board"
    assert found["plane"]["share"] > 0.999
    assert found["planarity"] < 2.5e-4
    assert found["calibration"]["mended"]
    assert found["calibration"]["aside_px"] < 0.1 * found["calibration"]["given_aside_px"]
    assert 4e-4 < found["planarity_as_given"] < 5e-4
    storage = cv2.FileStorage(str(REAL / "calibration_result.xml"), cv2.FILE_STORAGE_READ)
    camera, lens = (np.asarray(storage.getNode(name).mat()) for name in ("cam_int", "cam_dist"))
    white = cv2.imread(str(sorted((REAL / "capture").glob("*.png"))[-2]), cv2.IMREAD_GRAYSCALE)
    assert white is not None
    seen, corners = cv2.findChessboardCornersSB(white, (9, 7))
    assert seen
    grid = np.zeros((63, 3))
    grid[:, :2] = np.mgrid[:9, :7].T.reshape(-1, 2) * 75
    _, turned, shift = cv2.solvePnP(grid, corners.astype(float), camera, lens)
    board = np.asarray(cv2.Rodrigues(turned)[0], float)[:, 2]
    assert abs(board @ found["plane"]["normal"]) > np.cos(np.radians(1.5))
    assert abs(board @ shift.ravel()) == pytest.approx(abs(found["plane"]["offset"]), rel=0.02)
