"""`cloud.ply`: what was measured comes back, and what is damaged is refused in words."""

from __future__ import annotations

import io

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from golmok_vision.scan import Cloud, DatasetError, read_cloud, write_cloud


def some(n: int, seed: int = 0) -> Cloud:
    dice = np.random.default_rng(seed)
    towards = dice.normal(size=(n, 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    return Cloud(
        dice.normal(size=(n, 3)).astype(np.float32) * 50,
        towards.astype(np.float32),
        dice.integers(0, 256, (n, 3)).astype(np.uint8),
        dice.integers(0, 2, n).astype(np.uint8),
        dice.integers(0, 65536, n).astype(np.uint16),
    )


@pytest.mark.parametrize("n", [1, 1000])
def test_what_is_written_comes_back_to_the_bit(n: int) -> None:
    cloud = some(n)
    again = read_cloud(write_cloud(cloud))
    for name in ("points", "towards", "colour", "laser", "frame"):
        one, other = getattr(cloud, name), getattr(again, name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


def test_other_programs_see_points_with_colours() -> None:
    cloud = some(5)
    seen = trimesh.load(io.BytesIO(write_cloud(cloud)), file_type="ply")
    assert isinstance(seen, trimesh.PointCloud)
    assert seen.vertices == pytest.approx(cloud.points)
    assert np.array_equal(seen.colors[:, :3], cloud.colour)


def test_a_part_of_a_cloud_is_a_cloud() -> None:
    cloud = some(10)
    part = cloud[cloud.laser == 1]
    assert len(part) == (cloud.laser == 1).sum()
    assert np.array_equal(part.frame, cloud.frame[cloud.laser == 1])


def test_no_points_are_told_before_they_are_written() -> None:
    with pytest.raises(DatasetError, match="is the piece on the table"):
        write_cloud(some(0))


def test_columns_that_do_not_match_are_refused() -> None:
    with pytest.raises(DatasetError, match="towards"):
        Cloud.of(np.zeros((3, 3)), np.zeros((3, 3))).__class__(
            np.zeros((3, 3), np.float32), np.zeros((2, 3), np.float32), np.zeros((3, 3), np.uint8),
            np.zeros(3, np.uint8), np.zeros(3, np.uint16),
        )  # fmt: skip


@given(st.integers(0, 900), st.binary(min_size=1, max_size=4))
def test_damage_is_told_or_does_no_harm(at: int, wrong: bytes) -> None:
    whole = write_cloud(some(8))
    at = min(at, len(whole))
    for damaged in (whole[:at], whole[:at] + wrong + whole[at + len(wrong) :]):
        said = "scan1/cloud.ply; reconstruct"
        try:
            read_cloud(damaged, "scan1/cloud.ply")
        except DatasetError as error:
            said = str(error)
        assert "scan1/cloud.ply" in said
        assert "reconstruct" in said


def test_a_mesh_is_no_cloud() -> None:
    with pytest.raises(DatasetError, match="no cloud of a scan"):
        read_cloud(trimesh.creation.box().export(file_type="ply"))
