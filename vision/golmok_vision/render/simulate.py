"""A whole dataset from the twin, with the truth beside it: what `golmok-scan simulate` does.

The work is a list of stops of the table; each makes its pictures from the seed and its own number alone. So it is done
by several threads in any order, stopped at any time, and goes on with the stops whose files are not there yet.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import cv2
import numpy as np

from golmok_vision.render import board as boards
from golmok_vision.render import objects
from golmok_vision.render.objects import Body, Finish, Solid
from golmok_vision.render.raster import FAR_MM, Floats, Pinhole, Singles
from golmok_vision.render.scanner import PLATE_RADIUS_MM, ScannerTwin, Scene, Shot, TrueRig
from golmok_vision.render.sensor import NormalPool
from golmok_vision.scan.dataset import LASERS, MOST_EXPOSURES, Board, Dataset, Description, Light, Picture, Plate
from golmok_vision.scan.errors import DatasetError, MeshError, OrderError
from golmok_vision.scan.rig import Pose, Rig, turn

Fault: TypeAlias = Literal[
    "missing", "black", "saturated", "shifted", "truncated", "bumped", "board", "empty", "laser-moved", "steps",
    "stuck", "jammed",
]  # fmt: skip
FAULTS: Final[dict[Fault, str]] = {
    "missing": "one laser picture is not there",
    "black": "one laser picture is black",
    "saturated": "one laser picture is white",
    "shifted": "one laser picture is shifted by 40 pixels",
    "truncated": "one laser picture's file is cut off",
    "bumped": "the camera is knocked by half a degree in the middle of the scan",
    "board": "the board was printed 3 % too small",
    "empty": "nothing stands on the table",
    "laser-moved": "laser 0 is turned by one degree between calibration and scan",
    "steps": "a turn has twice the steps that are believed",
    "stuck": "the table stands still for the last fifteenth of the stops",
    "jammed": "the table never turns",
}
assert set(FAULTS) == set(get_args(Fault))

BOARD: Final = Board(thickness_mm=2.0)
VERSION: Final = 2
"""Of the pictures that a seed gives: raised when the twin draws differently, so that no dataset is half and half."""

_VISIBLE_POINTS: Final = 200_000
_GRAZING_COS: Final = 0.10
_LARGEST_MM: Final = 200.0
_SMALLEST_MM: Final = 5.0
_BOARD_EXPOSURE: Final = 4.0
"""Against a dark wall a board in the hand is exposed longer; with lasers, the exposure is the lasers'."""

_GREY_BYTES, _COLOR_BYTES = 0.55, 1.7  # of a PNG of ours, per pixel


@dataclass(frozen=True)
class Order:
    """What is to be simulated. The same order gives the same bytes."""

    seed: int
    size_mm: float = 100.0
    steps: int = 400
    finish: Finish = "plain"
    faults: tuple[Fault, ...] = ()
    camera_pictures: int = 24
    scale: float = 1.0
    """Of the camera's resolution: 1 is 1640 x 1232."""

    color: bool = True
    lasers: int = len(LASERS)
    exposures: tuple[float, ...] = (1.0,)
    """Of the piece's pictures, in times the usual one: the longest first."""

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 3200:
            raise OrderError("steps must be from 1 to 3200: the motor of the twin has 3200 in a turn")
        if not _SMALLEST_MM <= self.size_mm <= _LARGEST_MM:
            raise OrderError(f"size must be from {_SMALLEST_MM:g} to {_LARGEST_MM:g} mm: what the scanner can see")
        if not 0.1 <= self.scale <= 2:
            raise OrderError("scale must be from 0.1 to 2")
        if not 1 <= self.lasers <= len(LASERS):
            raise OrderError(f"lasers must be from 1 to {len(LASERS)}")
        if not 1 <= len(self.exposures) <= MOST_EXPOSURES:
            raise OrderError(f"exposures must be from 1 to {MOST_EXPOSURES}")
        if not all(0.01 <= each <= 100 for each in self.exposures) or any(
            after >= before for before, after in pairwise(self.exposures)
        ):
            raise OrderError("exposures must be from 0.01 to 100 times the usual one, each shorter than the one before")
        if self.seed < 0:
            raise OrderError("seed must be 0 or more")


Stop: TypeAlias = tuple[Literal["camera", "table", "frame"], int]
Shown: TypeAlias = tuple[Light, int]
"""In which light, and by which of the exposures."""

Progress: TypeAlias = Callable[[int, int], None]


class Simulation:
    """One order, one mesh, one dataset."""

    def __init__(self, order: Order, mesh: Path | Solid, dataset: Dataset) -> None:
        self.order = order
        self.dataset = dataset
        standard = TrueRig.standard(order.seed, order.scale, order.lasers)
        self.true = _with(standard, steps_per_turn=6400.0) if "steps" in order.faults else standard
        self._fingerprint = _fingerprint(mesh)
        solid = objects.load(mesh) if isinstance(mesh, Path) else mesh
        solid = objects.stand(solid, order.size_mm)
        self.solid = replace(solid, vertices=solid.vertices @ self.true.leaning().T)
        self._require_fit()
        self.steps = replace(
            boards.table_steps(3200), frames=tuple(round(3200 * k / order.steps) for k in range(order.steps))
        )
        self._board = replace(BOARD, square_mm=BOARD.square_mm * 0.97, marker_mm=BOARD.marker_mm * 0.97) \
            if "board" in order.faults else BOARD  # fmt: skip

    # --- the dataset

    def begin(self) -> None:
        """Look whether it fits on the disk, and write what says what it is; goes on with an interrupted one."""
        record = self.dataset.truth / "simulation.json"
        ours = {**self._told(), "mesh": self._fingerprint, "version": VERSION}
        if record.exists():
            if self.dataset.read_json(record) != ours:
                raise DatasetError(f"{self.dataset.folder} holds another simulation: choose another folder")
        elif self.dataset.folder.exists() and any(self.dataset.folder.iterdir()):
            raise DatasetError(f"{self.dataset.folder} is not empty and holds no simulation: choose another folder")
        self.dataset.require_room(self._bytes_left())
        title = f"simulated, seed {self.order.seed}"
        self.dataset.describe(Description(BOARD, self.steps, title=title, plate=Plate(2 * PLATE_RADIUS_MM)))
        self.dataset.write_json(record, ours)
        self.dataset.sweep()
        self.dataset.write_bytes(self.dataset.truth / "object.stl", objects.stl(self.solid))
        self.dataset.write_json(self.dataset.truth / "rig.json", self._truth())

    def stops(self) -> list[Stop]:
        """All that is to be drawn, in the order of a real scan."""
        return [
            *(("camera", i) for i in range(self.order.camera_pictures)),
            *(("table", i) for i in range(len(self.steps.table))),
            *(("frame", i) for i in range(self.order.steps)),
        ]

    def files(self, stop: Stop) -> dict[Shown, Path]:
        """The pictures of a stop."""
        kind, i = stop
        lit: tuple[Light, ...] = ("off", *LASERS[: self.order.lasers])
        if kind == "camera":
            return {("off", 0): self.dataset.camera_file(i)}
        if kind == "table":
            return {(light, 0): self.dataset.table_file(i, light) for light in lit}
        shown: list[Shown] = [(light, 0) for light in lit]
        shown += [("color", 0)] if self.order.color else []
        shown += [(light, nth) for nth in range(1, len(self.order.exposures)) for light in lit]
        return {each: self.dataset.frame_file(i, *each) for each in shown}

    def left(self) -> list[Stop]:
        """The stops that lack a picture."""
        return [stop for stop in self.stops() if not all(file.exists() for file in self.files(stop).values())]

    def run(self, progress: Progress = lambda done, total: None, threads: int = 2) -> None:
        """Begin, or go on, until all is there."""
        self.begin()
        left, total = self.left(), len(self.stops()) + 1
        before = total - len(left) - 1
        progress(before, total)
        for done in self.draw(left, threads):
            progress(before + done, total)
        visible = self.dataset.truth / "visible.npy"
        if not visible.exists():
            self.dataset.write_bytes(visible, _npy(self.visible()))
        progress(total, total)

    def draw(self, stops: Sequence[Stop], threads: int = 2) -> Iterator[int]:
        """Make the pictures of these stops; counts them."""
        if stops:
            for done, _ in enumerate(_unordered(_Studio(self).take, stops, threads), start=1):
                yield done

    # --- truth

    def visible(self) -> Floats:
        """Points of the surface (n, 3), mm, turntable's frame, that were lit by a laser and seen at one stop or more.

        Lit: not farther from the middle of the laser's sheet than two sigmas of its profile, not in a shadow, and the
        light falls in at less than 84 degrees to the normal. Seen: inside the picture, not hidden, not at more than
        84 degrees. Points are drawn evenly over the surface.
        """
        dice = np.random.Generator(np.random.SFC64([self.order.seed, 5]))
        points, normals = objects.sample(self.solid, _VISIBLE_POINTS, dice)
        found = np.zeros(len(points), bool)
        if "empty" in self.order.faults:
            return points[found]
        corners = self.solid.vertices[self.solid.faces].reshape(-1, 3)
        left = np.arange(len(points))
        for nth in range(len(self.steps.frames)):
            true, held = self._rig_at(nth), self.held(nth)
            rotation, shift = true.carry(self.steps.frames[held], held)
            there = (corners @ rotation.T + shift).astype(np.float32)
            near = np.zeros(len(left), bool)
            for laser in true.lasers:  # the sheet is turned back, not all points onwards
                normal, offset = laser.plane.normal @ rotation, laser.plane.normal @ shift - laser.plane.offset_mm
                near |= np.abs(points[left] @ normal + offset) <= 2 * laser.sigma_mm
            some = left[near]
            if len(some):
                seen = _lit_and_seen(true, there, points[some] @ rotation.T + shift, normals[some] @ rotation.T)
                found[some[seen]] = True
                left = left[~found[left]]
        return points[found]

    def _truth(self) -> dict[str, Any]:
        placed = [self.place(("camera", i)) for i in range(self.order.camera_pictures)]
        table = [boards.on_table(self._board, p, self.true.leaning(), self._camera_mm) for p in range(3)]
        return {
            **self.true.document(),
            "order": self._told(),
            "frames_deg": [self._angle_deg(nth) for nth in range(self.order.steps)],
            "board": {"square_mm": self._board.square_mm},
            "board_in_hand": [_placed(each) for each in placed],
            "board_on_table": [_placed(each) for each in table],
        }

    def _told(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self.order).items()}

    # --- where things are

    @property
    def _camera_mm(self) -> Floats:
        return self.true.rig.pose.centre_mm

    def _angle_deg(self, nth: int) -> float:
        """How far the plate really was turned at a frame."""
        held = self.held(nth)
        rotation, _ = self.true.carry(self.steps.frames[held], held)
        return float(np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0])) % 360.0)

    def place(self, stop: Stop) -> boards.Placed:
        """Where the board is at a stop."""
        kind, i = stop
        if kind == "camera":
            dice = np.random.Generator(np.random.SFC64([self.order.seed, 3, i]))
            return boards.in_hand(self._board, self.true.rig.pose, dice, i, self.order.camera_pictures)
        place = boards.on_table(self._board, self.steps.placement[i], self.true.leaning(), self._camera_mm)
        rotation, shift = self.true.carry(self.steps.table[i], 10_000 + i)
        return boards.Placed(rotation @ place.rotation, rotation @ place.shift_mm + shift)

    def scene(self, stop: Stop, body: Body) -> Scene:
        """What stands before the camera at a stop."""
        kind, i = stop
        if kind != "frame":
            return boards.printed(self._board, self.place(stop))
        if "empty" in self.order.faults:
            return Scene()
        held = self.held(i)
        return Scene(body).moved(*self.true.carry(self.steps.frames[held], held))

    def held(self, frame: int) -> int:
        """The frame as of which the plate stands at this one: an earlier one where the table is stuck."""
        if "jammed" in self.order.faults:
            return 0
        last = self.order.steps - 1 - (self.order.steps // 15 if "stuck" in self.order.faults else 0)
        return min(frame, last)

    def rig_of(self, stop: Stop) -> TrueRig:
        """The rig as it is at a stop: a knocked camera is another one from then on."""
        return self._rig_at(stop[1]) if stop[0] == "frame" else self.true

    def _rig_at(self, frame: int) -> TrueRig:
        true = self.true
        if "laser-moved" in self.order.faults:
            first, *others = true.lasers
            normal = turn(1.0) @ first.plane.normal
            plane = replace(first.plane, normal=normal, offset_mm=float(normal @ first.source_mm))
            true = replace(true, lasers=(replace(first, plane=plane), *others))
        if "bumped" in self.order.faults and frame >= self.order.steps // 2:
            knock = np.asarray(cv2.Rodrigues(np.radians([0.35, -0.35, 0.1]))[0], float)
            pose = true.rig.pose
            true = _with(true, pose=Pose(knock @ pose.rotation, knock @ pose.translation_mm))
        return true

    def _require_fit(self) -> None:
        """The whole piece must be seen at every turn: else the scan would be cut off without a word."""
        reach = float(np.linalg.norm(self.solid.vertices[:, :2], axis=1).max())
        top = float(self.solid.vertices[:, 2].max())
        around = np.radians(np.arange(0, 360, 10.0))
        rim = np.column_stack([reach * np.cos(around), reach * np.sin(around)])
        cylinder = np.concatenate([np.insert(rim, 2, z, axis=1) for z in (0.0, top)])
        lens = self.true.rig.lens
        in_camera = self.true.rig.pose.into_camera(cylinder)
        pixels = lens.project(in_camera)
        inside = (pixels >= 0).all(1) & (pixels <= [lens.width - 1, lens.height - 1]).all(1) & (in_camera[:, 2] > 60)
        if not inside.all():
            raise MeshError(
                f"the piece would be {2 * reach:.0f} mm wide when it turns and {top:.0f} mm high: more than the camera "
                f"sees; give a smaller --size"
            )

    def _bytes_left(self) -> int:
        pixels = self.true.rig.lens.width * self.true.rig.lens.height
        pictures = [light for stop in self.left() for light, _ in self.files(stop)]
        colored = sum(light == "color" for light in pictures)
        return round(pixels * ((len(pictures) - colored) * _GREY_BYTES + colored * _COLOR_BYTES)) + (1 << 20)


class _Studio:
    """Threads' twins: each thread has one for each rig that it meets, since a twin keeps buffers."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._noise = NormalPool(simulation.order.seed)
        dice = np.random.Generator(np.random.SFC64([simulation.order.seed, 6]))
        self._body = objects.dress(simulation.solid, simulation.order.finish, dice)
        self._own = threading.local()

    def take(self, stop: Stop) -> None:
        """Draw and write the pictures of a stop."""
        simulation = self._simulation
        files = simulation.files(stop)
        twin = self._twin(simulation.rig_of(stop), stop)
        kind = ("camera", "table", "frame").index(stop[0])
        dice = np.random.Generator(np.random.SFC64([simulation.order.seed, 4, kind, stop[1]]))
        shot = twin.shot(simulation.scene(stop, self._body), color=("color", 0) in files)
        exposures = {"camera": (_BOARD_EXPOSURE,), "table": (1.0,), "frame": simulation.order.exposures}[stop[0]]
        lines: dict[Light, Singles] = {}
        for (light, nth), file in files.items():
            if light in LASERS and light not in lines:  # its speckle is the same however long it is looked at
                lines[light] = twin.line(shot, LASERS.index(light), self._grain(stop, light) or dice)
            picture = _picture(twin, shot, lines.get(light), dice, exposures[nth], color=light == "color")
            if stop == ("frame", simulation.order.steps // 2) and (light, nth) == ("l0", 0):
                _spoilt(simulation, file, picture)
            else:
                simulation.dataset.write_picture(file, picture)

    def _grain(self, stop: Stop, light: Light) -> np.random.Generator | None:
        """The speckle's own dice, where the table may stand still."""
        order, (kind, i) = self._simulation.order, stop
        if kind != "frame" or not {"stuck", "jammed"} & set(order.faults):
            return None
        return np.random.Generator(np.random.SFC64([order.seed, 8, LASERS.index(light), self._simulation.held(i)]))

    def _twin(self, true: TrueRig, stop: Stop) -> ScannerTwin:
        key = (stop[0], true.rig.pose.translation_mm.tobytes())
        if getattr(self._own, "key", None) != key:
            self._own.twin = ScannerTwin(true, self._noise, surroundings=stop[0] != "camera")
            self._own.key = key
        twin: ScannerTwin = self._own.twin
        return twin


def _picture(
    twin: ScannerTwin, shot: Shot, line: Singles | None, dice: np.random.Generator, exposure: float, *, color: bool
) -> Picture:
    if color:
        return twin.colored(shot, dice)
    if line is None:
        return twin.off(shot, dice, exposure)
    return twin.lit_by(shot, line, dice, exposure)


def _spoilt(simulation: Simulation, file: Path, picture: Picture) -> None:
    """One picture with whatever is to be wrong with it."""
    faults = simulation.order.faults
    if "black" in faults:
        picture = np.zeros_like(picture)
    if "saturated" in faults:
        picture = np.full_like(picture, 255)
    if "shifted" in faults:
        picture = np.roll(picture, 40, axis=1)
    if "missing" not in faults:
        simulation.dataset.write_picture(file, picture)
    if "truncated" in faults:
        whole = file.read_bytes()
        simulation.dataset.write_bytes(file, whole[: len(whole) // 2])


def _unordered(work: Callable[[Stop], None], stops: Sequence[Stop], threads: int) -> Iterator[Stop]:
    """Do all, tell each that is done; the first error ends it, and what was begun is finished."""
    cv2.setNumThreads(1)  # the stops run side by side already
    with ThreadPoolExecutor(threads) as pool:
        waiting = iter(stops)
        running: dict[Future[None], Stop] = {}
        for stop in waiting:
            running[pool.submit(work, stop)] = stop
            if len(running) < 2 * threads:
                continue
            yield from _finished(running)
        while running:
            yield from _finished(running)


def _finished(running: dict[Future[None], Stop]) -> Iterator[Stop]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for each in done:
        stop = running.pop(each)
        each.result()
        yield stop


def _lit_and_seen(true: TrueRig, corners: np.ndarray[Any, np.dtype[np.float32]], points: Floats,
                  normals: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:  # fmt: skip
    """Which points a laser lights and the camera sees; normals of either sign."""
    lens, pose = true.rig.lens, true.rig.pose
    camera = Pinhole(pose.rotation, pose.translation_mm, lens.fx_px, lens.fx_px,
                     lens.width / 2, lens.height / 2, lens.width, lens.height)  # fmt: skip
    to_camera = pose.centre_mm - points
    away = np.linalg.norm(to_camera, axis=1)
    towards = np.einsum("ij,ij->i", to_camera, normals) / away
    normals = normals * np.sign(towards)[:, None]
    pixels = true.rig.project(points)
    seen = (np.abs(towards) > _GRAZING_COS) & (pixels >= -0.5).all(1)
    seen &= (pixels < [lens.width - 0.5, lens.height - 0.5]).all(1)
    seen &= _first(camera, corners, points, np.abs(towards))
    lit = np.zeros(len(points), bool)
    middle, reach = _ball(corners)
    for laser in true.lasers:
        to_laser = laser.source_mm - points
        cosine = np.einsum("ij,ij->i", to_laser, normals) / np.linalg.norm(to_laser, axis=1)
        on_sheet = np.abs(laser.plane.distance_mm(points)) <= 2 * laser.sigma_mm
        some = np.flatnonzero(seen & ~lit & on_sheet & (cosine > _GRAZING_COS))
        if len(some):
            lit[some] = _first(laser.shadow_camera(middle, reach), corners, points[some], cosine[some])
    return np.asarray(seen & lit)


def _ball(corners: np.ndarray[Any, np.dtype[np.float32]]) -> tuple[Floats, float]:
    low, high = corners.min(0).astype(float), corners.max(0).astype(float)
    return (low + high) / 2, float(np.linalg.norm(high - low)) / 2 + 2.0


def _first(camera: Pinhole, corners: np.ndarray[Any, np.dtype[np.float32]], points: Floats,
           cosine: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:  # fmt: skip
    """Which points nothing hides from a camera; what slants steeply may be off by the width of a sample."""
    window = camera.window_of(corners, 2)
    depth = 1 / np.maximum(camera.inverse_depth(corners, window), 1 / FAR_MM)
    places = np.rint(camera.project(points)).astype(int) - [window.left, window.top]
    inside = (places >= 0).all(1) & (places < [window.width, window.height]).all(1)
    column, row = np.clip(places, 0, [window.width - 1, window.height - 1]).T
    own = points @ camera.rotation[2] + camera.translation[2]
    sample_mm = own / min(camera.fx, camera.fy)
    slack = 0.1 + sample_mm * np.sqrt(1 - np.minimum(cosine, 1) ** 2) / np.maximum(cosine, 0.05)
    return np.asarray(inside & (own <= depth[row, column] + slack))


def _with(true: TrueRig, *, pose: Pose | None = None, steps_per_turn: float | None = None) -> TrueRig:
    rig: Rig = true.rig
    if pose is not None:
        rig = replace(rig, pose=pose)
    if steps_per_turn is not None:
        rig = replace(rig, turntable=replace(rig.turntable, steps_per_turn=steps_per_turn))
    return replace(true, rig=rig)


def _placed(place: boards.Placed) -> dict[str, Any]:
    return {"rotation": place.rotation.tolist(), "shift_mm": place.shift_mm.tolist()}


def _fingerprint(mesh: Path | Solid) -> str:
    if isinstance(mesh, Solid):
        return hashlib.sha256(mesh.vertices.tobytes() + mesh.faces.tobytes()).hexdigest()
    try:
        return hashlib.sha256(mesh.read_bytes()).hexdigest()
    except OSError as error:
        raise MeshError(f"{mesh}: {error.strerror}") from None


def _npy(points: Floats) -> bytes:
    out = io.BytesIO()
    np.save(out, points.astype(np.float32))
    return out.getvalue()
