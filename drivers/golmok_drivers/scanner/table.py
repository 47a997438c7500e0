"""A turntable driven by a stepper motor: pulses with a ramp, a home switch, and no belief in steps per turn.

The motor's driver (A4988, DRV8825, TMC2209 in their step/direction mode) wants STEP, DIR, and ENABLE that is low while
the motor holds. A motor that is asked to be faster than its rotor can follow loses steps and nobody hears of it; so
speed goes up and down by a ramp. How many steps make a turn is measured from pictures; `per_turn` is a hint, used to
know when to give up looking for home.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final, Protocol

from golmok_drivers.errors import BusError
from golmok_drivers.scanner.clock import Clock
from golmok_drivers.scanner.errors import HomeNotFound, PositionUnknown

_PULSE_S: Final = 5e-6
"""STEP stays high so long: 1 us for an A4988, 1.9 us for a DRV8825."""
_SETTLED_S: Final = 0.002
"""A switch is read again after so long: contacts bounce."""


@dataclass(frozen=True)
class Motor:
    """How the motor is wired (BCM numbers) and how fast it may be, in its steps."""

    step_pin: int
    direction_pin: int
    enable_pin: int | None = None
    home_pin: int | None = None
    """A switch to ground that closes once a turn; the first step at which it is closed is step 0."""

    per_turn: int = 3200
    start_hz: float = 400.0
    top_hz: float = 1600.0
    ramp_hz_s: float = 3000.0
    backlash: int = 0
    """Going backwards it goes so many steps further and returns, so that it always arrives from one side."""

    reverse: bool = False


class Turntable(Protocol):
    """A turntable. `position` counts the motor's steps, up when the plate turns counter-clockwise seen from above."""

    @property
    def position(self) -> int | None:
        """Where it is; None when nobody knows."""

    @property
    def has_home(self) -> bool:
        """Whether it can find step 0 again by itself."""

    def home(self) -> None:
        """Turn until step 0 is found; raises `HomeNotFound`."""

    def call_zero(self) -> None:
        """Where it stands now is step 0."""

    def go(self, step: int) -> None:
        """Be there when it returns; raises `PositionUnknown`."""

    def close(self) -> None:
        """Let go of the motor; closing twice does nothing."""


def ramp(steps: int, motor: Motor) -> list[float]:
    """Seconds from each step to the next: faster by `ramp_hz_s`, up to `top_hz`, and slower as it was faster."""
    speeds = [
        min(motor.top_hz, sqrt(motor.start_hz**2 + 2 * motor.ramp_hz_s * min(nth, steps - 1 - nth)))
        for nth in range(steps)
    ]
    return [1 / speed for speed in speeds]


class StepperTable:
    """`Turntable` on pins of a gpiozero factory. An interrupted move leaves `position` right: steps are counted."""

    def __init__(self, motor: Motor, factory: Any, clock: Clock) -> None:
        self._motor = motor
        self._clock = clock
        self._position: int | None = None
        self._forward: bool | None = None
        self._pins: list[Any] = []
        self._enable: Any = None
        try:
            self._step = self._output(factory, motor.step_pin)
            self._direction = self._output(factory, motor.direction_pin)
            self._enable = None if motor.enable_pin is None else self._enabled(factory, motor.enable_pin)
            self._switch = None if motor.home_pin is None else self._input(factory, motor.home_pin)
        except BusError:
            self.close()
            raise

    @property
    def position(self) -> int | None:
        """See `Turntable.position`."""
        return self._position

    @property
    def has_home(self) -> bool:
        """See `Turntable.has_home`."""
        return self._switch is not None

    def call_zero(self) -> None:
        """See `Turntable.call_zero`."""
        self._position = 0

    def home(self) -> None:
        """See `Turntable.home`. It comes from one side and slowly, so that it is the same step each time."""
        if self._switch is None:
            raise HomeNotFound("the turntable has no home switch: wire one (home_pin in the settings)")
        self._position = None
        self._until(lambda: not self._is_closed(), "open")
        self._until(self._is_closed, "close")
        self._position = 0

    def go(self, step: int) -> None:
        """See `Turntable.go`."""
        if self._position is None:
            raise PositionUnknown("nobody knows how the plate stands: bring it home first")
        if step < self._position and self._motor.backlash:
            self._turn(step - self._motor.backlash - self._position)
        self._turn(step - self._position)

    def close(self) -> None:
        """See `Turntable.close`."""
        pins, self._pins = self._pins, []
        for pin in pins:
            if pin is self._enable:
                pin.off()  # a motor that holds all night gets hot
            pin.close()

    # --- parts

    def _enabled(self, factory: Any, pin: int) -> Any:
        enable = self._output(factory, pin, active_high=False)
        enable.on()
        return enable

    def _turn(self, steps: int) -> None:
        for pause_s in ramp(abs(steps), self._motor):
            self._pulse(steps > 0, pause_s)

    def _until(self, is_so: Callable[[], bool], what: str) -> None:
        most = round(2.5 * self._motor.per_turn)
        for _ in range(most):
            if is_so():
                return
            self._pulse(True, 1 / self._motor.start_hz)
        raise HomeNotFound(
            f"the home switch (GPIO{self._motor.home_pin}) did not {what} within {most} steps: see whether the plate "
            f"turned (motor's supply, ENABLE), and whether its flag reaches the switch"
        )

    def _is_closed(self) -> bool:
        assert self._switch is not None
        if not self._switch.is_active:
            return False
        self._clock.sleep(_SETTLED_S)
        return bool(self._switch.is_active)

    def _pulse(self, forward: bool, pause_s: float) -> None:
        if forward != self._forward:
            self._direction.value = forward != self._motor.reverse
            self._forward = forward
            self._clock.sleep(1 / self._motor.start_hz)
        self._step.on()
        self._clock.sleep(_PULSE_S)
        self._step.off()
        if self._position is not None:
            self._position += 1 if forward else -1
        self._clock.sleep(pause_s - _PULSE_S)

    def _output(self, factory: Any, pin: int, *, active_high: bool = True) -> Any:
        return self._claimed("DigitalOutputDevice", factory, pin, active_high=active_high, initial_value=False)

    def _input(self, factory: Any, pin: int) -> Any:
        return self._claimed("DigitalInputDevice", factory, pin, pull_up=True)

    def _claimed(self, kind: str, factory: Any, pin: int, **how: Any) -> Any:
        device = claimed(kind, factory, pin, **how)
        self._pins.append(device)
        return device


def claimed(kind: str, factory: Any, pin: int, **how: Any) -> Any:
    """A gpiozero device of that kind; raises `BusError` that names the pin."""
    import gpiozero

    try:
        return getattr(gpiozero, kind)(pin, pin_factory=factory, **how)
    except (gpiozero.GPIOZeroError, ValueError) as error:
        raise BusError(f"gpio://: pin {pin}: {error}") from error


def quietly_closed(device: Any) -> None:
    """Close a pin while another error is on its way."""
    with suppress(OSError, RuntimeError):
        device.close()
