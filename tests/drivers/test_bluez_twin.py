"""The simulated BlueZ, seen through an unmodified bleak: what bluetoothd 5.66 was measured to do."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakDBusError, BleakError

from golmok_drivers.errors import BusError
from golmok_drivers.twins.bluez import FakeBlueZ, Heard, PrivateBus
from tests.drivers.air import air, needs_dbus, until

pytestmark = needs_dbus
WHO = "AA:BB:CC:DD:EE:01"
SERVICE, VALUE = "6e400001-b5a3-f393-e0a9-e50e24dcca9e", "6e400003-b5a3-f393-e0a9-e50e24dcca9e"
ALL: dict[str, Any] = {"bluez": {"filters": {"DuplicateData": True}}}
BTHOME: dict[str, Any] = {"scanning_mode": "passive", "bluez": {"or_patterns": [(0, 0x16, b"\xd2\xfc")]}}


class Heart:
    """A peripheral that keeps what it is told and can beat."""

    services: ClassVar = {SERVICE: {VALUE: ("read", "write", "notify")}}

    def __init__(self) -> None:
        self.value = b"\x2a"
        self.tell: Callable[[str, bytes], None] | None = None

    def connected(self, tell: Callable[[str, bytes], None]) -> None:
        self.tell = tell

    def disconnected(self) -> None:
        self.tell = None

    def read(self, characteristic: str) -> bytes:
        return self.value

    def write(self, characteristic: str, data: bytes) -> None:
        if data == b"no":
            raise BusError("Write not permitted")
        self.value = data


async def send(bluez: FakeBlueZ, *frames: Heard) -> None:
    for frame in frames:
        bluez.hear(frame)
        await until(lambda: not bluez.waiting)
    await asyncio.sleep(0.05)


async def scanned(twin: FakeBlueZ, frames: Sequence[Heard], **how: Any) -> list[tuple[Any, Any]]:
    got: list[tuple[Any, Any]] = []
    async with BleakScanner(lambda device, data: got.append((device, data)), **how):
        await asyncio.sleep(0.05)
        await send(twin, *frames)
    return got


async def test_identical_frames_come_once_unless_duplicates_are_asked_for() -> None:
    frames = [Heard(WHO, {0xFCD2: b"\x40\x01\x64"}, rssi=-50)] * 20
    async with air() as bluez:
        assert len(await scanned(bluez, frames)) == 1
    async with air() as bluez:
        assert len(await scanned(bluez, frames, **ALL)) == 20
    async with air() as bluez:
        assert len(await scanned(bluez, frames, **BTHOME)) == 20


async def test_manufacturer_data_pile_up_without_duplicates_and_are_replaced_with_them() -> None:
    frames = [Heard(WHO, {}, {company: b"x"}) for company in (1, 2, 3)]
    async with air() as bluez:
        assert list((await scanned(bluez, frames))[-1][1].manufacturer_data) == [1, 2, 3]
    async with air() as bluez:
        assert list((await scanned(bluez, frames, **ALL))[-1][1].manufacturer_data) == [3]


@pytest.mark.parametrize("how", [{}, ALL], ids=["filtered", "all"])
async def test_old_service_data_come_along_with_whatever_is_sent_later(how: dict[str, Any]) -> None:
    frames = [Heard(WHO, {0xFCD2: b"\x40\x3a\x01"}), Heard(WHO, {}, {0x0BA9: b"later"})]
    async with air() as bluez:
        last = (await scanned(bluez, frames, **how))[-1][1]
    assert last.manufacturer_data == {0x0BA9: b"later"}
    assert list(last.service_data.values()) == [b"\x40\x3a\x01"]


async def test_a_passive_scan_hears_its_patterns_only() -> None:
    frames = [
        Heard(WHO, {0xFCD2: b"@"}),
        Heard("AA:BB:CC:DD:EE:02", {0xFE95: b"?"}),
        Heard("AA:BB:CC:DD:EE:03", {}, {1: b"x"}),
    ]
    async with air() as bluez:
        assert {device.address for device, _ in await scanned(bluez, frames, **BTHOME)} == {WHO}


async def test_strength_is_forgotten_when_a_scan_ends_and_known_again_in_the_next() -> None:
    async with air() as bluez:
        await scanned(bluez, [Heard(WHO, {0xFCD2: b"@1"}, rssi=-40)], **ALL)
        assert next(iter(bluez.devices.values())).rssi is None
        second = await scanned(bluez, [Heard(WHO, {0xFCD2: b"@1"}, rssi=-41)], **ALL)
    assert [data.rssi for _, data in second] == [-41]


async def test_frames_of_one_pass_are_told_as_one_with_the_last_values() -> None:
    got: list[bytes] = []
    async with air() as bluez, BleakScanner(lambda _, data: got.extend(data.service_data.values()), **ALL):
        await send(bluez, Heard(WHO, {0xFCD2: b"0"}))
        for text in (b"1", b"2", b"3"):
            bluez.hear(Heard(WHO, {0xFCD2: text}))
        await until(lambda: got and got[-1] == b"3")
    assert got == [b"0", b"3"]


async def test_while_the_bus_stands_still_no_more_is_merged_than_when_it_moves() -> None:
    got, bus = list[bytes](), PrivateBus()

    def heard(device: Any, data: Any) -> None:
        if device.address == WHO:
            got.extend(data.service_data.values())

    async with air(bus=bus) as bluez, BleakScanner(heard, **ALL):
        await send(bluez, Heard(WHO, {0xFCD2: b"0"}))
        os.kill(bus.pid, signal.SIGSTOP)
        for n in range(2_000):  # more than the socket takes
            bluez.hear(Heard(f"C0:00:00:00:{n >> 8:02X}:{n & 255:02X}", {0xFCD2: bytes(200)}))
        await until(lambda: bluez.waiting and not bluez._poll.poll(0))
        for text in (b"1", b"2", b"3"):
            bluez.hear(Heard(WHO, {0xFCD2: text}))
            await asyncio.sleep(0.01)
        os.kill(bus.pid, signal.SIGCONT)
        await until(lambda: got[-1] == b"3")
    assert got == [b"0", b"1", b"2", b"3"]


async def test_a_flood_is_sent_as_fast_as_the_socket_takes_it_and_nothing_of_it_is_lost() -> None:
    got: set[str] = set()
    async with air() as bluez, BleakScanner(lambda device, _: got.add(device.address), **ALL):
        everybody = {f"C0:00:00:00:{n >> 8:02X}:{n & 255:02X}" for n in range(3_000)}
        for address in everybody:
            bluez.hear(Heard(address, {0xFCD2: bytes(200)}))
        await until(lambda: got == everybody)


async def test_a_device_is_connected_to_read_written_and_heard() -> None:
    heart, got = Heart(), list[bytes]()
    async with air() as bluez:
        bluez.attach(WHO, heart)
        device = (await scanned(bluez, [Heard(WHO, {0xFCD2: b"@"})], **ALL))[0][0]
        async with BleakClient(device) as client:
            assert await client.read_gatt_char(VALUE) == b"\x2a"
            await client.write_gatt_char(VALUE, b"new", response=True)
            assert heart.value == b"new"
            with pytest.raises(BleakDBusError):
                await client.write_gatt_char(VALUE, b"no", response=True)
            await client.start_notify(VALUE, lambda _, data: got.append(bytes(data)))
            for beat in range(200):
                assert heart.tell is not None
                heart.tell(VALUE, bytes([beat]))
            await until(lambda: len(got) == 200)
        assert got == [bytes([beat]) for beat in range(200)]
        assert heart.tell is None


async def test_a_lost_link_is_told_once() -> None:
    gone: list[Any] = []
    async with air() as bluez:
        bluez.attach(WHO, Heart())
        device = (await scanned(bluez, [Heard(WHO, {0xFCD2: b"@"})], **ALL))[0][0]
        client = BleakClient(device, disconnected_callback=gone.append)
        await client.connect()
        bluez.lose_link(WHO)
        await until(lambda: gone)
        await asyncio.sleep(0.05)
        assert len(gone) == 1
        assert not client.is_connected
        await client.connect()
        await client.disconnect()


async def test_a_connection_that_fails_calls_nobody_back_and_the_next_one_is_made() -> None:
    gone: list[Any] = []
    async with air() as bluez:
        bluez.attach(WHO, Heart())
        bluez.refusals[WHO] = 2
        device = (await scanned(bluez, [Heard(WHO, {0xFCD2: b"@"})], **ALL))[0][0]
        client = BleakClient(device, disconnected_callback=gone.append)
        for _ in range(2):
            with pytest.raises(BleakError):
                await client.connect()
        assert gone == []
        await client.connect()
        await client.disconnect()


async def test_a_radio_is_listened_to_for_as_long_as_somebody_scans() -> None:
    async with air() as bluez:
        scanner = BleakScanner(lambda device, data: None, **ALL)
        await scanner.start()
        adapter = next(iter(bluez.adapters.values()))
        assert adapter.is_listening
        await scanner.stop()
        assert not adapter.is_listening
