"""The machine's Bluetooth radios, through bleak and BlueZ; several listen together.

A scan runs as long as somebody listens, passive where BlueZ can (it then hears only the formats that we read, and asks
nobody back, which spares the batteries of what it hears), else active with duplicates. bluetoothd may restart, a stick
may be pulled, a scan may fall silent without a word: the scan is begun anew, and what lasts is told to who listens.

bleak is imported when the first radio is opened: a gateway without Bluetooth does not carry it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from golmok_drivers.adverts import COMPANIES, SERVICES
from golmok_drivers.buses.blelink import OFF, BleakLink, explained
from golmok_drivers.buses.blewatch import BlueZWatch
from golmok_drivers.buses.ears import IN_RANGE, Ear, Ears
from golmok_drivers.errors import BusClosed, BusError
from golmok_drivers.radio import Advert, Counters

_log = logging.getLogger(__name__)

STALLED_S: Final = 60.0
"""A scan that hears nothing at all for so long is begun anew."""
GRACE_S: Final = 5.0
"""bluetoothd may be away for so long, and a radio be off, before those who listen are told that it failed."""
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
START_WITHIN_S: Final = 15.0
_SERVICE_DATA_16: Final = 0x16
_MANUFACTURER_DATA: Final = 0xFF
_SHORT: Final = "-0000-1000-8000-00805f9b34fb"


class Scanner(Protocol):
    """bleak's scanner, as far as it is used."""

    async def start(self) -> None:
        """Begin."""

    async def stop(self) -> None:
        """End."""


class BleRadio:
    """`api.Ble` on BlueZ. `adapters` names them (hci0); an empty name is the machine's default one."""

    def __init__(
        self, adapters: Sequence[str], counters: Counters, *, stalled_s: float = STALLED_S, grace_s: float = GRACE_S
    ) -> None:
        self.counters = counters
        self.ears = Ears()
        self.heard = 0
        """Adverts so far."""
        self._adapters = tuple(adapters) or ("",)
        self._url = f"ble://{','.join(self._adapters)}"
        self._stalled_s, self._grace_s = stalled_s, grace_s
        self._devices: dict[str, Any] = {}
        """bleak's device at each address that was heard lately."""
        self._scans: dict[str, asyncio.Task[None]] = {}
        self._came_up: dict[str, asyncio.Future[None]] = {}
        self._last_s: dict[str, float] = {}
        self._passive = True
        self._linking = asyncio.Lock()
        self._uuids: dict[str, int] = {}
        self._closed = False

    async def listen(self, *, address: str = "", company: int | None = None) -> Ear:
        """See `api.Ble.listen`. Those who look around (neither is given) hear only what a passive scan lets through."""
        await self.scan()
        return self.ears.listen(address, company)

    async def connect(self, address: str, *, timeout_s: float = 10.0) -> BleakLink:
        """See `api.Ble.connect`."""
        await self.scan()
        await self._linking.acquire()
        try:
            link = BleakLink(self._devices.get(address.upper(), address), self._linking.release)
            await link.open(timeout_s)
        except BaseException:
            self._linking.release()
            raise
        return link

    async def close(self) -> None:
        """See `api.Ble.close`."""
        self._closed = True
        self.ears.fail(BusClosed(f"{self._url} was closed"))
        scans, self._scans = list(self._scans.values()), {}
        for scan in scans:
            scan.cancel()
        await asyncio.gather(*scans, return_exceptions=True)

    def _on_advert(self, adapter: str, device: Any, data: Any) -> None:
        """bleak heard something; a frame that only brings old service data along is handed on all the same."""
        now_s = self._last_s[adapter] = asyncio.get_running_loop().time()
        self.heard += 1
        receiver = device.details["path"].split("/", 4)[3]
        service_data = self._short(data.service_data) if data.service_data else {}
        name = data.local_name or ""
        self.ears.hear(Advert(device.address, data.rssi, service_data, data.manufacturer_data, name, receiver, now_s))
        self._devices.pop(device.address, None)
        self._devices[device.address] = device
        if len(self._devices) > IN_RANGE:
            del self._devices[next(iter(self._devices))]

    def _short(self, service_data: Mapping[str, bytes]) -> dict[int, bytes]:
        """Service data by UUIDs of 16 bits; longer ones are of no format that we read."""
        found = {}
        for uuid, data in service_data.items():
            short = self._uuids.get(uuid)
            if short is None:
                short = int(uuid[4:8], 16) if uuid.startswith("0000") and uuid.endswith(_SHORT) else -1
                if len(self._uuids) < IN_RANGE:
                    self._uuids[uuid] = short
            if short >= 0:
                found[short] = data
        return found

    # --- scanning

    async def scan(self) -> None:
        """See that all radios scan; raises `BusError` when one does not."""
        if self._closed:
            raise BusClosed(f"{self._url} is closed")
        loop = asyncio.get_running_loop()
        for adapter in self._adapters:
            if adapter not in self._scans:
                self._came_up[adapter] = loop.create_future()
                self._scans[adapter] = asyncio.create_task(self._keep_scanning(adapter), name=f"ble {adapter}")
        for adapter in self._adapters:
            try:
                async with asyncio.timeout(START_WITHIN_S):
                    await asyncio.shield(self._came_up[adapter])
            except TimeoutError:
                raise BusError(f"{self._url}: BlueZ does not answer; restart it: systemctl restart bluetooth") from None

    async def _keep_scanning(self, adapter: str) -> None:
        watch, loop = BlueZWatch(), asyncio.get_running_loop()
        pause_s, bears_until_s = FIRST_PAUSE_S, 0.0
        try:
            while True:
                scanner = None
                await watch.begin()
                try:
                    if await watch.is_off(adapter):
                        raise BusError(f"{self._url}: {OFF}")
                    scanner = await self._started(adapter)
                    pause_s = FIRST_PAUSE_S
                    why = await self._until_over(adapter, watch)
                    bears_until_s = loop.time() + self._grace_s
                    _log.warning("%s: %s; the scan is begun anew", self._url, why)
                except Exception as error:  # noqa: BLE001  # bleak and dbus-fast have no common root, and it must go on
                    if loop.time() >= bears_until_s:
                        self._failed(adapter, explained(self._url, error))
                    if not await watch.news(pause_s):
                        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                finally:
                    if scanner is not None:
                        await _stop(scanner)
        finally:
            watch.close()

    async def _started(self, adapter: str) -> Scanner:
        scanner = self._scanner(adapter)
        try:
            async with asyncio.timeout(START_WITHIN_S):
                await scanner.start()
        except Exception as error:
            if not self._passive or "passive" not in str(error):
                await _stop(scanner)
                raise
            _log.info("%s: no passive scan here, so an active one: %s", self._url, error)
            self._passive = False
            return await self._started(adapter)
        self._last_s[adapter] = asyncio.get_running_loop().time()
        if self._came_up[adapter].done():
            self._came_up[adapter] = asyncio.get_running_loop().create_future()
        self._came_up[adapter].set_result(None)
        return scanner

    def _scanner(self, adapter: str) -> Scanner:
        try:
            from bleak import BleakScanner
        except ImportError as error:
            raise BusError(f"{self._url}: bleak is missing ({error}); install golmok[gateway]") from error
        where: dict[str, Any] = {"adapter": adapter} if adapter else {}
        more: dict[str, Any] = (
            {"scanning_mode": "passive", "bluez": where | {"or_patterns": _patterns()}}
            if self._passive
            else {"scanning_mode": "active", "bluez": where | {"filters": {"DuplicateData": True}}}
        )
        return BleakScanner(lambda device, data: self._on_advert(adapter, device, data), **more)

    async def _until_over(self, adapter: str, watch: BlueZWatch) -> str:
        """Wait until the scan is over; why it is."""
        loop = asyncio.get_running_loop()
        rest_s = self._stalled_s
        while rest_s > 0:
            if await watch.news(rest_s):
                return "BlueZ or a radio went or came"
            rest_s = self._last_s[adapter] + self._stalled_s - loop.time()
        return f"nothing was heard for {self._stalled_s:g} s"

    def _failed(self, adapter: str, error: BusError) -> None:
        came_up = self._came_up[adapter]
        if came_up.done():
            self._came_up[adapter] = came_up = asyncio.get_running_loop().create_future()
        came_up.set_exception(error)
        came_up.exception()  # seen, also when nobody listens
        self.ears.fail(error)


async def _stop(scanner: Scanner) -> None:
    with suppress(Exception):  # it is over in any case: bluetoothd may be gone
        async with asyncio.timeout(START_WITHIN_S):
            await scanner.stop()


def _patterns() -> list[tuple[int, int, bytes]]:
    """What a passive scan lets through: the formats that we read."""
    patterns = [(0, _SERVICE_DATA_16, uuid.to_bytes(2, "little")) for uuid in SERVICES]
    return patterns + [(0, _MANUFACTURER_DATA, company.to_bytes(2, "little")) for company in COMPANIES]
