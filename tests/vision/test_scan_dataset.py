"""The dataset's folder: what is there is whole, what is wrong is named with its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_vision.render.scanner import TrueRig
from golmok_vision.scan import (
    Board,
    Dataset,
    DatasetError,
    Description,
    NoRoomError,
    PictureDamagedError,
    PictureMissingError,
    Steps,
    read_description,
    write_description,
)

PICTURE = (np.arange(48 * 64) % 251).astype(np.uint8).reshape(48, 64)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    made = Dataset(tmp_path / "scan")
    made.describe(Description(Board(), Steps(frames=(0, 8), table=(0, 100), placement=(0, 1), lying=(0,))))
    return made


lengths = st.floats(1, 100).map(lambda x: round(x, 3))
steps = st.lists(st.integers(-10_000, 10_000) | st.floats(-1e4, 1e4), max_size=5)


@given(st.builds(Board, st.integers(3, 20), st.integers(3, 20), lengths.map(lambda x: x + 1), st.just(0.9)), steps,
       steps, st.text(st.characters(exclude_categories=["Cs", "Cc"])))  # fmt: skip
def test_a_description_comes_back(board: Board, frames: list[float], table: list[float], title: str) -> None:
    placement = tuple(i % 2 for i in range(len(table)))
    whole = Description(board, Steps(3200, tuple(frames), tuple(table), placement, placement[:1]), title=title)
    assert read_description(write_description(whole)) == whole


def test_a_board_is_as_large_as_its_length_says() -> None:
    board = Board(8, 6, 20.0, 15.0, length_mm=159.2).by_length()
    assert (board.square_mm, board.marker_mm) == pytest.approx((19.9, 14.925))
    assert board.by_length() == board
    assert Board().by_length() == Board()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nonsense", "no TOML"),
        ('units = "inch"', "must be in mm"),
        ("format = 7", "this version reads 1"),
        ("board = 3", r"\[board\]"),
        ("[board]\nsquares = 3", "board.squares is not known"),
        ('[board]\nsquare_mm = "20"', "board.square_mm must be a number"),
        ("[board]\nsquares_x = 7.5", "board.squares_x must be a whole number"),
        ("[board]\nmarker_mm = 25", "marker_mm must be more than 0 and less than square_mm"),
        ("[board]\nlength_mm = 120", "measure with a caliper from the first square's outer edge"),
        ('[board]\ndictionary = "DICT_9X9"', "no 'DICT_9X9'"),
        ("[board]\nsquares_x = 2", "three squares"),
        ("[board]\nsquares_x = 100000", "no more than 60 squares"),
        ("[steps]\nframes = [0, nan]", "steps.frames must be a list of numbers"),
        ("[steps]\nframes = [0, 10000000000000000000000]", "steps.frames must be a list of numbers up to"),
        ("[steps]\nnominal_per_turn = 0", "steps.nominal_per_turn must be 1 or more"),
        ("[plate]\ndiameter_mm = 1", "plate.diameter_mm must be from 20"),
        ("[plate]\ndiameter_mm = inf", "plate.diameter_mm must be a number up to"),
        ("[steps]\ntable = [1, 2]\nplacement = [0]", "each picture needs one of both"),
        ("[steps]\nlying = [4]", "steps.lying names a placement"),
    ],
)
def test_a_mistake_in_the_description_is_named(text: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "dataset.toml").write_text(text)
    with pytest.raises(DatasetError, match=named) as caught:
        _ = Dataset(tmp_path).description
    assert "dataset.toml" in str(caught.value)


def test_a_folder_that_is_no_dataset_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no dataset: it has no dataset\.toml"):
        _ = Dataset(tmp_path).description


def test_a_picture_comes_back_pixel_for_pixel(dataset: Dataset) -> None:
    file = dataset.frame_file(7, "l0")
    assert file.name == "0007_l0.png"
    dataset.write_picture(file, PICTURE)
    assert (dataset.read_picture(file) == PICTURE).all()
    assert dataset.read_picture(file, color=True).shape == (48, 64, 3)
    assert list(file.parent.glob(".*")) == []


def test_a_missing_picture_is_named(dataset: Dataset) -> None:
    with pytest.raises(PictureMissingError, match=r"^frames/0003_off\.png is missing: capture"):
        dataset.read_picture(dataset.frame_file(3, "off"))


@pytest.mark.parametrize("kept", [0, 20, -40, -4])
def test_a_truncated_picture_is_named_wherever_it_is_cut(dataset: Dataset, kept: int) -> None:
    file = dataset.table_file(12, "l1")
    dataset.write_picture(file, PICTURE)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(PictureDamagedError, match=r"calib/table/012_l1\.png is (cut off|no picture)"):
        dataset.read_picture(file)


def test_a_picture_of_another_size_is_named(dataset: Dataset) -> None:
    files = [dataset.camera_file(i) for i in range(2)]
    dataset.write_picture(files[0], PICTURE)
    dataset.write_picture(files[1], PICTURE[:, :32])
    with pytest.raises(PictureDamagedError, match=r"001\.png is 32 x 48 pixels, the others are 64 x 48"):
        list(dataset.read_pictures(files))


def test_the_boards_pictures_may_have_holes_and_strangers_between_them(dataset: Dataset) -> None:
    for i in (4, 0, 11):
        dataset.write_picture(dataset.camera_file(i), PICTURE)
    dataset.camera_file(0).with_name("notes.png").write_bytes(b"")
    assert dataset.camera_pictures() == [0, 4, 11]


def test_documents_are_never_half_and_never_nan(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="JSON"):
        dataset.write_json(dataset.report_file, {"rms_mm": float("nan")})
    assert not dataset.report_file.exists()
    with pytest.raises(DatasetError, match=r"report\.json is missing: run the stage"):
        dataset.read_json(dataset.report_file)
    dataset.report_file.write_text('{"rms')
    with pytest.raises(DatasetError, match=r"report\.json is damaged .*run the stage that writes it again"):
        dataset.read_json(dataset.report_file)


def test_a_calibration_that_is_missing_or_edited_says_how_to_make_it_again(dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match=r"calibration\.json is missing: run `golmok-scan calibrate"):
        dataset.calibration()
    document = TrueRig.standard(1).rig.document()
    dataset.write_json(dataset.calibration_file, {**document, "lasers": []})
    with pytest.raises(DatasetError, match=r"lasers is empty.*run `golmok-scan calibrate"):
        dataset.calibration()


def test_what_cannot_be_written_leaves_the_old_file(dataset: Dataset) -> None:
    dataset.write_json(dataset.calibration_file, {"a": 1})
    blocked = dataset.folder / "mesh.stl"
    blocked.mkdir()
    with pytest.raises(NoRoomError, match=r"mesh\.stl cannot be written"):
        dataset.write_bytes(blocked, b"solid")
    assert list(dataset.folder.glob(".*")) == []


def test_room_is_asked_for_before_it_is_needed(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path / "not" / "there" / "yet")
    dataset.require_room(1)
    with pytest.raises(NoRoomError, match=r"MB are free: delete old scans"):
        dataset.require_room(1 << 60)


def test_what_a_killed_run_began_is_swept(dataset: Dataset) -> None:
    rest = dataset.folder / "frames" / ".0001_off.png.4711.part"
    rest.write_bytes(b"half")
    dataset.sweep()
    assert not rest.exists()
    assert dataset.description_file.exists()
