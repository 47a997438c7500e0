"""Nuvoton NAU7802: a load cell's weight (a scale, a keg, a sack of beans), over I2C.

Data sheet: https://www.nuvoton.com/resource-files/NAU7802%20Data%20Sheet%20V1.7.pdf. The cell and the converter live
from the same 3.0 V, so what counts is the cell's millivolts per volt. The converter is asked for eight values at 80 a
second: their mean spans 0.1 s, which are whole cycles of 50 Hz and of 60 Hz.

The weight is that of a cell as its label says. `golmok-gateway calibrate` makes a scale of it: an empty pan (tare) is
an offset, a known weight a second point. There is no checksum: its settings are read twice, before and after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

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

PU_CTRL, CTRL_1, CTRL_2, ADC_OUT, CHOPPER, POWER, REVISION = 0x00, 0x01, 0x02, 0x12, 0x15, 0x1C, 0x1F
RESET, DIGITAL, ANALOG, READY, START, CYCLE_READY, OWN_SUPPLY = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x80
IS_NAU7802: Final = 0x0F
ON: Final = OWN_SUPPLY | START | ANALOG | DIGITAL
GAIN_128_AT_3_V: Final = 0x2F
RATE_80: Final = 0x30
CALIBRATE, CALIBRATION_ERROR = 0x04, 0x08
GAIN: Final = 128
END: Final = 0x7FFFFF
VALUES: Final = 8
_POLL_S: Final = 0.003
_PATIENCE_S: Final = 0.5
"""For whatever the part takes: powering up (0.2 ms), a calibration (0.05 s), a value (0.0125 s)."""

WEIGHT: Final = Channel("weight", "kg", None, None, 0.001, 0.01, noise=1.0)


class Nau7802Settings(Settings):
    """The load cell, by its label."""

    full_kg: Annotated[
        float, msgspec.Meta(gt=0, le=100_000, description="What the cell weighs at the most.", examples=[5])
    ]
    address: Annotated[Literal[0x2A], msgspec.Meta(description="The only one it has.", examples=[0x2A])] = 0x2A
    mv_per_v: Annotated[
        float,
        msgspec.Meta(gt=0.1, le=3.9, description="Millivolts per volt at that weight, by its label.", examples=[1.0]),
    ] = 1.0


def kilograms(code: float, settings: Nau7802Settings) -> float:
    """The weight that a code stands for; full scale is half the supply over the gain."""
    volts_per_volt = code / (END + 1) * 0.5 / GAIN
    return round(volts_per_volt * 1000 / settings.mv_per_v * settings.full_kg, 5)


class Nau7802Driver(PolledDriver):
    """Takes the mean of eight values."""

    api = 1
    info = DriverInfo(
        "nau7802",
        title="NAU7802 with a load cell (scale)",
        title_ko="NAU7802 로드셀 (저울)",
        bus="i2c",
        datasheet="https://www.nuvoton.com/resource-files/NAU7802%20Data%20Sheet%20V1.7.pdf",
        channels=(WEIGHT,),
        interval_s=5.0,
        wiring=(
            *I2C_WIRING,
            ("E+, E-", "the cell's red and black wire"),
            ("A+, A-", "the cell's green and white wire; swapped, it weighs backwards"),
        ),
        note="Calibrate it on its place: tare with the empty pan, then a known weight. A wire that is off is `range`.",
        examples=({"address": 0x2A, "full_kg": 5.0},),
    )
    Settings = Nau7802Settings
    _bus: I2C
    _is_set_up = False

    @property
    def channels(self) -> tuple[Channel, ...]:
        """See `Driver.channels`: the range is that of the cell, which bears half as much again."""
        full = self.settings.full_kg
        return (Channel("weight", "kg", -full, 1.5 * full, full / 10_000, full / 1000, noise=0.1 * full),)

    async def open(self, bus: I2C) -> None:
        """See `Driver.open`. It is set up when it is first asked: it may not be there yet."""
        self._bus, self._is_set_up = bus, False

    async def probe(self) -> Identity:
        """Its revision, which no other part has at that place; it has no serial number."""
        await self._identify()
        return Identity("NAU7802")

    async def sample(self) -> Sequence[Reading]:
        """See `PolledDriver.sample`."""
        await self._identify()
        if not self._is_set_up:
            await self._set_up()
        await self._check()
        await self._write(PU_CTRL, ON)  # a new row of values
        codes = [await self._value() for _ in range(VALUES)]
        await self._check()
        weight, (channel,) = kilograms(sum(codes) / VALUES, self.settings), self.channels
        if max(codes) == END or min(codes) == -END - 1:
            return (Reading(channel.quantity, weight, "bad", "range"),)
        if len(set(codes)) == 1:  # at this gain a converter that lives has noise
            return (Reading(channel.quantity, weight, "uncertain", "stuck"),)
        return (judged(channel, weight),)

    async def _identify(self) -> None:
        seen = (await self._same(REVISION, 1))[0]
        if seen & 0x0F != IS_NAU7802:
            raise WrongPart(f"nau7802: what answers there says it is 0x{seen:02x}, not 0x.{IS_NAU7802:x}")

    async def _set_up(self) -> None:
        """Reset, power up, calibrate its own offset, and let the first values go by."""
        await self._write(PU_CTRL, RESET)
        await self._write(PU_CTRL, DIGITAL)
        await self._until(PU_CTRL, READY, READY, "does not power up")
        await self._write(PU_CTRL, OWN_SUPPLY | ANALOG | DIGITAL)
        for register, value in ((CTRL_1, GAIN_128_AT_3_V), (CTRL_2, RATE_80), (CHOPPER, 0x30), (POWER, 0x80)):
            await self._write(register, value)
        await self._write(CTRL_2, RATE_80 | CALIBRATE)
        if await self._until(CTRL_2, CALIBRATE, 0, "does not end its calibration") & CALIBRATION_ERROR:
            raise NotReady("nau7802: it cannot calibrate itself; are the cell's wires right?")
        await self._write(PU_CTRL, ON)
        for _ in range(VALUES - 1):
            await self._value()
        self._is_set_up = True

    async def _check(self) -> None:
        """Raise the error that names what is there, unless it is set up as it was."""
        power, first, second = await self._same(PU_CTRL, 3, but=CYCLE_READY)
        if (power & ON, first, second & ~CALIBRATION_ERROR) == (ON, GAIN_128_AT_3_V, RATE_80):
            return
        self._is_set_up = False
        if not power & ANALOG:
            raise ResetValue("nau7802: the part restarted; check its supply")
        raise WrongPart(
            f"nau7802: what answers there does not keep what is written: {power:02x} {first:02x} {second:02x}"
        )

    async def _value(self) -> int:
        await self._until(PU_CTRL, CYCLE_READY, CYCLE_READY, "measures nothing")
        return int.from_bytes(await self._read(ADC_OUT, 3), "big", signed=True)

    async def _until(self, register: int, mask: int, wanted: int, else_it: str) -> int:
        """The register once its bits are so; raises `NotReady` when they never are."""
        for _ in range(int(_PATIENCE_S / _POLL_S)):
            if (seen := (await self._read(register, 1))[0]) & mask == wanted:
                return seen
            await asyncio.sleep(_POLL_S)
        raise NotReady(f"nau7802: it {else_it}")

    async def _same(self, register: int, count: int, but: int = 0) -> bytes:
        """Registers that are the same twice, but for some bits of the first; raises `CrcError`."""
        seen = [await self._read(register, count) for _ in range(2)]
        first, second = (bytes((one[0] & ~but & 0xFF, *one[1:])) for one in seen)
        if first != second:
            raise CrcError(f"nau7802: register 0x{register:02x} reads differently each time; long wires?")
        return first

    async def _read(self, register: int, count: int) -> bytes:
        return await self._bus.xfer(self.settings.address, bytes((register,)), count)

    async def _write(self, register: int, value: int) -> None:
        await self._bus.xfer(self.settings.address, bytes((register, value)))


class Nau7802Twin:
    """Its registers and its converter on a clock of its own; something lies on the cell."""

    api: ClassVar[int] = 1
    faults: ClassVar[dict[str, str]] = {
        "reset": "reset",
        "swapped": "wrong-part",
        "not-ready": "not-ready",
        "stuck": "stuck",
    }
    _EVERY_S: Final = {0: 0.1, 1: 0.05, 2: 0.025, 3: 0.0125, 7: 0.003125}
    _CALIBRATES_S: Final = 0.02
    _NOISE: Final = 60

    def __init__(self, settings: Nau7802Settings, world: World) -> None:
        self._world, self._settings = world, settings
        self._registers = bytearray(0x20)
        self._pointer = 0
        self._calibrated_s = self._next_s = 0.0
        self._code = 0
        self._codes: list[int] = []
        self.address: int = settings.address

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """A sack from which something is taken now and then."""
        full = getattr(settings, "full_kg", 5.0)
        return {"weight": {"kind": "cycle", "low": 0.3 * full, "high": 0.7 * full, "period_s": 900.0}}

    def xfer(self, write: bytes, read: int) -> bytes:
        """See `I2CTwin.xfer`."""
        if self._world.has("reset"):
            self._registers, self._codes = bytearray(0x20), []
            write = write[:1]
        self._live()
        if write:
            self._pointer = write[0] & 0x1F
        for place, value in enumerate(write[1:]):
            self._write(self._pointer + place, value)
        return bytes(self._register((self._pointer + place) & 0x1F) for place in range(read))

    def _write(self, register: int, value: int) -> None:
        if register == PU_CTRL:
            if value & RESET:
                self._registers = bytearray(0x20)
            if value & START and not value & RESET:  # a new row of values
                self._codes, self._next_s = [], self._world.part_s() + self._every_s
                value &= ~CYCLE_READY
            value = value & ~READY | (READY if value & DIGITAL and not value & RESET else 0)
        if register == CTRL_2 and value & CALIBRATE:
            self._calibrated_s = self._world.part_s() + self._CALIBRATES_S
        self._registers[register & 0x1F] = value

    @property
    def _every_s(self) -> float:
        return self._EVERY_S.get(self._registers[CTRL_2] >> 4 & 7, 0.1)

    def _live(self) -> None:
        """What has happened since it was last spoken to."""
        now_s, power = self._world.part_s(), self._registers[PU_CTRL]
        if self._registers[CTRL_2] & CALIBRATE and now_s >= self._calibrated_s:
            self._registers[CTRL_2] &= ~CALIBRATE
        is_on = power & (START | ANALOG | DIGITAL) == START | ANALOG | DIGITAL and not self._world.has("not-ready")
        if is_on and now_s >= self._next_s:
            self._next_s = now_s + self._every_s
            self._code = self._converted()
            self._registers[PU_CTRL] |= CYCLE_READY

    def _converted(self) -> int:
        part = self._world.feel("weight") / self._settings.full_kg * self._settings.mv_per_v / 1000
        noise = 0.0 if self._world.has("stuck") else (self._world.random() + self._world.random() - 1) * self._NOISE
        gain = 1 << (self._registers[CTRL_1] & 7)
        return round(min(max(part * gain * 2 * (END + 1) + noise, -END - 1), END))

    def _register(self, register: int) -> int:
        if register == REVISION:
            return 0x00 if self._world.has("swapped") else IS_NAU7802
        if ADC_OUT <= register < ADC_OUT + 3:
            if register == ADC_OUT + 2:
                self._registers[PU_CTRL] &= ~CYCLE_READY
                self._note()
            return (self._code >> 8 * (ADC_OUT + 2 - register)) & 0xFF
        return self._registers[register]

    def _note(self) -> None:
        """Eight values of a row are what a right driver takes; those after a calibration it lets go by."""
        self._codes.append(self._code)
        if len(self._codes) == VALUES:
            self._world.give(WEIGHT.quantity, kilograms(sum(self._codes) / VALUES, self._settings))
