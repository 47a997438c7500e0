from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golmok_drivers.api import CrcError, DriverError, NotReady, ResetValue, Unplugged, WrongPart
from golmok_drivers.devices.max31856 import (
    RANGES,
    Max31856Driver,
    Max31856Settings,
    Max31856Twin,
    decode,
)
from tests.drivers.blinka import BlinkaSpi
from tests.drivers.direct import DirectSpi
from tests.drivers.worlds import StillWorld


class Rushing(StillWorld):
    """A world in which a conversion is over at once."""

    def part_s(self) -> float:
        self.at_s += 1.0
        return self.at_s


def kiln(*faults: str, kind: Any = "K", **felt: float) -> tuple[Max31856Driver, DirectSpi, Rushing]:
    world = Rushing(*faults, **{"temperature": 1000.0, "cold-junction": 25.0, **felt})
    options = Max31856Settings(thermocouple=kind)
    return Max31856Driver(options), DirectSpi(Max31856Twin(options, world), world), world


@pytest.mark.parametrize(
    ("raw", "hot", "cold"),
    [  # data sheet, tables 4 and 5 (left aligned in 16 and 24 bits)
        ("7fc0 640000 00", 1600.0, 127.75 + 0.0),
        ("1900 3e8000 00", 1000.0, 25.0),
        ("0000 000000 00", 0.0, 0.0),
        ("0010 000100 00", 0.0625, 0.0625),
        ("fff0 ffff00 00", -0.0625, -0.0625),
        ("e700 f06000 00", -250.0, -25.0),
        ("c900 f06000 00", -250.0, -55.0),
    ],
)
def test_values_of_the_data_sheet(raw: str, hot: float, cold: float) -> None:
    measured = decode(bytes.fromhex(raw))
    assert (measured.temperature, measured.cold_junction) == (hot, cold)


async def test_driver_and_twin_agree_to_the_last_bit() -> None:
    driver, bus, world = kiln(temperature=1234.567, **{"cold-junction": 31.4})
    await driver.open(bus)
    assert [(reading.quantity, reading.value) for reading in await driver.sample()] == world.given
    assert world.given[0][1] == pytest.approx(1234.567, abs=1 / 256)
    assert world.given[1][1] == pytest.approx(31.4, abs=1 / 128)
    assert bus.modes == {1}
    assert (await driver.probe()).part == "MAX31856"


@pytest.mark.parametrize(("fault", "reason"), [("open-circuit", "open-circuit"), ("shorted", "shorted")])
async def test_a_broken_thermocouple_is_named_and_the_cold_junction_still_read(fault: str, reason: str) -> None:
    driver, bus, _ = kiln(fault)
    await driver.open(bus)
    hot, cold = await driver.sample()
    assert (hot.value, hot.quality, hot.reason) == (None, "bad", reason)
    assert (cold.value, cold.quality) == (25.0, "good")


@pytest.mark.parametrize(("fault", "error"), [("swapped", WrongPart), ("reset", ResetValue), ("not-ready", NotReady)])
async def test_what_is_there_instead_is_named(fault: str, error: type[DriverError]) -> None:
    driver, bus, _ = kiln(fault)
    await driver.open(bus)
    with pytest.raises(error):
        await driver.sample()


async def test_nobody_at_the_chip_select() -> None:
    _, bus, _ = kiln()
    driver = Max31856Driver(Max31856Settings(select=1))
    await driver.open(bus)
    for ask in (driver.sample, driver.probe):
        with pytest.raises(Unplugged, match="chip select 1"):
            await ask()


async def test_bytes_that_are_not_the_same_twice_are_refused() -> None:
    driver, bus, _ = kiln()
    await driver.open(bus)
    calm = bus.twin.xfer
    turn = iter(range(1000))

    class Noisy:
        select = 0

        def xfer(self, write: bytes) -> bytes:
            reply: bytes = calm(write)
            is_value = write[0] == 0x0A and next(turn) % 2
            return reply[:2] + bytes((reply[2] ^ 0x40,)) + reply[3:] if is_value else reply

    bus.twin = Noisy()
    with pytest.raises(CrcError, match="not the same"):
        await driver.sample()


@pytest.mark.parametrize("kind", sorted(RANGES))
async def test_each_thermocouple_has_its_range(kind: str) -> None:
    for felt, quality in (
        (RANGES[kind].high - 1, "good"),
        (RANGES[kind].high + 5, "bad"),
        (RANGES[kind].low - 5, "bad"),
    ):
        driver, bus, _ = kiln(kind=kind, temperature=felt)
        await driver.open(bus)
        hot = (await driver.sample())[0]
        assert hot.quality == quality
        assert hot.value == pytest.approx(felt, abs=0.01)


@settings(max_examples=20)
@given(st.floats(-199, 1371), st.floats(-54, 124), st.sampled_from(["K", "J", "N"]))
def test_adafruit_s_library_reads_the_same_from_the_same_twin(hot: float, cold: float, kind: str) -> None:
    adafruit = pytest.importorskip("adafruit_max31856")
    world = Rushing(temperature=min(hot, 1199.0), **{"cold-junction": cold})
    spi = BlinkaSpi(Max31856Twin(Max31856Settings(thermocouple=kind), world))  # type: ignore[arg-type]
    sensor = adafruit.MAX31856(spi, spi.select, thermocouple_type=getattr(adafruit.ThermocoupleType, kind))
    assert sensor.temperature == pytest.approx(min(hot, 1199.0), abs=1 / 128)
    assert sensor.reference_temperature == pytest.approx(cold, abs=1 / 64)
    assert not any(sensor.fault.values())


def test_adafruit_s_library_sees_the_same_faults() -> None:
    adafruit = pytest.importorskip("adafruit_max31856")
    for fault, name in (("open-circuit", "open_tc"), ("shorted", "voltage")):
        world = Rushing(fault, temperature=20.0, **{"cold-junction": 20.0})
        spi = BlinkaSpi(Max31856Twin(Max31856Settings(), world))
        sensor = adafruit.MAX31856(spi, spi.select)
        assert sensor.temperature is not None
        assert sensor.fault[name]
