"""Call buttons as a shop has them: the real gateway, killed and started again, and an air full of replays."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bench import _ble_air, ble_presses
from golmok_drivers.adverts.keyed import name_of
from golmok_drivers.devices.ble_button import BleButtonDriver, BleButtonSettings
from golmok_drivers.errors import RefusedError
from golmok_drivers.radio import Counters, ForgetfulCounters
from golmok_drivers.twins.bluez import FakeBlueZ, Heard
from golmok_drivers.twins.bluez.daemon import ADDRESS as BUS_VARIABLE
from golmok_edge.gateway import ble_renewal
from golmok_edge.gateway.clock import SystemClock
from golmok_edge.gateway.counters import CounterFile
from golmok_edge.settings import load
from golmok_edge.store import Reader
from tests.drivers.air import air, needs_dbus
from tests.drivers.frames import ADDRESS, KEY, advert, press, sealed
from tests.edge.running import Gateway
from tests.edge.running import until as wait_until

SETTINGS = f"""
[site]
gateway = "gw-0001"
[[device]]
name = "bell"
driver = "ble-button"
bus = "ble://hci0"
address = "{ADDRESS}"
key = "{KEY}"
"""


class Radio:
    def __init__(self, counters: Counters) -> None:
        self.counters = counters

    async def listen(self, **_: Any) -> Any:
        return None


def kept(folder: Path) -> CounterFile:
    return CounterFile(folder, SystemClock())


async def accepted_replays(folder: Path, counters_of: Callable[[Path], Any], replays: int, restarts: int) -> int:
    """How many of the frames that were heard before ring again, over restarts; a new press now and then must ring."""
    dice = random.Random(7)
    recorded: list[bytes] = []
    counter = accepted = 0
    for _ in range(restarts):
        counters = counters_of(folder)
        driver = BleButtonDriver(BleButtonSettings(address=ADDRESS, key=KEY))
        await driver.open(Radio(counters))  # type: ignore[arg-type]  # as much of one as is needed
        for _ in range(replays // restarts):
            if recorded:
                stale = {0x0BA9: dice.randbytes(2)} if dice.random() < 0.3 else {}  # BlueZ brings old data along
                low = sealed(bytes([0x00, dice.randrange(256), 0x3A, 1]), dice.randrange(min(100, counter)))
                old = low if dice.random() < 0.1 else dice.choice(recorded[-200:] if stale else recorded)
                with suppress(RefusedError):
                    said = await driver.taken(advert(old, company=stale, at_s=time.monotonic()))
                    accepted += any(reading.quantity == "call" for reading in said)
            if not recorded or dice.random() < 0.02:
                counter += dice.randrange(1, 60)
                recorded.append(press(counter))
                said = await driver.taken(advert(recorded[-1], at_s=time.monotonic()))
                if isinstance(counters, CounterFile):
                    assert any(reading.quantity == "call" for reading in said), "a press was missed"
        getattr(counters, "close", lambda: None)()
    return accepted


async def test_of_ten_thousand_replays_over_restarts_none_is_accepted(tmp_path: Path) -> None:
    assert await accepted_replays(tmp_path, kept, replays=10_000, restarts=25) == 0


async def test_without_counters_on_disk_replays_are_accepted(tmp_path: Path) -> None:
    """The mutation that the test above must find."""
    assert await accepted_replays(tmp_path, lambda _: ForgetfulCounters(), replays=1_000, restarts=10) > 0


@needs_dbus
async def test_in_a_crowded_air_no_press_is_missed_and_none_doubled(tmp_path: Path) -> None:
    said = await ble_presses.measured(_ble_air.Plan(buttons=40, presses=160, rate=600, loss=0.3, seed=3), tmp_path)
    assert (said["presses"], said["missed"], said["doubled"], said["of_nobody"]) == (160, 0, 0, 0), said
    assert said["heard"] > 2_000


@pytest.mark.slow
@pytest.mark.timeout(600)
@needs_dbus
async def test_ten_thousand_presses(tmp_path: Path) -> None:
    said = await ble_presses.measured(
        _ble_air.Plan(buttons=200, presses=10_000, rate=4_000, loss=0.3, seed=3), tmp_path
    )
    assert (said["presses"], said["missed"], said["doubled"], said["of_nobody"]) == (10_000, 0, 0, 0), said


def calls(gateway: Gateway) -> list[Any]:
    """The calls on disk."""
    reader = Reader.open(gateway.folder / "var")
    try:
        return [found.record.value for found in reader.find("bell.call", "events")]
    finally:
        reader.close()


async def send(bluez: FakeBlueZ, data: bytes, times: int = 6) -> None:
    for _ in range(times):
        bluez.hear(Heard(ADDRESS, {0xFCD2: data}))
        await asyncio.sleep(0.02)


async def heard(bluez: FakeBlueZ, gateway: Gateway, data: bytes, count: int) -> None:
    """Press until it is on disk: the gateway may just be starting its scan."""
    end_s = time.monotonic() + 60
    while len(await asyncio.to_thread(calls, gateway)) < count:
        assert time.monotonic() < end_s, gateway.said()[-800:]
        await send(bluez, data)
        await asyncio.sleep(0.1)


@needs_dbus
async def test_killed_and_started_again_the_gateway_believes_no_recorded_press(tmp_path: Path) -> None:
    async with air() as bluez:
        gateway = Gateway(tmp_path / "gw", SETTINGS)
        gateway.environment[BUS_VARIABLE] = bluez._address
        with gateway.start():
            await asyncio.to_thread(gateway.wait_ready)
            await heard(bluez, gateway, press(500), 1)
            gateway.kill()
            gateway.start()
            await asyncio.to_thread(gateway.wait_ready)
            for counter in (500, 499, 3, 99):
                await send(bluez, press(counter))
            await heard(bluez, gateway, press(501, event=2), 2)
            await send(bluez, b"\x40\x00\x09\x3a\x01")
            assert calls(gateway) == ["press", "double_press"]
            refused = await asyncio.to_thread(_refused, gateway)
            assert refused == ["replay", "plain"]


def _refused(gateway: Gateway) -> list[Any]:
    def found() -> list[Any]:
        reader = Reader.open(gateway.folder / "var")
        try:
            return [found.record.value for found in reader.find("bell.refused", "events")]
        finally:
            reader.close()

    return list(wait_until(lambda: found() if len(found()) == 2 else None, "both refusals are told"))


@needs_dbus
async def test_a_changed_battery_is_let_in_by_the_operator_and_three_presses(tmp_path: Path) -> None:
    async with air() as bluez:
        gateway = Gateway(tmp_path / "gw", SETTINGS)
        gateway.environment[BUS_VARIABLE] = bluez._address
        with gateway.start():
            await asyncio.to_thread(gateway.wait_ready)
            await heard(bluez, gateway, press(5_000), 1)
            settings, said = load(gateway.config), list[str]()
            act = asyncio.create_task(asyncio.to_thread(ble_renewal.run, settings, "bell", say=said.append, lang="en"))
            counter = 0
            while not act.done():
                counter += 1
                await send(bluez, press(counter), times=2)
                await asyncio.sleep(0.1)
            assert await act == 0
            assert "three times" in said[0]
            end_s = time.monotonic() + 60
            while "long_press" not in await asyncio.to_thread(calls, gateway):  # what came after the third press rang
                assert time.monotonic() < end_s, gateway.said()[-800:]
                await send(bluez, press(counter + 1, event=4))
        assert kept(tmp_path / "gw" / "var").last(name_of(ADDRESS, KEY)) == counter + 1


def test_an_act_for_no_such_button_and_one_that_nobody_presses(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(SETTINGS)
    settings, said = load(tmp_path / "gateway.toml"), list[str]()
    assert ble_renewal.run(settings, "bel", say=said.append, lang="en") == 2
    assert ble_renewal.run(settings, "bell", say=said.append, lang="en") == 1
    assert "there are: bell" in said[0]
    assert "no counter" in said[1]
    kept(tmp_path / "var").close()
    assert ble_renewal.run(settings, "bell", say=said.append, lang="ko", within_s=0.3) == 1
    assert "들리지 않았습니다" in said[-1]
