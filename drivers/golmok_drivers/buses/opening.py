"""From a bus URL to an open bus. What a machine lacks is imported only when a bus of that kind is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from golmok_drivers.buses.url import BusUrl, parse_bus_url
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
    if parsed.kind == "ble" and not (simulation or parsed.simulated or parsed.replayed):
        bus = _open_ble(parsed.where, counters)
    else:
        bus = _opened(parsed, url, base=base, simulation=simulation, w1_folder=w1_folder)
    if not parsed.record_to:
        return bus
    from golmok_drivers.buses.record import RECORDED
    from golmok_drivers.buses.trace import TraceWriter

    return RECORDED[parsed.kind](bus, TraceWriter(base / parsed.record_to, parsed.kind, url))


def _opened(parsed: BusUrl, url: str, *, base: Path, simulation: Simulation | None, w1_folder: Path) -> Any:
    if simulation is not None and parsed.kind != "mqtt":
        return simulation.bus(url)
    if parsed.simulated:
        from golmok_drivers.twins import simulate

        return simulate([], base=base, scenario=parsed.where or None).bus(url)
    if parsed.replayed:
        from golmok_drivers.buses.replay import REPLAYED

        return REPLAYED[parsed.kind](base / parsed.where, parsed.kind)
    openers: Mapping[str, Callable[[], Any]] = {
        "i2c": lambda: _open_i2c(int(parsed.where)),
        "spi": lambda: _open_spi(int(parsed.where)),
        "uart": lambda: _open_uart(parsed.where, dict(parsed.options)),
        "w1": lambda: _open_w1(int(parsed.where), w1_folder),
        "gpio": _open_gpio,
    }
    return openers[parsed.kind]()


def _open_i2c(number: int) -> Any:
    from golmok_drivers.buses.i2c import LinuxI2C

    return LinuxI2C(number)


def _open_spi(number: int) -> Any:
    from golmok_drivers.buses.spi import LinuxSpi

    return LinuxSpi(number)


def _open_uart(port: str, options: Mapping[str, str]) -> Any:
    from golmok_drivers.buses.uart import SerialUart

    return SerialUart(port, options)


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
