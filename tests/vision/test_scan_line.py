"""The line is found where it is: in painted pictures of all kinds, and in the twin's."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import trimesh

from golmok_vision.render.objects import Solid, dress
from golmok_vision.render.scanner import ScannerTwin, TrueRig
from golmok_vision.render.scanner import Scene as Stage
from golmok_vision.render.sensor import NormalPool
from golmok_vision.scan import Line, OrderError, find_line, find_points
from tests.vision.line_pictures import Scene

Floats = npt.NDArray[np.float64]


def judged(line: Line, truth: Floats) -> tuple[float, float, float, float]:
    """Share of the line's rows found, share of all rows with something else, RMS and mean error in pixels."""
    error = line.x - truth
    good = np.abs(error) < 2
    wrong = np.isfinite(line.x) & ~good
    exists = max(int(np.isfinite(truth).sum()), 1)
    if not good.any():
        return 0.0, float(wrong.mean()), 0.0, 0.0
    return (
        float(good.sum() / exists),
        float(wrong.mean()),
        float(np.sqrt(np.square(error[good]).mean())),
        float(error[good].mean()),
    )


def test_a_line_that_runs_onto_a_bright_wall_is_taken_for_no_wider_one() -> None:
    rows, columns = np.arange(480), np.arange(640)
    truth: Floats = np.asarray(300 + 0.08 * rows, float)
    light = 50.0 + 80 * np.exp(-0.5 * np.square((columns - truth[:, None]) / 2)) + 100.0 * (columns >= 330)
    noise = np.random.default_rng(1).normal(0, 1.5, light.shape)
    line = find_line(np.clip(np.rint(light + noise), 0, 255).astype(np.uint8))
    assert line.sigma_px == pytest.approx(2, abs=1)
    assert judged(line, truth)[0] > 0.5


SMOOTH = [
    Scene(speckle=False),
    Scene(speckle=False, fwhm=2.0),
    Scene(speckle=False, fwhm=12.0),
    Scene(speckle=False, tilt_deg=20.0),
    Scene(speckle=False, curve=0.5),
    Scene(speckle=False, peak=30.0, ambient=100.0),
    Scene(speckle=False, height=241, width=639),
]


@pytest.mark.parametrize("scene", SMOOTH, ids=str)
@pytest.mark.parametrize("with_off", [True, False], ids=["off", "alone"])
def test_without_speckle_the_error_is_a_few_hundredths(scene: Scene, with_off: bool) -> None:
    on, off = scene.pictures()
    line = find_line(on, off if with_off else None)
    assert len(line.x) == scene.height
    found, wrong, rms, bias = judged(line, scene.truth())
    assert found > 0.99
    assert wrong == 0
    assert rms < (0.12 if scene.peak < 50 else 0.04)
    assert abs(bias) < (0.05 if scene.peak < 50 else 0.02)


SHORT = ((0.0, 0.35), (0.68, 1.0))


@pytest.mark.parametrize("color", ["", "red", "green", "blue"])
def test_a_piece_that_takes_a_third_of_the_picture_shows_its_bent_line_in_ambient_light(color: str) -> None:
    scene = Scene(curve=1.5, gaps=SHORT, height=720, width=900, ambient=12.0, peak=150.0, texture=0.3, color=color)
    found, wrong, _, _ = judged(find_line(scene.pictures()[0]), scene.truth())
    assert found > 0.98
    assert wrong < 0.01


EASY = [
    Scene(),
    Scene(fwhm=2.0),
    Scene(fwhm=12.0),
    Scene(peak=12.0, ambient=10.0),
    Scene(exposure=2.5, peak=200.0),
    Scene(ambient=120.0, peak=80.0),
    Scene(tilt_deg=-20.0),
    Scene(curve=0.5),
    Scene(jump=60.0),
    Scene(hot=150, peak=60.0),
    *(Scene(color=color, ambient=60.0, texture=0.3) for color in ("red", "green", "blue", "white")),
]


@pytest.mark.parametrize("scene", EASY, ids=str)
@pytest.mark.parametrize("with_off", [True, False], ids=["off", "alone"])
def test_the_line_is_found_with_and_without_a_picture_of_the_laser_off(scene: Scene, with_off: bool) -> None:
    on, off = scene.pictures()
    found, wrong, rms, _ = judged(find_line(on, off if with_off else None), scene.truth())
    assert found > (0.95 if scene.jump else 0.98)  # a row or two at each end of a jump
    assert wrong < 0.01
    assert rms < 0.12 * scene.fwhm**0.5 + 0.06


TEXTURED = [Scene(ambient=100.0, texture=0.7, peak=60.0), Scene(ambient=80.0, texture=0.4, flicker=-0.1)]


@pytest.mark.parametrize("scene", TEXTURED, ids=str)
def test_the_picture_of_the_laser_off_takes_the_texture_away(scene: Scene) -> None:
    found, wrong, rms, _ = judged(find_line(*scene.pictures()), scene.truth())
    assert found > 0.99
    assert wrong == 0
    assert rms < 0.3


@pytest.mark.parametrize("with_off", [True, False], ids=["off", "alone"])
@pytest.mark.parametrize("ghost", [0.0, 0.2])
def test_in_a_gap_there_is_no_line_also_where_there_is_a_reflection(ghost: float, with_off: bool) -> None:
    scene = Scene(gaps=((0.0, 0.1), (0.45, 0.6)), ghost=ghost, peak=180.0)
    on, off = scene.pictures()
    line = find_line(on, off if with_off else None)
    truth = scene.truth()
    inside = np.convolve(np.isfinite(truth), np.ones(9), "same") == 0  # a row or two beyond an end may still have light
    assert np.isfinite(line.x[inside]).sum() == 0
    assert judged(line, truth)[0] > 0.97


def test_a_line_ends_where_half_of_its_light_is_left_and_goes_on_across_something_dark() -> None:
    scene = Scene(speckle=False, ambient=0.0, peak=160.0, fwhm=3.0)
    light = scene.pictures()[0].astype(np.float32)
    shown = np.zeros((scene.height, 1), np.float32)
    shown[60:180], shown[100:107], shown[180:186] = 1, 0.15, 0.1  # dark paint, and a rim that the light grazes
    picture = np.asarray(cv2.GaussianBlur(light * shown, (0, 0), 0.7), np.uint8)
    rows = np.flatnonzero(np.isfinite(find_line(picture, np.zeros_like(picture)).x))
    assert list(rows) == list(range(60, 186))


def test_a_faint_line_aside_of_a_bright_one_is_no_reflection_where_it_is_the_pieces() -> None:
    scene = Scene(speckle=False, ambient=0.0, peak=200.0, jump=60.0)
    light = scene.pictures()[0].astype(np.float32)
    light[97:168] *= 0.1  # where it jumps aside, dark paint before a white wall
    picture = light.astype(np.uint8)

    def is_piece(pixels: Floats) -> npt.NDArray[np.bool_]:
        return (pixels[:, 1] > 96) & (pixels[:, 1] < 168)

    off = np.zeros_like(picture)
    assert is_piece(find_points(picture, off)[0]).sum() < 10
    assert is_piece(find_points(picture, off, is_piece)[0]).sum() > 60


EMPTY = [
    Scene(peak=0.0),
    Scene(peak=0.0, ambient=80.0, texture=0.5),
    Scene(peak=0.0, hot=100),
    Scene(peak=0.0, color="red", texture=0.4),
]


@pytest.mark.parametrize("with_off", [True, False], ids=["off", "alone"])
@pytest.mark.parametrize("scene", EMPTY, ids=str)
def test_where_no_line_is_none_is_found(scene: Scene, with_off: bool) -> None:
    on, off = scene.pictures()
    assert np.isfinite(find_line(on, off if with_off else None).x).mean() < 0.01


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_pictures_have_no_line(value: int) -> None:
    flat = np.full((60, 80), value, np.uint8)
    assert np.isnan(find_line(flat).x).all()
    assert np.isnan(find_line(flat, np.zeros_like(flat)).x).all()


def test_a_line_at_the_very_edge_is_found() -> None:
    scene = Scene(width=40, tilt_deg=0.0, speckle=False)
    on, off = scene.pictures()
    moved = [np.ascontiguousarray(picture[:, 18:]) for picture in (on, off)]
    line = find_line(moved[0], moved[1])
    assert np.nanmean(line.x) == pytest.approx(2.0, abs=0.3)


def test_only_the_columns_that_are_asked_for_are_looked_at() -> None:
    bright, faint = Scene(peak=200.0).pictures(), Scene(peak=40.0, tilt_deg=3.0).pictures()
    both = [np.hstack(pair) for pair in zip(bright, faint, strict=True)]
    line = find_line(both[0], both[1], columns=(640, 1280))
    assert judged(line, Scene(tilt_deg=3.0).truth() + 640)[0] > 0.99


def test_one_channel_and_three_may_meet() -> None:
    on, off = Scene(color="red").pictures()
    found, wrong, _, _ = judged(find_line(on, np.ascontiguousarray(off[:, :, 1])), Scene().truth())
    assert (found > 0.98, wrong) == (True, 0)


def test_pictures_that_do_not_fit_are_refused() -> None:
    on, off = Scene().pictures()
    with pytest.raises(OrderError, match="take both with the same camera"):
        find_line(on, off[:-1])
    with pytest.raises(OrderError, match="no line can be found in 640 x 3"):
        find_line(on[:3])


def test_on_the_twins_ball_the_error_is_a_tenth_of_a_pixel_with_speckle() -> None:
    true = TrueRig.standard(11)
    ball = trimesh.creation.icosphere(subdivisions=5, radius=40)
    middle = np.array([0.0, 0, 40])
    piece = Solid(np.asarray(ball.vertices, float) + middle, np.asarray(ball.faces, np.int64))
    twin = ScannerTwin(true, NormalPool(11))
    shot = twin.shot(Stage(dress(piece, "plain", np.random.default_rng(0))))
    dice = np.random.default_rng(1)
    off, on = twin.off(shot, dice), twin.lit(shot, 0, dice)
    truth = np.full(true.rig.lens.height, np.nan)
    for column, row in twin.crossings(shot, 0):
        point = true.rig.triangulate([[column, row]], 0)[0]
        if np.hypot(*point[:2]) < 45 and 15 < point[2] < 65:
            truth[int(row)] = column
    found, _, rms, bias = judged(find_line(on, off), truth)
    assert found > 0.99
    assert rms < 0.16  # 0.06 mm, where a pixel is 0.37 mm along the sheet
    assert abs(bias) < 0.03
    pixels, contrast = find_points(on, off)
    points = true.rig.triangulate(pixels, 0)
    near = (np.hypot(points[:, 0], points[:, 1]) < 45) & (points[:, 2] > 2)
    assert np.sqrt(np.square(np.linalg.norm(points[near] - middle, axis=1) - 40).mean()) < 0.06
    assert contrast[near].min() > 1
    assert (points[near][:, 2] > 78).any()  # the top, where the line lies flat
