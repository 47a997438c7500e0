"""Maxim DS18B20: temperature over 1-wire, read as Linux's w1_therm shows it.

Data sheet: https://www.analog.com/media/en/technical-documentation/data-sheets/DS18B20.pdf
The scratchpad's nine bytes stand in the text of `w1_slave`, with the kernel's verdict on their CRC. Three
values look right and are not: the power-on value 85 Cel, 0 Cel from a shorted wire (nine zeros have a right
CRC), and -127 Cel, by which some bus masters say that nobody is there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from golmok_drivers.api import (
    W1_WIRING,
    Channel,
    CrcError,
    DriverInfo,
    Identity,
    NotReady,
    OneWire,
    PayloadError,
    PolledDriver,
    Reading,
    ResetValue,
    Settings,
    Shorted,
    Unplugged,
    World,
    judged,
)

TEMPERATURE: Final = Channel("temperature", "Cel", -55.0, 125.0, 0.0625, 0.5, still_s=86_400.0, noise=1.5)

_LINE: Final = re.compile(rb"((?:[0-9a-f]{2} ){9}): crc=([0-9a-f]{2}) (YES|NO)\n")
_SECOND: Final = re.compile(rb"(?:[0-9a-f]{2} ){9}t=(-?[0-9]{1,7})\n?")

_POWER_ON: Final = 85 * 16
_NEVER_CONVERTED: Final = 0x0C
"""The reserved byte 6 before the first conversion; after one it is 16 minus the code's low four bits."""
_NOBODY: Final = -127 * 16


def crc8(data: bytes) -> int:
    """Maxim's checksum: polynomial 0x31 mirrored, initial value 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


def decode(text: bytes) -> float:
    """Degrees Celsius in the text of `w1_slave`; raises the `DriverError` that names what is wrong with it.

    The value is taken from the scratchpad, which has the full resolution; `t=` cuts off the fourth decimal.
    """
    if not text.strip():
        raise NotReady("ds18b20: the kernel gives an empty text; the part did not answer in time")
    first = _LINE.match(text)
    if not first:
        raise PayloadError(f"ds18b20: not the text of w1_slave: {text[:80]!r}")
    scratchpad = bytes.fromhex(first[1].decode())
    if first[3] != b"YES" or crc8(scratchpad[:8]) != scratchpad[8]:
        raise CrcError(f"ds18b20: the checksum of {scratchpad.hex(' ')} is wrong; long or unshielded cable?")
    if not any(scratchpad):
        raise Shorted("ds18b20: all bytes are zero; the data line is shorted to ground")
    second = _SECOND.fullmatch(text, first.end())
    code = int.from_bytes(scratchpad[:2], "little", signed=True)
    if not second or abs(int(second[1]) - code * 62.5) > 62.5:
        raise PayloadError(f"ds18b20: t= does not fit the bytes in {text[:160]!r}")
    if code == _POWER_ON and scratchpad[6] == _NEVER_CONVERTED:
        raise ResetValue("ds18b20: power-on value; the part restarted, check its supply")
    if code == _NOBODY:
        raise Unplugged("ds18b20: -127 Cel, the bus master's word for nobody there")
    return code / 16


class Ds18b20Settings(Settings):
    """Which of the parts on the bus it is."""

    address: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^28-[0-9a-f]{12}$",
            description="28- and twelve hex digits: the folder's name below /sys/bus/w1/devices.",
            examples=["28-00000a1b2c3d"],
        ),
    ]


class Ds18b20Driver(PolledDriver):
    """Reads `w1_slave`, which makes the kernel start a conversion and wait for it (0.75 s)."""

    api = 1
    info = DriverInfo(
        "ds18b20",
        title="DS18B20 temperature probe",
        title_ko="DS18B20 온도 센서",
        bus="w1",
        datasheet="https://www.analog.com/media/en/technical-documentation/data-sheets/DS18B20.pdf",
        channels=(TEMPERATURE,),
        interval_s=10.0,
        has_serial=True,
        wiring=W1_WIRING,
        note="Waterproof probes: red is VDD, black GND, yellow or white DQ. Many probes may share one line.",
        examples=({"address": "28-00000a1b2c3d"}, {"address": "28-00000a1b2c3e"}),
    )
    Settings = Ds18b20Settings
    _bus: OneWire

    async def open(self, bus: OneWire) -> None:
        """See `Driver.open`."""
        self._bus = bus

    async def probe(self) -> Identity:
        """Whether its folder is there; the id is its serial number."""
        if self.settings.address not in await self._bus.devices():
            raise Unplugged(f"ds18b20: {self.settings.address} is not on the bus; check its wiring and its id")
        return Identity("DS18B20", self.settings.address[3:])

    async def sample(self) -> Sequence[Reading]:
        """See `PolledDriver.sample`."""
        return (judged(TEMPERATURE, decode(await self._bus.read(self.settings.address))),)


class Ds18b20Twin:
    """The part at 12 bits of resolution, with the scratchpad of a genuine one."""

    api: ClassVar[int] = 1
    faults: ClassVar[dict[str, str]] = {"shorted": "shorted", "swapped": "unplugged"}
    _ALARMS_AND_CONFIG: Final = b"\x4b\x46\x7f\xff"

    def __init__(self, settings: Ds18b20Settings, world: World) -> None:
        self._world = world
        self._address: str = settings.address

    @property
    def address(self) -> str:
        """See `OneWireTwin.address`: another part has another one."""
        return f"28-{int(self._address[3:], 16) ^ 0xA5A5A5:012x}" if self._world.has("swapped") else self._address

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """A glass-door fridge, the probe in a sleeve."""
        return {"temperature": {"kind": "fridge", "lag_s": 20.0, "noise": 0.01}}

    def scratchpad(self) -> bytes:
        """See `OneWireTwin.scratchpad`."""
        if self._world.has("shorted"):
            return bytes(9)
        if self._world.has("reset"):
            return self._with_crc(b"\x50\x05" + self._ALARMS_AND_CONFIG + b"\x0c\x10")
        code = round(min(max(self._world.feel("temperature"), -128.0), 127.9375) / 0.0625)
        self._world.give("temperature", 0.0625 * code)
        low_bits_left = 16 - code % 16
        return self._with_crc(
            code.to_bytes(2, "little", signed=True) + self._ALARMS_AND_CONFIG + bytes((low_bits_left, 16))
        )

    @staticmethod
    def _with_crc(eight: bytes) -> bytes:
        """The eight bytes and their CRC, as the part's shift register makes it (data sheet, figure 11)."""
        register = [0] * 8
        for bit in (byte >> place & 1 for byte in eight for place in range(8)):
            back = register[7] ^ bit
            register = [back, *register[:3], register[3] ^ back, register[4] ^ back, *register[5:7]]
        return eight + bytes((sum(bit << 7 - place for place, bit in enumerate(register)),))
