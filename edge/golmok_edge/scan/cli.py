"""`golmok-scan`: a piece on the turntable becomes points and a mesh in millimetres, stage by stage."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

from golmok_edge.scan import (
    calibrate,
    capture,
    compare,
    export,
    graycode,
    line,
    measure,
    reconstruct,
    report,
    send,
    serve,
    simulate,
)
from golmok_edge.scan.command import Command, told_troubles

_EPILOG: Final = """\
examples:
  golmok-scan simulate --mesh last.stl --out scan1 --seed 1     pictures of a scanner that is not there, with the truth
  golmok-scan capture scan1 --config gateway.toml               the pictures, from the scanner
  golmok-scan calibrate scan1                                   camera, lasers and turntable from the board's pictures
  golmok-scan reconstruct scan1                                 points and a mesh from the piece's pictures
  golmok-scan measure scan1 --section 20 --gauge ball:30        sizes in millimetres, and how far to trust them
  golmok-scan report scan1                                      one page with pictures, for the customer
  golmok-scan export scan1 --kind obj --triangles 50000         the model for another program
  golmok-scan send scan1 --config gateway.toml                  model and report to the cloud
  golmok-scan compare scan1 --reference last.stl                how far the model is from a mesh that is right
  golmok-scan line --image l0.png --off off.png --json          the column of the laser's line in each row
  golmok-scan graycode --frames DIR --width 1024 --height 768 --calibration pair.xml --json

exit codes: 0 done, 1 what was asked for failed, 2 wrong usage
"""
COMMANDS: Final[tuple[Command, ...]] = (
    simulate.COMMAND,
    capture.COMMAND,
    calibrate.COMMAND,
    reconstruct.COMMAND,
    measure.COMMAND,
    report.COMMAND,
    export.COMMAND,
    compare.COMMAND,
    send.COMMAND,
    line.COMMAND,
    graycode.COMMAND,
    serve.COMMAND,
    serve.PIN_COMMAND,
)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; gives the exit code."""
    args = _parser().parse_args(argv)
    try:
        code = _run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _run(args: argparse.Namespace) -> int:
    # Only here: cv2, numpy and scipy take a second to load, and `--help` must not.
    from golmok_edge.scan.words import failure
    from golmok_vision.scan import OrderError, ScanError

    try:
        found: dict[str, Any] = args.run(args)
    except (ScanError, OSError) as error:
        troubles = [trouble.document() for trouble in getattr(error, "troubles", ())] or failure(error)
        if args.json:
            more = {"verdict": "fail", "troubles": troubles} if troubles else {}
            print(json.dumps({"error": str(error), **more}, ensure_ascii=False))
        print("\n".join([*told_troubles(troubles)] or [f"golmok-scan: {error}"]), file=sys.stderr)
        return 2 if isinstance(error, OrderError) else 1
    except KeyboardInterrupt:
        print("golmok-scan: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    if args.json:
        print(json.dumps(found, ensure_ascii=False, allow_nan=False))
    else:
        print(args.tell(found))
    return 1 if found.get("verdict") == "fail" else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="golmok-scan",
        description="Scans a piece on a turntable with laser lines: points, meshes, sizes in millimetres.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
