"""RuuviTag: temperature, humidity, pressure and motion as manufacturer data of company 0x0499.

Formats 5 (https://docs.ruuvi.com/communication/bluetooth-advertisements/data-format-5-rawv2) and 3, its forerunner.
A sensor that is missing or broken says the extreme value of its field, which is then left out.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from golmok_drivers.errors import PayloadError

COMPANY: Final = 0x0499
Value = int | float | str

_RAW_5: Final = Struct(">hHHhhhHBH6s")
_RAW_3: Final = Struct(">BBBHhhhH")
_LEAST_PRESSURE_PA: Final = 50_000
_LEAST_BATTERY_MV: Final = 1_600
_LEAST_POWER_DBM: Final = -40


class _Field(NamedTuple):
    """A number of the frame: what it says when nothing is known, and the value that it stands for."""

    name: str
    nothing: int | None
    per: int = 1
    least: int = 0


_FIELDS_5: Final = (
    _Field("temperature", -0x8000, 200),
    _Field("humidity", 0xFFFF, 400),
    _Field("pressure", 0xFFFF, 100, _LEAST_PRESSURE_PA),
    _Field("acceleration_x", -0x8000, 1000),
    _Field("acceleration_y", -0x8000, 1000),
    _Field("acceleration_z", -0x8000, 1000),
)
_FIELDS_5_END: Final = (_Field("movements", 0xFF), _Field("sequence", 0xFFFF))
_FIELDS_3: Final = (
    _Field("pressure", None, 100, _LEAST_PRESSURE_PA),
    _Field("acceleration_x", None, 1000),
    _Field("acceleration_y", None, 1000),
    _Field("acceleration_z", None, 1000),
    _Field("voltage", None, 1000),
)
UNITS: Final = {
    "temperature": "Cel",
    "humidity": "%",
    "pressure": "hPa",
    "acceleration_x": "[g]",
    "acceleration_y": "[g]",
    "acceleration_z": "[g]",
    "voltage": "V",
    "tx_power": "dBm",
}
"""UCUM units of the values; those not named are counts and words."""


def decode(data: bytes) -> dict[str, Value]:
    """What the manufacturer data `data` say, behind the company's id. Raises `PayloadError`."""
    if not data:
        raise PayloadError("an empty frame")
    match data[0]:
        case 5 if len(data) >= 1 + _RAW_5.size:
            return _raw_5(data)
        case 3 if len(data) >= 1 + _RAW_3.size:
            return _raw_3(data)
        case 3 | 5:
            raise PayloadError("a Ruuvi frame that was cut short")
    raise PayloadError(f"Ruuvi's format {data[0]}; formats 3 and 5 are known")


def _raw_5(data: bytes) -> dict[str, Value]:
    *first, power, movements, sequence, address = _RAW_5.unpack_from(data, 1)
    values = _told(_FIELDS_5, first)
    if power >> 5 != 0x7FF:
        values["voltage"] = ((power >> 5) + _LEAST_BATTERY_MV) / 1000
    if power & 0x1F != 0x1F:
        values["tx_power"] = (power & 0x1F) * 2 + _LEAST_POWER_DBM
    values |= _told(_FIELDS_5_END, (movements, sequence))
    if address != b"\xff" * 6:
        values["address"] = address.hex(":")
    return values


def _raw_3(data: bytes) -> dict[str, Value]:
    humidity, whole, hundredths, *rest = _RAW_3.unpack_from(data, 1)
    magnitude = (whole & 0x7F) * 100 + hundredths
    values: dict[str, Value] = {
        "temperature": (-magnitude if whole & 0x80 else magnitude) / 100,  # sign and magnitude, no complement
        "humidity": humidity / 2,
    }
    return values | _told(_FIELDS_3, rest)


def _told(fields: tuple[_Field, ...], numbers: list[int] | tuple[int, ...]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for field, number in zip(fields, numbers, strict=True):
        if number != field.nothing:
            values[field.name] = number if field.per == 1 else (number + field.least) / field.per
    return values
