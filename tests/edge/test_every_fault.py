"""Every kind of sensor × unplugged, shorted, noisy, stuck, swapped: named as such wherever somebody looks.

The faults are made at the bus, by the twins. What is expected is what docs/drivers.md promises (`reference.seen_as`);
what no driver could see must be excused there by name. Bluetooth has tests of its own.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from golmok_cloud_sync.web import LANGUAGES
from golmok_drivers import catalogue
from golmok_drivers.api import OutputDriver, PolledDriver
from golmok_drivers.buses import open_bus
from golmok_drivers.reference import FAULTS, seen_as
from golmok_drivers.twins import SimDevice, simulate
from golmok_edge.gateway.cli import ask, main
from golmok_edge.settings import load
from golmok_edge.shop.heard import Said
from golmok_edge.shop.situation import situation
from golmok_edge.shop.troubles import find, tell
from tests.drivers.broker import running_broker
from tests.edge.running import Gateway, until

NAMES = [name for name in catalogue.names(lambda group: []) if catalogue.load(name).info.bus != "ble"]
CASES = [(name, fault) for name in NAMES for fault in FAULTS]
BY_FAULT = {fault: [(name, fault) for name in NAMES] for fault in FAULTS}
BEGINS_S = 15.0
PLAYS = {"pzem004t": 'signal.voltage = { kind = "daily", mean = 150.0, noise = 0.4 }'}
"""A meter's values scatter by a third of what they are: from 221 V on they would be beyond its range, too."""
WORDS = {  # reason -> what the owner reads
    "nack": ("빠져 있는 것 같습니다", "unplugged"),
    "unplugged": ("빠져 있는 것 같습니다", "unplugged"),
    "shorted": ("서로 닿아 있습니다", "touch each other"),
    "noisy": ("심하게 튑니다", "jump about"),
    "stuck": ("움직이지 않습니다", "does not move"),
    "wrong-part": ("다른 센서가 달려 있습니다", "Another sensor"),
    "swapped": ("다른 센서가 달려 있습니다", "Another sensor"),
    "silent": ("조용합니다", "silent"),
}


def test_what_cannot_be_seen_is_excused_and_only_that() -> None:
    for name, fault in CASES:
        excuse = getattr(catalogue.twin(name), "unseen", {}).get(fault, "")
        assert bool(excuse) != bool(seen_as(name, fault)), (name, fault)
        assert excuse in Path("docs/drivers.md").read_text()


def serial_of(name: str, driver: str) -> str:
    """The number of the twin that bears that name."""

    async def ask() -> str:
        kind = catalogue.load(driver)
        settings = msgspec.convert(kind.info.examples[0], kind.Settings)
        url = f"{kind.info.bus}://1"
        simulation = simulate([SimDevice(name, driver, url, settings)], base=Path())
        bus = open_bus(url, base=Path(), simulation=simulation)
        device = kind(settings)
        await device.open(bus)
        serial = (await device.probe()).serial
        await bus.close()
        return serial

    return asyncio.run(ask())


def device(name: str, fault: str) -> str:
    """A device on a bus of its own, which it may hold as it likes."""
    kind, title = catalogue.load(name), f"{name}-{fault}"
    table: dict[str, Any] = {"name": title, "driver": name, **kind.info.examples[0]}
    if kind.info.bus != "mqtt":
        table["bus"] = f"sim+{kind.info.bus}://{title}.toml"
    if issubclass(kind, PolledDriver):
        table["interval_s"] = 2.0 if name == "lis3dh" else 0.5
    if name == "mqtt-json":
        table |= {"topic": f"tele/{title}/SENSOR", "expect_s": 6}
    if name == "button":
        table["held_s"] = 2.0
    if name == "mqtt-json" or (fault == "stuck" and any(channel.still_s for channel in kind.info.channels)):
        table["still_s"] = 4.0
    if kind.info.has_serial and kind.info.bus != "w1":
        table["serial"] = serial_of(title, name)
    return "[[device]]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in table.items())


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def shop(folder: Path, head: str, begins_s: float, cases: Sequence[tuple[str, str]] = CASES) -> str:
    """The settings of one of each kind with each fault, and their scenarios."""
    text, together = head, ""
    for name, fault in cases:
        text += device(name, fault)
        away = f'{{ kind = "unplugged", start_s = {begins_s - 3}, duration_s = 3 }}, ' if fault == "swapped" else ""
        faults = f'{away}{{ kind = "{fault}", start_s = {begins_s} }}'
        played = f"[device.{name}-{fault}]\nfault = [{faults}]\n{PLAYS.get(name, '')}\n"
        (folder / f"{name}-{fault}.toml").write_text(played)
        together += played if name == "mqtt-json" else ""
    with (folder / f"contact-{cases[0][1]}.toml").open("a") as file:  # what is on MQTT names no file: any may play it
        file.write(together)
    return text


def reason_in_a_scan(name: str, fault: str) -> str:
    """A scan looks for seconds only, and at what is published now."""
    driver = catalogue.load(name)
    if issubclass(driver, OutputDriver) or (name, fault) == ("mqtt-json", "stuck"):
        return ""  # nothing is switched, and one message heard
    if (name, fault) == ("ds18b20", "stuck"):
        return ""  # it may be still for a day
    return seen_as(name, fault)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_devices_scan_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(shop(tmp_path, '[site]\ngateway = "gw-1"\n[store]\npath = "var"\n[mqtt]\n', 0.0))
    main(["devices", "scan", "--config", str(config), "--twins", "--json"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["devices"]}
    wrong = {
        title: (row["state"], row["reason"], expected)
        for name, fault in CASES
        if (row := rows[title := f"{name}-{fault}"])["reason"] != (expected := reason_in_a_scan(name, fault))
    }
    assert wrong == {}
    assert all(row["detail"] for row in rows.values() if row["state"] != "good")


def rows(running: Gateway) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in running.status().get("devices", ())}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FAULTS)
def test_status_and_the_owner_s_page_name_it(tmp_path: Path, fault: str) -> None:
    with running_broker(tmp_path) as port:
        head = f'[site]\ngateway = "gw-1"\n[store]\npath = "var"\n[mqtt]\nport = {port}\n'
        with Gateway(tmp_path, shop(tmp_path, head, BEGINS_S, BY_FAULT[fault]), "--twins") as gateway:
            gateway.wait_ready()
            each_is_named(gateway, fault)


def each_is_named(gateway: Gateway, fault: str) -> None:
    awaited = {f"{name}-{fault}": reason for name in NAMES if (reason := seen_as(name, fault))}
    seen: dict[str, set[str]] = defaultdict(set)

    def look() -> dict[str, set[str]]:
        """Those that were not good and then named what they are."""
        for name, row in rows(gateway).items():
            if row["state"] != "starting":
                seen[name].add(row["reason"])
        return {name: seen[name] for name, reason in awaited.items() if not {"", reason} <= seen[name]}

    begun_s, switched = time.monotonic(), False
    while (missing := look()) and time.monotonic() < begun_s + 90:
        time.sleep(0.25)
        if fault == "shorted" and not switched and seen["sht4x-shorted"] - {""}:  # it has begun
            switched = True
            for name in ("relay-shorted", "buzzer-shorted"):
                assert main(["switch", "--config", str(gateway.config), name, "on"]) == 0
    assert missing == {}
    assert {name: seen[f"{name}-{fault}"] for name in NAMES if not seen_as(name, fault)} == {
        name: {""} for name in NAMES if not seen_as(name, fault)
    }
    the_owner_reads(gateway, awaited)


def the_owner_reads(running: Gateway, awaited: dict[str, str]) -> None:
    """Each device that is named in the status is named on the owner's page, too, in both languages."""
    settings = load(running.config)

    def unsaid() -> list[Any]:
        status = running.status()
        latest = {row["channel"]: Said(row, 0.0) for row in ask(settings, {"get": "latest"})["channels"]}
        findings = find(settings.devices, situation(status), latest, 0.0, None)
        troubles = [(f.device, {language: tell(language, f, 60.0, 0).what for language in LANGUAGES}) for f in findings]
        said = {device.name: texts for device, texts in troubles if device}
        named = {row["name"]: row["reason"] for row in status["devices"] if awaited.get(row["name"]) == row["reason"]}
        return [
            (name, reason, said.get(name))
            for name, reason in named.items()
            if not all(
                word in said.get(name, {}).get(language, "")
                for language, word in zip(LANGUAGES, WORDS[reason], strict=True)
            )
        ]

    last: list[Any] = []

    def is_said() -> bool:
        last[:] = unsaid()
        return not last

    until(is_said, f"the owner reads it: {last}", 20)
