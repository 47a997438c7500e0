"""What stands still tells what was moved: one picture, a laser, the camera; and since when."""

from __future__ import annotations

import numpy as np
import pytest

from golmok_vision.render.scanner import TrueRig
from golmok_vision.scan.watch import Standing, Verdict, Watcher, judge, standing

FRAMES = 60


def stood(*moves: tuple[slice, int, float], hidden: tuple[int, ...] = ()) -> list[list[Standing | None]]:
    """Lines where they should be but for noise, and but for these moves (frames, laser, pixels)."""
    dice = np.random.default_rng(1)
    aside = 0.2 * dice.normal(size=(FRAMES, 2))
    for frames, laser, pixels in moves:
        aside[frames, laser] += pixels
    return [
        [Standing(float(px), 0.0 if k in hidden else 0.8) for px in aside[k]] for k in range(FRAMES)
    ]  # fmt: skip


def codes(verdict: Verdict) -> list[tuple[str, str]]:
    return [(trouble.code, trouble.weight) for trouble in verdict.troubles]


def test_a_quiet_scan_has_no_trouble() -> None:
    verdict = judge(stood(hidden=(3, 4, 5)), 1640)
    assert codes(verdict) == []
    assert not verdict.left_out.any()


@pytest.mark.parametrize("frame", [0, 17, FRAMES - 1])
def test_one_spoilt_picture_is_left_out_and_told(frame: int) -> None:
    verdict = judge(stood((slice(frame, frame + 1), 1, -30.0)), 1640)
    assert codes(verdict) == [("frame-aside", "note")]
    assert np.argwhere(verdict.left_out).tolist() == [[frame, 1]]
    assert f"frames/{frame:04d}_l1.png" in verdict.troubles[0].text


@pytest.mark.parametrize("frame", [6, 30, 52])
def test_a_knocked_camera_is_told_with_the_frame(frame: int) -> None:
    verdict = judge(stood((slice(frame, None), 0, 4.0), (slice(frame, None), 1, 7.0)), 1640)
    assert codes(verdict) == [("camera-moved", "bad")]
    assert verdict.troubles[0].args["frame"] == frame
    assert verdict.left_out[frame:].all()


def test_a_laser_that_was_moved_is_named() -> None:
    assert codes(judge(stood((slice(None), 0, 9.0)), 1640)) == [("laser-moved", "bad")]
    later = judge(stood((slice(20, None), 1, -3.0)), 1640)
    assert codes(later) == [("laser-moved-at", "bad")]
    assert "laser 1" in later.troubles[0].text
    assert "레이저 1" in later.troubles[0].text_ko


def test_with_one_laser_it_is_the_laser_or_the_camera() -> None:
    for frames, code in ((slice(None), "line-moved"), (slice(20, None), "line-moved-at")):
        verdict = judge([each[:1] for each in stood((frames, 0, 9.0))], 1640)
        assert codes(verdict) == [(code, "bad")]


def test_a_camera_moved_before_the_scan_is_told() -> None:
    assert codes(judge(stood((slice(None), 0, 9.0), (slice(None), 1, 5.0)), 1640)) == [("all-moved", "bad")]


def test_lines_that_jump_about_are_not_believed() -> None:
    verdict = judge(stood(*((slice(k, k + 1), 0, 20.0) for k in range(0, FRAMES, 5))), 1640)
    assert ("unsteady", "bad") in codes(verdict)


def test_where_no_line_is_seen_nothing_is_said() -> None:
    assert codes(judge(stood((slice(None), 0, 50.0), hidden=tuple(range(FRAMES))), 1640)) == []
    assert codes(judge([[None, None]] * 8, 1640)) == []
    assert codes(judge([], 1640)) == []


def test_the_line_on_the_plate_is_found_where_it_is() -> None:
    rig = TrueRig.standard(3, 0.5).rig
    watcher = Watcher(rig, 125.0)
    dice = np.random.default_rng(2)
    off = dice.normal(6, 1, (616, 820)).clip(0, 255)
    plane = rig.lasers[0]
    out = np.array([-plane.normal[1], plane.normal[0], 0])
    out *= np.sign(out[0]) / np.linalg.norm(out)
    pixels = rig.project(plane.normal * plane.offset_mm * [1, 1, 0] + np.linspace(40, 124, 4000)[:, None] * out)
    columns, rows = np.meshgrid(np.arange(820), np.arange(616))
    at = np.interp(rows[:, 0], pixels[:, 1], pixels[:, 0], left=np.nan, right=np.nan)[:, None]
    for aside in (0.0, 7.0, -12.5):
        line = np.nan_to_num(20 * np.exp(-0.5 * np.square((columns - at - aside) / 1.5)))
        found = watcher.look((off + line).astype(np.uint8), off.astype(np.uint8), 0)
        assert found.is_seen
        assert found.aside_px == pytest.approx(aside, abs=0.3)
    assert not watcher.look(off.astype(np.uint8), off.astype(np.uint8), 0).is_seen


def test_a_piece_before_the_line_is_no_displaced_line() -> None:
    dice = np.random.default_rng(5)
    aside = np.arange(-40, 41)
    profiles = dice.normal(0, 1, (80, 81))
    profiles[np.arange(60), 45 + np.arange(60) // 3] += 200  # on the piece, the nearer the more aside
    assert not standing(profiles, aside).is_seen
    profiles[60:, 40] += 20  # what is left of it on the plate
    assert standing(profiles, aside).aside_px == pytest.approx(0, abs=0.5)
    profiles = dice.normal(0, 1, (80, 81))
    profiles[np.arange(80), 58 + np.arange(80) // 20] += 20  # a sheet that was turned
    assert standing(profiles, aside).aside_px == pytest.approx(19.5, abs=1)
