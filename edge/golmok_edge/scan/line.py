"""`golmok-scan line`: the column of the laser's line in each row of a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from golmok_edge.scan.command import Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--image", type=Path, required=True, metavar="FILE", help="the picture with the line")
    parser.add_argument("--off", type=Path, metavar="FILE", help="the same picture with the laser off, if there is one")


def _run(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_vision.scan import find_line, read_any_picture

    off = None if args.off is None else read_any_picture(args.off)
    line = find_line(read_any_picture(args.image), off)
    return {"x": [None if column != column else round(float(column), 4) for column in line.x]}


def _told(found: dict[str, Any]) -> str:
    columns = [column for column in found["x"] if column is not None]
    if not columns:
        return "no line"
    return f"{len(columns)} of {len(found['x'])} rows have the line, columns {min(columns):.2f} to {max(columns):.2f}"


COMMAND: Final = Command("line", "find the laser's line in a picture", _arguments, _run, _told)
