from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golmok_drivers.api import BusNack, CrcError, DriverError, OpenCircuit, ResetValue, Shorted, WrongPart
from golmok_drivers.devices.ads1115 import (
    RATE_HZ,
    SAMPLES,
    Ads1115Driver,
    Ads1115Settings,
    Ads1115Twin,
    RunHours,
    amperes,
    are_alike,
)
from tests.drivers.blinka import BlinkaI2C
from tests.drivers.direct import DirectI2C
from tests.drivers.worlds import StillWorld


def clamp(*faults: str, amps: float = 4.2, **options: Any) -> tuple[Ads1115Driver, DirectI2C, StillWorld]:
    world = StillWorld(*faults, current=amps)
    chosen = Ads1115Settings(**options)
    return Ads1115Driver(chosen), DirectI2C(Ads1115Twin(chosen, world), world), world


@pytest.mark.parametrize("mains_hz", [50, 60])
@settings(max_examples=25)
@given(amps=st.floats(0.5, 30), phase=st.floats(0, 6.28), third=st.floats(0, 0.4))
def test_the_effective_value_over_whole_cycles(mains_hz: int, amps: float, phase: float, third: float) -> None:
    def at(second: float) -> float:
        turn = 2 * math.pi * mains_hz * second + phase
        return (math.sin(turn) + third * math.sin(3 * turn)) / math.sqrt((1 + third**2) / 2)

    codes = [round(amps / 30 * at(place / RATE_HZ) / 2.048 * 32768) for place in range(SAMPLES)]
    assert amperes(codes, 30.0) == pytest.approx(amps, rel=0.002)


@settings(max_examples=20)
@given(st.floats(0.3, 29), st.sampled_from(["A0-A1", "A2-A3"]))
def test_what_flows_is_what_is_read_though_the_part_s_clock_is_off(amps: float, pair: str) -> None:
    async def read() -> None:
        driver, bus, world = clamp(amps=amps, input=pair)
        await driver.open(bus)
        world.passes(0.01234)
        readings = await driver.sample()
        assert [(reading.quantity, reading.value) for reading in readings] == world.given
        assert readings[0].value == pytest.approx(amps, rel=0.015, abs=0.005)
        assert readings[0].quality == "good"

    import asyncio

    asyncio.run(read())


async def test_running_hours_are_counted_and_go_on_after_a_restart() -> None:
    driver, bus, world = clamp(amps=3.0)
    await driver.open(bus)
    for _ in range(61):
        readings = await driver.sample()
        world.passes(59.7)
    assert readings[1].value == pytest.approx(1.0, abs=0.001)
    again = Ads1115Driver(Ads1115Settings())
    again.resume({"run-hours": readings[1].value, "current": 3.0})
    await again.open(bus)
    assert (await again.sample())[1].value == readings[1].value


def test_hours_count_only_between_two_looks_at_both_of_which_it_ran() -> None:
    hours = RunHours()
    for runs, at_s in ((True, 0), (True, 36), (False, 72), (True, 108), (True, 144), (True, 1000), (True, 1036)):
        hours.look(runs, at_s)
    assert hours.hours == pytest.approx((36 + 36 + 36 + 36) / 3600)


@pytest.mark.parametrize(
    ("fault", "error"),
    [("open-circuit", OpenCircuit), ("shorted", Shorted), ("swapped", WrongPart), ("reset", ResetValue)],
)
async def test_what_is_wrong_is_named(fault: str, error: type[DriverError]) -> None:
    driver, bus, _ = clamp(fault)
    await driver.open(bus)
    with pytest.raises(error):
        await driver.sample()


async def test_a_loose_clamp_scatters_and_a_machine_that_is_switched_on_does_not() -> None:
    driver, bus, world = clamp(amps=0.1)
    await driver.open(bus)
    for amps in (0.1, 4.0, 0.1, 25.0, 25.0, 2.0):
        world.felt["current"] = amps
        assert (await driver.sample())[0].quality == "good"
    chance = random.Random(3)
    world.felt["current"] = 4.0
    calm = world.feel
    world.feel = lambda quantity: calm(quantity) + chance.gauss(0.0, 4.0)  # type: ignore[method-assign]
    seen = [(await driver.sample())[0] for _ in range(4)]
    assert [reading.reason for reading in seen] == ["", "noisy", "noisy", "noisy"]


@settings(max_examples=50)
@given(mains_hz=st.floats(49.5, 60.5), amps=st.floats(0.5, 30), phase=st.floats(0, 6.28), seed=st.integers(0, 99))
def test_a_current_that_goes_on_is_alike_whatever_the_mains_and_noise_is_not(
    mains_hz: float, amps: float, phase: float, seed: int
) -> None:
    if not (mains_hz < 50.5 or mains_hz > 59.5):
        mains_hz = 60.0
    turn, chance = 2 * math.pi * mains_hz, random.Random(seed)
    sine = [round(amps / 30 * math.sin(turn * at / RATE_HZ + phase) / 2.048 * 16384) for at in range(SAMPLES)]
    assert are_alike(sine)
    assert not are_alike([round(chance.gauss(0, 3000)) for _ in range(SAMPLES)])
    assert are_alike([round(chance.gauss(0, 20)) for _ in range(SAMPLES)]), "of next to nothing nothing is told"


async def test_more_than_the_clamp_can_is_bad_but_shown() -> None:
    driver, bus, _ = clamp(amps=80.0)
    await driver.open(bus)
    current = (await driver.sample())[0]
    assert (current.quality, current.reason) == ("bad", "range")
    assert driver.channels[0].high == pytest.approx(43.4, abs=0.1)


async def test_probe() -> None:
    driver, bus, _ = clamp()
    await driver.open(bus)
    assert (await driver.probe()).part == "ADS1115"
    nobody = Ads1115Driver(Ads1115Settings(address=0x4B))
    await nobody.open(bus)
    with pytest.raises(BusNack):
        await nobody.probe()
    driver, bus, _ = clamp("swapped")
    await driver.open(bus)
    with pytest.raises(WrongPart):
        await driver.probe()


async def test_a_configuration_that_reads_differently_each_time_is_a_bad_wire() -> None:
    driver, bus, _ = clamp()
    await driver.open(bus)
    calm, turn = bus.twin.xfer, iter(range(10_000))

    def noisy(write: bytes, read: int) -> bytes:
        reply: bytes = calm(write, read)
        return bytes((reply[0] ^ 1 << next(turn) % 7, *reply[1:])) if write == b"\x01" else reply

    bus.twin.xfer = noisy
    with pytest.raises(CrcError):
        await driver.sample()


@pytest.mark.parametrize("amps", [0.0, 5.0, 25.0])
def test_adafruit_s_library_reads_the_same_from_the_same_twin(amps: float) -> None:
    ads1115 = pytest.importorskip("adafruit_ads1x15.ads1115")
    analog_in = pytest.importorskip("adafruit_ads1x15.analog_in")
    world = StillWorld(current=amps)
    twin = Ads1115Twin(Ads1115Settings(), world)
    theirs = analog_in.AnalogIn(ads1115.ADS1115(BlinkaI2C(twin), gain=2, data_rate=860), 0, 1)
    for _ in range(20):
        world.passes(0.0031)
        value = theirs.value
        twin.xfer(b"\x00", 0)
        ours = int.from_bytes(twin.xfer(b"", 2), "big", signed=True)
        assert abs(value - ours) <= 1
        assert theirs.voltage == pytest.approx(theirs.value * 2.048 / 32767, abs=2e-4)
