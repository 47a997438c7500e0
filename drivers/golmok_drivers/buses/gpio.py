"""The board's pins, through gpiozero and one of its pin factories (lgpio on the Pi)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from golmok_drivers.errors import BusClosed, BusError


def lgpio_factory() -> Any:
    """The pin factory of the Raspberry Pi, all models."""
    try:
        from gpiozero.pins.lgpio import LGPIOFactory
    except ImportError as error:
        raise BusError(f"gpio://: lgpio is missing ({error}); install python3-lgpio") from error
    try:
        return LGPIOFactory()
    except Exception as error:  # lgpio's own class derives from nothing narrower
        raise BusError(f"gpio://: this machine has no usable pins ({error})") from error


class PinInput:
    """`api.GpioInput` on a gpiozero device."""

    def __init__(self, device: Any) -> None:
        self._device = device

    @property
    def is_high(self) -> bool:
        """The level now."""
        if self._device.closed:
            raise BusClosed("gpio://: the pin was given back")
        return bool(self._device.pin.state)

    def close(self) -> None:
        """Give the pin back."""
        self._device.close()


class PinCounter:
    """`api.GpioCounter` on a gpiozero device; its callbacks come from one thread, one after another."""

    def __init__(self, device: Any) -> None:
        self._device = device
        self._pulses = 0
        device.when_activated = self._count

    @property
    def pulses(self) -> int:
        """See `api.GpioCounter.pulses`."""
        if self._device.closed:
            raise BusClosed("gpio://: the pin was given back")
        return self._pulses

    def close(self) -> None:
        """Give the pin back."""
        self._device.close()

    def _count(self) -> None:
        self._pulses += 1


class PinOutput:
    """`api.GpioOutput` on a gpiozero device."""

    def __init__(self, device: Any) -> None:
        self._device = device

    @property
    def is_high(self) -> bool:
        """The level it drives."""
        if self._device.closed:
            raise BusClosed("gpio://: the pin was given back")
        return bool(self._device.value)

    def write(self, is_high: bool) -> None:
        """See `api.GpioOutput.write`."""
        if self._device.closed:
            raise BusClosed("gpio://: the pin was given back")
        (self._device.on if is_high else self._device.off)()

    def close(self) -> None:
        """Let go of the pin."""
        self._device.close()


class Pins:
    """`api.Gpio` on a pin factory, which is made when the first pin is claimed."""

    def __init__(self, factory: Callable[[], Any] = lgpio_factory) -> None:
        self._make = factory
        self._factory: Any = None
        self._claimed: list[PinInput | PinCounter | PinOutput] = []
        self._closed = False

    async def input(self, pin: int, *, pull_up: bool, on_edge: Callable[[], None]) -> PinInput:
        """See `api.Gpio.input`."""
        loop = asyncio.get_running_loop()

        def edge() -> None:
            with suppress(RuntimeError):  # the loop has closed since
                loop.call_soon_threadsafe(on_edge)

        device = self._claim("DigitalInputDevice", pin, pull_up=pull_up)
        device.when_activated = device.when_deactivated = edge
        claimed = PinInput(device)
        self._claimed.append(claimed)
        return claimed

    async def count(self, pin: int, *, pull_up: bool) -> PinCounter:
        """See `api.Gpio.count`."""
        claimed = PinCounter(self._claim("DigitalInputDevice", pin, pull_up=pull_up))
        self._claimed.append(claimed)
        return claimed

    async def output(self, pin: int, *, is_high: bool) -> PinOutput:
        """See `api.Gpio.output`."""
        claimed = PinOutput(self._claim("DigitalOutputDevice", pin, initial_value=is_high))
        self._claimed.append(claimed)
        return claimed

    async def close(self) -> None:
        """Give all pins back."""
        self._closed = True
        for claimed in self._claimed:
            claimed.close()
        if self._factory is not None:
            self._factory.close()
            self._factory = None

    def _claim(self, kind: str, pin: int, **how: Any) -> Any:
        if self._closed:
            raise BusClosed("gpio:// is closed")
        import gpiozero

        if self._factory is None:
            self._factory = self._make()
        try:
            return getattr(gpiozero, kind)(pin, pin_factory=self._factory, **how)
        except (gpiozero.GPIOZeroError, ValueError) as error:
            raise BusError(f"gpio://: pin {pin}: {error}") from error
