"""The simulated buses: the same owner thread, deadlines and errors as the real ones, with twins at the other end.

What a twin gave goes into the ledger in the very step in which the driver gets it: an answer that was spoiled,
came too late or found nobody waiting any more is not "given".
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar

from golmok_drivers.api import (
    GpioTwin,
    I2CLine,
    I2CTwin,
    OneWireTwin,
    OutputTwin,
    PulseTwin,
    SpiLine,
    SpiTwin,
    UartTwin,
)
from golmok_drivers.buses.gpio import PinCounter, PinInput, PinOutput, Pins
from golmok_drivers.buses.i2c import HELD
from golmok_drivers.buses.worker import BusWorker
from golmok_drivers.errors import BusNack, BusTimeout, Shorted, Unplugged
from golmok_drivers.twins.world import DeviceWorld, Given, Ledger

HANG_S: Final = 3.0
"""How long a hanging transaction hangs: longer than any deadline, as a stretched clock is."""
SLOW_S: Final = 0.1
"""How long a slow part takes: less than any deadline."""
STUCK_S: Final = 0.1
"""After so long Linux gives up a bus whose lines are held."""
TICK_S: Final = 0.02
"""How often a simulated pin follows its signal."""


class Other(NamedTuple):
    """A twin with its name and its world."""

    name: str
    twin: Any
    world: DeviceWorld


T = TypeVar("T")


class _Answer(NamedTuple):
    """What arrives of an answer, who sent it, and what it means; nothing of what was spoiled on the way."""

    reply: bytes
    name: str = ""
    given: Sequence[Given] = ()
    is_spoilt: bool = False


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
        if world.has("slow"):
            self._released.wait(SLOW_S)

    def arrived(self, other: Other, reply: bytes, given: Sequence[Given]) -> _Answer:
        """What arrives of a part's reply."""
        arrived = self.spoil(other.world, reply)
        return _Answer(arrived, other.name, given) if arrived == reply else _Answer(arrived, other.name, (), True)

    def spoil(self, world: DeviceWorld, reply: bytes) -> bytes:
        """What arrives of `reply`: the same, or less what the faults did; then nothing was given."""
        spoilt = reply
        if reply and world.has("crc"):
            bit = int(world.random() * len(reply) * 8)
            spoilt = bytes(byte ^ (1 << bit % 8 if index == bit // 8 else 0) for index, byte in enumerate(reply))
        if reply and world.has("garbage"):
            spoilt = bytes(int(world.random() * 256) for _ in reply)
        return spoilt

    def held(self) -> None:
        """Raise if any part, or a wire that touches ground, holds the lines that all of them share."""
        if self.is_shorted() or any(other.world.has("bus-stuck") for other in self.others):
            self._released.wait(STUCK_S)
            raise Shorted(HELD.format("sim"))

    def is_shorted(self) -> bool:
        """Whether a wire of the bus touches ground (not one between a part and what it measures: its twin says so)."""
        return any(other.world.has("shorted") and not _has_own(other.twin, "shorted") for other in self.others)

    def release(self) -> None:
        """Let hanging transactions go."""
        self._released.set()


def _has_own(twin: Any, fault: str) -> bool:
    """Whether the twin makes that fault itself."""
    return fault in getattr(twin, "faults", {})


class _SimBus:
    """What the simulated buses have in common that speak in transactions."""

    def __init__(self, name: str, others: Sequence[Other], ledger: Ledger) -> None:
        self._worker = BusWorker(name)
        self._wire = _Wire(others, ledger)

    async def close(self) -> None:
        """End the bus."""
        await self._worker.close()
        self._wire.release()

    def _called(self, address: int) -> str:
        """A device as errors name it."""
        return f"device {address}"

    async def _transaction(self, address: int, work: Callable[[], _Answer], timeout_s: float) -> bytes:
        device = self._called(address)
        answer = await self._worker.run(device, work, timeout_s)
        self._wire.ledger.write(answer.name, address, answer.given)
        return answer.reply

    async def _session(self, address: int, line: _SimLine, work: Callable[[], T], timeout_s: float) -> T:
        result = await self._worker.run(self._called(address), lambda: line.held(work), timeout_s)
        self._wire.ledger.write(line.name, address, line.given)
        return result


class _SimLine:
    """A bus to a `session`: while it is waited, the part's clock goes forward at once."""

    def __init__(self, other: Other | None, speak: Callable[..., _Answer]) -> None:
        self._other, self._speak = other, speak
        self._slept_s = 0.0
        self.name = other.name if other else ""
        self._given: list[Given] = []
        self._is_spoilt = False

    @property
    def given(self) -> list[Given]:
        """What was given in it: nothing where any answer was spoiled."""
        return [] if self._is_spoilt else self._given

    def held(self, work: Callable[[], T]) -> T:
        """What `work` gives, while the part's clock stands."""
        if self._other is None:
            return work()
        self._other.world.hold(True)
        try:
            return work()
        finally:
            self._other.world.hold(False)

    def now_s(self) -> float:
        """See `api.Line.now_s`."""
        return self._other.world.part_s() if self._other else self._slept_s

    def sleep(self, seconds: float) -> None:
        """See `api.Line.sleep`."""
        self._slept_s += max(0.0, seconds)
        if self._other:
            self._other.world.skip(max(0.0, seconds))

    def _xfer(self, *args: Any) -> bytes:
        answer = self._speak(*args)
        self._given += answer.given
        self._is_spoilt |= answer.is_spoilt
        return answer.reply


class SimI2C(_SimBus):
    """`api.I2C` with twins."""

    def _called(self, address: int) -> str:
        return f"0x{address:02x}"

    async def xfer(self, address: int, write: bytes = b"", read: int = 0, *, timeout_s: float = 0.5) -> bytes:
        """See `api.I2C.xfer`."""
        return await self._transaction(address, lambda: self._transact(address, write, read), timeout_s)

    async def session(self, address: int, work: Callable[[I2CLine], T], *, timeout_s: float) -> T:
        """See `api.I2C.session`."""
        other = next((other for other in self._wire.others if other.twin.address == address), None)
        line = _SimI2CLine(other, lambda write, read: self._transact(address, write, read))
        return await self._session(address, line, lambda: work(line), timeout_s)

    def _transact(self, address: int, write: bytes, read: int) -> _Answer:
        self._wire.held()
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
        return self._wire.arrived(other, reply, world.take_given())


class _SimI2CLine(_SimLine):
    def xfer(self, write: bytes = b"", read: int = 0) -> bytes:
        """See `api.I2C.xfer`."""
        return self._xfer(write, read)


class SimSpi(_SimBus):
    """`api.Spi` with twins. Nobody acknowledges on SPI: who is not there reads as ones."""

    def _called(self, address: int) -> str:
        return f"select {address}"

    async def xfer(
        self, select: int, write: bytes, *, mode: int = 0, speed_hz: int = 1_000_000, timeout_s: float = 0.5
    ) -> bytes:
        """See `api.Spi.xfer`."""
        return await self._transaction(select, lambda: self._transact(select, write, mode), timeout_s)

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
        other = next((other for other in self._wire.others if other.twin.select == select), None)
        line = _SimSpiLine(other, lambda write: self._transact(select, write, mode))
        return await self._session(select, line, lambda: work(line), timeout_s)

    def _transact(self, select: int, write: bytes, mode: int) -> _Answer:
        if self._wire.is_shorted():  # MISO at ground
            return _Answer(bytes(len(write)), is_spoilt=True)
        for other in self._wire.others:
            twin: SpiTwin = other.twin
            if twin.select == select:
                return self._speak(other, twin, write, mode)
        return _Answer(b"\xff" * len(write))

    def _speak(self, other: Other, twin: SpiTwin, write: bytes, mode: int) -> _Answer:
        world = other.world
        if world.has("nack") or world.has("unplugged"):
            return _Answer(b"\xff" * len(write), is_spoilt=True)
        if mode not in getattr(twin, "modes", (mode,)):
            return _Answer(bytes(byte >> 1 for byte in write), is_spoilt=True)  # it reads at the wrong edges
        self._wire.hang(world)
        world.take_given()
        reply = twin.xfer(write)
        return self._wire.arrived(other, reply, world.take_given())


class _SimSpiLine(_SimLine):
    def xfer(self, write: bytes) -> bytes:
        """See `api.Spi.xfer`."""
        return self._xfer(write)


class SimUart(_SimBus):
    """`api.Uart` with twins: all hear everything, and who is meant answers."""

    async def ask(self, device: int, write: bytes, read: int, *, timeout_s: float = 0.3) -> bytes:
        """See `api.Uart.ask`."""
        return await self._transaction(device, lambda: self._converse(device, write, read), timeout_s + 0.5)

    def _converse(self, device: int, write: bytes, read: int) -> _Answer:
        for other in self._wire.others:
            twin: UartTwin = other.twin
            world = other.world
            if world.has("nack") or world.has("unplugged") or self._wire.is_shorted():
                continue
            world.take_given()
            reply = twin.hear(write)[:read]
            given = world.take_given()
            if reply:
                self._wire.hang(world)
                return self._wire.arrived(other, reply, given)
        raise Unplugged(f"sim: device {device} says nothing")


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
        answer = await worker.run(device, lambda: self._read(device), timeout_s)
        self._wire.ledger.write(answer.name, device, answer.given)
        return answer.reply

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
            return _Answer(b"")
        answer = self._wire.arrived(other, sent, given)
        return answer._replace(reply=kernel_text(answer.reply))


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


class _TwinCounter(PinCounter):
    """A counter whose pulses are those of a twin; each number that is read is what the twin gave."""

    def __init__(self, real: PinCounter, read: Callable[[int], None]) -> None:
        self._real = real
        self._read = read

    @property
    def pulses(self) -> int:
        """See `api.GpioCounter.pulses`."""
        pulses = self._real.pulses
        self._read(pulses)
        return pulses

    def close(self) -> None:
        """See `api.GpioCounter.close`."""
        self._real.close()


class _TwinOutput(PinOutput):
    """An output at which a twin hangs."""

    def __init__(self, real: PinOutput, driven: Callable[[bool], None], touches: Callable[[], bool]) -> None:
        self._real = real
        self._driven, self._touches = driven, touches
        driven(real.is_high)

    @property
    def is_high(self) -> bool:
        """See `api.GpioOutput.is_high`."""
        return self._real.is_high and not self._touches()

    def write(self, is_high: bool) -> None:
        """See `api.GpioOutput.write`."""
        before = self._real.is_high
        self._real.write(is_high)
        if is_high != before:
            self._driven(is_high)

    def close(self) -> None:
        """See `api.GpioOutput.close`."""
        self._real.close()


class SimPins:
    """`api.Gpio` on gpiozero's mock pins, at which twins pull as their signals say."""

    def __init__(self, others: Sequence[Other], ledger: Ledger) -> None:
        from gpiozero.pins.mock import MockFactory

        self._factory = MockFactory()
        self._pins = Pins(lambda: self._factory)
        self._wire = _Wire(others, ledger)
        self._pulls: dict[int, bool] = {}
        self._counted: dict[int, bool] = {}
        self._last: dict[int, bool] = {}
        self._follower: asyncio.Task[None] | None = None

    async def input(self, pin: int, *, pull_up: bool, on_edge: Callable[[], None]) -> _TwinInput:
        """See `api.Gpio.input`."""
        real = await self._pins.input(pin, pull_up=pull_up, on_edge=on_edge)
        self._pulls[pin] = pull_up
        self._last.pop(pin, None)
        self._pull()
        self._begin()
        return _TwinInput(real, lambda level: self._note(pin, level))

    async def count(self, pin: int, *, pull_up: bool) -> _TwinCounter:
        """See `api.Gpio.count`."""
        real = await self._pins.count(pin, pull_up=pull_up)
        for other in self._at(pin):
            other.twin.pulses()  # those before it was claimed
        self._counted[pin] = pull_up
        self._begin()
        return _TwinCounter(real, lambda pulses: self._note_count(pin, pulses))

    async def output(self, pin: int, *, is_high: bool) -> _TwinOutput:
        """See `api.Gpio.output`."""
        real = await self._pins.output(pin, is_high=is_high)
        return _TwinOutput(real, lambda level: self._drive_twin(pin, level), lambda: self._touches_ground(pin))

    async def close(self) -> None:
        """Give all pins back and let go of them."""
        follower, self._follower = self._follower, None
        if follower:
            follower.cancel()
            with suppress(asyncio.CancelledError):
                await follower
        self._pulls.clear()
        self._counted.clear()
        await self._pins.close()

    def _begin(self) -> None:
        if self._follower is None:
            self._follower = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._pull()
            self._pulse()

    def _at(self, pin: int) -> list[Other]:
        return [other for other in self._wire.others if other.twin.pin == pin]

    def _touches_ground(self, pin: int) -> bool:
        return any(other.world.has("shorted") for other in self._at(pin))

    def _pull(self) -> None:
        for number, pull_up in self._pulls.items():
            for other in self._at(number):
                twin: GpioTwin = other.twin
                cut = other.world.has("unplugged") or other.world.has("nack")
                level = (pull_up if cut else twin.level(pull_up)) and not other.world.has("shorted")
                level ^= other.world.has("noisy") and level == bool(self._factory.pin(number).state)
                self._drive(number, level, other.world.has("bounce"))

    def _pulse(self) -> None:
        for number, pull_up in self._counted.items():
            for other in self._at(number):
                twin: PulseTwin = other.twin
                pulses, pin = twin.pulses(), self._factory.pin(number)
                if any(other.world.has(fault) for fault in ("unplugged", "nack", "shorted")):
                    continue
                for _ in range(pulses):
                    (pin.drive_low if pull_up else pin.drive_high)()
                    (pin.drive_high if pull_up else pin.drive_low)()

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
        for other in self._at(number):
            other.twin.read(level, self._pulls[number])
            self._wire.ledger.write(other.name, number, other.world.take_given())

    def _note_count(self, number: int, pulses: int) -> None:
        for other in self._at(number):
            twin: PulseTwin = other.twin
            twin.counted(pulses)
            self._wire.ledger.write(other.name, number, other.world.take_given())

    def _drive_twin(self, number: int, level: bool) -> None:
        for other in self._at(number):
            twin: OutputTwin = other.twin
            twin.driven(level)
            self._wire.ledger.write(other.name, number, other.world.take_given())
