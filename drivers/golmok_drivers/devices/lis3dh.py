"""ST LIS3DH: the vibration of a machine, over SPI.

Data sheet: https://www.st.com/resource/en/datasheet/lis3dh.pdf (table 10: bandwidth; section 4.2.5: FIFO; section 8:
registers). In its fast mode (8 bits, 5,376 samples a second) the part is flat beyond 1 kHz, where the band ends in
which ISO 20816-1 measures. Its FIFO holds 32 samples, 6 ms: it is emptied in the bus's own thread, and a sample that
was lost all the same is noticed (OVRN) and the capture begun anew.

Velocity says whether a machine shakes (unbalance, looseness), and comes late where a bearing fails; a bearing's blows
show long before in the kurtosis (3 or less when healthy) and in the envelope of what rings above 1 kHz: its level, and,
where the settings know the bearing, how far the lines of a damage stand out of it (`golmok_drivers.bearings`). The
velocity is that of the axis that moves most, the rest that of the axis with most acceleration.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple

import msgspec

from golmok_drivers.api import (
    SPI_WIRING,
    Channel,
    CrcError,
    DriverInfo,
    Identity,
    Overrun,
    PolledDriver,
    Quality,
    Reading,
    ResetValue,
    Settings,
    Spi,
    SpiLine,
    Unplugged,
    World,
    WrongPart,
    waves,
)
from golmok_drivers.bearings import Bearing, high_passed, lines
from golmok_drivers.twins.bearing import B6205, Shaft

WHO_AM_I, CTRL_1, CTRL_4, CTRL_5, OUT_X_L, FIFO_CTRL, FIFO_SRC = 0x0F, 0x20, 0x23, 0x24, 0x28, 0x2E, 0x2F
READ, MULTI = 0x80, 0x40
IDENTITY: Final = 0x33
AT_RESET: Final = bytes((0x07, 0, 0, 0, 0, 0))
"""CTRL_REG1 to 6 after power-on."""

RATE_HZ: Final = 5376.0
SAMPLES: Final = 4096
"""0.76 s: a line of the spectrum every 1.3 Hz."""
FAST: Final = 0x9F
"""5,376 Hz, low power (8 bits), all three axes."""
BLOCK_DATA_UPDATE: Final = 0x80
FIFO_ON: Final = 0x40
BYPASS, STREAM = 0x00, 0x80
OVERRUN: Final = 0x40
_FIFO_DEPTH: Final = 32
_ATTEMPTS: Final = 3
_FILTER_STARTS: Final = int(RATE_HZ / 200)
"""Samples until the filter has forgotten gravity."""
_MANNER: Final = {"mode": 3, "speed_hz": 5_000_000}
_SESSION_S: Final = 5.0

STANDARD_G: Final = 9.80665
_FULL_SCALE: Final = {2: (0, 0.016), 4: (1, 0.032), 8: (2, 0.064), 16: (3, 0.192)}
"""Range in g -> its code, and g for a digit of 8 bits (table 4)."""

VELOCITY: Final = Channel("velocity", "mm/s", 0.0, 500.0, 0.01, 0.2)
ACCELERATION: Final = Channel("acceleration", "m/s2", 0.0, 280.0, 0.01, 0.3)
KURTOSIS: Final = Channel("kurtosis", "1", 0.0, None, 0.01)
ENVELOPE: Final = Channel("envelope", "m/s2", 0.0, 280.0, 0.01, 0.3)
ZONE: Final = Channel("zone")
BEARING: Final = Channel("bearing", "dB", None, None, 0.1)
CHANNELS: Final = (VELOCITY, ACCELERATION, KURTOSIS, ENVELOPE, ZONE)

Axes = tuple[Sequence[int], Sequence[int], Sequence[int]]


class Shaking(NamedTuple):
    """What a capture says: mm/s, m/s2, a number, m/s2, a letter, dB."""

    velocity: float
    acceleration: float
    kurtosis: float
    envelope: float
    zone: str
    bearing: float | None
    """None where nobody knows the bearing."""


class BearingSettings(Settings):
    """The bearing beside the sensor, from its maker's catalogue, and how fast its shaft turns."""

    balls: Annotated[int, msgspec.Meta(ge=3, le=200, description="How many balls or rollers.", examples=[9])]
    ratio: Annotated[
        float,
        msgspec.Meta(gt=0, lt=1, description="A ball's diameter over the pitch diameter.", examples=[0.203]),
    ]
    speed_hz: Annotated[
        float,
        msgspec.Meta(gt=0, le=500, description="Turns a second, within 2.5 %.", examples=[29.2]),
    ]
    angle_deg: Annotated[
        float, msgspec.Meta(ge=0, lt=90, description="The contact angle; 0 for deep groove balls.", examples=[0.0])
    ] = 0.0

    @property
    def geometry(self) -> Bearing:
        """As `golmok_drivers.bearings` has it."""
        return Bearing(self.balls, self.ratio, self.angle_deg)


class Lis3dhSettings(Settings):
    """Where the part hangs, how wide it measures, and what is much for this machine."""

    select: Annotated[
        Literal[0, 1],
        msgspec.Meta(description="Its chip select: 0 (CE0, pin 24) or 1 (CE1, pin 26).", examples=[0]),
    ] = 0
    range_g: Annotated[
        Literal[2, 4, 8, 16],
        msgspec.Meta(description="The greatest acceleration; 4 is right for most machines.", examples=[4]),
    ] = 4
    zones: Annotated[
        tuple[float, float, float],
        msgspec.Meta(
            description="Velocities in mm/s at which zone B, C and D begin (ISO 20816-1): 0.71, 1.8, 4.5 for machines "
            "up to 15 kW; 1.4, 2.8, 4.5 for those up to 300 kW on a stiff base.",
            examples=[[0.71, 1.8, 4.5]],
        ),
    ] = (0.71, 1.8, 4.5)
    bearing: Annotated[
        BearingSettings | None,
        msgspec.Meta(
            description="The bearing, so that `bearing` can say whether it is damaged (above 10 dB).",
            examples=[{"balls": 9, "ratio": 0.203, "speed_hz": 29.2}],
        ),
    ] = None

    def __post_init__(self) -> None:
        if not 0 < self.zones[0] < self.zones[1] < self.zones[2]:
            raise ValueError("zones wants three rising velocities, such as [0.71, 1.8, 4.5]")


def analyse(axes: Axes, settings: Lis3dhSettings) -> Shaking:
    """What the digits of the three axes say."""
    digit = _FULL_SCALE[settings.range_g][1] * STANDARD_G
    strengths = [waves.rms(axis) * digit for axis in axes]
    velocity = max(waves.velocity_rms(axis, RATE_HZ) for axis in axes) * digit * 1000
    strongest = max(range(3), key=lambda at: strengths[at])
    return Shaking(
        velocity=round(velocity, 3),
        acceleration=round(strengths[strongest], 3),
        kurtosis=round(waves.kurtosis(axes[strongest]), 3),
        envelope=round(waves.rms(high_passed(axes[strongest], RATE_HZ)[_FILTER_STARTS:]) * digit, 3),
        zone="ABCD"[sum(velocity >= begin for begin in settings.zones)],
        bearing=_stands_out(axes[strongest], settings.bearing),
    )


def _stands_out(axis: Sequence[int], bearing: BearingSettings | None) -> float | None:
    """How far a damage of any part of the bearing stands out of the envelope's noise, in dB."""
    if bearing is None:
        return None
    if len(set(axis)) == 1:
        return 0.0
    return round(lines(axis, RATE_HZ, bearing.geometry, bearing.speed_hz)[0].db, 1)


def judge(axes: Axes, range_g: int) -> tuple[Quality, str]:
    """Bad where the digits are cut off; uncertain where none ever moves: a part that lives has noise of a third of one.

    In the wide ranges a digit is larger than the noise, and nobody can tell.
    """
    if any(max(axis) == 127 or min(axis) == -128 for axis in axes):
        return "bad", "range"
    if range_g <= 4 and all(len(set(axis)) == 1 for axis in axes):
        return "uncertain", "stuck"
    return "good", ""


def digits(raw: bytes) -> Axes:
    """The digits of x, y and z in the FIFO's bytes; only the high bytes count in this mode."""
    signed = [byte - 256 if byte > 127 else byte for byte in raw[1::2]]
    return signed[0::3], signed[1::3], signed[2::3]


class Lis3dhDriver(PolledDriver):
    """Captures 0.76 s, then lets the part sleep."""

    api = 1
    info = DriverInfo(
        "lis3dh",
        title="LIS3DH vibration sensor",
        title_ko="LIS3DH 진동 센서",
        bus="spi",
        datasheet="https://www.st.com/resource/en/datasheet/lis3dh.pdf",
        channels=CHANNELS,
        interval_s=30.0,
        wiring=SPI_WIRING,
        note="Screw or glue it to the bearing's housing, not to sheet metal. At most 20 cm of cable.",
        examples=(
            {"select": 0, "bearing": {"balls": 9, "ratio": 0.203, "speed_hz": 29.2}},
            {"select": 1, "range_g": 2},
        ),
    )
    Settings = Lis3dhSettings
    _bus: Spi

    @property
    def channels(self) -> tuple[Channel, ...]:
        """See `Driver.channels`."""
        return (*CHANNELS, *([BEARING] if self.settings.bearing else []))

    async def open(self, bus: Spi) -> None:
        """See `Driver.open`."""
        self._bus = bus
        await self._bus.xfer(self.settings.select, bytes((CTRL_1 | MULTI,)) + self._setup, **_MANNER)

    async def probe(self) -> Identity:
        """Its identity register; it has no serial number."""
        await self._session(lambda line: check(line, None), 0.5)
        return Identity("LIS3DH")

    async def sample(self) -> Sequence[Reading]:
        """See `PolledDriver.sample`."""
        await self._bus.xfer(self.settings.select, bytes((WHO_AM_I | READ, 0)), **_MANNER)  # see whether it hangs
        shaking, (quality, reason) = await self._session(self._capture_and_analyse, _SESSION_S)
        told = shaking._asdict()
        return tuple(Reading(c.quantity, told[c.quantity], quality, reason) for c in self.channels)

    async def _session(self, work: Any, timeout_s: float) -> Any:
        return await self._bus.session(self.settings.select, work, timeout_s=timeout_s, **_MANNER)

    @property
    def _setup(self) -> bytes:
        """CTRL_REG1 to 6 as they shall be."""
        scale = _FULL_SCALE[self.settings.range_g][0]
        return bytes((FAST, 0, 0, BLOCK_DATA_UPDATE | scale << 4, FIFO_ON, 0))

    def _capture_and_analyse(self, line: SpiLine) -> tuple[Shaking, tuple[Quality, str]]:
        """In the bus's thread, so that half a tenth of a second of arithmetic holds up nobody's loop."""
        setup = self._setup
        try:
            check(line, setup)
        except ResetValue:
            line.xfer(bytes((CTRL_1 | MULTI,)) + setup)
            raise
        raw = capture(line)
        check(line, setup)
        axes = digits(raw)
        return analyse(axes, self.settings), judge(axes, self.settings.range_g)


def check(line: SpiLine, setup: bytes | None) -> None:
    """Raise the error that names what is there, unless it is a LIS3DH that is set up so (None: in any way)."""
    seen = [_registers(line) for _ in range(2)]
    if seen[0] != seen[1]:
        raise CrcError(f"lis3dh: read twice, and not the same: {seen[0].hex(' ')}, {seen[1].hex(' ')}; long wires?")
    identity, control = seen[0][0], seen[0][1:]
    if len(set(seen[0])) == 1 and identity in (0x00, 0xFF):
        raise Unplugged("lis3dh: nothing answers at that chip select; check its wiring")
    if identity != IDENTITY:
        raise WrongPart(f"lis3dh: what hangs there says it is 0x{identity:02x}, not 0x{IDENTITY:02x}")
    if setup is not None and control == AT_RESET:
        raise ResetValue("lis3dh: the part restarted; check its supply")
    if setup is not None and control != setup:
        line.xfer(bytes((CTRL_1 | MULTI,)) + setup)
        raise ResetValue(f"lis3dh: its settings were others: {control.hex(' ')}; check its supply")


def _registers(line: SpiLine) -> bytes:
    """Its identity and its six control registers."""
    identity = line.xfer(bytes((WHO_AM_I | READ, 0)))[1:]
    return identity + line.xfer(bytes((CTRL_1 | READ | MULTI,)) + bytes(6))[1:]


def capture(line: SpiLine) -> bytes:
    """`SAMPLES` samples without a gap, six bytes each; raises `Overrun`, `BusError`."""
    for _ in range(_ATTEMPTS):
        line.xfer(bytes((FIFO_CTRL, BYPASS)))  # empties it
        line.xfer(bytes((FIFO_CTRL, STREAM)))
        raw = _drain(line)
        line.xfer(bytes((FIFO_CTRL, BYPASS)))
        if raw is not None:
            return raw[: 6 * SAMPLES]
    raise Overrun("lis3dh: its values were not fetched in time; the machine is too busy")


def _drain(line: SpiLine) -> bytes | None:
    """The samples as they come; None when some were lost."""
    raw = bytearray()
    idle = 0
    while len(raw) < 6 * SAMPLES:
        line.sleep(_FIFO_DEPTH / 4 / RATE_HZ)
        source = line.xfer(bytes((FIFO_SRC | READ, 0)))[1]
        if source & OVERRUN:
            return None
        waiting = source & 0x1F
        idle = 0 if waiting else idle + 1
        if idle > 50:
            raise Unplugged("lis3dh: it measures nothing; check its wiring")
        if waiting:
            raw += line.xfer(bytes((OUT_X_L | READ | MULTI,)) + bytes(6 * waiting))[1:]
    return bytes(raw)


class Lis3dhTwin:
    """The part's registers, and its FIFO on its own clock; a motor shakes it, and its bearing may have a damage.

    The motor turns `speed` times a second; unbalance and misalignment make sines whose effective velocity is `velocity`
    (mm/s). The damage of the bearing's outer race makes the housing ring at each blow, at first with `blow` m/s2
    (`golmok_drivers.twins.bearing`, after McFadden and Smith, 1984). The bearing is that of the settings, else a 6205.
    """

    api: ClassVar[int] = 1
    faults: ClassVar[dict[str, str]] = {
        "swapped": "wrong-part",
        "reset": "reset",
        "not-ready": "unplugged",
        "stuck": "stuck",
    }
    unseen: ClassVar[dict[str, str]] = {
        "noisy": "shaking is what it measures: a loose screw shows as velocity, a loose wire of the bus as `crc`"
    }
    modes: ClassVar[tuple[int, ...]] = (0, 3)
    _NOISE: Final = 0.11
    """m/s2: 220 ug/sqrt(Hz) over 2.7 kHz."""
    _MACHINE_NOISE: Final = 0.1
    """m/s2, effective: what else shakes the housing."""
    _OF_THE_SHAFT: Final = math.hypot(1, 1 / 3)
    """The velocity of unbalance and misalignment together, for that of the unbalance."""
    _SHARES: Final = (0.75, 0.2, 1.0)
    """How much of it each axis feels; the last stands upright."""

    def __init__(self, settings: Lis3dhSettings, world: World) -> None:
        self._world = world
        self._settings = settings
        self._random = random.Random(world.random())  # noqa: S311  # noise, not a secret
        self._registers = bytearray(0x40)
        self._reset()
        self._began_s = 0.0
        self._sent = 0
        self._raw = bytearray()
        self._felt: list[float] = []
        self.select: int = settings.select

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """A four-pole motor at 60 Hz, well balanced, with sound bearings."""
        return {
            "velocity": {"kind": "constant", "value": 0.45, "noise": 0.01},
            "speed": {"kind": "constant", "value": 29.2},
            "blow": {"kind": "constant", "value": 0.0},
        }

    def xfer(self, write: bytes) -> bytes:
        """See `SpiTwin.xfer`."""
        if self._world.has("reset"):
            self._reset()
        if not write:
            return b""
        reply = bytearray(len(write))
        register, is_read, is_multi = write[0] & 0x3F, bool(write[0] & READ), bool(write[0] & MULTI)
        for at in range(1, len(write)):
            if is_read:
                reply[at] = self._read(register)
            elif not self._world.has("reset"):
                self._write(register, write[at])
            if is_multi:
                register = OUT_X_L if register == OUT_X_L + 5 else register + 1  # it rolls back for the FIFO
        return bytes(reply)

    def _reset(self) -> None:
        self._registers[CTRL_1 : CTRL_1 + 6] = AT_RESET
        self._registers[WHO_AM_I] = IDENTITY
        self._registers[FIFO_CTRL] = BYPASS

    def _read(self, register: int) -> int:
        if register == WHO_AM_I and self._world.has("swapped"):
            return 0x44  # a LIS2DW12
        if register == FIFO_SRC:
            return self._source()
        if OUT_X_L <= register < OUT_X_L + 6:
            return self._byte(register - OUT_X_L)
        return self._registers[register & 0x3F]

    def _write(self, register: int, value: int) -> None:
        if register == FIFO_CTRL:
            if value & 0xC0 == STREAM:
                self._began_s, self._sent, self._raw = self._world.part_s(), 0, bytearray()
            elif self._registers[FIFO_CTRL] & 0xC0 == STREAM:
                self._over()
        self._registers[register & 0x3F] = value

    @property
    def _made(self) -> int:
        """Samples made since the FIFO was switched on."""
        is_on = self._registers[FIFO_CTRL] & 0xC0 == STREAM and self._registers[CTRL_5] & FIFO_ON
        if not is_on or self._registers[CTRL_1] != FAST or self._world.has("not-ready"):
            return 0
        return int((self._world.part_s() - self._began_s) * RATE_HZ)

    def _source(self) -> int:
        waiting = max(0, self._made - self._sent)  # it may restart between two looks
        if waiting > _FIFO_DEPTH:
            return OVERRUN | 0x80 | 0x1F
        return min(waiting, 0x1F) | (0x20 if waiting <= 0 else 0)

    def _byte(self, place: int) -> int:
        if place == 0:
            self._raw += self._next()
            self._sent += 1
        return self._raw[len(self._raw) - 6 + place] if self._raw else 0

    def _next(self) -> bytes:
        """The next sample in the FIFO, six bytes of which the high ones count."""
        if self._sent == 0:
            self._feel()
        shaken = self._felt[self._sent % len(self._felt)]
        digit = _FULL_SCALE[self._settings.range_g][1] * STANDARD_G
        raw = bytearray()
        for axis, share in enumerate(self._SHARES):
            felt = share * shaken + self._random.gauss(0.0, self._NOISE) + (STANDARD_G if axis == 2 else 0.0)
            if self._world.has("stuck"):
                felt = STANDARD_G if axis == 2 else 0.0
            raw += bytes((0, round(min(max(felt / digit, -128), 127)) & 0xFF))
        return bytes(raw)

    def _feel(self) -> None:
        """What shakes it during this capture."""
        world, bearing = self._world, self._settings.bearing
        velocity = abs(world.feel("velocity"))
        shaft = Shaft(
            bearing.geometry if bearing else B6205,
            speed_hz=max(0.1, min(world.feel("speed"), 1000.0)),
            velocity_mm_s=velocity / self._OF_THE_SHAFT,
            noise=self._MACHINE_NOISE * min(1.0, velocity),  # one that stands still makes none
        )
        blow = max(0.0, world.feel("blow"))
        self._felt = shaft.acceleration(SAMPLES, RATE_HZ, blow=min(blow, 1e4), seed=str(self._random.random()))

    def _over(self) -> None:
        """The capture has ended: what was fetched is what a right driver makes of it."""
        if len(self._raw) < 6 * SAMPLES:
            return
        shaking = analyse(digits(bytes(self._raw[: 6 * SAMPLES])), self._settings)
        for quantity, value in shaking._asdict().items():
            if value is not None:
                self._world.give(quantity, value)
