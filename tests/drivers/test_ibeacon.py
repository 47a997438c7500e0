"""iBeacon tags: near or away, and in which room."""

from __future__ import annotations

from typing import Any

from golmok_drivers.api import Advert
from golmok_drivers.devices.ibeacon import IbeaconDriver, IbeaconSettings, IbeaconTwin
from tests.drivers.frames import advert
from tests.drivers.worlds import StillWorld

UUID = "f7826da6-4fa2-4e98-8024-bc5b71e0893e"
DATA = bytes.fromhex("0215" + UUID.replace("-", "")) + bytes([0, 1, 0, 2, 0xC5])
ROOMS = {"hci0": "kitchen", "hci1": "hall"}


def tag(**more: Any) -> IbeaconDriver:
    return IbeaconDriver(IbeaconSettings(uuid=UUID, **more))


def heard(data: bytes = DATA, at_s: float = 0.0, receiver: str = "hci0", rssi: int = -60) -> Advert:
    return advert(company={0x004C: data}, at_s=at_s, receiver=receiver, rssi=rssi)


async def test_it_comes_and_goes() -> None:
    it = tag(away_s=30)
    assert list(it.tick(0.0)) == []
    said = [(one.quantity, one.value) for one in await it.taken(heard(at_s=5))]
    assert said == [("present", True), ("rssi", -60)]
    assert list(await it.taken(heard(at_s=6))) == []
    assert list(it.tick(35.0)) == []
    assert [(one.quantity, one.value) for one in it.tick(36.1)] == [("present", False)]
    assert list(it.tick(100.0)) == []
    assert [one.value for one in await it.taken(heard(at_s=101))] == [True, -60]


async def test_one_that_is_never_heard_is_away() -> None:
    it = tag(away_s=30)
    said = [one.value for at_s in range(0, 60, 5) for one in it.tick(at_s)]
    assert said == [False]


async def test_it_is_known_by_its_numbers() -> None:
    other = DATA[:21] + b"\x03" + DATA[22:]
    for numbers, hears in (
        ({}, 2),
        ({"major": 1}, 2),
        ({"major": 1, "minor": 2}, 1),
        ({"minor": 3}, 1),
        ({"major": 9}, 0),
    ):
        it = tag(**numbers)
        assert sum(it.is_of_it(heard(data)) for data in (DATA, other)) == hears
        assert not it.is_of_it(heard(b"\x10\x05"))


async def test_the_room_changes_when_another_has_been_clearly_stronger_for_a_while() -> None:
    it, said = tag(rooms=ROOMS, every_s=1000), list[tuple[float, Any]]()
    for tenth in range(400):
        at_s = tenth / 10
        kitchen, hall = (-60, -75) if at_s < 20 else (-75, -60)
        for receiver, rssi in (("hci0", kitchen), ("hci1", hall)):
            readings = await it.taken(heard(at_s=at_s, receiver=receiver, rssi=rssi))
            said += [(at_s, one.value) for one in readings if one.quantity == "zone"]
    assert [room for _, room in said] == ["kitchen", "hall"]
    assert 25 < said[1][0] < 35


async def test_without_rooms_there_is_no_zone() -> None:
    assert [channel.quantity for channel in tag().channels] == ["present", "rssi"]
    assert [channel.quantity for channel in tag(rooms=ROOMS).channels] == ["present", "rssi", "zone"]


async def test_the_twin_is_heard_best_where_it_is() -> None:
    twin = IbeaconTwin(IbeaconSettings(uuid=UUID, major=1, minor=2, rooms=ROOMS), StillWorld(present=1.0, zone=1.0))
    broadcast = twin.broadcast()
    assert broadcast is not None
    assert broadcast.at["hci1"] > broadcast.at["hci0"]
    assert tag(major=1, minor=2).is_of_it(advert(company=broadcast.manufacturer_data))
    assert IbeaconTwin(IbeaconSettings(uuid=UUID), StillWorld(present=0.0, zone=0.0)).broadcast() is None
