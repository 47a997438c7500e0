"""The buses as a driver in a process of its own sees them: each question goes to the gateway, where the real one is."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

from golmok_drivers.apart.ble import FarBle
from golmok_drivers.api import I2CLine, SpiLine
from golmok_drivers.errors import BusClosed, BusError, BusTimeout, BusUrlError

T = TypeVar("T")

_LEVEL_S: Final = 2.0
_CLOSED: Final = 2


class Asker(Protocol):
    """Asks the gateway."""

    def __call__(self, method: str, *args: Any) -> Awaitable[Any]:
        """Its answer; raises what the real bus raised."""


class _FarLine:
    """A line to a session, which runs in a thread here: each transaction is a question, and others may come between."""

    def __init__(self, xfer: Callable[..., Any]) -> None:
        self._xfer, self._loop = xfer, asyncio.get_running_loop()

    def now_s(self) -> float:
        """See `api.Line.now_s`."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See `api.Line.sleep`."""
        time.sleep(max(0.0, seconds))

    def xfer(self, write: bytes = b"", read: int | None = None) -> bytes:
        """See `api.I2C.xfer`, `api.Spi.xfer`."""
        args = (write,) if read is None else (write, read)
        reply: bytes = asyncio.run_coroutine_threadsafe(self._xfer(*args), self._loop).result()
        return reply


class FarI2C:
    """`api.I2C`."""

    def __init__(self, ask: Asker) -> None:
        self._ask = ask

    async def xfer(self, address: int, write: bytes = b"", read: int = 0, *, timeout_s: float = 0.5) -> bytes:
        """See `api.I2C.xfer`."""
        reply: bytes = await self._ask("xfer", address, bytes(write), read, timeout_s)
        return reply

    async def session(self, address: int, work: Callable[[I2CLine], T], *, timeout_s: float) -> T:
        """See `api.I2C.session`."""
        line = _FarI2CLine(lambda write, read: self.xfer(address, write, read))
        async with asyncio.timeout(timeout_s):
            return await asyncio.to_thread(work, line)

    async def close(self) -> None:
        """The bus is the gateway's."""


class _FarI2CLine(_FarLine):
    def xfer(self, write: bytes = b"", read: int | None = 0) -> bytes:
        """See `api.I2C.xfer`."""
        return super().xfer(write, read)


class FarSpi:
    """`api.Spi`."""

    def __init__(self, ask: Asker) -> None:
        self._ask = ask

    async def xfer(
        self, select: int, write: bytes, *, mode: int = 0, speed_hz: int = 1_000_000, timeout_s: float = 0.5
    ) -> bytes:
        """See `api.Spi.xfer`."""
        reply: bytes = await self._ask("xfer", select, bytes(write), mode, speed_hz, timeout_s)
        return reply

    async def session(
        self,
        select: int,
        work: Callable[[SpiLine], T],
        *,
        mode: int = 0,
        speed_hz: int = 1_000_000,
        timeout_s: float,
    ) -> T:
        """See `api.Spi.session`."""
        line = _FarLine(lambda write: self.xfer(select, write, mode=mode, speed_hz=speed_hz))
        async with asyncio.timeout(timeout_s):
            return await asyncio.to_thread(work, line)

    async def close(self) -> None:
        """The bus is the gateway's."""


class FarUart:
    """`api.Uart`."""

    def __init__(self, ask: Asker) -> None:
        self._ask = ask

    async def ask(self, device: int, write: bytes, read: int, *, timeout_s: float = 0.3) -> bytes:
        """See `api.Uart.ask`."""
        reply: bytes = await self._ask("ask", device, bytes(write), read, timeout_s)
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

    async def count(self, pin: int, *, pull_up: bool) -> Any:
        """See `api.Gpio.count`."""
        raise BusError("gpio://: a driver in a process of its own cannot count pulses yet; set apart = false")

    async def output(self, pin: int, *, is_high: bool) -> Any:
        """See `api.Gpio.output`."""
        raise BusError("gpio://: a driver in a process of its own cannot drive pins yet; set apart = false")

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
        case "spi":
            return FarSpi(ask)
        case "uart":
            return FarUart(ask)
        case "w1":
            return FarOneWire(ask)
        case "gpio":
            return FarPins(ask, levels, give_back)
        case "ble":
            return FarBle(ask)
    raise BusUrlError(f"there is no bus of kind {kind!r}")
