"""Relay, buzzer, motion detector, button and flow meter on gpiozero's own mock pins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gpiozero.pins.mock import MockFactory

from golmok_drivers.api import BusClosed, BusError, CommandError, Reading
from golmok_drivers.buses.gpio import Pins
from golmok_drivers.devices.button import ButtonDriver, ButtonSettings
from golmok_drivers.devices.buzzer import BuzzerDriver, BuzzerSettings
from golmok_drivers.devices.contact import ContactDriver
from golmok_drivers.devices.flow import FlowDriver, FlowSettings
from golmok_drivers.devices.pir import PirDriver, PirSettings
from golmok_drivers.devices.relay import RelayDriver, RelaySettings
from golmok_drivers.pins import PinInputDriver, PinOutputDriver
from golmok_drivers.twins import SimDevice, simulate

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


@pytest.mark.parametrize("kind", [ContactDriver, PirDriver, ButtonDriver])
async def test_a_loose_wire_is_noisy_and_floods_nobody(kind: type[PinInputDriver]) -> None:
    factory, pins = board()
    quick = type(kind.__name__, (kind,), {"flutter": (12, 0.8)})
    driver = quick(msgspec.convert({"pin": 17} | ({} if kind is PirDriver else {"debounce_s": 0.01}), kind.Settings))
    await driver.open(pins)
    pin, events, told = factory.pin(17), driver.events(), list[Reading]()

    async def flutters() -> None:
        while True:
            (pin.drive_low if pin.state else pin.drive_high)()
            await asyncio.sleep(0.025)

    fluttering = asyncio.create_task(flutters())
    async with asyncio.timeout(PATIENCE_S):
        while not told or told[-1].reason != "noisy":
            told += await anext(events)
    assert told[-1].quality == "uncertain"
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.5)
    assert not waiting.done(), "nothing more is told while it flutters"
    fluttering.cancel()
    pin.drive_high()
    assert (await asyncio.wait_for(waiting, PATIENCE_S))[0].quality == "good", "and it is believed again"
    await driver.close()
    await pins.close()


async def test_a_button_that_stays_down_is_jammed_until_it_is_let_go() -> None:
    factory, pins = board()
    driver = ButtonDriver(ButtonSettings(pin=12, debounce_s=0.01, long_s=0.02, held_s=0.05))
    await driver.open(pins)
    events, pin = driver.events(), factory.pin(12)
    assert await following(events) == [0]
    pin.drive_low()
    assert await following(events) == [1, "long"]
    assert await anext(events) == (Reading("presses", 1, "uncertain", "stuck"),)
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.03)
    assert not waiting.done()
    pin.drive_high()
    assert await waiting == (Reading("presses", 1),)
    await pins.close()


@pytest.mark.parametrize(("kind", "quantity"), [(RelayDriver, "on"), (BuzzerDriver, "sound")])
async def test_an_output_that_cannot_be_brought_to_its_level_is_shorted(
    tmp_path: Path, kind: type[PinOutputDriver], quantity: str
) -> None:
    (tmp_path / "s.toml").write_text('[device.it]\nfault = [{ kind = "shorted", duration_s = 10 }]\n')
    now, settings = [0.0], msgspec.convert({"pin": 22}, kind.Settings)
    device = SimDevice("it", kind.info.name, "gpio://", settings)
    simulation = simulate([device], base=tmp_path, scenario="s.toml", clock=lambda: now[0])
    bus, driver = simulation.bus("gpio://"), kind(settings)
    await driver.open(bus)
    events = driver.events()
    assert (await anext(events))[0].quality == "good", "while it is off nobody can know"
    await driver.command(quantity, True)
    seen = [(await asyncio.wait_for(anext(events), PATIENCE_S))[0] for _ in range(2 if quantity == "sound" else 1)]
    assert seen[-1] == Reading(quantity, None, "bad", "shorted")
    await driver.command(quantity, False)
    now[0] = 11.0
    await driver.command(quantity, True)
    async with asyncio.timeout(PATIENCE_S):
        while (reading := (await anext(events))[0]).value not in (True, "on"):
            pass
    assert reading.quality == "good"
    await driver.close()
    await bus.close()
