"""Bluetooth for a driver in a process of its own, both ends: it may listen. It may not connect, and no counters are
kept for it: what has a key is believed in the gateway's own process only (`apart = false`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from golmok_drivers.errors import BusError, BusTimeout, DriverTalksNonsense
from golmok_drivers.radio import Advert, BleLink, Counters, Listening

if TYPE_CHECKING:
    from golmok_drivers.apart.buses import Asker

MOST_EARS: Final = 8
"""Of one driver."""
MOST_AT_ONCE: Final = 256
"""Adverts in one answer."""
_TURN_S: Final = 5.0
"""A question to the gateway does not wait longer for an advert; it is asked again then."""
_ONLY_HERE: Final = "a Bluetooth driver in a process of its own can only listen; write apart = false"


class NearBle:
    """The gateway's end: listens for the driver."""

    def __init__(self) -> None:
        self._ears: dict[int, Listening] = {}
        self._last = 0

    async def answer(self, bus: Any, method: str, args: list[Any]) -> Any:
        """What the driver asked. Raises `DriverError`."""
        match method, args:
            case "listen", [str(address), int() | None as company]:
                return await self._listen(bus, address, company)
            case "heard", [int(ear), int() | float() as timeout_s] if ear in self._ears:
                adverts = await self._ears[ear].heard(min(max(timeout_s, 0.0), _TURN_S))
                return [tuple(advert) for advert in adverts[-MOST_AT_ONCE:]]
            case "deaf", [int(ear)]:
                if listening := self._ears.pop(ear, None):
                    listening.close()
                return None
        raise DriverTalksNonsense(f"Bluetooth cannot be asked {method} so")

    def close(self) -> None:
        """The driver is gone."""
        ears, self._ears = list(self._ears.values()), {}
        for ear in ears:
            ear.close()

    async def _listen(self, bus: Any, address: str, company: int | None) -> int:
        if len(self._ears) >= MOST_EARS:
            raise BusError(f"a driver listens {MOST_EARS} times at most")
        listening = await bus.listen(address=address, company=company)
        self._last += 1
        self._ears[self._last] = listening
        return self._last


class FarBle:
    """`api.Ble` in the driver's process."""

    def __init__(self, ask: Asker) -> None:
        self._ask = ask

    @property
    def counters(self) -> Counters:
        """See `api.Ble.counters`."""
        raise BusError(_ONLY_HERE)

    async def listen(self, *, address: str = "", company: int | None = None) -> Listening:
        """See `api.Ble.listen`."""
        return _FarEar(self._ask, await self._ask("listen", address, company))

    async def connect(self, address: str, *, timeout_s: float = 10.0) -> BleLink:
        """See `api.Ble.connect`."""
        raise BusError(_ONLY_HERE)

    async def close(self) -> None:
        """The bus is the gateway's."""


class _FarEar:
    """`api.Listening`. The gateway's end is closed by whoever waits at this one, or with the process."""

    def __init__(self, ask: Asker, ear: int) -> None:
        self._ask, self._ear, self._is_closed = ask, ear, False

    async def heard(self, timeout_s: float | None = None) -> Sequence[Advert]:
        left_s = timeout_s
        while not self._is_closed:
            turn_s = _TURN_S if left_s is None else min(left_s, _TURN_S)
            try:
                adverts = await self._ask("heard", self._ear, turn_s)
            except BusTimeout:
                adverts = []
            if adverts:
                return [_advert(advert) for advert in adverts]
            if left_s is not None and (left_s := left_s - turn_s) <= 0:
                return ()
        await self._ask("deaf", self._ear)
        return ()

    def close(self) -> None:
        self._is_closed = True


def _advert(told: Sequence[Any]) -> Advert:
    """The advert again; msgpack made lists and strings of some of it."""
    address, rssi, service_data, manufacturer_data, name, receiver, heard_s = told
    services = {int(uuid): bytes(data) for uuid, data in service_data.items()}
    companies = {int(company): bytes(data) for company, data in manufacturer_data.items()}
    return Advert(address, rssi, services, companies, name, receiver, heard_s)
