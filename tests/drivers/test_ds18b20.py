from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_drivers.api import (
    CrcError,
    DriverError,
    NotReady,
    PayloadError,
    ResetValue,
    Shorted,
    Unplugged,
)
from golmok_drivers.buses import open_bus
from golmok_drivers.devices.ds18b20 import Ds18b20Driver, Ds18b20Settings, Ds18b20Twin, crc8, decode
from golmok_drivers.twins.ends import kernel_text
from tests.drivers.worlds import StillWorld

ADDRESS = "28-00000a1b2c3d"
SETTINGS = Ds18b20Settings(address=ADDRESS)

RECORDED = (
    b"72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n"
    b"72 01 4b 46 7f ff 0e 10 57 t=23125\n"
)  # fmt: skip


def text(code: int, byte6: int | None = None) -> bytes:
    eight = code.to_bytes(2, "little", signed=True) + bytes((0x4B, 0x46, 0x7F, 0xFF, byte6 or 16 - code % 16, 16))
    return kernel_text(eight + bytes((crc8(eight),)))


def test_a_text_as_the_kernel_writes_it() -> None:
    assert decode(RECORDED) == 23.125


@pytest.mark.parametrize(
    ("code", "celsius"),
    [  # the data sheet's table 1
        (0x07D0, 125.0),
        (0x0191, 25.0625),
        (0x00A2, 10.125),
        (0x0008, 0.5),
        (0x0000, 0.0),
        (0xFFF8 - 0x10000, -0.5),
        (0xFF5E - 0x10000, -10.125),
        (0xFE6F - 0x10000, -25.0625),
        (0xFC90 - 0x10000, -55.0),
    ],
)
def test_the_table_of_the_data_sheet(code: int, celsius: float) -> None:
    assert decode(text(code)) == celsius


def test_85_degrees_are_a_reset_only_before_the_first_conversion() -> None:
    with pytest.raises(ResetValue):
        decode(text(0x0550, byte6=0x0C))
    assert decode(text(0x0550)) == 85.0


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (b"", NotReady),
        (b"\n", NotReady),
        (RECORDED.replace(b"YES", b"NO"), CrcError),
        (RECORDED.replace(b"72 01", b"73 01"), CrcError),
        (kernel_text(bytes(9)), Shorted),
        (kernel_text(b"\xff" * 9), CrcError),
        (text(-127 * 16), Unplugged),
        (RECORDED.replace(b"t=23125", b"t=99999"), PayloadError),
        (RECORDED[:50], PayloadError),
        (RECORDED[:41], PayloadError),
        (b"\x00\xff garbage", PayloadError),
    ],
)
def test_what_looks_right_and_is_not(wrong: bytes, error: type[DriverError]) -> None:
    with pytest.raises(error):
        decode(wrong)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_text_gives_an_error_of_ours(anything: bytes) -> None:
    with pytest.raises(DriverError):
        decode(anything)


@given(st.integers(-55 * 16, 125 * 16), st.integers(0, 71))
def test_every_flipped_bit_is_found(code: int, bit: int) -> None:
    sent = bytearray(bytes.fromhex(text(code)[:26].decode()))
    sent[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CrcError):
        decode(kernel_text(bytes(sent)))


@given(st.floats(-55, 125))
def test_driver_and_twin_agree(celsius: float) -> None:
    world = StillWorld(temperature=celsius)
    twin = Ds18b20Twin(SETTINGS, world)
    sent = twin.scratchpad()
    assert crc8(sent[:8]) == sent[8]
    assert ("temperature", decode(kernel_text(sent))) == world.given[0]
    assert abs(decode(kernel_text(sent)) - celsius) <= 1 / 32


def test_a_restarted_twin_sends_the_power_on_value_and_gives_nothing() -> None:
    world = StillWorld("reset", temperature=20.0)
    sent = Ds18b20Twin(SETTINGS, world).scratchpad()
    assert sent.hex() == "50054b467fff0c101c"
    assert not world.given


@pytest.mark.parametrize("address", ["", "28-1", "10-00000a1b2c3d", "28-00000A1B2C3D", "../28-00000a1b2c3d", 40])
def test_addresses_that_are_none(address: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"address": address}, Ds18b20Settings)


async def test_on_a_sysfs_tree(tmp_path: Path) -> None:
    bus = open_bus("w1://0", base=tmp_path, w1_folder=tmp_path)
    driver = Ds18b20Driver(SETTINGS)
    await driver.open(bus)
    for ask in (driver.probe, driver.sample):
        with pytest.raises(Unplugged):
            await ask()
    (tmp_path / ADDRESS).mkdir()
    (tmp_path / ADDRESS / "w1_slave").write_bytes(RECORDED)
    assert (await driver.probe()).serial == "00000a1b2c3d"
    assert [tuple(reading) for reading in await driver.sample()] == [("temperature", 23.125, "good", "", None)]
    await bus.close()


async def test_beyond_its_range_the_value_is_bad() -> None:
    bus = _OneText(text(126 * 16))
    driver = Ds18b20Driver(SETTINGS)
    await driver.open(bus)
    (reading,) = await driver.sample()
    assert (reading.value, reading.quality, reading.reason) == (126.0, "bad", "range")


class _OneText:
    def __init__(self, text: bytes) -> None:
        self.text = text

    async def devices(self) -> tuple[str, ...]:
        return (ADDRESS,)

    async def read(self, device: str, file: str = "w1_slave", *, timeout_s: float = 2.0) -> bytes:
        return self.text

    async def close(self) -> None:
        pass
