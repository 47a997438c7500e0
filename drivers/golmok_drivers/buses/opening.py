"""From a bus URL to an open bus. What a machine lacks is imported only when a bus of that kind is opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from golmok_drivers.buses.url import parse_bus_url
from golmok_drivers.errors import BusError

if TYPE_CHECKING:
    from golmok_drivers.radio import Counters
    from golmok_drivers.twins import Simulation

SYSFS_W1: Final = Path("/sys/bus/w1/devices")


def open_bus(
    url: str,
    *,
    base: Path,
    simulation: Simulation | None = None,
    w1_folder: Path = SYSFS_W1,
    counters: Callable[[], Counters] | None = None,
) -> Any:
    """Open the bus; call it in a running event loop. Raises `BusUrlError`, `BusError`, `ScenarioError`.

    `base` is the folder that relative paths start from. With a `simulation` every bus is its simulated one,
    whether or not the URL says `sim+`; without one a `sim+` URL plays the devices that its scenario file names.
    `counters` gives where the counters of Bluetooth devices with a key are kept; a real radio needs it.
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
        "ble": lambda: _open_ble(parsed.where, counters),
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


def _open_ble(where: str, counters: Callable[[], Counters] | None) -> Any:
    from golmok_drivers.buses.ble import BleRadio

    if counters is None:
        raise BusError(f"ble://{where}: nobody keeps the counters of buttons here")
    return BleRadio(where.split(",") if where else (), counters())
