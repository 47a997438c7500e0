"""Texas Instruments ADS1115 with a clamp around a machine's wire (SCT-013): mains current and running hours, over I2C.

Data sheets: https://www.ti.com/lit/ds/symlink/ads1115.pdf (section 8.1: registers) and
https://www.yhdc.com/en/product/SCT013-401/ (the clamp). The clamp lies between two inputs, one of which is held at half
the supply, and is measured as their difference, 860 times a second. 172 samples are 0.2 s, which are 12 whole cycles of
60 Hz and 10 of 50 Hz (as IEC 61000-4-30 has it): the effective value needs no frequency.

The part has no identity and no checksum. Its configuration is read back instead, before and after; the mean voltage of
the clamp's input says whether its wire is whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple

import msgspec

from golmok_drivers.api import (
    I2C,
    I2C_WIRING,
    Channel,
    CrcError,
    DriverInfo,
    I2CLine,
    Identity,
    OpenCircuit,
    PolledDriver,
    Reading,
    ResetValue,
    Settings,
    Shorted,
    Value,
    World,
    WrongPart,
    judged,
    waves,
)

CONVERSION, CONFIG, LOW, HIGH = 0, 1, 2, 3
AT_RESET: Final = 0x8583
THRESHOLDS_AT_RESET: Final = bytes.fromhex("80007fff")

RATE_HZ: Final = 860
SAMPLES: Final = 172
"""0.2 s: whole cycles of 50 Hz and of 60 Hz."""
BIAS_SAMPLES: Final = 86
"""0.1 s."""
_MUX: Final = {"A0-A1": (0b000, 0b100), "A2-A3": (0b011, 0b110)}
"""Input pair -> the codes of their difference, and of the first against ground."""
_FULL_SCALE: Final = {0: 6.144, 1: 4.096, 2: 2.048, 3: 1.024, 4: 0.512}
"""PGA code -> volts."""
_SUPPLY_V: Final = 3.3
_SESSION_S: Final = 2.0
_MOST_BETWEEN_S: Final = 120.0
"""Between two samples that are further apart nobody knows whether the machine ran."""
_ALIKE: Final = 0.7
"""How much alike the two halves of a measurement are at least: 1 for a current that goes on, 0 for noise."""
_TOO_LITTLE_V: Final = 0.005
"""Clamps give so much without any current; of that nothing is told."""


class _Config(NamedTuple):
    """The fields of the configuration register that we use."""

    mux: int
    pga: int
    is_continuous: bool

    @property
    def word(self) -> int:
        """The register, without its topmost bit (which starts a conversion, and says that none is under way)."""
        return self.mux << 12 | self.pga << 9 | (not self.is_continuous) << 8 | 0b111 << 5 | 0b11


class Swept(NamedTuple):
    """The codes of the difference and of the input against ground, and when (on the bus's clock)."""

    difference: tuple[int, ...]
    input: tuple[int, ...]
    at_s: float


class Ads1115Settings(Settings):
    """Where the part is, and what is clamped to it."""

    address: Annotated[
        Literal[0x48, 0x49, 0x4A, 0x4B],
        msgspec.Meta(description="ADDR to GND 0x48, to VDD 0x49, to SDA 0x4a, to SCL 0x4b.", examples=[0x48]),
    ] = 0x48
    input: Annotated[
        Literal["A0-A1", "A2-A3"],
        msgspec.Meta(description="The two inputs between which the clamp lies.", examples=["A0-A1"]),
    ] = "A0-A1"
    amps_per_volt: Annotated[
        float,
        msgspec.Meta(
            gt=0,
            le=1000,
            description="Amperes in the wire for a volt of the clamp: SCT-013-030 has 30; SCT-013-000 (100 A : 50 mA) "
            "with a resistor of 22 ohms 90.9.",
            examples=[30.0],
        ),
    ] = 30.0
    running_a: Annotated[
        float,
        msgspec.Meta(gt=0, le=1000, description="The machine runs when it takes more than that.", examples=[0.5]),
    ] = 0.5


def amperes(codes: Sequence[int], amps_per_volt: float) -> float:
    """The effective current of the codes of whole cycles, at a full scale of 2.048 V."""
    return round(waves.rms(codes) * _FULL_SCALE[2] / 32768 * amps_per_volt, 3)


def judge_bias(codes: Sequence[int]) -> None:
    """Raise `Shorted` or `OpenCircuit` where the clamp's input is not held at half the supply."""
    volts = waves.mean(codes) * _FULL_SCALE[1] / 32768
    if volts < 0.25 * _SUPPLY_V:
        raise Shorted(f"ads1115: the clamp's input lies at {volts:.2f} V; its wire touches ground")
    if volts > 0.75 * _SUPPLY_V:
        raise OpenCircuit(f"ads1115: the clamp's input lies at {volts:.2f} V; its plug is out or its wire is broken")


def are_alike(codes: Sequence[int]) -> bool:
    """Whether the first 0.1 s is as the second, as a current is: 0.1 s are whole cycles of 50 Hz and of 60 Hz.

    Their correlation: our clock and the part's make it 0.9 instead of 1, a loose wire makes it 0.5 at most.
    """
    half = len(codes) // 2
    first, second = ([code - waves.mean(part) for code in part] for part in (codes[:half], codes[half:]))
    squares = math.fsum(a * a for a in first), math.fsum(b * b for b in second)
    least = half * (_TOO_LITTLE_V / _FULL_SCALE[2] * 32768) ** 2
    if min(squares) < least:
        return True
    return math.fsum(a * b for a, b in zip(first, second, strict=True)) / math.sqrt(squares[0] * squares[1]) >= _ALIKE


class RunHours:
    """Counts how long a machine runs: between two looks at it at both of which it ran."""

    def __init__(self) -> None:
        self.hours = 0.0
        self._since_s: float | None = None

    def look(self, runs: bool, at_s: float) -> float:
        """The hours, now that it runs or not."""
        if self._since_s is not None and 0 <= at_s - self._since_s <= _MOST_BETWEEN_S:
            self.hours += (at_s - self._since_s) / 3600
        self._since_s = at_s if runs else None
        return round(self.hours, 4)


class Ads1115Driver(PolledDriver):
    """Sweeps 0.2 s of the difference and 0.1 s of the input in one go, in the bus's own thread."""

    api = 1
    info = DriverInfo(
        "ads1115",
        title="ADS1115 with SCT-013 current clamp",
        title_ko="ADS1115 + SCT-013 전류 센서",
        bus="i2c",
        datasheet="https://www.ti.com/lit/ds/symlink/ads1115.pdf",
        channels=(
            Channel("current", "A", 0.0, None, 0.001, 0.3),
            Channel("run-hours", "h", 0.0, None, 0.0001),
        ),
        interval_s=5.0,
        wiring=(
            *I2C_WIRING,
            ("A1", "half the supply: two resistors of 10 kOhm from 3.3 V and GND, 10 uF to GND"),
            ("A0", "one wire of the clamp; its other wire to A1"),
        ),
        note="Clamp one wire only, not the whole cable. SCT-013-000 needs a resistor of 22 ohms between its wires.",
        examples=({"address": 0x48}, {"address": 0x49, "amps_per_volt": 90.9}),
    )
    Settings = Ads1115Settings
    _bus: I2C

    def __init__(self, settings: Any, *, timezone: str = "UTC") -> None:
        """See `Driver`."""
        super().__init__(settings, timezone=timezone)
        self._hours = RunHours()
        self._was_alike = True

    @property
    def channels(self) -> tuple[Channel, ...]:
        """See `Driver.channels`: the range is that of the clamp."""
        current, hours = self.info.channels
        most = round(_FULL_SCALE[2] / math.sqrt(2) * self.settings.amps_per_volt, 1)
        return Channel(current.quantity, current.unit, 0.0, most, current.resolution, current.accuracy), hours

    def resume(self, last: Mapping[str, Value]) -> None:
        """See `Driver.resume`."""
        hours = last.get("run-hours")
        if isinstance(hours, int | float) and hours >= 0:
            self._hours.hours = float(hours)

    async def open(self, bus: I2C) -> None:
        """See `Driver.open`."""
        self._bus = bus

    async def probe(self) -> Identity:
        """Whether it has an ADS1115's registers; it has no serial number."""
        address = self.settings.address
        config = _Config(_MUX[self.settings.input][0], 2, is_continuous=False)
        await self._bus.session(address, lambda line: _identify(line, config), timeout_s=1.0)
        return Identity("ADS1115")

    async def sample(self) -> Sequence[Reading]:
        """See `PolledDriver.sample`."""
        settings = self.settings
        await self._bus.xfer(settings.address)  # one that hangs shall not hold the bus for a whole session
        swept = await self._bus.session(
            settings.address, lambda line: sweep(line, settings.input), timeout_s=_SESSION_S
        )
        judge_bias(swept.input)
        current = amperes(swept.difference, settings.amps_per_volt)
        hours = self._hours.look(current > settings.running_a, swept.at_s)
        channel, _ = self.channels
        was_alike, self._was_alike = self._was_alike, are_alike(swept.difference)
        reading = _judged(channel, current, swept.difference)
        if not (was_alike or self._was_alike) and reading.quality == "good":  # twice: machines are switched on, too
            reading = reading._replace(quality="uncertain", reason="noisy")
        return reading, Reading("run-hours", hours)


def _judged(channel: Channel, current: float, codes: Sequence[int]) -> Reading:
    """Bad where the codes are cut off; uncertain where they are all one: a converter that lives has noise."""
    if max(codes) == 32767 or min(codes) == -32768:
        return Reading(channel.quantity, current, "bad", "range")
    if len(set(codes)) == 1:
        return Reading(channel.quantity, current, "uncertain", "stuck")
    return judged(channel, current)


def sweep(line: I2CLine, pair: str) -> Swept:
    """All samples of one measurement; the part sleeps afterwards. Raises `BusError`, `CrcError`."""
    difference_mux, input_mux = _MUX[pair]
    config = _Config(difference_mux, 2, is_continuous=True)
    difference = _converted(line, config, SAMPLES)
    single = _converted(line, _Config(input_mux, 1, is_continuous=True), BIAS_SAMPLES)
    asleep = _Config(difference_mux, 2, is_continuous=False)
    at_s = line.now_s()
    line.xfer(bytes((CONFIG,)) + asleep.word.to_bytes(2, "big"))
    _confirm(line, asleep)
    return Swept(difference, single, at_s)


def _converted(line: I2CLine, config: _Config, count: int) -> tuple[int, ...]:
    line.xfer(bytes((CONFIG,)) + config.word.to_bytes(2, "big"))
    _confirm(line, config)
    line.xfer(bytes((CONVERSION,)))
    line.sleep(2.2 / RATE_HZ)  # the first conversion, by a part that is 10 % slow
    begin_s = line.now_s()
    codes = []
    for at in range(count):
        line.sleep(begin_s + at / RATE_HZ - line.now_s())
        codes.append(int.from_bytes(line.xfer(read=2), "big", signed=True))
    return tuple(codes)


def _confirm(line: I2CLine, config: _Config) -> None:
    """Raise the error that names what is there, unless the configuration is what was just written."""
    seen = [int.from_bytes(line.xfer(bytes((CONFIG,)), 2), "big") & 0x7FFF for _ in range(2)]
    if seen == [config.word, config.word]:
        return
    seen += [int.from_bytes(line.xfer(bytes((CONFIG,)), 2), "big") & 0x7FFF for _ in range(2)]
    if len(set(seen)) > 1:
        raise CrcError(f"ads1115: its configuration reads {', '.join(f'{word:04x}' for word in seen)}; long wires?")
    if seen[0] == AT_RESET & 0x7FFF:
        raise ResetValue("ads1115: the part restarted; check its supply")
    raise WrongPart(f"ads1115: what answers there does not keep what is written; it says {seen[0]:04x}")


def _identify(line: I2CLine, config: _Config) -> None:
    thresholds = line.xfer(bytes((LOW,)), 2) + line.xfer(bytes((HIGH,)), 2)
    if thresholds != THRESHOLDS_AT_RESET:
        raise WrongPart(f"ads1115: the registers of what answers there say {thresholds.hex(' ')}")
    line.xfer(bytes((CONFIG,)) + config.word.to_bytes(2, "big"))
    _confirm(line, config)


class Ads1115Twin:
    """The part's registers and its converter, which has a clock of its own that is a little off; and the clamp."""

    api: ClassVar[int] = 1
    faults: ClassVar[dict[str, str]] = {
        "open-circuit": "open-circuit",
        "shorted": "shorted",
        "swapped": "wrong-part",
        "reset": "reset",
        "stuck": "stuck",
        "noisy": "noisy",
        "not-ready": "",
    }
    _MAINS_HZ: Final = 60.0
    _NOISE_V: Final = 60e-6

    def __init__(self, settings: Ads1115Settings, world: World) -> None:
        self._world = world
        self._settings = settings
        self._registers = {CONFIG: AT_RESET, LOW: 0x8000, HIGH: 0x7FFF}
        self._pointer = CONVERSION
        self._rate_hz = RATE_HZ * (0.97 + 0.06 * world.random())  # the data sheet allows 10 %
        self._read: dict[int, list[int]] = {}
        self._single = 0
        self._hours = RunHours()
        self.address: int = settings.address

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """A machine that runs for half of each ten minutes."""
        return {"current": {"kind": "cycle", "low": 0.04, "high": 4.2, "period_s": 600.0, "noise": 0.005}}

    def xfer(self, write: bytes, read: int) -> bytes:
        """See `I2CTwin.xfer`."""
        if self._world.has("swapped"):  # an ADS1015 clone, whose registers are others
            return bytes((0x20, 0x00))[:read]
        if self._world.has("reset"):
            self._registers[CONFIG] = AT_RESET
            write = write[:1]
        if write:
            self._pointer = write[0] & 3
        if len(write) == 3 and self._pointer != CONVERSION:
            self._write(int.from_bytes(write[1:], "big"))
        return self._answer()[:read] if read else b""

    def _write(self, word: int) -> None:
        if self._pointer == CONFIG:
            was_awake, self._registers[CONFIG] = not self._registers[CONFIG] & 0x100, word
            mux, is_awake = word >> 12 & 7, not word & 0x100
            if word & 0x8100 == 0x8100:  # one conversion, and it is over before anybody can ask
                self._single = self._code(mux, _FULL_SCALE.get(word >> 9 & 7, 0.256))
            if is_awake:
                self._read[mux] = []
            elif was_awake:
                self._over()
        else:
            self._registers[self._pointer] = word

    def _answer(self) -> bytes:
        config = self._registers[CONFIG]
        if self._pointer == CONFIG:
            return (config & 0x7FFF | (0x8000 if config & 0x100 else 0)).to_bytes(2, "big")
        if self._pointer != CONVERSION:
            return self._registers[self._pointer].to_bytes(2, "big")
        if config & 0x100:
            return self._single.to_bytes(2, "big", signed=True)
        mux = config >> 12 & 7
        code = self._code(mux, _FULL_SCALE.get(config >> 9 & 7, 0.256))
        if self._world.has("stuck"):
            code = 7 if mux < 4 else 13_200
        self._read.setdefault(mux, []).append(code)
        return code.to_bytes(2, "big", signed=True)

    def _code(self, mux: int, full_v: float) -> int:
        at_s = math.floor(self._world.part_s() * self._rate_hz) / self._rate_hz
        volts = self._clamp_v(at_s)
        noise = (self._world.random() + self._world.random() - 1) * self._NOISE_V
        bias = _SUPPLY_V / 2
        if self._world.has("open-circuit"):
            volts, bias = 0.02 * math.sin(at_s), _SUPPLY_V
        if self._world.has("shorted"):
            volts, bias = -_SUPPLY_V / 2, _SUPPLY_V / 2
        seen = volts if mux in (0, 1, 2, 3) else max(0.0, bias + volts)
        return round(min(max((seen + noise) / full_v, -1.0), 32767 / 32768) * 32768)

    def _clamp_v(self, at_s: float) -> float:
        """A motor's current: a sine with some of the third and fifth harmonic, of the effective value that is felt."""
        turn = 2 * math.pi * self._MAINS_HZ * at_s
        wave = math.sin(turn) + 0.06 * math.sin(3 * turn + 0.4) + 0.04 * math.sin(5 * turn + 1.0)
        effective = math.sqrt((1 + 0.06**2 + 0.04**2) / 2)
        return self._world.feel("current") / self._settings.amps_per_volt * wave / effective

    def _over(self) -> None:
        """The part was sent to sleep after a measurement: what was read of it is what a right driver makes of it."""
        difference, single = (self._read.get(mux, []) for mux in _MUX[self._settings.input])
        self._read = {}
        if len(difference) != SAMPLES or len(single) != BIAS_SAMPLES:
            return
        if not 0.25 * _SUPPLY_V < waves.mean(single) * 4.096 / 32768 < 0.75 * _SUPPLY_V:
            return
        current = amperes(difference, self._settings.amps_per_volt)
        self._world.give("current", current)
        runs = current > self._settings.running_a
        self._world.give("run-hours", self._hours.look(runs, self._world.part_s()))
