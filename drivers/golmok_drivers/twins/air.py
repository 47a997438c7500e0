"""The simulated Bluetooth: twins broadcast into a `FakeBlueZ` on its own D-Bus, and an unmodified bleak hears them.

Only one such air fits into a process, and no real radio beside it: bleak looks for BlueZ where one variable says.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from golmok_drivers.buses.ble import BleRadio
from golmok_drivers.buses.ears import Ear
from golmok_drivers.errors import BusClosed
from golmok_drivers.radio import (
    Advert,
    BleLink,
    BleTwin,
    Broadcast,
    Counters,
    ForgetfulCounters,
    Listening,
    Peripheral,
)
from golmok_drivers.twins.bluez import FakeBlueZ, Heard, PrivateBus
from golmok_drivers.twins.bluez.daemon import SystemBus
from golmok_drivers.twins.ends import Other
from golmok_drivers.twins.world import DeviceWorld, Given, Ledger

RECEIVERS: Final = ("hci0", "hci1")
_SILENT: Final = ("unplugged", "nack", "timeout", "not-ready", "reset", "crc")
"""Faults under which nothing arrives: a frame whose checksum is wrong is dropped by the controller."""
_BETWEEN_S: Final = 0.02
"""Between two frames of a burst."""
_KEPT: Final = 4_096


class SimBle:
    """`api.Ble` with twins in the air around it."""

    def __init__(
        self, others: Sequence[Other], ledger: Ledger, receivers: Sequence[str] = (), counters: Counters | None = None
    ) -> None:
        self._others, self._ledger = tuple(others), ledger
        self._receivers = tuple(receivers) or RECEIVERS
        self.counters: Counters = counters or ForgetfulCounters()
        self._given: OrderedDict[tuple[str, bytes], tuple[str, list[Given]]] = OrderedDict()
        self._opening = asyncio.Lock()
        self._closed = False
        self._radio: BleRadio | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ends: list[Callable[[], None]] = []
        self.bluez: FakeBlueZ | None = None

    async def listen(self, *, address: str = "", company: int | None = None) -> Listening:
        """See `api.Ble.listen`."""
        radio = await self._opened()
        return _Watched(await radio.listen(address=address, company=company), self._noted)

    async def connect(self, address: str, *, timeout_s: float = 10.0) -> BleLink:
        """See `api.Ble.connect`."""
        return await (await self._opened()).connect(address, timeout_s=timeout_s)

    def in_range(self) -> list[Advert]:
        """See `BleRadio.ears`."""
        return self._radio.ears.in_range() if self._radio else []

    async def close(self) -> None:
        """End it."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._radio is not None:
            await self._radio.close()
        if self.bluez is not None:
            await self.bluez.close()
        while self._ends:
            await asyncio.to_thread(self._ends.pop())

    async def _opened(self) -> BleRadio:
        async with self._opening:
            if self._closed:
                raise BusClosed("sim+ble:// is closed")
            if self._radio is None:
                bus = await asyncio.to_thread(PrivateBus)
                self._ends.append(bus.close)
                self._ends.append(SystemBus(bus.address).close)
                self.bluez = FakeBlueZ(bus.address, self._receivers)
                await self.bluez.open()
                self._radio = BleRadio(self._receivers, self.counters)
                await self._radio.scan()  # what a twin says first is heard, too
                for other in self._others:
                    self._put_into_the_air(self.bluez, other)
            return self._radio

    def _put_into_the_air(self, bluez: FakeBlueZ, other: Other) -> None:
        peripheral = getattr(other.twin, "peripheral", None)
        if peripheral is not None:
            bluez.attach(other.twin.address, _WatchedPeripheral(peripheral, other, self._ledger))
        self._tasks.append(asyncio.create_task(self._broadcast(bluez, other), name=f"twin {other.name}"))

    async def _broadcast(self, bluez: FakeBlueZ, other: Other) -> None:
        twin: BleTwin = other.twin
        while True:
            is_silent = any(other.world.has(fault) for fault in _SILENT)
            broadcast = None if is_silent else twin.broadcast()
            if broadcast is not None:
                await self._send(bluez, other, _spoilt(broadcast, other.world))
            await asyncio.sleep(twin.interval_s * (0.95 + 0.1 * other.world.random()))

    async def _send(self, bluez: FakeBlueZ, other: Other, broadcast: Broadcast) -> None:
        if broadcast.given:
            key = other.twin.address, _data(broadcast.service_data, broadcast.manufacturer_data)
            self._given.setdefault(key, (other.name, list(broadcast.given)))
            if len(self._given) > _KEPT:
                self._given.popitem(last=False)
        for left in reversed(range(broadcast.times)):
            for receiver in self._receivers:
                rssi = broadcast.at.get(receiver, broadcast.rssi if not broadcast.at else -90)
                heard = Heard(
                    other.twin.address,
                    broadcast.service_data,
                    broadcast.manufacturer_data,
                    broadcast.name,
                    rssi,
                    receiver,
                )
                bluez.hear(heard)
            if left:
                await asyncio.sleep(_BETWEEN_S)

    def _noted(self, advert: Advert) -> None:
        """The driver has it now: what the twin meant by it was given, once."""
        key = advert.address, _data(advert.service_data, advert.manufacturer_data)
        name, given = self._given.get(key, ("", []))
        if given:
            self._ledger.write(name, advert.address, given)
            self._given[key] = name, []


class _Watched:
    """`api.Listening` that sees what its driver takes."""

    def __init__(self, ear: Ear, noted: Callable[[Advert], None]) -> None:
        self._ear, self._noted = ear, noted

    async def heard(self, timeout_s: float | None = None) -> Sequence[Advert]:
        adverts = await self._ear.heard(timeout_s)
        for advert in adverts:
            self._noted(advert)
        return adverts

    def close(self) -> None:
        self._ear.close()


class _WatchedPeripheral:
    """`api.Peripheral` that notes what its twin gave."""

    def __init__(self, real: Peripheral, other: Other, ledger: Ledger) -> None:
        self._real, self._other, self._ledger = real, other, ledger
        self.services = real.services
        self.connected, self.disconnected, self.read = real.connected, real.disconnected, real.read

    def write(self, characteristic: str, data: bytes) -> None:
        self._other.world.take_given()
        self._real.write(characteristic, data)
        self._ledger.write(self._other.name, self._other.twin.address, self._other.world.take_given())


def _spoilt(broadcast: Broadcast, world: DeviceWorld) -> Broadcast:
    """Under the fault `garbage` other bytes: then nothing is given."""
    if not world.has("garbage"):
        return broadcast

    def other(data: bytes) -> bytes:
        return bytes(int(world.random() * 256) for _ in data)

    return broadcast._replace(
        given=(),
        service_data={uuid: other(data) for uuid, data in broadcast.service_data.items()},
        manufacturer_data={company: other(data) for company, data in broadcast.manufacturer_data.items()},
    )


def _data(service_data: Mapping[int, bytes], manufacturer_data: Mapping[int, Any]) -> bytes:
    parts = [uuid.to_bytes(2, "big") + data for uuid, data in service_data.items()]
    return b"|".join(parts + [company.to_bytes(2, "big") + data for company, data in manufacturer_data.items()])
