"""The simulated buses: the same owner thread, deadlines and errors as the real ones, with twins at the other end.

What a twin gave goes into the ledger in the very step in which the driver gets it: an answer that was spoiled,
came too late or found nobody waiting any more is not "given".
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeAlias

from golmok_drivers.api import GpioTwin, I2CTwin, OneWireTwin
from golmok_drivers.buses.gpio import PinInput, Pins
from golmok_drivers.buses.worker import BusWorker
from golmok_drivers.errors import BusNack, BusTimeout, Unplugged
from golmok_drivers.twins.world import DeviceWorld, Given, Ledger

HANG_S: Final = 3.0
"""How long a hanging transaction hangs: longer than any deadline, as a stretched clock is."""
TICK_S: Final = 0.02
"""How often a simulated pin follows its signal."""


class Other(NamedTuple):
    """A twin with its name and its world."""

    name: str
    twin: Any
    world: DeviceWorld


_Answer: TypeAlias = tuple[bytes, str, list[Given]]


class _Wire:
    """The faults that a wire has, whatever speaks on it."""

    def __init__(self, others: Sequence[Other], ledger: Ledger) -> None:
        self.others = tuple(others)
        self.ledger = ledger
        self._released = threading.Event()

    def hang(self, world: DeviceWorld) -> None:
        """Block as long as a hanging part would, if it hangs."""
        if world.has("timeout"):
            self._released.wait(HANG_S)
            raise BusTimeout("sim: the part held the bus")

    def spoil(self, world: DeviceWorld, reply: bytes) -> bytes:
        """What arrives of `reply`: the same, or less what the faults did; then nothing was given."""
        spoilt = reply
        if reply and world.has("crc"):
            bit = int(world.random() * len(reply) * 8)
            spoilt = bytes(byte ^ (1 << bit % 8 if index == bit // 8 else 0) for index, byte in enumerate(reply))
        if reply and world.has("garbage"):
            spoilt = bytes(int(world.random() * 256) for _ in reply)
        return spoilt

    def release(self) -> None:
        """Let hanging transactions go."""
        self._released.set()


class SimI2C:
    """`api.I2C` with twins."""

    def __init__(self, name: str, others: Sequence[Other], ledger: Ledger) -> None:
        self._worker = BusWorker(name)
        self._wire = _Wire(others, ledger)

    async def xfer(self, address: int, write: bytes = b"", read: int = 0, *, timeout_s: float = 0.5) -> bytes:
        """See `api.I2C.xfer`."""
        answer = await self._worker.run(f"0x{address:02x}", lambda: self._transact(address, write, read), timeout_s)
        reply, name, given = answer
        self._wire.ledger.write(name, address, given)
        return reply

    async def close(self) -> None:
        """End the bus."""
        await self._worker.close()
        self._wire.release()

    def _transact(self, address: int, write: bytes, read: int) -> _Answer:
        for other in self._wire.others:
            twin: I2CTwin = other.twin
            if twin.address == address:
                return self._speak(other, twin, write, read)
        raise BusNack(f"sim: nobody answers at 0x{address:02x}")

    def _speak(self, other: Other, twin: I2CTwin, write: bytes, read: int) -> _Answer:
        world = other.world
        if world.has("nack") or world.has("unplugged"):
            raise BusNack(f"sim: nobody answers at 0x{twin.address:02x}")
        self._wire.hang(world)
        world.take_given()
        reply = twin.xfer(write, read)
        given = world.take_given()
        arrived = self._wire.spoil(world, reply)
        return arrived, other.name, given if arrived == reply else []


class SimOneWire:
    """`api.OneWire` with twins; says what Linux's w1_therm would make of the bytes they send."""

    def __init__(self, name: str, others: Sequence[Other], ledger: Ledger) -> None:
        self._name = name
        self._workers: dict[str, BusWorker] = {}
        self._wire = _Wire(others, ledger)

    async def devices(self) -> tuple[str, ...]:
        """See `api.OneWire.devices`."""
        return tuple(sorted(other.twin.address for other in self._wire.others if not self._is_off(other)))

    async def read(self, device: str, file: str = "w1_slave", *, timeout_s: float = 2.0) -> bytes:
        """See `api.OneWire.read`."""
        worker = self._workers.setdefault(device, BusWorker(self._name))
        text, name, given = await worker.run(device, lambda: self._read(device), timeout_s)
        self._wire.ledger.write(name, device, given)
        return text

    async def close(self) -> None:
        """End the bus."""
        for worker in self._workers.values():
            await worker.close()
        self._wire.release()

    @staticmethod
    def _is_off(other: Other) -> bool:
        return other.world.has("unplugged") or other.world.has("nack")

    def _read(self, device: str) -> _Answer:
        for other in self._wire.others:
            if other.twin.address == device and not self._is_off(other):
                return self._speak(other, other.twin)
        raise Unplugged(f"sim: {device} is not on the bus")

    def _speak(self, other: Other, twin: OneWireTwin) -> _Answer:
        world = other.world
        self._wire.hang(world)
        world.take_given()
        sent = twin.scratchpad()
        given = world.take_given()
        if world.has("not-ready"):
            return b"", other.name, []
        arrived = self._wire.spoil(world, sent)
        return kernel_text(arrived), other.name, given if arrived == sent else []


def kernel_text(scratchpad: bytes) -> bytes:
    """The text of `w1_slave` (linux/drivers/w1/slaves/w1_therm.c) for nine bytes of scratchpad."""
    crc = 0
    for byte in scratchpad[:8]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    octets = " ".join(f"{byte:02x}" for byte in scratchpad)
    verdict = "YES" if crc == scratchpad[8] else "NO"
    milli = int.from_bytes(scratchpad[:2], "little", signed=True) * 1000 // 16
    return f"{octets} : crc={crc:02x} {verdict}\n{octets} t={milli}\n".encode()


class _TwinInput(PinInput):
    """A pin whose first reading and each other one after it are what the twin gave."""

    def __init__(self, real: PinInput, seen: Callable[[bool], None]) -> None:
        self._real = real
        self._seen = seen

    @property
    def is_high(self) -> bool:
        """See `api.GpioInput.is_high`."""
        level = self._real.is_high
        self._seen(level)
        return level

    def close(self) -> None:
        """See `api.GpioInput.close`."""
        self._real.close()


class SimPins:
    """`api.Gpio` on gpiozero's mock pins, at which twins pull as their signals say."""

    def __init__(self, others: Sequence[Other], ledger: Ledger) -> None:
        from gpiozero.pins.mock import MockFactory

        self._factory = MockFactory()
        self._pins = Pins(lambda: self._factory)
        self._wire = _Wire(others, ledger)
        self._pulls: dict[int, bool] = {}
        self._last: dict[int, bool] = {}
        self._follower: asyncio.Task[None] | None = None

    async def input(self, pin: int, *, pull_up: bool, on_edge: Callable[[], None]) -> _TwinInput:
        """See `api.Gpio.input`."""
        real = await self._pins.input(pin, pull_up=pull_up, on_edge=on_edge)
        self._pulls[pin] = pull_up
        self._last.pop(pin, None)
        self._pull()
        if self._follower is None:
            self._follower = asyncio.create_task(self._follow())
        return _TwinInput(real, lambda level: self._note(pin, level))

    async def close(self) -> None:
        """Give all pins back and let go of them."""
        follower, self._follower = self._follower, None
        if follower:
            follower.cancel()
            with suppress(asyncio.CancelledError):
                await follower
        self._pulls.clear()
        await self._pins.close()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._pull()

    def _pull(self) -> None:
        for other in self._wire.others:
            twin: GpioTwin = other.twin
            pull_up = self._pulls.get(twin.pin)
            if pull_up is not None:
                cut = other.world.has("unplugged") or other.world.has("nack")
                self._drive(twin.pin, pull_up if cut else twin.level(pull_up), other.world.has("bounce"))

    def _drive(self, number: int, level: bool, bounces: bool) -> None:
        pin = self._factory.pin(number)
        if bool(pin.state) == level:
            return
        for bounce in (level, not level, level) if bounces else (level,):
            (pin.drive_high if bounce else pin.drive_low)()

    def _note(self, number: int, level: bool) -> None:
        if self._last.get(number) == level:
            return
        self._last[number] = level
        for other in self._wire.others:
            if other.twin.pin == number:
                other.twin.read(level, self._pulls[number])
                self._wire.ledger.write(other.name, number, other.world.take_given())
