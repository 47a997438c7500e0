"""Buses that say again what a trace has: a shop's day, without the shop.

Each device is asked the same in the same order as then, or it is an error that says where it went another way. Answers
come at once: who polls sets the pace. Pins move when they moved then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from golmok_drivers.api import I2CLine, SpiLine
from golmok_drivers.buses.bletrace import ReplayedBle
from golmok_drivers.buses.mqtttrace import ReplayedMqtt
from golmok_drivers.buses.trace import Event, Script, read_trace
from golmok_drivers.errors import BusClosed, BusError

T = TypeVar("T")


class _Replayed:
    """What all of them have in common."""

    def __init__(self, path: Path, kind: str) -> None:
        """Raises `BusUrlError`."""
        self._events = read_trace(path, kind)
        self._script = Script(self._events, path)
        self._closed = False

    async def close(self) -> None:
        """End it."""
        self._closed = True

    async def _answer(self, device: str, do: str, *args: Any) -> Any:
        await asyncio.sleep(0)
        return self._now(device, do, *args)

    def _now(self, device: str, do: str, *args: Any) -> Any:
        if self._closed:
            raise BusClosed("replay: the bus is closed")
        return self._script.answer(device, do, args)


class ReplayedI2C(_Replayed):
    """`api.I2C`."""

    async def xfer(self, address: int, write: bytes = b"", read: int = 0, *, timeout_s: float = 0.5) -> bytes:
        """See `api.I2C.xfer`."""
        return bytes.fromhex(await self._answer(f"0x{address:02x}", "xfer", write, read))

    async def session(self, address: int, work: Callable[[I2CLine], T], *, timeout_s: float) -> T:
        """See `api.I2C.session`."""
        return await asyncio.to_thread(work, _I2CLine(lambda *args: self._now(f"0x{address:02x}", "xfer", *args)))


class ReplayedSpi(_Replayed):
    """`api.Spi`."""

    async def xfer(
        self, select: int, write: bytes, *, mode: int = 0, speed_hz: int = 1_000_000, timeout_s: float = 0.5
    ) -> bytes:
        """See `api.Spi.xfer`."""
        return bytes.fromhex(await self._answer(f"select {select}", "xfer", write))

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
        return await asyncio.to_thread(work, _SpiLine(lambda *args: self._now(f"select {select}", "xfer", *args)))


class ReplayedUart(_Replayed):
    """`api.Uart`."""

    async def ask(self, device: int, write: bytes, read: int, *, timeout_s: float = 0.3) -> bytes:
        """See `api.Uart.ask`."""
        return bytes.fromhex(await self._answer(str(device), "ask", write, read))


class ReplayedOneWire(_Replayed):
    """`api.OneWire`."""

    async def devices(self) -> tuple[str, ...]:
        """See `api.OneWire.devices`."""
        return tuple(await self._answer("", "devices"))

    async def read(self, device: str, file: str = "w1_slave", *, timeout_s: float = 2.0) -> bytes:
        """See `api.OneWire.read`."""
        return bytes.fromhex(await self._answer(device, "read", file))


class ReplayedGpio(_Replayed):
    """`api.Gpio`."""

    async def input(self, pin: int, *, pull_up: bool, on_edge: Callable[[], None]) -> ReplayedInput:
        """See `api.Gpio.input`."""
        await self._answer(f"pin {pin}", "input", pull_up)
        return ReplayedInput(self._of(pin, "level"), on_edge)

    async def count(self, pin: int, *, pull_up: bool) -> ReplayedCounter:
        """See `api.Gpio.count`."""
        await self._answer(f"pin {pin}", "count", pull_up)
        return ReplayedCounter(self._of(pin, "pulses"))

    async def output(self, pin: int, *, is_high: bool) -> ReplayedOutput:
        """See `api.Gpio.output`."""
        await self._answer(f"pin {pin}", "output", is_high)
        return ReplayedOutput(is_high, lambda level: self._now(f"pin {pin}", "write", level))

    def _of(self, pin: int, do: str) -> list[Event]:
        return [event for event in self._events if (event.device, event.do) == (f"pin {pin}", do)]


class ReplayedInput:
    """`api.GpioInput`: each level is there when it was there, and stays until it has been read."""

    def __init__(self, levels: Sequence[Event], on_edge: Callable[[], None]) -> None:
        self._levels = list(levels)
        self._on_edge = on_edge
        self._loop = asyncio.get_running_loop()
        self._level = bool(self._levels.pop(0).result) if self._levels else True
        self._read_at_t = levels[0].t if levels else 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def is_high(self) -> bool:
        """See `api.GpioInput.is_high`."""
        if self._closed:
            raise BusClosed("replay: the pin was given back")
        if self._levels and self._timer is None:
            self._timer = self._loop.call_later(max(0.0, self._levels[0].t - self._read_at_t), self._move)
        return self._level

    def close(self) -> None:
        """See `api.GpioInput.close`."""
        self._closed = True
        if self._timer:
            self._timer.cancel()

    def _move(self) -> None:
        event, self._timer = self._levels.pop(0), None
        self._level, self._read_at_t = bool(event.result), event.t
        self._on_edge()


class ReplayedCounter:
    """`api.GpioCounter`: one of the numbers that were read after the other."""

    def __init__(self, numbers: Sequence[Event]) -> None:
        self._numbers = [int(event.result) for event in numbers]
        self._at = 0
        self._closed = False

    @property
    def pulses(self) -> int:
        """See `api.GpioCounter.pulses`."""
        if self._closed:
            raise BusClosed("replay: the pin was given back")
        if self._at == len(self._numbers):
            raise BusError("replay: the trace of this pin has come to its end")
        self._at += 1
        return self._numbers[self._at - 1]

    def close(self) -> None:
        """See `api.GpioCounter.close`."""
        self._closed = True


class ReplayedOutput:
    """`api.GpioOutput`: takes what it took then."""

    def __init__(self, is_high: bool, write: Callable[[bool], None]) -> None:
        self._level, self._write = is_high, write
        self._closed = False

    @property
    def is_high(self) -> bool:
        """See `api.GpioOutput.is_high`."""
        return self._level

    def write(self, is_high: bool) -> None:
        """See `api.GpioOutput.write`."""
        if self._closed:
            raise BusClosed("replay: the pin was given back")
        self._write(is_high)
        self._level = is_high

    def close(self) -> None:
        """See `api.GpioOutput.close`."""
        self._closed = True


class _ReplayedLine:
    """A line to a session; time goes as fast as it is slept."""

    def __init__(self, answer: Callable[..., str]) -> None:
        self._answer, self._now_s = answer, 0.0

    def now_s(self) -> float:
        """See `api.Line.now_s`."""
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """See `api.Line.sleep`."""
        self._now_s += max(0.0, seconds)


class _I2CLine(_ReplayedLine):
    def xfer(self, write: bytes = b"", read: int = 0) -> bytes:
        """See `api.I2C.xfer`."""
        return bytes.fromhex(self._answer(write, read))


class _SpiLine(_ReplayedLine):
    def xfer(self, write: bytes) -> bytes:
        """See `api.Spi.xfer`."""
        return bytes.fromhex(self._answer(write))


REPLAYED: Final[dict[str, Callable[[Path, str], Any]]] = {
    "i2c": ReplayedI2C,
    "spi": ReplayedSpi,
    "uart": ReplayedUart,
    "w1": ReplayedOneWire,
    "gpio": ReplayedGpio,
    "ble": ReplayedBle,
    "mqtt": ReplayedMqtt,
}
"""Kind of bus -> what plays its traces."""
