"""From 250,000 points to a closed mesh: CPU time and peak memory of a process of its own, and how far from the truth.

The points lie on known pieces (smooth, sharp, thin-walled, with a hole through, round gauges), as dense as 400 stops
and two lasers make them, with 0.1 mm of noise along the ray and one stray in a hundred; what faces the plate is left
out. Calibration and pictures have no part in this: `golmok-scan compare` judges the whole chain.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import trimesh

from bench._scan_pieces import blob
from golmok_vision.scan.compare import compare, measured_surface, reference_of
from golmok_vision.scan.gauge import Gauge, check
from golmok_vision.scan.mesh import INVENTED, model_of, simplified
from tests.vision.clouds import Piece

_POINTS: Final = 250_000


def _revolved(outline: list[tuple[float, float]]) -> trimesh.Trimesh:
    mesh: trimesh.Trimesh = trimesh.creation.revolve(np.array(outline, float), sections=256)
    return mesh


PIECES: Final[dict[str, Callable[[], Any]]] = {
    "blob (smooth)": blob,
    "block (sharp edges)": lambda: trimesh.creation.box((80, 50, 40)),
    "bowl (wall of 2 mm)": lambda: _revolved([(0, 0), (25, 0), (48, 30), (46, 30), (23.6, 2.5), (0, 2.5)]),
    "sheet (3 mm, upright)": lambda: trimesh.creation.box((90, 3, 70)),
    "tube (hole through)": lambda: trimesh.creation.annulus(r_min=18, r_max=32, height=50, sections=256),
    "gauge cylinder R20": lambda: trimesh.creation.cylinder(radius=20, height=60, sections=1024),
    "gauge ball R15": lambda: trimesh.creation.icosphere(subdivisions=6, radius=15),
}
GAUGES: Final = {"gauge cylinder R20": "cylinder:40", "gauge ball R15": "ball:30"}


def one(name: str, count: int) -> dict[str, Any]:
    """One piece, in this process: it must be a fresh one, for its peak of memory."""
    piece = Piece.of(PIECES[name]())
    share = len(piece.seen(10_000)[0]) / 10_000
    cloud = piece.cloud(round(count / share))
    before_mb = _peak_mb()
    began = time.process_time()
    model = model_of(cloud)
    took = time.process_time() - began
    peak = _peak_mb()
    began = time.process_time()
    fewer = simplified(model, 50_000)
    visible = piece.seen(50_000, seed=9)[0]
    truth = reference_of(piece.mesh.vertices, piece.mesh.faces, visible)
    figures = compare(model, truth, align=False).figures
    found = {
        "points": len(cloud), "triangles": len(model.faces), "cpu_s": round(took, 2), "peak_mb": round(peak),
        "peak_before_mb": round(before_mb), "simplify_50k_cpu_s": round(time.process_time() - began, 2),
        "fewer_watertight": fewer.trimesh().is_watertight, "invented": round(model.share(INVENTED), 4), **figures,
    }  # fmt: skip
    if name in GAUGES:
        found["gauge"] = check(Gauge.parse(GAUGES[name]), *measured_surface(model))
    return found


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Run, and print."""
    parser = argparse.ArgumentParser(description="From points to a closed mesh: time, memory, error.")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--points", type=int, default=_POINTS)
    parser.add_argument("--one", choices=PIECES, help="this piece only, in this process")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one, args.points)))
        return 0
    found = {}
    for name in PIECES:
        command = [sys.executable, "-m", "bench.scan_mesh", "--one", name, "--points", str(args.points)]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        found[name] = json.loads(ran.stdout)
        if not args.json:
            print(told(name, found[name]), flush=True)
    if args.json:
        print(json.dumps(found))
    return 0


def told(name: str, found: dict[str, Any]) -> str:
    """For people."""
    seen, gauge = found["visible"], found.get("gauge")
    line = (
        f"{name:<24} {found['points']:,} points {found['cpu_s']:.1f} CPU-s {found['peak_mb']} MB  RMS "
        f"{found['rms_mm']:.4f} 95 % {found['p95_mm']:.4f} mm  reached {seen['share_within_0.3_mm']:.4f}  volume "
        f"{found['volume_ratio']:.4f}  scale {found['scale']:.5f}  closed {found['watertight']}"
    )
    return line if gauge is None else f"{line}  diameter {100 * gauge['scale_error']:+.3f} %"


if __name__ == "__main__":
    sys.exit(main())
