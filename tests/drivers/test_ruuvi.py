"""RuuviTag: the makers' own test vectors become readings; what it could not measure is named."""

from __future__ import annotations

from typing import Any

import pytest

from golmok_drivers.api import PayloadError, Reading
from golmok_drivers.devices.ruuvi import RuuviDriver, RuuviSettings, RuuviTwin
from tests.drivers.frames import advert
from tests.drivers.worlds import StillWorld

VALID = bytes.fromhex("0512fc5394c37c0004fffc040cac364200cdcbb8334c884f")
INVALID = bytes.fromhex("058000ffffffff800080008000ffffffffffffffffffffff")
FORMAT_3 = bytes.fromhex("03291a1ece1efc18f94202ca0b53")
ADDRESS = "CB:B8:33:4C:88:4F"


async def readings_of(*frames: tuple[bytes, float], **more: Any) -> list[Reading]:
    driver = RuuviDriver(RuuviSettings(address=ADDRESS, **more))
    said: list[Reading] = []
    for data, at_s in frames:
        said += await driver.taken(advert(company={0x0499: data}, at_s=at_s))
    return said


async def test_a_frame_of_format_5() -> None:
    said = {reading.quantity: reading.value for reading in await readings_of((VALID, 0))}
    assert said == {
        "temperature": 24.3, "humidity": 53.49, "pressure": 1000.44, "acceleration": pytest.approx(1.036, abs=1e-3),
        "movements": 66, "voltage": 2.977,
    }  # fmt: skip


async def test_sensors_that_are_missing_are_bad_by_name() -> None:
    said = await readings_of((INVALID, 0))
    assert {(one.value, one.quality, one.reason) for one in said} == {(None, "bad", "sensor")}
    assert len(said) == 6


async def test_format_3_counts_no_movements() -> None:
    assert [one.quantity for one in await readings_of((FORMAT_3, 0))] == [
        "temperature", "humidity", "pressure", "acceleration", "voltage",
    ]  # fmt: skip


async def test_one_reading_in_ten_seconds_of_what_it_says_each_second() -> None:
    frames = [(VALID[:16] + n.to_bytes(2, "big") + VALID[18:], n * 1.285) for n in range(20)]
    assert len(await readings_of(*frames, every_s=10)) == 3 * 6


async def test_the_twin_is_read_as_it_means() -> None:
    felt = {
        "temperature": -7.128,
        "humidity": 48.333,
        "pressure": 1013.251,
        "acceleration": 1.004,
        "movements": 3.0,
        "voltage": 2.2,
    }
    for world in (StillWorld(**felt), StillWorld(**dict.fromkeys(felt, 1e6))):
        broadcast = RuuviTwin(RuuviSettings(address=ADDRESS), world).broadcast()
        assert broadcast is not None
        said = await readings_of((broadcast.manufacturer_data[0x0499], 0))
        assert [(one.quantity, one.value) for one in said] == list(broadcast.given)
    assert {one.quantity for one in said if one.reason == "range"} == {
        "temperature",
        "humidity",
        "pressure",
        "acceleration",
    }


@pytest.mark.parametrize("data", [b"", b"\x05", b"\x08" + bytes(23), VALID[:20]])
async def test_what_cannot_be_read_is_said(data: bytes) -> None:
    with pytest.raises(PayloadError):
        await readings_of((data, 0))
