"""`golmok-scan` as a user types it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import trimesh

from golmok_edge.scan import cli
from golmok_edge.scan import simulate as simulate_command
from golmok_edge.scan.progress import Progress, told
from golmok_vision.render.objects import FINISHES
from golmok_vision.render.simulate import FAULTS
from golmok_vision.scan import Dataset
from tests.vision.line_pictures import Scene as LineScene


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    file = tmp_path / "piece.ply"
    trimesh.creation.icosphere(subdivisions=2, radius=3).export(file)
    return file


def simulate(mesh: Path, out: Path, *more: str) -> int:
    small = ["--scale", "0.12", "--steps", "2", "--no-color", "--size", "50"]
    return cli.main(["simulate", "--mesh", str(mesh), "--out", str(out), "--seed", "1", *small, *more])


def test_simulate_makes_a_dataset_and_says_so(mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(mesh, tmp_path / "scan", "--json") == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["pictures"] == len(list((tmp_path / "scan").rglob("*.png"))) == 24 + 48 * 3 + 2 * 3
    assert max(found["size_mm"]) == pytest.approx(50, abs=0.05)
    assert "took" in said.err


def test_line_gives_a_column_or_null_for_each_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = LineScene(gaps=((0.0, 0.5),), height=120, width=160)
    for name, picture in zip(("on", "off"), scene.pictures(), strict=True):
        Dataset(tmp_path).write_picture(tmp_path / f"{name}.png", picture)
    on, off = str(tmp_path / "on.png"), str(tmp_path / "off.png")
    for command in (["--image", on, "--off", off], ["--image", on]):
        assert cli.main(["line", *command, "--json"]) == 0
        x = json.loads(capsys.readouterr().out)["x"]
        assert len(x) == 120
        assert x[:50] == [None] * 50
        assert x[70:] == pytest.approx(scene.truth()[70:], abs=1)
    assert cli.main(["line", "--image", on]) == 0
    assert "of 120 rows have the line" in capsys.readouterr().out


def test_a_picture_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.png").write_bytes(b"no picture")
    assert cli.main(["line", "--image", str(tmp_path / "x.png"), "--json"]) == 1
    assert "is no picture" in json.loads(capsys.readouterr().out)["error"]
    assert cli.main(["line", "--image", str(tmp_path / "y.png")]) == 1
    assert "y.png is missing" in capsys.readouterr().err


def test_mistakes_are_told_without_a_trace(mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(tmp_path / "none.stl", tmp_path / "scan", "--json") == 1
    said = capsys.readouterr()
    assert "none.stl" in json.loads(said.out)["error"]
    assert said.err.startswith("golmok-scan: ")
    assert simulate(mesh, tmp_path / "scan", "--size", "5000") == 2
    assert "size must be from" in capsys.readouterr().err
    assert not (tmp_path / "scan").exists()


def test_the_choices_are_those_of_the_twin() -> None:
    assert set(simulate_command.FAULTS) == set(FAULTS)
    assert set(simulate_command.FINISHES) == set(FINISHES)


def test_progress_says_how_long_it_will_take() -> None:
    clock = iter([0.0, 0.0, 100.0, 110.0, 120.0])  # it takes a while until the first is done
    out = io.StringIO()
    progress = Progress("simulate", out, lambda: next(clock))
    for done in (10, 20, 25, 30):
        progress(done, 30)
    told = ["simulate: 20 of 30", "simulate: 25 of 30, 10 s left", "simulate: 30 of 30, took 2 min 00 s"]
    assert out.getvalue().splitlines() == told


def test_durations_are_told_for_people() -> None:
    assert [told(s) for s in (4.4, 75, 7260)] == ["4 s", "1 min 15 s", "2 h 01 min"]
