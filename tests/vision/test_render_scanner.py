"""The twin obeys geometry and statistics: judged against formulas, not against itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import trimesh

from golmok_vision.render.objects import Body, Solid, dress, stand
from golmok_vision.render.raster import Pinhole
from golmok_vision.render.scanner import ScannerTwin, Scene, TrueRig
from golmok_vision.render.sensor import NormalPool, Sensor
from golmok_vision.scan import Rig, turn

Floats = npt.NDArray[np.float64]
POOL = NormalPool(1)
SCALE = 0.4


def solid(mesh: trimesh.Trimesh, size_mm: float) -> Solid:
    return stand(Solid(np.asarray(mesh.vertices, float), np.asarray(mesh.faces, np.int64)), size_mm)


def block(edges_mm: tuple[float, float, float], middle_mm: list[float]) -> Solid:
    mesh = trimesh.creation.box(edges_mm)
    return Solid(np.asarray(mesh.vertices, float) + middle_mm, np.asarray(mesh.faces, np.int64))


def body(mesh: trimesh.Trimesh, size_mm: float) -> Body:
    return dress(solid(mesh, size_mm), "plain", np.random.default_rng(0))


def without_speckle(seed: int) -> TrueRig:
    true = TrueRig.standard(seed, SCALE)
    # Wider than a pixel of the small test picture: so the centre of gravity has something to weigh.
    return replace(true, lasers=tuple(replace(laser, looks=0, sigma_mm=0.4) for laser in true.lasers))


def centres(light: npt.NDArray[np.float32], rows: range, columns: slice) -> Floats:
    """The centre of gravity of the light in each row."""
    part = light[rows.start : rows.stop, columns].astype(float)
    return np.asarray((part * np.arange(columns.start, columns.stop)).sum(1) / part.sum(1))


def columns_where(rig: Rig, laser: int, rows: range, outside_mm: object, columns: slice) -> Floats:
    """The column of each row whose ray meets the sheet on the surface where `outside_mm(points) == 0`, first hit."""
    assert callable(outside_mm)
    fine = np.arange(columns.start, columns.stop, 0.05)
    found = []
    for row in rows:
        value = outside_mm(rig.triangulate(np.column_stack([fine, np.full(len(fine), row)]), laser))
        (change,) = np.nonzero(np.diff(np.sign(value)))
        i = change[np.argmax(np.abs(change - len(fine) / 2) < len(fine))]
        found.append(fine[i] - value[i] * 0.05 / (value[i + 1] - value[i]))
    return np.array(found)


def test_depth_is_that_of_the_ray_and_the_sphere() -> None:
    ball = trimesh.creation.icosphere(subdivisions=6, radius=50)
    corners = np.asarray(ball.vertices[ball.faces], np.float32).reshape(-1, 3)
    camera = Pinhole(np.diag([1.0, -1, -1]), np.array([3.0, -7, 300]), 900, 905, 300.3, 210.8, 640, 480)
    inverse = camera.inverse_depth(corners)
    rows, columns = np.nonzero(inverse)
    rays = np.column_stack([(columns - 300.3) / 900, (rows - 210.8) / 905, np.ones(len(rows))])
    towards = rays @ [3.0, -7, 300]
    square = np.square(rays).sum(1)
    root = towards**2 - square * (300**2 + 58 - 2500)
    well = root > 100  # not at the very edge
    depth = (towards - np.sqrt(np.maximum(root, 0))) / square
    assert well.sum() > 50_000
    assert np.abs(1 / inverse[rows, columns] - depth)[well].max() < 0.02


@pytest.mark.parametrize("laser", [0, 1])
def test_the_line_lies_where_sheet_and_ball_meet(laser: int) -> None:
    true = without_speckle(5)
    twin = ScannerTwin(true, POOL)
    shot = twin.shot(Scene(body(trimesh.creation.icosphere(subdivisions=6, radius=40), 80)))
    light = twin.line(shot, laser, np.random.default_rng(0))
    middle = true.rig.project([[0.0, 0, 40]])[0]
    rows = range(int(middle[1]) - 35, int(middle[1]) + 20)
    peak = int(light[rows[len(rows) // 2], int(middle[0]) - 60 : int(middle[0]) + 60].argmax()) + int(middle[0]) - 60
    columns = slice(peak - 22, peak + 22)

    def outside(points: Floats) -> Floats:
        return np.asarray(np.linalg.norm(points - [0, 0, 40], axis=1) - 40)

    off = centres(light, rows, columns) - columns_where(true.rig, laser, rows, outside, columns)
    assert abs(off.mean()) < 0.02
    assert off.std() < 0.03


def test_the_line_on_a_slanted_face_is_where_it_must_be() -> None:
    true = without_speckle(6)
    twin = ScannerTwin(true, POOL)
    turned = block((60, 60, 60), [0, 0, 30])
    turned = Solid(turned.vertices @ turn(12).T, turned.faces)
    shot = twin.shot(Scene(dress(turned, "plain", np.random.default_rng(0))))
    light = twin.line(shot, 0, np.random.default_rng(0))
    face = np.array([np.cos(np.radians(12)), np.sin(np.radians(12)), 0])

    def outside(points: Floats) -> Floats:
        return np.asarray(points @ face - 30)

    middle = true.rig.project([30 * face + [0, 0, 30]])[0]
    rows = range(int(middle[1]) - 20, int(middle[1]) + 20)
    columns = slice(int(middle[0]) - 45, int(middle[0]) + 45)
    truth = columns_where(true.rig, 0, rows, outside, columns)
    found = np.array([
        centres(light, range(row, row + 1), slice(round(x) - 8, round(x) + 9))[0]
        for row, x in zip(rows, truth, strict=True)
    ])  # fmt: skip
    assert abs((found - truth).mean()) < 0.02
    assert (found - truth).std() < 0.03


def test_the_profile_is_as_wide_as_sheet_blur_and_pixel_make_it() -> None:
    true = without_speckle(5)
    twin = ScannerTwin(true, POOL)
    facing = trimesh.creation.box((40, 90, 60))
    shot = twin.shot(Scene(body(facing, 90)))
    light = twin.line(shot, 0, np.random.default_rng(0))
    middle = true.rig.project([[20.0, 0, 30]])[0]
    row = light[int(middle[1]), int(middle[0]) - 40 : int(middle[0]) + 40].astype(float)
    at = (row * np.arange(80)).sum() / row.sum()
    sigma = np.sqrt((row * np.square(np.arange(80) - at)).sum() / row.sum())
    # One pixel to the right on the face is so many millimetres across the sheet:
    plane, rig = true.rig.lasers[0], true.rig
    step = rig.project([[20.0, 0.5, 30], [20.0, -0.5, 30]])
    across_mm = abs(plane.normal[1]) / abs(step[0, 0] - step[1, 0])
    expected = np.hypot(0.4 / across_mm, np.hypot(true.blur_px, np.sqrt(1 / 12)))
    assert sigma == pytest.approx(expected, rel=0.03)


def test_speckle_has_the_contrast_of_its_looks_and_leaves_the_mean() -> None:
    true = TrueRig.standard(5, SCALE)
    facing = Scene(body(trimesh.creation.box((40, 100, 60)), 100))
    totals = {}
    for looks in (0, 1, 4):
        lasers = tuple(replace(each, looks=looks, sigma_mm=6.0, grain_px=1.5) for each in true.lasers)
        twin = ScannerTwin(replace(true, lasers=lasers, blur_px=0.1), POOL)
        shot = twin.shot(facing)
        light = twin.line(shot, 0, np.random.default_rng(looks))
        row, column = (int(x) for x in true.rig.project([[20.0, 0, 30]])[0][::-1])
        totals[looks] = light[row - 22 : row + 22, column - 8 : column + 8]
    smooth = totals[0]
    for looks, expected in ((1, 1.0), (4, 0.5)):
        ratio = totals[looks] / smooth
        assert ratio.mean() == pytest.approx(1.0, abs=0.25)
        assert ratio.std() == pytest.approx(expected, abs=0.25)


def test_what_stands_in_the_way_of_the_laser_darkens_what_is_behind() -> None:
    true = without_speckle(5)
    source = true.lasers[0].source_mm
    towards = source * [1, 1, 0] / np.linalg.norm(source[:2])
    back = block((6, 60, 50), [0, 0, 25])
    front = block((4, 4, 90), [*(towards[:2] * 45), 45])
    both = Solid(np.vstack([back.vertices, front.vertices]), np.vstack([back.faces, front.faces + len(back.vertices)]))
    lights = []
    for piece in (back, both):
        twin = ScannerTwin(true, POOL)
        shot = twin.shot(Scene(dress(piece, "plain", np.random.default_rng(0))))
        row, column = (int(x) for x in true.rig.project([[3.0, 0, 25]])[0][::-1])
        lights.append(twin.line(shot, 0, np.random.default_rng(0))[row - 10 : row + 10, column - 8 : column + 8].sum())
    assert lights[0] > 1000
    assert lights[1] < 0.02 * lights[0]


def test_noise_is_that_of_electrons() -> None:
    sensor = Sensor(electrons_per_dn=16, read_electrons=6)
    for level in (5.0, 20.0, 150.0):
        picture = sensor.picture(np.full((400, 400), level, np.float32), POOL, np.random.default_rng(3)).astype(float)
        variance = level / 16 + (6 / 16) ** 2 + 1 / 12  # shot, read, rounding
        assert picture.mean() == pytest.approx(level + 2, abs=0.02)
        assert picture.var() == pytest.approx(variance, rel=0.08)
    full = sensor.picture(np.full((50, 50), 400, np.float32), POOL, np.random.default_rng(3))
    assert (full == 255).all()


def test_a_picture_does_not_depend_on_what_was_drawn_before() -> None:
    true = TrueRig.standard(7, 0.25)
    scene = Scene(body(trimesh.creation.icosphere(subdivisions=3), 60))
    fresh, used = ScannerTwin(true, POOL), ScannerTwin(true, POOL)
    used.shot(Scene(body(trimesh.creation.box((1, 2, 3)), 120)), color=True)
    pictures = []
    for twin in (fresh, used):
        dice = np.random.default_rng(9)
        shot = twin.shot(scene, color=True)
        pictures.append(
            [twin.off(shot, dice), twin.lit(shot, 0, dice), twin.lit(shot, 1, dice), twin.colored(shot, dice)]
        )
    for one, other in zip(*pictures, strict=True):
        assert (one == other).all()


def test_a_turning_table_nods_by_no_more_than_it_says() -> None:
    true = TrueRig.standard(3)
    for nth, step in enumerate(range(0, 6400, 400)):
        rotation, shift = true.carry(step, nth)
        assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-12)
        assert np.degrees(np.arccos(min(rotation[2, 2], 1))) <= 0.0041
        assert np.abs(shift).max() <= 0.0101
        angle = np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0]))
        assert abs((angle - step / 3200 * 360 + 180) % 360 - 180) < 0.04
