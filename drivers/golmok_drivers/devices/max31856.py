"""Maxim MAX31856: a thermocouple (kiln, oven) over SPI, with its cold junction.

Data sheet: https://www.analog.com/media/en/technical-documentation/data-sheets/MAX31856.pdf (table 6: registers;
pages 12-14: conversion, fault detection). A one-shot conversion takes up to 185 ms with the 60 Hz filter, 215 ms with
that of 50 Hz; the 1SHOT bit clears itself. The part has no checksum, so the values are read twice and must agree.

A thermocouple whose wires touch each other measures where they touch: no part can know that. What the part does see is
an open wire, and a wire that touches the supply or ground (over- or undervoltage).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple

import msgspec

from golmok_drivers.api import (
    SPI_WIRING,
    Channel,
    CrcError,
    DriverInfo,
    Identity,
    NotReady,
    OpenCircuit,
    PolledDriver,
    Reading,
    ResetValue,
    Settings,
    Shorted,
    Spi,
    Unplugged,
    World,
    WrongPart,
    judged,
)

CR0, CR1, MASK, CJHF, CJTO, CJTH, LTCBH, SR = 0x00, 0x01, 0x02, 0x03, 0x09, 0x0A, 0x0C, 0x0F
WRITE: Final = 0x80

ONE_SHOT: Final = 0x40
OPEN_DETECTION: Final = 0x10
"""OCFAULT = 01: for thermocouples of less than 5 kOhm, tested at every conversion."""
FILTER_50_HZ: Final = 0x01
AVERAGE_1: Final = 0x00

FAULT_CJ_RANGE, FAULT_TC_RANGE, FAULT_OVUV, FAULT_OPEN = 0x80, 0x40, 0x02, 0x01
AT_RESET: Final = bytes((0x00, 0x03, 0xFF, 0x7F, 0xC0))
"""The first five registers after power-on (table 6)."""

_CONVERSION_S: Final = {60: 0.155, 50: 0.185}
_LONGEST_S: Final = {60: 0.185, 50: 0.215}
"""One-shot with open-circuit detection (electrical characteristics, 150 to 185 ms and so on)."""
_MANNER: Final = {"mode": 1, "speed_hz": 1_000_000}

Kind = Literal["B", "E", "J", "K", "N", "R", "S", "T"]


class Range(NamedTuple):
    """What a kind of thermocouple can measure with this part (table 1), and its number in CR1."""

    number: int
    low: float
    high: float


RANGES: Final[dict[str, Range]] = {
    "B": Range(0, 250.0, 1820.0),
    "E": Range(1, -200.0, 1000.0),
    "J": Range(2, -210.0, 1200.0),
    "K": Range(3, -200.0, 1372.0),
    "N": Range(4, -200.0, 1300.0),
    "R": Range(5, -50.0, 1768.0),
    "S": Range(6, -50.0, 1768.0),
    "T": Range(7, -200.0, 400.0),
}
COLD_JUNCTION: Final = Channel("cold-junction", "Cel", -55.0, 125.0, 0.015625, 0.7, still_s=21_600.0, noise=1.0)


def thermocouple(kind: str) -> Channel:
    """The channel of a thermocouple of that kind."""
    wide = RANGES[kind]
    return Channel("temperature", "Cel", wide.low, wide.high, 0.0078125, 2.0, still_s=3_600.0, noise=15.0)


class Measured(NamedTuple):
    """What the registers 0x0A to 0x0F say: degrees Celsius, and the fault bits."""

    temperature: float
    cold_junction: float
    faults: int


def decode(six: bytes) -> Measured:
    """The cold junction (two bytes, 1/64 Cel), the thermocouple (three bytes, 1/128 Cel), the fault register."""
    cold = int.from_bytes(six[0:2], "big", signed=True) >> 2
    hot = int.from_bytes(six[2:5], "big", signed=True) >> 5
    return Measured(hot / 128, cold / 64, six[5])


class Max31856Settings(Settings):
    """Where the part hangs, and what hangs at it."""

    select: Annotated[
        Literal[0, 1],
        msgspec.Meta(description="Its chip select: 0 (CE0, pin 24) or 1 (CE1, pin 26).", examples=[0]),
    ] = 0
    thermocouple: Annotated[
        Kind,
        msgspec.Meta(description="The letter of the thermocouple: K for most, S or R for high kilns.", examples=["K"]),
    ] = "K"
    mains_hz: Annotated[
        Literal[50, 60],
        msgspec.Meta(description="The frequency of the mains, which is filtered out.", examples=[60]),
    ] = 60


class Max31856Driver(PolledDriver):
    """Starts a conversion, waits for it, reads it twice."""

    api = 1
    info = DriverInfo(
        "max31856",
        title="MAX31856 thermocouple (kiln, oven)",
        title_ko="MAX31856 열전대 (가마, 오븐)",
        bus="spi",
        datasheet="https://www.analog.com/media/en/technical-documentation/data-sheets/MAX31856.pdf",
        channels=(thermocouple("K"), COLD_JUNCTION),
        interval_s=5.0,
        wiring=(
            *SPI_WIRING,
            ("T+", "the thermocouple's positive wire (type K: yellow or green)"),
            ("T-", "its other wire"),
        ),
        note="The thermocouple must not touch ground. A kiln needs a cut-out in hardware, too: this is no safety part.",
        examples=({"select": 0, "thermocouple": "K"}, {"select": 1, "thermocouple": "S"}),
    )
    Settings = Max31856Settings
    _bus: Spi

    @property
    def channels(self) -> tuple[Channel, ...]:
        """See `Driver.channels`: the range is that of the thermocouple."""
        return thermocouple(self.settings.thermocouple), COLD_JUNCTION

    async def open(self, bus: Spi) -> None:
        """See `Driver.open`."""
        self._bus = bus
        await self._set_up()

    async def probe(self) -> Identity:
        """Whether its registers keep what is written, as no other part's at that place do; it has no serial number."""
        await self._set_up()
        await self._check()
        return Identity("MAX31856")

    async def sample(self) -> Sequence[Reading]:
        """See `PolledDriver.sample`."""
        await self._check()
        await self._write(CR0, bytes((self._cr0 | ONE_SHOT,)))
        await self._converted()
        first, second = await self._read(CJTH, 6), await self._read(CJTH, 6)
        if first != second:
            raise CrcError(f"max31856: read twice, and not the same: {first.hex(' ')}, {second.hex(' ')}; long wires?")
        return self._judged(decode(first))

    def _judged(self, measured: Measured) -> Sequence[Reading]:
        hot, cold = self.channels
        if measured.faults & FAULT_OVUV:
            return Reading(hot.quantity, None, "bad", Shorted.reason), judged(cold, measured.cold_junction)
        if measured.faults & FAULT_OPEN:
            return Reading(hot.quantity, None, "bad", OpenCircuit.reason), judged(cold, measured.cold_junction)
        return judged(hot, measured.temperature), judged(cold, measured.cold_junction)

    @property
    def _cr0(self) -> int:
        return OPEN_DETECTION | (FILTER_50_HZ if self.settings.mains_hz == 50 else 0)

    @property
    def _setup(self) -> bytes:
        """CR0, CR1 and MASK as they shall be."""
        return bytes((self._cr0, AVERAGE_1 | RANGES[self.settings.thermocouple].number, 0xFF))

    async def _set_up(self) -> None:
        await self._write(CR0, self._setup)

    async def _check(self) -> None:
        """Raise the error that names what is there instead of our part; one that restarted is set up anew."""
        first, second = await self._read(CR0, 5), await self._read(CR0, 5)
        if first == second == b"\xff" * 5 or first == second == bytes(5):
            raise Unplugged(f"max31856: nothing answers at chip select {self.settings.select}; check its wiring")
        if first != second:
            raise CrcError(f"max31856: read twice, and not the same: {first.hex(' ')}, {second.hex(' ')}; long wires?")
        if first[:3] == self._setup:
            return
        await self._set_up()
        if first == AT_RESET:
            raise ResetValue("max31856: the part restarted; check its supply")
        if await self._read(CR0, 3) != self._setup:
            raise WrongPart(f"max31856: what hangs there does not keep what is written; it says {first.hex(' ')}")

    async def _converted(self) -> None:
        """Wait until the 1SHOT bit is gone; raises `NotReady` when it stays."""
        await asyncio.sleep(_CONVERSION_S[self.settings.mains_hz])
        for _ in range(8):
            if not (await self._read(CR0, 1))[0] & ONE_SHOT:
                return
            await asyncio.sleep((_LONGEST_S[self.settings.mains_hz] - _CONVERSION_S[self.settings.mains_hz]) / 4)
        raise NotReady("max31856: the conversion does not end")

    async def _read(self, register: int, count: int) -> bytes:
        reply = await self._bus.xfer(self.settings.select, bytes((register,)) + bytes(count), **_MANNER)
        return reply[1:]

    async def _write(self, register: int, values: bytes) -> None:
        await self._bus.xfer(self.settings.select, bytes((register | WRITE,)) + values, **_MANNER)


class Max31856Twin:
    """The part's sixteen registers and its one-shot conversion, on its own clock."""

    api: ClassVar[int] = 1
    faults: ClassVar[dict[str, str]] = {
        "open-circuit": "open-circuit",
        "shorted": "shorted",
        "swapped": "wrong-part",
        "reset": "reset",
        "not-ready": "not-ready",
    }
    modes: ClassVar[tuple[int, ...]] = (1, 3)
    _AT_RESET: Final = bytes.fromhex("0003ff7fc07fff800000000000000000")
    _TAKES_S: Final = 0.143

    def __init__(self, settings: Max31856Settings, world: World) -> None:
        self._world = world
        self._registers = bytearray(self._AT_RESET)
        self._done_s: float | None = None
        self._was_reset = False
        self._converted: tuple[float, float] | None = None
        self._times_read = 0
        self.select: int = settings.select
        self._kind = settings.thermocouple

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """A kiln that is fired by day, and the workshop around it."""
        return {
            "temperature": {"kind": "daily", "mean": 620.0, "swing": 300.0, "lag_s": 60.0, "noise": 0.15},
            "cold-junction": {"kind": "daily", "mean": 27.0, "swing": 4.0, "lag_s": 30.0, "noise": 0.03},
        }

    def xfer(self, write: bytes) -> bytes:
        """See `SpiTwin.xfer`."""
        if self._world.has("swapped"):  # a MAX31855: it only ever sends its 32 bits
            return (bytes.fromhex("01901800") * len(write))[: len(write)]
        self._restart_if_it_did()
        self._convert()
        if not write:
            return b""
        start, is_write = write[0] & 0x7F, bool(write[0] & WRITE)
        reply = bytearray(len(write))
        for at in range(1, len(write)):
            register = (start + at - 1) % 0x10
            if is_write:
                self._take(register, write[at])
            else:
                reply[at] = self._registers[register]
                self._note(register)
        return bytes(reply)

    def _restart_if_it_did(self) -> None:
        restarted, self._was_reset = self._world.has("reset") and not self._was_reset, self._world.has("reset")
        if restarted or self._was_reset:
            self._registers[:] = self._AT_RESET
            self._done_s = None

    def _take(self, register: int, value: int) -> None:
        if register > CJTO and register not in (CJTH, CJTH + 1):
            return  # read only
        self._registers[register] = value
        if register == CR0 and value & ONE_SHOT:
            self._done_s = self._world.part_s() + self._TAKES_S

    def _convert(self) -> None:
        if self._done_s is None or self._world.part_s() < self._done_s or self._world.has("not-ready"):
            return
        self._done_s = None
        self._registers[CR0] &= ~ONE_SHOT
        wide = RANGES[self._kind]
        cold = round(min(max(self._world.feel("cold-junction"), -128.0), 127.984375) * 64)
        felt = self._world.feel("temperature")
        is_beyond = not wide.low - 10 <= felt <= wide.high + 10
        hot = round(min(max(felt, wide.low - 10), wide.high + 10) * 128)
        self._registers[CJTH : CJTH + 2] = (cold << 2).to_bytes(2, "big", signed=True)
        self._registers[LTCBH : LTCBH + 3] = (hot << 5).to_bytes(3, "big", signed=True)
        faults = FAULT_TC_RANGE if is_beyond else 0
        faults |= FAULT_OPEN if self._world.has("open-circuit") and self._registers[CR0] & 0x30 else 0
        faults |= FAULT_OVUV if self._world.has("shorted") else 0
        self._registers[SR] = faults
        self._converted, self._times_read = (hot / 128, cold / 64), 0

    def _note(self, register: int) -> None:
        """The fault register has been read twice after a conversion: what it said is what a right driver reads."""
        if register != SR or self._converted is None:
            return
        self._times_read += 1
        if self._times_read == 2:
            (hot, cold), self._converted = self._converted, None
            if not self._registers[SR] & (FAULT_OPEN | FAULT_OVUV):
                self._world.give("temperature", hot)
            self._world.give("cold-junction", cold)
