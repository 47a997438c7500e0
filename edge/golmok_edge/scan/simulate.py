"""`golmok-scan simulate`: a dataset from the scanner's twin, with its truth."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, Final

from golmok_edge.scan.command import Command
from golmok_edge.scan.progress import Progress

# As in golmok_vision.render, which takes a second to load.
FINISHES: Final = ("plain", "gloss", "dark", "texture")
FAULTS: Final = (
    "missing", "black", "saturated", "shifted", "truncated", "bumped", "board", "empty", "laser-moved", "steps",
    "stuck", "jammed",
)  # fmt: skip


def _arguments(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument("--exposures", type=times, default=(1.0,), metavar="F,F",
                        help="of the piece's pictures, in times the usual one, the longest first (1)")  # fmt: skip
    parser.add_argument("--lasers", type=int, default=2, metavar="N", help="how many the scanner has: 1 or 2 (2)")
    parser.add_argument("--no-color", action="store_true", help="leave out the pictures in colour")


def times(text: str) -> tuple[float, ...]:
    """Numbers with commas between them, as argparse calls it."""
    return tuple(float(part) for part in text.split(","))


def _run(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_vision.render.simulate import Order, Simulation
    from golmok_vision.scan import Dataset

    order = Order(
        args.seed, args.size, args.steps, args.finish, tuple(dict.fromkeys(args.fault)), scale=args.scale,
        color=not args.no_color, exposures=args.exposures, lasers=args.lasers,
    )  # fmt: skip
    simulation = Simulation(order, args.mesh, Dataset(args.out))
    simulation.run(Progress("simulate"), threads=max(1, min(4, os.cpu_count() or 1)))
    low, high = simulation.solid.vertices.min(0), simulation.solid.vertices.max(0)
    return {
        "dataset": str(args.out),
        "seed": args.seed,
        "steps": args.steps,
        "lasers": args.lasers,
        "pictures": sum(len(simulation.files(stop)) for stop in simulation.stops()),
        "triangles": len(simulation.solid.faces),
        "size_mm": [round(float(edge), 4) for edge in high - low],
        "faults": list(order.faults),
    }


def _told(found: dict[str, Any]) -> str:
    size = " x ".join(f"{edge:.1f}" for edge in found["size_mm"])
    return f"{found['dataset']}: {found['pictures']} pictures of a piece of {size} mm, the truth in truth/"


COMMAND: Final = Command("simulate", "make a dataset with the twin, and its truth", _arguments, _run, _told)
