"""Peacefair PZEM-004T v3.0: voltage, current, power, energy, frequency and power factor of a mains line, over Modbus.

Data sheet: https://innovatorsguru.com/wp-content/uploads/2019/06/PZEM-004T-V3.0-Datasheet-User-Manual.pdf
(section 2.3: ten input registers, the low word of a double word first). Its current comes from a coil around the wire;
the part itself lives from the mains that it measures, so without mains it does not answer at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, NamedTuple

import msgspec

from golmok_drivers.api import (
    Channel,
    DriverInfo,
    Identity,
    PolledDriver,
    Reading,
    Settings,
    Uart,
    World,
    WrongPart,
    judged,
    rtu,
)

REGISTERS: Final = 10
ANY: Final = 0xF8
"""Every PZEM answers to this number, whatever its own: only for a line with one of them."""

VOLTAGE: Final = Channel("voltage", "V", 60.0, 260.0, 0.1, 1.3, still_s=3_600.0, noise=15.0)
CURRENT: Final = Channel("current", "A", 0.0, 100.0, 0.001, 0.5)
POWER: Final = Channel("power", "W", 0.0, 23_000.0, 0.1, 115.0)
ENERGY: Final = Channel("energy", "kW.h", 0.0, 9_999.99, 0.001)
FREQUENCY: Final = Channel("frequency", "Hz", 45.0, 65.0, 0.1, 0.5, noise=1.0)
POWER_FACTOR: Final = Channel("power-factor", "1", 0.0, 1.0, 0.01, 0.01)
CHANNELS: Final = (VOLTAGE, CURRENT, POWER, ENERGY, FREQUENCY, POWER_FACTOR)


class Mains(NamedTuple):
    """What one answer says, in the order of the channels."""

    voltage: float
    current: float
    power: float
    energy: float
    frequency: float
    power_factor: float


def decode(registers: Sequence[int]) -> Mains:
    """Volts, amperes, watts, kilowatt hours, hertz, power factor of the ten registers; raises `WrongPart`."""
    if len(registers) != REGISTERS or registers[9] not in (0, 0xFFFF):
        raise WrongPart(f"pzem004t: no PZEM-004T says {list(registers)}")
    voltage, current, current_high, power, power_high, energy, energy_high, frequency, factor, _ = registers
    return Mains(
        voltage=voltage / 10,
        current=(current_high << 16 | current) / 1000,
        power=(power_high << 16 | power) / 10,
        energy=(energy_high << 16 | energy) / 1000,
        frequency=frequency / 10,
        power_factor=factor / 100,
    )


class Pzem004tSettings(Settings):
    """Which of the meters on the line it is."""

    address: Annotated[
        int,
        msgspec.Meta(ge=1, le=0xF8, description="Its Modbus number, 1 to 247; 248: the only one there.", examples=[1]),
    ] = ANY


class Pzem004tDriver(PolledDriver):
    """Reads all registers in one question."""

    api = 1
    info = DriverInfo(
        "pzem004t",
        title="PZEM-004T v3 mains meter",
        title_ko="PZEM-004T v3 전력계",
        bus="uart",
        datasheet="https://innovatorsguru.com/wp-content/uploads/2019/06/PZEM-004T-V3.0-Datasheet-User-Manual.pdf",
        channels=CHANNELS,
        interval_s=10.0,
        wiring=(
            ("5V", "5 V of the USB adapter (its opto-couplers need 5 V)"),
            ("RX", "TX of the USB adapter"),
            ("TX", "RX of the USB adapter, which must take 5 V or have a divider"),
            ("GND", "GND of the USB adapter"),
            ("L, N", "the mains, by an electrician, behind a fuse of 1 A"),
            ("CT", "its coil, closed around the live wire alone"),
        ),
        note="Several on one line: give each a number of its own first (register 2), and a diode in each TX.",
        examples=({"address": 1}, {"address": 2}),
    )
    Settings = Pzem004tSettings
    _bus: Uart

    async def open(self, bus: Uart) -> None:
        """See `Driver.open`."""
        self._bus = bus

    async def probe(self) -> Identity:
        """Whether its registers are those of a PZEM-004T; it has no serial number."""
        decode(await self._registers())
        return Identity("PZEM-004T")

    async def sample(self) -> Sequence[Reading]:
        """See `PolledDriver.sample`."""
        mains = decode(await self._registers())
        return tuple(judged(channel, value) for channel, value in zip(CHANNELS, mains, strict=True))

    async def _registers(self) -> list[int]:
        address = self.settings.address
        question = rtu.request(address, rtu.READ_INPUT, 0, REGISTERS)
        reply = await self._bus.ask(address, question, rtu.answer_size(REGISTERS))
        return rtu.registers(reply, address, rtu.READ_INPUT, REGISTERS)


class Pzem004tTwin:
    """The meter's registers; it counts the energy of the power that it feels, as time goes by."""

    api: ClassVar[int] = 1
    faults: ClassVar[dict[str, str]] = {"swapped": "wrong-part", "not-ready": "nack"}
    _BUSY: Final = 6
    _NO_FUNCTION: Final = 1
    _NO_REGISTER: Final = 2

    def __init__(self, settings: Pzem004tSettings, world: World) -> None:
        self._world = world
        self._energy_wh, self._counted_s = 0.0, world.now_s()
        self.address: int = settings.address

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """A machine that runs now and then on a line of 220 V."""
        return {
            "voltage": {"kind": "daily", "mean": 221.0, "swing": 2.0, "noise": 0.4},
            "current": {"kind": "cycle", "low": 0.12, "high": 6.4, "period_s": 900.0, "noise": 0.01},
            "power-factor": {"kind": "constant", "value": 0.86},
            "frequency": {"kind": "constant", "value": 60.0},
        }

    def hear(self, request: bytes) -> bytes:
        """See `UartTwin.hear`."""
        if not rtu.is_whole(request) or request[0] not in (self.address, ANY):
            return b""
        if self._world.has("not-ready"):
            return self._refusal(request, self._BUSY)
        if request[1] != rtu.READ_INPUT:
            return self._refusal(request, self._NO_FUNCTION)
        start, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        registers = self._registers()
        if not 1 <= count <= len(registers) - start:
            return self._refusal(request, self._NO_REGISTER)
        words = b"".join(word.to_bytes(2, "big") for word in registers[start : start + count])
        if self._world.has("swapped"):  # a meter of another make, with fewer registers
            words = words[: count - 2]
        elif (start, count) == (0, REGISTERS):
            for channel, value in zip(CHANNELS, decode(registers), strict=True):
                self._world.give(channel.quantity, value)
        return self._closed(bytes((request[0], request[1], len(words))) + words)

    def _registers(self) -> list[int]:
        world = self._world
        voltage = _code(world.feel("voltage") * 10, 0xFFFF)
        current = _code(world.feel("current") * 1000, 0xFFFFFFFF)
        factor = _code(world.feel("power-factor") * 100, 100)
        power = _code(voltage / 10 * current / 1000 * factor / 100 * 10, 0xFFFFFFFF)
        self._count(power / 10)
        energy, frequency = int(self._energy_wh), _code(world.feel("frequency") * 10, 0xFFFF)
        doubles = [half for word in (current, power, energy) for half in (word & 0xFFFF, word >> 16)]
        return [voltage, *doubles, frequency, factor, 0]

    def _count(self, power_w: float) -> None:
        now_s = self._world.now_s()
        self._energy_wh = min(self._energy_wh + power_w * max(0.0, now_s - self._counted_s) / 3600, 9_999_990.0)
        self._counted_s = now_s

    def _refusal(self, request: bytes, code: int) -> bytes:
        return self._closed(bytes((request[0], request[1] | 0x80, code)))

    @staticmethod
    def _closed(frame: bytes) -> bytes:
        """The frame with its CRC by long division of mirrored bits, so that one mistake does not make both agree."""
        bits = [byte >> place & 1 for byte in frame for place in range(8)] + [0] * 16
        for at in range(16):
            bits[at] ^= 1
        polynomial = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]  # x^16 + x^15 + x^2 + 1
        for at in range(len(frame) * 8):
            if bits[at]:
                for place, bit in enumerate(polynomial):
                    bits[at + place] ^= bit
        rest = bits[-16:]  # the highest power first; on the line the lowest bit of a byte goes first
        return frame + bytes(sum(rest[8 * byte + place] << place for place in range(8)) for byte in range(2))


def _code(value: float, most: int) -> int:
    """The register's number, at the end of its range where the value is beyond."""
    return round(min(max(value, 0.0), most))
