"""From frames to points: right within a tenth of a millimetre, whatever befalls a frame, and however often stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from golmok_vision.scan import Dataset, DatasetError, Picture, ScanError
from golmok_vision.scan.cloud import read_cloud
from golmok_vision.scan.errors import ReconstructionError
from golmok_vision.scan.reconstruct import Points, reconstruct
from tests.vision.scan_scans import off_mm, scan


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return scan(tmp_path_factory.mktemp("scan") / "whole")


@pytest.fixture
def copy(scanned: Dataset, tmp_path: Path) -> Dataset:
    shutil.copytree(scanned.folder, tmp_path / "scan", ignore=shutil.ignore_patterns("points", "cloud.ply"))
    return Dataset(tmp_path / "scan")


def codes(points: Points) -> list[str]:
    return [trouble.code for trouble in points.troubles]


def test_points_lie_on_the_piece(copy: Dataset) -> None:
    points = reconstruct(copy)
    assert points.passed
    assert codes(points) == []
    assert len(points.cloud) > 3000
    off = off_mm(points.cloud, copy)
    assert float(np.sqrt(np.square(off).mean())) < 0.12  # a third of the resolution
    assert float((off > 0.5).mean()) < 0.006
    kept = read_cloud(copy.cloud_file.read_bytes())
    assert np.array_equal(kept.points, points.cloud.points)
    assert np.allclose(np.linalg.norm(kept.towards, axis=1), 1, atol=1e-5)


class Stopped(Exception):  # noqa: N818  # no error: the user's Ctrl-C
    """Thrown out of the progress."""


def test_a_stopped_reconstruction_goes_on_and_gives_the_same(copy: Dataset) -> None:
    def stop(done: int, total: int) -> None:
        if done >= 9:
            raise Stopped

    with pytest.raises(Stopped):
        reconstruct(copy, progress=stop)
    assert not copy.cloud_file.exists()
    made = {file.name: file.stat().st_mtime_ns for file in copy.points_folder.glob("*.npz")}
    assert len(made) >= 9
    (copy.points_folder / "0003.npz").write_bytes(b"cut off")
    reconstruct(copy)
    first = copy.cloud_file.read_bytes()
    again = {name: (copy.points_folder / name).stat().st_mtime_ns for name in made}
    assert sum(again[name] != made[name] for name in made) == 1
    shutil.rmtree(copy.points_folder)
    reconstruct(copy, threads=1)
    assert copy.cloud_file.read_bytes() == first


def _rolled(picture: Picture) -> Picture:
    return np.roll(picture, 25, axis=1)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda picture: np.zeros_like(picture), "picture-black"),
        (lambda picture: np.full_like(picture, 255), "picture-white"),
        (_rolled, "picture-apart"),
        (lambda picture: np.roll(picture, -4, axis=1), "frame-aside"),
        (lambda picture: picture[:50], "picture"),
    ],
)
def test_one_spoilt_picture_is_named_and_left_out(
    copy: Dataset, spoil: Callable[[Picture], Picture], code: str
) -> None:
    file = copy.frame_file(7, "l1")
    copy.write_picture(file, spoil(copy.read_picture(file)))
    points = reconstruct(copy)
    assert points.passed
    assert codes(points) == [code]
    assert "0007_l1.png" in points.troubles[0].text
    assert "0007_l1.png" in points.troubles[0].text_ko
    assert float((off_mm(points.cloud, copy) > 0.5).mean()) < 0.006


def test_a_missing_and_a_cut_off_picture_are_named(copy: Dataset) -> None:
    copy.frame_file(2, "off").unlink()
    whole = copy.frame_file(4, "l0").read_bytes()
    copy.frame_file(4, "l0").write_bytes(whole[: len(whole) // 2])
    points = reconstruct(copy)
    assert points.passed
    assert [trouble.text.count("frames/0002_off.png is missing") for trouble in points.troubles] == [1, 0]
    assert "frames/0004_l0.png is cut off" in points.troubles[1].text
    assert not (points.cloud.frame == 2).any()


def test_many_bad_pictures_are_no_scan(copy: Dataset) -> None:
    for frame in range(10):
        copy.frame_file(frame, "l0").unlink()
    points = reconstruct(copy)
    assert not points.passed
    assert "many-bad" in codes(points)


def test_a_knocked_camera_and_a_moved_laser_are_told(tmp_path: Path) -> None:
    for fault, code in (("bumped", "camera-moved"), ("laser-moved", "laser-moved")):
        points = reconstruct(scan(tmp_path / fault, fault, steps=16, scale=0.3))  # type: ignore[arg-type]  # a Fault
        assert not points.passed
        assert code in codes(points)


def test_an_empty_table_is_told(tmp_path: Path) -> None:
    empty = scan(tmp_path / "scan", "empty", steps=6, scale=0.3)
    with pytest.raises(ReconstructionError, match="nothing stands on the turntable"):
        reconstruct(empty)
    assert not empty.cloud_file.exists()


def test_half_a_turn_is_no_scan(copy: Dataset) -> None:
    rig = copy.calibration()
    half = replace(rig, turntable=replace(rig.turntable, steps_per_turn=6400.0))
    copy.write_json(copy.calibration_file, half.document())
    points = reconstruct(copy)
    assert not points.passed
    assert "part-turn" in codes(points)
    assert "6400" in next(trouble.text for trouble in points.troubles if trouble.code == "part-turn")


def test_a_failed_calibration_is_not_forgotten(copy: Dataset) -> None:
    rig = copy.calibration()
    copy.write_json(copy.calibration_file, replace(rig, quality={"passed": False}).document())
    assert not reconstruct(copy).passed


def test_without_calibration_it_says_what_to_run(copy: Dataset) -> None:
    copy.calibration_file.unlink()
    with pytest.raises(DatasetError, match=r"calibration\.json is missing"):
        reconstruct(copy)
    copy.calibration_file.write_text("{}")
    with pytest.raises(ScanError, match="format is missing"):
        reconstruct(copy)


def test_two_poses_become_one_cloud(copy: Dataset, tmp_path: Path) -> None:
    shutil.copytree(copy.folder, tmp_path / "other")
    points = reconstruct(copy, [Dataset(tmp_path / "other")])
    assert points.figures["poses"][0]["overlap"] > 0.95
    assert np.allclose(points.figures["poses"][0]["rotation"], np.eye(3), atol=1e-3)
    assert int(points.cloud.frame.max()) > 24


def test_colour_comes_from_the_colour_picture(copy: Dataset) -> None:
    lens = copy.calibration().lens
    red = np.full((lens.height, lens.width, 3), (10, 20, 200), np.uint8)
    for frame in range(24):
        copy.write_picture(copy.frame_file(frame, "color"), red)
    points = reconstruct(copy)
    assert (points.cloud.colour == (200, 20, 10)).all()
    assert cv2.imread(str(copy.frame_file(0, "color"))) is not None
