"""Comparing with a mesh that is right: each error that we put in is found, and called what it is."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import trimesh

from golmok_vision.scan import MeshError
from golmok_vision.scan.compare import Reference, compare, reference_of, scale_of
from golmok_vision.scan.deviation import colour_range_mm, deviation_ply, deviation_png
from golmok_vision.scan.mesh import INVENTED, Model
from golmok_vision.scan.nearest import Surface
from golmok_vision.scan.rig import turn
from tests.vision.clouds import Piece
from tests.vision.test_scan_sections import model_from

pytestmark = pytest.mark.timeout(600)  # seconds of work; beside seven other jobs on two cores they are minutes


def finer(mesh: Any) -> trimesh.Trimesh:
    """Triangles of 3 mm or less."""
    cut: Any = trimesh.remesh.subdivide_to_size  # it has no types
    vertices, faces = cut(mesh.vertices, mesh.faces, 3.0)
    return trimesh.Trimesh(vertices, faces, process=False)


@cache
def piece() -> Piece:
    """Something that fits in one way only."""
    parts = [trimesh.creation.box((40, 24, 10)), trimesh.creation.box((12, 8, 30))]
    parts[1].apply_translation([10, 5, 12])
    return Piece.of(finer(trimesh.util.concatenate(parts)))


def reference(*, visible: bool = False) -> Reference:
    mesh = piece().mesh
    return reference_of(mesh.vertices, mesh.faces, piece().seen(5000)[0] if visible else None)


def test_the_same_is_the_same() -> None:
    found = compare(model_from(piece()), reference(visible=True), align=False).figures
    assert found["rms_mm"] == pytest.approx(0, abs=1e-4)
    assert found["scale"] == pytest.approx(1, abs=1e-6)
    assert found["volume_ratio"] == pytest.approx(1, abs=1e-5)
    assert found["visible"]["share_within_0.3_mm"] == 1


def test_too_large_is_a_scale() -> None:
    points, _ = piece().seen(8000)
    mesh = piece().mesh
    assert scale_of(points * 1.004 + 0.2, Surface(mesh.vertices, mesh.faces)) == pytest.approx(1.004, abs=1e-4)


def test_however_it_lies_it_is_brought_there() -> None:
    found = model_from(piece())
    tilted = turn(50) @ np.array([[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]])
    lying = Model(
        (found.vertices @ tilted.T + [30, -5, 80]).astype(np.float32), found.faces, found.colours, found.invented,
        found.gap_mm,
    )  # fmt: skip
    aligned = compare(lying, reference(), align=True)
    assert aligned.figures["rms_mm"] < 0.01
    assert aligned.figures["alignment_certain"]
    assert np.abs(aligned.signed_mm).max() < 0.05


def test_what_is_missing_is_not_reached_and_what_is_invented_has_no_say() -> None:
    found = model_from(piece())
    high = found.vertices[:, 2] > 15
    flat = np.where(high[:, None], found.vertices * [1, 1, 0] + [0, 0, 15], found.vertices)
    cut = Model(flat.astype(np.float32), found.faces, found.colours, high.astype(np.uint8) * INVENTED, found.gap_mm)
    figures = compare(cut, reference(visible=True), align=False).figures
    assert figures["rms_mm"] < 0.05
    assert figures["visible"]["share_within_0.3_mm"] < 0.98
    assert figures["measured_share"] < 0.99


def test_another_piece_is_refused() -> None:
    large = trimesh.creation.icosphere(subdivisions=5, radius=60)
    with pytest.raises(MeshError, match="do not fit together"):
        compare(model_from(Piece.of(large)), reference(), align=True)


def test_the_map_tells_how_far_and_on_which_side() -> None:
    found = model_from(piece())
    grown = Model(
        (found.vertices + np.array([0.2, 0, 0])).astype(np.float32),
        found.faces,
        found.colours,
        found.invented,
        found.gap_mm,
    )
    compared = compare(grown, reference(), align=False)
    most = colour_range_mm(compared.signed_mm, grown)
    ply = trimesh.exchange.ply.load_ply(trimesh.util.wrap_as_stream(deviation_ply(grown, compared, most)))
    vertex = ply["metadata"]["_ply_raw"]["vertex"]["data"]
    right = found.vertices[:, 0] > 19.9
    assert np.median(vertex["deviation_mm"][right]) == pytest.approx(0.2, abs=1e-3)
    assert np.median(vertex["red"][right]) > np.median(vertex["blue"][right])
    assert deviation_png(grown, compared, most)[:4] == b"\x89PNG"
