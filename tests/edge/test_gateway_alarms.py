"""Alarms of a running gateway: from a twin's value to an event on disk, over kill -9, to the list and the buzzer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from golmok_cloud_sync.protocol.alarms import Alarm, parse
from golmok_cloud_sync.web.alarms import heading, sentence
from golmok_drivers.api import BusError
from golmok_edge.gateway.cli import ask, main
from golmok_edge.gateway.outputs import Outputs, Switch
from golmok_edge.settings import Settings, load
from golmok_edge.store import Reader
from tests.edge.running import Program, until

SETTINGS = """
[site]
gateway = "gw-1"
name = "한옥카페"

[store]
path = "var"
commit_interval_s = 0.05

[[device]]
name = "fridge"
title = "음료 냉장고"
driver = "ds18b20"
bus = "sim+w1://day.toml"
address = "28-00000a1b2c3d"
interval_s = 0.1
limits = { temperature = { high = 8.0, for_s = 0.5, hysteresis = 1.0 } }

[[rule]]
name = "fridge-lost"
kind = "silence"
channel = "fridge.temperature"
for_s = 2
"""


def scenario(folder: Path, celsius: float, fault: str = "") -> None:
    (folder / "day.toml").write_text(
        f'[device.fridge]\n{fault}\n[device.fridge.signal.temperature]\nkind = "constant"\nvalue = {celsius}\n'
    )


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    (tmp_path / "gateway.toml").write_text(SETTINGS)
    scenario(tmp_path, 12.0)
    return load(tmp_path / "gateway.toml")


def gateway(settings: Settings) -> Program:
    return Program("golmok_edge.gateway.cli", ["run", "--config", str(settings.file)], settings.file.parent / "log")


def alarms(settings: Settings) -> list[dict[str, Any]]:
    try:
        return list(ask(settings, {"get": "alarms"})["alarms"])
    except OSError:
        return []


def told(settings: Settings) -> list[Alarm]:
    with Reader.open(settings.store.path) as reader:
        return [alarm for one in reader.everything("events") if (alarm := parse(one.record))]


def test_an_alarm_survives_kills_is_acknowledged_and_cleared_once(shop: Settings) -> None:
    with gateway(shop) as program:
        (row,) = until(lambda: alarms(shop), "an alarm")
        assert (row["state"], row["what"], row["value"], row["limit"]) == ("raised", "high", 12.0, 8.0)
        until(lambda: told(shop), "the alarm on disk")
        program.kill()
    for _ in range(2):
        with gateway(shop) as program:
            (again,) = until(lambda: alarms(shop), "the same alarm")
            assert (again["id"], again["ts"]) == (row["id"], row["ts"])
            until(lambda: ask(shop, {"get": "status"})["rates"]["readings_per_s"] > 0, "readings")
            time.sleep(1.0)
            program.kill()
    scenario(shop.file.parent, 7.5)
    with gateway(shop):
        until(lambda: alarms(shop), "the alarm, which is near its limit")
        assert ask(shop, {"do": "acknowledge", "alarm": row["id"], "by": "민지"})["alarm"]["changed"]
        time.sleep(0.5)
    scenario(shop.file.parent, 4.0)
    with gateway(shop):
        until(lambda: [one for one in alarms(shop) if one["state"] == "cleared"], "the end of the alarm")
    assert [(one.state, one.id, one.is_acknowledged) for one in told(shop)] == [
        ("raised", row["id"], False),
        ("acknowledged", row["id"], True),
        ("cleared", row["id"], True),
    ]


def test_bad_values_raise_silence_and_no_limit(shop: Settings) -> None:
    scenario(shop.file.parent, 12.0, 'fault = [{ kind = "crc", start_s = 0, duration_s = 600 }]')
    with gateway(shop):
        (row,) = until(lambda: alarms(shop), "an alarm")
        assert (row["rule"], row["what"]) == ("fridge-lost", "silent")


def test_the_command_lists_and_acknowledges(shop: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    config = ["--config", str(shop.file)]
    with gateway(shop):
        (row,) = until(lambda: alarms(shop), "an alarm")
        assert main(["alarms", "list", *config, "--lang", "ko"]) == 0
        line = capsys.readouterr().out
        assert row["id"] in line
        assert "음료 냉장고 온도 12.0 °C: 8.00 °C보다 높음" in line
        assert main(["alarms", "acknowledge", "fridge.temperature", *config, "--by", "민지", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["alarm"]["by"] == "민지"
        assert main(["alarms", "acknowledge", "nothing", *config]) == 1
        assert row["id"] in capsys.readouterr().err
    assert main(["alarms", "list", *config, "--json"]) == 0  # of a gateway that does not run
    document = json.loads(capsys.readouterr().out)
    assert (document["running"], document["alarms"][0]["state"]) == (False, "acknowledged")
    assert main(["alarms", "acknowledge", row["id"], *config]) == 1
    assert "does not run" in capsys.readouterr().err


# --- outputs


class Horn:
    """An output that notes what it was told, and fails when it is told to."""

    def __init__(self) -> None:
        self.said: list[bool] = []
        self.error: Exception | None = None
        self.hangs = False

    async def set(self, on: bool) -> None:
        if self.hangs:
            await asyncio.sleep(60)
        if self.error:
            raise self.error
        self.said.append(on)


async def eventually(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # what it waits for knows of no event
            await asyncio.sleep(0.01)


async def switching(outputs: Outputs, horn: Horn, lamp: Horn) -> None:
    running = asyncio.create_task(outputs.run())
    await eventually(lambda: horn.said == [False])
    outputs.want(frozenset({"horn"}))
    await eventually(lambda: horn.said[-1])
    horn.error, lamp.hangs = BusError("no pin"), True
    outputs.want(frozenset({"lamp"}))
    await eventually(lambda: {row["detail"] for row in outputs.rows() if row["device"] == "horn"} == {"no pin"})
    horn.error, lamp.hangs = None, False
    await eventually(lambda: lamp.said[-1] and not horn.said[-1])  # tried again by itself
    running.cancel()
    await asyncio.wait([running])
    assert not lamp.said[-1]  # at the end nothing is left on


def test_outputs_are_switched_tried_again_and_off_at_the_end() -> None:
    horn, lamp = Horn(), Horn()
    outputs = Outputs({"horn": horn, "lamp": lamp, "motor": Horn()}, frozenset({"horn", "lamp", "gone"}))
    asyncio.run(switching(outputs, horn, lamp))
    assert [row["device"] for row in outputs.rows()] == ["gone", "horn", "lamp"]
    assert outputs.rows()[0]["detail"] == "cannot be switched"


class Relay:
    """A device that is told things, and forgets them when it is opened anew."""

    def __init__(self) -> None:
        self.restarts, self.told = 0, list[bool]()

    async def command(self, quantity: str, value: bool) -> None:
        self.told.append(value)


def test_a_device_is_told_what_is_new_to_it_and_again_when_it_has_forgotten() -> None:
    relay = Relay()
    switch = Switch(relay, "on")

    async def play() -> None:
        for on in (False, True, True):
            await switch.set(on)
        relay.restarts = 1
        for on in (True, False, False):
            await switch.set(on)

    asyncio.run(play())
    assert relay.told == [True, True, False]


def test_a_rule_switches_a_relay_of_the_gateway_until_it_is_acknowledged(shop: Settings) -> None:
    text = SETTINGS.replace("hysteresis = 1.0 }", 'hysteresis = 1.0, outputs = ["horn"] }')
    shop.file.write_text(
        f'{text}\n[[device]]\nname = "horn"\ndriver = "relay"\nbus = "sim+gpio://day.toml"\npin = 22\n'
    )
    settings = load(shop.file)
    with gateway(settings):
        (row,) = until(lambda: [one for one in alarms(settings) if one["what"] == "high"], "an alarm")
        until(lambda: horn(settings) is True, "the horn")
        ask(settings, {"do": "acknowledge", "alarm": row["id"], "by": ""})
        until(lambda: horn(settings) is False, "silence")


def horn(settings: Settings) -> object:
    rows = ask(settings, {"get": "latest"})["channels"]
    return next((row["value"] for row in rows if row["channel"] == "horn.on"), None)


# --- words


def sentences() -> Iterator[Alarm]:
    for what in ("high", "silent", "left", "too-hot", "gateway-silent", "something-new"):
        yield Alarm(
            "1",
            "rule",
            "raised",
            what,
            channel="kiln.temperature",
            title="가마",
            value=1300.0,
            unit="Cel",
            limit=1280.0,
        )


@pytest.mark.parametrize("alarm", list(sentences()), ids=lambda alarm: alarm.what)
def test_an_alarm_has_a_sentence_in_both_languages(alarm: Alarm) -> None:
    korean, english = sentence("ko", alarm), sentence("en", alarm)
    assert korean.startswith("가마 온도")
    assert english.startswith("가마 Temperature")
    assert "{" not in korean + english
    assert heading("ko", alarm) == "주의"
    assert heading("en", alarm._replace(state="cleared")) == "Over"
