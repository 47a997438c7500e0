"""The simulated dataset: the same order gives the same bytes, also when it was stopped; faults are where they belong.

Pictures are small: what the twin draws is judged in `test_render_scanner.py`.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from golmok_vision.render.objects import Solid, load
from golmok_vision.render.simulate import FAULTS, Order, Simulation
from golmok_vision.scan import (
    Dataset,
    DatasetError,
    MeshError,
    OrderError,
    PictureDamagedError,
    PictureMissingError,
    Rig,
)

BALL = trimesh.creation.icosphere(subdivisions=3, radius=20)
PIECE = Solid(np.asarray(BALL.vertices, float), np.asarray(BALL.faces, np.int64))
ORDER = Order(seed=5, size_mm=60, steps=4, camera_pictures=1, scale=0.15)


class Stopped(Exception):  # noqa: N818  # no error: the user's Ctrl-C
    """Thrown out of the progress, as Ctrl-C is."""


def run(folder: Path, order: Order = ORDER, stop_after: int = 10_000) -> Dataset:
    def progress(done: int, total: int) -> None:
        if done >= stop_after:
            raise Stopped

    dataset = Dataset(folder)
    Simulation(order, PIECE, dataset).run(progress)
    return dataset


def digest(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return run(tmp_path_factory.mktemp("whole") / "scan")


def test_the_folder_is_as_documented(whole: Dataset) -> None:
    names = set(digest(whole.folder))
    assert {"dataset.toml", "truth/object.stl", "truth/rig.json", "truth/visible.npy"} <= names
    assert {f"frames/{i:04d}_{light}.png" for i in range(4) for light in ("off", "l0", "l1", "color")} <= names
    assert {f"calib/table/{i:03d}_{light}.png" for i in range(48) for light in ("off", "l0", "l1")} <= names
    assert whole.camera_pictures() == [0]
    steps = whole.description.steps
    assert steps.frames == (0, 800, 1600, 2400)
    assert whole.read_picture(whole.frame_file(0, "l0")).shape == (185, 246)
    assert whole.read_picture(whole.frame_file(0, "color"), color=True).shape == (185, 246, 3)


def test_a_stopped_simulation_goes_on_to_the_same_bytes(whole: Dataset, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(tmp_path / "scan", stop_after=9)
    begun = digest(tmp_path / "scan")
    assert 0 < len(begun) < len(digest(whole.folder))
    run(tmp_path / "scan")
    assert digest(tmp_path / "scan") == digest(whole.folder)


def test_shorter_exposures_are_darker_and_show_the_same_line(tmp_path: Path) -> None:
    simulation = Simulation(replace(ORDER, exposures=(4.0, 1.0)), PIECE, Dataset(tmp_path))
    list(simulation.draw([("frame", 1)]))
    names = {f"0001_{light}.png" for light in ("off", "l0", "l1", "color", "off_1", "l0_1", "l1_1")}
    assert {file.name for file in tmp_path.rglob("*.png")} == names
    read, file = simulation.dataset.read_picture, simulation.dataset.frame_file
    (off, off_1), (on, on_1) = ([read(file(1, light, k)).astype(float) for k in (0, 1)] for light in ("off", "l0"))
    assert 2.5 < off.mean() / off_1.mean() < 4  # the black level is the same
    lit = (on - off > 25) & (on < 250)
    assert np.corrcoef((on - off)[lit], (on_1 - off_1)[lit])[0, 1] > 0.9
    with pytest.raises(OrderError, match="each shorter"):
        replace(ORDER, exposures=(1.0, 4.0))


def test_a_rig_with_one_laser_has_the_pictures_of_the_first(whole: Dataset, tmp_path: Path) -> None:
    simulation = Simulation(replace(ORDER, lasers=1), PIECE, Dataset(tmp_path))
    simulation.begin()
    assert list(simulation.draw([("frame", 2)])) == [1]
    assert {file.name for file in (tmp_path / "frames").iterdir()} == {f"0002_{x}.png" for x in ("off", "l0", "color")}
    assert (read(simulation.dataset, "frames/0002_l0.png") == read(whole, "frames/0002_l0.png")).all()
    assert len(simulation.dataset.read_json(tmp_path / "truth" / "rig.json")["lasers"]) == 1
    with pytest.raises(OrderError, match="1 to 2"):
        replace(ORDER, lasers=3)


def test_another_order_does_not_go_on_with_it(whole: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="another simulation"):
        Simulation(replace(ORDER, seed=6), PIECE, whole).begin()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DatasetError, match="not empty"):
        Simulation(ORDER, PIECE, Dataset(tmp_path)).begin()


def test_the_truth_is_in_the_turntables_frame(whole: Dataset) -> None:
    rig = Rig.from_document(whole.read_json(whole.truth / "rig.json"))
    assert rig.pose.centre_mm[1] == pytest.approx(0, abs=1e-9)
    assert rig.pose.centre_mm[0] > 250
    solid = load(whole.truth / "object.stl")
    assert np.ptp(solid.vertices, axis=0) == pytest.approx([60] * 3, rel=0.01)
    assert np.abs(solid.vertices[:, :2].mean(0)).max() < 0.1
    visible = np.load(whole.truth / "visible.npy")
    assert visible.dtype == np.float32
    assert visible.shape[1] == 3
    assert np.abs(np.linalg.norm(visible - [0, 0, 30], axis=1) - 30).max() < 0.6  # facets
    # Two lasers at four stops: eight meridians of 0.6 mm, of which the camera sees most.
    assert 0.01 < len(visible) / 200_000 < 0.05


def test_what_is_visible_was_near_a_sheet_at_a_stop(whole: Dataset) -> None:
    simulation = Simulation(ORDER, PIECE, whole)
    visible = np.load(whole.truth / "visible.npy").astype(float)
    nearest = np.full(len(visible), np.inf)
    for nth, step in enumerate(simulation.steps.frames):
        rotation, shift = simulation.true.carry(step, nth)
        moved = visible @ rotation.T + shift
        for laser in simulation.true.lasers:
            nearest = np.minimum(nearest, np.abs(laser.plane.distance_mm(moved)))
    assert nearest.max() < 0.301


def laser_picture_with(fault: str, tmp_path: Path) -> Dataset:
    order = replace(ORDER, faults=(fault,), color=False)  # type: ignore[arg-type]  # names of FAULTS
    simulation = Simulation(order, PIECE, Dataset(tmp_path / fault))
    simulation.begin()
    assert list(simulation.draw([("frame", 2)])) == [1]
    return simulation.dataset


def test_faults_of_one_picture(whole: Dataset, tmp_path: Path) -> None:
    file = "frames/0002_l0.png"
    good = whole.read_picture(whole.folder / file)
    with pytest.raises(PictureMissingError):
        read(laser_picture_with("missing", tmp_path), file)
    with pytest.raises(PictureDamagedError):
        read(laser_picture_with("truncated", tmp_path), file)
    assert read(laser_picture_with("black", tmp_path), file).max() == 0
    assert read(laser_picture_with("saturated", tmp_path), file).min() == 255
    assert (read(laser_picture_with("shifted", tmp_path), file) == np.roll(good, 40, axis=1)).all()


def test_faults_of_the_world(whole: Dataset, tmp_path: Path) -> None:
    good = whole.read_picture(whole.frame_file(2, "l0")).astype(int)
    for fault in ("bumped", "empty", "laser-moved"):
        dataset = laser_picture_with(fault, tmp_path)
        assert np.abs(dataset.read_picture(dataset.frame_file(2, "l0")) - good).max() > 30, fault


def test_a_motor_with_other_gears_turns_half_as_far(tmp_path: Path) -> None:
    simulation = Simulation(replace(ORDER, faults=("steps",)), PIECE, Dataset(tmp_path / "scan"))
    rotation, _ = simulation.true.carry(1600, 2)
    assert np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0])) == pytest.approx(90, abs=0.05)


def read(dataset: Dataset, file: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return dataset.read_picture(dataset.folder / file)


def test_a_board_that_was_printed_too_small_is_so_in_the_pictures_only(tmp_path: Path) -> None:
    simulation = Simulation(replace(ORDER, faults=("board",)), PIECE, Dataset(tmp_path / "scan"))
    simulation.begin()
    assert simulation.dataset.description.board.square_mm == 20
    assert simulation.dataset.read_json(simulation.dataset.truth / "rig.json")["board"]["square_mm"] == 19.4


@pytest.mark.parametrize(
    "change", [{"steps": 0}, {"steps": 5000}, {"size_mm": 1.0}, {"size_mm": 900.0}, {"scale": 0.0}, {"seed": -1}]
)
def test_what_cannot_be_ordered(change: dict[str, float]) -> None:
    with pytest.raises(OrderError):
        replace(ORDER, **change)  # type: ignore[arg-type]  # wrong on purpose


def test_a_piece_that_would_turn_out_of_the_picture_is_refused(tmp_path: Path) -> None:
    tall = trimesh.creation.box((200, 200, 200))
    piece = Solid(np.asarray(tall.vertices, float), np.asarray(tall.faces, np.int64))
    with pytest.raises(MeshError, match="smaller --size"):
        Simulation(replace(ORDER, size_mm=200), piece, Dataset(tmp_path / "scan"))


def test_every_fault_is_explained() -> None:
    assert all(FAULTS.values())
