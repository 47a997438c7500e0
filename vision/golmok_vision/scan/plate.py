"""The plate as a gauge: its rim says whether the board is as large as it is said to be, its surface where z = 0 is.

No picture of a board tells its size: a board printed 3 % too small gives the same pictures as a right one nearer by.
All that is measured is then 3 % too large, and everything fits. Only something whose length is known otherwise can
tell; the plate always is in the picture, and its diameter is measured once, by caliper. The rim is looked for along
rays out of the axis, on the plane z = 0, in the pictures of the board on the table; what stands before it differs
from picture to picture and is outvoted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from golmok_vision.scan.dataset import Dataset, Picture
from golmok_vision.scan.errors import PictureDamagedError, PictureMissingError
from golmok_vision.scan.points import Triangulator
from golmok_vision.scan.rig import Rig
from golmok_vision.scan.trouble import Trouble

Floats: TypeAlias = npt.NDArray[np.float64]
Singles: TypeAlias = npt.NDArray[np.float32]

SIZE_LIMIT: Final = 0.004
UNCHECKED: Final = 0.005
"""How wrong a printed board's size may be where nobody measured it: printers stretch by 0.1 to 0.5 %."""

CHECKED: Final = 0.001
"""What a caliper, and a print that is not stretched alike both ways, leave."""

HEIGHT_LIMIT_MM: Final = 0.3
_AROUND: Final = 360
_ACROSS: Final = (0.12, 0.4)
"""Of the radius: how far aside of its place the rim is looked for, first near by, then far away. Printers that fit to
the page shrink by 3 to 6 %; another board, or another plate, is off by more."""

_STEP_MM: Final = 0.2
_SMOOTH_MM: Final = 0.8
_CLEAR: Final = 5.0
_FEWEST: Final = 60
_MOST_PICTURES: Final = 48
_HEIGHT_PICTURES: Final = 8
_SAME_DEG: Final = 0.4
_SAME_FOCAL: Final = 0.01


@dataclass(frozen=True)
class Judged:
    """What the plate says: troubles, figures for `quality`; what all lengths rest on, and the share they may be off."""

    troubles: tuple[Trouble, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    scale_from: Literal["plate", "board", "print"] = "print"
    scale_doubt: float = UNCHECKED


def judge(dataset: Dataset, rig: Rig, before: Rig | None = None) -> Judged:
    """Compare the plate as this rig sees it with what `dataset.toml` says, or the rig with itself as it was before."""
    description = dataset.description
    troubles: list[Trouble] = []
    figures: dict[str, Any] = {"nominal_diameter_mm": description.plate.diameter_mm or None, "diameter_mm": None}
    nominal = description.plate.diameter_mm
    measured = _measured_mm(dataset, rig, nominal) if nominal else None
    grown = None if before is None else same_rig_grown(before, rig)
    length = description.board.length_mm
    if measured is None:
        if nominal:
            troubles.append(Trouble("rim-unseen", "note"))
        if not length:
            args = {"percent": 100 * UNCHECKED, "squares": description.board.squares_x}
            troubles.append(Trouble("size-unchecked", "note", args))
        if grown is not None and abs(grown - 1) > SIZE_LIMIT:
            troubles.append(Trouble("size-changed", "note", {"percent": 100 * (grown - 1)}))
    else:
        figures["diameter_mm"] = round(measured, 3)
        if abs(measured / nominal - 1) > SIZE_LIMIT:
            square = description.board.square_mm * nominal / measured
            troubles.append(Trouble("board-size", "bad", {"measured": measured, "nominal": nominal, "square": square}))
    height = height_mm(dataset, rig)
    figures["height_mm"] = None if height is None else round(height, 4)
    if height is not None and abs(height) > HEIGHT_LIMIT_MM:
        troubles.append(Trouble("thickness", "note", {"mm": height}))
    if measured is not None:
        return Judged(tuple(troubles), figures, "plate", max(abs(measured / nominal - 1), CHECKED))
    return Judged(tuple(troubles), figures, *(("board", CHECKED) if length else ("print", UNCHECKED)))


def _measured_mm(dataset: Dataset, rig: Rig, nominal_mm: float) -> float | None:
    found = (diameter_mm(_pictures(dataset, rig), rig, nominal_mm, across) for across in _ACROSS)
    return next((mm for mm in found if mm is not None), None)


def same_rig_grown(before: Rig, now: Rig) -> float | None:
    """By which factor all lengths of a rig have grown since it was calibrated before; nothing where it is another one.

    A board of another size than the one before leaves lens and angles as they are and makes the camera stand nearer or
    farther in proportion. A camera that was moved does not: it would have to go exactly along its own view.
    """
    if len(before.lasers) != len(now.lasers) or before.lens.width != now.lens.width:
        return None
    views = [np.asarray(rig.pose.rotation[2]) for rig in (before, now)]
    turned = [
        _apart_deg(*views),
        *(_apart_deg(a.normal, b.normal) for a, b in zip(before.lasers, now.lasers, strict=True)),
    ]
    if max(turned) > _SAME_DEG or abs(now.lens.fx_px / before.lens.fx_px - 1) > _SAME_FOCAL:
        return None
    away = [float(np.hypot(*rig.pose.centre_mm[:2])) for rig in (before, now)]
    return away[1] / away[0]


def _apart_deg(one: Floats, other: Floats) -> float:
    return float(np.degrees(np.arccos(np.clip(one @ other, -1, 1))))


def _pictures(dataset: Dataset, rig: Rig) -> Iterator[Picture]:
    """Pictures of the table without lasers, those that can be used."""
    count = len(dataset.description.steps.table)
    for view in range(0, count, max(1, count // _MOST_PICTURES)):
        yield from _usable(dataset, rig, [dataset.table_file(view, "off")])


def _usable(dataset: Dataset, rig: Rig, files: Sequence[Path]) -> list[Picture]:
    """These pictures, or none of them where one is missing, damaged, or of another size than the rig's."""
    try:
        return list(dataset.read_pictures(files, (rig.lens.width, rig.lens.height)))
    except (PictureMissingError, PictureDamagedError):
        return []


def diameter_mm(pictures: Iterator[Picture], rig: Rig, nominal_mm: float, across: float = _ACROSS[0]) -> float | None:
    """The plate's diameter by the rig's own millimetres; nothing where its rim does not stand out."""
    around = np.radians(np.arange(_AROUND) * 360.0 / _AROUND)
    out = nominal_mm / 2 * np.arange(1 - across, 1 + across, 2 * _STEP_MM / nominal_mm)
    places = np.zeros((_AROUND, len(out), 3))
    places[:, :, 0], places[:, :, 1] = np.cos(around)[:, None] * out, np.sin(around)[:, None] * out
    pixels = rig.project(places.reshape(-1, 3)).astype(np.float32).reshape(_AROUND, len(out), 2)
    inside = ((pixels > 1) & (pixels < np.array([rig.lens.width, rig.lens.height]) - 2)).all(2)
    profiles = [
        cv2.remap(picture, pixels[:, :, 0].copy(), pixels[:, :, 1].copy(), cv2.INTER_LINEAR) for picture in pictures
    ]
    if not profiles:
        return None
    typical = _outvoted(np.stack(profiles))
    edge = gaussian_filter1d(typical, _SMOOTH_MM / _STEP_MM, axis=1, order=1)
    edge[~inside] = 0
    rim = _rim(edge, out)
    good = np.isfinite(rim)
    if good.sum() < _FEWEST:
        return None
    circle = _circle(rim[good, None] * np.column_stack([np.cos(around[good]), np.sin(around[good])]))
    return None if circle is None else 2 * circle


def _outvoted(profiles: npt.NDArray[np.uint8]) -> Floats:
    """For each place the mean of the darker half but the darkest: boards and pieces before it are brighter."""
    ordered = np.sort(profiles, axis=0).astype(float)
    count = len(ordered)
    return np.asarray(ordered[count // 10 : max(count // 10 + 1, (6 * count) // 10)].mean(0))


def _rim(edge: Floats, out: Floats) -> Floats:
    """In each direction the radius of the rim, NaN where it does not stand out near where most directions have it."""
    strength = np.abs(edge)
    noise = 1.5 * np.median(strength, axis=1) + 1e-6
    together = np.mean(np.minimum(strength / noise[:, None], 2 * _CLEAR), axis=0)
    usual = int(together.argmax())
    reach = round(2.0 / _STEP_MM)
    low, high = max(usual - reach, 1), min(usual + reach + 1, len(out) - 1)
    rim = np.full(len(edge), np.nan)
    peak = low + strength[:, low:high].argmax(1)
    for k in np.flatnonzero(strength[np.arange(len(edge)), peak] > _CLEAR * noise):
        a, b, c = strength[k, peak[k] - 1 : peak[k] + 2]
        bend = a - 2 * b + c
        rim[k] = out[peak[k]] + (0.5 * (a - c) / bend if bend < 0 else 0.0) * _STEP_MM
    return rim


def _circle(points: Floats) -> float | None:
    """The radius of the circle through most of the points (its middle need not be the axis)."""
    kept = np.ones(len(points), bool)
    radius = None
    for _ in range(8):
        a = np.column_stack([2 * points[kept], np.ones(int(kept.sum()))])
        x, y, c = np.linalg.lstsq(a, np.square(points[kept]).sum(1), rcond=None)[0]
        radius = float(np.sqrt(c + x * x + y * y))
        off = np.abs(np.hypot(points[:, 0] - x, points[:, 1] - y) - radius)
        kept = off < max(0.15, 3 * float(np.median(off)))
        if kept.sum() < _FEWEST:
            return None
    return radius


def height_mm(dataset: Dataset, rig: Rig) -> float | None:
    """How high the plate lies by the lasers, while the board lay on it."""
    steps = dataset.description.steps
    views = [k for k, placement in enumerate(steps.placement) if placement in steps.lying]
    radius = dataset.description.plate.diameter_mm / 2 or 1.5 * dataset.description.board.square_mm * max(
        dataset.description.board.squares_x, dataset.description.board.squares_y
    )
    triangulator = Triangulator(rig, radius)
    found, lasers = [], dataset.lasers
    for view in views[:: max(1, len(views) // _HEIGHT_PICTURES)]:
        pictures = _usable(dataset, rig, [dataset.table_file(view, light) for light in ("off", *lasers)])
        found += [triangulator.plate_mm(picture, pictures[0], laser) for laser, picture in enumerate(pictures[1:])]
    known = [mm for mm in found if np.isfinite(mm)]
    return float(np.median(known)) if len(known) >= 3 else None
