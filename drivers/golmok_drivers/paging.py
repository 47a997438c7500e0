"""What a gateway writes to a pager, and what that answers; signed, so that nobody else makes pagers buzz. No radio.

Service 6e400001-… (Nordic's UART service): a page is written to 6e400002, the answer is told at 6e400003. Both fit into
the 20 bytes that every Bluetooth device takes:

| page | bytes | answer | bytes |
| --- | --- | --- | --- |
| version, 1 | 1 | version, 1 | 1 |
| number, which only rises | 4 | number of the page | 4 |
| ticket | 2 | 0 it buzzes, 1 too late, 2 refused | 1 |
| pattern | 1 | battery, % | 1 |
| seconds that it is worth | 2 | HMAC | 8 |
| HMAC | 8 | | |

Numbers are little-endian. The HMAC is the first 8 bytes of HMAC-SHA256 with the pager's key over `page` or `ack` and
what stands before it. A pager buzzes once for a number; the same again is only answered again, a lower one is refused.
"""

from __future__ import annotations

import hashlib
import hmac
from struct import Struct
from typing import Final, NamedTuple

from golmok_drivers.errors import PayloadError

SERVICE: Final = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
WRITE: Final = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
TELL: Final = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"
VERSION: Final = 1
BUZZES, TOO_LATE, REFUSED = range(3)
_MAC_BYTES: Final = 8
_PAGE: Final = Struct("<BIHBH")
_ACK: Final = Struct("<BIBB")


class Page(NamedTuple):
    """A ticket that is ready. `ttl_s`: afterwards it is not worth a buzz any more."""

    number: int
    ticket: int
    pattern: int = 1
    ttl_s: int = 300

    def packed(self, key: bytes) -> bytes:
        """As it is written."""
        return _signed(b"page", _PAGE.pack(VERSION, *self), key)


class Ack(NamedTuple):
    """What the pager did with the page of that number."""

    number: int
    status: int
    battery: int

    def packed(self, key: bytes) -> bytes:
        """As it is told."""
        return _signed(b"ack", _ACK.pack(VERSION, *self), key)


def page_of(data: bytes, key: bytes) -> Page:
    """The page that was written; raises `PayloadError` when it is not signed with the key."""
    return Page(*_opened(b"page", data, key, _PAGE))


def ack_of(data: bytes, key: bytes) -> Ack:
    """The answer that was told; raises `PayloadError`."""
    return Ack(*_opened(b"ack", data, key, _ACK))


def _signed(kind: bytes, body: bytes, key: bytes) -> bytes:
    return body + _mac(kind, body, key)


def _opened(kind: bytes, data: bytes, key: bytes, shape: Struct) -> tuple[int, ...]:
    body, mac = data[: shape.size], data[shape.size :]
    if len(data) != shape.size + _MAC_BYTES or not hmac.compare_digest(mac, _mac(kind, body, key)):
        raise PayloadError(f"{kind.decode()}: not signed with this pager's key")
    version, *rest = shape.unpack(body)
    if version != VERSION:
        raise PayloadError(f"{kind.decode()}: version {version}; only {VERSION} is known")
    return tuple(rest)


def _mac(kind: bytes, body: bytes, key: bytes) -> bytes:
    return hmac.new(key, kind + body, hashlib.sha256).digest()[:_MAC_BYTES]
