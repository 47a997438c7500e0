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


def _run(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_vision.scan import Dataset
    from golmok_vision.scan.reconstruct import reconstruct

    threads = max(1, min(4, os.cpu_count() or 1))
    others = [Dataset(each) for each in args.others]
    points = reconstruct(Dataset(args.dataset), others, Progress("points"), threads)
    return {
        "dataset": str(args.dataset),
        "verdict": "pass" if points.passed else "fail",
        **points.figures,
        "troubles": [trouble.document() for trouble in points.troubles],
    }


def _told(found: dict[str, Any]) -> str:
    return "\n".join([
        *told_troubles(found["troubles"]),
        f"{found['verdict']}: {found['points']:,} points from {found['frames']} frames",
    ])  # fmt: skip


COMMAND: Final = Command("reconstruct", "make points and a mesh of the piece's pictures", _arguments, _run, _told)
