"""iBeacon: a place's number, as manufacturer data of Apple's company id 0x004C.

Apple, "Proximity Beacon Specification" (2015), section 2: type 2, 21 bytes: a UUID, major, minor, and the strength
that is measured a metre away. Anybody may send any of them: a beacon proves no place.
"""

from __future__ import annotations

from struct import Struct
from typing import Final
from uuid import UUID

from golmok_drivers.errors import PayloadError

COMPANY: Final = 0x004C
_HEAD: Final = b"\x02\x15"
_BODY: Final = Struct(">16sHHb")


def decode(data: bytes) -> dict[str, int | str]:
    """What the manufacturer data `data` say, behind the company's id. Raises `PayloadError`."""
    if not data.startswith(_HEAD):
        raise PayloadError("of Apple, but no iBeacon")
    if len(data) < len(_HEAD) + _BODY.size:
        raise PayloadError("an iBeacon that was cut short")
    uuid, major, minor, power = _BODY.unpack_from(data, len(_HEAD))
    return {"uuid": str(UUID(bytes=uuid)), "major": major, "minor": minor, "measured_power": power}
