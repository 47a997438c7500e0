"""Level sections of models, against those of solids that everybody can compute."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from golmok_vision.scan import OrderError
from golmok_vision.scan.mesh import Model
from golmok_vision.scan.sections import section
from tests.vision.clouds import Piece, block, tube


def model_from(piece: Piece) -> Model:
    n = len(piece.mesh.vertices)
    return Model(
        np.asarray(piece.mesh.vertices, np.float32), np.asarray(piece.mesh.faces, np.int32),
        np.full((n, 3), 160, np.uint8), np.zeros(n, np.uint8), np.zeros(n, np.float32),
    )  # fmt: skip


def test_a_block_has_a_rectangle() -> None:
    found = section(model_from(block()), 7.3)
    assert len(found.loops) == 1
    assert found.length_mm == pytest.approx(2 * (36 + 24), rel=1e-5)
    assert found.area_mm2 == pytest.approx(36 * 24, rel=1e-5)


def test_a_hollow_turns_the_other_way_and_is_no_area() -> None:
    found = section(model_from(tube()), 10.0)
    assert len(found.loops) == 2
    assert found.area_mm2 == pytest.approx(np.pi * (16**2 - 9**2), rel=2e-3)
    assert found.length_mm == pytest.approx(2 * np.pi * (16 + 9), rel=2e-3)


def test_a_section_through_vertices_is_none_the_worse() -> None:
    ball = model_from(Piece.of(trimesh.creation.icosphere(subdivisions=4, radius=10)))
    heights = np.unique(ball.vertices[:, 2])[5:-5:40]
    for height in heights:
        found = section(ball, float(height))
        assert len(found.loops) == 1
        assert found.area_mm2 == pytest.approx(np.pi * (100 - (height - 10) ** 2), rel=0.02, abs=2.0)


def test_where_the_piece_is_not_there_is_no_section() -> None:
    with pytest.raises(OrderError, match=r"from 0\.0 to 18\.0 mm"):
        section(model_from(block()), 30)
