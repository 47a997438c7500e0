"""`golmok-scan`: a piece on the turntable becomes points and a mesh in millimetres, stage by stage."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from golmok_edge.scan.progress import Progress

if TYPE_CHECKING:
    from golmok_vision.scan import Picture

_EPILOG: Final = """\
examples:
  golmok-scan simulate --mesh last.stl --out scan1 --seed 1     pictures of a scanner that is not there, with the truth
  golmok-scan line --image l0.png --off off.png --json          the column of the laser's line in each row
  golmok-scan graycode --frames DIR --width 1024 --height 768 --calibration pair.xml --json

exit codes: 0 done, 1 what was asked for failed, 2 wrong usage
"""
# As in golmok_vision.render, which takes a second to load.
FINISHES: Final = ("plain", "gloss", "dark", "texture")
FAULTS: Final = (
    "missing", "black", "saturated", "shifted", "truncated", "bumped", "board", "empty", "laser-moved", "steps",
)  # fmt: skip


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
    from golmok_vision.scan import OrderError, ScanError

    try:
        found: dict[str, Any] = args.run(args)
    except (ScanError, OSError) as error:
        if args.json:
            print(json.dumps({"error": str(error)}, ensure_ascii=False))
        print(f"golmok-scan: {error}", file=sys.stderr)
        return 2 if isinstance(error, OrderError) else 1
    except KeyboardInterrupt:
        print("golmok-scan: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    if args.json:
        print(json.dumps(found, ensure_ascii=False, allow_nan=False))
    else:
        print(args.tell(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="golmok-scan",
        description="Scans a piece on a turntable with laser lines: points, meshes, sizes in millimetres.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _simulate_parser(
        _command(commands, "simulate", "make a dataset with the twin, and its truth", _simulate, _simulated)
    )
    _line_parser(_command(commands, "line", "find the laser's line in a picture", _line, _lined))
    _graycode_parser(
        _command(commands, "graycode", "decode and triangulate a Gray-code capture", _graycode, _graycoded)
    )
    return parser


def _command(
    commands: Any, name: str, title: str, run: Callable[[argparse.Namespace], dict[str, Any]],
    tell: Callable[[dict[str, Any]], str],
) -> argparse.ArgumentParser:  # fmt: skip
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=title, description=title[0].upper() + title[1:] + "."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document; progress goes to stderr")
    parser.set_defaults(run=run, tell=tell)
    return parser


# --- simulate


def _simulate_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mesh", type=Path, required=True, metavar="FILE", help="the piece: STL, PLY or OBJ, z up")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the dataset; an interrupted one goes on"
    )
    parser.add_argument("--seed", type=int, required=True, metavar="S", help="the same seed makes the same pictures")
    parser.add_argument("--size", type=float, default=100.0, metavar="MM", help="length of the longest edge (100)")
    parser.add_argument("--steps", type=int, default=400, metavar="N", help="stops of the table in one turn (400)")
    parser.add_argument("--finish", choices=FINISHES, default="plain", help="what the surface is like")
    parser.add_argument(
        "--fault", action="append", default=[], choices=FAULTS, help="something that goes wrong; may be given again"
    )
    parser.add_argument("--scale", type=float, default=1.0, metavar="F", help="of the picture: 1 is 1640 x 1232 (1)")
    parser.add_argument("--no-color", action="store_true", help="leave out the pictures in colour")


def _simulate(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_vision.render.simulate import Order, Simulation
    from golmok_vision.scan import Dataset

    order = Order(
        args.seed, args.size, args.steps, args.finish, tuple(dict.fromkeys(args.fault)), scale=args.scale,
        color=not args.no_color,
    )  # fmt: skip
    simulation = Simulation(order, args.mesh, Dataset(args.out))
    simulation.run(Progress("simulate"), threads=max(1, min(4, os.cpu_count() or 1)))
    low, high = simulation.solid.vertices.min(0), simulation.solid.vertices.max(0)
    return {
        "dataset": str(args.out),
        "seed": args.seed,
        "steps": args.steps,
        "pictures": sum(len(simulation.files(stop)) for stop in simulation.stops()),
        "triangles": len(simulation.solid.faces),
        "size_mm": [round(float(edge), 4) for edge in high - low],
        "faults": list(order.faults),
    }


def _simulated(found: dict[str, Any]) -> str:
    size = " x ".join(f"{edge:.1f}" for edge in found["size_mm"])
    return f"{found['dataset']}: {found['pictures']} pictures of a piece of {size} mm, the truth in truth/"


# --- line


def _line_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--image", type=Path, required=True, metavar="FILE", help="the picture with the line")
    parser.add_argument("--off", type=Path, metavar="FILE", help="the same picture with the laser off, if there is one")


def _line(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_vision.scan import find_line

    line = find_line(_picture(args.image), None if args.off is None else _picture(args.off))
    return {"x": [None if column != column else round(float(column), 4) for column in line.x]}


def _picture(file: Path) -> Picture:
    from golmok_vision.scan import read_any_picture

    return read_any_picture(file)


def _lined(found: dict[str, Any]) -> str:
    columns = [column for column in found["x"] if column is not None]
    if not columns:
        return "no line"
    return f"{len(columns)} of {len(found['x'])} rows have the line, columns {min(columns):.2f} to {max(columns):.2f}"


# --- graycode


def _graycode_parser(parser: argparse.ArgumentParser) -> None:
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


def _graycode(args: argparse.Namespace) -> dict[str, Any]:
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


def _graycoded(found: dict[str, Any]) -> str:
    share, took_ms = found["decoded_share"], found["decode_ms"]
    lines = [f"{share:.1%} of the lit pixels decoded in {took_ms:.0f} ms, {found['points']:,} points"]
    if found["plane"] is not None:
        lines.append(
            f"the flattest part holds {found['plane']['share']:.0%} of them, {found['planarity']:.1e} of the range RMS"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
