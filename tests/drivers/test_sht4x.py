from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_drivers.api import BusNack, CrcError
from golmok_drivers.devices.sht4x import (
    MEASURE_PRECISELY,
    READ_SERIAL,
    SOFT_RESET,
    Sht4xDriver,
    Sht4xSettings,
    Sht4xTwin,
    crc8,
    decode,
    dew_point,
    words,
)
from tests.drivers.worlds import StillWorld


class Direct:
    """A twin on a bus without a thread."""

    def __init__(self, twin: Sht4xTwin) -> None:
        self.twin = twin
        self.writes: list[bytes] = []

    async def xfer(self, address: int, write: bytes = b"", read: int = 0, *, timeout_s: float = 0.5) -> bytes:
        if address != self.twin.address:
            raise BusNack("nobody")
        self.writes.append(write)
        return self.twin.xfer(write, read)

    async def session(self, address: int, work: Any, *, timeout_s: float) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        pass


def frame(temperature: int, humidity: int) -> bytes:
    first, second = temperature.to_bytes(2, "big"), humidity.to_bytes(2, "big")
    return first + bytes((crc8(first),)) + second + bytes((crc8(second),))


def test_the_checksum_example_of_the_data_sheet() -> None:
    assert crc8(b"\xbe\xef") == 0x92


@pytest.mark.parametrize(
    ("raw", "temperature", "humidity"),
    [
        ((0x0000, 0x0000), -45.0, 0.0),
        ((0xFFFF, 0xFFFF), 130.0, 100.0),
        ((0x6666, 0x8000), 25.0, 56.50095),
        ((0x6666, 0x0C49), 25.0, 0.0),
        ((0x6666, 0x0C4A), 25.0, 0.00053),
    ],
)
def test_values_computed_by_hand(raw: tuple[int, int], temperature: float, humidity: float) -> None:
    assert decode(frame(*raw)) == pytest.approx((temperature, humidity), abs=1e-3)


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_what_is_sent_is_what_is_read(temperature: int, humidity: int) -> None:
    assert words(frame(temperature, humidity)) == (temperature, humidity)
    celsius, percent = decode(frame(temperature, humidity))
    assert round((celsius + 45) * 65535 / 175) == temperature
    assert 0 <= percent <= 100


@given(st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 47))
def test_every_flipped_bit_is_found(temperature: int, humidity: int, bit: int) -> None:
    sent = int.from_bytes(frame(temperature, humidity), "big") ^ 1 << bit
    with pytest.raises(CrcError):
        decode(sent.to_bytes(6, "big"))


@given(st.binary(max_size=12))
def test_any_bytes_give_values_or_a_crc_error(reply: bytes) -> None:
    try:
        decode(reply)
    except CrcError:
        assert len(reply) != 6 or frame(*words_unchecked(reply)) != reply
    else:
        assert frame(*words_unchecked(reply)) == reply


def words_unchecked(reply: bytes) -> tuple[int, int]:
    return int.from_bytes(reply[0:2], "big"), int.from_bytes(reply[3:5], "big")


@pytest.mark.parametrize(
    ("temperature", "humidity", "expected"),
    [(20.0, 50.0, 9.26), (25.0, 100.0, 25.0), (30.0, 80.0, 26.17), (0.0, 60.0, -6.9), (22.0, 1.0, -36.8)],
)
def test_the_dew_point_of_the_tables(temperature: float, humidity: float, expected: float) -> None:
    reading = dew_point(temperature, humidity)
    assert reading.value == pytest.approx(expected, abs=0.1)
    assert reading.quality == "good"


def test_air_without_water_has_no_dew_point() -> None:
    assert dew_point(20.0, 0.0).quality == "bad"


def test_the_twin_measures_as_long_as_the_part() -> None:
    now = [0.0]
    twin = Sht4xTwin(Sht4xSettings(), StillWorld(temperature=25.0, humidity=50.0), lambda: now[0])
    twin.xfer(MEASURE_PRECISELY, 0)
    with pytest.raises(BusNack):
        twin.xfer(b"", 6)
    now[0] = 0.0084
    assert len(twin.xfer(b"", 6)) == 6
    with pytest.raises(BusNack):
        twin.xfer(b"", 6)


def test_the_twin_refuses_what_the_part_refuses() -> None:
    twin = Sht4xTwin(Sht4xSettings(), StillWorld())
    with pytest.raises(BusNack):
        twin.xfer(b"\x00", 0)
    assert twin.xfer(b"", 0) == b"", "an empty write asks only for an ACK"


async def test_driver_and_twin_agree_to_the_last_bit() -> None:
    world = StillWorld(temperature=21.37, humidity=44.4)
    bus = Direct(Sht4xTwin(Sht4xSettings(address=0x45), world))
    driver = Sht4xDriver(Sht4xSettings(address=0x45))
    await driver.open(bus)
    assert [(reading.quantity, reading.value) for reading in await driver.sample()] == world.given
    assert world.given[0][1] == pytest.approx(21.37, abs=0.002)
    assert (await driver.probe()).serial == "80000000"
    await driver.reset()
    assert set(bus.writes) == {MEASURE_PRECISELY, READ_SERIAL, SOFT_RESET, b""}


async def test_a_cancelled_measurement_does_not_spoil_the_next() -> None:
    bus = Direct(Sht4xTwin(Sht4xSettings(), StillWorld(temperature=21.0, humidity=44.0)))
    driver = Sht4xDriver(Sht4xSettings())
    await driver.open(bus)
    task = asyncio.create_task(driver.sample())
    await asyncio.sleep(0.001)
    task.cancel()
    assert len(await driver.sample()) == 2


async def test_a_dead_part_is_a_nack() -> None:
    driver = Sht4xDriver(Sht4xSettings(address=0x46))
    await driver.open(Direct(Sht4xTwin(Sht4xSettings(), StillWorld())))
    for ask in (driver.sample, driver.probe):
        with pytest.raises(BusNack):
            await ask()


async def test_values_beyond_the_part_are_bad() -> None:
    driver = Sht4xDriver(Sht4xSettings())
    await driver.open(Direct(Sht4xTwin(Sht4xSettings(), StillWorld(temperature=1e6, humidity=1e6))))
    temperature, humidity = await driver.sample()
    assert (temperature.value, temperature.quality, temperature.reason) == (130.0, "bad", "range")
    assert (humidity.value, humidity.quality) == (100.0, "good")


class BlinkaBus:
    """Adafruit's idea of an I2C bus, with our twin at the other end."""

    def __init__(self, twin: Sht4xTwin) -> None:
        self.twin = twin

    def try_lock(self) -> bool:
        return True

    def unlock(self) -> None:
        pass

    def writeto(self, address: int, buffer: bytes, *, start: int = 0, end: int | None = None) -> None:
        self.twin.xfer(bytes(buffer[start:end]), 0)

    def readfrom_into(self, address: int, buffer: Any, *, start: int = 0, end: int | None = None) -> None:
        end = len(buffer) if end is None else end
        buffer[start:end] = self.twin.xfer(b"", end - start)


@pytest.mark.parametrize("felt", [(-40.0, 0.0), (-12.345, 99.0), (21.37, 44.4), (85.0, 3.0), (124.9, 100.0)])
def test_adafruit_s_library_reads_the_same_from_the_same_twin(felt: tuple[float, float]) -> None:
    adafruit_sht4x = pytest.importorskip("adafruit_sht4x")
    world = StillWorld(temperature=felt[0], humidity=felt[1])
    sensor = adafruit_sht4x.SHT4x(BlinkaBus(Sht4xTwin(Sht4xSettings(), world)))
    temperature, humidity = sensor.measurements
    assert (temperature, humidity) == pytest.approx([value for _, value in world.given], abs=0.0005)
    assert sensor.serial_number == 0x80000000
