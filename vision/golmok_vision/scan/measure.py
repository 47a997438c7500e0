"""Sizes of a model in millimetres, and how far to trust them: what `report.json` holds.

No size without its doubt. Four things make it, and each is told apart: how rough the points lie on the model, how far
the two lasers disagree, what calibrating was unsure of, and whether anything of known size was measured at all. Noise
averages away over a surface, the others do not; so the doubt of a place is made of the last three and what the noise
leaves after smoothing, and the doubt of a length of that at both ends and of the scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from golmok_vision.scan.cloud import Cloud
from golmok_vision.scan.compare import measured_surface
from golmok_vision.scan.dataset import Dataset
from golmok_vision.scan.doubts import AGREE_LIMIT_MM, lasers_apart_mm
from golmok_vision.scan.errors import DatasetError
from golmok_vision.scan.gauge import Gauge, check
from golmok_vision.scan.mesh import INVENTED, MEASURED, PLATE, Model, is_closed
from golmok_vision.scan.nearest import Floats, Surface
from golmok_vision.scan.plate import UNCHECKED
from golmok_vision.scan.sections import section
from golmok_vision.scan.trouble import Trouble, is_good

FORMAT: Final = 1

_COVERAGE: Final = 2.0
"""Doubts are told as twice the standard deviation: about 95 of 100 times the truth lies within."""

_SMOOTHING: Final = 0.35
"""What the model keeps of the points' noise: about ten points lie within the reach of its smoothing."""

_POINTS: Final = 20_000
_MUCH_INVENTED: Final = 0.15
_SOME_INVENTED: Final = 0.02
_WRONG_SCALE: Final = 0.002
_MISSED_MM: Final = 2.0
_TOGETHER, _TOGETHER_MM = 4, 1.0
_MOST_MISSED: Final = 0.003
"""Of the points. Scans of round and blocky pieces had 0 to 0.0015; without a thin arm 0.0038, sharp tips 0.0066."""


@dataclass(frozen=True)
class Question:
    """What is to be measured besides what always is."""

    heights_mm: tuple[float, ...] = ()
    pairs_mm: tuple[tuple[Floats, Floats], ...] = ()
    gauge: Gauge | None = None


def measure(dataset: Dataset, model: Model, cloud: Cloud, question: Question = Question()) -> dict[str, Any]:
    """The document of `report.json`; raises `OrderError`, `MeshError` where a question has no answer."""
    surface = Surface(model.vertices, model.faces)
    gauge = None if question.gauge is None else check(question.gauge, *measured_surface(model))
    trust = _trust(dataset, surface, cloud, gauge)
    doubt = float(trust["place_mm"])
    found: dict[str, Any] = {
        "format": FORMAT,
        "unit": "mm",
        "title": _title(dataset),
        "size_mm": [round(float(edge), 3) for edge in np.ptp(model.vertices, axis=0)],
        "smallest_box_mm": _smallest_box(model),
        "volume_mm3": round(model.volume_mm3, 2),
        "area_mm2": round(float(model.face_areas.sum()), 2),
        "volume_doubt_mm3": round(_volume_doubt(model, trust), 2),
        "triangles": len(model.faces),
        "watertight": is_closed(model.faces, len(model.vertices)),
        "surface": {
            "measured": round(model.share(MEASURED), 4),
            "invented": round(model.share(INVENTED), 4),
            "plate": round(model.share(PLATE), 4),
        },
        "sections": [_section(model, height) for height in question.heights_mm],
        "distances": [_distance(surface, model, *pair, trust) for pair in question.pairs_mm],
        "uncertainty": trust,
    }
    troubles = _troubles(found, doubt)
    told = _told_before(dataset)
    found["verdict"] = "pass" if is_good(troubles) and all(each.get("weight") == "note" for each in told) else "fail"
    found["troubles"] = [*told, *(trouble.document() for trouble in troubles)]
    return found


def _title(dataset: Dataset) -> str:
    try:
        return dataset.description.title
    except DatasetError:
        return ""


def _told_before(dataset: Dataset) -> list[dict[str, Any]]:
    """What reconstructing said of the points: a model of bad points is no good model."""
    if not dataset.reconstruction_file.exists():
        return []
    troubles = dataset.read_json(dataset.reconstruction_file).get("troubles", [])
    return [each for each in troubles if isinstance(each, dict)] if isinstance(troubles, list) else []


# --- sizes


def _smallest_box(model: Model) -> list[float]:
    """Length, width, height of the smallest upright box: how the piece lay on the plate does not matter."""
    _, (one, other), _ = cv2.minAreaRect(np.ascontiguousarray(model.vertices[:, :2]))
    height = float(np.ptp(model.vertices[:, 2]))
    return [round(max(one, other), 3), round(min(one, other), 3), round(height, 3)]


def _section(model: Model, height_mm: float) -> dict[str, Any]:
    found = section(model, height_mm)
    return {
        "height_mm": height_mm,
        "loops": len(found.loops),
        "length_mm": round(found.length_mm, 3),
        "area_mm2": round(found.area_mm2, 3),
    }


def _distance(surface: Surface, model: Model, one: Floats, other: Floats, trust: dict[str, Any]) -> dict[str, Any]:
    """Between the places of the surface that are nearest to the two points."""
    ends = surface.nearest(np.stack([one, other])).places
    length = float(np.linalg.norm(ends[0] - ends[1]))
    nearest = [int(np.square(model.vertices - end).sum(1).argmin()) for end in ends]
    return {
        "from_mm": [round(float(x), 3) for x in ends[0]],
        "to_mm": [round(float(x), 3) for x in ends[1]],
        "distance_mm": round(length, 3),
        "doubt_mm": round(length_doubt_mm(length, trust), 3),
        "measured": bool((model.invented[nearest] == MEASURED).all()),
    }


def length_doubt_mm(length_mm: float, trust: dict[str, Any]) -> float:
    """Of a length between two places: that of both ends, and of the scale."""
    return float(np.hypot(np.sqrt(2) * trust["place_mm"], length_mm * trust["scale"]))


def _volume_doubt(model: Model, trust: dict[str, Any]) -> float:
    """What is common to all places moves the whole surface; the scale counts three times; invented surface unknown."""
    seen = float(model.face_areas.sum()) * model.share(MEASURED)
    return float(np.hypot(seen * trust["place_mm"], 3 * model.volume_mm3 * trust["scale"]))


# --- trust


def _trust(dataset: Dataset, surface: Surface, cloud: Cloud, gauge: dict[str, Any] | None) -> dict[str, Any]:
    some = cloud.points[:: max(1, len(cloud) // _POINTS)]
    away = surface.nearest(some).away_mm
    noise = 1.4826 * float(np.median(away))
    lasers = lasers_apart_mm(cloud)
    rig = dataset.calibration() if dataset.calibration_file.exists() else None
    quality: dict[str, Any] = {} if rig is None else dict(rig.quality)
    calibration = _number(quality.get("uncertainty_mm"))
    # What could not be compared may be as far off as comparing lets pass.
    apart = AGREE_LIMIT_MM if lasers is None else lasers
    parts = [noise * _SMOOTHING, apart / 2, calibration or 0.0]
    scale, source = _scale(gauge, quality)
    return {
        "coverage": "95 %",
        "place_mm": round(_COVERAGE * float(np.linalg.norm(parts)), 4),
        "scale": round(scale, 6),
        "scale_from": source,
        "noise_mm": round(noise, 4),
        "noise_rms_mm": round(float(np.sqrt(np.square(away[away < 1.0]).mean())) if (away < 1).any() else 0.0, 4),
        "lasers": None if rig is None else len(rig.lasers),
        "points_missed": round(_missed(some[away > _MISSED_MM], cloud) / max(len(some), 1), 5),
        "lasers_disagree_mm": None if lasers is None else round(lasers, 4),
        "calibration_mm": calibration,
        "calibration_passed": quality.get("passed"),
        "gauge": gauge,
    }


def _missed(places: npt.NDArray[np.float32], cloud: Cloud) -> int:
    """How many of these points off the model are of a surface: strays stand alone."""
    if not len(places):
        return 0
    away, _ = cKDTree(cloud.points).query(places, k=_TOGETHER + 1, distance_upper_bound=_TOGETHER_MM)
    return int(np.isfinite(away[:, -1]).sum())


def _scale(gauge: dict[str, Any] | None, quality: dict[str, Any]) -> tuple[float, str]:
    """The doubt of all lengths, as a share, and what it follows from."""
    if gauge is not None:
        return _COVERAGE * max(abs(gauge["scale_error"]), 2e-4), "gauge"
    told = quality.get("scale") or {}
    doubt, source = _number(told.get("doubt")), told.get("from")
    return (UNCHECKED, "nothing") if doubt is None or source not in ("plate", "board") else (doubt, str(source))


def _number(value: Any) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    return float(value) if is_one else None


def _troubles(found: dict[str, Any], doubt: float) -> Sequence[Trouble]:
    troubles = []
    invented, trust = found["surface"]["invented"], found["uncertainty"]
    if invented > _MUCH_INVENTED:
        troubles.append(Trouble("much-invented", "note", {"share": invented}))
    elif invented > _SOME_INVENTED:
        troubles.append(Trouble("some-invented", "note", {"share": invented}))
    if trust["points_missed"] > _MOST_MISSED:
        troubles.append(Trouble("missed", "note", {"share": trust["points_missed"], "mm": _MISSED_MM}))
    gauge = trust["gauge"]
    if gauge is not None and abs(gauge["scale_error"]) > _WRONG_SCALE:
        args = {"true": gauge["true_mm"], "measured": gauge["measured_mm"], "percent": 100 * gauge["scale_error"]}
        troubles.append(Trouble("scale-wrong", "bad", args))
    if trust["scale_from"] == "nothing":
        troubles.append(Trouble("scale-unchecked", "note", {"percent": 100 * trust["scale"]}))
    return sorted(troubles, key=lambda trouble: trouble.weight == "note")
