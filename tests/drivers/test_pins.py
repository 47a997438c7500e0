"""Relay, buzzer, motion detector, button and flow meter on gpiozero's own mock pins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from golmok_drivers.api import BusClosed, BusError, CommandError, Reading
from golmok_drivers.buses.gpio import Pins
from golmok_drivers.devices.button import ButtonDriver, ButtonSettings
from golmok_drivers.devices.buzzer import BuzzerDriver, BuzzerSettings
from golmok_drivers.devices.flow import FlowDriver, FlowSettings
from golmok_drivers.devices.pir import PirDriver, PirSettings
from golmok_drivers.devices.relay import RelayDriver, RelaySettings

PATIENCE_S = 5.0


def board() -> tuple[Any, Pins]:
    factory = MockFactory()
    return factory, Pins(lambda: factory)


async def following(events: AsyncIterator[Sequence[Reading]]) -> list[Any]:
    return [reading.value for reading in await asyncio.wait_for(anext(events), PATIENCE_S)]


@pytest.mark.parametrize("active_high", [True, False])
async def test_a_relay_is_off_until_it_is_told_and_off_again_in_the_end(active_high: bool) -> None:
    factory, pins = board()
    driver = RelayDriver(RelaySettings(pin=22, active_high=active_high))
    await driver.open(pins)
    pin = factory.pin(22)
    assert bool(pin.state) != active_high, "off from the first moment"
    events = driver.events()
    assert await following(events) == [False]
    await driver.command("on", True)
    assert bool(pin.state) == active_high
    assert await following(events) == [True]
    await driver.command("on", True)
    await driver.command("on", False)
    assert await following(events) == [False], "told twice, done once"
    await driver.command("on", True)
    await driver.close()
    assert pin.function == "input", "it drives nothing any more"
    await pins.close()


async def test_a_relay_goes_off_by_itself() -> None:
    factory, pins = board()
    driver = RelayDriver(RelaySettings(pin=22, longest_s=0.05))
    await driver.open(pins)
    events = driver.events()
    await following(events)
    await driver.command("on", True)
    assert await following(events) == [True]
    assert await following(events) == [False]
    assert not factory.pin(22).state
    await pins.close()


async def test_a_buzzer_beeps_in_its_pattern_until_it_is_told_to_be_silent() -> None:
    factory, pins = board()
    driver = BuzzerDriver(BuzzerSettings(pin=24))
    await driver.open(pins)
    events = driver.events()
    assert await following(events) == ["off"]
    levels = []
    await driver.command("sound", "alarm")
    assert await following(events) == ["alarm"]
    for _ in range(120):
        await asyncio.sleep(0.01)
        levels.append(bool(factory.pin(24).state))
        if sum(one and not other for one, other in zip(levels[1:], levels, strict=False)) >= 2:
            break
    assert {True, False} == set(levels)
    await driver.command("sound", False)
    assert await following(events) == ["off"]
    assert not factory.pin(24).state
    with pytest.raises(CommandError, match="off, on, beep, alarm, call"):
        await driver.command("sound", "symphony")
    await driver.close()
    await pins.close()


async def test_a_buzzer_falls_silent_by_itself() -> None:
    factory, pins = board()
    driver = BuzzerDriver(BuzzerSettings(pin=24, longest_s=0.05))
    await driver.open(pins)
    events = driver.events()
    await following(events)
    await driver.command("sound", "on")
    assert [await following(events), await following(events)] == [["on"], ["off"]]
    assert not factory.pin(24).state
    await pins.close()


async def test_motion_is_held() -> None:
    factory, pins = board()
    driver = PirDriver(PirSettings(pin=5, hold_s=0.1))
    await driver.open(pins)
    events, pin = driver.events(), factory.pin(5)
    assert await following(events) == [False]
    pin.drive_high()
    assert await following(events) == [True]
    waiting = asyncio.ensure_future(following(events))
    pin.drive_low()
    await asyncio.sleep(0.03)
    pin.drive_high()
    await asyncio.sleep(0.15)
    assert not waiting.done(), "it moved again in time"
    pin.drive_low()
    assert await waiting == [False]
    await pins.close()


async def test_presses_short_and_long_and_bounces() -> None:
    factory, pins = board()
    driver = ButtonDriver(ButtonSettings(pin=12, debounce_s=0.01, long_s=0.15))
    driver.resume({"presses": 41})
    await driver.open(pins)
    events, pin = driver.events(), factory.pin(12)
    assert await following(events) == [41]
    waiting = asyncio.ensure_future(following(events))
    await asyncio.sleep(0)
    for _ in range(5):
        pin.drive_low()
        pin.drive_high()
    await asyncio.sleep(0.03)
    assert not waiting.done(), "shorter than a bounce"
    pin.drive_low()
    await asyncio.sleep(0.04)
    pin.drive_high()
    assert await waiting == [42, "short"]
    waiting = asyncio.ensure_future(following(events))
    await asyncio.sleep(0.03)
    pin.drive_low()
    assert await waiting == [43, "long"], "told while it is still held"
    pin.drive_high()
    await driver.close()
    await pins.close()


async def test_every_pulse_of_a_flow_meter_counts() -> None:
    factory, pins = board()
    now = [0.0]
    driver = FlowDriver(FlowSettings(pin=16, pulses_per_litre=450.0), clock=lambda: now[0])
    driver.resume({"volume": 100.0, "flow": 3.0})
    await driver.open(pins)
    pin = factory.pin(16)
    for _ in range(900):
        pin.drive_low()
        pin.drive_high()
    now[0] = 30.0
    volume, flow = await driver.sample()
    assert (volume.value, flow.value) == (102.0, 4.0)
    now[0] = 60.0
    assert [reading.value for reading in await driver.sample()] == [102.0, 0.0]
    await driver.close()
    await driver.open(pins)
    assert (await driver.sample())[0].value == 102.0, "what was counted stays"
    for _ in range(450):
        pin.drive_low()
        pin.drive_high()
    now[0] = 61.0
    assert [reading.quality for reading in await driver.sample()] == ["good", "good"]
    await pins.close()
    with pytest.raises(BusClosed):
        await driver.sample()


async def test_a_pin_is_claimed_once_whatever_for() -> None:
    _, pins = board()
    await pins.output(4, is_high=False)
    for claim in (pins.output(4, is_high=True), pins.count(4, pull_up=True)):
        with pytest.raises(BusError, match="4"):
            await claim
    await pins.close()
    with pytest.raises(BusClosed):
        await pins.output(5, is_high=False)
