"""What was said on a bus is written down, and said again."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from golmok_drivers import catalogue
from golmok_drivers.api import (
    BusClosed,
    BusError,
    BusUrlError,
    DriverError,
    EventDriver,
    MessageDriver,
    PolledDriver,
    failed,
)
from golmok_drivers.buses import open_bus
from golmok_drivers.buses.mqtttrace import standing_for
from golmok_drivers.buses.trace import TraceWriter, free_name, read_trace

PATH = {"path": "ENERGY.Power", "unit": "W"}
KINDS = sorted(
    (catalogue.load(name).info.bus, name)
    for name in catalogue.names(lambda group: [])
    if issubclass(catalogue.load(name), PolledDriver)
)


def scenario(folder: Path, name: str) -> None:
    """One device that is fine, then unplugged, then fine again: by real time."""
    kind = catalogue.load(name)
    settings = "\n".join(f"{key} = {toml(value)}" for key, value in kind.info.examples[0].items())
    (folder / "scenario.toml").write_text(
        f'[device.it]\ndriver = "{name}"\nbus = "{kind.info.bus}"\n'
        f'fault = [{{ kind = "crc", start_s = 0.6, duration_s = 0.6 }}]\n[device.it.settings]\n{settings}\n'
    )


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


async def watched(name: str, url: str, folder: Path, count: int, pause_s: float) -> list[Any]:
    kind = catalogue.load(name)
    driver = kind(msgspec.convert(dict(kind.info.examples[0]), kind.Settings))
    bus = open_bus(url, base=folder)
    assert isinstance(driver, PolledDriver)
    await driver.open(bus)
    seen: list[Any] = []
    for _ in range(count):
        try:
            seen.append(tuple(await driver.sample()))
        except DriverError as error:
            seen.append((*failed(driver.channels, error), str(error)))
        await asyncio.sleep(pause_s)
    await driver.close()
    await bus.close()
    return seen


@pytest.mark.parametrize(("bus", "name"), KINDS)
async def test_a_recorded_device_is_read_again_to_the_last_bit(tmp_path: Path, bus: str, name: str) -> None:
    if name == "flow":
        pytest.skip("its flow is a matter of the clock; see the next test")
    scenario(tmp_path, name)
    then = await watched(name, f"record+sim+{bus}://scenario.toml?to=trace.jsonl", tmp_path, 12, 0.12)
    now = await watched(name, f"replay+{bus}://trace.jsonl", tmp_path, 12, 0.0)
    strip = {"run-hours"}  # counted by the clock of the one who asks
    for one, other in zip(then, now, strict=True):
        assert [r for r in one if getattr(r, "quantity", "") not in strip] == [
            r for r in other if getattr(r, "quantity", "") not in strip
        ]
    assert any(isinstance(one[-1], str) for one in then), "the fault was recorded, too"


async def test_pulses_are_counted_again(tmp_path: Path) -> None:
    scenario(tmp_path, "flow")
    then = await watched("flow", "record+sim+gpio://scenario.toml?to=trace.jsonl", tmp_path, 5, 0.05)
    now = await watched("flow", "replay+gpio://trace.jsonl", tmp_path, 5, 0.0)
    assert [readings[0].value for readings in now][: len(then)] == [readings[0].value for readings in then]


async def test_a_contact_opens_and_closes_again(tmp_path: Path) -> None:
    (tmp_path / "scenario.toml").write_text(
        '[device.door]\ndriver = "contact"\nbus = "gpio"\nsettings = { pin = 17, debounce_s = 0.0 }\n'
        '[device.door.signal.open]\nkind = "steps"\nat = [[0, 0], [0.2, 1], [0.5, 0], [0.7, 1]]\n'
    )

    async def told(url: str) -> list[Any]:
        kind = catalogue.load("contact")
        driver = kind(msgspec.convert({"pin": 17, "debounce_s": 0.0}, kind.Settings))
        assert isinstance(driver, EventDriver)
        bus = open_bus(url, base=tmp_path)
        await driver.open(bus)
        events = driver.events()
        values = [(await asyncio.wait_for(anext(events), 5))[0].value for _ in range(4)]
        await driver.close()
        await bus.close()
        return values

    assert await told("record+sim+gpio://scenario.toml?to=door.jsonl") == [False, True, False, True]
    assert await told("replay+gpio://door.jsonl") == [False, True, False, True]


async def test_who_asks_otherwise_than_then_is_told_where(tmp_path: Path) -> None:
    trace = TraceWriter(tmp_path / "t.jsonl", "i2c", "i2c://1")
    trace.write("0x44", "xfer", (b"\xfd", 0), b"")
    trace.close()
    bus = open_bus("replay+i2c://t.jsonl", base=tmp_path)
    with pytest.raises(BusError, match="was asked xfer"):
        await bus.xfer(0x44, b"\x89")
    assert await bus.xfer(0x44, b"\xfd") == b""
    with pytest.raises(BusError, match="come to its end"):
        await bus.xfer(0x44, b"\xfd")
    await bus.close()
    with pytest.raises(BusClosed):
        await bus.xfer(0x44)


def test_a_trace_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    for text, word in (
        ("", "does not begin"),
        ("{}\n", "does not begin"),
        ('{"golmok": "trace", "version": 9}\n', "version 9"),
        ('{"golmok": "trace", "version": 1, "bus": "spi"}\n', "of a bus spi"),
        ('{"golmok": "trace", "version": 1, "bus": "i2c"}\nnonsense\n{}\n', "line 2"),
        ('{"golmok": "trace", "version": 1, "bus": "i2c"}\n{"t": 1}\n', "ok"),
    ):
        path.write_text(text)
        with pytest.raises(BusUrlError, match=word):
            read_trace(path, "i2c")
    with pytest.raises(BusUrlError, match="cannot be replayed"):
        read_trace(tmp_path / "none.jsonl", "i2c")


def test_a_trace_that_was_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    trace = TraceWriter(tmp_path / "t.jsonl", "i2c", "i2c://1")
    trace.write("0x44", "xfer", (b"", 1), b"\x01")
    trace.close()
    with (tmp_path / "t.jsonl").open("a") as file:
        file.write('{"t": 2.0, "dev')
    assert [event.result for event in read_trace(tmp_path / "t.jsonl", "i2c")] == ["01"]


def test_no_trace_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    for name in ("t.jsonl", "t-2.jsonl", "t-3.jsonl"):
        assert free_name(path).name == name
        TraceWriter(path, "i2c", "").close()


MESSAGES = [
    ("tele/plug/SENSOR", b'{"ENERGY":{"Power":12.5}}'),
    ("tele/plug/SENSOR", b'{"ENERGY":{"Pow'),
    ("tele/plug/SENSOR", b'{"Uptime":1}'),
    ("tele/plug/SENSOR", b'{"ENERGY":{"Power":13}}'),
]


async def test_messages_are_read_again_as_they_were_at_the_pace_at_which_they_came(tmp_path: Path) -> None:
    kind, example = catalogue.load("mqtt-json"), {"topic": "tele/+/SENSOR", "channels": {"power": PATH}}
    driver = kind(msgspec.convert(example, kind.Settings))
    assert isinstance(driver, MessageDriver)
    recording = standing_for(driver, None, tmp_path / "trace.jsonl")
    assert isinstance(recording, MessageDriver)
    assert (recording.topics(), recording.channels) == (driver.topics(), driver.channels)
    then: list[Any] = []
    for topic, payload in MESSAGES:
        try:
            then.append([*recording.decode(topic, payload)])
        except DriverError as error:
            then.append(failed(driver.channels, error))
        await asyncio.sleep(0.1)
    playing = standing_for(driver, "replay+mqtt://trace.jsonl", None)
    assert isinstance(playing, EventDriver)
    bus = open_bus("replay+mqtt://trace.jsonl", base=tmp_path)
    await playing.open(bus)
    events, began_s = playing.events(), time.monotonic()
    assert [[*await asyncio.wait_for(anext(events), 5)] for _ in MESSAGES] == then
    assert time.monotonic() - began_s >= 0.29
    silent = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.02)
    assert not silent.done(), "a device that has gone is silent"
    await bus.close()
    with pytest.raises(BusClosed):
        await silent


def test_where_no_trace_can_be_written_the_device_is_heard_all_the_same(tmp_path: Path) -> None:
    kind = catalogue.load("mqtt-json")
    driver = kind(msgspec.convert({"topic": "a/b", "channels": {"power": {}}}, kind.Settings))
    assert isinstance(driver, MessageDriver)
    assert standing_for(driver, None, tmp_path / "no folder" / "trace.jsonl") is driver


async def test_a_replayed_driver_hears_only_what_it_wants_to_hear(tmp_path: Path) -> None:
    trace = TraceWriter(tmp_path / "trace.jsonl", "mqtt", "mqtt://")
    for topic in ("other/SENSOR", "tele/plug/SENSOR"):
        trace.write(topic, "message", (), b'{"power":1}')
    kind = catalogue.load("mqtt-json")
    settings = msgspec.convert({"topic": "tele/plug/SENSOR", "channels": {"power": {}}}, kind.Settings)
    playing = standing_for(kind(settings), "replay+mqtt://trace.jsonl", None)  # type: ignore[arg-type]
    bus = open_bus("replay+mqtt://trace.jsonl", base=tmp_path)
    await playing.open(bus)
    assert isinstance(playing, EventDriver)
    events = playing.events()
    assert [reading.value for reading in await anext(events)] == [1]
    rest = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.02)
    assert not rest.done()
    rest.cancel()
    await bus.close()
