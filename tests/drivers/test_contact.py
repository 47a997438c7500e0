from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from gpiozero.pins.mock import MockFactory

from golmok_drivers.api import BusError, Reading
from golmok_drivers.buses.gpio import Pins
from golmok_drivers.devices.contact import ContactDriver, ContactSettings, ContactTwin, is_open
from tests.drivers.worlds import StillWorld

PATIENCE_S = 5.0


async def following(events: AsyncIterator[Sequence[Reading]]) -> Any:
    return (await asyncio.wait_for(anext(events), PATIENCE_S))[0].value


@pytest.mark.parametrize("pull_up", [True, False])
def test_open_is_where_the_resistor_pulls(pull_up: bool) -> None:
    assert is_open(pull_up, pull_up)
    assert not is_open(not pull_up, pull_up)


@pytest.mark.parametrize("pull_up", [True, False])
async def test_state_at_the_start_and_each_change(pull_up: bool) -> None:
    factory = MockFactory()
    pins, driver = Pins(lambda: factory), ContactDriver(ContactSettings(pin=17, pull_up=pull_up, debounce_s=0.01))
    await driver.open(pins)
    pin = factory.pin(17)
    close, release = (pin.drive_low, pin.drive_high) if pull_up else (pin.drive_high, pin.drive_low)
    events = driver.events()
    assert await following(events) is True, "nothing at the pin: the resistor says open"
    close()
    assert await following(events) is False
    release()
    assert await following(events) is True
    await driver.close()
    await driver.close()
    await pins.close()
    await pins.close()


async def test_bounces_are_one_change() -> None:
    factory = MockFactory()
    pins, driver = Pins(lambda: factory), ContactDriver(ContactSettings(pin=4, debounce_s=0.02))
    await driver.open(pins)
    events = driver.events()
    assert await following(events) is True
    pin = factory.pin(4)
    waiting = asyncio.create_task(following(events))
    for _ in range(5):
        pin.drive_low()
        pin.drive_high()
        await asyncio.sleep(0.001)
    pin.drive_low()
    assert await waiting is False
    pin.drive_high()
    assert await following(events) is True
    await pins.close()


async def test_a_chattering_contact_is_taken_as_it_is_in_the_end() -> None:
    factory = MockFactory()
    pins, driver = Pins(lambda: factory), ContactDriver(ContactSettings(pin=4, debounce_s=0.002))
    await driver.open(pins)
    events = driver.events()
    await following(events)
    pin = factory.pin(4)

    async def chatter() -> None:
        while True:
            pin.drive_high()
            pin.drive_low()
            await asyncio.sleep(0.0005)

    task = asyncio.create_task(chatter())
    assert await following(events) is False
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await pins.close()


async def test_close_ends_the_events() -> None:
    factory = MockFactory()
    pins, driver = Pins(lambda: factory), ContactDriver(ContactSettings(pin=4))
    await driver.open(pins)
    events = driver.events()
    await following(events)
    waiting = asyncio.create_task(following(events))
    await asyncio.sleep(0)
    await driver.close()
    with pytest.raises(StopAsyncIteration):
        await waiting
    await pins.close()


async def test_a_pin_can_be_claimed_once() -> None:
    factory = MockFactory()
    pins = Pins(lambda: factory)
    first = ContactDriver(ContactSettings(pin=4))
    await first.open(pins)
    with pytest.raises(BusError, match="4"):
        await ContactDriver(ContactSettings(pin=4)).open(pins)
    await first.close()
    await ContactDriver(ContactSettings(pin=4)).open(pins)
    await pins.close()


@pytest.mark.parametrize("settings", [{}, {"pin": -1}, {"pin": 28}, {"pin": "17"}, {"pin": 4, "debounce_s": -1}])
def test_wrong_settings(settings: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(settings, ContactSettings)


@pytest.mark.parametrize("pull_up", [True, False])
@pytest.mark.parametrize("stands_open", [True, False])
def test_the_twin_pulls_against_the_resistor_only_when_closed(pull_up: bool, stands_open: bool) -> None:
    world = StillWorld(open=float(stands_open))
    twin = ContactTwin(ContactSettings(pin=4, pull_up=pull_up), world)
    level = twin.level(pull_up)
    assert is_open(level, pull_up) == stands_open
    twin.read(level, pull_up)
    assert world.given == [("open", stands_open)]
