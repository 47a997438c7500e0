"""Drivers that misbehave in every way we could think of, all in one gateway, beside devices that must not notice.

The gateway is the real program with a real broker; only its deadlines are shorter. What the good devices were given
and when is read from its store.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from golmok_drivers.buses.mqtt import Callbacks, Mqtt
from golmok_edge.demo.broker import Broker
from golmok_edge.gateway.address import socket_path
from golmok_edge.store import Reader

from .misbehaving import write_distribution
from .misbehaving_drivers import DRIVERS
from .proxy import PUBACK, ChaosProxy
from .running import Program, until

SETTINGS: Final = """
[site]
gateway = "gw-0001"
[store]
path = "var"
commit_interval_s = 0.2
[mqtt]
port = {port}

[[device]]
name = "fridge"
driver = "ds18b20"
bus = "sim+w1://"
address = "28-00000a1b2c3d"
interval_s = 0.5

[[device]]
name = "hall"
driver = "sht4x"
bus = "sim+i2c://"
interval_s = 0.5

[[device]]
name = "door"
driver = "contact"
bus = "sim+gpio://"
pin = 17

[[device]]
name = "plug"
driver = "mqtt-json"
topic = "good/plug"
expect_s = 300
channels = {{ n = {{}} }}
"""
ILL: Final = """
[[device]]
name = "{name}"
driver = "{name}"
{bus}
well = "{well}"
"""
GRID_S: Final = 0.5
COMMIT_S: Final = 0.2
MOST_LATE_S: Final = 1.0


class Shop:
    """A gateway with its broker, and a sensor that says a number five times a second."""

    def __init__(self, folder: Path, port: int, kinds: list[str], more: str = "") -> None:
        self.folder, self.kinds = folder, kinds
        self.well = folder / "well"
        self.proxy = ChaosProxy(port)
        text = SETTINGS.format(port=self.proxy.port) + more
        for name in kinds:
            is_message = DRIVERS[name].info.bus == "mqtt"
            bus = f'topic = "ill/{name}"' if is_message else 'bus = "w1://7"'
            text += ILL.format(name=name, bus=bus, well=self.well)
        (folder / "gateway.toml").write_text(text)
        self.program = Program("tests.edge.gateway_starter", [str(folder / "gateway.toml")], folder / "gw.log")
        paths = [str(write_distribution(folder / "site")), os.environ.get("PYTHONPATH", "")]
        self.program.environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        self.socket = socket_path(folder / "var")
        self._mqtt = Mqtt("sensor", Callbacks(), keep_session=False)
        self._mqtt.connect("127.0.0.1", port)
        self.noise_s = 0.0
        self._stop = threading.Event()
        self._saying = threading.Thread(target=self._say, daemon=True)

    @property
    def most_late_s(self) -> float:
        """What the promise allows, and by how much this machine lets anybody wait at times."""
        return MOST_LATE_S + 3 * self.noise_s

    def start(self) -> None:
        self.program.start()
        until(self._is_ready, f"it is ready; it said {self.program.said()[-900:]}")
        self._saying.start()

    def end(self) -> int:
        self._stop.set()
        self._saying.join()
        self._mqtt.close()
        code = self.program.end()
        self.proxy.close()
        return code

    def ask(self) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(20)
            line.connect(str(self.socket))
            line.sendall(b'{"get": "status"}\n')
            with line.makefile("rb") as answer:
                status: dict[str, Any] = json.loads(answer.readline())
        return status

    def _is_ready(self) -> bool:
        try:
            return bool(self.ask()["ready"])
        except (FileNotFoundError, ConnectionRefusedError):  # not bound yet, or bound and not listening yet
            return False

    def devices(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self.ask()["devices"]}

    def flood(self, topic: str, seconds: float) -> None:
        """As fast as it goes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for delivery in [self._mqtt.publish(topic, b'{"n": 1}') for _ in range(200)]:
                delivery.result(60)

    def say_once(self, topic: str) -> None:
        self._mqtt.publish(topic, b'{"n": 1}').result(60)

    def _say(self) -> None:
        number = 0
        while not self._stop.is_set():
            began_s = time.monotonic()
            time.sleep(0.2)
            self.noise_s = max(self.noise_s, time.monotonic() - began_s - 0.2)
            number += 1
            self._mqtt.publish("good/plug", json.dumps({"n": number}).encode())
            for name in self.kinds:
                if DRIVERS[name].info.bus == "mqtt":
                    self._mqtt.publish(f"ill/{name}", b"1")


def times_s(folder: Path, channel: str) -> list[float]:
    with Reader.open(folder / "var") as reader:
        return [found.record.mono_ms / 1000 for found in reader.find(channel, "readings")]


def off_grid_s(times: list[float], grid_s: float) -> float:
    """How far the worst is from where it should be, missing ones included."""
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return max(gap - grid_s for gap in gaps)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker.start(tmp_path_factory.mktemp("bus")) as broker:
        yield broker


@pytest.mark.slow
def test_every_way_in_which_a_driver_misbehaves_is_named(tmp_path: Path, broker: Broker) -> None:
    """All kinds at once; the machine may be too small for that to be on time."""
    shop = Shop(tmp_path, broker.port, list(DRIVERS))
    bad: set[str] = set()
    shop.start()
    try:

        def all_were_bad() -> bool:
            bad.update(row["name"] for row in shop.ask()["devices"] if row["state"] == "bad" or row.get("last_trouble"))
            return bad >= set(DRIVERS) - {"speaker-floods"}  # asked one by one, it is only as fast as it is asked

        until(all_were_bad, "each was named")
        shop.well.touch()
        until(lambda: {row["state"] for row in shop.devices().values()} == {"good"}, "all are well again")
    finally:
        code = shop.end()
    assert code == 0


REASONS: Final = {
    "awaits-for-ever": "hangs",
    "ignores-cancelling": "hangs",
    "sleeps": "hangs",
    "spins-in-c": "hangs",
    "raises-exit": "raises",
    "raises-own": "raises",
    "raises-cancelled": "raises",
    "recurses": "raises",
    "crashes": "raises",
    "open-exits": "raises",
    "birth-raises-exit": "raises",
    "close-sleeps": "nack",
    "gives-none": "nonsense",
    "gives-nan": "range",
    "gives-unknown": "nonsense",
    "gives-million": "floods",
    "gives-coroutine": "nonsense",
    "not-async": "nonsense",
    "leaks-memory": "leaks",
    "leaks-files": "leaks",
    "writes-into-the-line": "nonsense",
    "speaker-floods-in-heaps": "floods",
    "speaker-sleeps": "hangs",
    "speaker-ends": "silent",
    "listener-sleeps": "hangs",
    "listener-raises-exit": "raises",
    "listener-exits": "raises",
}


def test_whatever_drivers_do_no_other_device_notices_and_they_come_back(tmp_path: Path, broker: Broker) -> None:
    shop = Shop(tmp_path, broker.port, list(REASONS))
    seen: dict[str, set[str]] = {name: set() for name in REASONS}
    slowest_s = slowest_ack_s = 0.0
    shop.start()
    try:
        began_s = acked_s = time.monotonic()
        acked = shop.proxy.passed[PUBACK]
        while not all(REASONS[name] in reasons for name, reasons in seen.items()) or time.monotonic() - began_s < 5:
            assert time.monotonic() - began_s < 60, {n: (r, REASONS[n]) for n, r in seen.items() if REASONS[n] not in r}
            asked_s = time.monotonic()
            for row in shop.ask()["devices"]:
                if row["name"] in seen and row["state"] == "bad":
                    seen[row["name"]].add(row["reason"])
            slowest_s = max(slowest_s, time.monotonic() - asked_s)
            if shop.proxy.passed[PUBACK] != acked:
                acked, acked_s = shop.proxy.passed[PUBACK], time.monotonic()
            slowest_ack_s = max(slowest_ack_s, time.monotonic() - acked_s)
            time.sleep(0.05)
        rows = shop.devices()
        assert {name for name in REASONS if not rows[name]["restarts"]} <= {"gives-nan"}, "each was started anew"
        assert {rows[name]["state"] for name in ("fridge", "hall", "door", "plug")} == {"good"}
        shop.well.touch()
        until(lambda: {row["state"] for row in shop.devices().values()} == {"good"}, "all are well again")
    finally:
        code = shop.end()
    assert code == 0, shop.program.said()[-2000:]
    assert slowest_s < shop.most_late_s
    assert slowest_ack_s < shop.most_late_s + COMMIT_S
    for channel, grid_s in (("fridge.temperature", GRID_S), ("hall.temperature", GRID_S), ("plug.n", 0.2)):
        assert off_grid_s(times_s(tmp_path, channel), grid_s) < shop.most_late_s, channel


FLOOD: Final = """
[[device]]
name = "chatty"
driver = "mqtt-json"
topic = "flood/chatty"
expect_s = 300
most_per_s = 100
channels = { n = {} }
"""


def gaps_of(folder: Path, reason: str) -> list[dict[str, Any]]:
    with Reader.open(folder / "var") as reader:
        return [json.loads(str(found.record.value)) for found in reader.find(f"gap.{reason}", "events")]


def test_a_sensor_that_floods_is_not_heard_for_a_while_and_the_others_are(tmp_path: Path, broker: Broker) -> None:
    shop = Shop(tmp_path, broker.port, [], FLOOD)
    shop.start()
    try:
        flooding = threading.Thread(target=shop.flood, args=("flood/chatty", 5.0))
        flooding.start()
        row = until(lambda: (r := shop.devices()["chatty"])["state"] == "bad" and r, "it is named")
        assert row["reason"] == "floods"
        assert row["restarts"] >= 1
        assert row["next_attempt_s"] <= 2.0
        until(lambda: shop.devices()["chatty"]["restarts"] >= 2, "it floods again")
        flooding.join()

        def is_well() -> bool:
            shop.say_once("flood/chatty")
            return bool(shop.devices()["chatty"]["state"] == "good")

        until(is_well, "it is heard again, and good")
    finally:
        code = shop.end()
    assert code == 0
    gaps = gaps_of(tmp_path, "flood")
    assert {channel for gap in gaps for channel in gap["channels"]} == {"chatty.n"}
    begun = {gap["from_mono_ms"] for gap in gaps}
    assert begun
    assert begun == {gap["from_mono_ms"] for gap in gaps if gap["to_mono_ms"]}, "each has an end"
    for channel, grid_s in (("fridge.temperature", GRID_S), ("hall.temperature", GRID_S), ("plug.n", 0.2)):
        assert off_grid_s(times_s(tmp_path, channel), grid_s) < shop.most_late_s, channel


STUCK: Final = """
[[device]]
name = "stuck"
driver = "sht4x"
bus = "sim+i2c://stuck.toml"
address = 0x45
interval_s = 0.5

[[device]]
name = "beside"
driver = "sht4x"
bus = "sim+i2c://stuck.toml"
interval_s = 0.5
"""
STUCK_SCENARIO: Final = """
[device.stuck]
fault = [{ kind = "timeout", start_s = 3, duration_s = 6 }]
"""


def test_a_bus_that_hangs_holds_up_those_on_it_by_one_deadline_and_nobody_else(tmp_path: Path, broker: Broker) -> None:
    (tmp_path / "stuck.toml").write_text(STUCK_SCENARIO)
    shop = Shop(tmp_path, broker.port, [], STUCK)
    shop.start()
    try:
        until(lambda: shop.devices()["stuck"]["state"] == "bad", "it hangs")
        until(lambda: shop.devices()["stuck"]["state"] == "good", "it is back")
    finally:
        assert shop.end() == 0
    for channel in ("fridge.temperature", "hall.temperature", "beside.temperature"):
        assert off_grid_s(times_s(tmp_path, channel), GRID_S) < shop.most_late_s, channel


def test_when_nothing_else_helps_the_gateway_ends_itself_in_order_and_says_why(tmp_path: Path, broker: Broker) -> None:
    shop = Shop(tmp_path, broker.port, [])
    shop.program.arguments.append("4")  # threads that it may have; it has more
    shop.program.start()
    assert shop.program.process is not None
    assert shop.program.process.wait(60) == 1
    assert "the gateway ends itself: it had" in shop.program.said()
    assert times_s(tmp_path, "fridge.temperature"), "what it had was committed"
    shop.program.arguments.pop()
    shop.start()
    try:
        assert "threads" in shop.ask()["last_end"]
    finally:
        assert shop.end() == 0
    with Reader.open(tmp_path / "var") as reader:
        starts = [json.loads(str(found.record.value)) for found in reader.find("gateway.start", "events")]
    assert ["after" in start for start in starts] == [False, True]
