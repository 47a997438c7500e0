"""What buttons with keys send: frames of BTHome v2, written by the format's page."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from golmok_drivers.radio import Advert

ADDRESS = "38:39:8F:A1:0B:5E"
KEY = "231d39c1d7cc1ab1aee224cd096db932"


def sealed(body: bytes, counter: int, *, key: str = KEY, address: str = ADDRESS) -> bytes:
    """A BTHome frame, encrypted by the format's page."""
    number = counter.to_bytes(4, "little")
    nonce = bytes.fromhex(address.replace(":", "")) + b"\xd2\xfc\x41" + number
    data = AESCCM(bytes.fromhex(key), tag_length=4).encrypt(nonce, body, None)
    return b"\x41" + data[:-4] + number + data[-4:]


def press(counter: int, packet: int | None = None, event: int = 1, **more: str) -> bytes:
    """A press of a button with a key."""
    packet = counter % 256 if packet is None else packet
    return sealed(bytes([0x00, packet, 0x01, 90, 0x3A, event]), counter, **more)


def advert(data: bytes = b"", *, at_s: float = 0.0, address: str = ADDRESS, rssi: int = -60, **more: Any) -> Advert:
    return Advert(address, rssi, {0xFCD2: data} if data else {}, more.pop("company", {}), heard_s=at_s, **more)
