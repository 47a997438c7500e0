"""Bosch BME280: temperature, relative humidity and air pressure over I2C.

Data sheet: https://www.bosch-sensortec.com/media/boschsensortec/downloads/datasheets/bst-bme280-ds002.pdf (section 5:
registers, 4.2 and 8.1: compensation). A forced measurement takes at most 9.3 ms. Each part has its own coefficients;
there is no checksum, so all that is read must be the same twice.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple

import msgspec

from golmok_drivers.api import (
    I2C,
    I2C_WIRING,
    Channel,
    CrcError,
    DriverInfo,
    Identity,
    NotReady,
    PolledDriver,
    Reading,
    ResetValue,
    Settings,
    World,
    WrongPart,
    judged,
)

CALIBRATION_1, IDENTITY, CALIBRATION_2 = 0x88, 0xD0, 0xE1
CTRL_HUM, STATUS, CTRL_MEAS, DATA = 0xF2, 0xF3, 0xF4, 0xF7
IS_BME280: Final = 0x60
ONCE: Final = 0b001
FORCED: Final = 0b001_001_01
"""Temperature and pressure once, then sleep."""
MEASURING: Final = 0x08
AT_RESET: Final = bytes.fromhex("8000008000008000")
_MEASURE_S: Final = 0.0093
_MARGIN_S: Final = 0.0017

TEMPERATURE: Final = Channel("temperature", "Cel", -40.0, 85.0, 0.01, 1.0, still_s=3_600.0, noise=1.0)
HUMIDITY: Final = Channel("humidity", "%", 0.0, 100.0, 0.01, 3.0, noise=5.0)
PRESSURE: Final = Channel("pressure", "hPa", 300.0, 1100.0, 0.01, 1.0, still_s=3_600.0, noise=2.0)


class Raw(NamedTuple):
    """The converter's codes: 20, 20 and 16 bits."""

    pressure: int
    temperature: int
    humidity: int


class Coefficients(NamedTuple):
    """What was measured of this very part when it was made (table 16)."""

    t: tuple[int, int, int]
    p: tuple[int, int, int, int, int, int, int, int, int]
    h: tuple[int, int, int, int, int, int]


def coefficients(first: bytes, second: bytes) -> Coefficients:
    """The coefficients in the 26 bytes from 0x88 and the 7 from 0xE1 on."""
    t1, t2, t3, p1, *rest = struct.unpack("<HhhH8h", first[:24])
    h2, h3 = struct.unpack("<hB", second[:3])
    h4 = struct.unpack("b", second[3:4])[0] * 16 + (second[4] & 0x0F)
    h5 = struct.unpack("b", second[5:6])[0] * 16 + (second[4] >> 4)
    h6 = struct.unpack("b", second[6:7])[0]
    p = (p1, *rest)
    return Coefficients((t1, t2, t3), p, (first[25], h2, h3, h4, h5, h6))


def raw_of(data: bytes) -> Raw:
    """The codes in the eight bytes of the data registers."""
    pressure, temperature = (int.from_bytes(data[at : at + 3], "big") >> 4 for at in (0, 3))
    return Raw(pressure, temperature, int.from_bytes(data[6:8], "big"))


def compensate(raw: Raw, own: Coefficients) -> tuple[float, float, float]:
    """Degrees Celsius, percent, hectopascal (section 8.1, in floating point)."""
    fine = _fine(raw.temperature, own)
    humidity = min(max(_humidity(raw.humidity, fine, own.h), 0.0), 100.0)
    return round(fine / 5120, 3), round(humidity, 3), round(_pressure(raw.pressure, fine, own.p) / 100, 3)


def _fine(code: int, own: Coefficients) -> float:
    t1, t2, t3 = own.t
    first = (code / 16384 - t1 / 1024) * t2
    second = (code / 131072 - t1 / 8192) ** 2 * t3
    return first + second


def _pressure(code: int, fine: float, p: Sequence[int]) -> float:
    var1 = fine / 2 - 64000
    var2 = var1 * var1 * p[5] / 32768
    var2 = (var2 + var1 * p[4] * 2) / 4 + p[3] * 65536
    var1 = (p[2] * var1 * var1 / 524288 + p[1] * var1) / 524288
    var1 = (1 + var1 / 32768) * p[0]
    if not var1:
        return 0.0
    pascal = (1048576 - code - var2 / 4096) * 6250 / var1
    return pascal + (p[8] * pascal * pascal / 2147483648 + pascal * p[7] / 32768 + p[6]) / 16


def _humidity(code: int, fine: float, h: Sequence[int]) -> float:
    var = fine - 76800
    var = (code - (h[3] * 64 + h[4] / 16384 * var)) * (
        h[1] / 65536 * (1 + h[5] / 67108864 * var * (1 + h[2] / 67108864 * var))
    )
    return var * (1 - h[0] * var / 524288)


class Bme280Settings(Settings):
    """Which of the parts on the bus it is."""

    address: Annotated[
        Literal[0x76, 0x77],
        msgspec.Meta(description="SDO to GND 0x76, to VDD 0x77.", examples=[0x76]),
    ] = 0x76


class Bme280Driver(PolledDriver):
    """Measures once, and lets the part sleep."""

    api = 1
    info = DriverInfo(
        "bme280",
        title="BME280 temperature, humidity and pressure sensor",
        title_ko="BME280 온습도·기압 센서",
        bus="i2c",
        datasheet="https://www.bosch-sensortec.com/products/environmental-sensors/humidity-sensors-bme280/",
        channels=(TEMPERATURE, HUMIDITY, PRESSURE),
        interval_s=10.0,
        wiring=(*I2C_WIRING, ("CSB", "3.3 V"), ("SDO", "GND for 0x76, 3.3 V for 0x77")),
        note="It reads a degree too warm when it sits beside something that is.",
        examples=({"address": 0x76}, {"address": 0x77}),
    )
    Settings = Bme280Settings
    _bus: I2C
    _own: Coefficients | None = None

    async def open(self, bus: I2C) -> None:
        """See `Driver.open`. Who it is is asked at the first sample: it may not be there yet."""
        self._bus, self._own = bus, None

    async def probe(self) -> Identity:
        """Its identity register, which tells it from a BMP280; it has no serial number."""
        if (seen := (await self._read(IDENTITY, 1))[0]) != IS_BME280:
            raise WrongPart(f"bme280: what answers there says it is 0x{seen:02x}, not 0x{IS_BME280:02x}")
        return Identity("BME280")

    async def sample(self) -> Sequence[Reading]:
        """See `PolledDriver.sample`."""
        await self.probe()
        if self._own is None:
            self._own = coefficients(await self._read(CALIBRATION_1, 26), await self._read(CALIBRATION_2, 7))
        address = self.settings.address
        await self._bus.xfer(address, bytes((CTRL_HUM, ONCE, CTRL_MEAS, FORCED)))
        await asyncio.sleep(_MEASURE_S + _MARGIN_S)
        if (await self._bus.xfer(address, bytes((STATUS,)), 1))[0] & MEASURING:
            raise NotReady("bme280: its measurement does not end")
        data = await self._read(DATA, 8)
        if data == AT_RESET:
            self._own = None
            raise ResetValue("bme280: the part restarted; check its supply")
        values = compensate(raw_of(data), self._own)
        return tuple(judged(channel, value) for channel, value in zip(self.channels, values, strict=True))

    async def _read(self, register: int, count: int) -> bytes:
        """Registers that are the same twice in a row; raises `CrcError`."""
        seen = [await self._bus.xfer(self.settings.address, bytes((register,)), count) for _ in range(3)]
        if seen[1] != seen[2] or seen[0] != seen[1]:
            self._own = None
            raise CrcError(f"bme280: register 0x{register:02x} reads differently each time; long wires?")
        return seen[0]


class Bme280Twin:
    """Its registers, and its converter read backwards: the code whose compensation is what it feels."""

    api: ClassVar[int] = 1
    faults: ClassVar[dict[str, str]] = {"reset": "reset", "swapped": "wrong-part", "not-ready": "not-ready"}
    _FIRST: Final = struct.pack(
        "<HhhH8hBB", 27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000, 0, 75
    )
    """The example of the data sheet (of the BMP280, section 3.12), and coefficients of humidity as parts have them."""
    _SECOND: Final = struct.pack("<hB4b", 362, 0, 0x13, 0x29, 0x03, 30)

    def __init__(self, settings: Bme280Settings, world: World, part_s: Callable[[], float] = time.monotonic) -> None:
        self._world, self._part_s = world, part_s
        self._own = coefficients(self._FIRST, self._SECOND)
        self._pointer, self._done_s = 0, 0.0
        self._data, self._times_read = AT_RESET, 0
        self._values: tuple[float, float, float] | None = None
        self.address: int = settings.address

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """A room, and the weather."""
        return {
            "temperature": {"kind": "daily", "mean": 22.0, "swing": 3.0, "noise": 0.02, "lag_s": 8.0},
            "humidity": {"kind": "daily", "mean": 48.0, "swing": 8.0, "peak_h": 4.0, "noise": 0.1, "lag_s": 8.0},
            "pressure": {"kind": "daily", "mean": 1013.0, "swing": 2.0, "peak_h": 10.0, "noise": 0.02},
        }

    def xfer(self, write: bytes, read: int) -> bytes:
        """See `I2CTwin.xfer`."""
        if self._world.has("reset"):
            self._data, self._values = AT_RESET, None
        if write:
            self._pointer = write[0]
            for register, value in zip(write[0::2], write[1::2], strict=False):
                if register == CTRL_MEAS and value & 3 in (1, 2) and not self._world.has("reset"):
                    self._measure()
        return self._answer(read) if read else b""

    def _answer(self, read: int) -> bytes:
        if self._pointer == DATA and read == 8:
            self._note()
        at = self._pointer
        return bytes(self._register(at + place) for place in range(read))

    def _register(self, at: int) -> int:
        if at == IDENTITY:
            return 0x58 if self._world.has("swapped") else IS_BME280
        if at == STATUS:
            return MEASURING if self._part_s() < self._done_s or self._world.has("not-ready") else 0
        for start, block in ((CALIBRATION_1, self._FIRST), (CALIBRATION_2, self._SECOND), (DATA, self._data)):
            if start <= at < start + len(block):
                return block[at - start]
        return 0

    def _measure(self) -> None:
        self._done_s, self._times_read = self._part_s() + 0.008, 0
        feel, own = self._world.feel, self._own
        temperature = _code(lambda code: _fine(code, own) / 5120, feel("temperature"), 20)
        fine = _fine(temperature, own)
        pressure = _code(lambda code: -_pressure(code, fine, own.p) / 100, -feel("pressure"), 20)
        humidity = _code(lambda code: _humidity(code, fine, own.h), feel("humidity"), 16)
        self._data = (
            (pressure << 4).to_bytes(3, "big") + (temperature << 4).to_bytes(3, "big") + humidity.to_bytes(2, "big")
        )
        self._values = compensate(Raw(pressure, temperature, humidity), own)

    def _note(self) -> None:
        """What has been read three times is what a right driver takes."""
        self._times_read += 1
        if self._times_read == 3 and self._values:
            for quantity, value in zip(("temperature", "humidity", "pressure"), self._values, strict=True):
                self._world.give(quantity, value)


def _code(rising: Callable[[int], float], value: float, bits: int) -> int:
    """The code whose value is nearest, by halving; at the end of the scale where it is beyond."""
    low, high = 0, 2**bits - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if rising(middle) < value else (low, middle)
    return low
