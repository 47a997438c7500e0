"""What Bluetooth devices broadcast: bytes in, quantities by name out. Knows no radio, keeps nothing between frames.

A format is a module with its own `decode`; here stands which one reads what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from golmok_drivers.adverts import bthome, ibeacon, ruuvi
from golmok_drivers.adverts.bthome import Cipher, EncryptedError, PlainError
from golmok_drivers.errors import PayloadError

__all__ = ["COMPANIES", "SERVICES", "Cipher", "EncryptedError", "PlainError", "decode"]

_BY_COMPANY: Final[dict[int, Callable[[bytes], Mapping[str, Any]]]] = {
    ibeacon.COMPANY: ibeacon.decode,
    ruuvi.COMPANY: ruuvi.decode,
}
SERVICES: Final = (bthome.UUID,)
"""The UUIDs whose service data somebody here reads."""
COMPANIES: Final = tuple(_BY_COMPANY)
"""The companies whose manufacturer data somebody here reads."""


def decode(
    service_data: Mapping[int, bytes],
    manufacturer_data: Mapping[int, bytes],
    cipher: Cipher | None = None,
    address: bytes | None = None,
) -> dict[str, Any]:
    """The quantities of one advert by name; service data win over manufacturer data. Raises `PayloadError`.

    Both are keyed as the radio has them: service data by 16-bit UUID, manufacturer data by company id.
    """
    if bthome.UUID in service_data:
        return bthome.decode(service_data[bthome.UUID], cipher, address).by_name()
    for company, read in _BY_COMPANY.items():
        if company in manufacturer_data:
            return dict(read(manufacturer_data[company]))
    raise PayloadError(_unknown(service_data, manufacturer_data))


def _unknown(service_data: Mapping[int, bytes], manufacturer_data: Mapping[int, bytes]) -> str:
    told = [f"service data of {uuid:04x}" for uuid in service_data]
    told += [f"manufacturer data of company 0x{company:04x}" for company in manufacturer_data]
    return f"nobody here reads {' or '.join(told)}" if told else "neither service data nor manufacturer data"
