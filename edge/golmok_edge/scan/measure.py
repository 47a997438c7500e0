"""`golmok-scan measure`: sizes of the model, and how far to trust them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from golmok_edge.scan.command import Command, told_troubles

if TYPE_CHECKING:
    from golmok_vision.scan.measure import Question

_FARTHEST_MM: Final = 1e6


def add_questions(parser: argparse.ArgumentParser) -> None:
    """What can be asked, of `measure` and of `report`."""
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="the folder, reconstructed")
    parser.add_argument(
        "--gauge", metavar="SHAPE:MM", help="what stands there is of known size: ball:30 or cylinder:40 (diameter)"
    )
    parser.add_argument(
        "--section", action="append", default=[], type=float, metavar="MM",
        help="outline, length and area at this height; may be given again",
    )  # fmt: skip
    parser.add_argument(
        "--between", action="append", default=[], metavar="X,Y,Z:X,Y,Z",
        help="distance between the places of the surface nearest to two points; may be given again; "
             "--between=-1,... where it begins with a minus",
    )  # fmt: skip


def question_of(args: argparse.Namespace) -> Question:
    """The arguments as a question; raises `OrderError`."""
    from golmok_vision.scan.gauge import Gauge
    from golmok_vision.scan.measure import Question

    gauge = None if args.gauge is None else Gauge.parse(args.gauge)
    pairs = tuple(_pair(text) for text in args.between)
    return Question(tuple(args.section), pairs, gauge)


def _pair(text: str) -> tuple[Any, Any]:
    one, _, other = text.partition(":")
    return _place(one), _place(other)


def _place(text: str) -> Any:
    import numpy as np

    from golmok_vision.scan import OrderError

    try:
        place = np.array([float(part) for part in text.split(",")])
    except ValueError:
        place = np.empty(0)
    if place.shape != (3,) or not (np.abs(place) <= _FARTHEST_MM).all():
        raise OrderError(f"{text!r} is no place: give --between x,y,z:x,y,z in mm, for instance 12.5,-3,40:0,0,1")
    return place


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Measure, and write `report.json`."""
    from golmok_vision.scan import Dataset
    from golmok_vision.scan.measure import measure
    from golmok_vision.scan.modelling import load_cloud, load_model

    dataset, question = Dataset(args.dataset), question_of(args)
    found = measure(dataset, load_model(dataset), load_cloud(dataset), question)
    dataset.write_json(dataset.report_file, found)
    return found


def _told(found: dict[str, Any]) -> str:
    x, y, z = found["size_mm"]
    trust, gauge = found["uncertainty"], found["uncertainty"]["gauge"]
    lines = [
        *told_troubles(found["troubles"]),
        f"{x:.2f} x {y:.2f} x {z:.2f} mm, {found['volume_mm3'] / 1000:.3f} cm3, {found['area_mm2'] / 100:.2f} cm2",
        f"each place within {trust['place_mm']:.3f} mm, each length within {100 * trust['scale']:.2f} % besides "
        f"({trust['coverage']}); {found['surface']['invented']:.1%} of the surface is invented",
    ]
    if gauge is not None:
        lines.append(
            f"gauge: {gauge['measured_mm']:.3f} mm where {gauge['true_mm']:g} are true "
            f"({100 * gauge['scale_error']:+.3f} %)"
        )
    lines += [
        f"section at {each['height_mm']:g} mm: {each['length_mm']:.2f} mm around, {each['area_mm2']:.2f} mm2"
        for each in found["sections"]
    ]
    lines += [f"distance: {each['distance_mm']:.3f} mm (+- {each['doubt_mm']:.3f})" for each in found["distances"]]
    return "\n".join(lines)


_ABOUT: Final = """\
Needs the model that reconstruct made. Writes report.json. A gauge (--gauge ball:30) scanned with the same calibration
says how far all lengths are off."""

COMMAND: Final = Command("measure", "tell sizes, and how far to trust them", add_questions, measured, _told, _ABOUT)
