"""The radio on bleak: passive where it can be, begun anew where it must be, connections one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import pytest

from golmok_drivers.buses.ble import BleRadio
from golmok_drivers.errors import BusClosed, BusError, Unplugged
from golmok_drivers.radio import ForgetfulCounters, Listening
from golmok_drivers.twins.bluez import FakeBlueZ, Heard
from golmok_drivers.twins.bluez.server import MONITORS
from tests.drivers.air import air, needs_dbus, radio, until

pytestmark = needs_dbus
WHO = "AA:BB:CC:DD:EE:01"
SERVICE, VALUE = "6e400001-b5a3-f393-e0a9-e50e24dcca9e", "6e400002-b5a3-f393-e0a9-e50e24dcca9e"


async def heard_by(ear: Listening, bluez: FakeBlueZ, frame: Heard) -> Any:
    for _ in range(200):
        bluez.hear(frame)
        if adverts := await ear.heard(0.05):
            return adverts[-1]
    raise AssertionError("nothing was heard")


async def test_each_hears_what_concerns_it() -> None:
    async with air() as bluez, radio() as it:
        sensor, apple, everything = [
            await it.listen(address=WHO.lower()),
            await it.listen(company=0x004C),
            await it.listen(),
        ]
        one = await heard_by(sensor, bluez, Heard(WHO, {0xFCD2: b"@1"}, name="x", rssi=-70))
        assert (one.address, one.service_data, one.name, one.rssi, one.receiver) == (
            WHO,
            {0xFCD2: b"@1"},
            "x",
            -70,
            "hci0",
        )
        other = await heard_by(apple, bluez, Heard("AA:BB:CC:DD:EE:02", {}, {0x004C: b"\x02\x15"}))
        assert other.manufacturer_data == {0x004C: b"\x02\x15"}
        assert await sensor.heard(0.05) == ()
        assert {advert.address for advert in await everything.heard(1)} == {WHO, "AA:BB:CC:DD:EE:02"}
        assert [advert.address for advert in it.ears.in_range()] == ["AA:BB:CC:DD:EE:02", WHO]


async def test_it_scans_passively_and_actively_where_that_is_not_possible() -> None:
    async with air() as bluez, radio() as it:
        await it.listen()
        adapter = next(iter(bluez.adapters.values()))
        assert adapter.monitors
        assert not adapter.sessions
    async with air() as bluez, radio() as it:
        del bluez._methods[MONITORS, "RegisterMonitor"]  # bluetoothd without --experimental
        ear = await it.listen(address=WHO)
        adapter = next(iter(bluez.adapters.values()))
        assert list(adapter.sessions.values()) == [True]
        await heard_by(ear, bluez, Heard(WHO, {0xFCD2: b"@"}))


async def test_two_radios_listen_together_and_say_which_heard() -> None:
    async with air("hci0", "hci1") as bluez, radio("hci0", "hci1") as it:
        ear = await it.listen(address=WHO)
        for adapter in ("hci0", "hci1"):
            assert (await heard_by(ear, bluez, Heard(WHO, {0xFCD2: b"@"}, adapter=adapter))).receiver == adapter


async def test_no_radio_and_no_bluetoothd_are_told_with_what_to_do() -> None:
    async with air("hci0"), radio("hci7") as it:
        with pytest.raises(BusError, match="bluetoothctl list"):
            await it.listen()
    async with air("hci0") as bluez, radio("hci0") as it:
        await bluez.close()
        with pytest.raises(BusError, match="systemctl start bluetooth"):
            await it.listen()


async def test_a_scan_that_falls_silent_is_begun_anew_also_after_bluetoothd_was() -> None:
    async with air() as first, radio(stalled_s=0.3, grace_s=0.0) as it:
        ear = await it.listen(address=WHO)
        await heard_by(ear, first, Heard(WHO, {0xFCD2: b"@1"}))
        await first.close()
        with pytest.raises(BusError):
            await asyncio.wait_for(ear.heard(), 10)
        second = FakeBlueZ(first._address)
        await second.open()
        await until(lambda: next(iter(second.adapters.values())).is_listening)
        again = await _as_soon_as_it_can(it)
        await heard_by(again, second, Heard(WHO, {0xFCD2: b"@2"}))
        await second.close()


async def test_a_bluetoothd_that_is_started_anew_is_heard_at_once_and_no_listener_is_told() -> None:
    async with air() as first, radio() as it:
        ear = await it.listen(address=WHO)
        await heard_by(ear, first, Heard(WHO, {0xFCD2: b"@1"}))
        await first.close()
        second = FakeBlueZ(first._address)
        await second.open()
        await heard_by(ear, second, Heard(WHO, {0xFCD2: b"@2"}))
        await second.close()


@pytest.mark.parametrize("way", ["active", "passive"])
async def test_a_radio_that_is_switched_off_and_on_is_heard_at_once_and_no_listener_is_told(way: str) -> None:
    async with air() as bluez, radio() as it:
        if way == "active":
            del bluez._methods[MONITORS, "RegisterMonitor"]
        ear = await it.listen(address=WHO)
        await heard_by(ear, bluez, Heard(WHO, {0xFCD2: b"@1"}))
        bluez.power("hci0", on=False)
        await asyncio.sleep(0.2)
        bluez.power("hci0", on=True)
        await heard_by(ear, bluez, Heard(WHO, {0xFCD2: b"@2"}))


async def test_a_radio_that_stays_off_is_told_with_what_to_do() -> None:
    async with air() as bluez, radio(grace_s=0.2) as it:
        ear = await it.listen(address=WHO)
        bluez.power("hci0", on=False)
        with pytest.raises(BusError, match="bluetoothctl power on"):
            await asyncio.wait_for(ear.heard(), 15)


async def _as_soon_as_it_can(it: BleRadio) -> Listening:
    for _ in range(200):
        with suppress(BusError):
            return await it.listen(address=WHO)
        await asyncio.sleep(0.05)
    raise AssertionError("it never came up again")


async def test_closing_ends_all_who_listen() -> None:
    async with air(), radio() as it:
        ear = await it.listen()
        waiting = asyncio.ensure_future(ear.heard())
        await asyncio.sleep(0)
        await it.close()
        await it.close()
        with pytest.raises(BusClosed):
            await waiting
        with pytest.raises(BusClosed):
            await it.listen()


class Slow:
    """A peripheral that notes how many are connected."""

    services: ClassVar = {SERVICE: {VALUE: ("write",)}}
    now = most = 0

    def connected(self, tell: Callable[[str, bytes], None]) -> None:
        Slow.now += 1
        Slow.most = max(Slow.most, Slow.now)

    def disconnected(self) -> None:
        Slow.now -= 1

    def read(self, characteristic: str) -> bytes:
        raise BusError("no")

    def write(self, characteristic: str, data: bytes) -> None:
        pass


async def test_connections_are_made_one_at_a_time() -> None:
    async with air() as bluez, radio() as it:
        ear = await it.listen()
        for place in range(3):
            bluez.attach(f"AA:BB:CC:DD:EE:0{place}", Slow())
            await heard_by(ear, bluez, Heard(f"AA:BB:CC:DD:EE:0{place}", {0xFCD2: b"@"}))

        async def talk(place: int) -> None:
            link = await it.connect(f"aa:bb:cc:dd:ee:0{place}")
            await link.write(VALUE, b"x")
            await link.close()
            await link.close()

        await asyncio.gather(*map(talk, range(3)))
        assert (Slow.most, Slow.now) == (1, 0)


async def test_who_was_never_heard_is_not_connected_to_and_blocks_nobody() -> None:
    async with air() as bluez, radio() as it:
        ear = await it.listen()
        with pytest.raises(Unplugged):
            await it.connect("AA:BB:CC:DD:EE:99")
        await heard_by(ear, bluez, Heard(WHO, {0xFCD2: b"@"}))
        with pytest.raises(BusError):  # nobody answers there
            await it.connect(WHO, timeout_s=2)
        bluez.attach(WHO, Slow())
        await (await it.connect(WHO)).close()


async def test_an_ear_that_nobody_reads_keeps_the_newest() -> None:
    it = BleRadio((), ForgetfulCounters())
    ear = it.ears.listen(WHO, None)
    for place in range(5_000):
        it.ears.hear(_advert(place))
    heard = await ear.heard()
    assert (len(heard), heard[-1].rssi, ear.missed) == (4_096, 4_999, 904)


def _advert(place: int) -> Any:
    from golmok_drivers.radio import Advert

    return Advert(WHO, place, {}, {})
