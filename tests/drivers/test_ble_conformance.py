"""What every Bluetooth driver owes the gateway, shown on its own twin, through a D-Bus and an unmodified bleak."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from golmok_drivers import catalogue
from golmok_drivers.api import BusClosed, Driver, DriverError, EventDriver, Reading
from golmok_drivers.buses import open_bus
from golmok_drivers.twins import SimDevice, simulate
from tests.drivers.air import PATIENCE_S, needs_dbus
from tests.drivers.frames import KEY

pytestmark = needs_dbus
EXAMPLES: dict[str, dict[str, Any]] = {
    "bthome": {"address": "A4:C1:38:0B:5E:ED", "every_s": 1, "heartbeat_s": 0.7},
    "ruuvi": {"address": "CB:B8:33:4C:88:4F", "every_s": 1, "heartbeat_s": 0.7},
    "ibeacon": {"uuid": "f7826da6-4fa2-4e98-8024-bc5b71e0893e", "minor": 1, "away_s": 2, "every_s": 0.5},
    "ble-button": {"address": "38:39:8F:A1:0B:5E", "key": KEY, "heartbeat_s": 0.5},
    "ble-pager": {"address": "D4:3A:2C:10:77:01", "key": KEY, "heartbeat_s": 1},
}
NEIGHBOURS: dict[str, dict[str, Any]] = {
    "bthome": {"address": "A4:C1:38:0B:5E:EE", "key": KEY},
    "ruuvi": {"address": "CB:B8:33:4C:88:50"},
    "ibeacon": {"minor": 2},
    "ble-button": {"address": "38:39:8F:A1:0B:5F", "key": "0" * 32},
    "ble-pager": {"address": "D4:3A:2C:10:77:02", "key": "0" * 32},
}
ALL = [name for name in catalogue.names(lambda group: []) if catalogue.load(name).info.bus == "ble"]


class Device:
    """A driver, and what it said with when."""

    def __init__(self, driver: EventDriver) -> None:
        self.driver = driver
        self.said: list[tuple[float, Reading]] = []
        self.task: asyncio.Task[None] | None = None

    def listen(self) -> None:
        self.task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for readings in self.driver.events():
            self.said += [(time.monotonic(), reading) for reading in readings]

    async def end(self) -> None:
        await self.driver.close()
        if self.task:
            await asyncio.wait_for(self.task, 5)

    def of(self, quality: str, since_s: float = 0.0) -> list[Reading]:
        return [reading for at_s, reading in self.said if reading.quality == quality and at_s >= since_s]


class Shop:
    """A driver on its twin and a neighbour of the same kind. Faults act while `faulty`."""

    def __init__(self, folder: Path, name: str, fault: str) -> None:
        self.now = 43_200.0
        self.kind = catalogue.load(name)
        self.ledger = folder / "ledger.jsonl"
        tables = (EXAMPLES[name], EXAMPLES[name] | NEIGHBOURS[name])
        devices = [
            SimDevice(who, name, "ble://hci0", msgspec.convert(table, self.kind.Settings))
            for who, table in zip(("it", "neighbour"), tables, strict=True)
        ]
        scenario = "".join(
            f'[device.{who}.signal.call]\nkind = "door"\nopenings_per_h = 1800\nopen_s = 0.6\n'
            for who in ("it", "neighbour")
            if name == "ble-button"
        )
        if fault:
            scenario += f'[[device.it.fault]]\nkind = "{fault}"\nstart_s = 100\nduration_s = 100\n'
        (folder / "scenario.toml").write_text(scenario)
        self._began_s, self._skipped_s = time.monotonic(), 0.0
        self.simulation = simulate(
            devices, base=folder, scenario="scenario.toml", ledger=self.ledger, clock=self._clock
        )
        self.it, self.neighbour = (Device(self._driver(device.settings)) for device in devices)
        self.bus: Any = open_bus("ble://hci0", base=folder, simulation=self.simulation)

    def _clock(self) -> float:
        return 43_200.0 + time.monotonic() - self._began_s + self._skipped_s

    def faulty(self, is_faulty: bool) -> None:
        self._skipped_s = (150.0 if is_faulty else 300.0) - (time.monotonic() - self._began_s)

    def _driver(self, settings: Any) -> EventDriver:
        driver: Driver = self.kind(settings)
        assert isinstance(driver, EventDriver)
        return driver

    def given(self) -> list[tuple[str, Any]]:
        lines = [json.loads(line) for line in self.ledger.read_text().splitlines()]
        return [(line["quantity"], line["value"]) for line in lines if line["device"] == "it"]


@asynccontextmanager
async def shop(folder: Path, name: str, fault: str = "") -> AsyncIterator[Shop]:
    it = Shop(folder, name, fault)
    for device in (it.it, it.neighbour):
        await device.driver.open(it.bus)
        device.listen()
    try:
        yield it
    finally:
        await it.it.end()
        await it.neighbour.end()
        await it.bus.close()
        it.simulation.close()


async def until(condition: Callable[[], Any], what: str) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, f"not in time: {what}"
        await asyncio.sleep(0.01)


def is_sound(reading: Reading, driver: Driver) -> bool:
    return (
        reading.quantity in {channel.quantity for channel in driver.channels}
        and not (isinstance(reading.value, float) and not math.isfinite(reading.value))
        and (reading.quality == "good") == (reading.reason == "")
    )


def test_every_bluetooth_driver_is_here() -> None:
    assert sorted(EXAMPLES) == sorted(NEIGHBOURS) == ALL


@pytest.mark.parametrize("name", ALL)
async def test_what_the_twin_gave_is_what_the_driver_says(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        assert it.kind.info.title in (await it.it.driver.probe()).part
        await until(lambda: len(it.it.of("good")) >= 4 or name in ("ibeacon", "ble-pager"), "readings")
        await until(lambda: it.it.of("good") and it.neighbour.of("good"), "the first readings")
        assert all(is_sound(reading, it.it.driver) for _, reading in it.it.said)
        said = [(reading.quantity, reading.value) for reading in it.it.of("good")]
    own = {"ibeacon": {"rssi"}, "ble-button": {"call-id"}, "ble-pager": {"battery"}}.get(name, set())
    given = it.given()
    missing = [one for one in said if one[0] not in own and one not in given]
    assert not missing
    assert len([one for one in said if one[0] not in own]) <= len(given) <= len(said) + 8


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("fault", ["unplugged", "garbage"])
async def test_a_fault_is_named_disturbs_nobody_and_is_over_when_it_is_over(
    tmp_path: Path, name: str, fault: str
) -> None:
    async with shop(tmp_path, name, fault) as it:
        await until(lambda: it.it.of("good"), "a good reading")
        it.faulty(True)
        if name == "ibeacon":
            await until(lambda: Reading("present", False) in it.it.of("good"), "it is away")
        else:
            await until(lambda: it.it.of("bad"), "a bad reading")
            reasons = {"silent"} if fault == "unplugged" else {"parse", "plain", "encrypted"}
            assert {(reading.value, reading.reason in reasons) for reading in it.it.of("bad")} == {(None, True)}
            lasting = {channel.quantity for channel in it.it.driver.channels if not channel.is_event}
            assert {reading.quantity for reading in it.it.of("bad")} == lasting, "each once"
        assert not it.neighbour.of("bad")
        over_s = time.monotonic()
        it.faulty(False)
        await until(lambda: it.it.of("good", over_s), "a good reading again")


@pytest.mark.parametrize("name", ["bthome", "ruuvi"])
async def test_beyond_its_range_a_value_is_bad_but_shown(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name, "range") as it:
        await until(lambda: it.it.of("good"), "a good reading")
        it.faulty(True)
        await until(lambda: it.it.of("bad"), "a bad reading")
        assert {reading.reason for reading in it.it.of("bad")} == {"range"}
        assert all(reading.value is not None for reading in it.it.of("bad"))


@pytest.mark.parametrize("name", ALL)
async def test_cancelled_closed_and_opened_again_it_reads_on(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        await until(lambda: it.it.of("good"), "a good reading")
        assert it.it.task is not None
        it.it.task.cancel()
        with suppress(asyncio.CancelledError):
            await it.it.task
        await it.it.driver.close()
        await it.it.driver.close()
        again = Device(it._driver(it.it.driver.settings))
        await again.driver.open(it.bus)
        again.listen()
        await until(lambda: again.of("good") or name == "ble-pager", "a good reading of the new one")
        await again.end()
        it.it.task = None


@pytest.mark.parametrize("name", ALL)
async def test_on_a_closed_bus_it_fails_by_name(tmp_path: Path, name: str) -> None:
    async with shop(tmp_path, name) as it:
        task, other = it.it.task, it.neighbour.task
        assert task is not None
        assert other is not None
        await it.bus.close()
        await it.bus.close()
        for one in (task, other):
            with pytest.raises(BusClosed):
                await asyncio.wait_for(one, 5)
        with pytest.raises(DriverError):
            await it.it.driver.open(it.bus)
        it.it.task = it.neighbour.task = None
