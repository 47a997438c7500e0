"""`kill -9` at moments spread over capture, calibrate and reconstruct: the same command goes on to the same result.

A moment is something that lies in the folder, so that it comes however busy the machine is. The lasers must be dark
soon after each kill. A picture that was there is never taken again; the other pictures have noise of their own, as
with a real camera, so the two models are compared as a model and its reference are.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from golmok_edge.scan import cli
from golmok_vision.render import objects
from golmok_vision.scan import Dataset
from golmok_vision.scan.compare import compare
from golmok_vision.scan.modelling import load_model, load_reference
from golmok_vision.scan.view import moved
from tests.vision.scan_scans import piece

PATIENCE_S = 120
MODEL = ("calibration.json", "cloud.ply", "mesh.stl", "mesh.ply", "mesh.glb")

pytestmark = pytest.mark.timeout(600)


class Moment(NamedTuple):
    """So many files that fit the pattern are there; then a little later."""

    pattern: str
    files: int = 1
    later_s: float = 0.0

    def has_come(self, folder: Path) -> bool:
        return len(list(folder.glob(self.pattern))) >= self.files


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("mesh") / "piece.stl"
    file.write_bytes(objects.stl(piece()))
    return file


def captured(mesh: Path, what: str, steps: int, scale: float) -> tuple[str, ...]:
    return ("--what", what, "--steps", str(steps), "--twins", "--mesh", str(mesh), "--size", "60",
            "--scale", str(scale))  # fmt: skip


def killed(command: Sequence[str], folder: Path, moment: Moment) -> bool:
    """Whether it was killed at that moment; not when it was done before."""
    with subprocess.Popen([sys.executable, "-m", "golmok_edge.scan.cli", *command], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:  # fmt: skip
        until = time.monotonic() + PATIENCE_S
        while not moment.has_come(folder) and process.poll() is None:
            assert time.monotonic() < until, moment
            time.sleep(0.001)
        time.sleep(moment.later_s)
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL


def run(command: Sequence[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    code = cli.main([*command, "--json"])
    out = capsys.readouterr().out
    assert code == 0, out
    found: dict[str, Any] = json.loads(out)
    return found


def require_dark(folder: Path) -> None:
    """The lasers are out soon after a kill: a guard sees to it."""
    wire, until = folder / "truth" / "wire", time.monotonic() + PATIENCE_S
    while wire.exists() and any(wire.read_bytes()[pin] for pin in (17, 27)):
        assert time.monotonic() < until, "a laser is still lit"
        time.sleep(0.01)


def pictures(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(file.relative_to(folder)): (file.stat().st_mtime_ns, file.read_bytes())
            for file in folder.rglob("[0-9]*.png")}  # fmt: skip


def capture_killed(
    command: Sequence[str], folder: Path, moments: Sequence[Moment], capsys: pytest.CaptureFixture[str]
) -> None:
    """Kill it at each of the moments, then let it end; no picture is taken twice."""
    before: dict[str, tuple[int, bytes]] = {}
    for moment in moments:
        assert killed(command, folder, moment), moment
        require_dark(folder)
        now = pictures(folder)
        assert before.items() <= now.items()
        before = now
    assert run(command, capsys)["taken"] > 0
    assert before.items() <= pictures(folder).items()
    assert not list(folder.rglob("*.part"))


def model_killed(
    command: Sequence[str], folder: Path, moments: Sequence[Moment], capsys: pytest.CaptureFixture[str]
) -> dict[str, bytes]:
    """What it makes when nothing stops it, and when it is killed at each of the moments: byte for byte the same."""
    made = [folder / name for name in MODEL]

    def forget() -> None:
        for file in (*folder.glob("points/*"), *(made[1:] if command[0] == "reconstruct" else made)):
            file.unlink(missing_ok=True)

    run(command, capsys)
    whole = {file.name: file.read_bytes() for file in made if file.exists()}
    forget()
    for moment in moments:
        assert killed(command, folder, moment), moment
    run(command, capsys)
    assert {file.name: file.read_bytes() for file in made if file.exists()} == whole
    assert not list(folder.rglob("*.part"))
    return whole


def require_same_pictures(one: Path, other: Path) -> None:
    """They show the same but for the camera's noise."""
    assert pictures(one).keys() == pictures(other).keys()
    for name in pictures(one):
        mine, yours = (Dataset(folder).read_picture(folder / name) for folder in (one, other))
        assert float(np.abs(mine.astype(float) - yours).mean()) < 2.0, name
        assert moved(mine, yours) < 0.01, name


def require_alike(one: Path, other: Path, most_mm: float) -> None:
    """Two models of the same piece from pictures with other noise."""
    found = compare(load_model(Dataset(one)), load_reference(other / "mesh.stl"), align=False).figures
    assert found["rms_mm"] < most_mm
    assert found["volume_ratio"] == pytest.approx(1, abs=0.01)


def test_killed_while_capturing_and_reconstructing_it_goes_on(
    mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "killed", tmp_path / "whole"
    frames = captured(mesh, "frames", 12, 0.25)
    capture_killed(("capture", str(one), *frames), one, [Moment("frames/*.png", 18)], capsys)
    run(("capture", str(other), *frames), capsys)
    require_same_pictures(one, other)
    rig = json.loads((one / "truth" / "rig.json").read_text())
    Dataset(one).write_json(Dataset(one).calibration_file, rig)  # calibrating is killed in the long test
    model_killed(("reconstruct", str(one)), one, [Moment("mesh.stl")], capsys)


@pytest.mark.slow
def test_ten_kills_of_capture_and_ten_of_the_rest_change_nothing(
    mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "killed", tmp_path / "whole"
    moments: dict[str, list[Moment]] = {
        "camera": [Moment("calib/camera/*.png", 2), Moment("calib/camera/*.png", 17)],
        "table": [Moment("calib/table/*.png", count) for count in (1, 50, 143)],
        "frames": [Moment("frames/*.png", count) for count in (1, 19, 38, 57, 79)],
    }
    for what, when in moments.items():
        command = captured(mesh, what, 20, 0.35)
        capture_killed(("capture", str(one), *command), one, when, capsys)
        run(("capture", str(other), *command), capsys)
    require_same_pictures(one, other)
    later = [Moment("capture.json", later_s=seconds) for seconds in (0.9, 1.4, 1.9)]
    model_killed(("calibrate", str(one)), one, later, capsys)
    run(("calibrate", str(other)), capsys)
    run(("reconstruct", str(other)), capsys)
    stages = [
        *(Moment("points/*.npz", count) for count in (1, 9, 20)),
        Moment("cloud.ply"), Moment("cloud.ply", later_s=0.2), Moment(".mesh.*.part"), Moment("mesh.glb"),
    ]  # fmt: skip
    whole = model_killed(("reconstruct", str(one)), one, stages, capsys)
    assert whole.keys() == set(MODEL)
    require_alike(one, other, 0.1)
