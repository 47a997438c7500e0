"""What every driver owes the gateway, shown on its own twin: one suite, each in-tree driver.

A driver that is added to the catalogue runs here at once, with the examples of its `info`. Its twin may say in `faults`
what its part adds to the faults of its bus: a fault and the reason that is then seen ("" where it is no fault to it).
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from golmok_drivers import catalogue
from golmok_drivers.api import (
    BusBackoff,
    BusTimeout,
    CommandError,
    Driver,
    DriverError,
    EventDriver,
    MessageDriver,
    OutputDriver,
    PolledDriver,
    Reading,
    failed,
    is_unit,
)
from golmok_drivers.buses import open_bus
from golmok_drivers.buses.url import EXAMPLES as BUS_EXAMPLES
from golmok_drivers.twins import SimDevice, Simulation, simulate

ALL = catalogue.names(lambda group: [])
EXAMPLES: dict[str, dict[str, Any]] = {name: dict(catalogue.load(name).info.examples[0]) for name in ALL}
NEIGHBOURS: dict[str, tuple[str, dict[str, Any]]] = {
    name: (name, dict(catalogue.load(name).info.examples[1]))
    for name in ALL
    if len(catalogue.load(name).info.examples) > 1
}
ALONE = {"nau7802", "veml7700"}
"""Parts with one address: another of them cannot stand on their bus, so the neighbour is of another kind."""
NEIGHBOURS |= {name: ("sht4x", {"address": 0x44}) for name in ALONE}
URLS = {**BUS_EXAMPLES, "mqtt": ""}
REASONS = {
    "nack", "crc", "timeout", "range", "reset", "not-ready", "unplugged", "parse", "bus", "shorted", "closed", "time",
    "open-circuit", "wrong-part", "overrun", "stuck", "noisy",
}  # fmt: skip

POLLED = [name for name in ALL if issubclass(catalogue.load(name), PolledDriver)]
OUTPUTS = [name for name in ALL if issubclass(catalogue.load(name), OutputDriver)]
EVENTS = [
    name
    for name in ALL
    if issubclass(catalogue.load(name), EventDriver)
    and name not in OUTPUTS
    and catalogue.load(name).info.bus != "ble"  # test_ble_conformance
]
MESSAGES = [name for name in ALL if issubclass(catalogue.load(name), MessageDriver)]
SWEEPERS = {"ads1115", "lis3dh", "nau7802"}
"""Those that ask dozens or hundreds of times in a row, and cannot be waited for each time."""
ON_A_BUS = [*POLLED, *EVENTS, *OUTPUTS]
WIRED = [name for name in POLLED if catalogue.load(name).info.bus != "gpio"]
"""Those that can be missed: a pin at which nothing is looks like one at which nothing happens."""

FAULTS_OF_A_POLL = [
    ("i2c", "nack", "nack"),
    ("i2c", "unplugged", "nack"),
    ("i2c", "crc", "crc"),
    ("i2c", "garbage", "crc"),
    ("i2c", "not-ready", "nack"),
    ("i2c", "reset", "nack"),
    ("i2c", "timeout", "timeout"),
    ("i2c", "bus-stuck", "shorted"),
    ("i2c", "shorted", "shorted"),
    ("spi", "nack", "unplugged"),
    ("spi", "unplugged", "unplugged"),
    ("spi", "shorted", "unplugged"),
    ("spi", "crc", "crc"),
    ("spi", "garbage", "crc"),
    ("spi", "timeout", "timeout"),
    ("uart", "nack", "unplugged"),
    ("uart", "unplugged", "unplugged"),
    ("uart", "shorted", "unplugged"),
    ("uart", "crc", "crc"),
    ("uart", "garbage", "crc"),
    ("uart", "timeout", "timeout"),
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

    def __init__(self, folder: Path, name: str, *faults: dict[str, Any], signal: dict[str, Any] | None = None) -> None:
        """`signal` is played of each quantity that the twin feels; left out, what it plays by itself."""
        self.now = 0.0
        self.kind = catalogue.load(name)
        self.ledger = folder / "ledger.jsonl"
        self.ungiven: frozenset[str] = getattr(catalogue.twin(name), "ungiven", frozenset())
        felt = catalogue.twin(name).defaults(self.settings(EXAMPLES[name])) if signal else {}
        (folder / "scenario.toml").write_text(_toml(faults, {quantity: signal or {} for quantity in felt}))
        url = URLS[self.kind.info.bus]
        devices = [SimDevice("it", name, url, self.settings(EXAMPLES[name]))]
        other, table = NEIGHBOURS.get(name, ("", {}))
        if other:
            settings = msgspec.convert(table, catalogue.load(other).Settings)
            devices.append(SimDevice("neighbour", other, url, settings))
        self.simulation: Simulation = simulate(
            devices, base=folder, scenario="scenario.toml", ledger=self.ledger, clock=lambda: 43_200 + self.now
        )
        self.driver: Driver = self.kind(devices[0].settings)
        self.neighbour: Driver | None = catalogue.load(other)(devices[1].settings) if other else None
        self.bus: Any = open_bus(url, base=folder, simulation=self.simulation) if url else None

    def settings(self, table: dict[str, Any]) -> Any:
        return msgspec.convert(table, self.kind.Settings)

    def given(self) -> list[tuple[str, Any]]:
        """What the twin says it gave (not what the neighbour did)."""
        lines = [json.loads(line) for line in self.ledger.read_text().splitlines()]
        return [(line["quantity"], line["value"]) for line in lines if line["device"] == "it"]

    def known(self, readings: Iterable[Reading]) -> list[tuple[str, Any]]:
        """What of the readings the twin knows, too."""
        return [(reading.quantity, reading.value) for reading in readings if reading.quantity not in self.ungiven]

    async def read(self) -> Sequence[Reading]:
        """What the gateway would store: readings, or bad ones for the error's reason."""
        assert isinstance(self.driver, PolledDriver)
        try:
            return await self.driver.sample()
        except DriverError as error:
            return failed(self.driver.channels, error)


def _toml(faults: Sequence[dict[str, Any]], signals: dict[str, dict[str, Any]]) -> str:
    tables = [("[[device.it.fault]]", fault) for fault in faults]
    tables += [(f"[device.it.signal.{quantity}]", signal) for quantity, signal in signals.items()]
    return "".join(
        f"{head}\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for head, table in tables
    )


@asynccontextmanager
async def shop_of(folder: Path, name: str, *faults: dict[str, Any]) -> AsyncIterator[Shop]:
    """A shop in which nothing is open yet."""
    it = Shop(folder, name, *faults)
    try:
        yield it
    finally:
        await it.driver.close()
        await it.bus.close()
        it.simulation.close()


@asynccontextmanager
async def shop(
    folder: Path, name: str, *faults: dict[str, Any], signal: dict[str, Any] | None = None
) -> AsyncIterator[Shop]:
    """An open shop."""
    it = Shop(folder, name, *faults, signal=signal)
    if it.bus:
        for driver in (it.driver, it.neighbour):
            if driver:
                with suppress(DriverError):  # the gateway goes on, too, and tries again
                    await driver.open(it.bus)
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


def faults_of(name: str) -> list[tuple[str, str]]:
    """The faults of its bus and of its part, each with the reason that is seen."""
    bus = catalogue.load(name).info.bus
    faults = {fault: reason for kind, fault, reason in FAULTS_OF_A_POLL if kind == bus}
    faults |= getattr(catalogue.twin(name), "faults", {})
    return [(fault, reason) for fault, reason in faults.items() if reason and fault not in ("stuck", "noisy")]


def holds_the_bus(name: str, fault: str) -> bool:
    """Whether everybody on the bus suffers from it."""
    return fault == "bus-stuck" or (fault == "shorted" and fault not in getattr(catalogue.twin(name), "faults", {}))


POLL_CASES = [(name, fault, reason) for name in POLLED for fault, reason in faults_of(name)]


@pytest.mark.parametrize("name", ALL)
def test_its_examples_are_right(name: str) -> None:
    kind = catalogue.load(name)
    for example in kind.info.examples:
        msgspec.convert(example, kind.Settings)
    assert kind.info.bus == "mqtt" or len(kind.info.examples) > (name not in ALONE), "two that can stand on one bus"
    assert kind.info.bus in ("mqtt", "ble") or kind.info.wiring


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
        assert it.known(got) == it.given()


@pytest.mark.parametrize("name", ON_A_BUS)
async def test_probe_says_who_is_there(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        identity = await it.driver.probe()
        assert identity.part
        assert await it.driver.probe() == identity
        assert name not in WIRED or it.kind.info.has_serial == bool(identity.serial)


@pytest.mark.parametrize("name", WIRED)
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
        seen = await it.read()
        bad = [reading for reading in seen if reading.quality == "bad"]
        assert bad
        assert {(reading.value, reading.reason) for reading in bad} == {(None, reason)}
        still_good = [(reading.quantity, reading.value) for reading in seen if reading.quality == "good"]
        assert it.given() == [*before, *still_good], "what was spoiled was not given"
        if not holds_the_bus(name, fault):
            assert isinstance(it.neighbour, PolledDriver)
            assert all(reading.quality == "good" for reading in await it.neighbour.sample())
        it.now = 25
        assert await recovers(it)
        assert it.given()[len(before) + len(still_good) :], "it is given again"


async def recovers(it: Shop) -> bool:
    """Whether it reads good values again (a device that hung rests for a second or two first)."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if all(reading.quality == "good" for reading in await it.read()):
            return True
        await asyncio.sleep(0.05)
    return False


@pytest.mark.parametrize("name", [name for name in WIRED if name not in SWEEPERS])
async def test_a_slow_device_is_waited_for(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name, {"kind": "slow"}) as it:
        assert all(reading.quality == "good" for reading in await it.read())


@pytest.mark.parametrize("name", WIRED)
async def test_a_device_that_comes_and_goes_is_good_whenever_it_is_there(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name, {"kind": "unplugged", "start_s": 1, "duration_s": 1, "every_s": 2}) as it:
        for turn in range(4):
            it.now = 2 * turn + 0.5 if turn else 0.5
            assert all(reading.quality == "good" for reading in await it.read())
            it.now = 2 * turn + 1.5
            assert all(reading.quality == "bad" for reading in await it.read())


@pytest.mark.parametrize("name", WIRED)
async def test_many_askers_at_once_all_get_their_answer(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        assert isinstance(it.neighbour, PolledDriver)
        answers = await asyncio.gather(it.read(), it.neighbour.sample())
        assert all(reading.quality == "good" for readings in answers for reading in readings)


@pytest.mark.parametrize("name", WIRED)
async def test_opened_while_it_is_away_it_works_once_it_is_there(tmp_path: Path, name: str) -> None:
    async with shop_of(tmp_path, name, {"kind": "unplugged", "duration_s": 10}) as it:
        with suppress(DriverError):
            await it.driver.open(it.bus)
        it.now = 11
        assert await recovers(it)


@pytest.mark.parametrize("name", POLLED)
async def test_what_it_counts_goes_on_where_it_stood(name: str) -> None:
    driver = catalogue.load(name)(msgspec.convert(EXAMPLES[name], catalogue.load(name).Settings))
    strange: list[dict[str, Any]] = [{}, {"nobody": 1}, *({c.quantity: "?"} for c in driver.channels)]
    for last in strange:
        driver.resume(last)


async def took(driver: PolledDriver) -> float:
    """Seconds that a good sample takes."""
    started = time.monotonic()
    assert all(reading.quality == "good" for reading in await driver.sample())
    return time.monotonic() - started


@pytest.mark.parametrize("name", WIRED)
async def test_a_device_that_hangs_delays_its_neighbour_less_than_a_second(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name, {"kind": "timeout"}) as it:
        assert isinstance(it.neighbour, PolledDriver)
        by_itself = max([await took(it.neighbour) for _ in range(3)])
        hanging = [asyncio.create_task(it.read()) for _ in range(3)]
        await asyncio.sleep(0)
        times = []
        for _ in range(12):
            times.append(await took(it.neighbour))
            await asyncio.sleep(0.05)
        assert sum(seconds > 1.0 + 2 * by_itself for seconds in times) <= 2, "a busy machine is late now and then, too"
        for readings in await asyncio.gather(*hanging):
            assert {reading.reason for reading in readings} == {"timeout"}


@pytest.mark.parametrize("name", POLLED)
async def test_a_value_that_does_not_move_is_given_as_it_is(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name, {"kind": "stuck", "start_s": 0}) as it:
        seen = set()
        lively = {channel.quantity for channel in it.driver.channels if channel.still_s}
        says_so = getattr(catalogue.twin(name), "faults", {}).get("stuck", "")
        for it.now in (0, 100, 1000, 5000):
            readings = await it.read()
            assert {reading.reason for reading in readings} - {""} == ({says_so} - {""})
            assert all(reading.quality == ("uncertain" if reading.reason else "good") for reading in readings)
            seen.add(tuple(reading for reading in readings if reading.quantity in lively))
        assert len(seen) == 1
        assert len(it.given()) == 4 * len(it.known(readings))


@pytest.mark.parametrize("name", WIRED)
async def test_beyond_its_range_a_value_is_bad_but_shown(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name, {"kind": "range"}) as it:
        readings = await it.read()
        assert any((reading.quality, reading.reason) == ("bad", "range") for reading in readings)
        assert all(is_sound(reading, it.driver) and reading.value is not None for reading in readings)
        assert it.known(readings) == it.given()


@pytest.mark.parametrize("name", WIRED)
async def test_unplugged_from_the_start_and_plugged_in_later(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name, {"kind": "unplugged", "start_s": 0, "duration_s": 10}) as it:
        for _ in range(3):
            assert all(reading.quality == "bad" for reading in await it.read())
        it.now = 11
        assert await recovers(it)


@pytest.mark.parametrize("name", WIRED)
async def test_faults_one_after_another_leave_no_trace(tmp_path: Path, name: str) -> None:
    kinds = [fault for fault, _ in faults_of(name) if fault not in ("timeout", "bus-stuck")]
    faults = [{"kind": kind, "start_s": 10 * place, "duration_s": 5} for place, kind in enumerate(kinds, 1)]
    async with shop(tmp_path, name, *faults) as it:
        for place in range(1, len(kinds) + 1):
            it.now = 10 * place + 2
            assert any(reading.quality == "bad" for reading in await it.read())
            it.now = 10 * place + 7
            assert await recovers(it)


@pytest.mark.parametrize("name", POLLED)
async def test_cancelled_at_any_moment_it_measures_again(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        got = 0
        for delay in range(0, 30, 3):
            task = asyncio.create_task(it.read())
            await asyncio.sleep(delay / 2000)
            task.cancel()
            with suppress(asyncio.CancelledError):
                got += len(it.known(await task))
        readings = await it.read()
        assert all(reading.quality == "good" for reading in readings)
        assert len(it.given()) == got + len(it.known(readings)), "given is what arrived"


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
        assert name not in WIRED or {reading.reason for reading in await running} == {"closed"}
        await running
        assert {reading.reason for reading in await it.read()} == {"closed"}


@pytest.mark.parametrize("name", EVENTS)
async def test_events_begin_with_the_state_and_tell_each_change(tmp_path: Path, name: str) -> None:
    toggling = {"kind": "steps", "at": [[0.0, 0.0], [3.0, 1.0]], "repeat_s": 6.0}
    async with shop(tmp_path, name, {"kind": "bounce"}, signal=toggling) as it:
        assert isinstance(it.driver, EventDriver)
        told: list[Reading] = []
        events = it.driver.events()
        told += await asyncio.wait_for(anext(events), 5)
        while len(told) < 9:
            waiting = asyncio.ensure_future(anext(events))
            while not waiting.done():
                it.now += 0.5
                await asyncio.sleep(0.03)
            told += waiting.result()
        assert all(reading.quality == "good" and is_sound(reading, it.driver) for reading in told)
        assert all(one.value != other.value for one, other in pairwise(told))
        assert it.known(told) == it.given()


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


@pytest.mark.parametrize("name", OUTPUTS)
async def test_an_output_does_what_it_is_told_and_says_so(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        assert isinstance(it.driver, OutputDriver)
        quantity = it.driver.channels[0].quantity
        events = it.driver.events()
        told = [*await asyncio.wait_for(anext(events), 5)]
        for value in (True, True, False):
            await it.driver.command(quantity, value)
        for _ in range(2):
            told += await asyncio.wait_for(anext(events), 5)
        assert all(reading.quality == "good" and is_sound(reading, it.driver) for reading in told)
        assert [reading.value for reading in told] in ([False, True, False], ["off", "on", "off"])
        assert it.known(told) == it.given()


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("value", ["nonsense", 17, 1.5, None, ""])
async def test_an_output_refuses_what_it_cannot_do(tmp_path: Path, name: str, value: Any) -> None:
    async with shop(tmp_path, name) as it:
        assert isinstance(it.driver, OutputDriver)
        for quantity, told in ((it.driver.channels[0].quantity, value), ("nobody", True)):
            with pytest.raises(CommandError):
                await it.driver.command(quantity, told)


@pytest.mark.parametrize("name", OUTPUTS)
async def test_an_output_is_off_once_it_is_closed_and_takes_no_more(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        assert isinstance(it.driver, OutputDriver)
        quantity = it.driver.channels[0].quantity
        await it.driver.command(quantity, True)
        await it.driver.close()
        with pytest.raises(CommandError):
            await it.driver.command(quantity, True)
        await it.driver.open(it.bus)
        state = await asyncio.wait_for(anext(it.driver.events()), 5)
        assert state[0].value in (False, "off")


@pytest.mark.parametrize("name", OUTPUTS)
async def test_an_output_on_a_closed_bus_fails_by_name(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        assert isinstance(it.driver, OutputDriver)
        await it.bus.close()
        with pytest.raises(DriverError):
            await it.driver.command(it.driver.channels[0].quantity, True)


@pytest.mark.parametrize("name", WIRED)
@pytest.mark.parametrize("fault", ["crc", "garbage"])
async def test_no_wrong_value_is_ever_good(tmp_path: Path, name: str, fault: str) -> None:
    async with shop(tmp_path, name, {"kind": fault, "start_s": 1}) as it:
        await it.read()
        before, seen = it.given(), []
        for turn in range(12):
            it.now = 2.0 + turn
            seen += [reading for reading in await it.read() if reading.quality == "good"]
        assert it.known(seen) == it.given()[len(before) :], "what is good is what the part said"


@pytest.mark.parametrize("name", WIRED)
async def test_two_faults_at_once_are_one_bad_reading(tmp_path: Path, name: str) -> None:
    both = [{"kind": kind, "start_s": 10, "duration_s": 10} for kind in ("unplugged", "crc")]
    async with shop(tmp_path, name, *both) as it:
        it.now = 15
        readings = await it.read()
        assert {reading.quality for reading in readings} == {"bad"}
        assert len(readings) == len(it.driver.channels)
        it.now = 25
        assert await recovers(it)


@pytest.mark.parametrize("name", WIRED)
async def test_cancelled_at_every_await_it_measures_again(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        for awaits in range(8):
            task = asyncio.create_task(it.read())
            for _ in range(awaits):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert await recovers(it)


@pytest.mark.parametrize("name", WIRED)
async def test_after_it_hung_it_is_left_alone_for_a_while(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name, {"kind": "timeout"}) as it:
        assert {reading.reason for reading in await it.read()} == {"timeout"}
        assert isinstance(it.driver, PolledDriver)
        errors = set()
        for _ in range(3):  # a very slow machine may have come to the next try by then
            try:
                await it.driver.sample()
            except BusTimeout as error:
                errors.add(type(error))
        assert BusBackoff in errors, "it is not even tried"


@pytest.mark.parametrize("name", WIRED)
async def test_closed_while_it_measures_and_opened_twice(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        running = asyncio.create_task(it.read())
        await asyncio.sleep(0)
        await it.driver.close()
        await asyncio.wait([running])
        for _ in range(2):
            with suppress(DriverError):  # on a busy machine the bus may still be waiting for the one that was closed
                await it.driver.open(it.bus)
        assert await recovers(it)


@pytest.mark.parametrize("name", WIRED)
async def test_who_it_is_can_be_asked_at_any_time(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name, {"kind": "unplugged", "start_s": 5, "duration_s": 5}) as it:
        before = await it.driver.probe()
        assert await recovers(it)
        assert await it.driver.probe() == before
        it.now = 7
        with pytest.raises(DriverError):
            await it.driver.probe()
        it.now = 12
        assert await recovers(it)
        assert await it.driver.probe() == before
