"""How far a model is off, place by place: a mesh with a value and a colour at each vertex, and a picture of it."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import trimesh

from golmok_vision.scan.compare import Comparison
from golmok_vision.scan.dataset import Picture
from golmok_vision.scan.mesh import MEASURED, Model
from golmok_vision.scan.nearest import Floats
from golmok_vision.scan.picture import deviation_colours, drawn, png

_AZIMUTHS: Final = (-35.0, 145.0)
_SIZE: Final = 520
_BAR: Final = 64
_GREY: Final = (176, 176, 176)
_LEAST_MM: Final = 0.05


def colour_range_mm(signed_mm: Floats, model: Model) -> float:
    """The deviation that gets the full colour: nearly all of what was measured is within."""
    measured = np.abs(signed_mm[model.invented == MEASURED])
    return max(_LEAST_MM, float(np.percentile(measured, 98))) if len(measured) else 1.0


def _colours(model: Model, found: Comparison, most_mm: float) -> Floats:
    """What was never measured is grey: it has no deviation that means anything."""
    coloured = deviation_colours(found.signed_mm, most_mm)
    return np.where((model.invented == MEASURED)[:, None], coloured, np.array(_GREY, float))


def deviation_ply(model: Model, found: Comparison, most_mm: float) -> bytes:
    """The model in the reference's frame, `deviation_mm` and `invented` at each vertex, coloured."""
    colours = np.clip(np.rint(_colours(model, found, most_mm)), 0, 255).astype(np.uint8)
    mesh = trimesh.Trimesh(found.pose.into_camera(model.vertices), model.faces, process=False)
    mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=np.insert(colours, 3, 255, axis=1))
    mesh.vertex_attributes["deviation_mm"] = found.signed_mm.astype(np.float32)
    mesh.vertex_attributes["invented"] = model.invented
    return bytes(trimesh.exchange.ply.export_ply(mesh, vertex_normal=False))


def deviation_png(model: Model, found: Comparison, most_mm: float) -> bytes:
    """From two sides, with a bar that tells what the colours mean."""
    colours = _colours(model, found, most_mm)
    views = [drawn(model, colours, azimuth, size=_SIZE) for azimuth in _AZIMUTHS]
    picture = np.vstack([np.hstack(views), _bar(most_mm, _SIZE * len(views))])
    return png(np.ascontiguousarray(picture))


def _bar(most_mm: float, width: int) -> Picture:
    bar = np.full((_BAR, width, 3), (246, 249, 250), np.uint8)
    left, right = width // 5, width - width // 5
    values = np.linspace(-most_mm, most_mm, right - left)
    bar[10:30, left:right] = np.rint(deviation_colours(values, most_mm)[:, ::-1]).astype(np.uint8)
    for share, value in ((0.0, -most_mm), (0.5, 0.0), (1.0, most_mm)):
        text = f"{value:+.3f} mm" if value else "0"
        (wide, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
        at = round(left + share * (right - left) - wide / 2)
        cv2.putText(bar, text, (at, 52), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (60, 60, 60), 1, cv2.LINE_AA)
    return bar
