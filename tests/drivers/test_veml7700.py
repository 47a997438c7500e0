from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golmok_drivers.api import DriverError, ResetValue, WrongPart
from golmok_drivers.devices.veml7700 import (
    SETTINGS,
    Veml7700Driver,
    Veml7700Settings,
    Veml7700Twin,
    better,
    lux,
)
from tests.drivers.blinka import BlinkaI2C
from tests.drivers.direct import DirectI2C
from tests.drivers.worlds import StillWorld


def part(*faults: str, light: float = 420.0) -> tuple[Veml7700Driver, DirectI2C, StillWorld]:
    world = StillWorld(*faults, illuminance=light)
    return Veml7700Driver(Veml7700Settings()), DirectI2C(Veml7700Twin(Veml7700Settings(), world), world), world


def test_the_resolutions_of_the_application_note() -> None:
    assert [setting.lux for setting in SETTINGS] == pytest.approx([2.1504, 1.0752, 0.1344, 0.0084])
    assert lux(500, SETTINGS[1]) == 537.6
    assert lux(10_000, SETTINGS[1]) == pytest.approx(10752 * 1.0023 + 8.1488e-5 * 10752**2 - 9.3924e-9 * 10752**3
                                                      + 6.0135e-13 * 10752**4, rel=1e-6)  # fmt: skip


@given(st.integers(0, 65_535), st.integers(0, len(SETTINGS) - 1))
def test_another_setting_is_only_taken_where_it_is_better_and_never_back_and_forth(digits: int, at: int) -> None:
    then = better(digits, at)
    seen = min(65_535, round(digits * SETTINGS[at].lux / SETTINGS[then].lux))
    assert digits == 65_535 or better(seen, then) == then
    assert then == at or (then < at) == (digits == 65_535)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.05, 100_000))
def test_what_falls_on_it_is_what_is_read(light: float) -> None:
    async def read() -> None:
        driver, bus, world = part(light=light)
        await driver.open(bus)
        (reading,) = await driver.sample()
        assert [(reading.quantity, reading.value)] == world.given[-1:]
        assert reading.quality == "good"
        assert reading.value == pytest.approx(light, rel=0.005, abs=0.006)

    asyncio.run(read())


async def test_more_than_the_sun_is_bad_but_shown() -> None:
    driver, bus, _ = part(light=1e6)
    await driver.open(bus)
    (reading,) = await driver.sample()
    assert (reading.quality, reading.reason) == ("bad", "range")
    assert isinstance(reading.value, float)


@pytest.mark.parametrize(("fault", "error"), [("swapped", WrongPart), ("reset", ResetValue)])
async def test_what_is_wrong_is_named(fault: str, error: type[DriverError]) -> None:
    driver, bus, _ = part(fault)
    await driver.open(bus)
    with pytest.raises(error):
        await driver.sample()


@pytest.mark.parametrize("light", [0.5, 12.0, 420.0, 9_000.0, 60_000.0])
async def test_adafruit_s_library_reads_the_same_from_the_same_twin(light: float) -> None:
    adafruit = pytest.importorskip("adafruit_veml7700")
    driver, bus, _ = part(light=light)
    await driver.open(bus)
    (reading,) = await driver.sample()
    setting = SETTINGS[driver._at]
    theirs = adafruit.VEML7700(BlinkaI2C(bus.twin))
    theirs.light_gain, theirs.light_integration_time = setting.gain_code, setting.time_code
    theirs.light_shutdown = False
    await asyncio.sleep(1.2 * setting.time_s)
    digits = theirs.light
    assert theirs.resolution() == pytest.approx(setting.lux)
    assert reading.value == pytest.approx(theirs.compute_lux(digits, digits * setting.lux > 1000), abs=setting.lux)
