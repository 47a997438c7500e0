"""A push button at a pin: each press, told short from long, and how many there were.

Guide: https://gpiozero.readthedocs.io/en/stable/api_input.html#button. A press is told when the button is let go, or as
soon as it is long. `press` is the kind, `presses` a number that only rises, so that a press that was lost would show.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from golmok_drivers.api import (
    Channel,
    DriverInfo,
    EventDriver,
    Gpio,
    GpioInput,
    Identity,
    Reading,
    Settings,
    Value,
    World,
)

PRESSES: Final = Channel("presses", "1", 0.0)
PRESS: Final = Channel("press")


class ButtonSettings(Settings):
    """A button between a pin and ground (`pull_up`) or 3.3 V."""

    pin: Annotated[int, msgspec.Meta(ge=0, le=27, description="The pin's BCM number (GPIO17 is 17).", examples=[12])]
    pull_up: Annotated[
        bool, msgspec.Meta(description="The button switches to ground; false: to 3.3 V.", examples=[True])
    ] = True
    debounce_s: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="Shorter presses are bounces.", examples=[0.02])
    ] = 0.02
    long_s: Annotated[
        float, msgspec.Meta(gt=0, le=60, description="A press of that length is a long one.", examples=[1.0])
    ] = 1.0
    expect_s: Annotated[float, msgspec.Meta(gt=0)] | None = None


class ButtonDriver(EventDriver):
    """Says each press once."""

    api = 1
    info = DriverInfo(
        "button",
        title="Push button",
        title_ko="누름 버튼",
        bus="gpio",
        datasheet="https://gpiozero.readthedocs.io/en/stable/api_input.html",
        channels=(PRESSES, PRESS),
        wiring=(("one end", "the pin, such as GPIO12 (pin 32)"), ("other end", "GND (pin 34)")),
        note="With more than a metre of cable add 1 kOhm in series and 100 nF from the pin to GND.",
        examples=({"pin": 12}, {"pin": 13, "long_s": 2.0}),
    )
    Settings = ButtonSettings

    def __init__(self, settings: Any, *, timezone: str = "UTC") -> None:
        """See `Driver`."""
        super().__init__(settings, timezone=timezone)
        self._pin: GpioInput | None = None
        self._edge = asyncio.Event()
        self._presses = 0

    def resume(self, last: Mapping[str, Value]) -> None:
        """See `Driver.resume`."""
        presses = last.get(PRESSES.quantity)
        if isinstance(presses, int) and not isinstance(presses, bool) and presses >= 0:
            self._presses = presses

    async def open(self, bus: Gpio) -> None:
        """See `Driver.open`."""
        self._pin = await bus.input(self.settings.pin, pull_up=self.settings.pull_up, on_edge=self._edge.set)

    async def probe(self) -> Identity:
        """A button cannot say who it is."""
        return Identity("button", f"pin {self.settings.pin}")

    async def events(self) -> AsyncIterator[Sequence[Reading]]:
        """See `EventDriver.events`. First the number there was."""
        yield (Reading(PRESSES.quantity, self._presses),)
        while self._pin is not None:
            await self._until(pressed=True)
            await asyncio.sleep(self.settings.debounce_s)
            if self._pin is None:
                return
            if not self._is_pressed():
                continue
            is_long = await self._is_long()
            if self._pin is None:
                return
            self._presses += 1
            yield Reading(PRESSES.quantity, self._presses), Reading(PRESS.quantity, "long" if is_long else "short")
            await self._until(pressed=False)
            await asyncio.sleep(self.settings.debounce_s)

    async def close(self) -> None:
        """See `Driver.close`."""
        pin, self._pin = self._pin, None
        self._edge.set()
        if pin:
            pin.close()

    def _is_pressed(self) -> bool:
        assert self._pin is not None
        return bool(self._pin.is_high != self.settings.pull_up)

    async def _until(self, *, pressed: bool) -> None:
        """Return once it is pressed, or let go; also when it was closed."""
        while self._pin is not None:
            self._edge.clear()
            if self._is_pressed() == pressed:
                return
            await self._edge.wait()

    async def _is_long(self) -> bool:
        try:
            async with asyncio.timeout(max(0.0, self.settings.long_s - self.settings.debounce_s)):
                await self._until(pressed=False)
        except TimeoutError:
            return True
        return False


class ButtonTwin:
    """A button that somebody presses."""

    api: ClassVar[int] = 1
    ungiven: ClassVar[frozenset[str]] = frozenset({"presses", "press"})

    def __init__(self, settings: ButtonSettings, world: World) -> None:
        self._world = world
        self._settings = settings
        self.pin: int = settings.pin

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """Pressed now and then."""
        return {"pressed": {"kind": "door", "openings_per_h": 120.0, "open_s": 0.3}}

    def level(self, pull_up: bool) -> bool:
        """See `GpioTwin.level`."""
        return (self._world.feel("pressed") >= 0.5) != pull_up

    def read(self, is_high: bool, pull_up: bool) -> None:
        """See `GpioTwin.read`. What a level means depends on how long it lasts: nothing is given."""
