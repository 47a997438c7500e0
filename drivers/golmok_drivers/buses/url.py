"""From a bus URL to a bus. Parsing opens nothing, so that the settings check can use it anywhere."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from golmok_drivers.errors import BusUrlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from golmok_drivers.twins import Simulation

KINDS: Final = ("i2c", "w1", "gpio")
"""The buses that have a URL."""

_EXAMPLES: Final = {"i2c": "i2c://1", "w1": "w1://0", "gpio": "gpio://"}
SYSFS_W1: Final = Path("/sys/bus/w1/devices")


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
    if not simulated and kind != "gpio" and not (where.isascii() and where.isdecimal() and len(where) <= 3):
        raise BusUrlError(f"{url!r}: a {kind} bus has a number; write {_EXAMPLES[kind]!r}")
    return BusUrl(kind, where, simulated)


def open_bus(
    url: str,
    *,
    base: Path,
    simulation: Simulation | None = None,
    w1_folder: Path = SYSFS_W1,
) -> Any:
    """Open the bus; call it in a running event loop. Raises `BusUrlError`, `BusError`, `ScenarioError`.

    `base` is the folder that relative paths start from. With a `simulation` every bus is its simulated one,
    whether or not the URL says `sim+`; without one a `sim+` URL plays the devices that its scenario file names.
    """
    parsed = parse_bus_url(url)
    if simulation is not None:
        return simulation.bus(url)
    if parsed.simulated:
        from golmok_drivers.twins import simulate

        return simulate([], base=base, scenario=parsed.where or None).bus(url)
    openers: dict[str, Callable[[], Any]] = {
        "i2c": lambda: _open_i2c(int(parsed.where)),
        "w1": lambda: _open_w1(int(parsed.where), w1_folder),
        "gpio": _open_gpio,
    }
    return openers[parsed.kind]()


def _open_i2c(number: int) -> Any:
    from golmok_drivers.buses.i2c import LinuxI2C

    return LinuxI2C(number)


def _open_w1(number: int, folder: Path) -> Any:
    from golmok_drivers.buses.onewire import SysfsOneWire

    return SysfsOneWire(folder, number)


def _open_gpio() -> Any:
    from golmok_drivers.buses.gpio import Pins

    return Pins()


def _example(kind: str, simulated: bool) -> str:
    return f"sim+{kind}://scenario.toml" if simulated else _EXAMPLES[kind]


def _unknown(url: str, kind: str, simulated: bool) -> str:
    if kind == "mqtt":
        return f"{url!r}: a device on MQTT needs no bus; leave the key out and set [mqtt] host"
    near = get_close_matches(kind, KINDS, n=1, cutoff=0.4)
    hint = _example(near[0], simulated) if near else " or ".join(_EXAMPLES.values())
    return f"{url!r} names no bus we know; write {hint!r}" if near else f"{url!r} names no bus we know; write {hint}"
