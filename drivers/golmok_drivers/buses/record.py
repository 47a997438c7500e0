"""Buses that write down all that is said on them: a real shop becomes a regression test.

Whoever uses them cannot tell, and cannot be disturbed: what is written is what was said.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from golmok_drivers.api import (
    I2C,
    Gpio,
    GpioCounter,
    GpioInput,
    GpioOutput,
    I2CLine,
    OneWire,
    Spi,
    SpiLine,
    Uart,
)
from golmok_drivers.buses.bletrace import RecordedBle
from golmok_drivers.buses.trace import TraceWriter
from golmok_drivers.errors import DriverError

T = TypeVar("T")


class _Recorded:
    """What all of them have in common."""

    def __init__(self, bus: Any, trace: TraceWriter) -> None:
        self._bus, self._trace = bus, trace

    async def close(self) -> None:
        """End the bus and its trace."""
        await self._bus.close()
        self._trace.close()

    async def _said(self, device: str, do: str, args: tuple[Any, ...], answer: Awaitable[T]) -> T:
        try:
            result = await answer
        except DriverError as error:
            self._trace.write(device, do, args, error)
            raise
        self._trace.write(device, do, args, result)
        return result


class RecordedI2C(_Recorded):
    """`api.I2C`."""

    _bus: I2C

    async def xfer(self, address: int, write: bytes = b"", read: int = 0, *, timeout_s: float = 0.5) -> bytes:
        """See `api.I2C.xfer`."""
        answer = self._bus.xfer(address, write, read, timeout_s=timeout_s)
        return await self._said(f"0x{address:02x}", "xfer", (write, read), answer)

    async def session(self, address: int, work: Callable[[I2CLine], T], *, timeout_s: float) -> T:
        """See `api.I2C.session`."""
        device = f"0x{address:02x}"
        return await self._bus.session(
            address, lambda line: work(_I2CLine(line, device, self._trace)), timeout_s=timeout_s
        )


class RecordedSpi(_Recorded):
    """`api.Spi`."""

    _bus: Spi

    async def xfer(
        self, select: int, write: bytes, *, mode: int = 0, speed_hz: int = 1_000_000, timeout_s: float = 0.5
    ) -> bytes:
        """See `api.Spi.xfer`."""
        answer = self._bus.xfer(select, write, mode=mode, speed_hz=speed_hz, timeout_s=timeout_s)
        return await self._said(f"select {select}", "xfer", (write,), answer)

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
        recorded = lambda line: work(_SpiLine(line, f"select {select}", self._trace))  # noqa: E731
        return await self._bus.session(select, recorded, mode=mode, speed_hz=speed_hz, timeout_s=timeout_s)


class RecordedUart(_Recorded):
    """`api.Uart`."""

    _bus: Uart

    async def ask(self, device: int, write: bytes, read: int, *, timeout_s: float = 0.3) -> bytes:
        """See `api.Uart.ask`."""
        answer = self._bus.ask(device, write, read, timeout_s=timeout_s)
        return await self._said(str(device), "ask", (write, read), answer)


class RecordedOneWire(_Recorded):
    """`api.OneWire`."""

    _bus: OneWire

    async def devices(self) -> tuple[str, ...]:
        """See `api.OneWire.devices`."""
        return await self._said("", "devices", (), self._bus.devices())

    async def read(self, device: str, file: str = "w1_slave", *, timeout_s: float = 2.0) -> bytes:
        """See `api.OneWire.read`."""
        return await self._said(device, "read", (file,), self._bus.read(device, file, timeout_s=timeout_s))


class RecordedGpio(_Recorded):
    """`api.Gpio`: levels when they are another than before, pulses when they are read, what is driven."""

    _bus: Gpio

    async def input(self, pin: int, *, pull_up: bool, on_edge: Callable[[], None]) -> GpioInput:
        """See `api.Gpio.input`."""
        real = await self._said_claim(pin, "input", pull_up, self._bus.input(pin, pull_up=pull_up, on_edge=on_edge))
        return _Input(real, f"pin {pin}", self._trace)

    async def count(self, pin: int, *, pull_up: bool) -> GpioCounter:
        """See `api.Gpio.count`."""
        real = await self._said_claim(pin, "count", pull_up, self._bus.count(pin, pull_up=pull_up))
        return _Counter(real, f"pin {pin}", self._trace)

    async def output(self, pin: int, *, is_high: bool) -> GpioOutput:
        """See `api.Gpio.output`."""
        real = await self._said_claim(pin, "output", is_high, self._bus.output(pin, is_high=is_high))
        return _Output(real, f"pin {pin}", self._trace)

    async def _said_claim(self, pin: int, do: str, how: bool, answer: Awaitable[T]) -> T:
        device = f"pin {pin}"
        try:
            claimed = await answer
        except DriverError as error:
            self._trace.write(device, do, (how,), error)
            raise
        self._trace.write(device, do, (how,), None)
        return claimed


class _SaidLine:
    """A line to a session, written down."""

    def __init__(self, line: Any, device: str, trace: TraceWriter) -> None:
        self._line, self._device, self._trace = line, device, trace

    def now_s(self) -> float:
        """See `api.Line.now_s`."""
        now_s: float = self._line.now_s()
        return now_s

    def sleep(self, seconds: float) -> None:
        """See `api.Line.sleep`."""
        self._line.sleep(seconds)

    def _said(self, *args: Any) -> bytes:
        try:
            result: bytes = self._line.xfer(*args)
        except DriverError as error:
            self._trace.write(self._device, "xfer", args, error)
            raise
        self._trace.write(self._device, "xfer", args, result)
        return result


class _I2CLine(_SaidLine):
    def xfer(self, write: bytes = b"", read: int = 0) -> bytes:
        """See `api.I2C.xfer`."""
        return self._said(write, read)


class _SpiLine(_SaidLine):
    def xfer(self, write: bytes) -> bytes:
        """See `api.Spi.xfer`."""
        return self._said(write)


class _Pin:
    def __init__(self, real: Any, device: str, trace: TraceWriter) -> None:
        self._real, self._device, self._trace = real, device, trace
        self._last: Any = None

    def close(self) -> None:
        """Give the pin back."""
        self._real.close()

    def _seen(self, do: str, value: Any) -> Any:
        if value != self._last:
            self._last = value
            self._trace.write(self._device, do, (), value)
        return value


class _Input(_Pin):
    @property
    def is_high(self) -> bool:
        """See `api.GpioInput.is_high`."""
        return bool(self._seen("level", self._real.is_high))


class _Counter(_Pin):
    @property
    def pulses(self) -> int:
        """See `api.GpioCounter.pulses`."""
        pulses: int = self._real.pulses
        self._trace.write(self._device, "pulses", (), pulses)
        return pulses


class _Output(_Pin):
    @property
    def is_high(self) -> bool:
        """See `api.GpioOutput.is_high`."""
        return bool(self._real.is_high)

    def write(self, is_high: bool) -> None:
        """See `api.GpioOutput.write`."""
        self._real.write(is_high)
        self._trace.write(self._device, "write", (is_high,), None)


RECORDED: Final[dict[str, Callable[[Any, TraceWriter], Any]]] = {
    "i2c": RecordedI2C,
    "spi": RecordedSpi,
    "uart": RecordedUart,
    "w1": RecordedOneWire,
    "gpio": RecordedGpio,
    "ble": RecordedBle,
}
"""Kind of bus -> what records it."""
