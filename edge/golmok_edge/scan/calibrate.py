"""`golmok-scan calibrate`: camera, laser planes and turntable from pictures of the board."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from golmok_edge.scan.command import Command, told_troubles
from golmok_edge.scan.progress import Progress


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="the folder; calibration.json is written there")
    parser.add_argument(
        "--before", type=Path, metavar="DATASET",
        help="an earlier calibration of the same rig: tells when the board is not as large as it was then",
    )  # fmt: skip


def _run(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_vision.scan import Dataset
    from golmok_vision.scan.calibrate import calibrate

    before = None if args.before is None else Dataset(args.before).calibration()
    found = calibrate(Dataset(args.dataset), Progress("calibrate"), before)
    return {"dataset": str(args.dataset), **found.document()}


def _told(found: dict[str, Any]) -> str:
    apart = found["lasers_disagree_mm"]
    agreeing = "one laser, not checked against another" if apart is None else f"{apart:.3f} mm apart"
    lasers = ", ".join(f"{each['rms_mm']:.3f}" for each in found["lasers"])
    return "\n".join([
        *told_troubles(found["troubles"]),
        f"{found['verdict']}: corners {found['camera']['corner_rms_px']:.2f} px in the hand and "
        f"{found['table']['corner_rms_px']:.2f} px on the table, lasers {lasers} mm off their planes, "
        f"{agreeing}, {found['table']['steps_per_turn']:.1f} steps a turn; "
        f"points may be off by {found['uncertainty_mm']:.3f} mm",
    ])  # fmt: skip


_ABOUT: Final = """\
Needs the board's pictures in calib/camera and calib/table. Says in millimetres how far to trust it, and fails where
that is too far, with what to do. No picture tells the board's own size: it is checked by the plate's diameter ([plate]
diameter_mm), by an earlier calibration (--before), or later by a gauge (measure --gauge)."""

COMMAND: Final = Command(
    "calibrate", "find camera, lasers and turntable from the board", _arguments, _run, _told, _ABOUT
)
