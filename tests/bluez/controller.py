"""A Bluetooth controller without a radio, as the kernel sees it: HCI commands in, HCI events out (Core 5.3, vol 4).

It knows LE only, and legacy adverts. It answers what Linux asks when it starts a controller, scans when it is told to,
and then hears whatever is put into its air by `heard`. Like real ones it filters duplicates where it is asked to: a
device's advert that is the same as its last one is not passed on. `Controller` does no I/O; `Vhci` is its cable.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from struct import pack
from typing import Final

COMMAND, EVENT, VENDOR = 0x01, 0x04, 0xFF
"""H4's kinds of packets; the last is /dev/vhci's own: make a controller."""
NONCONNECTABLE, CONNECTABLE, SCAN_RESPONSE = 0x03, 0x00, 0x04
"""Types of advertising reports."""
_COMPLETE, _LE_META, _ADVERTISING_REPORT = 0x0E, 0x3E, 0x02
_UNKNOWN_COMMAND: Final = 0x01
_RESET, _SET_SCAN_PARAMETERS, _SET_SCAN_ENABLE = 0x0C03, 0x200B, 0x200C
_LE_ONLY: Final = bytes([0, 0, 0, 0, 0x60, 0, 0, 0])
"""Features: BR/EDR not supported, LE supported."""


def _commands() -> bytes:
    """The bit map of the commands that are there."""
    octets = {5: 0xC0, 14: 0x28, 15: 0x02, 25: 0xF7, 26: 0xCF, 27: 0x03, 28: 0x08}
    return bytes(octets.get(place, 0) for place in range(64))


def _answers(address: str) -> dict[int, bytes]:
    """Opcode -> what is returned behind the status."""
    return {
        _RESET: b"",
        0x0C01: b"",  # set event mask
        0x1001: bytes([0x0C, 0, 0, 0x0C, 0xFF, 0xFF, 0, 0]),  # local version: 5.3, of no company
        0x1002: _commands(),
        0x1003: _LE_ONLY,
        0x1009: bytes.fromhex(address.replace(":", ""))[::-1],
        0x2001: b"",  # LE set event mask
        0x2002: pack("<HB", 251, 8),  # LE buffers
        0x2003: bytes(8),  # LE features: none that are optional
        0x2005: b"",  # random address
        0x2006: b"",  # advertising parameters
        0x2007: bytes([0]),  # advertising power
        0x2008: b"",  # advertising data
        0x2009: b"",  # scan response data
        0x200A: b"",  # advertise
        _SET_SCAN_PARAMETERS: b"",
        _SET_SCAN_ENABLE: b"",
        0x200F: bytes([16]),  # size of the accept list
        0x2010: b"",  # clear it
        0x2011: b"",  # add to it
        0x2012: b"",  # remove from it
        0x201C: bytes.fromhex("ffff3fff03000000"),  # states
    }


class Controller:
    """One controller; its kernel may reset it at any time."""

    def __init__(self, address: str = "00:1A:7D:DA:71:13") -> None:
        self._answers = _answers(address)
        self._seen: dict[tuple[str, int], bytes] = {}
        self._filters = False
        self.is_scanning = False
        self.is_active = False
        """Whether it asks devices back, so that their scan responses are heard, too."""
        self.unknown: list[int] = []
        """Opcodes that it was asked for and does not know."""

    def received(self, packet: bytes) -> bytes | None:
        """The answer to a packet from the kernel."""
        if packet[0] != COMMAND:
            return None
        opcode = int.from_bytes(packet[1:3], "little")
        self._obey(opcode, packet[4:])
        known = self._answers.get(opcode)
        if known is None:
            self.unknown.append(opcode)
        returned = bytes([_UNKNOWN_COMMAND]) if known is None else b"\x00" + known
        return bytes([EVENT, _COMPLETE, 3 + len(returned), 1]) + packet[1:3] + returned

    def _obey(self, opcode: int, parameters: bytes) -> None:
        match opcode:
            case 0x0C03:
                self.is_scanning = self.is_active = False
            case 0x200B:
                self.is_active = parameters[0] == 1
            case 0x200C:
                self.is_scanning, self._filters = parameters[0] == 1, parameters[1] == 1
                self._seen.clear()

    def heard(self, address: str, data: bytes, *, rssi: int = -60, kind: int = NONCONNECTABLE) -> bytes | None:
        """The report of an advert in the air, if it is passed on; `data` at most 31 bytes, `rssi` in dBm."""
        if not self.is_scanning or (kind == SCAN_RESPONSE and not self.is_active):
            return None
        if self._filters and self._seen.get((address, kind)) == data:
            return None
        self._seen[address, kind] = data
        whose = bytes([0]) + bytes.fromhex(address.replace(":", ""))[::-1]
        report = bytes([_ADVERTISING_REPORT, 1, kind]) + whose + bytes([len(data)]) + data + pack("b", rssi)
        return bytes([EVENT, _LE_META, len(report)]) + report


class Vhci:
    """Plugs a controller into the kernel through /dev/vhci; `close` pulls it out. In a running event loop."""

    def __init__(self, controller: Controller, told: Callable[[bytes], None] = lambda packet: None) -> None:
        self.controller, self._told = controller, told
        self._file = os.open("/dev/vhci", os.O_RDWR | os.O_NONBLOCK)
        os.write(self._file, bytes([VENDOR, 0]))
        asyncio.get_running_loop().add_reader(self._file, self._read)

    def hear(self, *args: object, **more: object) -> None:
        """See `Controller.heard`."""
        report = self.controller.heard(*args, **more)  # type: ignore[arg-type]  # as they are there
        if report is not None:
            os.write(self._file, report)

    def close(self) -> None:
        """Pull it out."""
        asyncio.get_running_loop().remove_reader(self._file)
        os.close(self._file)

    def _read(self) -> None:
        packet = os.read(self._file, 4_096)
        self._told(packet)
        answer = self.controller.received(packet)
        if answer is not None:
            os.write(self._file, answer)
