"""`golmok-scan calibrate`: camera, laser planes and turntable from pictures of the board."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from golmok_edge.scan.command import Command, told_troubles
from golmok_edge.scan.progress import Progress
from golmok_edge.settings.language import language_of


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="the folder; calibration.json is written there")
    parser.add_argument(
        "--before", type=Path, metavar="DATASET",
        help="an earlier calibration of the same rig: tells when the board is not as large as it was then",
    )  # fmt: skip
    parser.add_argument(
        "--board-mm", type=float, metavar="MM",
        help="the printed board's length over all its squares_x squares, by caliper: all lengths rest on it",
    )  # fmt: skip


def _asked(squares: int) -> float | None:
    """Whoever calibrates at a terminal is asked once; the print alone may be off by half a percent."""
    is_korean = language_of() == "ko"
    question = (
        f"인쇄한 보정판의 {squares}칸 전체 길이(캘리퍼, mm; 재지 않았으면 Enter): " if is_korean
        else f"Length of the printed board over its {squares} squares, by caliper, in mm (Enter: not measured): "
    )  # fmt: skip
    print(question, end="", file=sys.stderr, flush=True)
    try:
        return float(sys.stdin.readline().strip().replace(",", "."))
    except ValueError:
        return None


def _run(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_vision.scan import Dataset
    from golmok_vision.scan.calibrate import calibrate

    before = None if args.before is None else Dataset(args.before).calibration()
    dataset, board_mm = Dataset(args.dataset), args.board_mm
    board, plate = dataset.description.board, dataset.description.plate
    if board_mm is None and not board.length_mm and not plate.diameter_mm and sys.stdin.isatty() and not args.json:
        board_mm = _asked(board.squares_x)
    found = calibrate(dataset, Progress("calibrate"), before, board_mm or 0.0)
    return {"dataset": str(args.dataset), **found.document()}


def _told(found: dict[str, Any]) -> str:
    apart, scale = found["lasers_disagree_mm"], found["scale"]
    agreeing = "one laser, not checked against another" if apart is None else f"{apart:.3f} mm apart"
    lasers = ", ".join(f"{each['rms_mm']:.3f}" for each in found["lasers"])
    return "\n".join([
        *told_troubles(found["troubles"]),
        f"{found['verdict']}: corners {found['camera']['corner_rms_px']:.2f} px in the hand and "
        f"{found['table']['corner_rms_px']:.2f} px on the table, lasers {lasers} mm off their planes, "
        f"{agreeing}, {found['table']['steps_per_turn']:.1f} steps a turn; "
        f"points may be off by {found['uncertainty_mm']:.3f} mm",
        f"all lengths rest on {_SCALES[scale['from']]}: they may be wrong by {100 * scale['doubt']:.2f} %",
    ])  # fmt: skip


_SCALES: Final = {
    "plate": "the board, checked by the plate's diameter",
    "board": "the board as measured by caliper",
    "print": "the print alone, which nobody measured",
}

_ABOUT: Final = """\
Needs the board's pictures in calib/camera and calib/table. Says in millimetres how far to trust it, and fails where
that is too far, with what to do. No picture tells the board's own size: measure the printed board with a caliper
(--board-mm, or length_mm in [board]). It is checked by the plate's diameter ([plate] diameter_mm), by an earlier
calibration (--before), or later by a gauge (measure --gauge)."""

COMMAND: Final = Command(
    "calibrate", "find camera, lasers and turntable from the board", _arguments, _run, _told, _ABOUT
)
