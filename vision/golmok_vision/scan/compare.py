"""How far a model is from a reference: in place (the truth of a simulated scan), or brought together first.

Two questions, both asked: how far is what was measured from the reference (accuracy), and how much of what could be
seen is there (completeness). Invented surface answers neither and is left out of the first. A scale of its own is
fitted to tell whether all is a little too large: print scale and lens, not noise, make that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.cloud import Cloud
from golmok_vision.scan.errors import MeshError
from golmok_vision.scan.mesh import MEASURED, Model, is_closed
from golmok_vision.scan.nearest import Floats, Surface
from golmok_vision.scan.register import register
from golmok_vision.scan.rig import Pose

NEAR_MM: Final = 0.3
_SPRINKLED: Final = 40_000
_ALIGNED: Final = 12_000
_FITTED: Final = 8_000
_ROUNDS: Final = 12
_FAR_MM: Final = 1.0
"""What is farther from the reference than this is another thing and has no say in a fit."""

_LEAST_OVERLAP: Final = 0.2


@dataclass(frozen=True)
class Comparison:
    """`figures` for `--json`; `signed_mm` is how far each vertex is off (positive: outside of the reference)."""

    figures: dict[str, Any]
    signed_mm: Floats
    pose: Pose
    """Brings the model into the reference's frame."""


@dataclass(frozen=True)
class Reference:
    """A mesh that is held to be right; `visible` (n, 3) are points of it that a scan could have seen, if known."""

    surface: Surface
    volume_mm3: float
    visible: Floats | None = None


def reference_of(vertices: npt.ArrayLike, faces: npt.ArrayLike, visible: npt.ArrayLike | None = None) -> Reference:
    """Raises `MeshError` where the mesh has no surface."""
    corners = np.asarray(vertices, float)[np.asarray(faces, np.int64)]
    volume = float(np.einsum("ni,ni->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)
    seen = None if visible is None else np.asarray(visible, float).reshape(-1, 3)
    return Reference(Surface(vertices, faces), abs(volume), seen)


def compare(model: Model, reference: Reference, *, align: bool) -> Comparison:
    """Measure; with `align` the model is brought to the reference first, however it lies."""
    points, normals = measured_surface(model)
    pose = Pose(np.eye(3), np.zeros(3))
    aligned: dict[str, Any] = {}
    if align:
        pose, aligned = _aligned(points, normals, reference.surface)
    moved = pose.into_camera(points)
    near = reference.surface.nearest(moved)
    signed = np.where(near.inside, -near.away_mm, near.away_mm)
    vertices = pose.into_camera(model.vertices)
    at_vertices = reference.surface.nearest(vertices)
    figures = {
        "aligned": align,
        **aligned,
        "measured_share": round(model.share(MEASURED), 4),
        **_spread(signed),
        "scale": round(scale_of(moved, reference.surface), 6),
        "volume_ratio": round(model.volume_mm3 / reference.volume_mm3, 5) if reference.volume_mm3 > 0 else None,
        "watertight": is_closed(model.faces, len(model.vertices)),
    }
    if reference.visible is not None and len(reference.visible):
        figures["visible"] = _reached(Surface(vertices, model.faces), reference.visible)
    return Comparison(figures, np.where(at_vertices.inside, -at_vertices.away_mm, at_vertices.away_mm), pose)


def measured_surface(model: Model, count: int = _SPRINKLED) -> tuple[Floats, Floats]:
    """Points spread evenly over what was measured, and the normals there."""
    faces = model.faces[(model.invented[model.faces] == MEASURED).all(1)]
    if not len(faces):
        raise MeshError("all of the mesh is invented: there is nothing to compare")
    return Surface(model.vertices, faces).sprinkled(count)


def scale_of(points: Floats, surface: Surface) -> float:
    """How large the points' piece is beside the surface, by the similarity that fits best: 1.001 is 0.1 % too large."""
    return 1 / _fit(points[:: max(1, len(points) // _FITTED)], surface, scaled=True)[1]


def _spread(signed: Floats) -> dict[str, float]:
    away = np.abs(signed)
    return {
        "rms_mm": round(float(np.sqrt(np.square(away).mean())), 4),
        "p95_mm": round(float(np.percentile(away, 95)), 4),
        "max_mm": round(float(away.max()), 4),
        "mean_mm": round(float(signed.mean()), 4),
    }


def _reached(surface: Surface, visible: Floats) -> dict[str, Any]:
    """From the truth that could be seen to the model."""
    away = surface.nearest(visible).away_mm
    return {
        "points": len(visible),
        "share_within_0.3_mm": round(float((away <= NEAR_MM).mean()), 4),
        "rms_mm": round(float(np.sqrt(np.square(away).mean())), 4),
        "rms_within_0.3_mm": round(float(np.sqrt(np.square(away[away <= NEAR_MM]).mean())), 4)
        if (away <= NEAR_MM).any() else None,
        "p95_mm": round(float(np.percentile(away, 95)), 4),
    }  # fmt: skip


def _aligned(points: Floats, normals: Floats, surface: Surface) -> tuple[Pose, dict[str, Any]]:
    """From wherever it lies: a coarse search over all rotations, then the exact surface."""
    few = slice(None, None, max(1, len(points) // _ALIGNED))
    found = register(Cloud.of(*surface.sprinkled(_ALIGNED)), Cloud.of(points[few], normals[few]))
    if found.overlap < _LEAST_OVERLAP:
        raise MeshError(
            f"the model and the reference do not fit together ({found.overlap:.0%} of the surface lies on it): is it "
            f"the same piece, and is the reference in millimetres?"
        )
    some = found.pose.into_camera(points)[:: max(1, len(points) // _FITTED)]
    finer, _ = _fit(some, surface, scaled=False)
    rotation = finer.rotation @ found.pose.rotation
    shift = finer.rotation @ found.pose.translation_mm + finer.translation_mm
    return Pose(rotation, shift), {"overlap": round(found.overlap, 4), "alignment_certain": found.is_certain}


def _fit(points: Floats, surface: Surface, *, scaled: bool) -> tuple[Pose, float]:
    """The rotation, shift and (if `scaled`) scale that bring points onto the surface: point to plane, robust."""
    middle = points.mean(0)
    rotation, shift, scale = np.eye(3), np.zeros(3), 1.0
    for _ in range(_ROUNDS):
        centred = scale * (points - middle) @ rotation.T
        near = surface.nearest(centred + middle + shift)
        off = np.einsum("ni,ni->n", centred + middle + shift - near.places, near.normals)
        known = near.away_mm < _FAR_MM
        if known.sum() < 20:
            break
        spread = max(1.4826 * float(np.median(np.abs(off[known]))), 1e-4)
        weight = known / (1 + np.square(off / (2.5 * spread)))
        columns = [np.cross(centred, near.normals), near.normals]
        if scaled:
            columns.append(np.einsum("ni,ni->n", centred, near.normals)[:, None])
        left = np.hstack(columns)
        normal = left.T @ (left * weight[:, None])
        # A ball may turn and a cylinder too: what nothing holds stays as it is.
        step = np.linalg.solve(normal + 1e-7 * np.trace(normal) * np.eye(len(normal)), -left.T @ (off * weight))
        rotation = np.asarray(cv2.Rodrigues(step[:3])[0], float) @ rotation
        shift = shift + step[3:6]
        scale *= 1 + float(step[6]) if scaled else 1.0
        if float(np.abs(step).max()) < 1e-7:
            break
    return Pose(rotation, middle + shift - scale * rotation @ middle), scale
