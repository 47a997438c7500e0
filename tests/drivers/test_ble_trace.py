"""Bluetooth that was recorded is heard again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from golmok_drivers.api import BusError, BusUrlError, EventDriver, Reading
from golmok_drivers.buses import open_bus
from golmok_drivers.devices.ble_button import BleButtonDriver, BleButtonSettings
from golmok_drivers.devices.bthome import BthomeDriver, BthomeSettings
from tests.drivers.air import needs_dbus
from tests.drivers.frames import KEY

SCENARIO = f"""
[device.bell]
driver = "ble-button"
bus = "ble"
settings = {{ address = "38:39:8F:A1:0B:5E", key = "{KEY}" }}
[device.bell.signal.call]
kind = "door"
openings_per_h = 3600
open_s = 0.5
[device.case]
driver = "bthome"
bus = "ble"
settings = {{ address = "A4:C1:38:0B:5E:ED", every_s = 0.5 }}
"""


def drivers() -> list[EventDriver]:
    return [
        BleButtonDriver(BleButtonSettings(address="38:39:8F:A1:0B:5E", key=KEY)),
        BthomeDriver(BthomeSettings(address="A4:C1:38:0B:5E:ED", every_s=0.5)),
    ]


async def heard(url: str, folder: Path, count: int) -> list[list[Reading]]:
    """What each driver says on that bus, until the first has said so much."""
    bus = open_bus(url, base=folder)
    both = drivers()
    said: list[list[Reading]] = [[] for _ in both]

    async def listen(place: int) -> None:
        async for readings in both[place].events():
            said[place] += readings

    for driver in both:
        await driver.open(bus)
    tasks = [asyncio.create_task(listen(place)) for place in range(len(both))]
    async with asyncio.timeout(60):
        while min(map(len, said)) < count:  # noqa: ASYNC110  # both fill their lists
            await asyncio.sleep(0.02)
    for driver in both:
        await driver.close()
    await asyncio.gather(*tasks)
    await bus.close()
    return said


@needs_dbus
async def test_what_was_recorded_is_said_again(tmp_path: Path) -> None:
    (tmp_path / "air.toml").write_text(SCENARIO)
    first = await heard("record+sim+ble://air.toml?to=air.jsonl", tmp_path, 6)
    again = await heard("replay+ble://air.jsonl", tmp_path, 6)
    for one, other in zip(first, again, strict=True):
        assert one[:6] == other[:6]


async def test_a_trace_connects_to_nobody_and_a_wrong_one_is_said(tmp_path: Path) -> None:
    head = '{"golmok": "trace", "version": 1, "bus": "ble", "url": "ble://hci0"}\n'
    (tmp_path / "air.jsonl").write_text(head)
    bus = open_bus("replay+ble://air.jsonl", base=tmp_path)
    assert await (await bus.listen()).heard(0.01) == ()
    with pytest.raises(BusError, match="nobody to connect to"):
        await bus.connect("A4:C1:38:0B:5E:ED")
    await bus.close()
    (tmp_path / "air.jsonl").write_text(head.replace('"ble"', '"i2c"'))
    with pytest.raises(BusUrlError, match="i2c"):
        open_bus("replay+ble://air.jsonl", base=tmp_path)
