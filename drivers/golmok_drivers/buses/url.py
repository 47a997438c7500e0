"""Bus URLs taken apart. Nothing is opened here, so that the settings check can use it anywhere."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from golmok_drivers.errors import BusUrlError

KINDS: Final = ("i2c", "w1", "gpio", "ble")
"""The buses that have a URL."""

_EXAMPLES: Final = {"i2c": "i2c://1", "w1": "w1://0", "gpio": "gpio://", "ble": "ble://hci0"}
_ADAPTERS: Final = re.compile(r"(hci\d{1,2}(,hci\d{1,2})*)?")


class BusUrl(NamedTuple):
    """A bus URL taken apart: `where` is the bus number, or the scenario file's path when `simulated`."""

    kind: str
    where: str
    simulated: bool


def parse_bus_url(url: str) -> BusUrl:
    """Take `url` apart; raises `BusUrlError` that says what to write instead."""
    scheme, separator, where = url.partition("://")
    simulated = scheme.startswith("sim+")
    kind = scheme.removeprefix("sim+")
    if kind not in KINDS:
        raise BusUrlError(_unknown(url, kind, simulated))
    if not separator:
        raise BusUrlError(f"{url!r} is no bus URL; write {_example(kind, simulated)!r}")
    if simulated and where and not where.endswith(".toml"):
        raise BusUrlError(f"{url!r}: a simulated bus wants a scenario file (.toml); write {_example(kind, True)!r}")
    if not simulated and kind == "gpio" and where:
        raise BusUrlError(f"{url!r}: the board's pins are one bus without a number; write 'gpio://'")
    if not simulated and kind == "ble" and not _ADAPTERS.fullmatch(where):
        raise BusUrlError(f"{url!r}: Bluetooth radios are hci0, hci1 …; write 'ble://hci0' or 'ble://hci0,hci1'")
    if (
        not simulated
        and kind not in ("gpio", "ble")
        and not (where.isascii() and where.isdecimal() and len(where) <= 3)
    ):
        raise BusUrlError(f"{url!r}: a {kind} bus has a number; write {_EXAMPLES[kind]!r}")
    return BusUrl(kind, where, simulated)


def _example(kind: str, simulated: bool) -> str:
    return f"sim+{kind}://scenario.toml" if simulated else _EXAMPLES[kind]


def _unknown(url: str, kind: str, simulated: bool) -> str:
    from difflib import get_close_matches  # here: who makes no mistake need not hold it in memory

    if kind == "mqtt":
        return f"{url!r}: a device on MQTT needs no bus; leave the key out and set [mqtt] host"
    near = get_close_matches(kind, KINDS, n=1, cutoff=0.4)
    hint = _example(near[0], simulated) if near else " or ".join(_EXAMPLES.values())
    return f"{url!r} names no bus we know; write {hint!r}" if near else f"{url!r} names no bus we know; write {hint}"
