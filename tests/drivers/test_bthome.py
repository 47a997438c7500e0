"""BTHome sensors: readings thinned, states at once, keys held to, events told once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from golmok_drivers.adverts import bthome
from golmok_drivers.adverts.keyed import name_of
from golmok_drivers.api import Advert, PayloadError, Reading
from golmok_drivers.devices.bthome import BthomeDriver, BthomeSettings, BthomeTwin, channel_of
from golmok_drivers.errors import RefusedError
from golmok_drivers.radio import ForgetfulCounters
from tests.drivers.frames import ADDRESS, KEY, advert, press, sealed
from tests.drivers.worlds import StillWorld

WEATHER = bytes.fromhex("4002ca0903bf13")


class Radio:
    def __init__(self) -> None:
        self.counters = ForgetfulCounters()

    async def listen(self, **_: Any) -> Any:
        return None


async def sensor(*channels: str, **more: Any) -> BthomeDriver:
    driver = BthomeDriver(BthomeSettings(address=ADDRESS, channels=list(channels), **more))
    await driver.open(Radio())  # type: ignore[arg-type]  # as much of one as is needed
    return driver


async def told(driver: BthomeDriver, *adverts: Advert) -> list[tuple[float, dict[str, Any]]]:
    said: list[tuple[float, Sequence[Reading]]] = []
    for one in adverts:
        with suppress(PayloadError, RefusedError):
            said.append((one.heard_s, await driver.taken(one)))
    return [(at_s, {reading.quantity: reading.value for reading in readings}) for at_s, readings in said if readings]


async def test_a_frame_becomes_readings_of_the_channels_that_are_wanted() -> None:
    driver = await sensor("temperature", "humidity", "battery")
    assert list(await driver.taken(advert(WEATHER))) == [Reading("temperature", 25.06), Reading("humidity", 50.55)]


async def test_the_same_frame_is_news_after_a_while_and_another_one_not_before() -> None:
    driver = await sensor("temperature", every_s=10)
    frames = [advert(WEATHER, at_s=at_s / 2) for at_s in range(50)]
    assert [at_s for at_s, _ in await told(driver, *frames)] == [0.0, 9.0, 18.0]
    other = [advert(b"\x40\x02" + bytes([n, 9]), at_s=100 + n) for n in range(25)]
    assert [at_s for at_s, _ in await told(driver, *other)] == [100.0, 109.0, 118.0]


async def test_a_numbered_frame_that_comes_again_is_never_news() -> None:
    driver = await sensor("temperature", every_s=1)
    frames = [advert(b"\x40\x00\x07\x02\xca\x09", at_s=at_s) for at_s in range(50)]
    assert len(await told(driver, *frames)) == 1


async def test_a_state_that_changes_is_told_at_once() -> None:
    driver = await sensor("door", "temperature", every_s=60)
    frames = [advert(bytes([0x40, 0x1A, n % 2, 0x02, 0, 9]), at_s=n / 10) for n in range(4)]
    assert [values["door"] for _, values in await told(driver, *frames)] == [False, True, False, True]


async def test_a_keyed_sensor_is_believed_once_and_never_in_plain() -> None:
    driver = await sensor("temperature", key=KEY, every_s=0)
    body = bytes.fromhex("02ca09")
    frames = [
        advert(sealed(body, counter), at_s=place) for place, counter in enumerate((10, 10, 9, 11, 5, 11 + (1 << 20)))
    ]
    assert [at_s for at_s, _ in await told(driver, *frames)] == [0, 3]
    assert await told(driver, advert(WEATHER, at_s=99)) == []
    assert driver.bus is not None
    assert driver.bus.counters.last(name_of(ADDRESS, KEY)) == 11


async def test_what_a_plain_button_said_before_the_first_change_may_be_old_and_is_not_told() -> None:
    driver = await sensor("button")
    frames = [advert(bytes([0x40, 0x00, packet, 0x3A, 1]), at_s=packet) for packet in (7, 7, 8, 8, 9)]
    said = [reading for one in frames for reading in await driver.taken(one)]
    assert said == [Reading("button", "press", "uncertain", "unsigned")] * 2


async def test_a_keyed_button_of_a_sensor_is_told_once() -> None:
    driver = await sensor("button", "battery", key=KEY)
    frames = [advert(press(counter), at_s=counter) for counter in (7, 7, 8, 6)]
    assert [values["button"] for _, values in await told(driver, *frames)] == ["press", "press"]


async def test_an_impossible_value_and_a_low_battery_are_named() -> None:
    driver = await sensor("humidity", "battery")
    readings = await driver.taken(advert(b"\x40\x01\x0e\x03\xff\xff"))
    assert {(one.quantity, one.quality, one.reason) for one in readings} == {
        ("humidity", "bad", "range"),
        ("battery", "uncertain", "low-battery"),
    }


async def test_another_unit_than_that_of_the_channel_is_bad() -> None:
    driver = await sensor("mass")  # kilograms; the frame has pounds
    assert list(await driver.taken(advert(b"\x40\x07\x10\x10"))) == [Reading("mass", None, "bad", "unit")]


@pytest.mark.parametrize("data", [b"", b"\x40", b"\xff\xff", b"\x40\xfb\x01", bytes(30)])
async def test_no_bytes_break_it(data: bytes) -> None:
    assert await told(await sensor("temperature"), advert(data)) == []


def test_settings_name_what_bthome_knows() -> None:
    assert channel_of("temperature_2").unit == "Cel"
    for channels in (["temprature"], ["battery", "battery"], []):
        with pytest.raises(msgspec.ValidationError, match=r"temprature|twice|length"):
            msgspec.convert({"address": ADDRESS, "channels": channels}, BthomeSettings)


async def test_the_twin_is_read_as_it_means() -> None:
    names = ["temperature", "humidity", "pressure", "battery", "co2", "door", "voltage", "illuminance"]
    felt = {
        "temperature": -12.345, "humidity": 55.551, "pressure": 1013.25, "battery": 80.2, "co2": 812.0, "door": 1.0,
        "voltage": 3.0011, "illuminance": 13_460.67,
    }  # fmt: skip
    for key in (None, KEY):
        world = StillWorld(**felt)
        twin = BthomeTwin(BthomeSettings(address=ADDRESS, channels=names, key=key), world)
        broadcast = twin.broadcast()
        assert broadcast is not None
        driver = await sensor(*names, key=key)
        readings = await driver.taken(advert(broadcast.service_data[bthome.UUID]))
        assert [(one.quantity, one.value) for one in readings] == list(broadcast.given)
        assert dict(broadcast.given)["temperature"] == -12.34
