"""The made world that a scanner's twins share: copper, a plate that stands somewhere, light, and time.

What outlives a process in the real world outlives it here too: the levels of the pins and where the plate stands are
in a file that is mapped into memory (`Wire`). Time belongs to the process and passes when it is waited for.
"""

from __future__ import annotations

import mmap
import struct
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from golmok_drivers.scanner.lights import LightPins
from golmok_drivers.scanner.table import Motor

Fault: TypeAlias = Literal["late", "lost", "unplugged", "laser-dead", "home-dead", "motor-dead", "weak-motor"]
FAULTS: Final[dict[Fault, str]] = {
    "late": "one frame in six comes up to 4 s late",
    "lost": "one frame in six never comes",
    "unplugged": "the camera's cable comes off after 30 frames",
    "laser-dead": "the second laser stays dark",
    "home-dead": "the home switch never closes",
    "motor-dead": "the motor has no supply",
    "weak-motor": "the motor loses steps at half of the speed it should bear",
}

_PINS: Final = 28
_PLATE_AT: Final = 32
_SIZE: Final = 64
_FLAG: Final = 25
"""Steps for which the plate's flag closes the home switch."""
_REMEMBERED: Final = 4_000


class Wire:
    """Levels of pins 0 to 27 and the plate's place in motor steps, in a file."""

    def __init__(self, file: Path, plate: int = 0) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.stat().st_size != _SIZE:
            start = bytearray(_SIZE)
            struct.pack_into("<i", start, _PLATE_AT, plate)
            file.write_bytes(start)
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), _SIZE)

    def drive(self, pin: int, level: bool) -> None:
        """The pin is at that level from now on."""
        self._map[pin] = int(level)

    def is_high(self, pin: int) -> bool:
        """The pin's level."""
        return bool(self._map[pin])

    @property
    def plate(self) -> int:
        """Where the plate stands: 0 is where the home switch just closes."""
        return int(struct.unpack_from("<i", self._map, _PLATE_AT)[0])

    @plate.setter
    def plate(self, steps: int) -> None:
        struct.pack_into("<i", self._map, _PLATE_AT, steps)


@dataclass(frozen=True)
class Wiring:
    """What hangs at which pin, and what is wrong with it. `true_per_turn` is the motor's and nobody's belief."""

    motor: Motor
    lights: LightPins
    true_per_turn: int = 3200
    faults: frozenset[str] = frozenset()


class ScannerWorld:
    """Pins are driven, time passes, the plate turns, lasers shine. It is also the `Clock` of all who live in it."""

    def __init__(self, wiring: Wiring, wire: Wire) -> None:
        self.wiring = wiring
        self._wire = wire
        self._now_s = 0.0
        self._lit: deque[tuple[float, int, bool]] = deque(maxlen=_REMEMBERED)
        self._turned: deque[tuple[float, int]] = deque([(-1.0, wire.plate)], maxlen=_REMEMBERED)
        self._rotor = _Rotor(wiring)
        self._home: Any = None

    # --- time

    def now_s(self) -> float:
        """See `Clock.now_s`."""
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`: it is over at once, and so much later."""
        self._now_s += max(seconds, 0.0)

    # --- pins

    def driven(self, pin: int, level: bool) -> None:
        """The other side drives a pin."""
        was = self._wire.is_high(pin)
        self._wire.drive(pin, level)
        if pin == self.wiring.motor.step_pin and level and not was:
            self._pulsed()
        elif level != was and pin in (*self.wiring.lights.lasers, self.wiring.lights.lamp):
            self._lit.append((self._now_s, pin, level))

    def watched(self, pin: Any) -> None:
        """The other side has claimed the home switch's pin as an input: pull at it from now on."""
        self._home = pin
        self._pull()

    # --- what a camera sees

    def laser_share(self, laser: int, begin_s: float, end_s: float) -> float:
        """For which share of that time the laser shone."""
        if laser == 1 and "laser-dead" in self.wiring.faults:
            return 0.0
        return self._share(self.wiring.lights.lasers[laser], begin_s, end_s)

    def lamp_share(self, begin_s: float, end_s: float) -> float:
        """For which share of that time the lamp shone."""
        return 0.0 if self.wiring.lights.lamp is None else self._share(self.wiring.lights.lamp, begin_s, end_s)

    def plate_at(self, when_s: float) -> int:
        """Where the plate stood, in true motor steps from home."""
        return next((place for turned_s, place in reversed(self._turned) if turned_s <= when_s), self._turned[0][1])

    # --- parts

    def _pulsed(self) -> None:
        motor = self.wiring.motor
        powered = motor.enable_pin is None or not self._wire.is_high(motor.enable_pin)
        forward = self._wire.is_high(motor.direction_pin) != motor.reverse
        moved = self._rotor.follows(self._now_s, forward) if powered else 0
        if moved:
            self._wire.plate += moved
            self._turned.append((self._now_s, self._wire.plate))
            self._pull()

    def _pull(self) -> None:
        if self._home is None:
            return
        closed = self._wire.plate % self.wiring.true_per_turn < _FLAG and "home-dead" not in self.wiring.faults
        (self._home.drive_low if closed else self._home.drive_high)()

    def _share(self, pin: int, begin_s: float, end_s: float) -> float:
        level = self._wire.is_high(pin)
        at_s, shone = end_s, 0.0
        for changed_s, changed, to in reversed(self._lit):
            if changed != pin:
                continue
            if changed_s < end_s:
                shone += level * (at_s - max(changed_s, begin_s))
                at_s = max(changed_s, begin_s)
            level = not to
            if changed_s <= begin_s:
                break
        return (shone + level * (at_s - begin_s)) / (end_s - begin_s)


class _Rotor:
    """What a stepper's rotor can follow: a little more than the ramp that its settings promise, and no more.

    When pulses come too fast it falls out of step and stands, humming, until they pause.
    """

    def __init__(self, wiring: Wiring) -> None:
        motor = wiring.motor
        strength = 0.5 if "weak-motor" in wiring.faults else 1.0
        self._dead = "motor-dead" in wiring.faults
        self._pull_in_hz = 1.25 * strength * motor.start_hz
        self._top_hz = 1.25 * strength * motor.top_hz
        self._gain_hz_s = 1.5 * strength * motor.ramp_hz_s
        self._last_s = -1.0
        self._hz = 0.0
        self._forward = True
        self._stalled = False

    def follows(self, now_s: float, forward: bool) -> int:
        """The steps that this pulse turns the plate: 1, -1, or 0 when it was lost."""
        gap_s = max(now_s - self._last_s, 1e-9)
        self._last_s = now_s
        hz = 1 / gap_s
        if hz < self._pull_in_hz:
            self._stalled, self._hz = False, hz
        elif forward != self._forward or hz > min(
            self._top_hz, max(self._pull_in_hz, self._hz) + self._gain_hz_s * gap_s
        ):
            self._stalled = True
        else:
            self._hz = hz
        self._forward = forward
        if self._stalled or self._dead:
            return 0
        return 1 if forward else -1
