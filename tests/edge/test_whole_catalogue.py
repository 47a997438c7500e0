"""`golmok-gateway run --twins` with a device of every driver at once, and beside each polled one another that fails.

Every sound device is good all the time; every fault is seen for what it is, and is over when it is over.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from golmok_cloud_sync.protocol import Record
from golmok_drivers import catalogue
from golmok_drivers.api import PolledDriver
from golmok_edge.store.reader import Reader
from tests.drivers.broker import running_broker
from tests.edge.running import Gateway, until

NAMES = catalogue.names(lambda group: [])
KINDS = {name: catalogue.load(name) for name in NAMES}
FAILING = [name for name in NAMES if issubclass(KINDS[name], PolledDriver) and KINDS[name].info.bus != "gpio"]
OF_THE_WIRE = {
    "i2c": {"unplugged": "nack", "crc": "crc", "timeout": "timeout", "garbage": "crc"},
    "spi": {"unplugged": "unplugged", "crc": "crc", "timeout": "timeout", "garbage": "crc"},
    "uart": {"unplugged": "unplugged", "crc": "crc", "timeout": "timeout", "garbage": "crc"},
    "w1": {"unplugged": "unplugged", "crc": "crc", "timeout": "timeout", "garbage": "crc"},
}
SCENARIOS = {"lis3dh": "other.toml"}
"""Two parts of other kinds cannot hang at one chip select: another scenario is another bus."""
HEAD_S = 3.0
LASTS_S = 4.5
EVERY_S = 8.0


def faults_of(name: str) -> dict[str, str]:
    """Fault -> the reason that is to be seen."""
    own = {fault: reason for fault, reason in getattr(catalogue.twin(name), "faults", {}).items() if reason}
    if KINDS[name].info.has_serial and "swapped" in own:
        own["swapped"] = "swapped"  # on its bus all can be listed: another one of its kind is there
    return OF_THE_WIRE[KINDS[name].info.bus] | own


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def file_of(name: str, driver: str) -> str:
    """The scenario, and so the bus: two parts that have one address only cannot stand on one."""
    has_one_place = len(KINDS[driver].info.examples) == 1 and name.startswith("ill-")
    return "alone.toml" if has_one_place else SCENARIOS.get(driver, "scenario.toml")


def device(name: str, driver: str, example: Any, interval_s: float | None) -> str:
    bus = KINDS[driver].info.bus
    lines = ["[[device]]", f'name = "{name}"', f'driver = "{driver}"']
    lines += [] if bus == "mqtt" else [f'bus = "sim+{bus}://{file_of(name, driver)}"']
    lines += [f"interval_s = {interval_s}"] if interval_s else []
    lines += [f"{key} = {toml(value)}" for key, value in example.items()]
    return "\n".join(lines) + "\n"


def settings(port: int) -> str:
    text = f'[site]\ngateway = "gw-0001"\n[store]\npath = "var"\ncommit_interval_s = 0.2\n[mqtt]\nport = {port}\n'
    for name, kind in KINDS.items():
        polled = issubclass(kind, PolledDriver)
        interval_s = (1.0 if name == "lis3dh" else 0.5) if polled else None
        text += device(f"well-{name}", name, kind.info.examples[0], interval_s)
        if name in FAILING:
            text += device(f"ill-{name}", name, kind.info.examples[-1], interval_s)
    return text


def scenario(faults: dict[str, list[str]], head_s: float) -> str:
    text = ""
    for name, kinds in faults.items():
        text += f"[device.ill-{name}]\nfault = [\n"
        for place, fault in enumerate(kinds):
            text += f'  {{ kind = "{fault}", start_s = {head_s + EVERY_S * place}, duration_s = {LASTS_S} }},\n'
        text += "]\n"
    return text


def run(folder: Path, faults: dict[str, list[str]]) -> tuple[list[Record], dict[str, Any]]:
    """All readings of a run in which the failing devices have these faults, one after another; and its last status."""
    seconds = HEAD_S + EVERY_S * max(map(len, faults.values()))
    with running_broker(folder) as port:
        for file in ("scenario.toml", "alone.toml", *SCENARIOS.values()):
            mine = {name: kinds for name, kinds in faults.items() if file_of(f"ill-{name}", name) == file}
            (folder / file).write_text(scenario(mine, HEAD_S))
        with Gateway(folder, settings(port), "--twins") as gateway:
            gateway.wait_ready()
            time.sleep(seconds)
            until(lambda: all(row["state"] != "bad" for row in gateway.status()["devices"]), "all are well again")
            status = gateway.status()
            assert gateway.end() == 0, gateway.said()[-2000:]
    with Reader.open(folder / "var") as reader:
        return [found.record for found in reader.everything("readings")], status


def judge(records: list[Record], status: dict[str, Any], faults: dict[str, list[str]]) -> None:
    seen: dict[str, set[tuple[str, str]]] = defaultdict(set)
    channels = defaultdict(set)
    for record in records:
        name, _, quantity = record.channel.partition(".")
        seen[name].add((record.quality, record.reason))
        channels[name].add(quantity)
    well = {name: seen[f"well-{name}"] for name in NAMES}
    disturbed = {name: states for name, states in well.items() if states != {("good", "")}}
    assert disturbed == {}
    for name, kinds in faults.items():
        named = {reason for _, reason in seen[f"ill-{name}"]}
        late = {"timeout", "overrun"}  # a busy machine comes too late to a part now and then
        if KINDS[name].info.bus == "w1":
            late |= {"range"}  # eight bits of check sum let one of 256 pieces of garbage through
        assert named - late == ({faults_of(name)[kind] for kind in kinds} | {""}) - late, name
        assert "timeout" in named or "timeout" not in kinds, name
    expected = {
        name: {c.quantity for c in KINDS[name].info.channels if not c.is_event} - {"press"}
        for name in NAMES
        if name != "mqtt-json"
    }
    assert {name: channels[f"well-{name}"] & expected[name] for name in expected} == expected
    assert {row["state"] for row in status["devices"]} == {"good"}
    assert {row["part"] for row in status["devices"] if row["name"].startswith("well-sht4x")} == {"SHT4x"}


def test_every_driver_at_once_and_a_fault_of_each(tmp_path: Path) -> None:
    faults = {name: ["unplugged", [*OF_THE_WIRE["i2c"], *faults_of(name)][-1]] for name in FAILING}
    judge(*run(tmp_path, faults), faults)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_driver_at_once_and_every_fault_of_each_for_a_minute(tmp_path: Path) -> None:
    faults = {name: list(faults_of(name)) for name in FAILING}
    most = max(map(len, faults.values()))
    assert HEAD_S + EVERY_S * most >= 50
    judge(*run(tmp_path, faults), faults)
