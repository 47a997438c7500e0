"""A dry contact at a pin: the reed switch of a door, a float switch, a key switch.

Wired between the pin and ground with `pull_up` (the default), else between the pin and 3.3 V. Guide:
https://gpiozero.readthedocs.io/en/stable/api_input.html. A contact whose wire is cut says "open", as a
closed-circuit alarm loop does; nothing can tell it from an open door.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from golmok_drivers.api import Channel, DriverInfo, Reading, Settings, World
from golmok_drivers.pins import NO_NAME, PinInputDriver, is_news

OPEN: Final = Channel("open")

_PATIENCE: Final = 20
"""After so many debounce times a chattering contact is taken as it is: a loose wire must not hide a door."""


def is_open(is_high: bool, pull_up: bool) -> bool:
    """The contact is open when the level is where the resistor pulls it."""
    return is_high == pull_up


class ContactSettings(Settings):
    """A contact between a pin and ground (`pull_up`) or 3.3 V."""

    pin: Annotated[
        int,
        msgspec.Meta(ge=0, le=27, description="The pin's BCM number (GPIO17 is 17).", examples=[17]),
    ]
    pull_up: Annotated[
        bool,
        msgspec.Meta(description="The contact switches to ground; false: to 3.3 V.", examples=[True]),
    ] = True
    debounce_s: Annotated[
        float,
        msgspec.Meta(ge=0, le=10, description="A change counts when it has stayed so long.", examples=[0.05]),
    ] = 0.05
    expect_s: Annotated[float, msgspec.Meta(gt=0)] | None = None


class ContactDriver(PinInputDriver):
    """Says whether the contact is open, at the start and at each change."""

    api = 1
    part = "contact"
    info = DriverInfo(
        "contact",
        title="Contact (door, float, key switch)",
        title_ko="접점 (문, 부표, 열쇠 스위치)",
        bus="gpio",
        datasheet="https://gpiozero.readthedocs.io/en/stable/api_input.html",
        channels=(OPEN,),
        wiring=(("one end", "the pin, such as GPIO17 (pin 11)"), ("other end", "GND (pin 9)")),
        note="The Pi's own pull-up (about 50 kOhm) is enough up to a few metres; beyond, add 4.7 kOhm to 3.3 V.",
        examples=({"pin": 17, "debounce_s": 0.01}, {"pin": 27, "debounce_s": 0.01}),
    )
    Settings = ContactSettings

    async def events(self) -> AsyncIterator[Sequence[Reading]]:
        """See `EventDriver.events`."""
        told: Reading | None = None
        while self._pin is not None:
            self._edge.clear()
            now = self._flutter.judged(Reading(OPEN.quantity, is_open(self._pin.is_high, self.settings.pull_up)))
            if is_news(told, now):
                told = now
                yield (now,)
            await self._changes()
            await self._settle()

    async def _settle(self) -> None:
        """Return when there was no edge for `debounce_s`; not later when it chatters on and on."""
        for _ in range(_PATIENCE):
            if not self._edge.is_set() or self._pin is None:
                return
            self._edge.clear()
            await asyncio.sleep(self.settings.debounce_s)


class ContactTwin:
    """A switch: closed it pulls the pin against the resistor, open it leaves the pin to it."""

    api: ClassVar[int] = 1
    faults: ClassVar[dict[str, str]] = {"noisy": "noisy"}
    unseen: ClassVar[dict[str, str]] = {
        "unplugged": "a cut wire is an open door: a rule `left` watches it",
        "shorted": "wires that touch are a shut door: `expect_s` says how long a door is never left alone",
        "stuck": "a door may stay as it is for days: `expect_s` says how long it never does",
        "swapped": NO_NAME,
    }

    def __init__(self, settings: ContactSettings, world: World) -> None:
        self._world = world
        self.pin: int = settings.pin

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """A door that is opened now and then."""
        return {"open": {"kind": "door", "openings_per_h": 60.0, "open_s": 8.0}}

    def level(self, pull_up: bool) -> bool:
        """See `GpioTwin.level`."""
        stands_open = self._world.feel("open") >= 0.5
        return pull_up if stands_open else not pull_up

    def read(self, is_high: bool, pull_up: bool) -> None:
        """See `GpioTwin.read`."""
        self._world.give("open", not (is_high ^ pull_up))
