"""BTHome v2, beside the library that Home Assistant uses."""

from __future__ import annotations

import json
import logging
import math
import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bthome_ble import BTHomeBluetoothDeviceData
from bthome_ble.const import MEAS_TYPES
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from habluetooth import BluetoothServiceInfoBleak
from hypothesis import given
from hypothesis import strategies as st

from golmok_drivers.adverts import EncryptedError, PlainError
from golmok_drivers.adverts.bthome import OBJECTS, Frame, decode
from golmok_drivers.api import PayloadError
from golmok_drivers.units import UNITS

RECORDED: Final = Path(__file__).parents[3] / "shared/data/ble/bthome_v2_payloads.json"
ADDRESS: Final = "54:48:E6:8F:80:A5"
KEY: Final = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
OTHER_NAMES: Final = {
    # what theirs calls otherwise
    "carbon_dioxide": "co2",
    "volatile_organic_compounds": "tvoc",
    "battery (state)": "battery_low",
    "power (state)": "power_on",
    "gas (state)": "gas_detected",
    "lock": "unlocked",
    "moisture (state)": "wet",
    "plug": "plugged_in",
}


@pytest.fixture(autouse=True)
def _quiet_oracle() -> Iterator[None]:
    logging.getLogger("bthome_ble").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("bthome_ble").setLevel(logging.NOTSET)


def theirs(payload: bytes, bindkey: bytes | None = None) -> dict[str, Any]:
    """What bthome-ble reads, under our names."""
    device = BTHomeBluetoothDeviceData(bindkey=bindkey)
    update = device.update(_advert(payload))
    found: dict[str, Any] = {}
    told: list[tuple[str, str, Any]]
    told = [(entity.key, "", value.native_value) for entity, value in update.entity_values.items()]
    told += [(entity.key, " (state)", value.native_value) for entity, value in update.binary_entity_values.items()]
    for key, kind, value in told:
        if key == "signal_strength":
            continue
        name, mark, nth = key.rpartition("_")
        if not (mark and nth.isdigit()):
            name, nth = key, "1"
        name = OTHER_NAMES.get(name + kind, OTHER_NAMES.get(name, name))
        value = int(value.timestamp()) if isinstance(value, datetime) else value
        found[name if nth == "1" else f"{name}_{nth}"] = value
    for entity, event in update.events.items():
        found[entity.key.removesuffix("_1")] = event.event_type
        if event.event_properties and "steps" in event.event_properties:
            found["dimmer_steps"] = event.event_properties["steps"]
    return found


def _advert(payload: bytes) -> BluetoothServiceInfoBleak:
    data = {"0000fcd2-0000-1000-8000-00805f9b34fb": payload}
    advert = AdvertisementData("x", {}, data, [], -127, -60, ())
    return BluetoothServiceInfoBleak(
        "x", ADDRESS, -60, {}, data, [], "", BLEDevice(ADDRESS, "x", {}), advert, True, 1.0, None
    )


def ours(payload: bytes) -> dict[str, Any]:
    """What we read; nothing where we refuse."""
    try:
        return decode(payload).by_name()
    except PayloadError:
        return {}


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Numbers that were rounded by another rule count as equal."""
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if isinstance(value, float):
            assert math.isclose(ours[name], value, rel_tol=1e-12, abs_tol=0.06 if "temperature" in name else 0), name
        else:
            assert (ours[name], type(ours[name])) == (value, type(value)), name


def recorded() -> list[str]:
    return list(json.loads(RECORDED.read_text())) if RECORDED.exists() else []


@pytest.mark.skipif(not RECORDED.exists(), reason=f"the recorded payloads are not here: {RECORDED}")
@pytest.mark.parametrize("payload", recorded() or [""])
def test_reads_recorded_payloads_as_bthome_ble_does(payload: str) -> None:
    if payload == "403afe":
        pytest.skip("the button's old code for a hold: bthome-ble drops it, we read it")
    mine = ours(bytes.fromhex(payload))
    if payload == "44530187":
        assert mine == {"text": "\ufffd"}  # a byte that is no text: they drop it, we say that something was there
        return
    assert_same(mine, theirs(bytes.fromhex(payload)))


def test_knows_every_object_that_bthome_ble_knows() -> None:
    assert OBJECTS.keys() == MEAS_TYPES.keys()


def test_units_are_known() -> None:
    assert {row.unit for row in OBJECTS.values()} <= UNITS.keys()


OTHER_UNITS: Final = {0x07, 0x41, 0x48}  # of which bthome-ble keeps only one if both are there
FIXED: Final = sorted(
    (number, row.size)
    for number, row in OBJECTS.items()
    if row.size and not 0x3A <= number <= 0x3C and number < 0xF0 and number not in OTHER_UNITS
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Objects in rising order, each once, as a device should send them."""
    chosen = sorted(draw(st.lists(st.sampled_from(FIXED), min_size=1, max_size=8, unique=True)))
    return b"\x40" + b"".join(
        bytes([number]) + draw(st.binary(min_size=size, max_size=size)) for number, size in chosen
    )


@given(frames())
def test_reads_what_the_table_generates_as_bthome_ble_does(frame: bytes) -> None:
    assert_same(ours(frame), theirs(frame))


@given(frames(), st.binary(min_size=4, max_size=4))
def test_an_encrypted_frame_says_what_it_said_before(plain: bytes, counter: bytes) -> None:
    flags, address = b"\x41", bytes.fromhex(ADDRESS.replace(":", ""))
    nonce = address + b"\xd2\xfc" + flags + counter
    sealed = AESCCM(KEY, tag_length=4).encrypt(nonce, plain[1:], None)
    frame = flags + sealed[:-4] + counter + sealed[-4:]
    read = decode(frame, AESCCM(KEY, tag_length=4), address)
    assert read.counter == int.from_bytes(counter, "little")
    assert read.by_name() == decode(plain).by_name()
    if int.from_bytes(counter, "little") >= 100:
        assert_same(read.by_name(), theirs(frame, KEY))


def test_reads_the_published_example() -> None:
    frame = decode(
        bytes.fromhex("41a47266c95f730011223378237214"), AESCCM(KEY, tag_length=4), bytes.fromhex("5448e68f80a5")
    )
    assert frame == Frame(("temperature", "humidity"), [25.06, 50.55], ("Cel", "%"), counter=0x33221100)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ("", PayloadError),
        ("40", PayloadError),
        ("00", PayloadError),
        ("2002ca09", PayloadError),  # version 1
        ("40fe01", PayloadError),
        ("4002ca", PayloadError),
        ("42b2188d38c1", PayloadError),  # ends within its address
        ("41a47266c95f73", PayloadError),
        ("41a47266c95f730011223378237214", EncryptedError),
        ("4053", PayloadError),
        ("405305", PayloadError),
        ("403b", PayloadError),
    ],
)
def test_says_what_is_wrong(payload: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        decode(bytes.fromhex(payload))


def test_a_device_with_a_key_is_not_believed_in_plain_text() -> None:
    with pytest.raises(PlainError):
        decode(bytes.fromhex("40005201643a01"), AESCCM(KEY, tag_length=4), bytes(6))


def test_a_wrong_key_and_a_changed_frame_are_refused() -> None:
    frame = bytes.fromhex("41a47266c95f730011223378237214")
    address = bytes.fromhex("5448e68f80a5")
    with pytest.raises(EncryptedError):
        decode(frame, AESCCM(bytes(16), tag_length=4), address)
    for at in range(1, len(frame)):
        changed = frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1 :]
        with pytest.raises(EncryptedError):
            decode(changed, AESCCM(KEY, tag_length=4), address)


def test_a_frame_that_was_cut_says_so_beside_what_it_has() -> None:
    frame = decode(bytes.fromhex("4002ca0903bf"))
    assert (frame.by_name(), frame.rest) == ({"temperature": 25.06}, bytes.fromhex("03bf"))


def test_what_comes_twice_is_numbered_and_a_button_that_did_nothing_counts() -> None:
    assert decode(bytes.fromhex("4002ca0902cf09")).by_name() == {"temperature": 25.06, "temperature_2": 25.11}
    read = decode(bytes.fromhex("403a003a013a03")).by_name()
    assert read == {"button_2": "press", "button_3": "triple_press"}
    assert decode(bytes.fromhex("403a003a01")).names == ("button", "button")


def test_objects_that_state_their_size() -> None:
    assert decode(bytes.fromhex("44530c48656c6c6f20576f726c6421")).by_name() == {"text": "Hello World!"}
    assert decode(b"\x40\x53\x06" + "골목".encode()).by_name() == {"text": "골목"}
    assert decode(bytes.fromhex("40540212ff")).by_name() == {"raw": "12ff"}
    assert decode(bytes.fromhex("40530001 5d")).by_name() == {"battery": 93}
    assert decode(bytes.fromhex("403b0101ff")).by_name() == {"command": "on", "command_arguments": "ff"}
    assert decode(bytes.fromhex("403c0103")).by_name() == {"dimmer": "rotate_left", "dimmer_steps": 3}
    assert decode(bytes.fromhex("40f00100f100010204")).by_name() == {"device_type": 1, "firmware": "4.2.1.0"}


def fuzz(count: int, seed: int) -> int:
    """Random frames, and good ones with some bytes changed: each is read or refused; how many were read."""
    dice = random.Random(seed)
    good = [
        bytes.fromhex(text) for text in ("40005201643a01", "4002ca0903bf13", "404d12138a14", "4153", "425bea0234ea")
    ]
    ciphers = (None, AESCCM(KEY, tag_length=4))
    done = 0
    for number in range(count):
        if number % 2:
            data = dice.randbytes(dice.randrange(32))
        else:
            changed = bytearray(dice.choice(good))
            for _ in range(dice.randrange(4)):
                changed[dice.randrange(len(changed))] = dice.randrange(256)
            data = bytes(changed)
        try:
            frame = decode(data, ciphers[number % 11 == 0], bytes(6))
        except PayloadError:
            continue
        json.dumps(frame.by_name(), allow_nan=False)
        assert len(frame.names) == len(frame.values) == len(frame.units)
        done += 1
    return done


def test_nothing_that_is_sent_breaks_it() -> None:
    assert fuzz(100_000, 1) > 1_000


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_that_is_sent_breaks_it_in_ten_million_frames() -> None:
    assert fuzz(10_000_000, 2) > 100_000
