"""`golmok_drivers.apart`: a driver in a process of its own is used like any other, and harms only itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_drivers import catalogue, errors
from golmok_drivers.apart import ApartDriver, Bounds, Nursery, Use, Ward, apart, options_of, use_of
from golmok_drivers.apart.wire import Unpacker, error_of, packed, told
from golmok_drivers.api import BusError, BusNack, Driver, DriverError, EventDriver, PolledDriver, Reading
from golmok_drivers.declare import declared
from golmok_drivers.errors import DriverHangs, DriverRaises, DriverTalksNonsense
from golmok_drivers.twins import SimDevice, simulate
from tests.drivers.air import needs_dbus

PATIENCE_S = 30.0


@given(st.lists(st.tuples(st.integers(0, 2**31), st.text(), st.binary())), st.lists(st.integers(1, 40)))
def test_messages_come_whole_however_they_are_cut(messages: list[Any], cuts: list[int]) -> None:
    line, unpacker = b"".join(packed(message) for message in messages), Unpacker()
    came = []
    while line:
        size = cuts.pop() if cuts else len(line)
        came += list(unpacker.feed(line[:size]))
        line = line[size:]
    assert came == [list(message) for message in messages]


@given(st.binary(max_size=200))
def test_anything_on_the_line_is_messages_or_nonsense(data: bytes) -> None:
    with suppress(DriverTalksNonsense):
        for message in Unpacker().feed(data):
            assert isinstance(message[0], int)
            assert isinstance(message[1], str)


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DriverError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_is_the_same_at_the_other_end(kind: type[DriverError]) -> None:
    there = error_of(*told(kind("why")))
    assert (type(there), there.reason, str(there)) == (kind, kind.reason, "why")


def test_an_error_that_only_the_driver_knows_keeps_its_reason() -> None:
    class OddError(BusNack):
        reason = "odd"

    there = error_of(*told(OddError("why")))
    assert (there.reason, str(there)) == ("odd", "why")
    assert error_of(*told(SystemExit(3))).reason == "raises"
    assert error_of(*told(MemoryError())).reason == "leaks"


@given(*[st.none() | st.text() | st.integers() | st.lists(st.integers())] * 3)
def test_whatever_is_told_of_an_error_is_one(known: Any, reason: Any, text: Any) -> None:
    assert isinstance(error_of(known, reason, text), DriverError)


class Stage:
    """Drivers of ours, sent out, with twins at the other end of their buses."""

    def __init__(self) -> None:
        self.nursery = Nursery()
        self.made: list[ApartDriver] = []
        self.buses: list[Any] = []

    def make(self, name: str, url: str, bounds: Bounds = Bounds(), **settings: Any) -> tuple[Any, Any]:  # noqa: B008
        kind = catalogue.load(name)
        options = msgspec.convert(settings, kind.Settings)
        simulation = simulate([SimDevice("one", name, url, options)], base=Path())
        ward = Ward(
            device="one", place=catalogue.where(name), options=options_of(options), bus_kind=url.partition(":")[0]
        )
        driver = apart(kind)(ward, kind.info, kind.info.channels, self.nursery, bounds)
        self.made.append(driver)
        self.buses.append(simulation.bus(url))
        return driver, self.buses[-1]


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    try:
        yield stage
    finally:
        for driver in stage.made:
            driver.end()
        for bus in stage.buses:
            await bus.close()
        stage.nursery.close()


PLACES = [
    ("sht4x", "i2c://1", {}),
    ("ds18b20", "w1://0", {"address": "28-00000a1b2c3d"}),
    ("contact", "gpio://", {"pin": 17}),
]


@pytest.mark.parametrize(("name", "url", "settings"), PLACES)
async def test_ours_cannot_tell_that_they_are_apart(name: str, url: str, settings: dict[str, Any]) -> None:
    async with stage() as shop:
        driver, bus = shop.make(name, url, **settings)
        for _ in range(2):
            await driver.open(bus)
            assert (await driver.probe()).part
            readings = await first(driver)
            assert {reading.quantity for reading in readings} == {channel.quantity for channel in driver.channels}
            assert {reading.quality for reading in readings} == {"good"}
            await driver.close()
            await driver.close()
        assert driver.cell.use().memory_bytes > 0


async def first(driver: Driver) -> Sequence[Reading]:
    if isinstance(driver, PolledDriver):
        return await driver.sample()
    assert isinstance(driver, EventDriver)
    return await anext(aiter(driver.events()))


@needs_dbus
async def test_a_bluetooth_driver_apart_listens_and_what_has_a_key_says_that_it_cannot_be_believed_there() -> None:
    async with stage() as shop:
        driver, bus = shop.make("bthome", "ble://hci0", address="A4:C1:38:0B:5E:ED", every_s=1)
        for _ in range(2):
            await driver.open(bus)
            assert {reading.quantity for reading in await first(driver)} == {"temperature", "humidity", "battery"}
            assert (await driver.probe()).serial == "A4:C1:38:0B:5E:ED"
            await driver.close()
    async with stage() as shop:
        driver, bus = shop.make("bthome", "ble://hci0", address="A4:C1:38:0B:5E:ED", every_s=1, key="0" * 32)
        await driver.open(bus)
        with pytest.raises(BusError, match="apart = false"):
            await first(driver)


async def test_errors_of_the_bus_come_through_as_themselves() -> None:
    async with stage() as shop:
        driver, bus = shop.make("sht4x", "i2c://1", address=0x45)
        await driver.open(shop.make("sht4x", "i2c://1", address=0x44)[1])
        with pytest.raises(BusNack):
            await driver.sample()
        assert driver.cell.why is None, "its device is not there; it did nothing wrong"
        await driver.open(bus)
        assert len(await driver.sample()) == 2


async def test_a_process_that_is_killed_is_told_and_the_next_open_starts_another() -> None:
    async with stage() as shop:
        driver, bus = shop.make("sht4x", "i2c://1")
        await driver.open(bus)
        os.kill(driver.cell.pid, 9)
        with pytest.raises(DriverRaises, match="ended by itself"):
            await gone(driver)
        await driver.open(bus)
        assert len(await driver.sample()) == 2


async def gone(driver: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await driver.sample()


async def test_a_process_that_stands_still_is_killed() -> None:
    async with stage() as shop:
        driver, bus = shop.make("sht4x", "i2c://1", Bounds(silence_s=2.0))
        await driver.open(bus)
        pid = driver.cell.pid
        os.kill(pid, 19)  # SIGSTOP
        with pytest.raises(DriverHangs):
            await gone(driver)
        await ends(pid)


async def test_who_is_cancelled_cancels_it_there_or_ends_it() -> None:
    async with stage() as shop:
        driver, bus = shop.make("sht4x", "i2c://1")
        await driver.open(bus)
        os.kill(driver.cell.pid, 19)
        asking = asyncio.create_task(driver.sample())
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(DriverHangs):
            await asking


async def test_nobody_outlives_the_nursery() -> None:
    async with stage() as shop:
        driver, bus = shop.make("sht4x", "i2c://1")
        await driver.open(bus)
        pid = driver.cell.pid
        os.kill(pid, 19)
        shop.nursery.close()
        await ends(pid)
        with suppress(DriverRaises):
            await driver.sample()
        await driver.open(bus)
        assert len(await driver.sample()) == 2, "another nursery"


async def ends(pid: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (use := use_of(pid)) and use.memory_bytes:  # noqa: ASYNC110  # the kernel sets no event
            await asyncio.sleep(0.01)


def test_what_a_process_takes() -> None:
    use = use_of(os.getpid())
    assert isinstance(use, Use)
    assert use.memory_bytes > 2**20
    assert use.files >= 3
    assert use.threads >= 1
    assert use_of(2**22 + 1) is None


def breaks(error: BaseException) -> Callable[..., Any]:
    def init(self: Any, settings: Any, *, timezone: str = "UTC") -> None:
        raise error

    return init


def test_what_a_driver_says_before_it_is_opened() -> None:
    kind = catalogue.load("mqtt-json")
    settings = msgspec.convert({"topic": "t/1", "channels": {"n": {}}}, kind.Settings)
    said = declared(kind, settings, "UTC")
    assert ([channel.quantity for channel in said.channels], said.topics) == (["n"], ("t/1",))


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(0), KeyboardInterrupt(), MemoryError()])
def test_one_that_breaks_when_it_is_made_is_an_error_in_words(error: BaseException) -> None:
    base: Any = catalogue.load("sht4x")
    kind = type("Breaks", (base,), {"__init__": breaks(error)})
    with pytest.raises(DriverRaises, match=type(error).__name__):
        declared(kind, None, "UTC")


def test_one_that_spins_when_it_is_made_is_stopped() -> None:
    def spin(self: Any, settings: Any, *, timezone: str = "UTC") -> None:
        while True:
            pass

    base: Any = catalogue.load("sht4x")
    with pytest.raises(DriverHangs):
        declared(type("Spins", (base,), {"__init__": spin}), None, "UTC", within_s=0.05)


@pytest.mark.parametrize("channels", [None, 5, "x", [1]])
def test_channels_that_are_none_are_nonsense(channels: Any) -> None:
    base: Any = catalogue.load("sht4x")
    with pytest.raises(DriverTalksNonsense):
        declared(type("Odd", (base,), {"channels": channels}), None, "UTC")
