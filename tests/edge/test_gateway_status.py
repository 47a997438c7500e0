"""`golmok_edge.gateway.status`: how the gateway says it is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from golmok_cloud_sync.client import CourierState
from golmok_cloud_sync.protocol import Record
from golmok_edge.gateway.health import DeviceState
from golmok_edge.gateway.live import Live, newest_of
from golmok_edge.gateway.status import Parts, Rate, document
from golmok_edge.gateway.timekeeper import Timekeeper
from golmok_edge.settings import load, normal_silence_s
from golmok_edge.store import (
    GroupCommit,
    Refusal,
    Store,
    StoreFullError,
    StoreOverBudgetError,
    StoreReadOnlyError,
    StoreWriteError,
)

from .gateway_support import T0, HandClock, device, record
from .store_support import prepared

SETTINGS = """
[site]
gateway = "gw-0001"
name = "한옥카페"
[store]
path = "var"
[cloud]
url = "http://127.0.0.1:9"
[[device]]
name = "fridge"
driver = "ds18b20"
bus = "sim+w1://"
address = "28-00000a1b2c3d"
interval_s = 10
[[device]]
name = "plug"
driver = "mqtt-json"
topic = "tele/plug/SENSOR"
channels = { power = { unit = "W" }, voltage = { unit = "V" } }
expect_s = 300
"""


@dataclass
class Stage:
    """All that the status is told from."""

    parts: Parts
    clock: HandClock

    def commit(self, *records: Record) -> None:
        ranges = self.parts.store.append({"readings": records})
        self.parts.live.committed(newest_of(records, ranges["readings"]))

    def told(self, *, is_ready: bool = True) -> dict[str, Any]:
        told = document(self.parts, is_ready=is_ready, readings_per_s=1.5, used_bytes=4096)
        return dict(json.loads(json.dumps(told, allow_nan=False)))

    def told_of(self, name: str) -> dict[str, Any]:
        return next(row for row in self.told()["devices"] if row["name"] == name)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    file = tmp_path / "gateway.toml"
    file.write_text(SETTINGS, encoding="utf-8")
    settings, clock = load(file), HandClock(mono=1_000_000, wall=T0 + 1_000_000)
    store = Store.open(prepared(tmp_path / "var"))
    with store, GroupCommit(store, lambda _: None, lambda *_: None) as group:
        keeper = Timekeeper(clock)
        live, cloud = Live(clock, keeper, {}), CourierState(last_success_mono_ms=990_000, state="connected")
        devices = {"fridge": DeviceState()}
        yield Stage(Parts(settings, clock, keeper, store, group, live, None, cloud, devices, {}, []), clock)


def test_who_and_how(stage: Stage) -> None:
    told = stage.told(is_ready=False)
    assert (told["gateway"], told["name"], told["running"], told["ready"]) == ("gw-0001", "한옥카페", True, False)
    assert (told["clock_known"], told["boot"], told["mqtt"]) == (False, stage.clock.boot, None)
    assert (told["rates"], told["disk_full"], told["refused"]) == ({"readings_per_s": 1.5}, False, "")
    assert told["store"]["used_bytes"] == 4096


def test_what_waits_for_the_cloud(stage: Stage) -> None:
    stage.commit(*(record(mono_ms=at) for at in range(7)))
    stage.parts.store.note_acked("readings", 3)
    assert stage.told()["backlog"] == {"orders": 0, "events": 0, "files": 0, "readings": 4}
    assert stage.told()["store"]["tail"]["readings"] == 7


def test_the_way_to_the_cloud(stage: Stage) -> None:
    told = stage.told()["cloud"]
    assert (told["url"], told["reachable"], told["last_ok_s"]) == ("http://127.0.0.1:9", True, 10.0)


@pytest.mark.parametrize(
    ("error", "reason", "is_full"),
    [
        (StoreFullError("no room is left"), "disk-full", True),
        (StoreOverBudgetError("all that it may have"), "budget", True),
        (StoreReadOnlyError("only to be read"), "read-only", False),
        (StoreWriteError("the card is gone"), "error", False),
    ],
)
def test_why_the_disk_refuses_is_told(stage: Stage, error: Exception, reason: str, is_full: bool) -> None:
    group = stage.parts.group
    assert stage.told()["store"]["refusing"] is None
    since_s = time.monotonic() - 90
    group.refusals["telemetry"] = Refusal(error, since_s, 7)
    told = stage.told()
    assert (told["disk_full"], told["refused"]) == (is_full, str(error))
    refusing = told["store"]["refusing"]
    assert (refusing["lanes"], refusing["reason"], refusing["records"]) == (["telemetry"], reason, 7)
    assert (refusing["since"], 90 <= refusing["for_s"] < 600) == (None, True)


def test_what_is_missing_is_told_as_the_ledger_has_it(stage: Stage) -> None:
    row = {"device": "fridge", "channels": ["fridge.temperature"], "reason": "silent", "for_s": 20.0}
    stage.parts.gaps.append(row)
    assert stage.told()["gaps"] == [row]


def test_a_wired_device_is_as_its_task_says(stage: Stage) -> None:
    state = stage.parts.devices["fridge"]
    assert stage.told_of("fridge")["state"] == "starting"
    state.state, state.reason, state.detail = "bad", "crc", "scratchpad"
    assert stage.told_of("fridge") | {"state": "bad", "reason": "crc", "bus": "sim+w1://"} == stage.told_of("fridge")


def test_a_device_on_the_bus_is_silent_when_it_is_so_for_too_long(stage: Stage) -> None:
    assert stage.told_of("plug")["state"] == "starting"
    stage.commit(record("plug.power", 5.0, mono_ms=1_000_000))
    assert (stage.told_of("plug")["state"], stage.told_of("plug")["age_s"]) == ("good", 0.0)
    stage.clock.pass_ms(300_001)
    assert (stage.told_of("plug")["state"], stage.told_of("plug")["reason"]) == ("bad", "silent")


def test_a_device_on_the_bus_that_sends_nonsense_is_not_well(stage: Stage) -> None:
    bad = record("plug.power", None, 1_000_000, quality="bad", reason="parse")
    stage.commit(record("plug.voltage", 220.0, 1_000_000), bad)
    assert (stage.told_of("plug")["state"], stage.told_of("plug")["reason"]) == ("bad", "parse")
    stage.commit(record("plug.power", 5.0, 1_000_000))
    assert stage.told_of("plug")["state"] == "good"


def test_a_device_of_which_only_old_news_is_known_has_an_unknown_age(stage: Stage) -> None:
    stage.commit(record("plug.power", 5.0, waited_ms=None))
    assert (stage.told_of("plug")["state"], stage.told_of("plug")["age_s"]) == ("good", None)


def test_the_normal_silence() -> None:
    assert normal_silence_s(device("a", interval_s=1)) == 6
    assert normal_silence_s(device("a", interval_s=10)) == 25
    assert normal_silence_s(device("a", expect_s=300.0)) == 300
    assert normal_silence_s(device("a")) is None


def test_the_rate_is_that_of_the_last_minute_and_takes_no_room() -> None:
    now = [0.0]
    rate = Rate(lambda: now[0])
    assert rate.per_s() == 0
    rate.add(5)
    assert rate.per_s() == 5, "less than a second counts as one"
    for second in range(1, 10_000):
        now[0] = float(second)
        rate.add(2)
    assert rate.per_s() == pytest.approx(2, rel=0.05)
    assert len(rate) < 100, "also when nobody asks"
    now[0] += 61
    assert rate.per_s() == 0
