"""The real gateway, broker and cloud when there is no room: a disk that others fill, and a budget that is used up."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from golmok_edge.demo.broker import Broker

from .running import Cloud, Gateway, until
from .store_support import mount_tmpfs
from .test_gateway_bus import Sensor

SETTINGS = """
[site]
gateway = "gw-0001"
[store]
path = "{store}"
commit_interval_s = 0.05
{more}
[mqtt]
port = {port}
[cloud]
url = "{url}"
interval_s = 0.3
[[device]]
name = "one"
driver = "mqtt-json"
topic = "f/1"
expect_s = 300
most_per_s = 10000
channels = {{ n = {{}} }}
[[device]]
name = "fridge"
driver = "sht4x"
bus = "sim+i2c://"
interval_s = 0.2
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    unmount = mount_tmpfs(tmp_path / "disk", "size=16m")
    yield tmp_path / "disk"
    unmount()


def fill(folder: Path) -> Path:
    """Somebody else takes all the room."""
    foreign = folder / "foreign"
    with foreign.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65_536))
    with foreign.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(512))
    return foreign


def values(cloud: Cloud) -> list[Any]:
    return [row["value"] for row in cloud.rows("gw-0001") if row["channel"] == "one.n"]


def events(cloud: Cloud, channel: str) -> list[dict[str, Any]]:
    return [row for row in cloud.rows("gw-0001", "events") if row["channel"] == channel]


def fridge_readings(gateway: Gateway) -> int:
    """How many this process has read, and tried to store."""
    return sum(device["readings"] for device in gateway.status()["devices"] if device["name"] == "fridge")


def test_a_disk_that_others_fill_loses_nothing_and_keeps_events_going(tmp_path: Path, disk: Path) -> None:
    """Killed and started again on the full disk, too."""
    with Broker.start(tmp_path / "bus") as broker, Cloud(tmp_path) as cloud:
        settings = SETTINGS.format(store=disk / "var", port=broker.port, url=cloud.url, more="")
        with Gateway(tmp_path / "gw", settings) as gateway:
            gateway.wait_ready()
            sensor = Sensor(broker.port)
            sensor.publish("f/1", *range(50))
            until(lambda: gateway.status()["store"]["records"] > 50, "they are stored")
            foreign = fill(disk)
            until(lambda: gateway.status()["disk_full"], "the disk is full")
            sensor.publish("f/1", *range(50, 250))
            until(lambda: gateway.status()["mqtt"]["held"] == 200, "they wait")
            refusing = gateway.status()["store"]["refusing"]
            assert (refusing["reason"], refusing["lanes"]) == ("disk-full", ["telemetry"])
            assert refusing["records"] > 0
            gateway.kill()
            gateway.start().wait_ready()
            until(lambda: len(events(cloud, "gateway.start")) == 2, "an event came from the full disk to the cloud")
            until(lambda: gateway.status()["mqtt"]["held"] == 200, "they came again and wait again")
            status = gateway.status()
            assert status["disk_full"]
            assert status["refused"]
            until(lambda: fridge_readings(gateway) > 2, "what the fridge says now is refused: nobody brings it again")
            sensor.publish("f/1", *range(250, 300))
            foreign.unlink()
            until(lambda: not gateway.status()["disk_full"], "there is room", 15)
            until(lambda: len(values(cloud)) == 300, "all is in the cloud")
            until(lambda: events(cloud, "gap.disk-full"), "the gap is named")
            sensor.close()
            assert gateway.end() == 0
        assert values(cloud) == list(range(300))
        gap = json.loads(events(cloud, "gap.disk-full")[0]["value"])
        assert {channel.partition(".")[0] for channel in gap["channels"]} == {"fridge"}
        assert sum(gap["channels"].values()) > 0
        assert gap["from_mono_ms"] < gap["to_mono_ms"]
    assert 1 <= gateway.said().count("telemetry is refused") <= 3, "not a line for each message"


@pytest.mark.parametrize("when_full", ["refuse", "drop-oldest"])
def test_a_budget_that_is_used_up_while_the_cloud_is_away(tmp_path: Path, when_full: str) -> None:
    chance = random.Random(1)
    numbers = [chance.random() for _ in range(14_000)]
    cloud = Cloud(tmp_path)
    with Broker.start(tmp_path / "bus") as broker:
        more = f'max_bytes = 4_000_000\nbudgets = {{ readings = 100_000 }}\nwhen_full = "{when_full}"'
        settings = SETTINGS.format(store="var", port=broker.port, url=cloud.url, more=more)
        with Gateway(tmp_path / "gw", settings) as gateway:
            gateway.wait_ready()
            sensor = Sensor(broker.port)
            sensor.publish("f/1", *numbers)
            published_by = datetime.now(UTC)
            if when_full == "refuse":
                until(lambda: gateway.status()["disk_full"], "the budget is used up")
                refusing = gateway.status()["store"]["refusing"]
                assert (refusing["reason"], refusing["lanes"]) == ("budget", ["telemetry"])
                assert "drop-oldest" in refusing["detail"]
            else:
                until(lambda: gateway.status()["mqtt"]["messages"] == len(numbers), "all are taken")
                until(lambda: gateway.status()["store"]["evicted_records"] > 0, "the oldest made room")
                assert not gateway.status()["disk_full"]
            assert gateway.status()["store"]["budgets"]["readings"]["used_bytes"] <= 100_000
            if when_full == "refuse":
                until(lambda: gateway.status()["mqtt"]["held"] > 3_000, "the window is full")
                until(lambda: datetime.now(UTC) > published_by + timedelta(seconds=3), "the rest has waited for long")
            with cloud:
                until(lambda: gateway.status()["mqtt"]["messages"] == len(numbers), "the broker has brought all")
                until(lambda: gateway.status()["mqtt"]["held"] == 0, "nothing waits for the disk")
                gateway.wait_synced()
                arrived = values(cloud)
                sensor.close()
                assert gateway.end() == 0
                lost = sum(
                    gap["counts"].get("one.n", 0) for gap in cloud.rows("gw-0001", "gaps") if gap["reason"] == "evicted"
                )
                if when_full == "refuse":
                    assert lost == 0
                    times = [row["ts"] for row in cloud.rows("gw-0001") if row["channel"] == "one.n"]
                    assert times.count(None) >= len(numbers) // 4, "when they were sent nobody knows"
                    latest = max(datetime.fromisoformat(ts) for ts in times if ts)
                    assert latest < published_by + timedelta(seconds=1), "none has the time when there was room again"
                assert arrived == numbers[lost:], "the oldest, as many as the gap says, and nothing else"
