"""A simulated BlueZ for a test: a D-Bus of its own, which bleak takes for the system's."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from golmok_drivers.buses.ble import BleRadio
from golmok_drivers.radio import Advert, Counters, ForgetfulCounters
from golmok_drivers.twins.bluez import FakeBlueZ, PrivateBus
from golmok_drivers.twins.bluez.daemon import SystemBus

needs_dbus = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="dbus-daemon is missing: scripts/setup")
ADDRESS = "38:39:8F:A1:0B:5E"
KEY = "231d39c1d7cc1ab1aee224cd096db932"
PATIENCE_S = 20.0


@asynccontextmanager
async def air(*adapters: str, bus: PrivateBus | None = None) -> AsyncIterator[FakeBlueZ]:
    bus = bus or PrivateBus()
    system = SystemBus(bus.address)
    bluez = FakeBlueZ(bus.address, adapters or ("hci0",))
    await bluez.open()
    try:
        yield bluez
    finally:
        await bluez.close()
        system.close()
        bus.close()


@asynccontextmanager
async def radio(*adapters: str, counters: Counters | None = None, **more: Any) -> AsyncIterator[BleRadio]:
    it = BleRadio(adapters or ("hci0",), counters or ForgetfulCounters(), **more)
    try:
        yield it
    finally:
        await it.close()


async def until(condition: Callable[[], Any]) -> Any:
    end_s = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < end_s, "not in time"
        await asyncio.sleep(0.005)
    return value


def sealed(body: bytes, counter: int, *, key: str = KEY, address: str = ADDRESS) -> bytes:
    """A BTHome frame, encrypted by the format's page."""
    number = counter.to_bytes(4, "little")
    nonce = bytes.fromhex(address.replace(":", "")) + b"\xd2\xfc\x41" + number
    data = AESCCM(bytes.fromhex(key), tag_length=4).encrypt(nonce, body, None)
    return b"\x41" + data[:-4] + number + data[-4:]


def press(counter: int, packet: int | None = None, event: int = 1, **more: str) -> bytes:
    """A press of a button with a key."""
    packet = counter % 256 if packet is None else packet
    return sealed(bytes([0x00, packet, 0x01, 90, 0x3A, event]), counter, **more)


def advert(data: bytes = b"", *, at_s: float = 0.0, address: str = ADDRESS, rssi: int = -60, **more: Any) -> Advert:
    return Advert(address, rssi, {0xFCD2: data} if data else {}, more.pop("company", {}), heard_s=at_s, **more)
