"""A simulated BlueZ for a test: a D-Bus of its own, which bleak takes for the system's."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from golmok_drivers.buses.ble import BleRadio
from golmok_drivers.radio import Counters, ForgetfulCounters
from golmok_drivers.twins.bluez import FakeBlueZ, PrivateBus
from golmok_drivers.twins.bluez.daemon import SystemBus

needs_dbus = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="dbus-daemon is missing: scripts/setup")
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
