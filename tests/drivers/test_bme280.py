from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golmok_drivers.api import CrcError, DriverError, NotReady, ResetValue, WrongPart
from golmok_drivers.devices.bme280 import Bme280Driver, Bme280Settings, Bme280Twin, Raw, coefficients, compensate
from tests.drivers.blinka import BlinkaI2C
from tests.drivers.direct import DirectI2C
from tests.drivers.worlds import StillWorld

ROOM = {"temperature": 21.5, "humidity": 47.0, "pressure": 1009.3}


def part(*faults: str, **felt: float) -> tuple[Bme280Driver, DirectI2C, StillWorld]:
    world = StillWorld(*faults, **(ROOM | felt))
    return Bme280Driver(Bme280Settings()), DirectI2C(Bme280Twin(Bme280Settings(), world), world), world


def test_the_example_of_the_data_sheet() -> None:
    own = coefficients(Bme280Twin._FIRST, Bme280Twin._SECOND)
    temperature, _, pressure = compensate(Raw(415_148, 519_888, 0x7000), own)
    assert temperature == 25.082
    assert pressure == pytest.approx(1006.5327, abs=0.001)
    assert own.h == (75, 362, 0, 0x13 * 16 + 9, 0x03 * 16 + 2, 30)


@settings(max_examples=25)
@given(st.floats(-39, 84), st.floats(2, 98), st.floats(301, 1099))
def test_what_is_felt_is_what_is_read(temperature: float, humidity: float, pressure: float) -> None:
    async def read() -> None:
        driver, bus, world = part(temperature=temperature, humidity=humidity, pressure=pressure)
        await driver.open(bus)
        readings = await driver.sample()
        assert [(reading.quantity, reading.value) for reading in readings] == world.given
        assert [reading.value for reading in readings] == [
            pytest.approx(temperature, abs=0.01),
            pytest.approx(humidity, abs=0.05),
            pytest.approx(pressure, abs=0.01),
        ]

    import asyncio

    asyncio.run(read())


@pytest.mark.parametrize(("fault", "error"), [("swapped", WrongPart), ("reset", ResetValue), ("not-ready", NotReady)])
async def test_what_is_wrong_is_named(fault: str, error: type[DriverError]) -> None:
    driver, bus, _ = part(fault)
    await driver.open(bus)
    with pytest.raises(error):
        await driver.sample()


async def test_registers_that_read_differently_each_time_are_refused() -> None:
    driver, bus, _ = part()
    await driver.open(bus)
    calm, turn = bus.twin.xfer, iter(range(1000))

    def noisy(write: bytes, read: int) -> bytes:
        reply: bytes = calm(write, read)
        return bytes((reply[0] ^ next(turn) % 3, *reply[1:])) if read == 26 else reply

    bus.twin.xfer = noisy
    with pytest.raises(CrcError):
        await driver.sample()


@pytest.mark.parametrize("felt", [(-30.0, 20.0, 700.0), (21.5, 47.0, 1009.3), (60.0, 90.0, 950.0)])
def test_adafruit_s_library_reads_the_same_from_the_same_twin(felt: tuple[float, float, float]) -> None:
    basic: Any = pytest.importorskip("adafruit_bme280.basic")
    world = StillWorld(**dict(zip(("temperature", "humidity", "pressure"), felt, strict=True)))
    sensor = basic.Adafruit_BME280_I2C(BlinkaI2C(Bme280Twin(Bme280Settings(address=0x77), world)), 0x77)
    time.sleep(0.01)
    assert sensor.temperature == pytest.approx(felt[0], abs=0.01)
    assert sensor.humidity == pytest.approx(felt[1], abs=0.05)
    assert sensor.pressure == pytest.approx(felt[2], abs=0.01)
