"""Adverts as a trace: written down when a driver takes them, and heard again at the pace at which they came.

What was heard stands in the trace once for each driver that took it, with its bytes, so a shop's air becomes a test.
A device with a key is believed again in a replay: its counters begin anew there, and are kept nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from golmok_drivers.buses.ears import Ears
from golmok_drivers.buses.trace import Event, TraceWriter, read_trace
from golmok_drivers.errors import BusClosed, BusError
from golmok_drivers.radio import Advert, Ble, BleLink, Counters, ForgetfulCounters, Listening

_DO = "advert"


class RecordedBle:
    """`api.Ble` that writes down what is heard. Connections are not recorded."""

    def __init__(self, bus: Ble, trace: TraceWriter) -> None:
        self._bus, self._trace = bus, trace

    @property
    def counters(self) -> Counters:
        """See `api.Ble.counters`."""
        return self._bus.counters

    async def listen(self, *, address: str = "", company: int | None = None) -> Listening:
        """See `api.Ble.listen`."""
        return _RecordedEar(await self._bus.listen(address=address, company=company), self._trace)

    async def connect(self, address: str, *, timeout_s: float = 10.0) -> BleLink:
        """See `api.Ble.connect`."""
        return await self._bus.connect(address, timeout_s=timeout_s)

    async def close(self) -> None:
        """See `api.Ble.close`."""
        await self._bus.close()
        self._trace.close()


class _RecordedEar:
    def __init__(self, ear: Listening, trace: TraceWriter) -> None:
        self._ear, self._trace = ear, trace

    async def heard(self, timeout_s: float | None = None) -> Sequence[Advert]:
        adverts = await self._ear.heard(timeout_s)
        for advert in adverts:
            self._trace.write(advert.address, _DO, (), _told(advert))
        return adverts

    def close(self) -> None:
        self._ear.close()


class ReplayedBle:
    """`api.Ble` that hears a trace again, from the moment at which somebody listens."""

    def __init__(self, path: Path, kind: str) -> None:
        """Raises `BusUrlError`."""
        self.counters: Counters = ForgetfulCounters()
        self.ears = Ears()
        self._path = path
        self._events = [event for event in read_trace(path, kind) if event.do == _DO]
        self._playing: asyncio.Task[None] | None = None
        self._closed = False

    async def listen(self, *, address: str = "", company: int | None = None) -> Listening:
        """See `api.Ble.listen`."""
        if self._closed:
            raise BusClosed("replay: the bus is closed")
        if self._playing is None:
            self._playing = asyncio.create_task(self._play(), name="replay ble")
        return self.ears.listen(address, company)

    async def connect(self, address: str, *, timeout_s: float = 10.0) -> BleLink:
        """See `api.Ble.connect`."""
        raise BusError(f"{self._path}: a trace of adverts has nobody to connect to")

    async def close(self) -> None:
        """See `api.Ble.close`."""
        self._closed = True
        self.ears.fail(BusClosed("replay: the bus was closed"))
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.gather(self._playing, return_exceptions=True)

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        began_s, first_t, last = loop.time(), self._events[0].t if self._events else 0.0, None
        for event in self._events:
            await asyncio.sleep(max(0.0, began_s + event.t - first_t - loop.time()))
            heard = (event.device, event.result)
            if heard != last:  # the same advert, taken by another driver
                self.ears.hear(_advert(event, loop.time()))
            last = heard


def _told(advert: Advert) -> dict[str, Any]:
    return {
        "rssi": advert.rssi,
        "service_data": {f"{uuid:04x}": data.hex() for uuid, data in advert.service_data.items()},
        "manufacturer_data": {f"{company:04x}": data.hex() for company, data in advert.manufacturer_data.items()},
        "name": advert.name,
        "receiver": advert.receiver,
        "heard_s": round(advert.heard_s, 6),
    }


def _advert(event: Event, now_s: float) -> Advert:
    """The advert again, heard now."""
    said = event.result
    services, companies = (
        {int(number, 16): bytes.fromhex(data) for number, data in said[part].items()}
        for part in ("service_data", "manufacturer_data")
    )
    return Advert(event.device, said["rssi"], services, companies, said["name"], said["receiver"], now_s)
