"""`golmok-scan measure`, `report` and `compare` as a user types them, on a scan that was reconstructed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import trimesh

from golmok_edge.scan import cli
from golmok_edge.scan.report import TEXTS
from golmok_vision.scan import Dataset, turn, write_cloud
from golmok_vision.scan.modelling import load_cloud, make_model
from tests.vision.clouds import Piece, ball, block

pytestmark = pytest.mark.timeout(600)  # seconds of work; beside seven other jobs on two cores they are minutes


def scanned(folder: Path, piece: Piece) -> Path:
    """What is in a dataset's folder after reconstructing, and the truth."""
    dataset, cloud = Dataset(folder), piece.cloud(25_000, noise_mm=0.05)
    dataset.write_bytes(dataset.cloud_file, write_cloud(cloud))
    make_model(dataset, cloud)
    (folder / "truth").mkdir()
    piece.mesh.export(folder / "truth" / "object.stl")
    np.save(folder / "truth" / "visible.npy", piece.seen(4000)[0].astype(np.float32))
    return folder


@pytest.fixture(scope="module")
def a_block(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scanned(tmp_path_factory.mktemp("block"), block())


@pytest.fixture(scope="module")
def a_ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scanned(tmp_path_factory.mktemp("ball"), ball())


def run(capsys: pytest.CaptureFixture[str], *command: str, code: int = 0) -> dict[str, object]:
    assert cli.main([*command, "--json"]) == code
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_sizes_with_their_doubt(a_block: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("measure", str(a_block), "--section", "9", "--between=-18,0,9:18,0,9")
    found = run(capsys, *command)
    assert found["size_mm"] == pytest.approx([36, 24, 18], abs=0.15)
    assert found["volume_mm3"] == pytest.approx(36 * 24 * 18, rel=0.01)
    assert found["sections"][0]["area_mm2"] == pytest.approx(36 * 24, rel=0.01)  # type: ignore[index]
    assert found["distances"][0]["distance_mm"] == pytest.approx(36, abs=0.1)  # type: ignore[index]
    assert found["distances"][0]["measured"] is True  # type: ignore[index]
    trust = found["uncertainty"]
    assert 0 < trust["place_mm"] < 0.2  # type: ignore[index]
    assert trust["scale_from"] == "nothing"  # type: ignore[index]
    assert [each["code"] for each in found["troubles"]] == ["scale-unchecked"]  # type: ignore[attr-defined]
    assert json.loads((a_block / "report.json").read_text()) == found
    assert cli.main(list(command)) == 0
    assert "distance: 3" in capsys.readouterr().out


def test_what_was_measured_and_is_not_in_the_model_is_told(
    a_block: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(a_block, tmp_path / "scan"))
    cloud = load_cloud(Dataset(folder))
    raised = cloud.points.copy()
    arm = np.flatnonzero(np.arange(len(raised)) % 100 == 0)
    raised[arm] = np.column_stack([0.1 * np.arange(len(arm)), 0 * arm, 60 + 0 * arm])  # the model has lost it
    Dataset(folder).write_bytes(folder / "cloud.ply", write_cloud(replace(cloud, points=raised)))
    found = run(capsys, "measure", str(folder))
    assert found["uncertainty"]["points_missed"] == pytest.approx(0.01, abs=0.003)  # type: ignore[index]
    assert "missed" in [each["code"] for each in found["troubles"]]  # type: ignore[attr-defined]


def test_a_gauge_checks_the_scale(a_ball: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(capsys, "measure", str(a_ball), "--gauge", "ball:30")
    trust = found["uncertainty"]
    assert abs(trust["gauge"]["scale_error"]) < 1e-3  # type: ignore[index]
    assert trust["scale_from"] == "gauge"  # type: ignore[index]
    wrong = run(capsys, "measure", str(a_ball), "--gauge", "ball:31", code=1)
    assert wrong["verdict"] == "fail"
    assert "caliper" in wrong["troubles"][0]["text"]  # type: ignore[index]


def test_a_scan_that_failed_is_not_measured_as_a_good_one(a_ball: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = Dataset(a_ball)
    trouble = {"code": "laser-moved", "weight": "bad", "text": "laser 0 was moved", "text_ko": "움직임"}
    dataset.write_json(dataset.reconstruction_file, {"verdict": "fail", "troubles": [trouble]})
    try:
        found = run(capsys, "report", str(a_ball), code=1)
    finally:
        dataset.reconstruction_file.unlink()
    assert trouble in found["troubles"]  # type: ignore[operator]
    page = (a_ball / "report.html").read_text()
    assert "laser 0 was moved" in page
    assert "움직임" in page
    assert TEXTS["fail"][0] in page


def test_the_page_stands_alone(a_block: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(capsys, "report", str(a_block), "--section", "5")
    page = Path(str(found["page"])).read_text()
    links: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag != "script"
            links.extend(value or "" for name, value in attrs if name in ("src", "href"))

    Links().feed(page)
    assert len(links) == 4
    assert all(link.startswith("data:image/png;base64,") for link in links)
    for ko, en in (TEXTS[key] for key in ("sizes", "trust", "sections", "from_nothing")):
        assert ko in page
        assert en in page
    assert "z = 5.0 mm" in page


def test_comparing_with_the_truth_in_place(a_block: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(capsys, "compare", str(a_block))
    assert found["aligned"] is False
    assert found["rms_mm"] < 0.1  # type: ignore[operator]
    assert found["scale"] == pytest.approx(1, abs=2e-3)
    assert found["watertight"] is True
    assert found["visible"]["share_within_0.3_mm"] > 0.97  # type: ignore[index]
    assert all(Path(file).stat().st_size > 1000 for file in found["files"])  # type: ignore[attr-defined]


def test_comparing_a_mesh_with_another(a_block: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turned = trimesh.load_mesh(a_block / "truth" / "object.stl")
    turned.vertices = turned.vertices @ turn(40) @ np.array([[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]]) + [5, 9, 2]
    turned.export(tmp_path / "reference.obj")
    command = ("compare", str(a_block / "mesh.stl"), "--reference", str(tmp_path / "reference.obj"))
    found = run(capsys, *command, "--out", str(tmp_path / "out"))
    assert found["aligned"] is True
    assert found["rms_mm"] < 0.1  # type: ignore[operator]
    assert (tmp_path / "out" / "deviation.png").exists()


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["measure", "NOWHERE"], 1, "golmok-scan reconstruct"),
        (["measure", "BLOCK", "--section", "80"], 2, "the piece is there from"),
        (["measure", "BLOCK", "--between", "1,2:3,4,5"], 2, "give --between x,y,z:x,y,z in mm"),
        (["measure", "BLOCK", "--between", "1e300,0,0:0,0,0"], 2, "give --between x,y,z:x,y,z in mm"),
        (["measure", "BLOCK", "--gauge", "cube:3"], 2, "ball:30"),
        (["measure", "BLOCK", "--gauge", "ball:30"], 1, "is no ball"),
        (["compare", "NOWHERE"], 1, "golmok-scan reconstruct"),
        (["compare", "BLOCK/mesh.stl"], 2, "give --reference"),
        (["compare", "BLOCK", "--reference", "none.stl"], 1, "none.stl"),
        (["compare", "BLOCK", "--most", "0"], 2, "--most"),
        (["report", "NOWHERE"], 1, "golmok-scan reconstruct"),
    ],
)
def test_mistakes_are_told(
    command: list[str], code: int, said: str, a_block: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    places = {"BLOCK": str(a_block), "NOWHERE": str(tmp_path)}
    filled = [str(Path(places[part.split("/")[0]], *part.split("/")[1:])) if part.split("/")[0] in places else part
              for part in command]  # fmt: skip
    assert cli.main(filled) == code
    assert said in capsys.readouterr().err


def test_the_model_is_exported(a_block: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(capsys, "export", str(a_block))
    assert found["file"] == str(a_block / "mesh.obj")
    whole = trimesh.load_mesh(a_block / "mesh.obj")
    assert whole.is_watertight
    assert whole.extents == pytest.approx([36, 24, 18], abs=0.2)
    small = run(capsys, "export", str(a_block), "--kind", "stl", "--triangles", "900", "--out", str(tmp_path / "s.stl"))
    assert len(trimesh.load_mesh(tmp_path / "s.stl").faces) == small["triangles"]
    assert 0 < int(str(small["triangles"])) <= 900
    assert "give --out" in str(run(capsys, "export", str(a_block), "--kind", "stl", "--triangles", "9", code=2))
    dataset = Dataset(a_block)
    dataset.write_json(dataset.reconstruction_file, {"verdict": "fail", "troubles": []})
    try:  # a failed scan's model is written, and is not passed as good
        assert run(capsys, "export", str(a_block), code=1)["verdict"] == "fail"
    finally:
        dataset.reconstruction_file.unlink()
