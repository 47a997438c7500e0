"""The buses as a driver in a process of its own sees them: each question goes to the gateway, where the real one is."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from golmok_drivers.apart.ble import FarBle
from golmok_drivers.errors import BusClosed, BusTimeout, BusUrlError

_LEVEL_S: Final = 2.0
_CLOSED: Final = 2


class Asker(Protocol):
    """Asks the gateway."""

    def __call__(self, method: str, *args: Any) -> Awaitable[Any]:
        """Its answer; raises what the real bus raised."""


class FarI2C:
    """`api.I2C`."""

    def __init__(self, ask: Asker) -> None:
        self._ask = ask

    async def xfer(self, address: int, write: bytes = b"", read: int = 0, *, timeout_s: float = 0.5) -> bytes:
        """See `api.I2C.xfer`."""
        reply: bytes = await self._ask("xfer", address, bytes(write), read, timeout_s)
        return reply

    async def close(self) -> None:
        """The bus is the gateway's."""


class FarOneWire:
    """`api.OneWire`."""

    def __init__(self, ask: Asker) -> None:
        self._ask = ask

    async def devices(self) -> tuple[str, ...]:
        """See `api.OneWire.devices`."""
        return tuple(await self._ask("devices"))

    async def read(self, device: str, file: str = "w1_slave", *, timeout_s: float = 2.0) -> bytes:
        """See `api.OneWire.read`."""
        text: bytes = await self._ask("read", device, file, timeout_s)
        return text

    async def close(self) -> None:
        """The bus is the gateway's."""


class FarPin:
    """`api.GpioInput`. The level is asked for at once, over a line of its own, since the asker does not await."""

    def __init__(self, pins: FarPins, handle: int, on_edge: Callable[[], None]) -> None:
        self._pins, self._handle, self.on_edge = pins, handle, on_edge
        self._is_closed = False

    @property
    def is_high(self) -> bool:
        """See `api.GpioInput.is_high`."""
        if self._is_closed:
            raise BusClosed("gpio://: the pin was given back")
        return self._pins.level(self._handle)

    def close(self) -> None:
        """See `api.GpioInput.close`."""
        if not self._is_closed:
            self._is_closed = True
            self._pins.give_back(self._handle)


class FarPins:
    """`api.Gpio`."""

    def __init__(self, ask: Asker, levels: socket.socket, give_back: Callable[[int], None]) -> None:
        self._ask, self._levels, self._give_back = ask, levels, give_back
        self._claimed: dict[int, FarPin] = {}
        levels.settimeout(_LEVEL_S)

    async def input(self, pin: int, *, pull_up: bool, on_edge: Callable[[], None]) -> FarPin:
        """See `api.Gpio.input`."""
        handle: int = await self._ask("input", pin, pull_up)
        self._claimed[handle] = FarPin(self, handle, on_edge)
        return self._claimed[handle]

    async def close(self) -> None:
        """The pins are the gateway's; those of this driver are given back."""
        for pin in list(self._claimed.values()):
            pin.close()

    def level(self, handle: int) -> bool:
        """Whether it is high."""
        try:
            self._levels.sendall(handle.to_bytes(4, "big"))
            answer = self._levels.recv(1)
        except TimeoutError:
            raise BusTimeout("gpio://: the gateway does not say the level") from None
        if not answer or answer[0] == _CLOSED:
            raise BusClosed("gpio://: the pin was given back")
        return answer[0] == 1

    def edge(self, handle: int) -> None:
        """There was an edge."""
        if claimed := self._claimed.get(handle):
            claimed.on_edge()

    def give_back(self, handle: int) -> None:
        """It is the gateway's again."""
        if self._claimed.pop(handle, None):
            self._give_back(handle)


def far_bus(kind: str, ask: Asker, levels: socket.socket, give_back: Callable[[int], None]) -> Any:
    """The bus of that kind."""
    match kind:
        case "i2c":
            return FarI2C(ask)
        case "w1":
            return FarOneWire(ask)
        case "gpio":
            return FarPins(ask, levels, give_back)
        case "ble":
            return FarBle(ask)
    raise BusUrlError(f"there is no bus of kind {kind!r}")
