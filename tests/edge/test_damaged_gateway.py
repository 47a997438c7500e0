"""A real gateway whose store is damaged, while it is stopped and while it runs: it goes on, and the rest arrives."""

from __future__ import annotations

import json
import random
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from golmok_drivers.buses.mqtt import Callbacks, Mqtt
from golmok_edge.demo.broker import Broker
from golmok_edge.store.pagefile import PAGE_BYTES

from .running import Cloud, Gateway, until

SETTINGS = """
[site]
gateway = "gw-0001"
[store]
path = "var"
commit_interval_s = 0.1
[mqtt]
port = {broker}
[cloud]
url = "{cloud}"
interval_s = 1
[[device]]
name = "plug"
driver = "mqtt-json"
topic = "tele/plug"
expect_s = 300
channels = {{ power = {{ path = "p", unit = "W" }} }}
"""


class Plug:
    """Publishes numbers, each once."""

    def __init__(self, broker: Broker) -> None:
        up = threading.Event()
        self._mqtt = Mqtt("plug", Callbacks(on_connect=lambda _: up.set()), keep_session=False)
        self._mqtt.connect(broker.host, broker.port)
        assert up.wait(20)
        self.said = 0

    def say(self, count: int, pause_s: float = 0.0) -> None:
        for _ in range(count):
            self.said += 1
            self._mqtt.publish("tele/plug", json.dumps({"p": self.said}).encode()).result(60)
            time.sleep(pause_s)

    def close(self) -> None:
        self._mqtt.close()


class Shop:
    """A broker, a plug, a gateway and its cloud."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.plug = Plug(broker)
        self.cloud = Cloud(folder)
        settings = SETTINGS.format(broker=broker.port, cloud=self.cloud.url)
        self.gateway = Gateway(folder / "gw", settings)
        self.var = folder / "gw" / "var"
        self.file = self.var / "store.db"

    def stored(self) -> int:
        return int(self.gateway.status().get("store", {}).get("tail", {}).get("readings", 0))

    def arrived(self) -> list[int]:
        return [row["value"] for row in self.cloud.rows("gw-0001")]

    def quarantined(self) -> int:
        """Readings that are named as gone for good."""
        gaps = self.cloud.rows("gw-0001", "gaps")
        return sum(g["count"] or 0 for g in gaps if g["reason"] == "quarantined" and g["stream"] == "readings")

    def events(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(row["value"]) for row in self.cloud.rows("gw-0001", "events") if row["channel"] == name]

    def wait_salvaged(self) -> None:
        def done() -> bool:
            status = self.gateway.status()
            asides = status.get("store", {}).get("set_aside", [])
            return (
                bool(asides) and all(one["state"] == "done" for one in asides) and not any(status["backlog"].values())
            )

        until(done, f"salvaged and sent; it said {self.gateway.said()[-1500:]}", 90.0)

    def assert_all_accounted_for(self) -> None:
        """Each number once, or named as gone."""
        found = self.arrived()
        assert len(found) == len(set(found)), "doubled"
        missing = set(range(1, self.plug.said + 1)) - set(found)
        assert len(missing) <= self.quarantined()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Broker.start(tmp_path / "bus") as broker:
        shop = Shop(tmp_path, broker)
        try:
            yield shop
        finally:
            for program in (shop.gateway, shop.cloud):
                if program.process is not None:
                    program.end()
            shop.plug.close()


def spoil(file: Path, pages: list[int], seed: int = 5) -> None:
    """Write noise over pages, as a worn card does."""
    dice = random.Random(seed)
    with file.open("r+b") as out:
        for page in pages:
            out.seek((page - 1) * PAGE_BYTES)
            out.write(dice.randbytes(PAGE_BYTES))


def fill(shop: Shop, rounds: int = 40) -> None:
    """A backlog of many commits, while the cloud is away."""
    shop.gateway.start().wait_ready()
    for _ in range(rounds):
        shop.plug.say(20)
    until(lambda: shop.stored() == shop.plug.said, "all is stored")


@pytest.mark.parametrize("pages", [[1, 2, 3, 4], "late"])
def test_a_store_that_was_damaged_while_the_gateway_was_off(shop: Shop, pages: Any) -> None:
    fill(shop)
    shop.gateway.end()
    count = shop.file.stat().st_size // PAGE_BYTES
    spoil(shop.file, [count - 4, count - 3] if pages == "late" else pages)
    shop.gateway.start()
    began = time.monotonic()
    shop.plug.say(5)
    shop.gateway.wait_ready()
    until(lambda: shop.stored() > 0, "it takes again")
    taken_s = time.monotonic() - began
    shop.cloud.start()
    if pages != "late" or (shop.var / "damaged-1").exists():
        shop.wait_salvaged()
        assert shop.events("store.set-aside")
        assert shop.events("store.salvaged")
    until(lambda: shop.plug.said <= len(set(shop.arrived())) + shop.quarantined(), "all arrived or is named")
    shop.assert_all_accounted_for()
    print(f"took again after {taken_s:.1f} s; {shop.quarantined()} named as gone")


def test_a_store_that_is_damaged_under_a_running_gateway(shop: Shop) -> None:
    fill(shop)
    spoil(shop.file, list(range(2, shop.file.stat().st_size // PAGE_BYTES + 1, 2)))
    shop.cloud.start()
    shop.plug.say(5)
    shop.wait_salvaged()
    shop.plug.say(5)
    until(lambda: shop.plug.said <= len(set(shop.arrived())) + shop.quarantined(), "all arrived or is named")
    shop.assert_all_accounted_for()
    assert shop.events("store.set-aside")[0]["epoch"]
    assert shop.gateway.process is not None
    assert shop.gateway.process.poll() is None


def test_a_store_whose_file_is_nothing_but_noise(shop: Shop) -> None:
    fill(shop, 3)
    shop.gateway.end()
    shop.file.write_bytes(random.Random(1).randbytes(100_000))
    shop.gateway.start().wait_ready()
    shop.plug.say(5)
    shop.cloud.start()
    shop.wait_salvaged()
    assert set(shop.arrived()) == set(range(61, 66))
    assert shop.quarantined() == 60, "its mark says how many there were"
    shutil.rmtree(shop.var / "damaged-1")
