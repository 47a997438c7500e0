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


class Pins:
    """`api.Gpio` on a pin factory, which is made when the first pin is claimed."""

    def __init__(self, factory: Callable[[], Any] = lgpio_factory) -> None:
        self._make = factory
        self._factory: Any = None
        self._inputs: list[PinInput] = []
        self._closed = False

    async def input(self, pin: int, *, pull_up: bool, on_edge: Callable[[], None]) -> PinInput:
        """See `api.Gpio.input`."""
        if self._closed:
            raise BusClosed("gpio:// is closed")
        loop = asyncio.get_running_loop()

        def edge() -> None:
            with suppress(RuntimeError):  # the loop has closed since
                loop.call_soon_threadsafe(on_edge)

        claimed = self._claim(pin, pull_up, edge)
        self._inputs.append(claimed)
        return claimed

    async def close(self) -> None:
        """Give all pins back."""
        self._closed = True
        for claimed in self._inputs:
            claimed.close()
        if self._factory is not None:
            self._factory.close()
            self._factory = None

    def _claim(self, pin: int, pull_up: bool, edge: Callable[[], None]) -> PinInput:
        from gpiozero import DigitalInputDevice, GPIOZeroError

        if self._factory is None:
            self._factory = self._make()
        try:
            device = DigitalInputDevice(pin, pull_up=pull_up, pin_factory=self._factory)
        except (GPIOZeroError, ValueError) as error:
            raise BusError(f"gpio://: pin {pin}: {error}") from error
        device.when_activated = device.when_deactivated = edge
        return PinInput(device)
