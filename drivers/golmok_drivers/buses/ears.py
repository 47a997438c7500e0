"""Who hears what: adverts are handed to the drivers that listen for their address or for their company.

A radio, a recording that is played again and a simulation all hand what they hear to `Ears`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from golmok_drivers.errors import BusError
from golmok_drivers.radio import Advert

MOST_UNREAD: Final = 4_096
"""Adverts that one listener may leave unread; then the oldest go."""
IN_RANGE: Final = 2_048
"""How many devices are remembered as heard, for those who look around."""


class Ear:
    """`api.Listening`."""

    def __init__(self, close: Callable[[Ear], None]) -> None:
        self.missed = 0
        """Adverts that went because nobody read them in time."""
        self._close = close
        self._heard: deque[Advert] = deque()
        self._error: BusError | None = None
        self._is_closed = False
        self._something = asyncio.Event()

    async def heard(self, timeout_s: float | None = None) -> Sequence[Advert]:
        """See `api.Listening.heard`."""
        if not (self._heard or self._error or self._is_closed):
            self._something.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._something.wait()
        if self._error is not None and not self._heard:
            raise self._error
        heard = tuple(self._heard)
        self._heard.clear()
        return heard

    def close(self) -> None:
        """See `api.Listening.close`."""
        self._is_closed = True
        self._something.set()
        self._close(self)

    def hear(self, advert: Advert) -> None:
        """Keep it until it is read."""
        if len(self._heard) >= MOST_UNREAD:
            self._heard.popleft()
            self.missed += 1
        self._heard.append(advert)
        self._something.set()

    def fail(self, error: BusError) -> None:
        """What was heard can still be read; then there is only the error."""
        self._error = error
        self._something.set()


class Ears:
    """All who listen."""

    def __init__(self) -> None:
        self._by_address: dict[str, list[Ear]] = {}
        self._by_company: dict[int, list[Ear]] = {}
        self._to_all: list[Ear] = []
        self._in_range: dict[str, Advert] = {}

    def listen(self, address: str, company: int | None) -> Ear:
        """See `api.Ble.listen`."""
        if address:
            ears = self._by_address.setdefault(address.upper(), [])
        else:
            ears = self._to_all if company is None else self._by_company.setdefault(company, [])
        ear = Ear(lambda one: ears.remove(one) if one in ears else None)
        ears.append(ear)
        return ear

    def hear(self, advert: Advert) -> None:
        """Hand it to whom it concerns."""
        for ear in self._by_address.get(advert.address, ()):
            ear.hear(advert)
        for company in advert.manufacturer_data:
            for ear in self._by_company.get(company, ()):
                ear.hear(advert)
        for ear in self._to_all:
            ear.hear(advert)
        self._in_range.pop(advert.address, None)
        self._in_range[advert.address] = advert
        if len(self._in_range) > IN_RANGE:
            del self._in_range[next(iter(self._in_range))]

    def fail(self, error: BusError) -> None:
        """There is nothing more to hear, for anybody who listens now."""
        all_ears = [self._to_all, *self._by_address.values(), *self._by_company.values()]
        for ears in all_ears:
            for ear in ears:
                ear.fail(error)
            ears.clear()

    def in_range(self) -> list[Advert]:
        """The last advert of each device that was heard lately, the strongest first."""
        return sorted(self._in_range.values(), key=lambda advert: -advert.rssi)
