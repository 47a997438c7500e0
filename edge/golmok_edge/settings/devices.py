"""What a `[[device]]` must mean: its driver, bus, address, topic, units and limits, and its neighbours.

Drivers check their own settings too. What is checked here is what all drivers of a bus have in common, so that
the mistake is said with its line and remedy, in the reader's language, also for drivers of others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from msgspec import inspect

from golmok_drivers import catalogue
from golmok_drivers.api import BusUrlError, Channel, Driver, DriverError, MessageDriver, PolledDriver, UnknownDriver
from golmok_drivers.ble_keys import KeySettings, key_of
from golmok_drivers.buses import BusUrl, parse_bus_url
from golmok_drivers.buses.url import EXAMPLES
from golmok_drivers.declare import declared
from golmok_drivers.errors import KeyFileError
from golmok_drivers.units import is_unit, nearest_unit
from golmok_edge.settings import locate
from golmok_edge.settings.kinds import plain, struct_type
from golmok_edge.settings.language import Say
from golmok_edge.settings.mistakes import key_text, kind_of, nearest, shown
from golmok_edge.settings.model import MOST_PER_S, MOST_PER_S_ON_THE_BUS, Common, Device
from golmok_edge.settings.shape import Shape

DEFAULT_INTERVAL_S: Final = 10.0
"""How often a polled device is asked when neither the settings nor its driver say."""
_W1_ID: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{12}")
_I2C_ADDRESSES: Final = range(0x08, 0x78)
_HEX: Final = re.compile(r"(0[xX])?[0-9a-fA-F]{1,2}")
_TOPIC_EXAMPLE: Final = 'topic = "tele/plug1/SENSOR"'


class Catalogue(Protocol):
    """Which drivers there are; `golmok_drivers.catalogue` is one."""

    def names(self) -> list[str]:
        """Every driver's name."""

    def load(self, name: str) -> type[Driver]:
        """The driver's class; raises `UnknownDriver`, or `ImportError` when it is there but does not load."""


class Address(NamedTuple):
    """Where a device is: two of them cannot be at one place."""

    bus: BusUrl
    at: Any


class Devices:
    """Reads the devices of a file one after the other."""

    def __init__(self, shape: Shape, *, timezone: str = "UTC", drivers: Catalogue = catalogue) -> None:
        self._shape = shape
        self._report = shape.report
        self._timezone = timezone
        self._drivers = drivers
        self._names: dict[str, locate.Path] = {}
        self._places: dict[Address, locate.Path] = {}
        self._called: dict[locate.Path, str] = {}
        self._copies: Counter[str] = Counter()
        self._loaded: dict[str, type[Driver] | Exception] = {}

    def read(self, table: Any, path: locate.Path) -> Device | None:
        """The device, or None when mistakes were reported."""
        if not isinstance(table, dict):
            example = '[[device]] and below it name = "fridge"'
            self._report.add(
                path, "wrong-type", kind=kind_of(table), found=shown(table), wanted=Say("table"), example=example
            )
            return None
        self._note_name(table.get("name"), path)
        driver = self._driver(table.get("driver"), path)
        common = self._shape.make(Common, table, path, beside=self._own_keys(table, driver))
        for at, unit in _found(table, path, "unit"):
            self._judge_unit(unit, at)
        if driver is None:
            self._judge_limits(table.get("limits"), {}, path)
            return None
        options = self._options(table, driver, path)
        interval_s = self._interval_s(self._shape.sound(Common, table, path), driver, path)
        channels = self._channels(driver, options, path)
        known = {channel.quantity: channel for channel in channels or _likely_channels(driver, table)}
        self._judge_limits(table.get("limits"), known, path)
        if common is None or options is None or channels is None:
            return None
        record_to = parse_bus_url(common.bus).record_to if common.bus and driver.info.bus == "mqtt" else ""
        return Device(
            name=common.name,
            title=common.title or common.name,
            driver=common.driver,
            bus=None if record_to else common.bus,
            interval_s=interval_s,
            expect_s=common.expect_s or driver.info.expect_s,
            limits=common.limits,
            options=options,
            channels=channels,
            serial=common.serial,
            still_s=common.still_s,
            most_per_s=common.most_per_s or most_per_s_of(driver),
            apart=catalogue.is_foreign(driver) if common.apart is None else common.apart,
            most_mb=common.most_mb,
            record_to=self._shape.base / record_to if record_to else None,
        )

    def _options(self, table: dict[str, Any], driver: type[Driver], path: locate.Path) -> msgspec.Struct | None:
        """The driver's own settings; None when there are mistakes in them."""
        bus = self._bus(table.get("bus"), driver, path)
        fields = _fields(driver)
        own = {key: value for key, value in table.items() if key in fields or key not in Common.__struct_fields__}
        self._judge_own(own, fields, driver, path)
        beside = [key for key in Common.__struct_fields__ if key not in fields]
        options = self._shape.make(driver.Settings, own, path, beside=beside)
        if bus is not None and options is not None:
            self._note_place(bus, options, path)
        return options if self._has_key(options, path) else None

    def _has_key(self, options: msgspec.Struct | None, path: locate.Path) -> bool:
        """Whether the key that stands in a file of its own can be taken from there."""
        if not isinstance(options, KeySettings):
            return True
        try:
            key_of(options)
        except KeyFileError as error:
            self._report.add((*path, "key_file"), "key-file", at=options.key_file, why=error)
            return False
        return True

    def _note_name(self, name: Any, path: locate.Path) -> None:
        if not isinstance(name, str):
            return
        self._called[path] = name
        self._copies[name] += 1
        if name in self._names:
            example = f'name = "{name[:26]}-{self._copies[name]}"'
            first = self._report.line((*self._names[name], "name"))
            self._report.add((*path, "name"), "name-twice", found=shown(name), first=first, example=example)
        else:
            self._names[name] = path

    def _driver(self, name: Any, path: locate.Path) -> type[Driver] | None:
        if not isinstance(name, str) or not name:
            return None
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        found, path = self._loaded[name], (*path, "driver")
        if not isinstance(found, Exception):
            return found
        if not isinstance(found, UnknownDriver):
            self._report.add(path, "driver-broken", found=shown(name), why=found)
        elif near := nearest(name, self._known):
            self._report.add(path, "unknown-driver-near", found=shown(name), near=near)
        else:
            self._report.add(path, "unknown-driver", found=shown(name), known=", ".join(self._known))
        return None

    def _load(self, name: str) -> type[Driver] | Exception:
        try:
            return self._drivers.load(name)
        except Exception as error:  # noqa: BLE001  # importing runs code of anybody's
            return error
        except SystemExit as error:
            return ImportError(f"it ends the program: {error}")

    @cached_property
    def _known(self) -> list[str]:
        return self._drivers.names()

    @staticmethod
    def _own_keys(table: Mapping[str, Any], driver: type[Driver] | None) -> list[str]:
        """The keys that are the driver's business: all that are not common if nobody knows the driver."""
        if driver is None:
            return [key for key in table if key not in Common.__struct_fields__]
        return [key for key in _fields(driver) if key not in Common.__struct_fields__]

    def _bus(self, url: Any, driver: type[Driver], path: locate.Path) -> BusUrl | None:
        """The bus taken apart, if the device has one and it is right."""
        kind, name, path = driver.info.bus, driver.info.name, (*path, "bus")
        simulated = isinstance(url, str) and url.startswith("sim+")
        example = f'bus = "sim+{kind}://scenario.toml"' if simulated else f'bus = "{EXAMPLES.get(kind, f"{kind}://")}"'
        if kind == "mqtt":
            if url is not None and not _is_a_trace(url):
                self._report.add(path, "bus-needless", driver=name)
            return None
        if url is None:
            if not self._shape.partly:
                self._report.add(path, "bus-missing", driver=name, example=example)
            return None
        if not isinstance(url, str) or self._report.has(path):
            return None
        try:
            bus = parse_bus_url(url)
        except BusUrlError:
            self._report.add(path, "bus-form", found=shown(url), example=example)
            return None
        if bus.kind != kind:
            self._report.add(path, "bus-other", driver=name, wanted=kind, kind=bus.kind, example=example)
        elif bus.simulated and bus.where and not (self._shape.base / bus.where).is_file():
            self._report.add(path, "scenario-missing", at=self._shape.base / bus.where, example=example)
        return bus

    def _judge_own(
        self, own: dict[str, Any], fields: Mapping[str, inspect.Type], driver: type[Driver], path: locate.Path
    ) -> None:
        """What the kind of bus says of the driver's keys."""
        if "address" in own and "address" in fields:
            judge = {"i2c": self._judge_i2c, "w1": self._judge_w1}.get(driver.info.bus)
            if judge:
                judge(own["address"], fields["address"], (*path, "address"))
        if driver.info.bus == "mqtt":
            for at, topic in _topics(own, path):
                self._judge_topic(topic, at)

    def _judge_i2c(self, address: Any, kind: inspect.Type, path: locate.Path) -> None:
        kind = plain(kind)
        choices = [choice for choice in getattr(kind, "values", ()) if isinstance(choice, int)]
        number = _i2c_number(address)
        meant = _i2c_number(str(address))
        usual = choices[0] if choices else 0x44
        if number not in _I2C_ADDRESSES:
            good = meant if meant in (choices or _I2C_ADDRESSES) and not isinstance(address, str) else usual
            found = shown(address) if isinstance(address, str) else _hex(address)
            self._report.add(path, "i2c-address", found=found, example=f"address = 0x{good:02x}")
        elif choices and number not in choices:
            good = meant if meant in choices else min(choices, key=lambda choice: abs(choice - (number or 0)))
            listed = ", ".join(f"0x{choice:02x}" for choice in choices)
            self._report.add(path, "i2c-other", found=_hex(number), choices=listed, example=f"address = 0x{good:02x}")
        elif isinstance(address, str) and not isinstance(kind, inspect.StrType):
            example = f"address = 0x{number:02x}"
            self._report.add(
                path, "wrong-type", kind=kind_of(address), found=shown(address), wanted=Say("whole"), example=example
            )

    def _judge_w1(self, address: Any, kind: inspect.Type, path: locate.Path) -> None:
        if isinstance(address, str) and not _W1_ID.fullmatch(address):
            self._report.add(path, "w1-address", found=shown(address))

    def _judge_topic(self, topic: str, path: locate.Path) -> None:
        why = wrong_in_filter(topic)
        if why:
            self._report.add(path, "topic-form", found=shown(topic), why=why, example=_TOPIC_EXAMPLE)
        elif takes_in_own(topic):
            self._report.add(path, "topic-own", found=shown(topic), example=_TOPIC_EXAMPLE)

    def _judge_unit(self, unit: Any, path: locate.Path) -> None:
        if not isinstance(unit, str) or is_unit(unit):
            return
        near = nearest_unit(unit)
        if near:
            self._report.add(path, "unit-near", found=shown(unit), near=near)
        else:
            self._report.add(path, "unit", found=shown(unit))

    def _note_place(self, bus: BusUrl, options: msgspec.Struct, path: locate.Path) -> None:
        """Two devices cannot be at one address of one bus, or at one pin."""
        key = next((key for key in ("address", "select", "pin") if key in options.__struct_fields__), None)
        if key is None or getattr(options, key) is None:
            return
        place = Address(bus.plain, getattr(options, key))
        if place in self._places:
            other = self._places[place]
            first, called = self._report.line((*other, key)), shown(self._called.get(other, "?"))
            self._report.add((*path, key), "address-twice", other=called, first=first)
        else:
            self._places[place] = path

    def _channels(
        self, driver: type[Driver], options: msgspec.Struct | None, path: locate.Path
    ) -> tuple[Channel, ...] | None:
        """What the device measures; None when nobody knows, since its settings are wrong."""
        if options is None:
            return None
        if catalogue.is_foreign(driver):
            return self._channels_of_others(driver, options, path)
        try:
            return driver(options, timezone=self._timezone).channels
        except (DriverError, ValueError, TypeError, AttributeError) as error:
            self._report.add((*path, "driver"), "driver-broken", found=shown(driver.info.name), why=error)
            return None

    def _channels_of_others(
        self, driver: type[Driver], options: msgspec.Struct, path: locate.Path
    ) -> tuple[Channel, ...]:
        """A driver that breaks when it is made is no reason not to read the other devices: it may come to itself."""
        try:
            return declared(driver, options, self._timezone).channels
        except DriverError as error:
            self._report.warn((*path, "driver"), "driver-broken", found=shown(driver.info.name), why=error)
            return driver.info.channels

    def _interval_s(self, sound: Mapping[str, Any], driver: type[Driver], path: locate.Path) -> float | None:
        """How often the device is asked; None when it speaks by itself."""
        stated: float | None = sound.get("interval_s")
        if not issubclass(driver, PolledDriver):
            if stated is not None:
                self._report.warn((*path, "interval_s"), "interval-needless", driver=driver.info.name)
            return None
        interval_s = stated or driver.info.interval_s or DEFAULT_INTERVAL_S
        expect_s = sound.get("expect_s")
        if "interval_s" in sound and expect_s is not None and expect_s < interval_s:
            expect, interval = shown(expect_s), shown(interval_s)
            self._report.add((*path, "expect_s"), "silence-short", expect=expect, interval=interval)
        return interval_s

    def _judge_limits(self, limits: Any, known: Mapping[str, Channel], path: locate.Path) -> None:
        for quantity, limit in limits.items() if isinstance(limits, dict) else ():
            at = (*path, "limits", quantity)
            if known and quantity not in known:
                self._judge_quantity(quantity, known, at)
            if isinstance(limit, dict) and not self._report.has_inside(at):
                self._judge_order(limit.get("low"), limit.get("high"), at)
                if quantity in known:
                    self._judge_reach(limit, known[quantity], at)

    def _judge_quantity(self, quantity: str, known: Mapping[str, Channel], path: locate.Path) -> None:
        near = nearest(quantity, known)
        if near:
            self._report.add(path, "limit-quantity-near", found=shown(quantity), near=key_text(near))
        else:
            self._report.add(path, "limit-quantity", found=shown(quantity), known=", ".join(known))

    def _judge_order(self, low: float | None, high: float | None, path: locate.Path) -> None:
        if low is None and high is None:
            self._report.add(path, "limit-empty", example=f"{key_text(str(path[-1]))} = {{ high = 8.0 }}")
        elif low is not None and high is not None and low >= high:
            self._report.add((*path, "low"), "limit-order", low=shown(low), high=shown(high))

    def _judge_reach(self, limit: Mapping[str, Any], channel: Channel, path: locate.Path) -> None:
        low, high = limit.get("low"), limit.get("high")
        beyond = {
            "high": high is not None and channel.high is not None and high >= channel.high,
            "low": low is not None and channel.low is not None and low <= channel.low,
        }
        for key in (key for key, is_beyond in beyond.items() if is_beyond):
            bounds = Say("between", {"low": shown(channel.low), "high": shown(channel.high)})
            self._report.warn((*path, key), "limit-beyond", found=shown(limit[key]), unit=channel.unit, bounds=bounds)


def _is_a_trace(url: Any) -> bool:
    """Whether a device on MQTT is recorded or replayed by that."""
    try:
        return isinstance(url, str) and parse_bus_url(url).kind == "mqtt"
    except BusUrlError:
        return False


def most_per_s_of(driver: type[Driver]) -> float:
    """How many readings a second a device may give for long if its settings do not say."""
    return MOST_PER_S_ON_THE_BUS if issubclass(driver, MessageDriver) else MOST_PER_S


def wrong_in_filter(topic: str) -> str | None:
    """Why that is no MQTT topic filter; None if it is one (MQTT 5, section 4.7)."""
    levels = topic.split("/")
    wrong = (
        (not topic, "it is empty"),
        (len(topic.encode()) > 65_535, "it is longer than 65,535 bytes"),
        (any(not char.isprintable() for char in topic), "it holds a control character"),
        (topic.startswith("$share/"), "shared subscriptions cannot be acknowledged one by one"),
        (any("#" in level and level != "#" for level in levels) or "#" in levels[:-1], "# is not its whole last level"),
        (any("+" in level and level != "+" for level in levels), "+ is not a whole level"),
    )
    return next((why for is_wrong, why in wrong if is_wrong), None)


def takes_in_own(topic: str) -> bool:
    """Whether the filter takes in what the gateway publishes: `golmok/<gateway>/<device>/<quantity>`."""
    levels = topic.split("/")
    if levels[0] == "golmok":
        return True
    return levels[0] in ("+", "#") and ((levels[-1] == "#" and len(levels) <= 5) or len(levels) == 4)


def _fields(driver: type[Driver] | None) -> dict[str, inspect.Type]:
    """The driver's own keys and their types."""
    if driver is None:
        return {}
    return {field.encode_name: field.type for field in struct_type(driver.Settings).fields}


def _likely_channels(driver: type[Driver], own: Mapping[str, Any]) -> tuple[Channel, ...]:
    """What a device measures that is not set right: what its driver always does, or the names in `channels`."""
    named = own.get("channels")
    return driver.info.channels or tuple(map(Channel, named) if isinstance(named, dict) else ())


def _i2c_number(address: Any) -> int | None:
    if isinstance(address, str):
        return int(address, 16) if _HEX.fullmatch(address) else None
    return address if isinstance(address, int) and not isinstance(address, bool) else None


def _hex(address: Any) -> str:
    whole = isinstance(address, int) and not isinstance(address, bool) and 0 <= address < 2**32
    return f"0x{address:02x} ({address})" if whole else shown(address)


def _topics(own: Mapping[str, Any], path: locate.Path) -> Iterator[tuple[locate.Path, str]]:
    for key in ("topic", "topics"):
        value = own.get(key)
        for index, topic in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(topic, str):
                yield ((*path, key, index) if isinstance(value, list) else (*path, key)), topic


def _found(value: Any, path: locate.Path, name: str) -> Iterator[tuple[locate.Path, Any]]:
    """Every value of key `name`, however deep (no deeper than settings go)."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        if key == name:
            yield (*path, key), item
        elif len(path) < 8:
            yield from _found(item, (*path, key), name)
