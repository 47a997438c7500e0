"""RuuviTag, iBeacon, and who reads what."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_drivers import adverts
from golmok_drivers.adverts import ibeacon, ruuvi
from golmok_drivers.api import PayloadError
from golmok_drivers.units import UNITS

# the examples of Ruuvi's own pages
VALID = bytes.fromhex("0512fc5394c37c0004fffc040cac364200cdcbb8334c884f")
GREATEST = bytes.fromhex("057ffffffefffe7fff7fff7fffffdefefffecbb8334c884f")
LEAST = bytes.fromhex("058001000000008001800180010000000000cbb8334c884f")
NOTHING = bytes.fromhex("058000ffffffff800080008000ffffffffffffffffffffff")
KNOWN = {*ruuvi.decode(VALID), "uuid", "major", "minor", "measured_power"}


def test_ruuvi_format_5() -> None:
    assert ruuvi.decode(VALID) == {
        "temperature": 24.3,
        "humidity": 53.49,
        "pressure": 1000.44,
        "acceleration_x": 0.004,
        "acceleration_y": -0.004,
        "acceleration_z": 1.036,
        "voltage": 2.977,
        "tx_power": 4,
        "movements": 66,
        "sequence": 205,
        "address": "cb:b8:33:4c:88:4f",
    }
    greatest = ruuvi.decode(GREATEST)
    assert (greatest["temperature"], greatest["humidity"], greatest["pressure"]) == (163.835, 163.835, 1155.34)
    assert (greatest["voltage"], greatest["tx_power"], greatest["sequence"]) == (3.646, 20, 65534)
    least = ruuvi.decode(LEAST)
    assert (least["temperature"], least["humidity"], least["pressure"]) == (-163.835, 0.0, 500.0)
    assert (least["acceleration_x"], least["voltage"], least["tx_power"]) == (-32.767, 1.6, -40)


def test_ruuvi_leaves_out_what_its_sensors_do_not_know() -> None:
    assert ruuvi.decode(NOTHING) == {}


def test_ruuvi_format_3() -> None:
    told = ruuvi.decode(bytes.fromhex("03291a1ece1efc18f94202ca0b53"))
    assert (told["temperature"], told["humidity"], told["pressure"]) == (26.3, 20.5, 1027.66)
    assert (told["acceleration_x"], told["acceleration_z"], told["voltage"]) == (-1.0, 0.714, 2.899)
    assert ruuvi.decode(bytes.fromhex("03ff7f63ffff7fff7fff7fffffff"))["temperature"] == 127.99
    assert ruuvi.decode(bytes.fromhex("0300ff6300008001800180010000"))["temperature"] == -127.99


def test_units_of_ruuvi_are_known() -> None:
    assert set(ruuvi.UNITS.values()) <= UNITS.keys()


def test_ibeacon() -> None:
    assert ibeacon.decode(bytes.fromhex("0215e20a39f473f54bc4a12f17d1ad07a9610001000ac8")) == {
        "uuid": "e20a39f4-73f5-4bc4-a12f-17d1ad07a961",
        "major": 1,
        "minor": 10,
        "measured_power": -56,
    }


@pytest.mark.parametrize(
    ("service", "manufacturer"),
    [
        ({}, {}),
        ({0xFE9F: b"\x00"}, {}),
        ({}, {0x0499: b""}),
        ({}, {0x0499: VALID[:-1]}),
        ({}, {0x0499: b"\x08" + VALID[1:]}),
        ({}, {0x004C: bytes.fromhex("1005031c")}),
        ({}, {0x004C: bytes.fromhex("0215e20a")}),
        ({}, {0xFFFF: b"x"}),
    ],
)
def test_says_what_nobody_reads(service: dict[int, bytes], manufacturer: dict[int, bytes]) -> None:
    with pytest.raises(PayloadError):
        adverts.decode(service, manufacturer)


def test_service_data_win_over_manufacturer_data() -> None:
    assert adverts.decode({0xFCD2: bytes.fromhex("40015d")}, {0x0499: VALID}) == {"battery": 93}
    assert adverts.decode({0xFE9F: b"\x00"}, {0x0499: VALID})["temperature"] == 24.3


@given(st.sampled_from([0x0499, 0x004C]), st.binary(max_size=40))
def test_nothing_that_is_sent_breaks_them(company: int, data: bytes) -> None:
    with suppress(PayloadError):
        assert adverts.decode({}, {company: data}).keys() <= KNOWN
