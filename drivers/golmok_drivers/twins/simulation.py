"""The simulated shop: one twin for each device, on simulated buses or publishing by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from golmok_drivers import catalogue
from golmok_drivers.buses.url import BusUrl, parse_bus_url
from golmok_drivers.errors import BusUrlError, ScenarioError
from golmok_drivers.twins.ends import Other, SimI2C, SimOneWire, SimPins, SimSpi, SimUart
from golmok_drivers.twins.publisher import publish_all
from golmok_drivers.twins.scenario import Part, Scenario, load_scenario, parse_signal
from golmok_drivers.twins.signals import Curve, Door, Signal, Stage, felt
from golmok_drivers.twins.world import DeviceWorld, Ledger


class SimDevice(NamedTuple):
    """A device of the settings, as far as its twin needs it.

    `settings` is the driver's settings struct; `bus` the URL in the settings, with or without `sim+`, "" for
    a device on MQTT.
    """

    name: str
    driver: str
    bus: str
    settings: Any


class _Placed(NamedTuple):
    """A device with what it plays."""

    device: SimDevice
    part: Part
    scenario: Scenario


_ENDS: Final = {"i2c": SimI2C, "spi": SimSpi, "uart": SimUart, "w1": SimOneWire, "gpio": SimPins}
_BUSES: Final = (*_ENDS, "ble")


def day_clock(timezone: str = "UTC") -> Callable[[], float]:
    """Seconds since the local midnight before now; goes steadily on, whatever happens to the machine's clock."""
    now = datetime.now(ZoneInfo(timezone))
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    offset = (now - midnight).total_seconds() - time.monotonic()
    return lambda: time.monotonic() + offset


class Simulation:
    """All twins of a shop. `bus` may be asked again after a bus was closed: the twins are the same."""

    def __init__(self, placed: Sequence[_Placed], clock: Callable[[], float], ledger: Ledger) -> None:
        self._placed = {entry.device.name: entry for entry in placed}
        self._clock = clock
        self._begin_s = clock()
        self._ledger = ledger
        self._others = {name: self._bring_up(entry) for name, entry in self._placed.items()}

    def bus(self, url: str) -> Any:
        """The simulated bus that stands for `url`; ask in a running event loop."""
        parsed = parse_bus_url(url)
        others = [
            self._others[name] for name, entry in self._placed.items() if _stands_on(entry.device.bus, url, parsed)
        ]
        if parsed.kind == "ble":
            from golmok_drivers.twins.air import SimBle  # bleak and dbus-fast: only where there is Bluetooth

            return SimBle(
                others, self._ledger, parsed.where.split(",") if not parsed.simulated and parsed.where else ()
            )
        end: Any = _ENDS[parsed.kind]
        return end(others, self._ledger) if parsed.kind == "gpio" else end(url, others, self._ledger)

    @property
    def publishes(self) -> bool:
        """Whether there is any device on MQTT."""
        return bool(self._publishers())

    async def publish(self, host: str, port: int, *, username: str | None = None, password: str | None = None) -> None:
        """Publish the messages of all devices on MQTT, until cancelled; by a connection of its own."""
        await publish_all(self._publishers(), self._ledger, host, port, username, password)

    def publications(self) -> dict[str, bytes]:
        """What the devices on MQTT would publish now: topic -> payload."""
        said = [other.twin.publish() for other, _ in self._publishers() if not other.world.has("unplugged")]
        return {publication.topic: publication.payload for publication in said if publication is not None}

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def _publishers(self) -> list[tuple[Other, float]]:
        return [
            (self._others[name], self._placed[name].part.interval_s or self._others[name].twin.interval_s)
            for name, entry in self._placed.items()
            if not entry.device.bus
        ]

    def _bring_up(self, entry: _Placed) -> Other:
        device, part, scenario = entry
        twin = catalogue.twin(device.driver)
        tables = _tables(twin.defaults(device.settings), part, device.name)
        curves = {
            quantity: felt(table, self._stage(scenario, device.name, quantity)) for quantity, table in tables.items()
        }
        key = f"{scenario.seed}/{device.name}"
        world = DeviceWorld(self._clock, self._begin_s, curves, part.fault, key)
        return Other(device.name, twin(device.settings, world), world)

    def _stage(self, scenario: Scenario, device: str, quantity: str) -> Stage:
        return Stage(f"{scenario.seed}/{device}/{quantity}", self._begin_s, scenario.base, self._openings)

    def _openings(self, device: str) -> Curve:
        entry = self._placed.get(device)
        if entry:
            defaults = catalogue.twin(entry.device.driver).defaults(entry.device.settings)
            for quantity, table in _tables(defaults, entry.part, device).items():
                if isinstance(table, Door):
                    return table.curve(self._stage(entry.scenario, device, quantity))
        raise ScenarioError(f"door = {device!r}: there is no device of that name with a door signal")


def simulate(
    devices: Sequence[SimDevice],
    *,
    base: Path,
    scenario: str | Path | None = None,
    ledger: Path | None = None,
    clock: Callable[[], float] | None = None,
    timezone: str = "UTC",
) -> Simulation:
    """Make a twin for each device; raises `ScenarioError`, `UnknownDriver`, `BusUrlError`.

    A device plays its entry in the scenario file that its bus URL names, else in `scenario`, else what its twin
    plays by default; one on MQTT, which has no bus, its entry in any of these files. `clock` gives seconds since the
    midnight before the simulation began (`day_clock`).
    """
    given = load_scenario(base / scenario) if scenario else Scenario(base=base)
    files: dict[str, Scenario] = {}
    placed = []
    for device in devices:
        parsed = parse_bus_url(device.bus) if device.bus else BusUrl("mqtt", "", False)
        played = given
        if parsed.simulated and parsed.where:
            played = files[parsed.where] = files.get(parsed.where) or load_scenario(base / parsed.where)
        placed.append(_Placed(device, played.device.get(device.name, Part()), played))
    placed = [entry if entry.device.bus else _found(entry, files.values()) for entry in placed]
    names = {device.name for device in devices}
    for played in (given, *files.values()):
        placed += [_stranger(name, part, played) for name, part in played.device.items() if name not in names]
        names |= played.device.keys()
    return Simulation(placed, clock or day_clock(timezone), Ledger(ledger))


def _found(entry: _Placed, files: Iterable[Scenario]) -> _Placed:
    """A device on MQTT with what the first file plays that knows it."""
    name = entry.device.name
    return next((_Placed(entry.device, file.device[name], file) for file in files if name in file.device), entry)


def _tables(defaults: dict[str, dict[str, Any]], part: Part, device: str) -> dict[str, Signal]:
    unknown = part.signal.keys() - defaults.keys()
    if unknown:
        raise ScenarioError(
            f"device.{device}.signal.{min(unknown)}: its twin feels only {', '.join(sorted(defaults)) or 'nothing'}"
        )
    return {
        quantity: part.signal.get(quantity) or parse_signal(table, f"{device}'s default signal of {quantity}")
        for quantity, table in defaults.items()
    }


def _stranger(name: str, part: Part, scenario: Scenario) -> _Placed:
    """A device that stands only in the scenario."""
    if not part.driver or part.bus not in (*_BUSES, "mqtt"):
        raise ScenarioError(
            f"device.{name} is not in the settings; to put it on a bus all the same it needs `driver` and "
            f"`bus` (one of {', '.join(_BUSES)}, mqtt)"
        )
    try:
        settings = msgspec.convert(part.settings, catalogue.load(part.driver).Settings)
    except msgspec.ValidationError as error:
        raise ScenarioError(f"device.{name}.settings: {error}") from error
    return _Placed(SimDevice(name, part.driver, "" if part.bus == "mqtt" else part.bus, settings), part, scenario)


def _stands_on(bus: str, url: str, parsed: BusUrl) -> bool:
    """Whether a device with that `bus` (a URL of the settings, or a bare kind of a scenario) is on `url`."""
    if bus in (url, parsed.kind):  # a stranger stands on every bus of its kind
        return True
    try:
        own = parse_bus_url(bus)
    except BusUrlError:
        return False
    return own.plain == parsed.plain
