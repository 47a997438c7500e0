"""The pieces that whole scans are judged on, made by formulas: no file of others is needed, and the truth is exact.

The algorithms were worked on with those of `SEEN`; those of `UNSEEN` were scanned when the work was done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import trimesh

from golmok_vision.render.objects import Finish

Floats = npt.NDArray[np.float64]

_AROUND: Final = 256


@dataclass(frozen=True)
class Piece:
    """A mesh in mm, z up, as `golmok-scan simulate` is given it; `size_mm` is its longest edge."""

    mesh: Callable[[], trimesh.Trimesh]
    size_mm: float
    finish: Finish = "plain"
    gauge: str | None = None


def stacked(loops: list[Floats]) -> trimesh.Trimesh:
    """A closed surface over loops (n, 3) of equally many points, counterclockwise from above; a fan closes each end."""
    n = len(loops[0])
    vertices = [*loops, loops[0].mean(0)[None], loops[-1].mean(0)[None]]
    k, after = np.arange(n), (np.arange(n) + 1) % n
    faces = []
    for low in range(len(loops) - 1):
        a, b = low * n, (low + 1) * n
        faces += [np.column_stack([a + k, a + after, b + after]), np.column_stack([a + k, b + after, b + k])]
    bottom, top = len(loops) * n, len(loops) * n + 1
    faces.append(np.column_stack([np.full(n, bottom), after, k]))
    faces.append(np.column_stack([np.full(n, top), (len(loops) - 1) * n + k, (len(loops) - 1) * n + after]))
    return trimesh.Trimesh(np.concatenate(vertices), np.concatenate(faces), process=False)


def ring_of(outer: Floats, inner: Floats, height: float) -> trimesh.Trimesh:
    """What lies between two outlines (n, 2), counterclockwise, upright."""
    n = len(outer)
    lift = [np.column_stack([each, np.full(n, z)]) for z in (0.0, height) for each in (outer, inner)]
    k, after = np.arange(n), (np.arange(n) + 1) % n

    def between(a: int, b: int) -> list[npt.NDArray[np.int64]]:
        return [np.column_stack([a + k, a + after, b + after]), np.column_stack([a + k, b + after, b + k])]

    low_out, low_in, up_out, up_in = (i * n for i in range(4))
    faces = [*between(low_out, up_out), *between(up_out, up_in), *between(up_in, low_in), *between(low_in, low_out)]
    return trimesh.Trimesh(np.concatenate(lift), np.concatenate(faces), process=False)


def _lift(outline: npt.ArrayLike, z: float) -> Floats:
    flat = np.asarray(outline, float)
    return np.column_stack([flat, np.full(len(flat), z)])


def _circle(radius: float, count: int = _AROUND) -> Floats:
    around = 2 * np.pi * np.arange(count) / count
    return radius * np.column_stack([np.cos(around), np.sin(around)])


def _onto_square(wide: float, high: float, count: int = _AROUND) -> Floats:
    """A rectangle's outline, seen from its middle at equal angles, with its corners exact."""
    corners = np.arctan2([high, high, -high, -high], [wide, -wide, -wide, wide])
    around = np.sort(np.concatenate([2 * np.pi * np.arange(count - 4) / (count - 4), corners % (2 * np.pi)]))
    towards = np.column_stack([np.cos(around), np.sin(around)])
    reach = np.min(np.array([wide, high]) / np.maximum(np.abs(towards), 1e-9), axis=1)
    return np.asarray(towards * reach[:, None])


def blob() -> trimesh.Trimesh:
    """Smooth, with hollows."""
    mesh: trimesh.Trimesh = trimesh.creation.icosphere(subdivisions=6, radius=1)
    dice, bumps = np.random.default_rng(5), np.ones(len(mesh.vertices))
    for k in (1, 1, 2, 2, 3):
        bumps += 0.12 / k * np.sin(mesh.vertices @ dice.normal(size=3) * 2 * k + dice.uniform(0, 6))
    mesh.vertices = mesh.vertices * bumps[:, None] * 42
    mesh.vertices[:, 2] = np.maximum(mesh.vertices[:, 2], -34)  # something to stand on
    return mesh


def bracket() -> trimesh.Trimesh:
    """An angle of two plates of 14 mm, with sharp edges outside and inside."""
    outline = np.array([(0, 0), (70, 0), (70, 14), (14, 14), (14, 55), (0, 55)], float)
    loops = [_lift(outline, z) for z in (0.0, 48.0)]
    mesh = stacked(loops)
    middle = np.array([7.0, 7.0])  # sees all of the outline: the fans must begin there
    mesh.vertices[-2:, :2] = middle
    return mesh


def cup() -> trimesh.Trimesh:
    """A wall of 2.5 mm that opens upwards, deeper than it is wide inside."""
    outline = [(0, 0), (22, 0), (31, 64), (28.5, 64), (19.8, 3), (0, 3)]
    mesh: trimesh.Trimesh = trimesh.creation.revolve(np.array(outline, float), sections=_AROUND)
    return mesh


def bowl() -> trimesh.Trimesh:
    """Shallow, a wall of 2.5 mm: a scanner sees its inside."""
    turns = np.linspace(0, 1.15, 40)
    outer = np.column_stack([48 * np.sin(turns), 48 * (1 - np.cos(turns))])
    inner = np.column_stack([45.5 * np.sin(turns), 48 - 45.5 * np.cos(turns)])
    outline = np.concatenate([outer, inner[::-1]])
    outline[:, 1] = np.maximum(outline[:, 1], 1.5)
    outline = outline[np.concatenate([[True], np.linalg.norm(np.diff(outline, axis=0), axis=1) > 1e-6])]
    mesh: trimesh.Trimesh = trimesh.creation.revolve(outline - [0, 1.5], sections=_AROUND)
    return mesh


def holed_plate() -> trimesh.Trimesh:
    """12 mm thick, standing on its edge, a hole of 30 mm through it."""
    mesh = ring_of(_onto_square(40, 35), _circle(15), 12.0)
    mesh.vertices = mesh.vertices[:, [0, 2, 1]] * [1, -1, 1]  # stood up
    return mesh


def ring() -> trimesh.Trimesh:
    """Lying: wide and low, with rounded sides."""
    mesh: trimesh.Trimesh = trimesh.creation.torus(34, 11, major_sections=_AROUND, minor_sections=96)
    mesh.vertices[:, 2] = np.maximum(mesh.vertices[:, 2], -9)
    return mesh


def vase() -> trimesh.Trimesh:
    """Turned, solid, with waist and shoulder."""
    z = np.linspace(0, 90, 120)
    radius = 20 + 9 * np.sin(z / 90 * 2 * np.pi - 0.6) + 4 * np.sin(z / 90 * 5)
    outline = np.concatenate([[(0, 0)], np.column_stack([radius, z]), [(0, 90)]])
    mesh: trimesh.Trimesh = trimesh.creation.revolve(outline, sections=_AROUND)
    return mesh


def painted_vase() -> trimesh.Trimesh:
    """With six soft edges, striped in two colours: orange (31 % of the light comes back) and dark blue (5 %)."""
    around = 2 * np.pi * np.arange(_AROUND) / _AROUND
    loops = []
    for z in np.linspace(0, 75, 100):
        radius = (26 - 6 * np.cos(z / 75 * 5)) * (1 + 0.06 * np.cos(6 * around + z / 20))
        loops.append(np.column_stack([radius * np.cos(around), radius * np.sin(around), np.full(_AROUND, z)]))
    mesh = stacked(loops)
    stripes = np.sin(mesh.vertices[:, 2] / 5 + 2 * np.arctan2(mesh.vertices[:, 1], mesh.vertices[:, 0])) > 0
    colours = np.where(stripes[:, None], [[60, 55, 110]], [[210, 120, 40]])
    mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=np.insert(colours, 3, 255, axis=1).astype(np.uint8))
    return mesh


def last() -> trimesh.Trimesh:
    """Like a shoemaker's last: a flat sole with a waist, a rounded toe, a steep heel, cut off level at the ankle."""
    around = 2 * np.pi * np.arange(_AROUND) / _AROUND
    loops = []
    for rise in np.concatenate([[0.0], 0.5 - 0.5 * np.cos(np.linspace(0.15, np.pi - 0.1, 90)), [1.0]]):
        toe, heel = 58 - 64 * rise**1.6, -42 + 4 * rise
        middle, half = (toe + heel) / 2, (toe - heel) / 2
        x = middle + half * np.cos(around)
        waist = 1 - 0.22 * np.exp(-(((x + 5) / 18) ** 2)) * (1 - rise)
        round_off = np.sqrt(np.clip(0.35 + rise * 6, 0, 1)) * np.sqrt(1 - 0.45 * rise)
        y = 19 * waist * round_off * np.sin(around) + 3 * np.sin(x / 40) * (1 - rise)
        loops.append(np.column_stack([x, y, np.full(_AROUND, 46 * rise)]))
    return stacked(loops)


def gear() -> trimesh.Trimesh:
    """Sixteen teeth, 20 mm high, a bore of 24 mm; lying."""
    around = 2 * np.pi * np.arange(768) / 768
    tooth = np.clip(2.2 * np.sin(16 * around), -1, 1)
    outer = (36 + 3.5 * tooth)[:, None] * np.column_stack([np.cos(around), np.sin(around)])
    return ring_of(outer, _circle(12, 768), 20.0)


def _cylinder() -> trimesh.Trimesh:
    mesh: trimesh.Trimesh = trimesh.creation.cylinder(radius=20, height=60, sections=1024)
    return mesh


def _ball() -> trimesh.Trimesh:
    mesh: trimesh.Trimesh = trimesh.creation.icosphere(subdivisions=6, radius=15)
    return mesh


SEEN: Final[dict[str, Piece]] = {
    "blob": Piece(blob, 90),
    "bracket": Piece(bracket, 70),
    "cup": Piece(cup, 64),
    "bowl": Piece(bowl, 88),
    "plate": Piece(holed_plate, 80),
    "ring": Piece(ring, 90),
    "glossy vase": Piece(vase, 90, "gloss"),
    "painted vase": Piece(painted_vase, 75),
    "textured blob": Piece(blob, 80, "texture"),
}
UNSEEN: Final[dict[str, Piece]] = {
    "last": Piece(last, 100),
    "gear": Piece(gear, 79),
}
GAUGES: Final[dict[str, Piece]] = {
    "gauge cylinder": Piece(_cylinder, 60, gauge="cylinder:40"),
    "gauge ball": Piece(_ball, 30, gauge="ball:30"),
}
PIECES: Final = {**SEEN, **UNSEEN, **GAUGES}
