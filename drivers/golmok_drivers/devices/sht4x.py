"""Sensirion SHT40, SHT41, SHT43, SHT45: temperature and relative humidity over I2C.

Data sheet: https://sensirion.com/media/documents/33FD6951/67EB9032/HT_DS_Datasheet_SHT4x_5.pdf
(section 4: commands, checksum, conversion). A measurement is a command, 8.3 ms of silence (the part does not
acknowledge while it measures), and six bytes: two words, each with its CRC-8.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from golmok_drivers.api import (
    I2C,
    I2C_WIRING,
    BusNack,
    Channel,
    CrcError,
    DriverInfo,
    Identity,
    PolledDriver,
    Reading,
    Settings,
    World,
    judged,
)

MEASURE_PRECISELY: Final = b"\xfd"
READ_SERIAL: Final = b"\x89"
SOFT_RESET: Final = b"\x94"

_MEASURE_S: Final = 0.0083
_RESET_S: Final = 0.001
_MARGIN_S: Final = 0.0017
"""The data sheet's times are those of the part; our timer may be early against its."""

TEMPERATURE: Final = Channel("temperature", "Cel", -40.0, 125.0, 0.01, 0.2, still_s=600.0, noise=1.0)
HUMIDITY: Final = Channel("humidity", "%", 0.0, 100.0, 0.01, 1.8, noise=5.0)

DEW_POINT: Final = Channel("dew-point", "Cel", -80.0, 125.0, 0.01, 0.7)


def dew_point(temperature: float, humidity: float) -> Reading:
    """At which temperature (Cel) the water in this air would settle; bad where there is none in it.

    Magnus' formula with the constants of Sonntag (1990), as in Sensirion's application note "Introduction to humidity".
    """
    if humidity <= 0:
        return Reading(DEW_POINT.quantity, -80.0, "bad", "range")
    gamma = math.log(humidity / 100) + 17.62 * temperature / (243.12 + temperature)
    return judged(DEW_POINT, round(243.12 * gamma / (17.62 - gamma), 2))


def crc8(word: bytes) -> int:
    """Sensirion's checksum: polynomial 0x31, initial value 0xFF. The data sheet's example: BE EF gives 92."""
    crc = 0xFF
    for byte in word:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 & 0xFF ^ (0x31 if crc & 0x80 else 0)
    return crc


def words(reply: bytes) -> tuple[int, int]:
    """The two words of a reply of six bytes; raises `CrcError`."""
    if len(reply) != 6 or crc8(reply[0:2]) != reply[2] or crc8(reply[3:5]) != reply[5]:
        raise CrcError(f"sht4x: the checksum of {reply.hex(' ') or 'an empty reply'} is wrong")
    return int.from_bytes(reply[0:2], "big"), int.from_bytes(reply[3:5], "big")


def decode(reply: bytes) -> tuple[float, float]:
    """Degrees Celsius and percent of a measurement's six bytes; raises `CrcError`.

    The formula gives humidities a little outside 0 to 100 %; the data sheet says to cut them off. A step of the
    part is 0.0027 Cel or 0.0019 %, so three decimals tell all steps apart and are sent in few bytes.
    """
    raw_temperature, raw_humidity = words(reply)
    humidity = -6 + 125 * raw_humidity / 65535
    return round(-45 + 175 * raw_temperature / 65535, 3), round(min(max(humidity, 0.0), 100.0), 3)


class Sht4xSettings(Settings):
    """Which of the parts on the bus it is."""

    address: Annotated[
        Literal[0x44, 0x45, 0x46],
        msgspec.Meta(description="Part of the order code: 0x44 (A), 0x45 (B), 0x46 (C).", examples=[0x44]),
    ] = 0x44
    dew_point: Annotated[
        bool,
        msgspec.Meta(description="Give the dew point, too: below it walls and cold goods get wet.", examples=[True]),
    ] = False


class Sht4xDriver(PolledDriver):
    """Measures with high repeatability."""

    api = 1
    info = DriverInfo(
        "sht4x",
        title="SHT4x temperature and humidity sensor",
        title_ko="SHT4x 온습도 센서",
        bus="i2c",
        datasheet="https://sensirion.com/products/catalog/SHT40",
        channels=(TEMPERATURE, HUMIDITY),
        interval_s=10.0,
        has_serial=True,
        wiring=I2C_WIRING,
        note="The order code ends in the address: A is 0x44, B is 0x45, C is 0x46. At most 1 m of cable.",
        examples=({"address": 0x44, "dew_point": True}, {"address": 0x45}),
    )
    Settings = Sht4xSettings
    _bus: I2C

    @property
    def channels(self) -> tuple[Channel, ...]:
        """See `Driver.channels`."""
        return (TEMPERATURE, HUMIDITY, *([DEW_POINT] if self.settings.dew_point else []))

    async def open(self, bus: I2C) -> None:
        """See `Driver.open`. Nothing to set up: the part sleeps between measurements."""
        self._bus = bus

    async def probe(self) -> Identity:
        """The serial number that only this family gives for 0x89."""
        first, second = words(await self._ask(READ_SERIAL, _RESET_S))
        return Identity("SHT4x", f"{first << 16 | second:08x}")

    async def reset(self) -> None:
        """Restart the part."""
        await self._bus.xfer(self.settings.address, SOFT_RESET)
        await asyncio.sleep(_RESET_S + _MARGIN_S)

    async def sample(self) -> Sequence[Reading]:
        """See `PolledDriver.sample`."""
        temperature, humidity = decode(await self._ask(MEASURE_PRECISELY, _MEASURE_S))
        derived = [dew_point(temperature, humidity)] if self.settings.dew_point else []
        return judged(TEMPERATURE, temperature), judged(HUMIDITY, humidity), *derived

    async def _ask(self, command: bytes, wait_s: float) -> bytes:
        try:
            await self._bus.xfer(self.settings.address, command)
        except BusNack:  # it may still be measuring for a `sample` that was cancelled
            await asyncio.sleep(_MEASURE_S + _MARGIN_S)
            await self._bus.xfer(self.settings.address, command)
        await asyncio.sleep(wait_s + _MARGIN_S)
        return await self._bus.xfer(self.settings.address, read=6)


class Sht4xTwin:
    """The part's state machine: idle, busy with a command, an answer ready to be read once.

    `part_s` is its own clock; it measures in real time even where the simulation's clock stands still.
    """

    api: ClassVar[int] = 1
    faults: ClassVar[dict[str, str]] = {"swapped": ""}
    _DURATIONS: Final = {MEASURE_PRECISELY: _MEASURE_S, READ_SERIAL: 0.0, SOFT_RESET: _RESET_S}

    def __init__(self, settings: Sht4xSettings, world: World, part_s: Callable[[], float] = time.monotonic) -> None:
        self._world = world
        self._settings = settings
        self._part_s = part_s
        self._busy_until = 0.0
        self._command = b""
        self._serial = int(world.random() * 2**32)
        self.address: int = settings.address

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """A room: warmest in the afternoon, and drier then."""
        return {
            "temperature": {"kind": "daily", "mean": 22.0, "swing": 3.0, "noise": 0.03, "lag_s": 8.0},
            "humidity": {"kind": "daily", "mean": 48.0, "swing": 8.0, "peak_h": 4.0, "noise": 0.15, "lag_s": 8.0},
        }

    def xfer(self, write: bytes, read: int) -> bytes:
        """See `I2CTwin.xfer`."""
        if self._part_s() < self._busy_until:
            raise BusNack("sht4x twin: busy")
        if write:
            self._take(write)
        return self._answer(read) if read else b""

    def _take(self, command: bytes) -> None:
        if command not in self._DURATIONS:
            raise BusNack(f"sht4x twin: no command {command.hex()}")
        self._busy_until = self._part_s() + self._DURATIONS[command]
        self._command = command

    def _answer(self, read: int) -> bytes:
        command, self._command = self._command, b""
        if command not in (MEASURE_PRECISELY, READ_SERIAL) or self._world.has("not-ready") or self._world.has("reset"):
            raise BusNack("sht4x twin: nothing to read")
        if command == READ_SERIAL:
            serial = self._serial ^ (0x5A5A5A5A if self._world.has("swapped") else 0)
            return self._frame(serial >> 16, serial & 0xFFFF)[:read]
        raw_temperature = _code(self._world.feel("temperature"), -45.0, 175.0)
        raw_humidity = _code(self._world.feel("humidity"), -6.0, 125.0)
        temperature = round(raw_temperature * 175 / 65535 - 45, 3)
        humidity = round(max(0.0, min(100.0, raw_humidity * 125 / 65535 - 6)), 3)
        self._world.give("temperature", temperature)
        self._world.give("humidity", humidity)
        if self._settings.dew_point:
            self._world.give("dew-point", dew_point(temperature, humidity).value)
        return self._frame(raw_temperature, raw_humidity)[:read]

    @staticmethod
    def _frame(*raw: int) -> bytes:
        return b"".join(pair + bytes((_twin_crc(pair),)) for pair in (word.to_bytes(2, "big") for word in raw))


def _code(value: float, low: float, span: float) -> int:
    """The converter's code for `value`, at the end of its scale where it is beyond."""
    return round(min(max((value - low) / span, 0.0), 1.0) * 65535)


def _twin_crc(pair: bytes) -> int:
    """The same checksum by long division of the bits, so that one mistake does not make both ends agree."""
    bits = (int.from_bytes(pair, "big") ^ 0xFF00) << 8
    for shift in range(15, -1, -1):
        if bits >> (shift + 8) & 1:
            bits ^= 0x131 << shift
    return bits & 0xFF
