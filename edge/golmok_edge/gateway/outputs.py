"""Switches what rules switch: relays, buzzers, lights. Needs neither Internet nor cloud, nor a disk that has room.

One task sees to it that every output is as it is wanted, and says it again now and then: a device that was restarted
has forgotten. One that fails or hangs keeps no other waiting, and stands in `status`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

from golmok_drivers.api import DriverError
from golmok_edge.rules import Output

_log = logging.getLogger(__name__)

AGAIN_S: Final = 10.0
"""An output is told so often what it is to be."""
RETRY_S: Final = 2.0
PATIENCE_S: Final = 1.0
"""So long it may take to switch one."""


class Commanded(Protocol):
    """A device of the gateway that is told things: a `DeviceTask`."""

    @property
    def restarts(self) -> int:
        """How often it was opened anew."""

    async def command(self, quantity: str, value: bool) -> None:
        """Make it do that; raises `DriverError`."""


class Switch:
    """An `Output` that is a device. It is told only what is new to it, so that a person may switch it in between."""

    def __init__(self, device: Commanded, quantity: str) -> None:
        self._device, self._quantity = device, quantity
        self._on_since: int | None = None
        """On since so many restarts; None while it is off, as drivers open it."""

    async def set(self, on: bool) -> None:
        """See `Output`."""
        restarts = self._device.restarts
        if on and self._on_since != restarts:
            await self._device.command(self._quantity, True)
            self._on_since = restarts
        elif not on and self._on_since is not None:
            if self._on_since == restarts:
                await self._device.command(self._quantity, False)
            self._on_since = None


class Outputs:
    """The outputs of a gateway. `want` may be called in any thread, all else belongs to the loop."""

    def __init__(self, outputs: Mapping[str, Output], named: frozenset[str]) -> None:
        """`outputs` are the devices that can be switched, by name; `named` all that rules name."""
        self._outputs = {name: output for name, output in outputs.items() if name in named}
        self._wanted: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.troubles: dict[str, str] = dict.fromkeys(sorted(named - outputs.keys()), "cannot be switched")
        """Outputs that are not as they are wanted, and why."""

    def want(self, on: frozenset[str]) -> None:
        """These are to be on from now on, all others off."""
        self._wanted = on
        if self._loop:
            self._loop.call_soon_threadsafe(self._changed.set)

    def rows(self) -> list[dict[str, Any]]:
        """How each is, for `status`."""
        names = sorted({*self._outputs, *self.troubles})
        return [{"device": one, "on": one in self._wanted, "detail": self.troubles.get(one, "")} for one in names]

    async def run(self) -> None:
        """Until cancelled; then all are off."""
        self._loop = asyncio.get_running_loop()
        try:
            while self._outputs:
                self._changed.clear()
                done = await asyncio.gather(*(self._switch(name, name in self._wanted) for name in self._outputs))
                try:
                    async with asyncio.timeout(AGAIN_S if all(done) else RETRY_S):
                        await self._changed.wait()
                except TimeoutError:
                    continue
        finally:
            await asyncio.gather(*(self._switch(name, False) for name in self._outputs))

    async def _switch(self, name: str, on: bool) -> bool:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._outputs[name].set(on)
        except (DriverError, OSError, TimeoutError) as error:
            why = str(error) or f"it did not switch within {PATIENCE_S:g} s"
            if self.troubles.get(name) != why:
                _log.error("%s cannot be switched %s: %s", name, "on" if on else "off", why)
            self.troubles[name] = why
            return False
        self.troubles.pop(name, None)
        return True
