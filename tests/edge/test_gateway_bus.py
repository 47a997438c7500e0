"""The gateway on a real Mosquitto: redelivery, lost sessions, what waited, cut lines, topics that overlap."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from golmok_cloud_sync.protocol import Record
from golmok_drivers.buses.mqtt import Callbacks, Message, Mqtt
from golmok_edge.demo.broker import Broker
from golmok_edge.store import Reader, Store

from .proxy import PUBACK, ChaosProxy
from .running import Cloud, Gateway, until
from .store_support import mount_tmpfs

SETTINGS = """
[site]
gateway = "{name}"
[store]
path = "{store}"
commit_interval_s = {commit_s}
[mqtt]
port = {port}
"""
DEVICE = """
[[device]]
name = "{name}"
driver = "mqtt-json"
topic = "{topic}"
expect_s = 300
most_per_s = 100000
channels = {{ n = {{}} }}
"""
CLOUD = """
[cloud]
url = "{url}"
interval_s = 0.5
"""


class Sensor:
    """Publishes numbers."""

    def __init__(self, port: int) -> None:
        up = threading.Event()
        self._mqtt = Mqtt("sensor", Callbacks(on_connect=lambda _: up.set()), keep_session=False)
        self._mqtt.connect("127.0.0.1", port)
        assert up.wait(30)

    def publish(self, topic: str, *numbers: float, retain: bool = False, **more: Any) -> None:
        """Returns when the broker has them all."""
        payloads = [json.dumps({"n": number, **more}).encode() for number in numbers]
        for delivery in [self._mqtt.publish(topic, payload, retain=retain) for payload in payloads]:
            delivery.result(60)

    def close(self) -> None:
        self._mqtt.close()


def retained(port: int, topic: str) -> dict[str, Any]:
    """What the broker keeps under `topic`; waits until there is something."""
    heard: dict[str, Any] = {}

    def on_message(message: Message) -> None:
        heard[message.topic] = json.loads(message.payload)
        hearing.ack(message)

    hearing = Mqtt("hearing", Callbacks(on_message=on_message), keep_session=False)
    hearing.subscribe([topic])
    hearing.connect("127.0.0.1", port)
    until(lambda: heard, f"{topic} is told")
    hearing.close()
    return heard


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One for all tests that let it live; each has a gateway and topics of its own."""
    with Broker.start(tmp_path_factory.mktemp("bus")) as broker:
        yield broker


@pytest.fixture
def sensor(broker: Broker) -> Iterator[Sensor]:
    sensor = Sensor(broker.port)
    yield sensor
    sensor.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    made: list[Gateway] = []

    def make(name: str, port: int, *devices: tuple[str, str], more: str = "", **fields: Any) -> Gateway:
        text = SETTINGS.format(name=name, port=port, **({"store": "var", "commit_s": 0.1} | fields)) + more
        text += "".join(DEVICE.format(name=device, topic=topic) for device, topic in devices)
        made.append(Gateway(tmp_path / f"{name}-{len(made)}", text, name=name))
        return made[-1]

    yield make
    for gateway in made:
        gateway.__exit__()


def reasons(gateway: Gateway) -> set[tuple[str, str]]:
    return {(gap["device"], gap["reason"]) for gap in gateway.status()["gaps"]}


def tail(gateway: Gateway) -> int:
    return int(gateway.status()["store"]["tail"]["readings"])


def stored(folder: Path, channel: str = "", stream: Any = "readings") -> list[Record]:
    """All that is on disk, in its order."""
    with Reader.open(folder) as reader:
        found: list[Record] = []
        while records := reader.read(stream, len(found) + 1, 10_000):
            assert isinstance(records, list)
            found += records
    return [record for record in found if channel in ("", record.channel)]


def numbers(gateway: Gateway, channel: str = "one.n") -> list[Any]:
    return [record.value for record in stored(gateway.folder / "var", channel)]


def test_what_was_stored_and_not_acknowledged_is_not_stored_again(
    broker: Broker, sensor: Sensor, make: Callable[..., Gateway]
) -> None:
    """The gateway dies between the commit and its acknowledgement: the proxy lets none of them through."""
    with ChaosProxy(broker.port) as proxy:
        gateway = make("redelivered", proxy.port, ("one", "r/1")).start().wait_ready()
        sensor.publish("r/1", *range(10))
        until(lambda: tail(gateway) == 10 and proxy.passed[PUBACK] > 10, "ten stored and acknowledged")
        proxy.swallows.add(PUBACK)
        sensor.publish("r/1", *range(10, 310))
        until(lambda: tail(gateway) == 310, "all are stored")
        gateway.kill()
        proxy.swallows.clear()
        gateway.start().wait_ready()
        until(lambda: gateway.status()["mqtt"]["duplicates"] == 300, "they came again and were known")
        sensor.publish("r/1", *range(310, 320))
        until(lambda: tail(gateway) == 320, "new ones are stored")
        assert gateway.end() == 0
        gateway.start().wait_ready()
        assert gateway.status()["mqtt"]["duplicates"] == 0, "all were acknowledged at last"
    assert numbers(gateway) == list(range(320))


def test_a_line_that_is_cut_in_a_flood_loses_and_doubles_nothing(
    broker: Broker, sensor: Sensor, make: Callable[..., Gateway]
) -> None:
    with ChaosProxy(broker.port) as proxy:
        gateway = make("cut", proxy.port, ("one", "c/1"), commit_s=0.02).start().wait_ready()
        for part in range(3):
            proxy.cut_after(20_000)
            sensor.publish("c/1", *range(part * 1_500, (part + 1) * 1_500))
            until(lambda part=part: proxy.cuts > part, "it is cut")  # type: ignore[misc]  # bound at once
        until(lambda: tail(gateway) == 4_500, "all are stored")
        gateway.wait_ready()
    assert numbers(gateway) == list(range(4_500))


def test_a_line_that_hangs_is_no_reason_to_forget(broker: Broker, sensor: Sensor, make: Callable[..., Gateway]) -> None:
    with ChaosProxy(broker.port) as proxy:
        gateway = make("held", proxy.port, ("one", "h/1")).start().wait_ready()
        proxy.hold()
        sensor.publish("h/1", *range(500))
        assert tail(gateway) == 0
        proxy.let_go()
        until(lambda: tail(gateway) == 500, "all are stored")
    assert numbers(gateway) == list(range(500))


def test_topics_that_overlap_double_nothing(broker: Broker, sensor: Sensor, make: Callable[..., Gateway]) -> None:
    """Mosquitto sends a copy for each subscription, also for those of former settings."""
    with ChaosProxy(broker.port) as proxy:
        gateway = make("overlap", proxy.port, ("all", "o/#"), ("one", "o/1"), ("plus", "+/1")).start().wait_ready()
        sensor.publish("o/1", *range(50))
        until(lambda: tail(gateway) == 150, "each device has heard all")
        gateway.end()
        narrow = make("overlap", proxy.port, ("one", "o/1"), store=str(gateway.folder / "var")).start().wait_ready()
        proxy.swallows.add(PUBACK)
        sensor.publish("o/1", *range(50, 100))
        until(lambda: tail(narrow) == 200, "the one that is left has heard the rest")
        narrow.kill()
        proxy.swallows.clear()
        narrow.start().wait_ready()
        sensor.publish("o/1", 100)
        until(lambda: tail(narrow) == 201, "and so on")
    assert numbers(gateway, "one.n") == list(range(101))
    assert numbers(gateway, "all.n") == numbers(gateway, "plus.n") == list(range(50))


def test_a_broker_that_died_is_a_gap_and_is_told_everything_anew(tmp_path: Path, make: Callable[..., Gateway]) -> None:
    broker = Broker.start(tmp_path / "bus")
    gateway = make("lost", broker.port, ("one", "t/1")).start().wait_ready()
    sensor = Sensor(broker.port)
    sensor.publish("t/1", *range(20))
    until(lambda: tail(gateway) == 20, "all are stored")
    broker.kill()
    until(lambda: not gateway.status()["mqtt"]["connected"], "the loss is noticed")
    assert gateway.status()["mqtt"]["detail"].startswith("lost")
    with Broker.start(tmp_path / "bus", broker.port):
        gateway.wait_ready()
        sensor.close()
        sensor = Sensor(broker.port)
        assert retained(broker.port, "homeassistant/#")["homeassistant/sensor/lost_one_n/config"]["name"] == "one n"
        assert retained(broker.port, "golmok/lost/one/n")["golmok/lost/one/n"]["value"] == 19
        sensor.publish("t/1", *range(20, 40))
        until(lambda: tail(gateway) == 40, "it goes on")
        assert gateway.end() == 0
        sensor.close()
    *_, gap = stored(gateway.folder / "var", "gap.broker", "events")  # told open, then closed
    said = json.loads(str(gap.value))
    last = stored(gateway.folder / "var")[19]
    assert said["from_mono_ms"] <= said["to_mono_ms"] <= gap.mono_ms
    assert list(said["channels"]) == ["one.n"]
    assert said["from_mono_ms"] >= last.mono_ms - 1
    assert numbers(gateway) == list(range(40))


def test_a_session_that_died_unnamed_is_a_gap_and_one_that_stands_is_none(
    tmp_path: Path, make: Callable[..., Gateway]
) -> None:
    """A process that dies as soon as the broker does not know it leaves a session that looks like the old one."""
    with Broker.start(tmp_path / "bus") as broker:
        gateway = make("unnamed", broker.port, ("one", "u/1")).start().wait_ready()
        sensor = Sensor(broker.port)
        sensor.publish("u/1", 1)
        until(lambda: tail(gateway) == 1, "one is stored")
        sensor.close()
        gateway.kill()
        gateway.start().wait_ready()
        assert gateway.end() == 0
        assert not stored(gateway.folder / "var", "gap.broker", "events"), "the broker forgot nothing"
        port = broker.port
    with Broker.start(tmp_path / "bus", port):
        subscribed = threading.Event()
        dying = Mqtt("golmok-unnamed", Callbacks(on_subscribed=lambda _: subscribed.set()))
        dying.subscribe(["u/1"])
        dying.connect("127.0.0.1", port)
        assert subscribed.wait(30)
        dying.close()
        gateway.start().wait_ready()
        gap = until(lambda: stored(gateway.folder / "var", "gap.broker", "events"), "it says so")[-1]
        assert gateway.end() == 0
    assert "one.n" in json.loads(str(gap.value))["channels"]
    told = len(stored(gateway.folder / "var", "gap.broker", "events"))
    with Broker.start(tmp_path / "bus", port):
        gateway.start().wait_ready()
        until(lambda: len(stored(gateway.folder / "var", "gap.broker", "events")) > told, "and again, of the next one")
        assert gateway.end() == 0


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


def test_what_waited_has_no_time_but_bounds_or_its_own(
    broker: Broker, sensor: Sensor, make: Callable[..., Gateway], cloud: Cloud
) -> None:
    sensor.publish("w/1", 0, retain=True)
    own = DEVICE.format(name="own", topic="w/own") + 'time = "Time"\n'
    more = CLOUD.format(url=cloud.url) + own
    gateway = make("waited", broker.port, ("one", "w/1"), more=more).start().wait_ready()
    until(lambda: tail(gateway) == 1, "the retained one came")
    sensor.publish("w/1", 1)
    until(lambda: tail(gateway) == 2, "one that did not wait")
    assert gateway.end() == 0
    before_ms = time.time() * 1000
    sensor.publish("w/1", 2)
    sensor.publish("w/own", 3, Time="2026-01-02T03:04:05Z")
    after_ms = time.time() * 1000
    gateway.start().wait_ready()
    sensor.publish("w/1", 4)
    until(lambda: tail(gateway) == 5, "all came")
    gateway.wait_synced()
    rows = {row["value"]: row for row in cloud.rows("waited")}
    assert rows[0]["ts"] is rows[2]["ts"] is None
    assert rows[3]["ts"] == "2026-01-02T03:04:05.000Z"
    assert rows[1]["ts"]
    assert rows[4]["ts"]
    assert rows[0].get("ts_min") is None
    assert ms(rows[2]["ts_min"]) - 1_000 <= before_ms
    assert ms(rows[2]["ts_max"]) + 1_000 >= after_ms
    assert rows[1]["ts"] <= rows[2]["ts_min"] < rows[2]["ts_max"] <= rows[4]["ts"]


def ms(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp() * 1000


FRIDGE = """
[[device]]
name = "fridge"
driver = "ds18b20"
bus = "sim+w1://"
address = "28-00000a1b2c3d"
interval_s = 0.2
"""


def fill(folder: Path) -> Path:
    """Take what room is left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4_096)
        except OSError:
            return filler


def test_a_full_disk_acknowledges_nothing_and_stores_all_when_there_is_room(
    tmp_path: Path, make: Callable[..., Gateway]
) -> None:
    """Even when the broker is lost meanwhile: what it had given us is nowhere but here."""
    unmount = mount_tmpfs(tmp_path / "disk", "size=6m")
    try:
        _a_full_disk(tmp_path, make)
    finally:
        unmount()


def _a_full_disk(tmp_path: Path, make: Callable[..., Gateway]) -> None:
    Store.open(tmp_path / "disk" / "var").close()
    broker = Broker.start(tmp_path / "bus")
    with ChaosProxy(broker.port) as proxy:
        store = str(tmp_path / "disk" / "var")
        gateway = make("full", proxy.port, ("one", "f/1"), store=store, more=FRIDGE).start().wait_ready()
        sensor = Sensor(broker.port)
        sensor.publish("f/1", *range(100))
        until(lambda: proxy.passed[PUBACK] >= 101, "they are stored and acknowledged, and so is the marker")
        filler = fill(tmp_path / "disk")
        until(lambda: gateway.status()["disk_full"], "the disk is full")
        acknowledged = proxy.passed[PUBACK]
        sensor.publish("f/1", *range(100, 400))
        until(lambda: gateway.status()["mqtt"]["held"] == 300, "they wait")
        assert proxy.passed[PUBACK] < acknowledged + 5, "none of them; markers of the gateway's own, perhaps"
        sensor.close()
        broker.kill()
        with Broker.start(tmp_path / "bus", broker.port):
            gateway.wait_ready()
            sensor = Sensor(broker.port)
            sensor.publish("f/1", *range(400, 500))
            until(lambda: gateway.status()["mqtt"]["held"] == 400, "they wait, too")
            assert gateway.status()["disk_full"]
            until(lambda: ("fridge", "disk-full") in reasons(gateway), "it is a gap by now")
            filler.unlink()
            until(lambda: gateway.status()["mqtt"]["held"] == 0, "there is room")
            until(lambda: not gateway.status()["disk_full"], "and it says so")
            sensor.publish("f/1", 500)
            found = until(lambda: (r := stored(tmp_path / "disk" / "var", "one.n"))[-1].value == 500 and r, "all")
            assert gateway.end() == 0
            sensor.close()
    assert [record.value for record in found] == list(range(501))
    *_, lost = [json.loads(str(e.value)) for e in stored(tmp_path / "disk" / "var", "gap.disk-full", "events")]
    assert lost["channels"]["fridge.temperature"] >= 10
    assert stored(tmp_path / "disk" / "var", "gap.broker", "events"), "what happened meanwhile is not forgotten"
