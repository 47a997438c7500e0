"""Whether the table turned: on pictures of the twin's stuck table, and on grain that is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from golmok_vision.render.objects import Solid
from golmok_vision.render.simulate import Order, Simulation
from golmok_vision.scan import Dataset
from golmok_vision.scan.cloud import Cloud
from golmok_vision.scan.reconstruct import reconstruct
from golmok_vision.scan.turning import Grain, is_round, judge_turning
from tests.vision.scan_clouds import scanned

ROWS = 200
KNOBBLY = scanned(1, lines=40)


def turned(radius_mm: float = 25.0) -> Cloud:
    """A plain round piece, with a waist."""
    around = np.arctan2(KNOBBLY.points[:, 1], KNOBBLY.points[:, 0])
    radius = radius_mm - 5 * np.sin(KNOBBLY.points[:, 2] / 15)
    points = np.column_stack([radius * np.cos(around), radius * np.sin(around), KNOBBLY.points[:, 2]])
    return replace(KNOBBLY, points=points.astype(np.float32))


def grains(held: list[int], grain: float = 0.3, noise: float = 0.03) -> list[Grain]:
    """Of frames at which the plate stood as of `held`; grain lies over a line and its sides, noise does not."""
    found = []
    for frame, stand in enumerate(held):
        rough = np.random.default_rng(stand).normal(size=(2, ROWS))
        dice = np.random.default_rng([5, frame])
        columns = []
        for laser in (0, 1):
            middle, sides = (np.exp(grain * rough[laser] + noise * dice.normal(size=ROWS)) * dn for dn in (90, 60))
            columns.append(
                np.column_stack([np.full(ROWS, laser), np.arange(ROWS) + 40, middle, sides, np.full(ROWS, 300)])
            )
        found.append(np.concatenate(columns).astype(np.int16))
    return found


def told(held: list[int], cloud: Cloud = KNOBBLY, step_deg: float = 3.0, **how: float) -> list[tuple[str, str]]:
    angles = [step_deg * frame for frame in range(len(held))]
    return [(each.code, each.weight) for each in judge_turning(grains(held, **how), angles, cloud)]


def test_a_table_that_turns_raises_nothing_whatever_the_piece() -> None:
    assert told(list(range(60))) == []
    assert told(list(range(60)), turned()) == []


@pytest.mark.parametrize("cloud", [KNOBBLY, turned()], ids=["knobs", "round"])
def test_the_last_stops_of_a_turn_are_enough(cloud: Cloud) -> None:
    held = [min(frame, 111) for frame in range(120)]
    (trouble,) = judge_turning(grains(held), [3.0 * frame for frame in range(120)], cloud)
    assert (trouble.code, trouble.weight) == ("table-stood", "bad")
    assert trouble.args == {"count": 8, "frame": 112}


def test_a_texture_that_changes_slowly_is_no_stuck_table() -> None:
    """Each stop shows two thirds of the grain of the one before, some more: alike, but none stands out."""
    dice = np.random.default_rng(3)
    rough, found = dice.normal(size=(2, ROWS)), []
    for frame in range(200):
        kept = np.tanh(dice.normal(0.75, 0.12))
        rough = kept * rough + np.sqrt(1 - kept**2) * dice.normal(size=(2, ROWS))
        found.append(np.concatenate([
            np.column_stack([np.full(ROWS, laser), np.arange(ROWS), 90 * np.exp(0.3 * rough[laser]),
                             60 * np.exp(0.3 * rough[laser]), np.full(ROWS, 300 + frame)]) for laser in (0, 1)
        ]).astype(np.int16))  # fmt: skip
    angles = [1.8 * frame for frame in range(200)]
    assert judge_turning(found, angles, KNOBBLY) == []
    stuck = found[:190] + found[189:190] * 10
    assert [each.args for each in judge_turning(stuck, angles, KNOBBLY)] == [{"count": 10, "frame": 190}]


def test_stops_too_near_to_differ_are_not_compared() -> None:
    held = [frame // 4 for frame in range(80)]  # at 0.25 degrees four stops show one grain
    assert told(held, step_deg=0.25) == []
    assert told(held, step_deg=3.0) == [("table-jammed", "bad")]


def test_without_grain_only_a_round_piece_leaves_it_open() -> None:
    assert told([0] * 30, grain=0.0) == []  # of its knobs the two lasers speak
    assert told([0] * 30, turned(), grain=0.0) == [("turn-untold", "note")]
    assert told([0, 1, 2], turned()) == [("turn-untold", "note")]  # too few stops


def test_a_table_that_never_turned_is_told_by_a_round_piece() -> None:
    assert told([0] * 30, turned()) == [("table-jammed", "bad")]


def test_rings_all_around_are_no_jam_once_a_crumb_of_clay_goes_by() -> None:
    seen = grains([0] * 30)  # a potter's rings: the same grain at every stop
    angles = [12.0 * frame for frame in range(30)]
    assert [each.code for each in judge_turning(seen, angles, turned())] == ["table-jammed"]
    for frame in (8, 9):
        seen[frame][50:62, 4] += 6
    assert judge_turning(seen, angles, turned()) == []


def test_round_is_what_looks_the_same_from_all_sides() -> None:
    assert is_round(turned())
    assert not is_round(KNOBBLY)
    assert not is_round(replace(turned(), points=turned().points + np.array([3, 0, 0], np.float32)))


def test_a_round_plain_piece_shows_the_stuck_table_by_its_speckle(tmp_path: Path) -> None:
    """The last third of twelve stops, of the pictures of a stuck table."""
    vase = trimesh.creation.revolve([(0, 0), (18, 0), (25, 20), (12, 45), (15, 55), (0, 55)], sections=128)
    solid = Solid(np.asarray(vase.vertices, float), np.asarray(vase.faces, np.int64))
    dataset = Dataset(tmp_path)
    order = Order(seed=3, size_mm=55, steps=60, faults=("stuck",), scale=0.3, color=False)
    simulation = Simulation(order, solid, dataset)
    simulation.begin()
    for _ in simulation.draw([("frame", frame) for frame in range(48, 60)]):
        pass
    for file in sorted((tmp_path / "frames").glob("*.png")):
        file.rename(file.with_name(f"{int(file.name[:4]) - 48:04d}{file.name[4:]}"))
    dataset.describe(replace(dataset.description, steps=replace(simulation.steps, frames=simulation.steps.frames[48:])))
    dataset.write_json(dataset.calibration_file, simulation.true.rig.document())
    found = {trouble.code: trouble for trouble in reconstruct(dataset).troubles}
    assert found["table-stood"].args == {"count": 4, "frame": 8}
