"""The twins that live in a `ScannerWorld`: the pins that it hears, and the camera that looks at it.

Drivers claim these pins through gpiozero as on a Raspberry Pi, and ask this camera as any other. How a picture is
drawn is not known here: `draw` is handed in by who composes, as rendering needs what drivers must not import.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from gpiozero.pins.mock import MockFactory, MockPin

from golmok_drivers.scanner.camera import Exposure, Frame, Picture
from golmok_drivers.scanner.errors import CameraBroken, CameraLate
from golmok_drivers.scanner.world import ScannerWorld

_READOUT_S: Final = 0.02
_BUFFERED: Final = 2
"""So many frames until an exposure that was ordered is that of the frames: libcamera's and the sensor's pipeline."""
_FRAMES_UNTIL_UNPLUGGED: Final = 30


class WorldPins(MockFactory):  # type: ignore[misc]  # gpiozero has no types
    """gpiozero's mock pins, soldered to a world."""

    def __init__(self, world: ScannerWorld) -> None:
        super().__init__(pin_class=_WorldPin)
        self.world = world


class _WorldPin(MockPin):  # type: ignore[misc]  # gpiozero has no types
    """An output tells the world; the home switch's input is pulled by it."""

    def _change_state(self, value: bool) -> bool:
        if self._function == "output":
            self.factory.world.driven(_number(self), value)
        return bool(super()._change_state(value))

    def _set_function(self, value: str) -> None:
        super()._set_function(value)
        world, number = self.factory.world, _number(self)
        if value == "input" and number == world.wiring.motor.home_pin:
            world.watched(self)
        elif value == "input":
            world.driven(number, False)  # the pull-down at the laser's switch

    def _set_pull(self, value: str) -> None:
        super()._set_pull(value)
        if _number(self) == self.factory.world.wiring.motor.home_pin:
            self.factory.world.watched(self)


def _number(pin: MockPin) -> int:
    """Its BCM number: GPIO17 is 17."""
    return int(pin.info.name.removeprefix("GPIO"))


class View(NamedTuple):
    """What is to be drawn: where the plate stands, for which share of the exposure each light shone."""

    plate_steps: int
    lasers: tuple[float, ...]
    lamp: float
    exposure: Exposure
    color: bool
    sequence: int


@dataclass(frozen=True)
class Lens:
    """What the camera's twin is, and who draws for it."""

    size: tuple[int, int]
    draw: Callable[[View], Picture]
    fps: float = 15.0


class CameraTwin:
    """A sensor that runs by itself: frames begin at fixed times, and are handed over a readout after their end."""

    def __init__(self, world: ScannerWorld, lens: Lens, seed: int = 0) -> None:
        self.name = "twin"
        self.size = lens.size
        self._world = world
        self._lens = lens
        self._frame_s = 1 / lens.fps
        self._orders: list[tuple[int, Exposure]] = [(0, Exposure(0.01))]
        self._next = 0
        self._handed = 0
        self._dice = random.Random(f"camera {seed}")  # noqa: S311  (a simulation, not a secret)

    def now_s(self) -> float:
        """See `Camera.now_s`."""
        return self._world.now_s()

    def expose(self, exposure: Exposure) -> None:
        """See `Camera.expose`."""
        running = int(self.now_s() / self._frame_s)
        self._orders.append((running + _BUFFERED, replace(exposure, seconds=min(exposure.seconds, self._frame_s))))

    def frame(self, *, color: bool = False, after_s: float = 0.0, timeout_s: float = 2.0) -> Frame:
        """See `Camera.frame`."""
        until = self.now_s() + timeout_s
        while True:
            self._next = number = max(self._next, int(self.now_s() / self._frame_s) - 1)  # the one that is read out now
            self._next += 1
            end_s = (number + 1) * self._frame_s
            exposure = self._exposure_of(number)
            begin_s = end_s - exposure.seconds
            if begin_s < after_s or self._is_lost():
                continue
            came_s = end_s + _READOUT_S + self._delay_s()
            self._world.sleep(min(came_s, until) - self.now_s())
            if came_s > until:
                raise CameraLate(f"twin: no picture within {timeout_s:g} s")
            picture = self._drawn(number, begin_s, end_s, exposure, color)
            return Frame(picture, number, begin_s, exposure.seconds, exposure.gain)

    def close(self) -> None:
        """Nothing is held."""

    def _exposure_of(self, number: int) -> Exposure:
        return next((exposure for since, exposure in reversed(self._orders) if since <= number), self._orders[0][1])

    def _drawn(self, number: int, begin_s: float, end_s: float, exposure: Exposure, color: bool) -> Picture:
        world = self._world
        lasers = tuple(world.laser_share(nth, begin_s, end_s) for nth in range(len(world.wiring.lights.lasers)))
        plate = world.plate_at((begin_s + end_s) / 2)
        return self._lens.draw(View(plate, lasers, world.lamp_share(begin_s, end_s), exposure, color, number))

    def _is_lost(self) -> bool:
        faults = self._world.wiring.faults
        self._handed += 1
        if "unplugged" in faults and self._handed > _FRAMES_UNTIL_UNPLUGGED:
            raise CameraBroken("twin gives no more pictures: look at its cable, plug it in, and go on")
        return "lost" in faults and self._dice.random() < 1 / 6

    def _delay_s(self) -> float:
        late = "late" in self._world.wiring.faults and self._dice.random() < 1 / 6
        return self._dice.uniform(0.1, 4.0) if late else 0.0


def make_pins(world: ScannerWorld) -> Any:
    """A pin factory of that world."""
    return WorldPins(world)
