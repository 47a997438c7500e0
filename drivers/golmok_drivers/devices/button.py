"""A push button at a pin: each press, told short from long, and how many there were.

Guide: https://gpiozero.readthedocs.io/en/stable/api_input.html#button. A press is told when the button is let go, or as
soon as it is long. `press` is the kind, `presses` a number that only rises, so that a press that was lost would show.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from golmok_drivers.api import Channel, DriverInfo, Reading, Settings, Value, World
from golmok_drivers.pins import NO_NAME, PinInputDriver
from golmok_drivers.watch import STUCK

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
    held_s: Annotated[
        float,
        msgspec.Meta(
            gt=0,
            le=3600,
            description="Nobody holds it for so long: then it is jammed or its wires touch (`stuck`).",
            examples=[60],
        ),
    ] = 60.0
    expect_s: Annotated[float, msgspec.Meta(gt=0)] | None = None


class ButtonDriver(PinInputDriver):
    """Says each press once."""

    api = 1
    part = "button"
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
    _presses = 0

    def resume(self, last: Mapping[str, Value]) -> None:
        """See `Driver.resume`."""
        presses = last.get(PRESSES.quantity)
        if isinstance(presses, int) and not isinstance(presses, bool) and presses >= 0:
            self._presses = presses

    async def events(self) -> AsyncIterator[Sequence[Reading]]:
        """See `EventDriver.events`. First the number there was."""
        told = self._count()
        yield (told,)
        while self._pin is not None:
            await self._until(pressed=True)
            await asyncio.sleep(self.settings.debounce_s)
            if (now := self._count()).reason != told.reason:
                told = now
                yield (told,)
            if self._pin is None or not self._is_pressed() or told.reason:
                continue
            is_long = await self._is_long()
            if self._pin is None or self._flutter.left_s is not None:
                continue
            self._presses += 1
            told = self._count()
            yield told, Reading(PRESS.quantity, "long" if is_long else "short")
            if not await self._until(pressed=False, within_s=self.settings.held_s):
                yield (told._replace(quality="uncertain", reason=STUCK),)
                await self._until(pressed=False)
                yield (told,)
            await asyncio.sleep(self.settings.debounce_s)

    def _count(self) -> Reading:
        return self._flutter.judged(Reading(PRESSES.quantity, self._presses))

    def _is_pressed(self) -> bool:
        assert self._pin is not None
        return bool(self._pin.is_high != self.settings.pull_up)

    async def _until(self, *, pressed: bool, within_s: float | None = None) -> bool:
        """Whether it is pressed, or let go, in that time; also true when it was closed, or is to be believed again."""
        try:
            async with asyncio.timeout(within_s):
                while self._pin is not None:
                    self._edge.clear()
                    if self._is_pressed() == pressed:
                        break
                    fluttered = self._flutter.left_s is not None
                    await self._changes()
                    if fluttered and self._flutter.left_s is None:
                        break
        except TimeoutError:
            return False
        return True

    async def _is_long(self) -> bool:
        return not await self._until(pressed=False, within_s=max(0.0, self.settings.long_s - self.settings.debounce_s))


class ButtonTwin:
    """A button that somebody presses."""

    api: ClassVar[int] = 1
    faults: ClassVar[dict[str, str]] = {"noisy": "noisy", "shorted": "stuck", "stuck": ""}
    unseen: ClassVar[dict[str, str]] = {
        "unplugged": "a cut wire is a button that nobody presses",
        "stuck": "one that cannot be pressed any more is a button that nobody presses; one that stays down is `stuck`",
        "swapped": NO_NAME,
    }
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
