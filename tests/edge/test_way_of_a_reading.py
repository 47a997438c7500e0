"""Sensor to cloud with real parts: every row of a real recording arrives once, in order, with its value."""

from __future__ import annotations

import csv
import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from golmok_drivers.buses.mqtt import Callbacks, Mqtt
from golmok_edge.demo.broker import Broker

from .running import Cloud, Gateway, until

RECORDING = Path(__file__).parents[2] / "../shared/data/readings/room_occupancy.csv"
COLUMNS = {"Temperature": "Cel", "Humidity": "%", "Light": "lx", "CO2": "[ppm]", "Occupancy": "1"}
KILLS = 5

SETTINGS = """
[site]
gateway = "gw-0001"
name = "한옥카페"

[store]
path = "var"

[mqtt]
port = {broker}

[cloud]
url = "{cloud}"
interval_s = 1

[[device]]
name = "office"
driver = "mqtt-json"
topic = "zigbee2mqtt/office"
expect_s = 300
channels = {{ {channels} }}
"""

Row = dict[str, Any]


def number(text: str) -> float | int:
    return float(text) if "." in text else int(text)


def recorded() -> list[Row]:
    with RECORDING.open() as lines:
        names = ["line", *next(csv.reader(lines))]  # the header has no name for the first column
        return [{name: number(row[name]) for name in COLUMNS} for row in csv.DictReader(lines, names)]


def invented() -> list[Row]:
    """Of the same form, for those who have not the recording."""
    return [
        {
            "Temperature": round(21 + 3 * math.sin(i / 300), 2),
            "Humidity": 27.272 + i / 1000,
            "Light": 429.3333333333333 if i % 7 else 0,
            "CO2": 600 + i % 401,
            "Occupancy": i // 100 % 2,
        }
        for i in range(6_000)
    ]


@pytest.fixture(scope="module", params=["recorded", "invented"])
def rows(request: pytest.FixtureRequest) -> list[Row]:
    if request.param == "recorded" and not RECORDING.exists():
        pytest.skip("SKIPPED: the recording of a real room is not here (shared/data/readings/room_occupancy.csv)")
    return recorded() if request.param == "recorded" else invented()


class Sensor:
    """Publishes rows as Zigbee2MQTT does, as fast as the broker takes them."""

    def __init__(self, broker: Broker) -> None:
        up = threading.Event()
        self._mqtt = Mqtt("sensor", Callbacks(on_connect=lambda _: up.set()), keep_session=False)
        self._mqtt.connect(broker.host, broker.port)
        assert up.wait(20)

    def publish(self, rows: list[Row]) -> None:
        """Returns when the broker has them all."""
        deliveries = [self._mqtt.publish("zigbee2mqtt/office", json.dumps(row).encode()) for row in rows]
        for delivery in deliveries:
            delivery.result(60)

    def close(self) -> None:
        self._mqtt.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker.start(tmp_path / "bus") as broker:
        yield broker


@pytest.fixture
def sensor(broker: Broker) -> Iterator[Sensor]:
    sensor = Sensor(broker)
    yield sensor
    sensor.close()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with Cloud(tmp_path) as cloud:
        yield cloud


@pytest.fixture
def gateway(tmp_path: Path, broker: Broker, cloud: Cloud) -> Iterator[Gateway]:
    channels = ", ".join(f'{name.lower()} = {{ path = "{name}", unit = "{unit}" }}' for name, unit in COLUMNS.items())
    settings = SETTINGS.format(broker=broker.port, cloud=cloud.url, channels=channels)
    with Gateway(tmp_path / "gw", settings) as gateway:
        gateway.wait_ready()
        yield gateway


def assert_same(cloud: Cloud, rows: list[Row]) -> None:
    """Exactly once, in order, with equal values and types, each in the order of the settings."""
    found = list(cloud.rows("gw-0001"))
    wanted = [(f"office.{name.lower()}", row[name], unit) for row in rows for name, unit in COLUMNS.items()]
    got = [(row["channel"], row["value"], row["unit"] or "1") for row in found]
    assert len(got) == len(wanted)
    assert got == wanted
    assert [type(value) for _, value, _ in got] == [type(value) for _, value, _ in wanted]
    assert [row["seq"] for row in found] == list(range(1, len(found) + 1))
    assert len({row["epoch"] for row in found}) == 1


def test_every_row_arrives_once(rows: list[Row], sensor: Sensor, gateway: Gateway, cloud: Cloud) -> None:
    sensor.publish(rows)
    until(lambda: gateway.status()["store"]["tail"]["readings"] >= 5 * len(rows), "all is stored")
    gateway.wait_synced()
    assert_same(cloud, rows)
    assert all(row["ts"] for row in cloud.rows("gw-0001")), "the clock was known: every reading has its time"


@pytest.mark.timeout(240)
def test_kills_lose_and_double_nothing(
    rows: list[Row],
    sensor: Sensor,
    gateway: Gateway,
    cloud: Cloud,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The gateway dies with messages that it has not acknowledged, the cloud with readings that it has not."""
    parts = 2 * KILLS + 1
    chunks = [rows[len(rows) * i // parts : len(rows) * (i + 1) // parts] for i in range(parts)]
    unacknowledged: list[int] = []
    behind: list[int] = []
    sent = 0
    for i, chunk in enumerate(chunks[:-1]):
        sensor.publish(chunk)
        sent += len(chunk)
        if i % 2:
            stored = gateway.status()["store"]["tail"]["readings"] // 5
            gateway.kill()
            unacknowledged.append(sent - stored)
            gateway.start().wait_ready()
        else:
            behind.append(until(lambda: gateway.status()["backlog"]["readings"], "readings wait for the cloud"))
            cloud.kill()
            cloud.start()
    sensor.publish(chunks[-1])
    until(lambda: gateway.status()["store"]["tail"]["readings"] >= 5 * len(rows), "all is stored")
    gateway.wait_synced()
    with capsys.disabled():
        print(f"\nkilled with so many messages unacknowledged: {unacknowledged}; readings not in the cloud: {behind}")
    assert_same(cloud, rows)
    assert sum(1 for n in unacknowledged if n) == KILLS
    assert sum(1 for n in behind if n) == KILLS
