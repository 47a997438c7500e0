"""`golmok-scan capture` on the twins: what it takes, how it goes on, what it says when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from golmok_drivers.scanner.world import FAULTS
from golmok_edge.scan import capture, cli
from golmok_edge.scan.hardware import STAGE_FAULTS
from golmok_edge.scan.plan import Pace, stops
from golmok_edge.settings import examine
from golmok_vision.render.scanner import TrueRig
from golmok_vision.scan import Dataset
from golmok_vision.scan.view import moved

SMALL = ("--scale", "0.25", "--size", "60")


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("mesh") / "piece.stl"
    trimesh.creation.annulus(10, 20, 50).export(file)
    return file


def words(dataset: Path, mesh: Path, *more: str, steps: int = 4) -> list[str]:
    return ["capture", str(dataset), "--twins", "--mesh", str(mesh), "--steps", str(steps), *SMALL, "--json", *more]


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def pictures(dataset: Path) -> dict[str, int]:
    return {str(file.relative_to(dataset)): file.stat().st_mtime_ns for file in dataset.rglob("*.png")}


def test_what_it_takes_is_a_dataset_and_is_taken_once(
    mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words(tmp_path, mesh)) == 0
    assert said(capsys)["taken"] == 4
    dataset = Dataset(tmp_path)
    assert dataset.description.steps.frames == (0, 800, 1600, 2400)
    assert dataset.read_picture(dataset.frame_file(3, "color"), color=True).ndim == 3
    off, l0, l1 = (dataset.read_picture(dataset.frame_file(2, light)).astype(int) for light in ("off", "l0", "l1"))
    assert (l0 - off).max() > 30 < (l1 - off).max()
    assert abs(l0 - l1).max() > 30
    before = pictures(tmp_path)
    assert len(before) == 16
    assert cli.main(words(tmp_path, mesh)) == 0
    assert said(capsys)["taken"] == 0
    assert pictures(tmp_path) == before


def test_a_piece_turns_from_stop_to_stop(mesh: Path, tmp_path: Path) -> None:
    long = tmp_path / "bar.stl"
    trimesh.creation.box((40, 8, 20)).export(long)
    assert cli.main(words(tmp_path / "scan", long, "--force", steps=8)) == 0
    scan = Dataset(tmp_path / "scan")
    off = [scan.read_picture(scan.frame_file(i, "off")) for i in range(8)]
    assert moved(off[0], off[4]) < 0.01 < moved(off[0], off[2])  # half a turn looks the same, a quarter does not


@pytest.mark.parametrize(
    ("fault", "code", "remedy"),
    [
        ("blur", 1, "focus"),
        ("laser-dead", 1, "laser 1 (l1) is not seen"),
        ("home-dead", 1, "GPIO26"),
        ("motor-dead", 1, "supply"),
        ("unplugged", 1, "cable"),
        ("late", 0, "end what else"),
        ("lost", 0, ""),
    ],
)
def test_what_is_wrong_is_named_with_the_remedy(
    mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, code: int, remedy: str
) -> None:
    assert cli.main(words(tmp_path, mesh, "--fault", fault, steps=12)) == code
    out = capsys.readouterr()
    assert remedy in out.out
    assert "Traceback" not in out.err
    assert len(pictures(tmp_path)) == (48 if code == 0 else len(pictures(tmp_path)))


def test_the_check_alone_takes_nothing(mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words(tmp_path / "a", mesh, "--check")) == 0
    assert cli.main(words(tmp_path / "b", mesh, "--check", "--fault", "blur")) == 1
    assert not pictures(tmp_path)
    troubles = json.loads(capsys.readouterr().out.splitlines()[-1])["troubles"]
    assert {each["code"] for each in troubles} == {"line-wide"}
    assert all("초점" in each["text_ko"] for each in troubles)


def test_settings_say_which_scanner(mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(f'[site]\ngateway = "gw-1"\n[scan]\ncamera = "sim+camera://{mesh}"\nlaser_ms = 45\n')
    order = ["capture", str(tmp_path / "scan"), "--config", str(file), "--scale", "0.5", "--check", "--json"]
    assert cli.main(order) == 1
    burnt = said(capsys)["troubles"]
    assert isinstance(burnt, list)
    assert {each["code"] for each in burnt} == {"line-burnt"}
    assert "laser_ms to 15" in burnt[0]["text"]
    file.write_text('[site]\ngateway = "gw-1"\n')
    assert cli.main(order) == 2
    assert "no section [scan]" in str(said(capsys)["error"])
    assert cli.main(["capture", str(tmp_path / "scan")]) == 2


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('camera = "webcam"', "camera"),
        ("laser_pins = [20, 27]", "laser_pins"),
        ('certificate = "a.pem"', "key"),
        ("motor = { start_hz = 900, top_hz = 100 }", "top_hz"),
    ],
)
def test_mistakes_in_the_settings_are_found(tmp_path: Path, line: str, key: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(f'[site]\ngateway = "gw-1"\n[scan]\n{line}\n')
    _, found = examine(file)
    assert len(found) == 1
    assert key in str(found[0])


def test_two_orders_do_not_mix(mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words(tmp_path, mesh)) == 0
    assert cli.main(words(tmp_path, mesh, steps=5)) == 2
    assert "steps was 4 and is 5" in capsys.readouterr().err


def test_it_does_not_begin_what_the_disk_cannot_hold(
    mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words(tmp_path, mesh, "--scale", "2", steps=10_000)) == 1
    assert "MB are needed" in str(said(capsys)["error"])
    assert not pictures(tmp_path)


def partly(dataset: Path, keep: int) -> None:
    """As after a kill: the last stop has one picture, and a file was being written."""
    for file in (dataset / "frames").glob("*.png"):
        number = int(file.name[:4])
        if number > keep or (number == keep and "off" not in file.name):
            file.unlink()
    (dataset / "frames" / f".{keep:04d}_l0.png.99.part").write_bytes(b"half")


def test_it_goes_on_where_it_was(mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words(tmp_path, mesh)) == 0
    whole = {name: Dataset(tmp_path).read_picture(tmp_path / name) for name in pictures(tmp_path)}
    partly(tmp_path, 2)
    kept = pictures(tmp_path)
    capsys.readouterr()
    assert cli.main(words(tmp_path, mesh)) == 0
    assert said(capsys)["taken"] == 2
    after = pictures(tmp_path)
    assert {name: after[name] for name in kept} == kept
    assert not list(tmp_path.rglob("*.part"))
    for name, picture in whole.items():  # the plate was brought home: the same step is the same place
        now = Dataset(tmp_path).read_picture(tmp_path / name)
        assert float(np.abs(picture.astype(float) - now).mean()) < 2.0, name
        assert moved(picture, now) < 0.01, name


def test_dark_and_white_on_one_piece_take_two_exposures_and_it_goes_on_with_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    piece = trimesh.creation.cylinder(radius=20, height=50, sections=64)
    stripes = np.where(np.sin(3 * np.arctan2(*piece.vertices.T[:2])) > 0, 225, 25)
    piece.visual = trimesh.visual.ColorVisuals(
        piece, vertex_colors=np.stack([stripes] * 3 + [stripes * 0 + 255], axis=1)
    )
    piece.export(tmp_path / "piece.ply")
    rig = Dataset(tmp_path / "rig")
    rig.write_json(rig.calibration_file, TrueRig.standard(1, 0.25).rig.document())
    scan = Dataset(tmp_path / "scan")
    order = words(scan.folder, tmp_path / "piece.ply", "--calibration", str(rig.folder))
    assert cli.main(order) == 0
    assert said(capsys)["exposures_ms"] == [60, 10]
    shown = {scan.frame_file(i, light, nth) for i in range(4) for light in ("off", "l0", "l1") for nth in (0, 1)}
    assert {file for file in scan.folder.rglob("*.png") if "color" not in file.name} == shown
    long, short = (scan.read_picture(scan.frame_file(1, "off", nth)) for nth in (0, 1))
    assert 4 < long.mean() / short.mean() < 8
    partly(scan.folder, 2)
    kept = pictures(scan.folder)
    assert cli.main(order) == 0
    found = said(capsys)
    assert (found["exposures_ms"], found["taken"]) == ([60, 10], 2)
    assert {name: pictures(scan.folder)[name] for name in kept} == kept
    assert {file for file in scan.folder.rglob("*.png") if "color" not in file.name} == shown
    assert cli.main([*order, "--exposures", "20,5"]) == 2
    assert "brackets_ms was [60.0, 10.0] and is [20.0, 5.0]" in capsys.readouterr().err


def test_a_plain_piece_takes_one_exposure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trimesh.creation.cylinder(radius=20, height=50).export(tmp_path / "piece.stl")
    rig = Dataset(tmp_path / "rig")
    rig.write_json(rig.calibration_file, TrueRig.standard(1, 0.5).rig.document())
    order = words(tmp_path / "scan", tmp_path / "piece.stl", "--calibration", str(rig.folder), "--scale", "0.5")
    assert cli.main(order) == 0
    assert said(capsys)["exposures_ms"] == [10]


def test_a_piece_that_was_touched_meanwhile_is_noticed(
    mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words(tmp_path, mesh)) == 0
    partly(tmp_path, 2)
    capsys.readouterr()
    assert cli.main([*words(tmp_path, mesh), "--size", "70"]) == 1
    assert "looks different now" in str(said(capsys)["error"])


def test_without_a_home_switch_nobody_knows_how_the_plate_stands(
    mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words(tmp_path, mesh, "--no-home")) == 0
    partly(tmp_path, 2)
    capsys.readouterr()
    assert cli.main(words(tmp_path, mesh, "--no-home")) == 1
    assert "no home switch" in str(said(capsys)["error"])


@given(lasers=st.integers(1, 2), steps=st.integers(1, 500), per_turn=st.integers(20, 100_000))
def test_a_plan_is_whole_and_goes_around_once(lasers: int, steps: int, per_turn: int) -> None:
    plan = stops("frames", steps, per_turn, lasers)
    assert [stop.index for stop in plan] == list(range(steps))
    assert all(0 <= stop.step < per_turn or steps > per_turn for stop in plan)
    assert all(len(stop.lights) == lasers + 2 for stop in plan)
    table = stops("table", steps, per_turn, lasers)
    assert [stop.placement for stop in table] == sorted(stop.placement for stop in table)


@given(st.lists(st.booleans(), max_size=200))
def test_a_pace_slows_down_and_recovers_and_gives_up(late: list[bool]) -> None:
    pace, row = Pace(), 0
    for is_late in late:
        pace, row = (pace.after_late(), row + 1) if is_late else (pace.after_good(), 0)
        assert 0 <= pace.rest_s <= 4
        assert pace.is_hopeless == (row >= 7)
    for _ in range(40):
        pace = pace.after_good()
    assert pace.rest_s == 0


def test_the_choices_are_those_of_the_twins() -> None:
    assert set(capture.FAULTS) == {*FAULTS, *STAGE_FAULTS}
