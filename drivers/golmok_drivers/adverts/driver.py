"""What the drivers of broadcasting devices have in common: they listen, they notice silence, they take what is due.

`AdvertDriver` calls `taken` for each advert and yields what it makes of it. A device of which nothing was heard for
three heartbeats gives one bad reading of each of its quantities, with reason `silent`, or with the reason why what was
heard meanwhile could not be read or was not believed. Its next good advert ends that.
"""

from __future__ import annotations

import asyncio
import math
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from golmok_drivers.api import (
    Advert,
    Ble,
    Channel,
    DriverError,
    EventDriver,
    Identity,
    Listening,
    PayloadError,
    Reading,
    Silent,
    Unplugged,
    failed,
    judged,
)
from golmok_drivers.errors import BusClosed, RefusedError

PROBE_S: Final = 15.0
HEARTBEATS: Final = 3
"""So many of them may be missed."""
LOW: Final[Mapping[str, float]] = {"battery": 15.0}
"""Percent."""
_EARLY: Final = 0.1
"""A device's clock and the air are not exact: what comes a little early is not left out."""


class AdvertDriver(EventDriver):
    """A device that broadcasts. What it hears is set by `hears`, how long it may be silent by `heartbeat_s`."""

    def __init__(self, settings: Any, *, timezone: str = "UTC") -> None:
        """See `Driver`."""
        super().__init__(settings, timezone=timezone)
        self.bus: Ble | None = None
        self._ear: Listening | None = None

    @property
    def hears(self) -> Mapping[str, Any]:
        """The arguments of `Ble.listen`: what its address sends."""
        return {"address": self.settings.address}

    @property
    def heartbeat_s(self) -> float | None:
        """How often it speaks at least; None: as rarely as it likes."""
        return getattr(self.settings, "heartbeat_s", None)

    @abstractmethod
    async def taken(self, advert: Advert) -> Sequence[Reading]:
        """What one advert says that is new. Raises `PayloadError`, `RefusedError`: then it was no sign of life."""

    def is_of_it(self, advert: Advert) -> bool:
        """Whether it is the device's own."""
        return True

    def disbelieved(self, error: DriverError, advert: Advert) -> Sequence[Reading]:
        """What is to be told of an advert that cannot be read or is not believed."""
        return ()

    def tick(self, now_s: float) -> Sequence[Reading]:
        """What time alone says; called about every second where `ticks_s` is set."""
        return ()

    ticks_s: float | None = None

    async def open(self, bus: Ble) -> None:
        """See `Driver.open`."""
        self.bus = bus
        self._ear = await bus.listen(**self.hears)

    async def probe(self) -> Identity:
        """Whoever is heard within a quarter of a minute."""
        if self.bus is None:
            raise BusClosed("it was not opened")
        ear = await self.bus.listen(**self.hears)
        loop = asyncio.get_running_loop()
        end_s = loop.time() + PROBE_S
        try:
            while (left_s := end_s - loop.time()) > 0:
                for advert in await ear.heard(left_s):
                    if self.is_of_it(advert):
                        return Identity(self.info.title, advert.address)
        finally:
            ear.close()
        raise Unplugged(f"{self.settings_text()} was not heard in {PROBE_S:g} s: is it near, and its battery full?")

    def settings_text(self) -> str:
        """Who is meant, for people."""
        return str(getattr(self.settings, "address", self.info.title))

    async def close(self) -> None:
        """See `Driver.close`."""
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.close()

    async def events(self) -> AsyncIterator[Sequence[Reading]]:
        """See `EventDriver.events`."""
        loop = asyncio.get_running_loop()
        life_s, is_silent = loop.time(), False
        trouble: DriverError | None = None
        while (ear := self._ear) is not None:
            for advert in await ear.heard(self._patience_s(life_s, loop.time(), is_silent=is_silent)):
                if not self.is_of_it(advert):
                    continue
                try:
                    readings = await self.taken(advert)
                    life_s, is_silent, trouble = advert.heard_s, False, None
                except (PayloadError, RefusedError) as error:
                    trouble, readings = error, self.disbelieved(error, advert)
                if readings:
                    yield readings
            if readings := self.tick(loop.time()):
                yield readings
            if self.heartbeat_s and not is_silent and loop.time() - life_s >= HEARTBEATS * self.heartbeat_s:
                is_silent = True
                self.fell_silent()
                yield failed(self.silent_channels, trouble or Silent(f"{self.settings_text()} is silent"))

    @property
    def silent_channels(self) -> Sequence[Channel]:
        """Those of which nothing is known while it is silent."""
        return [channel for channel in self.channels if not channel.is_event]

    def fell_silent(self) -> None:
        """Whatever it says next is news."""

    def _patience_s(self, life_s: float, now_s: float, *, is_silent: bool) -> float | None:
        until_silent_s = None
        if self.heartbeat_s and not is_silent:
            until_silent_s = max(0.0, life_s + HEARTBEATS * self.heartbeat_s - now_s) + 0.001
        known = [one for one in (until_silent_s, self.ticks_s) if one is not None]
        return min(known) if known else None


class Thinned:
    """Decides which frames of a talkative sensor become readings: one in `every_s`, and each in which a state changed.

    A frame that is the very same as the last is no news before its time; one that carries a number of its own (`id`)
    never is.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._data: object = None
        self._states: object = None
        self._at_s: float | None = None

    def is_due(self, advert: Advert, data: object, *, numbered: bool, states: object = ()) -> bool:
        """Whether to make readings of it."""
        is_same = data == self._data
        self._data = data
        if self._at_s is None or (not is_same and states != self._states):
            due = True
        elif is_same and numbered:
            due = False
        else:
            due = advert.heard_s - self._at_s >= self._every_s * (1 - _EARLY)
        if due:
            self._at_s, self._states = advert.heard_s, states
        return due

    def forget(self) -> None:
        """The next one is news."""
        self._at_s = None


class SensorDriver(AdvertDriver):
    """A device that is known by its address and says the same again and again: a reading of it every `every_s`."""

    def __init__(self, settings: Any, *, timezone: str = "UTC") -> None:
        """See `Driver`."""
        super().__init__(settings, timezone=timezone)
        self.thinned = Thinned(settings.every_s)

    def fell_silent(self) -> None:
        """See `AdvertDriver.fell_silent`."""
        self.thinned.forget()


def read(channel: Channel, value: Any, low: Mapping[str, float] = LOW) -> Reading:
    """A reading of what a frame says; what tells that a battery is nearly empty, by `low`, is uncertain."""
    if isinstance(value, bool | str) or value is None:
        return Reading(channel.quantity, value)
    reading = judged(channel, value)
    if reading.quality == "good" and value < low.get(channel.quantity, -math.inf):
        return reading._replace(quality="uncertain", reason="low-battery")
    return reading


def address_bytes(address: str) -> bytes:
    """The six bytes of AA:BB:CC:DD:EE:FF."""
    return bytes.fromhex(address.replace(":", ""))
