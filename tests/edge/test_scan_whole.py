"""A scan from pictures to points as a user does it: the truth deleted before, the calibration estimated.

Pictures are a third of the real size, so are the errors three times as large; `docs/benchmarks.md` has the real ones.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golmok_edge.scan import cli
from golmok_vision.render.simulate import Order, Simulation
from golmok_vision.scan import Dataset, Rig
from golmok_vision.scan.cloud import read_cloud
from golmok_vision.scan.dataset import Picture
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


def test_a_board_of_the_wrong_size_is_named_with_the_remedy(
    copy: Dataset, measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
    assert found["scale"] == {"from": "print", "doubt": 0.005}
    text = next(each["text"] for each in found["troubles"] if each["code"] == "size-unchecked")
    assert "rests on the print alone" in text
    assert "over all its 8 squares with a caliper" in text
    code, found = run(capsys, "calibrate", str(copy.folder), "--before", str(measured))
    assert (code, codes(found) - SMALL) == (0, {"size-unchecked", "size-changed"})  # but the calibration before can
    assert "+3.0" in found["troubles"][-1]["text"]


def test_a_board_or_plate_of_quite_another_size_is_named(copy: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    change(copy, "diameter_mm = 250.0", "diameter_mm = 200.0")
    code, found = run(capsys, "calibrate", str(copy.folder))
    assert (code, codes(found) - SMALL) == (1, {"board-size"})


def test_steps_are_measured_whatever_is_believed(copy: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    change(copy, "nominal_per_turn = 3200", "nominal_per_turn = 6400")
    code, found = run(capsys, "calibrate", str(copy.folder))
    assert (code, codes(found) - SMALL) == (0, {"steps"})
    assert found["table"]["steps_per_turn"] == pytest.approx(3200, rel=2e-4)


def test_bad_calibration_pictures_are_left_out_and_named(copy: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    copy.camera_file(3).write_bytes(b"\x89PNG\r\n\x1a\n")
    copy.write_picture(copy.camera_file(5), np.zeros((431, 574), np.uint8))
    copy.table_file(20, "l0").unlink()
    copy.write_picture(copy.table_file(0, "off"), np.full((200, 300), 90, np.uint8))
    picture = copy.read_picture(copy.table_file(25, "l1"))
    copy.write_picture(copy.table_file(25, "l1"), np.roll(picture, 15, axis=1))
    code, found = run(capsys, "calibrate", str(copy.folder))
    assert code == 0
    text = " ".join(trouble["text"] for trouble in found["troubles"])
    for name in ("camera/003.png", "camera/005.png", "020_l0.png", "000_off.png"):
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


def test_a_rig_with_one_laser_is_scanned_and_says_what_it_cannot_know(
    copy: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in [*copy.folder.glob("calib/table/*_l1.png"), *copy.folder.glob("frames/*_l1.png")]:
        file.unlink()
    # As if the board had been printed 3 % too small, and then was measured by caliper.
    change(copy, "square_mm = 20.0", f"square_mm = {20 / 0.97}")
    change(copy, "marker_mm = 15.0", f"marker_mm = {15 / 0.97}")
    change(copy, "diameter_mm = 250.0", "diameter_mm = 0")
    code, found = run(capsys, "calibrate", str(copy.folder), "--board-mm", "160")
    assert (code, codes(found) - SMALL) == (0, {"one-laser"})
    assert found["scale"] == {"from": "board", "doubt": 0.001}
    assert (len(found["lasers"]), found["lasers_disagree_mm"]) == (1, None)
    code, found = run(capsys, "reconstruct", str(copy.folder))
    assert (code, codes(found), found["lasers"]) == (0, {"one-laser-scan"}, 1)
    assert "one laser: its place could not be checked against another" in found["troubles"][0]["text"]
    off = off_mm(read_cloud(copy.cloud_file.read_bytes()), copy)
    assert float(np.sqrt(np.square(off).mean())) < 0.2
    code, found = run(capsys, "report", str(copy.folder))
    assert (code, found["uncertainty"]["lasers"], found["uncertainty"]["scale_from"]) == (0, 1, "board")
    assert found["uncertainty"]["place_mm"] > 0.15  # as much as two lasers may disagree
    page = (copy.folder / "report.html").read_text()
    assert "one laser: its place could not be checked against another" in page
    assert "레이저가 하나여서" in page


# --- what may be wrong with the pictures of the piece

Spoil = Callable[[Dataset], None]
ALL = range(20)


@pytest.fixture(scope="module")
def measured(scanned: tuple[Dataset, Rig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calibrated, each frame measured once: what a spoilt copy does not have to do again."""
    folder = tmp_path_factory.mktemp("measured") / "scan"
    shutil.copytree(scanned[0].folder, folder)
    assert cli.main(["calibrate", str(folder)]) == 0
    assert cli.main(["reconstruct", str(folder), "--points-only"]) == 0
    return folder


def spoilt(lights: Sequence[Any], frames: Iterable[int], how: Callable[[Picture], Picture]) -> Spoil:
    def spoil(dataset: Dataset) -> None:
        for file in (dataset.frame_file(frame, light) for frame in frames for light in lights):
            dataset.write_picture(file, how(dataset.read_picture(file)))

    return spoil


def gone(dataset: Dataset) -> None:
    dataset.frame_file(7, "l0").unlink()


def cut_off(dataset: Dataset) -> None:
    file = dataset.frame_file(7, "l0")
    dataset.write_bytes(file, file.read_bytes()[:5000])


def swapped(dataset: Dataset) -> None:
    for frame in ALL:
        one, other = dataset.frame_file(frame, "l0"), dataset.frame_file(frame, "l1")
        pictures = dataset.read_picture(one), dataset.read_picture(other)
        dataset.write_picture(one, pictures[1])
        dataset.write_picture(other, pictures[0])


def never_off(dataset: Dataset) -> None:
    for frame in ALL:
        dataset.write_bytes(dataset.frame_file(frame, "off"), dataset.frame_file(frame, "l0").read_bytes())


def emptied(dataset: Dataset) -> None:
    order = Order(seed=9, size_mm=60, steps=20, camera_pictures=14, scale=0.35, color=False, faults=("empty",))
    empty = Simulation(order, piece(), Dataset(dataset.folder / "empty"))
    for _ in empty.draw([stop for stop in empty.stops() if stop[0] == "frame"]):
        pass
    for file in (dataset.folder / "empty" / "frames").glob("*.png"):
        file.replace(dataset.folder / "frames" / file.name)


def no_text(dataset: Dataset) -> None:
    dataset.write_bytes(dataset.description_file, b"\xff\xfe\x00")


EVERY = ("off", "l0", "l1")
FAULTS: tuple[tuple[str, Spoil, int, str, str, str], ...] = (
    # what is wrong, exit code, code of the trouble, words of its text, words of its Korean text
    ("nothing", lambda dataset: None, 0, "uncompared", "more stops", "촘촘히"),
    ("a missing frame", gone, 0, "picture", "0007_l0.png is missing", "0007_l0.png"),
    ("a truncated one", cut_off, 0, "picture", "0007_l0.png is cut off", "0007_l0.png"),
    ("a black one", spoilt(["l0"], [7], np.zeros_like), 0, "picture-black", "cable", "케이블"),
    ("a saturated one", spoilt(["l0"], [7], lambda p: np.full_like(p, 255)), 0, "picture-white", "exposure", "노출"),
    ("a shifted one", spoilt(["l0"], [7], lambda p: np.roll(p, 14, 1)), 0, "picture-apart", "shifted", "밀렸거나"),
    ("a shifted dark one", spoilt(["off"], [7], lambda p: np.roll(p, 14, 1)), 0, "picture-apart", "left", "빼고"),
    ("a shifted stop", spoilt(EVERY, [7], lambda p: np.roll(p, 9, 1)), 0, "frame-aside", "left out", "빼고"),
    ("half a picture", spoilt(["l0"], [7], lambda p: np.r_[p[:200], 0 * p[200:]]), 0, "picture-apart", "left", "빼고"),
    ("a bumped camera", spoilt(EVERY, range(10, 20), lambda p: np.roll(p, 9, 1)), 1, "camera-moved", "fix the", "고정"),
    ("one bumped before", spoilt(EVERY, ALL, lambda p: np.roll(p, 9, 1)), 1, "all-moved", "calibrate", "보정"),
    ("an empty table", emptied, 1, "empty", "put the piece", "물건을"),
    ("a laser that stays on", never_off, 1, "laser-silent", "dark in all others", "꺼지는지"),
    ("lasers exchanged", swapped, 1, "lasers-swapped", "exchange the two", "서로 바꾸고"),
    ("three channels", spoilt(EVERY, ALL, lambda p: np.dstack([p, p, p])), 0, "uncompared", "more stops", "촘촘히"),
    ("no text", no_text, 1, "", "is no text", ""),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=[fault[0].replace(" ", "-") for fault in FAULTS])
def test_a_fault_is_named_with_the_remedy_and_no_wrong_model_passes(
    fault: tuple[str, Spoil, int, str, str, str], measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, spoil, wanted, code, words, words_ko = fault
    # Links will do: files are never changed, but written anew beside their places.
    dataset = Dataset(Path(shutil.copytree(measured, tmp_path / "scan", copy_function=os.link)))
    spoil(dataset)
    exit_code, found = run(capsys, "reconstruct", str(dataset.folder), "--points-only")
    assert exit_code == wanted
    if not code:
        assert words in found["error"]
        return
    (first, *_) = [each for each in found["troubles"] if each["code"] == code]
    assert words in first["text"]
    assert words_ko in first["text_ko"]
    assert first["weight"] == ("bad" if wanted else "note")
    assert codes(found) <= {code, "uncompared"}
    if wanted == 0:
        assert float((off_mm(read_cloud(dataset.cloud_file.read_bytes()), dataset) > 0.5).mean()) < 0.01
    elif dataset.cloud_file.exists():  # whoever measures it hears of it
        assert dataset.read_json(dataset.reconstruction_file)["verdict"] == "fail"


def test_points_that_make_no_model_are_told(measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = Dataset(Path(shutil.copytree(measured, tmp_path / "scan", copy_function=os.link)))
    steps = dataset.description.steps.frames
    change(dataset, f"frames = {json.dumps(list(steps))}", f"frames = {json.dumps(list(steps[:1]))}")
    code, found = run(capsys, "reconstruct", str(dataset.folder))
    assert code == 1
    assert codes(found) == {"few-points", "uncompared", "no-mesh"}
    assert not list(dataset.folder.glob("mesh.*"))
