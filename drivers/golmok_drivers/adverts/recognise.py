"""Whose advert it is, and what to write into the settings to have it read: for those who look around with a radio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from golmok_drivers.adverts import bthome, ibeacon, ruuvi
from golmok_drivers.adverts.keyed import is_event
from golmok_drivers.errors import PayloadError
from golmok_drivers.radio import Advert

KEY_WANTED: Final = "00000000000000000000000000000000"
"""Stands where a key is to be written; no device has it."""
_ENCRYPTED: Final = 0x01
_BUTTONS: Final = ("SBBT", "BLU Button", "RC Button")
"""How the names of call buttons begin."""
_BOOKKEEPING: Final = ("packet_id", "device_type", "firmware", "settings_revision", "timestamp", "raw", "text")
_NOT_A_NAME: Final = "abcdefghijklmnopqrstuvwxyz0123456789-"


class Recognised(NamedTuple):
    """The driver, its settings beside name, driver and bus, and what the advert says."""

    driver: str
    settings: dict[str, Any]
    says: dict[str, Any]
    wants_key: bool = False

    @property
    def name(self) -> str:
        """A name to begin with: the driver and the end of what tells it from others."""
        told = str(self.settings.get("address") or self.settings.get("minor") or "").lower().replace(":", "")[-4:]
        return "".join(char for char in f"{self.driver}-{told}" if char in _NOT_A_NAME).strip("-")


def recognised(advert: Advert) -> Recognised | None:
    """What reads that advert; None if nobody here does."""
    try:
        if bthome.UUID in advert.service_data:
            return _of_bthome(advert, advert.service_data[bthome.UUID])
        if ruuvi.COMPANY in advert.manufacturer_data:
            says = ruuvi.decode(advert.manufacturer_data[ruuvi.COMPANY])
            return Recognised("ruuvi", {"address": advert.address}, dict(says))
        if ibeacon.COMPANY in advert.manufacturer_data:
            values = ibeacon.decode(advert.manufacturer_data[ibeacon.COMPANY])
            return Recognised("ibeacon", {name: values[name] for name in ("uuid", "major", "minor")}, dict(values))
    except PayloadError:
        return None
    return None


def _of_bthome(advert: Advert, data: bytes) -> Recognised | None:
    address = {"address": advert.address}
    if data[:1] and data[0] >> 5 == bthome.VERSION and data[0] & _ENCRYPTED:
        driver = "ble-button" if advert.name.startswith(_BUTTONS) else "bthome"
        return Recognised(driver, address | {"key": KEY_WANTED}, {}, wants_key=True)
    says: Mapping[str, Any] = bthome.decode(data).by_name()
    channels = [name for name in says if name not in _BOOKKEEPING or is_event(name)]
    return Recognised("bthome", address | ({"channels": channels} if channels else {}), dict(says))
