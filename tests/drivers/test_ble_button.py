"""Call buttons: each press once, whatever is sent again, by whom and when."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from golmok_drivers.adverts.keyed import name_of
from golmok_drivers.api import BusError, PayloadError, Reading
from golmok_drivers.devices.ble_button import BleButtonDriver, BleButtonSettings
from golmok_drivers.errors import RefusedError
from golmok_drivers.radio import Advert, Counters, ForgetfulCounters
from tests.drivers.frames import ADDRESS, KEY, advert, press, sealed

NAME = name_of(ADDRESS, KEY)


class Radio:
    """A radio that nothing comes from; only its counters are asked."""

    def __init__(self, counters: Counters) -> None:
        self.counters = counters

    async def listen(self, **_: Any) -> Any:
        return None


async def button(counters: Counters, **more: Any) -> BleButtonDriver:
    """After a start: it remembers nothing but what the counters do."""
    driver = BleButtonDriver(BleButtonSettings(address=ADDRESS, key=KEY, **more))
    await driver.open(Radio(counters))  # type: ignore[arg-type]  # as much of one as is needed
    return driver


async def taken(driver: BleButtonDriver, one: Advert) -> Sequence[Reading]:
    """As the driver's own loop does it."""
    try:
        return await driver.taken(one)
    except (PayloadError, RefusedError) as error:
        return driver.disbelieved(error, one)


async def calls(driver: BleButtonDriver, *adverts: Advert) -> list[Any]:
    readings: list[Reading] = []
    for one in adverts:
        readings += await taken(driver, one)
    return [reading.value for reading in readings if reading.quantity == "call"]


def quantities(readings: Sequence[Reading]) -> dict[str, Any]:
    return {reading.quantity: reading.value for reading in readings}


async def test_a_press_is_a_call_with_its_name_and_the_battery() -> None:
    driver = await button(ForgetfulCounters())
    said = quantities(await taken(driver, advert(press(7, event=2))))
    assert said == {"call": "double_press", "call-id": said["call-id"], "battery": 90}
    other = await button(ForgetfulCounters())
    assert quantities(await taken(other, advert(press(7, event=2))))["call-id"] == said["call-id"], "at every gateway"
    assert quantities(await taken(driver, advert(press(8))))["call-id"] != said["call-id"]


async def test_the_counter_is_written_down_before_anybody_hears_of_the_press() -> None:
    class Refusing(ForgetfulCounters):
        async def rise(self, device: str, counter: int) -> None:
            raise OSError("the disk is full")

    counters = Refusing()
    driver = await button(counters)
    for _ in range(2):  # and the next frame of the burst tries it again
        with pytest.raises(BusError, match="disk is full"):
            await taken(driver, advert(press(7)))
    counters.rise = ForgetfulCounters.rise.__get__(counters)  # type: ignore[method-assign]  # there is room again
    assert await calls(driver, advert(press(7))) == ["press"]
    assert counters.last(NAME) == 7


async def test_a_burst_is_one_press_also_under_new_counters() -> None:
    driver = await button(ForgetfulCounters())
    assert await calls(driver, *[advert(press(7))] * 5) == ["press"]
    again = [advert(press(counter, packet=7), at_s=counter / 100) for counter in (8, 9)]
    assert await calls(driver, *again) == []
    assert await calls(driver, advert(press(10, packet=8))) == ["press"]


async def test_plain_frames_other_keys_and_cut_ones_ring_no_bell() -> None:
    driver = await button(ForgetfulCounters())
    cut = sealed(bytes([0x00, 9, 0x3A, 1, 0x02]), 9)
    changed = bytearray(press(10))
    changed[3] ^= 1
    said = [
        quantities(await taken(driver, advert(data, at_s=place * 100)))
        for place, data in enumerate(
            [b"\x40\x00\x01\x3a\x01", press(9, key="0" * 32), cut, bytes(changed), b"", b"\x41"]
        )
    ]
    assert said == [
        {"refused": "plain"},
        {"refused": "encrypted"},
        {"refused": "parse"},
        {"refused": "encrypted"},
        {},
        {"refused": "parse"},
    ]
    assert driver.bus is not None
    assert driver.bus.counters.last(NAME) is None


async def test_a_refusal_is_told_once_a_minute() -> None:
    driver = await button(ForgetfulCounters())
    await taken(driver, advert(press(1_000)))
    said = [quantities(await taken(driver, advert(press(counter), at_s=counter))) for counter in range(100)]
    assert [one for one in said if one] == [{"refused": "replay"}, {"refused": "replay"}]


async def test_a_stale_frame_that_comes_along_with_others_is_no_press() -> None:
    counters = ForgetfulCounters()
    driver = await button(counters)
    stale = [advert(press(7), at_s=at_s, company={0x0BA9: bytes([at_s])}) for at_s in range(100)]
    assert await calls(driver, *stale) == ["press"]
    assert await calls(await button(counters), *stale) == []


async def test_counters_that_leap_are_refused() -> None:
    driver = await button(ForgetfulCounters())
    await taken(driver, advert(press(5)))
    assert quantities(await taken(driver, advert(press(5 + (1 << 20), packet=9)))) == {"refused": "jump"}
    assert await calls(driver, advert(press(4 + (1 << 20), packet=10))) == ["press"]


async def test_after_a_battery_was_changed_three_presses_take_the_counter_back() -> None:
    counters = ForgetfulCounters()
    driver = await button(counters)
    await taken(driver, advert(press(5_000)))
    assert await calls(driver, *(advert(press(n)) for n in (1, 2, 3))) == []
    counters.renewing.add(NAME)
    assert await calls(driver, *(advert(press(n), at_s=n) for n in (4, 4, 5, 6))) == [], "they are the ceremony"
    assert counters.last(NAME) == 6
    assert await calls(driver, advert(press(5)), advert(press(7))) == ["press"]


async def test_each_button_of_a_device_has_a_channel() -> None:
    driver = await button(ForgetfulCounters(), buttons=4)
    assert [channel.quantity for channel in driver.channels if channel.quantity.startswith("call")] == [
        "call", "call-2", "call-3", "call-4", "call-id",
    ]  # fmt: skip
    frame = sealed(bytes([0x00, 1, 0x3A, 0, 0x3A, 0, 0x3A, 4, 0x3A, 0]), 1)
    said = quantities(await taken(driver, advert(frame)))
    assert {name: value for name, value in said.items() if name != "call-id"} == {"call-3": "long_press"}


async def test_a_low_battery_is_told() -> None:
    driver = await button(ForgetfulCounters())
    readings = await taken(driver, advert(sealed(bytes([0x00, 1, 0x01, 14, 0x3A, 0]), 1)))
    assert list(readings) == [Reading("battery", 14, "uncertain", "low-battery")]


def test_a_button_without_a_key_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="key"):
        msgspec.convert({"address": ADDRESS}, BleButtonSettings)


async def test_no_bytes_break_it_and_none_is_a_press() -> None:
    dice = random.Random(1)
    driver = await button(ForgetfulCounters())
    good = press(7)
    for _ in range(2_000):
        data = bytearray(good if dice.random() < 0.5 else dice.randbytes(dice.randrange(40)))
        for _ in range(dice.randrange(1, 4)):
            if data:
                data[dice.randrange(len(data))] ^= dice.randrange(1, 256)
        assert await calls(driver, advert(bytes(data))) == [] or bytes(data) == good
