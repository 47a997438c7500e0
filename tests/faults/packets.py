"""MQTT packets as they pass the proxy: enough of MQTT 3.1.1 and 5 to say what was delivered and what was taken.

Written for this harness alone, so that a mistake in the product's own reading of MQTT cannot hide here.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

CONNECT: Final = 1
CONNACK: Final = 2
PUBLISH: Final = 3
PUBACK: Final = 4
DISCONNECT: Final = 14
_DUP: Final = 0x08


class Publish(NamedTuple):
    """A PUBLISH packet; `packet_id` is 0 for QoS 0."""

    topic: str
    payload: bytes
    packet_id: int
    dup: bool


class Buffer:
    """Bytes as they come, given back as whole packets."""

    def __init__(self) -> None:
        self._bytes = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The packets that are whole now."""
        self._bytes += data
        packets = []
        while (size := _size(self._bytes)) and len(self._bytes) >= size:
            packets.append(self._bytes[:size])
            self._bytes = self._bytes[size:]
        return packets


def kind(packet: bytes) -> int:
    """The type of a packet."""
    return packet[0] >> 4


def publish_of(packet: bytes, version: int = 5) -> Publish:
    """What a PUBLISH says (MQTT 5, 3.3)."""
    body = packet[_head(packet) :]
    (length,) = struct.unpack_from(">H", body)
    topic, at = body[2 : 2 + length].decode(), 2 + length
    packet_id = 0
    if packet[0] & 0x06:
        (packet_id,) = struct.unpack_from(">H", body, at)
        at += 2
    if version == 5:
        size, width = _varint(body[at:])
        at += width + size
    return Publish(topic, body[at:], packet_id, bool(packet[0] & _DUP))


def puback_of(packet: bytes) -> tuple[int, bool]:
    """The packet id that a PUBACK acknowledges, and whether it says that all is well (MQTT 5, 3.4)."""
    body = packet[_head(packet) :]
    (packet_id,) = struct.unpack_from(">H", body)
    return packet_id, len(body) < 3 or body[2] < 0x80


def connect(client_id: str) -> bytes:
    """A CONNECT of MQTT 3.1.1 with a clean session."""
    name = client_id.encode()
    body = b"\x00\x04MQTT\x04\x02" + struct.pack(">H", 60) + struct.pack(">H", len(name)) + name
    return bytes((CONNECT << 4,)) + _length(len(body)) + body


def publish(topic: str, payload: bytes, packet_id: int) -> bytes:
    """A PUBLISH of MQTT 3.1.1 with QoS 1."""
    name = topic.encode()
    body = struct.pack(">H", len(name)) + name + struct.pack(">H", packet_id) + payload
    return bytes((PUBLISH << 4 | 0x02,)) + _length(len(body)) + body


def _length(number: int) -> bytes:
    encoded = b""
    while True:
        number, low = divmod(number, 128)
        encoded += bytes((low | (0x80 if number else 0),))
        if not number:
            return encoded


def _varint(data: bytes) -> tuple[int, int]:
    """A number of one to four bytes and its width; width 0 while it is not whole."""
    number = 0
    for at, byte in enumerate(data[:4]):
        number |= (byte & 0x7F) << (7 * at)
        if byte < 0x80:
            return number, at + 1
    return 0, 0


def _head(packet: bytes) -> int:
    return 1 + _varint(packet[1:5])[1]


def _size(data: bytes) -> int:
    length, width = _varint(data[1:5])
    return 1 + width + length if width else 0
