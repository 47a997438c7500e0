"""Meshes of others: usable in whatever state they come, or refused in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from golmok_vision.render.objects import FINISHES, Finish, Solid, dress, load, sample, stand
from golmok_vision.scan import MeshError

CUBE = trimesh.creation.box((2.0, 1.0, 4.0))
BLOCK = Solid(np.asarray(CUBE.vertices, float), np.asarray(CUBE.faces, np.int64))


@pytest.mark.parametrize("kind", ["stl", "ply", "obj", "STL"])
def test_the_three_formats_are_read(kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"cube.{kind}"
    CUBE.export(file, file_type=kind.lower())
    solid = stand(load(file), 100)
    assert len(solid.faces) == 12
    assert np.ptp(solid.vertices, axis=0) == pytest.approx([50, 25, 100])
    assert solid.vertices[:, 2].min() == pytest.approx(0)
    assert solid.vertices[:, :2].mean(0) == pytest.approx([0, 0])


def test_colours_of_vertices_come_along(tmp_path: Path) -> None:
    file = tmp_path / "red.ply"
    trimesh.Trimesh(CUBE.vertices, CUBE.faces, vertex_colors=[[255, 0, 0, 255]] * 8, process=False).export(file)
    colors = load(file).colors
    assert colors is not None
    assert colors[0] == pytest.approx([1, 0, 0])


@pytest.mark.parametrize(("scale", "shift"), [(1e-3, 0.0), (1e6, 0.0), (1.0, 3e4), (1e-2, -500.0)])
def test_unit_and_place_do_not_matter(scale: float, shift: float, tmp_path: Path) -> None:
    mesh = CUBE.copy()
    mesh.apply_scale(scale)
    mesh.apply_translation([shift, -shift, shift])
    mesh.export(tmp_path / "far.stl")
    solid = stand(load(tmp_path / "far.stl"), 80)
    assert np.ptp(solid.vertices, axis=0) == pytest.approx([40, 20, 80], rel=0.01)


def test_a_mesh_with_holes_flipped_and_degenerate_triangles_is_taken(tmp_path: Path) -> None:
    faces = CUBE.faces[:-2].copy()
    faces[::2] = faces[::2, ::-1]
    faces = np.vstack([faces, [[0, 0, 0], [1, 1, 2]]])
    lines = [f"v {x} {y} {z}\n" for x, y, z in CUBE.vertices] + [f"f {a} {b} {c}\n" for a, b, c in faces + 1]
    (tmp_path / "odd.obj").write_text("".join(lines))
    body = dress(stand(load(tmp_path / "odd.obj"), 60), "plain", np.random.default_rng(0))
    assert len(body.corners) == 3 * 10
    assert np.linalg.norm(body.normals, axis=1) == pytest.approx(np.ones(30), abs=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"", "STL, PLY or OBJ"),
        ("a.step", b"", "STL, PLY or OBJ"),
        ("a.stl", b"", "a.stl"),
        ("a.stl", b"\x00" * 84, "no triangles"),
        ("a.stl", b"\x07" * 300, "a.stl"),
        ("a.stl", b"solid x\nfacet normal 0 0 1\nouter", "a.stl"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex 3\n", "a.ply"),
        ("a.ply", b"nonsense", "a.ply"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "a.obj"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nf 1 2 9\n", "a.obj"),
        ("a.obj", b"\xff\xfe\x00", "a.obj"),
        ("a.obj", b"v 1e300 0 0\nv 0 1e300 0\nv 0 0 1e300\nf 1 2 3\n", "no triangles"),
        ("a.obj", b"v 0 0 nan\nv 1 0 nan\nv 0 1 nan\nf 1 2 3\n", "no triangles"),
    ],
)
def test_what_is_no_mesh_is_refused_in_words(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MeshError, match=said):
        load(tmp_path / name)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MeshError, match="No such file"):
        load(tmp_path / "gone.stl")


def test_a_needle_and_a_point_are_refused(tmp_path: Path) -> None:
    for text in ("v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n"):
        (tmp_path / "thin.obj").write_text(text)
        with pytest.raises(MeshError, match=r"point|line|triangles"):
            stand(load(tmp_path / "thin.obj"), 100)


@pytest.mark.parametrize("finish", FINISHES)
def test_each_finish_gives_colours_that_a_surface_can_have(finish: Finish) -> None:
    solid = stand(BLOCK, 60)
    body = dress(solid, finish, np.random.default_rng(0))
    assert body.colors.shape == body.corners.shape == body.normals.shape
    assert body.colors.min() > 0.001
    assert body.colors.max() < 1
    if finish == "texture":
        assert np.ptp(body.colors) > 0.3
        longest = np.linalg.norm(body.corners[0::3] - body.corners[1::3], axis=1).max()
        assert longest <= 2.0


def test_samples_lie_evenly_on_the_surface() -> None:
    solid = stand(BLOCK, 4)
    points, normals = sample(solid, 20_000, np.random.default_rng(0))
    top = normals[:, 2] > 0.9
    assert top.mean() == pytest.approx(2 / (2 * (2 + 8 + 4)), abs=0.01)
    assert points[top][:, 2] == pytest.approx(np.full(top.sum(), 4.0))
