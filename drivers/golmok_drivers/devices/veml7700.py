"""Vishay VEML7700: ambient light in lux, from a dark cellar to a window in the sun, over I2C.

Data sheet: https://www.vishay.com/docs/84286/veml7700.pdf (registers, low byte first; 0x0001 after power-on);
application note: https://www.vishay.com/docs/84323/designingveml7700.pdf (resolution, and the correction of large
values). It has one address. There is no checksum: what is read must be the same each time, so it is asked while it
sleeps.

A measurement begins with the setting of the last one, and is done again with another where it was too dark or too
bright.
"""

from __future__ import annotations

import asyncio
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
    PolledDriver,
    Reading,
    ResetValue,
    Settings,
    World,
    WrongPart,
    judged,
)

CONFIG, LIGHT, IDENTITY = 0x00, 0x04, 0x07
ASLEEP: Final = 0x0001
"""The bit that shuts it down, and all of its configuration after power-on."""
IS_VEML7700: Final = 0x81
"""The low byte of its identity; parts made before 2021 have none and say 0."""
_AWAKE_S: Final = 0.004
_MARGIN: Final = 1.15
"""Its oscillator may be slow."""
_FINEST_LX: Final = 0.0042
"""Lux of a digit at twice the gain and 800 ms."""
_FULL: Final = 65_535
_FEW: Final = 200
"""Fewer digits are too coarse where there is a finer setting."""

ILLUMINANCE: Final = Channel("illuminance", "lx", 0.0, 130_000.0, 0.01, 100.0)


class Setting(NamedTuple):
    """A gain and an integration time, with their codes in the configuration."""

    gain: float
    gain_code: int
    time_s: float
    time_code: int

    @property
    def word(self) -> int:
        """The configuration, awake."""
        return self.gain_code << 11 | self.time_code << 6

    @property
    def lux(self) -> float:
        """Lux of a digit."""
        return _FINEST_LX * (2 / self.gain) * (0.8 / self.time_s)


SETTINGS: Final = (
    Setting(0.125, 0b10, 0.025, 0b1100),
    Setting(0.125, 0b10, 0.05, 0b1000),
    Setting(1.0, 0b00, 0.05, 0b1000),
    Setting(2.0, 0b01, 0.4, 0b0010),
)
"""From the brightest (140,000 lx) to the darkest (0.0084 lx a digit)."""


def lux(digits: int, setting: Setting) -> float:
    """The illuminance of so many digits, with the maker's correction of what is large."""
    raw = digits * setting.lux
    bent = (((6.0135e-13 * raw - 9.3924e-9) * raw + 8.1488e-5) * raw + 1.0023) * raw
    return round(bent if raw > 1000 else raw, 3)


def better(digits: int, at: int) -> int:
    """The place in SETTINGS of the one to measure so many digits with, of one that was measured with `at`."""
    if digits == _FULL:
        return max(0, at - 1)
    raw = digits * SETTINGS[at].lux
    finer = [place for place in range(at, len(SETTINGS)) if raw < 0.6 * _FULL * SETTINGS[place].lux]
    return finer[-1] if digits < _FEW and finer else at


class Veml7700Settings(Settings):
    """It has one address."""

    address: Annotated[Literal[0x10], msgspec.Meta(description="The only one it has.", examples=[0x10])] = 0x10


class Veml7700Driver(PolledDriver):
    """Wakes it for one integration, and reads it while it sleeps."""

    api = 1
    info = DriverInfo(
        "veml7700",
        title="VEML7700 light sensor",
        title_ko="VEML7700 조도 센서",
        bus="i2c",
        datasheet="https://www.vishay.com/docs/84286/veml7700.pdf",
        channels=(ILLUMINANCE,),
        interval_s=10.0,
        wiring=I2C_WIRING,
        note="Point it where the light is wanted, not at the lamp. It has one address: one on a bus.",
        examples=({"address": 0x10},),
    )
    Settings = Veml7700Settings
    _bus: I2C
    _at = 2

    async def open(self, bus: I2C) -> None:
        """See `Driver.open`. It is set up at each measurement."""
        self._bus = bus

    async def probe(self) -> Identity:
        """Its identity register, or, where it is too old to have one, a configuration that keeps what is written."""
        await self._identify()
        word = SETTINGS[self._at].word | ASLEEP
        await self._write(word)
        await self._confirm(word)
        return Identity("VEML7700")

    async def sample(self) -> Sequence[Reading]:
        """See `PolledDriver.sample`."""
        await self._identify()
        for _ in SETTINGS:
            setting = SETTINGS[self._at]
            digits = await self._measured(setting)
            at, self._at = self._at, better(digits, self._at)
            if self._at == at:
                break
        if digits == _FULL:
            return (Reading(ILLUMINANCE.quantity, lux(digits, setting), "bad", "range"),)
        return (judged(ILLUMINANCE, lux(digits, setting)),)

    async def _identify(self) -> None:
        seen = await self._read(IDENTITY) & 0xFF
        if seen not in (0, IS_VEML7700):
            raise WrongPart(f"veml7700: what answers there says it is 0x{seen:02x}, not 0x{IS_VEML7700:02x}")

    async def _measured(self, setting: Setting) -> int:
        await self._write(setting.word)
        await asyncio.sleep(_AWAKE_S + _MARGIN * setting.time_s)
        await self._confirm(setting.word)
        await self._write(setting.word | ASLEEP)
        await self._confirm(setting.word | ASLEEP)
        return await self._read(LIGHT)

    async def _confirm(self, word: int) -> None:
        """Raise the error that names what is there, unless the configuration is what was written."""
        seen = await self._read(CONFIG)
        if seen == word:
            return
        if seen == ASLEEP:
            raise ResetValue("veml7700: the part restarted; check its supply")
        raise WrongPart(f"veml7700: what answers there does not keep what is written; it says {seen:04x}")

    async def _write(self, word: int) -> None:
        await self._bus.xfer(self.settings.address, bytes((CONFIG,)) + word.to_bytes(2, "little"))

    async def _read(self, register: int) -> int:
        """A register that is the same twice; raises `CrcError`."""
        seen = [await self._bus.xfer(self.settings.address, bytes((register,)), 2) for _ in range(3)]
        if seen[0] != seen[1] or seen[1] != seen[2]:
            raise CrcError(f"veml7700: register {register} reads differently each time; long wires?")
        return int.from_bytes(seen[0], "little")


class Veml7700Twin:
    """Its registers, and an integration that takes its time; light falls on it, which daylight and lamps make."""

    api: ClassVar[int] = 1
    faults: ClassVar[dict[str, str]] = {"reset": "reset", "swapped": "wrong-part", "not-ready": ""}
    unseen: ClassVar[dict[str, str]] = {
        "noisy": "light may flicker as it likes; a loose wire of the bus is `crc`",
        "stuck": "a closed shop is dark for hours: `still_s` says how long it never is",
    }
    _GAINS: Final = {0b00: 1.0, 0b01: 2.0, 0b10: 0.125, 0b11: 0.25}
    _TIMES_S: Final = {0b1100: 0.025, 0b1000: 0.05, 0: 0.1, 1: 0.2, 2: 0.4, 3: 0.8}

    def __init__(self, settings: Veml7700Settings, world: World, part_s: Callable[[], float] = time.monotonic) -> None:
        self._world, self._part_s = world, part_s
        self._config, self._light, self._pointer = ASLEEP, 0, 0
        self._begun_s: float | None = None
        self._times_read = 0
        self._shown: tuple[int, int] | None = None
        self.address: int = settings.address

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """A shop with a window."""
        return {"illuminance": {"kind": "daily", "mean": 420.0, "swing": 380.0, "peak_h": 13.0, "noise": 2.0}}

    def xfer(self, write: bytes, read: int) -> bytes:
        """See `I2CTwin.xfer`."""
        if self._world.has("reset"):
            self._config, self._begun_s, self._light = ASLEEP, None, 0
            write = write[:1]
        self._integrate()
        if write:
            self._pointer = write[0]
        if len(write) == 3 and self._pointer == CONFIG:
            self._configure(int.from_bytes(write[1:], "little"))
        return self._answer().to_bytes(2, "little")[:read] if read else b""

    def _configure(self, word: int) -> None:
        self._config = word
        self._begun_s = None if word & ASLEEP else self._part_s()

    def _integrate(self) -> None:
        """A new value each time that an integration is over."""
        if self._begun_s is None or self._part_s() - self._begun_s < self._time_s:
            return
        self._begun_s = self._part_s()
        digit = 0.0042 * (2 / self._GAINS[self._config >> 11 & 3]) * (0.8 / self._time_s)
        self._light = min(_FULL, round(_straight(max(0.0, self._world.feel("illuminance"))) / digit))
        self._shown, self._times_read = (self._light, self._config & ~ASLEEP), 0

    @property
    def _time_s(self) -> float:
        return self._TIMES_S.get(self._config >> 6 & 0xF, 0.1)

    def _answer(self) -> int:
        if self._pointer == LIGHT:
            self._note()
            return self._light
        if self._pointer == IDENTITY:
            return 0xC432 if self._world.has("swapped") else 0xC400 | IS_VEML7700  # a VEML6030's neighbour
        return self._config if self._pointer == CONFIG else 0

    def _note(self) -> None:
        """What has been read three times, and is not to be measured again, is what a right driver takes."""
        self._times_read += 1
        if self._times_read != 3 or self._shown is None:
            return
        digits, word = self._shown
        at = next((place for place, setting in enumerate(SETTINGS) if setting.word == word), None)
        if at is not None and better(digits, at) == at:
            self._world.give(ILLUMINANCE.quantity, lux(digits, SETTINGS[at]))


def _straight(true_lux: float) -> float:
    """What the part's digits come to, uncorrected, in that light: the correction read backwards, by halving."""
    low, high = 0.0, true_lux
    if true_lux <= 1000:
        return true_lux
    for _ in range(60):
        middle = (low + high) / 2
        bent = (((6.0135e-13 * middle - 9.3924e-9) * middle + 8.1488e-5) * middle + 1.0023) * middle
        low, high = (middle, high) if bent < true_lux else (low, middle)
    return high
