"""The scanner's hardware, real or made, opened by its settings: what comes out is the same to whoever captures."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from golmok_drivers.buses.gpio import lgpio_factory
from golmok_drivers.scanner import Camera, Clock, Lights, Motor, RealClock, StepperTable, Turntable
from golmok_drivers.scanner.guard import GuardProcess
from golmok_drivers.scanner.lights import LightPins
from golmok_edge.scan.settings import Scan
from golmok_edge.scan.words import LANGUAGES, asked
from golmok_edge.settings.language import language_of
from golmok_vision.scan import Board, OrderError
from golmok_vision.scan.dataset import Plate

STAGE_FAULTS: Final[Mapping[str, str]] = {
    "blur": "the lens is out of focus",
    "empty": "nothing stands on the table",
}
_HOME_PIN: Final = 26
_LAMP_PIN: Final = 22


class Person(Protocol):
    """Whoever puts things before the camera."""

    def ask(self, key: str, nth: int, **args: Any) -> None:
        """Ask for it (a key of `words.ASKED`) and wait until it is done; raises `OrderError` when nobody is there."""


@dataclass(frozen=True)
class Scanner:
    """All that is needed to capture. `board` and `plate` lie beside it; `truth` writes what is so, of twins."""

    camera: Camera
    table: Turntable
    lights: Lights
    clock: Clock
    person: Person
    board: Board
    plate: Plate
    truth: Callable[[Any, tuple[float, ...]], None] | None = None


@dataclass(frozen=True)
class Twins:
    """What the made scanner is to be: as `golmok-scan simulate` has it, and what is wrong with it."""

    mesh: Path
    seed: int = 1
    size_mm: float = 100.0
    scale: float = 1.0
    finish: Any = "plain"
    faults: tuple[str, ...] = ()
    home: bool = True


class Asker:
    """A person at the keyboard, or a page that holds the other end of standard input."""

    def ask(self, key: str, nth: int, **args: Any) -> None:
        """See `Person.ask`."""
        if sys.stderr.isatty():
            line = f"golmok-scan: {asked(key, language_of(), **args)} - [Enter]"
        else:  # a program listens
            line = json.dumps({"asks": {language: asked(key, language, **args) for language in LANGUAGES}})
        print(line, file=sys.stderr, flush=True)
        if not sys.stdin.readline():
            raise OrderError("somebody must be at the keyboard to do this: start it where Enter can be pressed")


@contextmanager
def opened(settings: Scan, twins: Twins | None, wire: Path) -> Iterator[Scanner]:
    """The scanner, open; everything is dark and given back at the end, also after an error. Raises `DriverError`.

    `wire` is the file that holds the twins' copper.
    """
    with ExitStack() as stack:
        yield _real(settings, stack) if twins is None else _made(settings, twins, wire, stack)


def _real(settings: Scan, stack: ExitStack) -> Scanner:
    clock = RealClock()
    camera = open_camera(settings, clock)
    stack.callback(camera.close)
    factory = lgpio_factory()
    stack.callback(factory.close)
    table = StepperTable(_motor(settings), factory, clock)
    stack.callback(table.close)
    pins = LightPins(settings.laser_pins, settings.lamp_pin)
    lights = stack.enter_context(Lights(pins, factory, GuardProcess(pins.lasers)))
    return Scanner(camera, table, lights, clock, Asker(), _board(settings), Plate(settings.plate_mm))


def open_camera(settings: Scan, clock: Clock) -> Camera:
    """The camera of the settings, but not a twin; raises `ScannerError`."""
    kind, _, where = settings.camera.partition("://")
    size = settings.width, settings.height
    if kind == "picamera2":
        from golmok_drivers.scanner.pi_camera import PiCamera

        return PiCamera(int(where or 0), size, settings.fps, settings.laser_color)
    if kind == "v4l2":
        from golmok_drivers.scanner.v4l2 import V4l2Camera

        return V4l2Camera(Path(where), size, settings.fps, settings.laser_color)
    from golmok_drivers.scanner.folder import FolderCamera
    from golmok_vision.scan import Dataset

    folder = Path(where)
    return FolderCamera(folder, lambda file, color: Dataset(folder).read_picture(file, color=color), clock)


def _made(settings: Scan, twins: Twins, wire: Path, stack: ExitStack) -> Scanner:
    from golmok_drivers.scanner.twin import CameraTwin, Lens, View, WorldPins
    from golmok_drivers.scanner.world import ScannerWorld, Wire, Wiring
    from golmok_vision.render.live import Light, Stage
    from golmok_vision.render.simulate import Order

    order = Order(
        twins.seed, twins.size_mm, 1, twins.finish, scale=twins.scale, lasers=len(settings.laser_pins)
    )  # fmt: skip
    stage = Stage(order, twins.mesh, blur_px=max(4.0 * twins.scale, 2.0) if "blur" in twins.faults else None)
    hands = _Hands(stage, twins.faults)
    hands.ask("piece", 0)
    motor = _motor(settings, home_pin=_HOME_PIN if twins.home else None)
    pins = LightPins(settings.laser_pins, _LAMP_PIN if settings.lamp_pin is None else settings.lamp_pin)
    wiring = Wiring(motor, pins, stage.true_per_turn, frozenset(twins.faults))
    # Where the plate stood when the world began, nobody knows.
    world = ScannerWorld(wiring, Wire(wire, plate=(twins.seed * 997 + 1213) % stage.true_per_turn))

    def draw(view: View) -> Any:
        light = Light(view.lasers, view.lamp, view.exposure.seconds * view.exposure.gain)
        return stage.picture(view.plate_steps, light, color=view.color, nth=view.sequence)

    factory = WorldPins(world)
    stack.callback(factory.close)
    table = StepperTable(motor, factory, world)
    stack.callback(table.close)
    lights = stack.enter_context(Lights(pins, factory, GuardProcess(pins.lasers, wire)))
    camera = CameraTwin(world, Lens(stage.size, draw, settings.fps), twins.seed)
    return Scanner(camera, table, lights, world, hands, stage.board, stage.plate, stage.write_truth)


class _Hands:
    """The twins' person: does at once what is asked for."""

    def __init__(self, stage: Any, faults: tuple[str, ...]) -> None:
        self._stage = stage
        self._is_empty = "empty" in faults

    def ask(self, key: str, nth: int, **args: Any) -> None:
        """See `Person.ask`."""
        if key == "piece":
            self._stage.put("nothing" if self._is_empty else "piece")
        elif key.startswith("table"):
            self._stage.put("table", nth)
        else:
            self._stage.put("hand", nth)


def _motor(settings: Scan, **more: Any) -> Motor:
    pins = settings.motor
    told = {name: getattr(pins, name) for name in pins.__struct_fields__}
    return Motor(**{**told, **({} if pins.home_pin is not None else more)})


def _board(settings: Scan) -> Board:
    board = settings.board
    return Board(**{name: getattr(board, name) for name in board.__struct_fields__})
