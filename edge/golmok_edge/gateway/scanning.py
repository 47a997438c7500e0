"""`golmok-gateway devices scan`: what is wired here, how it is, and the `[[device]]` blocks that the settings lack."""

from __future__ import annotations

import asyncio
import json as json_text
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec

from golmok_drivers import catalogue
from golmok_drivers.api import Driver, DriverError, MessageDriver
from golmok_drivers.buses import open_bus, parse_bus_url
from golmok_drivers.buses.mqtttrace import standing_for
from golmok_drivers.buses.url import EXAMPLES
from golmok_drivers.guess import guess
from golmok_drivers.scan import UART_NUMBERS, Find, examine, opened, present_buses, scan_bus
from golmok_drivers.twins import SimDevice, Simulation, simulate
from golmok_edge.settings import Device, Settings
from golmok_edge.settings.kinds import toml
from golmok_edge.settings.mistakes import key_text

EVERYBODY: Final = 248
LISTEN_S: Final = 5.0
"""How long the local bus is listened to."""
_WITHIN_S: Final = 20.0
"""A device that takes longer hangs."""


@dataclass
class Scan:
    """What was found so far."""

    settings: Settings | None
    simulation: Simulation | None
    base: Path
    listen_s: float = LISTEN_S
    numbers: Sequence[int] = UART_NUMBERS
    known: list[dict[str, Any]] = field(default_factory=list)
    """Devices of the settings, and how each is."""
    found: list[Find] = field(default_factory=list)
    """What is there and in no settings."""
    troubles: dict[str, str] = field(default_factory=dict)
    """Buses that could not be scanned, and why."""

    @property
    def devices(self) -> Sequence[Device]:
        """Those of the settings."""
        return self.settings.devices if self.settings else ()


Scanner = Callable[[Scan], Awaitable[None]]


def run(
    settings: Settings | None,
    *,
    twins: bool = False,
    json: bool = False,
    listen_s: float = LISTEN_S,
    numbers: Sequence[int] = UART_NUMBERS,
) -> int:
    """Scan and say what was found; 1 when no bus could be scanned or a device of the settings is not good."""
    base = settings.file.parent if settings else Path()
    simulation = _simulate(settings) if settings else None
    if not twins:
        simulation = None
    scan = Scan(settings, simulation, base, listen_s, numbers)
    asyncio.run(_all(scan))
    if simulation:
        simulation.close()
    print(json_text.dumps(document(scan), indent=2, ensure_ascii=False, allow_nan=False) if json else _told(scan))
    is_well = all(row["state"] == "good" for row in scan.known) and not scan.troubles
    return 0 if is_well else 1


def document(scan: Scan) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "devices": scan.known,
        "found": [asdict(find) | {"options": dict(find.options)} for find in scan.found],
        "troubles": scan.troubles,
        "blocks": "\n".join(blocks(scan)),
    }


def blocks(scan: Scan) -> list[str]:
    """A `[[device]]` block for each find that a driver knows, each with a name that is free."""
    taken = {device.name for device in scan.devices}
    return [_block(find, _free_name(find, taken)) for find in scan.found if find.driver]


async def _all(scan: Scan) -> None:
    urls = dict.fromkeys(device.bus for device in scan.devices if device.bus and not _is_on_the_air(device))
    if scan.simulation is None:
        known = {parse_bus_url(url).plain for url in urls}
        urls |= dict.fromkeys(url for url in present_buses() if parse_bus_url(url) not in known)
    else:
        kinds = {parse_bus_url(url).kind for url in urls}
        urls |= dict.fromkeys(
            url for kind, url in EXAMPLES.items() if kind not in kinds and kind not in ("gpio", "ble")
        )
    for url in urls:
        await _wired(scan, url)
    for scanner in SCANNERS.values():
        await scanner(scan)


async def _wired(scan: Scan, url: str) -> None:
    """Examine the settings' devices on that bus, then look for others."""
    print(f"scanning {url} …", file=sys.stderr)
    parsed = parse_bus_url(url)
    mine = [device for device in scan.devices if device.bus and parse_bus_url(device.bus).plain == parsed.plain]
    try:
        bus = open_bus(url, base=scan.base, simulation=scan.simulation)
    except DriverError as error:
        scan.troubles[url] = str(error)
        return
    try:
        if parsed.kind == "gpio":  # they are listened to, all at once
            scan.known += await asyncio.gather(*(_examined(device, bus) for device in mine))
        else:
            for device in mine:
                scan.known.append(await _examined(device, bus))
        places = [_place(device.options) for device in mine]
        numbers = [number for number in scan.numbers if not (mine and number == EVERYBODY)]
        found = [find async for find in scan_bus(url, parsed.kind, bus, numbers) if _place(find.options) not in places]
        scan.found += found
        _name_swapped([row for row in scan.known if row["bus"] == url], found)
    except DriverError as error:
        scan.troubles[url] = str(error)
    finally:
        await bus.close()


def _name_swapped(known: Sequence[dict[str, Any]], found: Sequence[Find]) -> None:
    """One of a kind that is missing where one of the same kind is new: it was changed for another."""
    away = [row for row in known if row["reason"] in ("unplugged", "nack")]
    for row in away:
        others = [find for find in found if find.driver == row["driver"]]
        if len(others) == 1 == sum(one["driver"] == row["driver"] for one in away):
            who = others[0].serial or f"one at {_of_place(others[0].options).strip()}"
            row |= {"reason": "swapped", "detail": f"{who} is there instead: another one of its kind"}


async def _examined(device: Device, bus: Any) -> dict[str, Any]:
    """How a device of the settings is."""
    driver: Driver = catalogue.load(device.driver)(device.options)
    driver = standing_for(driver, device.bus, None) if isinstance(driver, MessageDriver) else driver
    row: dict[str, Any] = {"name": device.name, "driver": device.driver, "bus": device.bus, "part": "", "serial": ""}
    try:
        async with asyncio.timeout(_WITHIN_S):
            with suppress(DriverError):
                identity = await opened(driver, bus)
                row |= {"part": identity.part, "serial": identity.serial}
            if not row["part"]:
                await driver.open(bus)
            health = await examine(driver)
    except DriverError as error:
        return row | {"state": "bad", "reason": error.reason, "detail": str(error), "values": {}}
    except TimeoutError:
        return row | {"state": "bad", "reason": "timeout", "detail": f"no answer within {_WITHIN_S:g} s", "values": {}}
    finally:
        await driver.close()
    if device.serial and row["serial"] and row["serial"] != device.serial and health.state == "good":
        detail = f"it is {row['serial']}, the settings say {device.serial}"
        health = replace(health, state="uncertain", reason="swapped", detail=detail)
    return row | asdict(health)


async def _heard(scan: Scan) -> None:
    """What is said on the local bus by devices that are in no settings."""
    if scan.simulation:
        messages = scan.simulation.publications()
    elif scan.settings and scan.settings.mqtt:
        messages = await _listened(scan)
    else:
        return
    drivers = [catalogue.load(device.driver)(device.options) for device in scan.devices if not device.bus]
    topics = [topic for driver in drivers if isinstance(driver, MessageDriver) for topic in driver.topics()]
    from golmok_drivers.api import topic_matches

    for topic, payload in sorted(messages.items()):
        if topic.startswith("golmok/") or any(topic_matches(one, topic) for one in topics):
            continue
        if options := guess(topic, payload):
            scan.found.append(Find("", "mqtt-json", options, part=topic))
    scan.known += [_heard_of(device, drivers[at], messages) for at, device in enumerate(_on_mqtt(scan))]


def _on_mqtt(scan: Scan) -> list[Device]:
    return [device for device in scan.devices if not device.bus]


def _heard_of(device: Device, driver: Driver, messages: Mapping[str, bytes]) -> dict[str, Any]:
    from golmok_drivers.api import topic_matches

    row = {"name": device.name, "driver": device.driver, "bus": "mqtt", "part": "", "serial": ""}
    assert isinstance(driver, MessageDriver)
    values: dict[str, Any] = {}
    for topic, payload in messages.items():
        if any(topic_matches(one, topic) for one in driver.topics()):
            try:
                values |= {reading.quantity: reading.value for reading in driver.decode(topic, payload)}
            except DriverError as error:
                return row | {"state": "bad", "reason": error.reason, "detail": str(error), "values": {}}
    if not values:
        return row | {"state": "uncertain", "reason": "silent", "detail": "nothing was heard of it", "values": {}}
    return row | {"state": "good", "reason": "", "detail": "", "values": values}


async def _listened(scan: Scan) -> dict[str, bytes]:
    """The last message of each topic in a few seconds."""
    from golmok_drivers.buses.mqtt import Callbacks, Message, Mqtt

    assert scan.settings is not None
    assert scan.settings.mqtt is not None
    broker, heard, refused = scan.settings.mqtt, dict[str, bytes](), list[str]()

    def on_message(message: Message) -> None:
        heard[message.topic] = message.payload
        mqtt.ack(message)

    mqtt = Mqtt(
        f"golmok-scan-{uuid4().hex[:12]}",
        Callbacks(on_message=on_message, on_refused=refused.append),
        username=broker.username,
        password=broker.password_file.read_text().strip() if broker.password_file else None,
        keep_session=False,
    )
    print(f"listening to {broker.host}:{broker.port} for {scan.listen_s:g} s …", file=sys.stderr)
    mqtt.connect(broker.host, broker.port)
    mqtt.subscribe(["#"])
    await asyncio.sleep(scan.listen_s)
    if not mqtt.is_connected:
        why = refused[0] if refused else "nobody answers; is Mosquitto running?"
        scan.troubles[f"mqtt://{broker.host}:{broker.port}"] = why
    await asyncio.to_thread(mqtt.close)
    return heard


def _is_on_the_air(device: Device) -> bool:
    return catalogue.load(device.driver).info.bus == "ble"


async def _on_the_air(scan: Scan) -> None:
    """Who broadcasts: the settings' Bluetooth devices, and others."""
    from golmok_edge.gateway import ble_scan

    mine = [device for device in scan.devices if _is_on_the_air(device)]
    radios = ble_scan.present_radios() if scan.simulation is None else []
    for url in dict.fromkeys([device.bus or "" for device in mine] or radios):
        print(f"listening on {url} …", file=sys.stderr)
        devices = [device for device in mine if device.bus == url]
        try:
            rows, found = await ble_scan.examined(url, devices, scan.listen_s, scan.base, scan.simulation)
        except DriverError as error:
            scan.troubles[url] = str(error)
            continue
        scan.known += rows
        scan.found += found


SCANNERS: Final[dict[str, Scanner]] = {"mqtt": _heard, "ble": _on_the_air}
"""What else is looked for, beside the buses on which each place can be asked: name -> scanner."""


def _simulate(settings: Settings) -> Simulation:
    devices = [SimDevice(one.name, one.driver, one.bus or "", one.options) for one in settings.devices]
    return simulate(devices, base=settings.file.parent, timezone=settings.site.timezone)


def _place(options: Any) -> Any:
    """What tells devices on one bus apart."""
    table = options if isinstance(options, Mapping) else msgspec.to_builtins(options, enc_hook=str)
    return next((table[key] for key in ("address", "select", "pin") if key in table), None)


def _free_name(find: Find, taken: set[str]) -> str:
    stem = find.driver
    if find.driver == "mqtt-json":
        levels = [level.lower() for level in str(find.options["topic"]).split("/")]
        known = ("tele", "stat", "sensor", "status", "state", "zigbee2mqtt", "events", "rpc")
        words = [level for level in levels if level not in known]
        stem = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in (words or levels)[0])
        stem = stem.strip("-")[:24] or "plug"
    number = next(number for number in range(1, 10_000) if f"{stem}-{number}" not in taken)
    taken.add(f"{stem}-{number}")
    return f"{stem}-{number}"


def _block(find: Find, name: str) -> str:
    lines = ["[[device]]", f'name = "{name}"', f'driver = "{find.driver}"']
    lines += [f"bus = {toml(find.bus)}"] if find.bus else []
    for key, value in find.options.items():
        is_i2c = key == "address" and isinstance(value, int) and find.bus.partition("://")[0].endswith("i2c")
        lines.append(f"{key_text(key)} = {f'0x{value:02x}' if is_i2c else toml(value)}")
    lines += [f"serial = {toml(find.serial)}"] if find.serial and find.options.get("address") != find.serial else []
    return "\n".join(lines) + "\n"


def _told(scan: Scan) -> str:
    """The scan for people."""
    rows = [(row["name"], row) for row in scan.known]
    rows += [("(new)", asdict(find) | {"name": ""}) for find in scan.found]
    lines = [_line(name, row) for name, row in rows]
    lines += [f"{url}: {why}" for url, why in scan.troubles.items()]
    if not lines:
        lines = ["nothing is wired here that we could find; are I2C, SPI and 1-wire switched on? (raspi-config)"]
    found = blocks(scan)
    if found:
        lines += ["", "# What is there and not in the settings; paste what you want, and give it a name:", "", *found]
    return "\n".join(lines).rstrip()


def _line(name: str, row: Mapping[str, Any]) -> str:
    who = " ".join(filter(None, (row["driver"] or "?", row["serial"])))
    place = row["bus"] + _of_place(row.get("options") or {})
    state = " ".join(filter(None, (row["state"], row["reason"])))
    return f"{name:<16} {who:<24} {place:<28} {state:<20} {row['detail'] or _shown(row['values'])}".rstrip()


def _of_place(options: Mapping[str, Any]) -> str:
    place = _place(options)
    return "" if place is None else f" {f'0x{place:02x}' if isinstance(place, int) and place > 9 else place}"


def _shown(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{quantity} {value}" for quantity, value in _first(values.items(), 4))


def _first(items: Iterable[Any], count: int) -> list[Any]:
    return list(items)[:count]
