"""What every driver owes the gateway, shown on its own twin: one suite, each in-tree driver.

A driver that is added to the catalogue runs here at once; only an example of its settings must be added below.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from golmok_drivers import catalogue
from golmok_drivers.api import (
    Driver,
    DriverError,
    EventDriver,
    MessageDriver,
    PolledDriver,
    Reading,
    failed,
    is_unit,
)
from golmok_drivers.buses import open_bus
from golmok_drivers.twins import SimDevice, Simulation, simulate

EXAMPLES: dict[str, dict[str, Any]] = {
    "sht4x": {"address": 0x44},
    "ds18b20": {"address": "28-00000a1b2c3d"},
    "contact": {"pin": 17, "debounce_s": 0.01},
    "bthome": {"address": "A4:C1:38:0B:5E:ED"},
    "ruuvi": {"address": "CB:B8:33:4C:88:4F"},
    "ibeacon": {"uuid": "f7826da6-4fa2-4e98-8024-bc5b71e0893e"},
    "ble-button": {"address": "38:39:8F:A1:0B:5E", "key": "231d39c1d7cc1ab1aee224cd096db932"},
    "ble-pager": {"address": "D4:3A:2C:10:77:01", "key": "7b1f6c0d3a5e48929d04c6f1b7e2a835"},
    "mqtt-json": {"topic": "tele/plug/SENSOR", "channels": {"power": {"path": "ENERGY.Power", "unit": "W"}, "on": {}}},
}
NEIGHBOURS: dict[str, dict[str, Any]] = {
    "sht4x": {"address": 0x45},
    "ds18b20": {"address": "28-00000a1b2c3e"},
    "contact": {"pin": 27, "debounce_s": 0.01},
}
URLS = {"i2c": "i2c://1", "w1": "w1://0", "gpio": "gpio://", "ble": "ble://hci0", "mqtt": ""}
REASONS = {
    "nack", "crc", "timeout", "range", "reset", "not-ready", "unplugged", "parse", "bus", "shorted", "closed", "time",
}  # fmt: skip

ALL = catalogue.names(lambda group: [])
POLLED = [name for name in ALL if issubclass(catalogue.load(name), PolledDriver)]
EVENTS = [
    name
    for name in ALL
    if issubclass(catalogue.load(name), EventDriver) and catalogue.load(name).info.bus != "ble"  # test_ble_conformance
]
MESSAGES = [name for name in ALL if issubclass(catalogue.load(name), MessageDriver)]
ON_A_BUS = [*POLLED, *EVENTS]

FAULTS_OF_A_POLL = [
    ("i2c", "nack", "nack"),
    ("i2c", "unplugged", "nack"),
    ("i2c", "crc", "crc"),
    ("i2c", "garbage", "crc"),
    ("i2c", "not-ready", "nack"),
    ("i2c", "reset", "nack"),
    ("i2c", "timeout", "timeout"),
    ("w1", "nack", "unplugged"),
    ("w1", "unplugged", "unplugged"),
    ("w1", "crc", "crc"),
    ("w1", "garbage", "crc"),
    ("w1", "not-ready", "not-ready"),
    ("w1", "reset", "reset"),
    ("w1", "timeout", "timeout"),
]


class Shop:
    """A driver on its twin (and a neighbour of the same kind), with a clock that stands where we put it."""

    def __init__(self, folder: Path, name: str, *faults: dict[str, Any]) -> None:
        self.now = 0.0
        self.kind = catalogue.load(name)
        self.ledger = folder / "ledger.jsonl"
        scenario = {"device": {"it": {"fault": list(faults)}}}
        (folder / "scenario.toml").write_text(_toml(scenario["device"]["it"]["fault"]))
        url = URLS[self.kind.info.bus]
        devices = [SimDevice("it", name, url, self.settings(EXAMPLES[name]))]
        if name in NEIGHBOURS:
            devices.append(SimDevice("neighbour", name, url, self.settings(NEIGHBOURS[name])))
        self.simulation: Simulation = simulate(
            devices, base=folder, scenario="scenario.toml", ledger=self.ledger, clock=lambda: 43_200 + self.now
        )
        self.driver: Driver = self.kind(devices[0].settings)
        self.neighbour: Driver | None = self.kind(devices[1].settings) if name in NEIGHBOURS else None
        self.bus: Any = open_bus(url, base=folder, simulation=self.simulation) if url else None

    def settings(self, table: dict[str, Any]) -> Any:
        return msgspec.convert(table, self.kind.Settings)

    def given(self) -> list[tuple[str, Any]]:
        """What the twin says it gave (not what the neighbour did)."""
        lines = [json.loads(line) for line in self.ledger.read_text().splitlines()]
        return [(line["quantity"], line["value"]) for line in lines if line["device"] == "it"]

    async def read(self) -> Sequence[Reading]:
        """What the gateway would store: readings, or bad ones for the error's reason."""
        assert isinstance(self.driver, PolledDriver)
        try:
            return await self.driver.sample()
        except DriverError as error:
            return failed(self.driver.channels, error)


def _toml(faults: list[dict[str, Any]]) -> str:
    return "".join(
        "[[device.it.fault]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in fault.items())
        for fault in faults
    )


@asynccontextmanager
async def shop(folder: Path, name: str, *faults: dict[str, Any]) -> AsyncIterator[Shop]:
    """An open shop."""
    it = Shop(folder, name, *faults)
    if it.bus:
        await it.driver.open(it.bus)
        if it.neighbour:
            await it.neighbour.open(it.bus)
    try:
        yield it
    finally:
        await it.driver.close()
        if it.bus:
            await it.bus.close()
        it.simulation.close()


def is_sound(reading: Reading, driver: Driver) -> bool:
    """What may be stored: a known quantity, a plain value, a reason exactly when it is not good."""
    return (
        reading.quantity in {channel.quantity for channel in driver.channels}
        and isinstance(reading.value, bool | int | float | str | None)
        and not (isinstance(reading.value, float) and not math.isfinite(reading.value))
        and (reading.reason in REASONS if reading.quality != "good" else reading.reason == "")
    )


def of_bus(name: str) -> list[tuple[str, str]]:
    bus = catalogue.load(name).info.bus
    return [(fault, reason) for kind, fault, reason in FAULTS_OF_A_POLL if kind == bus]


POLL_CASES = [(name, fault, reason) for name in POLLED for fault, reason in of_bus(name)]


def test_every_driver_has_an_example_here() -> None:
    assert sorted(EXAMPLES) == ALL


@pytest.mark.parametrize("name", ALL)
def test_channels_are_stated_in_units_and_ranges_that_make_sense(name: str) -> None:
    kind = catalogue.load(name)
    channels = kind(msgspec.convert(EXAMPLES[name], kind.Settings)).channels
    assert channels
    assert len({channel.quantity for channel in channels}) == len(channels)
    for channel in channels:
        assert is_unit(channel.unit)
        assert channel.low is None or channel.high is None or channel.low < channel.high
    assert issubclass(kind, PolledDriver) == (kind.info.interval_s is not None)


@pytest.mark.parametrize("name", ALL)
def test_unknown_settings_are_refused(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="adress"):
        msgspec.convert(EXAMPLES[name] | {"adress": 1}, catalogue.load(name).Settings)


@pytest.mark.parametrize("name", POLLED)
async def test_a_healthy_device_gives_each_channel_once_in_order_as_the_twin_says(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        got: list[Reading] = []
        for it.now in (0, 60, 3600, 86_400):
            readings = await it.read()
            assert [reading.quantity for reading in readings] == [channel.quantity for channel in it.driver.channels]
            got += readings
        assert all(reading.quality == "good" and is_sound(reading, it.driver) for reading in got)
        assert [(reading.quantity, reading.value) for reading in got] == it.given()


@pytest.mark.parametrize("name", ON_A_BUS)
async def test_probe_says_who_is_there(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        identity = await it.driver.probe()
        assert identity.part
        assert await it.driver.probe() == identity


@pytest.mark.parametrize("name", [name for name in POLLED if catalogue.load(name).info.bus in ("i2c", "w1")])
async def test_probe_of_nobody_is_an_error(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name, {"kind": "unplugged"}) as it:
        with pytest.raises(DriverError):
            await it.driver.probe()


@pytest.mark.parametrize(("name", "fault", "reason"), POLL_CASES)
async def test_a_fault_is_named_disturbs_nobody_and_is_over_when_it_is_over(
    tmp_path: Path, name: str, fault: str, reason: str
) -> None:
    async with shop(tmp_path, name, {"kind": fault, "start_s": 10, "duration_s": 10}) as it:
        assert all(reading.quality == "good" for reading in await it.read())
        before = it.given()
        it.now = 15
        bad = await it.read()
        assert [(reading.value, reading.quality, reading.reason) for reading in bad] == [
            (None, "bad", reason) for _ in it.driver.channels
        ]
        assert it.given() == before, "what was spoiled was not given"
        assert isinstance(it.neighbour, PolledDriver)
        assert all(reading.quality == "good" for reading in await it.neighbour.sample())
        it.now = 25
        assert await recovers(it)
        assert len(it.given()) == 2 * len(before)


async def recovers(it: Shop) -> bool:
    """Whether it reads good values again (a device that hung rests for a second or two first)."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if all(reading.quality == "good" for reading in await it.read()):
            return True
        await asyncio.sleep(0.05)
    return False


@pytest.mark.parametrize("name", POLLED)
async def test_a_device_that_hangs_delays_its_neighbour_less_than_a_second(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name, {"kind": "timeout"}) as it:
        assert isinstance(it.neighbour, PolledDriver)
        hanging = [asyncio.create_task(it.read()) for _ in range(3)]
        await asyncio.sleep(0)
        slowest = 0.0
        for _ in range(20):
            started = time.monotonic()
            assert all(reading.quality == "good" for reading in await it.neighbour.sample())
            slowest = max(slowest, time.monotonic() - started)
            await asyncio.sleep(0.05)
        assert slowest < 1.0
        for readings in await asyncio.gather(*hanging):
            assert {reading.reason for reading in readings} == {"timeout"}


@pytest.mark.parametrize("name", POLLED)
async def test_a_value_that_does_not_move_is_given_as_it_is(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name, {"kind": "stuck", "start_s": 0}) as it:
        seen = set()
        for it.now in (0, 100, 1000, 5000):
            seen.add(tuple(await it.read()))
        assert len(seen) == 1
        assert len(it.given()) == 4 * len(it.driver.channels)


@pytest.mark.parametrize("name", POLLED)
async def test_beyond_its_range_a_value_is_bad_but_shown(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name, {"kind": "range"}) as it:
        readings = await it.read()
        assert any((reading.quality, reading.reason) == ("bad", "range") for reading in readings)
        assert all(is_sound(reading, it.driver) and reading.value is not None for reading in readings)
        assert [(reading.quantity, reading.value) for reading in readings] == it.given()


@pytest.mark.parametrize("name", POLLED)
async def test_unplugged_from_the_start_and_plugged_in_later(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name, {"kind": "unplugged", "start_s": 0, "duration_s": 10}) as it:
        for _ in range(3):
            assert all(reading.quality == "bad" for reading in await it.read())
        it.now = 11
        assert all(reading.quality == "good" for reading in await it.read())


@pytest.mark.parametrize("name", POLLED)
async def test_faults_one_after_another_leave_no_trace(tmp_path: Path, name: str) -> None:
    kinds = [fault for fault, _ in of_bus(name) if fault != "timeout"]
    faults = [{"kind": kind, "start_s": 10 * place, "duration_s": 5} for place, kind in enumerate(kinds, 1)]
    async with shop(tmp_path, name, *faults) as it:
        for place in range(1, len(kinds) + 1):
            it.now = 10 * place + 2
            assert all(reading.quality == "bad" for reading in await it.read())
            it.now = 10 * place + 7
            assert all(reading.quality == "good" for reading in await it.read())


@pytest.mark.parametrize("name", POLLED)
async def test_cancelled_at_any_moment_it_measures_again(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        got = 0
        for delay in range(0, 30, 3):
            task = asyncio.create_task(it.read())
            await asyncio.sleep(delay / 2000)
            task.cancel()
            with suppress(asyncio.CancelledError):
                got += len(await task)
        readings = await it.read()
        assert all(reading.quality == "good" for reading in readings)
        assert len(it.given()) == got + len(readings), "given is what arrived"


@pytest.mark.parametrize("name", ON_A_BUS)
async def test_closing_twice_and_opening_again(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        await it.driver.close()
        await it.driver.close()
        await it.driver.open(it.bus)
        if isinstance(it.driver, PolledDriver):
            assert all(reading.quality == "good" for reading in await it.read())


@pytest.mark.parametrize("name", ALL)
async def test_closing_what_was_never_opened(name: str) -> None:
    kind = catalogue.load(name)
    driver = kind(msgspec.convert(EXAMPLES[name], kind.Settings))
    await driver.close()
    await driver.close()


@pytest.mark.parametrize("name", POLLED)
async def test_on_a_closed_bus_it_fails_by_name(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        running = asyncio.create_task(it.read())
        await asyncio.sleep(0)
        await it.bus.close()
        await it.bus.close()
        assert {reading.reason for reading in await running} == {"closed"}
        assert {reading.reason for reading in await it.read()} == {"closed"}


@pytest.mark.parametrize("name", EVENTS)
async def test_events_begin_with_the_state_and_tell_each_change(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name, {"kind": "bounce"}) as it:
        assert isinstance(it.driver, EventDriver)
        told: list[Reading] = []
        events = it.driver.events()
        told += await asyncio.wait_for(anext(events), 5)
        while len(told) < 9:
            waiting = asyncio.ensure_future(anext(events))
            while not waiting.done():
                it.now += 2
                await asyncio.sleep(0.03)
            told += waiting.result()
        assert all(reading.quality == "good" and is_sound(reading, it.driver) for reading in told)
        assert all(one.value != other.value for one, other in pairwise(told))
        assert [(reading.quantity, reading.value) for reading in told] == it.given()


@pytest.mark.parametrize("name", EVENTS)
async def test_events_after_the_consumer_was_cancelled(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        assert isinstance(it.driver, EventDriver)
        events = it.driver.events()
        await anext(events)
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        again = await asyncio.wait_for(anext(it.driver.events()), 5)
        assert again[0].quality == "good", "a new consumer begins with the state"


@pytest.mark.parametrize("name", EVENTS)
async def test_events_end_at_close(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        assert isinstance(it.driver, EventDriver)
        task = asyncio.create_task(_consume(it.driver))
        await asyncio.sleep(0.02)
        await it.driver.close()
        await asyncio.wait_for(task, 5)


async def _consume(driver: EventDriver) -> None:
    async for _ in driver.events():
        pass


@pytest.mark.parametrize("name", MESSAGES)
async def test_messages_are_read_as_the_twin_means_them(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        assert isinstance(it.driver, MessageDriver)
        assert it.driver.topics()
        twin: Any = it.simulation._others["it"].twin
        for it.now in range(0, 1000, 50):
            publication = twin.publish()
            readings = it.driver.decode(publication.topic, publication.payload)
            assert all(reading.quality == "good" and is_sound(reading, it.driver) for reading in readings)
            assert tuple((reading.quantity, reading.value) for reading in readings) == publication.given


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'"x"',
        b"{" * 100_000,
        b"[" * 100_000,
        b" " * 300_000,
        b"1e400",
    ],
    ids=lambda payload: repr(payload[:8]),
)
async def test_no_message_breaks_a_driver(tmp_path: Path, name: str, payload: bytes) -> None:
    async with shop(tmp_path, name) as it:
        assert isinstance(it.driver, MessageDriver)
        with suppress(DriverError):
            readings = it.driver.decode("any/topic", payload)
            assert all(is_sound(reading, it.driver) for reading in readings)
