"""Modbus RTU as bytes: requests and answers, without a line, a clock or a port.

Specification: https://modbus.org/docs/Modbus_over_serial_line_V1_02.pdf (frames, CRC) and
https://modbus.org/docs/Modbus_Application_Protocol_V1_1b3.pdf (functions, exceptions). A request goes out by
`Uart.ask`, whose answer is taken apart by `registers`.
"""

from __future__ import annotations

from typing import Final

from golmok_drivers.errors import BusNack, CrcError, PayloadError, WrongPart

READ_HOLDING: Final = 3
READ_INPUT: Final = 4
MOST_REGISTERS: Final = 125

_IS_EXCEPTION: Final = 0x80
_REFUSALS: Final = {
    1: "it does not know the function",
    2: "it has no such register",
    3: "it does not take the value",
    4: "it failed",
    6: "it is busy",
}


def crc16(frame: bytes) -> int:
    """The checksum: polynomial 0x8005 mirrored, initial value 0xFFFF."""
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def closed(frame: bytes) -> bytes:
    """The frame with its checksum, low byte first."""
    return frame + crc16(frame).to_bytes(2, "little")


def is_whole(frame: bytes) -> bool:
    """Whether the checksum at its end is right."""
    return len(frame) >= 4 and crc16(frame[:-2]) == int.from_bytes(frame[-2:], "little")


def request(address: int, function: int, start: int, count: int) -> bytes:
    """The request for `count` registers from `start` on, of the device `address` (1 to 247)."""
    return closed(bytes((address, function)) + start.to_bytes(2, "big") + count.to_bytes(2, "big"))


def answer_size(count: int) -> int:
    """How many bytes the answer to a request for `count` registers has."""
    return 5 + 2 * count


def registers(reply: bytes, address: int, function: int, count: int) -> list[int]:
    """The registers in an answer; raises `CrcError`, `BusNack` (the device refuses), `WrongPart`, `PayloadError`."""
    if not is_whole(reply):
        raise CrcError(f"modbus: the checksum of {reply[:40].hex(' ') or 'an empty answer'} is wrong")
    if reply[0] != address:
        raise PayloadError(f"modbus: device {reply[0]} answered, not {address}; two devices with one number?")
    if reply[1] == function | _IS_EXCEPTION:
        raise BusNack(f"modbus: device {address} refuses: {_REFUSALS.get(reply[2], f'code {reply[2]}')}")
    if reply[1] != function or reply[2] != 2 * count or len(reply) != answer_size(count):
        raise WrongPart(f"modbus: device {address} answers what was not asked: {reply[:40].hex(' ')}")
    return [int.from_bytes(reply[at : at + 2], "big") for at in range(3, 3 + 2 * count, 2)]
