"""`golmok-scan reconstruct`: the piece's pictures become points and a mesh."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, Final

from golmok_edge.scan.command import Command, told_troubles
from golmok_edge.scan.progress import Progress


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="the folder, calibrated; a stopped one goes on")
    parser.add_argument(
        "--with", dest="others", action="append", default=[], type=Path, metavar="DATASET",
        help="the same piece lying otherwise, in a dataset of its own; may be given again",
    )  # fmt: skip
    parser.add_argument("--triangles", type=int, metavar="N", help="make a mesh of no more than N triangles")
    parser.add_argument("--points-only", action="store_true", help="write cloud.ply and make no mesh")


def _run(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_vision.scan import Dataset
    from golmok_vision.scan.errors import MeshError, ReconstructionError
    from golmok_vision.scan.modelling import figures_of, forget_model, make_model
    from golmok_vision.scan.reconstruct import reconstruct
    from golmok_vision.scan.trouble import Trouble

    threads = max(1, min(4, os.cpu_count() or 1))
    dataset, others = Dataset(args.dataset), [Dataset(each) for each in args.others]
    forget_model(dataset)
    points = reconstruct(dataset, others, Progress("points"), threads)
    found = {
        "dataset": str(args.dataset),
        "verdict": "pass" if points.passed else "fail",
        **points.figures,
        "troubles": [trouble.document() for trouble in points.troubles],
    }
    dataset.write_json(dataset.reconstruction_file, found)  # measuring and the report tell it again
    if not args.points_only:
        try:
            found["mesh"] = figures_of(make_model(dataset, points.cloud, args.triangles, Progress("mesh")))
        except MeshError as error:
            why = str(error).partition(":")[0]
            raise ReconstructionError([*points.troubles, Trouble("no-mesh", "bad", {"why": why})]) from error
    return found


def _told(found: dict[str, Any]) -> str:
    lines = [
        *told_troubles(found["troubles"]),
        f"{found['verdict']}: {found['points']:,} points from {found['frames']} frames",
    ]
    mesh = found.get("mesh")
    if mesh:
        lines.append(
            f"mesh of {mesh['triangles']:,} triangles, closed, {mesh['volume_mm3'] / 1000:.2f} cm3, "
            f"{mesh['invented_share']:.1%} of its surface invented"
        )
    return "\n".join(lines)


_ABOUT: Final = """\
Needs calibration.json. Pictures that cannot be used are left out and named. A verdict of "fail" (exit code 1) means
that the model is there and must not be trusted. Stopped or killed, the same command goes on."""

COMMAND: Final = Command(
    "reconstruct", "make points and a mesh of the piece's pictures", _arguments, _run, _told, _ABOUT
)
