"""A motion detector (HC-SR501 or its like) at a pin: whether somebody moves, and how often.

Data sheet: https://www.mpja.com/download/31227sc.pdf. Its output is high for as long as it is set (at least 2.5 s)
after something warm has moved. Cut off, the pin's pull-down says that nobody moves: nothing can tell that from an
empty room.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from golmok_drivers.api import Channel, DriverInfo, Reading, Settings, World
from golmok_drivers.pins import NO_NAME, PinInputDriver, is_news

MOTION: Final = Channel("motion")


class PirSettings(Settings):
    """A motion detector whose output is high while something moves."""

    pin: Annotated[int, msgspec.Meta(ge=0, le=27, description="The pin's BCM number (GPIO17 is 17).", examples=[5])]
    hold_s: Annotated[
        float,
        msgspec.Meta(ge=0, le=3600, description="Motion counts until it has been quiet for so long.", examples=[10]),
    ] = 0.0
    expect_s: Annotated[float, msgspec.Meta(gt=0)] | None = None


class PirDriver(PinInputDriver):
    """Says whether something moves, at the start and at each change."""

    api = 1
    part = "PIR"
    info = DriverInfo(
        "pir",
        title="Motion detector (PIR)",
        title_ko="인체 감지 센서 (PIR)",
        bus="gpio",
        datasheet="https://www.mpja.com/download/31227sc.pdf",
        channels=(MOTION,),
        wiring=(("VCC", "5 V (pin 2)"), ("GND", "GND (pin 6)"), ("OUT", "the pin, such as GPIO5 (pin 29)")),
        note="Its output is 3.3 V although it lives from 5 V. It needs a minute to warm up.",
        examples=({"pin": 5}, {"pin": 6}),
    )
    Settings = PirSettings

    @property
    def _pull_up(self) -> bool:
        return False

    async def events(self) -> AsyncIterator[Sequence[Reading]]:
        """See `EventDriver.events`."""
        told: Reading | None = None
        while self._pin is not None:
            self._edge.clear()
            now = self._flutter.judged(Reading(MOTION.quantity, self._pin.is_high))
            is_over = told is not None and bool(told.value) and not now.value and not now.reason
            if is_over and await self._moves_again():
                continue
            if self._pin is not None and is_news(told, now):
                told = now
                yield (now,)
            await self._changes()

    async def _moves_again(self) -> bool:
        """Whether something moves within `hold_s`."""
        if not self.settings.hold_s:
            return False
        try:
            async with asyncio.timeout(self.settings.hold_s):
                await self._edge.wait()
        except TimeoutError:
            return False
        return True


class PirTwin:
    """A detector that sees what goes on in front of it."""

    api: ClassVar[int] = 1
    faults: ClassVar[dict[str, str]] = {"noisy": "noisy"}
    unseen: ClassVar[dict[str, str]] = {
        "unplugged": "the pin's resistor says that nobody moves: `expect_s` says how long nobody ever does not",
        "shorted": "the same: a shorted output says that nobody moves",
        "stuck": "a room may be empty, or full, for hours: `expect_s` says how long it never is",
        "swapped": NO_NAME,
    }

    def __init__(self, settings: PirSettings, world: World) -> None:
        self._world = world
        self.pin: int = settings.pin

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """Somebody comes by now and then."""
        return {"motion": {"kind": "door", "openings_per_h": 60.0, "open_s": 6.0}}

    def level(self, pull_up: bool) -> bool:
        """See `GpioTwin.level`."""
        return self._world.feel("motion") >= 0.5

    def read(self, is_high: bool, pull_up: bool) -> None:
        """See `GpioTwin.read`."""
        self._world.give("motion", is_high)
