"""From messages that were heard on the local bus to the settings of a device that reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

_UNITS: Final[Mapping[str, str]] = {
    "temperature": "Cel",
    "humidity": "%",
    "battery": "%",
    "power": "W",
    "apower": "W",
    "apparentpower": "V.A",
    "voltage": "V",
    "current": "A",
    "total": "kW.h",
    "energy": "kW.h",
    "pressure": "hPa",
    "illuminance": "lx",
    "co2": "[ppm]",
    "frequency": "Hz",
}
"""Key of a payload -> the unit that Tasmota, Shelly and Zigbee2MQTT give it in."""
_MOST_CHANNELS: Final = 8
_DEEPEST: Final = 4


def guess(topic: str, payload: bytes) -> dict[str, Any] | None:
    """Settings of an `mqtt-json` device for that message; None when it has no numbers or states to take."""
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    channels: dict[str, dict[str, str]] = {}
    for path, key, value in _leaves(message, ()):
        if len(channels) == _MOST_CHANNELS:
            break
        quantity = _quantity(key)
        if quantity and quantity not in channels:
            unit = "1" if isinstance(value, bool) else _UNITS.get(key.lower(), "1")
            channels[quantity] = {"path": path, **({"unit": unit} if unit != "1" else {})}
    return {"topic": topic, "channels": channels} if channels else None


def _leaves(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, str, Any]]:
    """Path, key and value of each number and state, those with a known unit first."""
    found = list(_all_leaves(table, path))
    yield from sorted(found, key=lambda leaf: leaf[1].lower() not in _UNITS)


def _all_leaves(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, str, Any]]:
    for key, value in table.items():
        if '"' in key or not key:
            continue
        here = (*path, f'"{key}"' if "." in key else key)
        if isinstance(value, dict) and len(here) < _DEEPEST:
            yield from _all_leaves(value, here)
        elif isinstance(value, bool | int | float):
            yield ".".join(here), key, value


def _quantity(key: str) -> str:
    """The key as the name of a quantity; empty where nothing of it is left."""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in key.lower())
    return name.strip("-")[:32]
