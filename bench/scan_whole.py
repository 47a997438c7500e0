"""Whole scans, judged by other code than the product's: pictures at full size, 400 stops, the calibration estimated.

Each piece is simulated, its `truth/` is moved away, and `golmok-scan calibrate` and `reconstruct` run as their users
run them, each in a process of its own whose CPU time and peak memory are read from the system. What is in `cloud.ply`
and `mesh.ply` is then held against the truth: distances exactly to triangles, the scale of the best similarity, how
much of what could be seen is reached, edges counted. Nothing of `golmok_vision.scan` is imported for that.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
import trimesh
from scipy.optimize import least_squares
from scipy.spatial import cKDTree

from bench._scan_pieces import GAUGES, PIECES, SEEN, UNSEEN, Piece

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_NEAR_MM: Final = 0.3
_SPRINKLED: Final = 60_000
_MEASURED: Final = 0
_GROUPS: Final = {"seen": SEEN, "unseen": UNSEEN, "gauges": GAUGES}


# --- the oracle


class Oracle:
    """Distances to a mesh: the nearest of a fine dust on it names the triangles, each of which is measured exactly."""

    def __init__(self, mesh: trimesh.Trimesh, dust: int = 400_000) -> None:
        self.mesh = mesh
        dice = np.random.default_rng(7)
        self._of, places = sprinkled(mesh, dust, dice)
        self._tree = cKDTree(places)

    def nearest(self, points: Floats, tried: int = 12) -> tuple[Floats, Floats]:
        """For points (n, 3): the nearest places, and how far outside they lie (inside is negative)."""
        places, signed = np.empty_like(points), np.empty(len(points))
        for at in range(0, len(points), 20_000):
            some = points[at : at + 20_000]
            which = self._of[self._tree.query(some, k=tried)[1]]
            pairs = np.asarray(self.mesh.triangles[which.ravel()], float)
            copies = np.repeat(some, tried, axis=0)
            on = trimesh.triangles.closest_point(pairs, copies)  # type: ignore[no-untyped-call]  # it has no types
            on = np.asarray(on, float).reshape(len(some), tried, 3)
            away = np.linalg.norm(on - some[:, None], axis=2)
            best = away.argmin(1)
            rows = np.arange(len(some))
            place, face = on[rows, best], which[rows, best]
            side = np.einsum("ni,ni->n", some - place, self.mesh.face_normals[face])
            places[at : at + 20_000], signed[at : at + 20_000] = place, np.sign(side) * away[rows, best]
        return places, signed


def sprinkled(mesh: trimesh.Trimesh, count: int, dice: np.random.Generator) -> tuple[Ints, Floats]:
    """Points spread evenly over a mesh, and the triangles they lie on."""
    areas = np.asarray(mesh.area_faces, float)
    which = np.searchsorted(np.cumsum(areas), dice.uniform(0, areas.sum(), count)).clip(0, len(areas) - 1)
    shares = dice.dirichlet((1, 1, 1), count)
    return which, np.einsum("nk,nki->ni", shares, np.asarray(mesh.triangles, float)[which])


def scale_of(points: Floats, oracle: Oracle) -> float:
    """The scale of the similarity that brings points onto the truth best; 0.999 says that they are 0.1 % too large."""
    dice = np.random.default_rng(1)
    points = points[dice.permutation(len(points))[:8_000]]
    middle = points.mean(0)
    scale, shift, rotation = 1.0, np.zeros(3), np.eye(3)
    for _ in range(20):
        moved = scale * (points - middle) @ rotation.T + middle + shift
        places, _ = oracle.nearest(moved, tried=6)
        off = moved - places
        away = np.linalg.norm(off, axis=1)
        normals = off / np.maximum(away, 1e-12)[:, None]
        weight = np.minimum(1.0, 3 * np.median(away) / np.maximum(away, 1e-12))
        weight[away > 3.0] = 0
        arm = moved - middle - shift
        columns = np.column_stack([np.cross(arm, normals), normals, np.einsum("ni,ni->n", arm, normals)])
        left = (columns * weight[:, None]).T @ columns
        step = np.linalg.solve(left + 1e-9 * np.trace(left) * np.eye(7), -(columns * weight[:, None]).T @ away)
        spin = np.asarray(cv2.Rodrigues(step[:3])[0], float)
        rotation, shift, scale = spin @ rotation, shift + step[3:6], scale * (1 + float(step[6]))
        if np.abs(step).max() < 1e-8:
            break
    return float(scale)


def edges_are_shared(faces: Ints) -> bool:
    """Whether each edge has two triangles that run along it in opposite directions."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    there, count = np.unique(edges, axis=0, return_counts=True)
    back = {(int(b), int(a)) for a, b in there}
    return bool((count == 1).all()) and all((int(a), int(b)) in back for a, b in there)


def diameter_of(gauge: str, points: Floats) -> float:
    """Of the cylinder (standing) or ball that fits points best, by a robust fit."""
    middle = points.mean(0)

    def off(p: Floats) -> Floats:
        if gauge.startswith("ball"):
            return np.asarray(np.linalg.norm(points - p[:3], axis=1) - p[3])
        axis = np.array([p[2], p[3], 1.0]) / np.sqrt(1 + p[2] ** 2 + p[3] ** 2)
        arm = points - [p[0], p[1], middle[2]]
        return np.asarray(np.linalg.norm(arm - np.outer(arm @ axis, axis), axis=1) - p[4])

    radius = float(gauge.split(":")[1]) / 2
    start = [*middle, radius] if gauge.startswith("ball") else [middle[0], middle[1], 0, 0, radius]
    return float(2 * least_squares(off, start, loss="soft_l1", f_scale=0.05).x[-1])


def judged(dataset: Path, truth: Path, piece: Piece) -> dict[str, Any]:
    """All figures of one scan."""
    real = trimesh.load_mesh(truth / "object.stl", process=True)
    mesh = trimesh.load_mesh(dataset / "mesh.ply", process=False)
    kinds = np.asarray(mesh.metadata["_ply_raw"]["vertex"]["data"]["invented"]).ravel()
    cloud = _points_of(dataset / "cloud.ply")
    visible = np.load(truth / "visible.npy").astype(float)
    oracle, dice = Oracle(real), np.random.default_rng(3)
    faces = np.asarray(mesh.faces)
    measured = trimesh.Trimesh(mesh.vertices, faces[(kinds[faces] == _MEASURED).all(1)], process=False)
    on_it = sprinkled(measured, _SPRINKLED, dice)[1]
    _, signed = oracle.nearest(on_it)
    some = cloud[dice.permutation(len(cloud))[:_SPRINKLED]]
    _, of_points = oracle.nearest(some)
    seen = visible[dice.permutation(len(visible))[:_SPRINKLED]]
    _, reached = Oracle(mesh).nearest(seen)
    all_of_it = oracle.nearest(sprinkled(mesh, _SPRINKLED, dice)[1])[1]
    return {
        "points": len(cloud),
        "triangles": len(faces),
        "cloud_rms_mm": _rms(of_points),
        "cloud_mean_mm": round(float(of_points.mean()), 4),
        "rms_mm": _rms(signed),
        "p95_mm": round(float(np.percentile(np.abs(signed), 95)), 4),
        "mean_mm": round(float(np.median(signed)), 4),
        "visible_within_0.3_mm": round(float((np.abs(reached) <= _NEAR_MM).mean()), 4),
        "visible_rms_mm": _rms(reached),
        "visible_p95_mm": round(float(np.percentile(np.abs(reached), 95)), 4),
        "whole_mesh_rms_mm": _rms(all_of_it),
        "invented_share": round(1 - float(measured.area / mesh.area), 4),
        "scale": round(scale_of(on_it, oracle), 6),
        "cloud_scale": round(scale_of(some[np.abs(of_points) < 1], oracle), 6),
        "volume_ratio": round(float(mesh.volume / real.volume), 4),
        "euler": [int(mesh.euler_number), int(real.euler_number)],
        "watertight": bool(mesh.is_watertight) and edges_are_shared(faces),
        **({} if piece.gauge is None else _gauge(piece.gauge, on_it)),
    }


def _points_of(file: Path) -> Floats:
    cloud: Any = trimesh.load(file)
    return np.asarray(cloud.vertices, np.float64)


def _rms(values: Floats) -> float:
    return round(float(np.sqrt(np.square(values).mean())), 4)


def _gauge(gauge: str, points: Floats) -> dict[str, float]:
    high = points[:, 2].max()
    if gauge.startswith("cylinder"):  # its mantle, not its ends
        inner = np.hypot(points[:, 0] - np.median(points[:, 0]), points[:, 1] - np.median(points[:, 1]))
        points = points[(points[:, 2] < high - 2) & (points[:, 2] > 1) & (inner > 0.9 * float(gauge.split(":")[1]) / 2)]
    nominal = float(gauge.split(":")[1])
    found = diameter_of(gauge, points)
    return {"diameter_mm": round(found, 4), "diameter_error_percent": round(100 * (found / nominal - 1), 4)}


# --- the run


@dataclass(frozen=True)
class Cost:
    """Of a process and its children."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run(*words: str | float | Path) -> tuple[dict[str, Any], Cost]:
    """`golmok-scan` with these words: what it printed, and what it cost."""
    command = [str(Path(sys.executable).with_name("golmok-scan")), *map(str, words), "--json"]
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as told:
        started = subprocess.Popen(command, stdout=out, stderr=told)
        _, status, used = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        printed = out.read()
        if started.returncode not in (0, 1) or not printed.strip():
            told.seek(0)
            raise SystemExit(f"{' '.join(command)} ended with {started.returncode}: {told.read()[-2000:].decode()}")
    cost = Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
    return json.loads(printed), cost


def scanned(name: str, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """One piece from its mesh to its figures."""
    piece, dataset, kept = PIECES[name], folder / "dataset", folder / "truth"
    file = folder / "piece.ply"
    piece.mesh().export(file)
    _, drawing = run("simulate", "--mesh", file, "--out", dataset, "--seed", args.seed, "--size", piece.size_mm,
                     "--steps", args.steps, "--scale", args.scale, "--finish", piece.finish)  # fmt: skip
    shutil.move(dataset / "truth", kept)
    calibrated, calibrating = run("calibrate", dataset)
    _, reading = run("reconstruct", "--points-only", dataset)
    found, meshing = run("reconstruct", dataset)
    return {
        "steps": args.steps,
        "seed": args.seed,
        "passed": calibrated["verdict"] == found["verdict"] == "pass",
        "simulate_s": round(drawing.wall_s, 1),
        "calibrate_cpu_s": round(calibrating.cpu_s, 1),
        "reading_cpu_s": round(reading.cpu_s, 1),
        "reading_peak_mb": round(reading.peak_mb),
        "meshing_cpu_s": round(meshing.cpu_s, 2),
        "meshing_peak_mb": round(meshing.peak_mb),
        **judged(dataset, kept, piece),
    }


def main() -> int:
    """Run, and print."""
    parser = argparse.ArgumentParser(description="Whole scans of pieces, from pictures to the mesh, against the truth.")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--only", action="append", choices=[*_GROUPS, *PIECES], help="these only; again for more")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--scale", type=float, default=1.0, help="of the picture: 1 is 1640 x 1232 (1)")
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--judge", nargs=3, metavar=("PIECE", "DATASET", "TRUTH"), help="only judge what is there")
    args = parser.parse_args()
    if args.judge:
        piece, dataset, truth = args.judge
        print(json.dumps(judged(Path(dataset), Path(truth), PIECES[piece])))
        return 0
    names = [name for each in args.only or PIECES for name in _GROUPS.get(each, [each])]
    found = {}
    for name in names:
        with tempfile.TemporaryDirectory(prefix="golmok-scan-") as folder:
            found[name] = scanned(name, Path(folder), args)
        if not args.json:
            print(told(name, found[name]), flush=True)
    if args.json:
        print(json.dumps(found))
    return 0


def told(name: str, f: dict[str, Any]) -> str:
    """For people."""
    line = (
        f"{name:<20} {f['points']:>8,} points  RMS {f['rms_mm']:.4f} 95 % {f['p95_mm']:.4f} mm  reached "
        f"{f['visible_within_0.3_mm']:.4f}  scale {f['scale']:.5f}  volume {f['volume_ratio']:.4f}  closed "
        f"{f['watertight']}  reading {f['reading_cpu_s']} s, meshing {f['meshing_cpu_s']} CPU-s  peak "
        f"{max(f['reading_peak_mb'], f['meshing_peak_mb'])} MB  simulate {f['simulate_s']:.0f} s"
    )
    return line if "diameter_mm" not in f else f"{line}  diameter {f['diameter_error_percent']:+.3f} %"


if __name__ == "__main__":
    sys.exit(main())
