"""`golmok-scan graycode`: decode and triangulate the pictures of a projector's Gray code."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, Final

from golmok_edge.scan.command import Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--frames", type=Path, required=True, metavar="DIR", help="the pictures, in order of their names"
    )
    parser.add_argument("--width", type=int, required=True, metavar="W", help="columns of the projector")
    parser.add_argument("--height", type=int, required=True, metavar="H", help="rows of the projector")
    parser.add_argument(
        "--calibration", type=Path, required=True, metavar="FILE", help="OpenCV's XML or YAML of the pair"
    )
    parser.add_argument(
        "--step", type=float, metavar="N", help="the calibration's pixels per stripe (found if not given)"
    )


def _run(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_vision.scan import graycode, read_any_picture

    files = sorted(file for file in args.frames.iterdir() if file.suffix.lower() in (".png", ".jpg", ".bmp", ".tif"))
    code = graycode.stripes_of(args.width, args.height, len(files))
    pair = graycode.Pair.read(args.calibration)
    frames = [graycode.one_channel(read_any_picture(file)) for file in files]
    began = time.perf_counter()
    decoded = graycode.decode(frames, *code)
    took_ms = (time.perf_counter() - began) * 1e3
    spots = graycode.spots(decoded, code[0])
    step = args.step or graycode.likely_step(spots, pair)
    points = graycode.triangulate(spots, pair, step)
    flat = graycode.flattest(points)
    lit = int(decoded.lit.sum())
    return {
        "frames": len(files),
        "code": list(code),
        "step": step,
        "decode_ms": round(took_ms, 1),
        "decoded_share": round(int(decoded.seen.sum()) / lit, 4) if lit else 0.0,
        "decoded_pixels": int(decoded.seen.sum()),
        "places": len(spots.pixels),
        "points": len(points),
        "planarity": None if flat is None else round(flat.rms / flat.range, 7),
        "plane": None if flat is None else {"rms": flat.rms, "range": flat.range, "share": flat.share},
    }


def _told(found: dict[str, Any]) -> str:
    share, took_ms = found["decoded_share"], found["decode_ms"]
    lines = [f"{share:.1%} of the lit pixels decoded in {took_ms:.0f} ms, {found['points']:,} points"]
    if found["plane"] is not None:
        lines.append(
            f"the flattest part holds {found['plane']['share']:.0%} of them, {found['planarity']:.1e} of the range RMS"
        )
    return "\n".join(lines)


COMMAND: Final = Command("graycode", "decode and triangulate a Gray-code capture", _arguments, _run, _told)
