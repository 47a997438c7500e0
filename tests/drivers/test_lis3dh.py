from __future__ import annotations

from typing import Any

import msgspec
import pytest

from golmok_drivers.api import DriverError, Overrun, ResetValue, Unplugged, WrongPart
from golmok_drivers.devices.lis3dh import (
    SAMPLES,
    STANDARD_G,
    Lis3dhDriver,
    Lis3dhSettings,
    Lis3dhTwin,
    capture,
    digits,
)
from tests.drivers.blinka import BlinkaSpi
from tests.drivers.direct import DirectLine, DirectSpi
from tests.drivers.worlds import StillWorld


def machine(*faults: str, seed: float = 0.5, **felt: float) -> tuple[Lis3dhDriver, DirectSpi, StillWorld]:
    world = StillWorld(*faults, **{"velocity": 0.45, "speed": 29.2, "blow": 0.0, **felt})
    world.random = lambda: seed  # type: ignore[method-assign]
    chosen = Lis3dhSettings()
    return Lis3dhDriver(chosen), DirectSpi(Lis3dhTwin(chosen, world), world), world


async def shaking(driver: Lis3dhDriver, bus: DirectSpi) -> dict[str, Any]:
    await driver.open(bus)
    return {reading.quantity: reading.value for reading in await driver.sample()}


async def test_driver_and_twin_agree() -> None:
    driver, bus, world = machine()
    await driver.open(bus)
    readings = await driver.sample()
    assert [(reading.quantity, reading.value) for reading in readings] == world.given
    assert {reading.quality for reading in readings} == {"good"}
    assert bus.modes == {3}
    assert (await driver.probe()).part == "LIS3DH"


@pytest.mark.parametrize(
    ("velocity", "speed", "zone"), [(0.5, 24.3, "A"), (1.2, 29.2, "B"), (3.0, 29.2, "C"), (9.0, 49.0, "D")]
)
async def test_the_velocity_of_an_unbalanced_motor_and_its_zone(velocity: float, speed: float, zone: str) -> None:
    seen = await shaking(*machine(velocity=velocity, speed=speed)[:2])
    assert seen["velocity"] == pytest.approx(velocity, rel=0.03, abs=0.08)
    assert seen["zone"] == zone


@pytest.mark.parametrize("seed", [0.1, 0.5, 0.9])
async def test_a_failing_bearing_shows_in_kurtosis_while_the_velocity_is_still_normal(seed: float) -> None:
    sound = await shaking(*machine(seed=seed)[:2])
    failing = await shaking(*machine(seed=seed, blow=12.0)[:2])
    assert sound["kurtosis"] < 3.5
    assert failing["kurtosis"] > 6.0
    assert failing["acceleration"] > 2 * sound["acceleration"]
    assert failing["velocity"] == pytest.approx(sound["velocity"], abs=0.15)
    assert sound["zone"] == failing["zone"] == "A"


async def test_a_machine_that_stands_still() -> None:
    seen = await shaking(*machine(velocity=0.0)[:2])
    assert seen["velocity"] < 0.15
    assert 2.0 < seen["kurtosis"] < 4.5


@pytest.mark.parametrize(("fault", "error"), [("swapped", WrongPart), ("reset", ResetValue), ("not-ready", Unplugged)])
async def test_what_is_wrong_is_named(fault: str, error: type[DriverError]) -> None:
    driver, bus, _ = machine(fault)
    await driver.open(bus)
    with pytest.raises(error):
        await driver.sample()


async def test_nobody_at_the_chip_select() -> None:
    _, bus, _ = machine()
    driver = Lis3dhDriver(Lis3dhSettings(select=1))
    await driver.open(bus)
    for ask in (driver.sample, driver.probe):
        with pytest.raises(Unplugged):
            await ask()


async def test_more_than_its_range_is_bad() -> None:
    driver, bus, _ = machine(blow=60.0)
    await driver.open(bus)
    assert {(reading.quality, reading.reason) for reading in await driver.sample()} == {("bad", "range")}


class Late(DirectLine):
    """A line of a machine that is busy elsewhere every so often."""

    def __init__(self, world: StillWorld, twin: Lis3dhTwin, late_at: set[int]) -> None:
        super().__init__(world, twin.xfer)
        self._late_at, self._slept = late_at, 0

    def sleep(self, seconds: float) -> None:
        self._slept += 1
        super().sleep(seconds + (0.01 if self._slept in self._late_at else 0.0))


async def test_values_that_were_lost_are_noticed_and_the_capture_begun_anew() -> None:
    driver, bus, world = machine()
    await driver.open(bus)
    raw = capture(Late(world, bus.twin, {100, 300}))
    assert len(raw) == 6 * SAMPLES
    with pytest.raises(Overrun, match="too busy"):
        capture(Late(world, bus.twin, set(range(0, 100_000, 50))))


class Restarting(DirectLine):
    """The part restarts in the middle of a capture."""

    def __init__(self, world: StillWorld, twin: Lis3dhTwin) -> None:
        super().__init__(world, twin.xfer)
        self._restart, self._slept = world, 0

    def sleep(self, seconds: float) -> None:
        self._slept += 1
        self._restart.faults = ("reset",) if self._slept > 20 else ()
        super().sleep(seconds)


async def test_a_part_that_restarts_while_it_is_read_measures_nothing_more() -> None:
    driver, bus, world = machine()
    await driver.open(bus)
    with pytest.raises(Unplugged, match="measures nothing"):
        capture(Restarting(world, bus.twin))


async def test_it_works_again_after_it_was_restarted() -> None:
    driver, bus, world = machine()
    await driver.open(bus)
    world.faults = ("reset",)
    with pytest.raises(ResetValue):
        await driver.sample()
    world.faults = ()
    with pytest.raises(ResetValue):  # it is set up anew now
        await driver.sample()
    assert len(await driver.sample()) == 5


def test_zones_must_rise() -> None:
    with pytest.raises(msgspec.ValidationError, match="rising"):
        msgspec.convert({"zones": [1.0, 0.5, 2.0]}, Lis3dhSettings)


def test_adafruit_s_library_reads_the_same_from_the_same_twin() -> None:
    adafruit = pytest.importorskip("adafruit_lis3dh")
    _, bus, _ = machine(velocity=8.0)
    twin: Lis3dhTwin = bus.twin
    spi = BlinkaSpi(twin)
    sensor = adafruit.LIS3DH_SPI(spi, spi.select)
    sensor.range = adafruit.RANGE_4_G
    for _ in range(30):
        theirs = sensor.acceleration
        ours = [axis[-1] for axis in digits(bytes(twin._raw[-6:]))]
        for their, our in zip(theirs, ours, strict=True):
            assert their / STANDARD_G * 8190 / 256 == pytest.approx(our, abs=1)
