"""A scan from pictures to points as a user does it: the truth deleted before, the calibration estimated.

Pictures are a third of the real size, so are the errors three times as large; `docs/benchmarks.md` has the real ones.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golmok_edge.scan import cli
from golmok_vision.render.simulate import Order, Simulation
from golmok_vision.scan import Dataset, Rig
from golmok_vision.scan.cloud import read_cloud
from tests.vision.scan_evidence import radial_error_mm
from tests.vision.scan_scans import off_mm, piece

SMALL = {"view-rejected"}
"""In pictures as small as these a lying board far away cannot be read."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Rig]:
    """Without its truth, and the true rig."""
    dataset = Dataset(tmp_path_factory.mktemp("whole") / "scan")
    order = Order(seed=9, size_mm=60, steps=20, camera_pictures=14, scale=0.35, color=False)
    simulation = Simulation(order, piece(), dataset)
    simulation.begin()
    for _ in simulation.draw(simulation.stops()):
        pass
    shutil.copy(dataset.truth / "object.stl", dataset.folder / "object.stl")
    shutil.rmtree(dataset.truth)
    return dataset, simulation.true.rig


@pytest.fixture
def copy(scanned: tuple[Dataset, Rig], tmp_path: Path) -> Dataset:
    shutil.copytree(scanned[0].folder, tmp_path / "scan")
    return Dataset(tmp_path / "scan")


def run(capsys: pytest.CaptureFixture[str], *command: str) -> tuple[int, dict[str, Any]]:
    code = cli.main([*command, "--json"])
    return code, json.loads(capsys.readouterr().out)


def codes(found: dict[str, Any]) -> set[str]:
    return {trouble["code"] for trouble in found["troubles"]}


def change(dataset: Dataset, old: str, new: str) -> None:
    text = dataset.description_file.read_text()
    assert old in text
    dataset.description_file.write_text(text.replace(old, new))


def test_calibrated_and_reconstructed_without_the_truth(
    scanned: tuple[Dataset, Rig], capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, true = scanned
    code, found = run(capsys, "calibrate", str(dataset.folder))
    assert (code, found["verdict"]) == (0, "pass")
    assert codes(found) <= SMALL
    assert found["table"]["steps_per_turn"] == pytest.approx(3200, rel=2e-4)
    assert found["plate"]["diameter_mm"] == pytest.approx(250, rel=3e-3)
    assert radial_error_mm(true, dataset.calibration(), np.mean) < 0.1
    code, found = run(capsys, "reconstruct", str(dataset.folder), "--points-only")
    assert (code, found["verdict"]) == (0, "pass")
    off = off_mm(read_cloud(dataset.cloud_file.read_bytes()), dataset)
    assert float(np.sqrt(np.square(off).mean())) < 0.15


def test_a_board_of_the_wrong_size_is_named_with_the_remedy(copy: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    # As if it had been printed 3 % too small.
    change(copy, "square_mm = 20.0", f"square_mm = {20 / 0.97}")
    change(copy, "marker_mm = 15.0", f"marker_mm = {15 / 0.97}")
    code, found = run(capsys, "calibrate", str(copy.folder))
    assert (code, found["verdict"]) == (1, "fail")
    (trouble,) = [each for each in found["troubles"] if each["weight"] == "bad"]
    assert trouble["code"] == "board-size"
    assert "100 %" in trouble["text"]
    assert "100 %" in trouble["text_ko"]
    change(copy, "diameter_mm = 250.0", "diameter_mm = 0")
    code, found = run(capsys, "calibrate", str(copy.folder))
    assert (code, codes(found) - SMALL) == (0, {"size-unchecked"})  # nothing in the pictures can tell


def test_steps_are_measured_whatever_is_believed(copy: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    change(copy, "nominal_per_turn = 3200", "nominal_per_turn = 6400")
    code, found = run(capsys, "calibrate", str(copy.folder))
    assert (code, codes(found) - SMALL) == (0, {"steps"})
    assert found["table"]["steps_per_turn"] == pytest.approx(3200, rel=2e-4)


def test_bad_calibration_pictures_are_left_out_and_named(copy: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    copy.camera_file(3).write_bytes(b"\x89PNG\r\n\x1a\n")
    copy.write_picture(copy.camera_file(5), np.zeros((431, 574), np.uint8))
    copy.table_file(20, "l0").unlink()
    picture = copy.read_picture(copy.table_file(25, "l1"))
    copy.write_picture(copy.table_file(25, "l1"), np.roll(picture, 15, axis=1))
    code, found = run(capsys, "calibrate", str(copy.folder))
    assert code == 0
    text = " ".join(trouble["text"] for trouble in found["troubles"])
    for name in ("camera/003.png", "camera/005.png", "020_l0.png"):
        assert name in text
    assert found["lasers"][1]["rms_mm"] < 0.3


def test_another_board_is_told(copy: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    change(copy, "squares_x = 8", "squares_x = 11")
    code, found = run(capsys, "calibrate", str(copy.folder))
    assert code == 1
    assert "other-board" in codes(found)
    assert not copy.calibration_file.exists()


@pytest.mark.parametrize("lights", [("l1",), ("off", "l0", "l1")])
def test_missing_table_pictures_are_told(
    copy: Dataset, lights: tuple[Any, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for view in range(48):
        for light in lights:
            copy.table_file(view, light).unlink()
    code, found = run(capsys, "calibrate", str(copy.folder))
    assert code == 1
    assert codes(found) & {"laser-unseen", "few-turns"}
    assert "error" in found


def _killed(dataset: Dataset, stage: str, after_s: float) -> bool:
    """Whether it was killed before it was done."""
    command = [sys.executable, "-m", "golmok_edge.scan.cli", stage, str(dataset.folder)]
    more = ["--points-only"] if stage == "reconstruct" else []
    with subprocess.Popen([*command, *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        return process.wait() != 0


@pytest.mark.slow
def test_killed_at_ten_moments_it_goes_on_and_gives_the_same(
    scanned: tuple[Dataset, Rig], copy: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, _ = scanned
    took = {}
    for stage, more in (("calibrate", ()), ("reconstruct", ("--points-only",))):
        shutil.rmtree(dataset.points_folder, ignore_errors=True)
        began = time.monotonic()
        assert run(capsys, stage, str(dataset.folder), *more)[0] == 0
        took[stage] = time.monotonic() - began + 1.5
    dice = random.Random(4)
    for stage, times in (("calibrate", 4), ("reconstruct", 6)):
        for _ in range(times):
            _killed(copy, stage, dice.uniform(0.3, took[stage]))
        assert run(capsys, stage, str(copy.folder), *(["--points-only"] if stage == "reconstruct" else []))[0] == 0
    for file in ("calibration.json", "cloud.ply"):
        assert (copy.folder / file).read_bytes() == (dataset.folder / file).read_bytes()
    assert not list(copy.folder.rglob("*.part"))
