"""The gap ledger from outside, with real gateway, broker and cloud: what is missing stands in `/gaps`, and why."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from golmok_drivers.buses.mqtt import Callbacks, Mqtt
from golmok_edge.demo.broker import Broker

from .running import Cloud, Gateway, until

INTERVAL_S = 0.5
LIMIT_S = 5.5
SETTINGS = """
[site]
gateway = "gw-0001"

[store]
path = "var"
commit_interval_s = 0.2

[mqtt]
port = {broker}

[cloud]
url = "{cloud}"
interval_s = 1

[[device]]
name = "fridge"
driver = "ds18b20"
bus = "sim+w1://scenario.toml"
address = "28-00000a1b2c3d"
interval_s = 0.5

[[device]]
name = "door"
driver = "contact"
bus = "sim+gpio://scenario.toml"
pin = 17

[[device]]
name = "plug"
driver = "mqtt-json"
topic = "tele/plug"
expect_s = 5
channels = {{ power = {{ path = "W", unit = "W" }} }}
"""
SCENARIO = """
[device.fridge]
fault = [{ kind = "unplugged", start_s = 4, duration_s = 8 }]
"""


class Plug:
    """Says its power twice a second, as long as there is a broker."""

    def __init__(self, port: int) -> None:
        self._mqtt = Mqtt("plug", Callbacks())
        self._mqtt.connect("127.0.0.1", port)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._speak)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._mqtt.close()

    def _speak(self) -> None:
        while not self._ended.wait(INTERVAL_S):
            if self._mqtt.is_connected:
                self._mqtt.publish("tele/plug", b'{"W": 5}', qos=1)


class Truth:
    """When what was done to the shop."""

    def __init__(self, folder: Path, cloud: Cloud) -> None:
        self.cloud = cloud
        broker = Broker.start(folder / "bus")
        plug = Plug(broker.port)
        (folder / "gw").mkdir()
        (folder / "gw" / "scenario.toml").write_text(SCENARIO)
        gateway = Gateway(folder / "gw", SETTINGS.format(broker=broker.port, cloud=cloud.url))
        with gateway:
            gateway.wait_ready()
            self.heard("plug.power", after=0)
            until(lambda: [gap for gap in self.gaps("fridge.temperature") if gap["open"]], "it is silent by now")
            self.open = [gap for gap in self.gaps("fridge.temperature") if gap["open"]]
            self.status = gateway.status()["gaps"]
            self.broker_died = time.time()
            broker.kill()
            self._rest(8)
            with Broker.start(folder / "bus", broker.port):
                self.broker_came = time.time()
                self.heard("plug.power", after=self.broker_came)
                until(lambda: self.unplugged(), "the sensor is heard again")
                self.was_killed = time.time()
                gateway.kill()
                self._rest(8)
                self.was_started = time.time()
                gateway.start().wait_ready()
                self.heard("plug.power", after=self.was_started)
                self.heard("fridge.temperature", after=self.was_started)
                for channel in ("fridge.temperature", "plug.power", "door.open"):
                    until(lambda c=channel: self.closed(c, "off"), f"{channel} was off")  # type: ignore[misc]
                self.asked = self.gaps("fridge.temperature", "from=1971-01-01T00:00:00Z&to=1972-01-01T00:00:00Z")
                self.listed = command(gateway)
                plug.close()
                assert gateway.end() == 0
                self.listed_after = command(gateway, "--channel", "door.open")

    def gaps(self, channel: str, more: str = "") -> list[dict[str, Any]]:
        return list(self.cloud.rows("gw-0001", f"gaps?channel={channel}&{more}&x=", 1000))

    def closed(self, channel: str, reason: str) -> list[dict[str, Any]]:
        return [gap for gap in self.gaps(channel) if gap["reason"] == reason and gap["to"]]

    def unplugged(self) -> list[dict[str, Any]]:
        return [gap for gap in self.closed("fridge.temperature", "silent") if gap["detail"] == "unplugged"]

    def readings(self, channel: str) -> list[float]:
        rows = self.cloud.rows("gw-0001", f"readings?channel={channel}&x=")
        return [seconds(row["ts"]) for row in rows if row["quality"] != "bad" and row["ts"]]

    def heard(self, channel: str, after: float) -> None:
        until(lambda: (r := self.readings(channel)) and r[-1] > after, f"{channel} is heard")

    @staticmethod
    def _rest(seconds: float) -> None:
        """A while in which nothing is to be seen that could be waited for."""
        threading.Event().wait(seconds)


def command(gateway: Gateway, *more: str) -> dict[str, Any]:
    """What the technician's command prints."""
    line = [sys.executable, "-m", "golmok_edge.gateway.cli", "gaps", "--config", str(gateway.config), "--json", *more]
    said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    return dict(json.loads(said))


def seconds(ts: str) -> float:
    return datetime.fromisoformat(ts).timestamp()


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Truth]:
    folder = tmp_path_factory.mktemp("gaps")
    with Cloud(folder) as cloud:
        yield Truth(folder, cloud)


@pytest.mark.parametrize(("channel", "limit_s"), [("fridge.temperature", LIMIT_S), ("plug.power", 5.0)])
def test_the_pieces_are_exactly_the_holes(truth: Truth, channel: str, limit_s: float) -> None:
    holes = [(a, b) for a, b in pairwise(truth.readings(channel)) if b - a > limit_s]
    assert len(holes) >= 2
    named = sorted((seconds(gap["from"]), seconds(gap["to"])) for gap in truth.gaps(channel) if gap["to"])
    for begin, end in holes:
        mine = [piece for piece in named if piece[0] < end and begin < piece[1]]
        assert mine[0][0] == pytest.approx(begin, abs=0.05)
        assert mine[-1][1] == pytest.approx(end, abs=0.05)
        assert all(one[1] == pytest.approx(two[0], abs=0.05) for one, two in pairwise(mine))


def test_a_sensor_that_was_unplugged_was_silent_and_why(truth: Truth) -> None:
    gap = truth.unplugged()[0]
    assert not gap["open"]
    length_s = seconds(gap["to"]) - seconds(gap["from"])
    assert length_s >= 8 - INTERVAL_S  # and until it was asked again
    assert gap["count"] == pytest.approx(length_s / INTERVAL_S - 1, abs=1.1)


def test_what_was_lost_with_the_broker_is_named(truth: Truth) -> None:
    gap = truth.closed("plug.power", "broker")[0]
    assert seconds(gap["from"]) == pytest.approx(truth.broker_died, abs=INTERVAL_S + 0.5)
    assert seconds(gap["to"]) >= truth.broker_came
    assert gap["count"] is None


def test_a_gateway_that_was_killed_was_off(truth: Truth) -> None:
    gap = truth.closed("fridge.temperature", "off")[0]
    assert seconds(gap["from"]) == pytest.approx(truth.was_killed, abs=INTERVAL_S + 0.5)
    assert seconds(gap["to"]) >= truth.was_started
    length_s = seconds(gap["to"]) - seconds(gap["from"])
    assert gap["count"] == pytest.approx(length_s / INTERVAL_S - 1, abs=1.1)
    door = truth.closed("door.open", "off")[0]
    assert seconds(door["from"]) == pytest.approx(truth.was_killed, abs=INTERVAL_S + 0.5)
    assert seconds(door["to"]) >= truth.was_started
    assert door["count"] is None


def test_while_it_went_on_it_was_open(truth: Truth) -> None:
    (gap,), (row, *_) = truth.open, truth.status
    assert (gap["reason"], gap["to"], gap["count"]) == ("silent", None, None)
    assert gap["from"] == truth.unplugged()[0]["from"]
    assert (row["device"], row["channels"], row["reason"]) == ("fridge", ["fridge.temperature"], "silent")
    assert row["for_s"] > LIMIT_S


def test_a_time_without_gaps_has_none(truth: Truth) -> None:
    assert truth.asked == []


def test_the_technician_sees_the_same_on_the_gateway(truth: Truth) -> None:
    assert truth.listed["running"]
    mine = [row for row in truth.listed["gaps"] if "fridge.temperature" in row["channels"]]
    theirs = truth.gaps("fridge.temperature")
    assert [row["reason"] for row in mine] == [gap["reason"] for gap in sorted(theirs, key=lambda gap: gap["from"])]
    assert not truth.listed_after["running"]
    assert {row["reason"] for row in truth.listed_after["gaps"]} == {"off"}
