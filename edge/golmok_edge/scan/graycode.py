"""`golmok-scan graycode`: decode and triangulate the pictures of a projector's Gray code."""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from golmok_edge.scan.command import Command

if TYPE_CHECKING:
    from golmok_vision.scan.flat import Flat

_PICTURES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_DIGITS: Final = re.compile(r"(\d+)")


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
    parser.add_argument(
        "--as-given", action="store_true", help="leave the calibration as it is, even where rays do not meet with it"
    )


def _run(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_vision.scan import flat, graycode, mend, pair, read_any_picture

    files = _pictures(args.frames)
    code = graycode.stripes_of(args.width, args.height, len(files))
    given = pair.Pair.read(args.calibration)
    frames = [graycode.one_channel(read_any_picture(file)) for file in files]
    began = time.perf_counter()
    decoded = graycode.decode(frames, *code)
    took_ms = (time.perf_counter() - began) * 1e3
    spots = graycode.spots(decoded, *code)
    drawn = pair.likely_drawn(spots, given, args.step)
    fit = mend.fitted(spots, given, drawn, may_mend=not args.as_given)
    blur_px = pair.blur(spots, fit.pair, drawn)
    seen = spots.unblurred(blur_px)
    cloud = pair.triangulate(seen, fit.pair, drawn)
    outline = flat.board_outline(frames[-2])
    plane = flat.flattest(cloud, outline)
    found = {
        "frames": len(files),
        "code": list(code),
        "step": drawn.step,
        "first_px": drawn.first,
        "decode_ms": round(took_ms, 1),
        "decoded_share": round(int(decoded.seen.sum()) / max(1, int(decoded.lit.sum())), 4),
        "decoded_pixels": int(decoded.seen.sum()),
        "places": len(spots.pixels),
        "points": len(cloud.points),
        "blur_px": round(blur_px, 2),
        "calibration": {
            "mended": fit.is_mended,
            "aside_px": round(fit.aside_px, 3),
            "given_aside_px": round(fit.given_aside_px, 3),
        },
        "planarity": None if plane is None else round(plane.rms / plane.range, 7),
        "plane": None if plane is None else _told_plane(plane),
    }
    if fit.is_mended:
        as_given = flat.flattest(pair.triangulate(seen, given, drawn), outline)
        found["planarity_as_given"] = None if as_given is None else round(as_given.rms / as_given.range, 7)
    return found


def _pictures(folder: Path) -> list[Path]:
    """In the order of their names, in which 10 comes after 9."""
    files = (file for file in folder.iterdir() if file.suffix.lower() in _PICTURES)
    return sorted(files, key=lambda file: [int(part) if part.isdigit() else part for part in _DIGITS.split(file.name)])


def _told_plane(plane: Flat) -> dict[str, Any]:
    return {
        "of": plane.of,
        "rms": plane.rms,
        "range": plane.range,
        "share": round(plane.share, 5),
        "points": plane.count,
        "normal": plane.normal.tolist(),
        "offset": plane.offset,
    }


_PLANES: Final = {"board": "the chessboard's points", "largest": "the largest plane (no chessboard was found)"}


def _told(found: dict[str, Any]) -> str:
    share, took_ms, plane = found["decoded_share"], found["decode_ms"], found["plane"]
    lines = [f"{share:.1%} of the lit pixels decoded in {took_ms:.0f} ms, {found['points']:,} points"]
    if plane is not None:
        lines.append(
            f"{_PLANES[plane['of']]}: {plane['share']:.0%} of them on a plane, to {found['planarity']:.1e} of the range"
        )
    calibration = found["calibration"]
    if calibration["mended"]:
        lines.append(
            f"with the calibration as it was given rays passed each other by {calibration['given_aside_px']:.2f} px of "
            f"the projector; mended, by {calibration['aside_px']:.2f}: calibrate again"
        )
    return "\n".join(lines)


COMMAND: Final = Command("graycode", "decode and triangulate a Gray-code capture", _arguments, _run, _told)
