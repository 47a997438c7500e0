"""What devices at one pin of the board have in common: contacts, buttons, motion detectors; relays and buzzers.

A level says little of the wire that makes it. What it does say: nothing that is wired to a pin changes it a dozen
times a second for seconds, so then a wire is loose (`noisy`); and an output whose pin cannot be brought to the level
that it is told touches ground or the supply (`shorted`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Final

from golmok_drivers.api import (
    CommandError,
    EventDriver,
    Gpio,
    GpioInput,
    GpioOutput,
    Identity,
    OutputDriver,
    Reading,
    Shorted,
    Value,
)
from golmok_drivers.watch import NOISY

_APART_S: Final = 0.02
"""Edges closer together are the bouncing of one contact."""

NO_NAME: Final = "it has nothing by which one could be told from another"
UNSEEN_OUTPUT: Final = {
    "unplugged": "a pin drives whether or not anything hangs at it",
    "stuck": "no contact of it comes back to the Pi: what it switches must be measured",
    "noisy": "it measures nothing",
    "swapped": NO_NAME,
}
"""What cannot be seen of an output, and why."""


class Flutter:
    """Whether a level changes on and on, as only a loose wire does."""

    def __init__(self, most: int, within_s: float) -> None:
        """It does when it changes `most` times in `within_s`, and is believed when it has not for as long."""
        self._changes: deque[float] = deque(maxlen=most)
        self._most, self._within_s = most, within_s
        self._until_s = 0.0

    def changed(self) -> None:
        """It changed just now."""
        now_s = _now_s()
        if self._changes and now_s - self._changes[-1] < _APART_S:
            return
        self._changes.append(now_s)
        if len(self._changes) == self._most and now_s - self._changes[0] <= self._within_s:
            self._until_s = now_s + self._within_s

    @property
    def left_s(self) -> float | None:
        """How long until it is believed again; None while it is."""
        left_s = self._until_s - _now_s()
        return left_s if left_s > 0 else None

    def judged(self, reading: Reading) -> Reading:
        """The reading, uncertain while it flutters."""
        return reading if self.left_s is None else reading._replace(quality="uncertain", reason=NOISY)


def is_news(told: Reading | None, now: Reading) -> bool:
    """Whether `now` is to be told after `told`: each change, but of a level that flutters only that it does."""
    return told is None or now.reason != told.reason or (now.value != told.value and not now.reason)


class PinInputDriver(EventDriver):
    """One pin that is listened to. A device's own class says what its level means, in `events`."""

    part: ClassVar[str]
    flutter: ClassVar[tuple[int, float]] = (75, 5.0)
    """So many changes in so many seconds are a loose wire; impatient fingers make half as many."""

    def __init__(self, settings: Any, *, timezone: str = "UTC") -> None:
        """See `Driver`."""
        super().__init__(settings, timezone=timezone)
        self._pin: GpioInput | None = None
        self._edge = asyncio.Event()
        self._flutter = Flutter(*self.flutter)

    async def open(self, bus: Gpio) -> None:
        """See `Driver.open`."""
        self._flutter = Flutter(*self.flutter)
        self._pin = await bus.input(self.settings.pin, pull_up=self._pull_up, on_edge=self._edged)

    async def probe(self) -> Identity:
        """What hangs at a pin cannot say who it is."""
        return Identity(self.part, f"pin {self.settings.pin}")

    async def close(self) -> None:
        """See `Driver.close`."""
        pin, self._pin = self._pin, None
        self._edge.set()
        if pin:
            pin.close()

    @property
    def _pull_up(self) -> bool:
        return bool(self.settings.pull_up)

    async def _changes(self) -> None:
        """Return at the next edge, when it was closed, or when a level that fluttered is to be looked at again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._flutter.left_s):
                await self._edge.wait()

    def _edged(self) -> None:
        self._flutter.changed()
        self._edge.set()


class PinOutputDriver(OutputDriver):
    """One pin that is driven: off when it is opened, let go when it is closed; what it did is told in that order."""

    part: ClassVar[str]

    def __init__(self, settings: Any, *, timezone: str = "UTC") -> None:
        """See `Driver`."""
        super().__init__(settings, timezone=timezone)
        self._pin: GpioOutput | None = None
        self._did: asyncio.Queue[Reading | None] = asyncio.Queue()
        self._is_shorted = False

    async def open(self, bus: Gpio) -> None:
        """See `Driver.open`: off."""
        self._did, self._told = asyncio.Queue(), None
        self._pin = await bus.output(self.settings.pin, is_high=not self.settings.active_high)

    async def probe(self) -> Identity:
        """What hangs at a pin cannot say who it is."""
        return Identity(self.part, f"pin {self.settings.pin}")

    async def events(self) -> AsyncIterator[Sequence[Reading]]:
        """See `EventDriver.events`."""
        if self._pin is None:
            return
        while not self._did.empty():  # what was done before anybody listened is in the state
            if self._did.get_nowait() is None:
                return
        yield (self._state(self._pin),)
        while (did := await self._did.get()) is not None:
            yield (did,)

    async def close(self) -> None:
        """See `Driver.close`: the pin drives nothing any more."""
        pin, self._pin = self._pin, None
        self._did.put_nowait(None)
        if pin:
            pin.close()

    def _open_pin(self) -> GpioOutput:
        """The pin, for a new command; raises `CommandError` while there is none."""
        if self._pin is None:
            raise CommandError(f"the {self.part} is not open")
        self._is_shorted = False
        return self._pin

    def _state(self, pin: GpioOutput) -> Reading:
        """What it does now."""
        raise NotImplementedError

    def _say(self, value: Value) -> None:
        self._did.put_nowait(Reading(self.channels[0].quantity, value))

    def _drive(self, pin: GpioOutput, is_on: bool) -> None:
        """Make it so, and look whether it is; what is shorted is told once a command."""
        level = is_on == self.settings.active_high
        pin.write(level)
        if pin.is_high != level and not self._is_shorted:
            self._is_shorted = True
            self._did.put_nowait(Reading(self.channels[0].quantity, None, "bad", Shorted.reason))


def _now_s() -> float:
    return asyncio.get_running_loop().time()
