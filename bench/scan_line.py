"""The laser line extractor beside the methods of others, on the scanner's twin: error and time, in one run.

Pictures of 1640 x 1232 with speckle, noise and texture, whose line is known to a thousandth of a pixel. Errors are
judged where the line is steeper than 45 degrees (no method that goes row by row can do more) and on the piece; in
millimetres as the distance in space between the point that is triangulated from the method's column, and the true one.
Lasers of three colours are shown to a camera in colour in a lit room, with and without a picture of the laser off.
Time is one thread's: the median, the least, which is nearer to that of a machine with nothing else to do, and the
median of the processor's own time; of ours on each scene, of all methods in turn on the dark and the calm ball.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
import trimesh

from golmok_vision.render.objects import Finish, Solid, dress, stand
from golmok_vision.render.scanner import ScannerTwin, Scene, TrueRig
from golmok_vision.render.sensor import NormalPool
from golmok_vision.scan import Picture, Rig, find_line

Floats = npt.NDArray[np.float64]
Method = Callable[[Picture, Picture], Floats]


def argmax(image: Picture, off: Picture) -> Floats:
    """The brightest pixel of each row."""
    signal = np.asarray(cv2.subtract(image, off))
    x = signal.argmax(1)
    return np.where(signal[np.arange(len(x)), x] > 12, x, np.nan)


def row_gravity(image: Picture, off: Picture) -> Floats:
    """FabScan's and Horus's way: threshold, blur, keep what is around the maximum, centre of gravity of the row."""
    signal = np.asarray(cv2.subtract(image, off))
    _, signal = cv2.threshold(np.asarray(cv2.GaussianBlur(signal, (5, 5), 0)), 8, 255, cv2.THRESH_TOZERO)
    peak = signal.argmax(1)
    columns = np.arange(signal.shape[1])
    near = np.abs(columns[None] - peak[:, None]) <= 8
    weights = np.where(near, signal, 0).astype(np.float32)
    total = weights.sum(1)
    return np.where(total > 0, (weights @ columns.astype(np.float32)) / np.maximum(total, 1), np.nan).astype(float)


def window_gravity(image: Picture, off: Picture) -> Floats:
    """The same, looking at a window of the row only."""
    signal = np.asarray(cv2.subtract(image, off))
    peak = np.clip(signal.argmax(1), 8, signal.shape[1] - 9)
    across = peak[:, None] + np.arange(-8, 9)
    weights = np.take_along_axis(signal, across, axis=1).astype(np.float32)
    weights[weights < 8] = 0
    total = weights.sum(1)
    return np.where(total > 20, (weights * across).sum(1) / np.maximum(total, 1), np.nan)


def steger(image: Picture, off: Picture) -> Floats:
    """Steger 1998: where the second derivative across the line is least, to the sub-pixel by a parabola."""
    signal = np.asarray(cv2.subtract(image, off)).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(signal, (0, 0), 2.0))
    dx, dy = (np.asarray(cv2.Sobel(smooth, cv2.CV_32F, *d, ksize=3)) / 8 for d in ((1, 0), (0, 1)))
    dxx = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 2, 0, ksize=3)) / 4
    dyy = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 0, 2, ksize=3)) / 4
    dxy = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 1, 1, ksize=3)) / 4
    rows = np.arange(len(signal))
    x = dxx.argmin(1)
    a, b, c, gx, gy = (each[rows, x] for each in (dxx, dxy, dyy, dx, dy))
    # The eigenvector of the Hessian with the greater curvature leads across the line.
    bend = (a + c) / 2 - np.sqrt(np.square((a - c) / 2) + b * b)
    nx, ny = b, bend - a
    nx, ny = np.where(np.abs(b) < 1e-9, 1.0, nx), np.where(np.abs(b) < 1e-9, 0.0, ny)
    length = np.hypot(nx, ny)
    nx, ny = nx / length, ny / length
    t = -(gx * nx + gy * ny) / np.where(bend < 0, bend, -1)
    # From the foot on the line back to the row's middle, along the line.
    foot_x, foot_y = t * nx, t * ny
    across = np.where(np.abs(nx) > 0.3, foot_x + foot_y * ny / np.where(np.abs(nx) > 0.3, nx, 1), np.nan)
    good = (bend < -0.8) & (np.abs(across) < 2.5)
    return np.where(good, x + across, np.nan)


COLOURS: Final = {"blue": (0.92, 0.10, 0.03), "green": (0.08, 0.95, 0.08), "red": (0.03, 0.12, 0.90)}
"""What a line of this colour gives in the channels blue, green and red."""

_ROOM: Final = np.array([0.75, 1.0, 0.85], np.float32)

_IN_A_ROW: Final = 4
"""Frames that a method is given before it is the next one's turn: as in a scan, its own work is in the cache."""

METHODS: Final[dict[str, Method]] = {
    "golmok": lambda image, off: find_line(image, off).x,
    "argmax": argmax,
    "row gravity (FabScan, Horus)": row_gravity,
    "window gravity": window_gravity,
    "Steger": steger,
}


@dataclass(frozen=True)
class Frame:
    """A picture with the laser, one without, and the true column of the rows that count."""

    image: Picture
    off: Picture
    truth: Floats
    laser: int


def pieces() -> dict[str, tuple[Solid, Finish]]:
    """Round, wavy, with edges; each 100 mm."""
    ball = trimesh.creation.icosphere(subdivisions=6, radius=50)
    towards = np.asarray(ball.vertices, float) / 50
    waves = 1 + 0.12 * np.sin(5 * towards[:, 0]) * np.cos(4 * towards[:, 1] + 1) + 0.06 * np.sin(11 * towards[:, 2])
    block = trimesh.creation.box((55, 62, 90))
    faces = np.asarray(ball.faces, np.int64)
    board = trimesh.creation.box((6, 90, 90))
    return {
        "flat": (stand(Solid(np.asarray(board.vertices, float), np.asarray(board.faces, np.int64)), 90), "texture"),
        "ball": (stand(Solid(towards, faces), 100), "plain"),
        "waves": (stand(Solid(towards * waves[:, None], faces), 100), "plain"),
        "block, textured": (
            stand(Solid(np.asarray(block.vertices, float), np.asarray(block.faces, np.int64)), 100),
            "texture",
        ),
        "ball, dark": (stand(Solid(towards, faces), 100), "dark"),
    }


def frames(true: TrueRig, piece: tuple[Solid, Finish], stops: int) -> Iterator[Frame]:
    """Both lasers at some turns of the table."""
    twin = ScannerTwin(true, NormalPool(true.seed))
    body = dress(piece[0], piece[1], np.random.default_rng(1))
    for k in range(stops):
        shot = twin.shot(Scene(body).moved(*true.carry(round(3200 * k / stops) + 170, k + 1)))
        dice = np.random.default_rng(k)
        off = twin.off(shot, dice)
        for laser in range(2):
            yield Frame(twin.lit(shot, laser, dice), off, true_columns(twin, shot, laser), laser)


def colourful(true: TrueRig, piece: tuple[Solid, Finish], stops: int, colour: str) -> Iterator[Frame]:
    """The same by a camera in colour, in the room's light."""
    twin = ScannerTwin(true, NormalPool(true.seed))
    body = dress(piece[0], piece[1], np.random.default_rng(1))
    for k in range(stops):
        shot = twin.shot(Scene(body).moved(*true.carry(round(3200 * k / stops) + 170, k + 1)))
        dice = np.random.default_rng(k)
        for laser in range(2):
            light = twin.line(shot, laser, dice)[:, :, None] * np.array(COLOURS[colour], np.float32)
            room = shot.ambient[:, :, None] * _ROOM
            image, off = (true.sensor.picture(each, twin._noise, dice) for each in (room + light, room.copy()))
            yield Frame(image, off, true_columns(twin, shot, laser), laser)


def true_columns(twin: ScannerTwin, shot: Any, laser: int) -> Floats:
    """Where the line is on the piece and steep enough, and is there once."""
    rig = twin.true.rig
    pixels = twin.crossings(shot, laser)
    points = rig.triangulate(pixels, laser)
    pixels = pixels[(np.hypot(points[:, 0], points[:, 1]) < 80) & (points[:, 2] > 1)]
    rows, counts = np.unique(pixels[:, 1].astype(int), return_counts=True)
    truth = np.full(rig.lens.height, np.nan)
    truth[pixels[:, 1].astype(int)] = pixels[:, 0]
    truth[rows[counts > 1]] = np.nan
    steep = np.full(len(truth), np.inf)
    steep[3:-3] = np.abs(truth[6:] - truth[:-6]) / 6
    return np.where(steep < 1, truth, np.nan)


def errors(rig: Rig, shown: list[Frame], method: Method) -> dict[str, float]:
    """What a method does on all frames of a piece."""
    pixels, lengths, wanted = [], [], 0
    for frame in shown:
        x = method(frame.image, frame.off)
        wanted += int(np.isfinite(frame.truth).sum())
        rows = np.flatnonzero(np.abs(x - frame.truth) < 4)
        one, other = (rig.triangulate(np.column_stack([c[rows], rows]), frame.laser) for c in (x, frame.truth))
        pixels.append(x[rows] - frame.truth[rows])
        lengths.append(np.linalg.norm(one - other, axis=1))
    px, mm = np.concatenate(pixels), np.concatenate(lengths)
    return {
        "found": round(len(px) / wanted, 4),
        "rms_px": round(float(np.sqrt(np.square(px).mean())), 4),
        "bias_px": round(float(px.mean()), 4),
        "rms_mm": round(float(np.sqrt(np.square(mm).mean())), 4),
        "p95_mm": round(float(np.percentile(mm, 95)), 4),
    }


def times(shown: list[Frame], rounds: int, methods: dict[str, Method]) -> dict[str, dict[str, float]]:
    """Milliseconds a frame; the methods take turns, so that a busy moment hits all of them."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
    for k in range(0, rounds, _IN_A_ROW):
        for name, method in methods.items():
            for nth in range(k, k + _IN_A_ROW):
                frame = shown[nth % len(shown)]
                began, at_work = time.perf_counter(), time.thread_time()
                method(frame.image, frame.off)
                took[name].append(((time.perf_counter() - began) * 1e3, (time.thread_time() - at_work) * 1e3))
    found = {}
    for name, pairs in took.items():
        wall, cpu = np.array(pairs).T
        found[name] = {
            "median_ms": round(float(np.median(wall)), 3), "least_ms": round(float(wall.min()), 3),
            "median_cpu_ms": round(float(np.median(cpu)), 3),
        }  # fmt: skip
    return found


def main() -> int:
    """Run, and print."""
    parser = argparse.ArgumentParser(description="The laser line: error and time of several methods on the twin.")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--stops", type=int, default=3, help="turns of the table for each piece (3)")
    parser.add_argument("--rounds", type=int, default=60, help="timed frames for each method (60)")
    parser.add_argument("--seed", type=int, default=2)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    true = TrueRig.standard(args.seed)
    clean = replace(true, lasers=tuple(replace(laser, looks=0) for laser in true.lasers))
    found: dict[str, Any] = {"seed": args.seed, "size": "1640x1232", "errors": {}, "scenes": {}}
    ours = {"golmok": METHODS["golmok"]}
    shown: list[Frame] = []
    for name, piece in pieces().items():
        shown = list(frames(true, piece, args.stops))
        found["errors"][name] = {method: errors(true.rig, shown, run) for method, run in METHODS.items()}
        found["scenes"][name] = times(shown, args.rounds, ours)["golmok"]
    calm = list(frames(clean, pieces()["ball"], args.stops))
    found["errors"]["ball, no speckle"] = {method: errors(true.rig, calm, run) for method, run in METHODS.items()}
    found["scenes"]["ball, no speckle"] = times(calm, args.rounds, ours)["golmok"]
    found["times"] = times(calm + shown, args.rounds, METHODS)
    for name in ("flat", "waves"):
        for colour in COLOURS:
            shown = list(colourful(true, pieces()[name], args.stops, colour))
            found["errors"][f"{name}, {colour}"] = {
                "golmok": errors(true.rig, shown, METHODS["golmok"]),
                "golmok, no picture without laser": errors(true.rig, shown, lambda image, off: find_line(image).x),
            }
            found["scenes"][f"{name}, {colour}"] = times(shown, args.rounds, ours)["golmok"]
    print(json.dumps(found) if args.json else told(found))
    return 0


def told(found: dict[str, Any]) -> str:
    """For people."""
    lines = []
    for piece, by_method in found["errors"].items():
        lines.append(f"{piece}")
        for method, e in by_method.items():
            ms = found["scenes"][piece] if method == "golmok" else found["times"].get(method)
            time_of = "" if ms is None else (
                f"  {ms['median_ms']:.2f} ms (least {ms['least_ms']:.2f}, CPU {ms['median_cpu_ms']:.2f})"
            )  # fmt: skip
            lines.append(
                f"  {method:<32} found {e['found']:.3f}  RMS {e['rms_px']:.3f} px {e['rms_mm']:.4f} mm  "
                f"bias {e['bias_px']:+.3f} px  95 % {e['p95_mm']:.3f} mm{time_of}"
            )
    for method, ms in found["times"].items():
        lines.append(
            f"in turn on the dark and the calm ball: {method:<30} {ms['median_ms']:.2f} ms "
            f"(least {ms['least_ms']:.2f}, CPU {ms['median_cpu_ms']:.2f})"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
