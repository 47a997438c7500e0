"""A buzzer with its own oscillator at a pin: silent, sounding, or beeping in a pattern.

Guide: https://gpiozero.readthedocs.io/en/stable/api_output.html#buzzer. A pattern is a row of seconds on, off, on, …,
which is repeated until it is told something else. It falls silent when the gateway ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from golmok_drivers.api import (
    Channel,
    CommandError,
    DriverError,
    DriverInfo,
    Gpio,
    GpioOutput,
    Reading,
    Settings,
    Value,
    World,
)
from golmok_drivers.pins import UNSEEN_OUTPUT, PinOutputDriver

SOUND: Final = Channel("sound")
PATTERNS: Final[dict[str, tuple[float, ...]]] = {
    "off": (),
    "on": (1.0,),
    "beep": (0.15, 1.85),
    "alarm": (0.2, 0.2),
    "call": (0.1, 0.1, 0.1, 0.1, 0.1, 1.5),
}
"""The sounds by name: seconds on, off, on, …"""


class BuzzerSettings(Settings):
    """A buzzer at a pin."""

    pin: Annotated[int, msgspec.Meta(ge=0, le=27, description="The pin's BCM number (GPIO17 is 17).", examples=[24])]
    active_high: Annotated[
        bool, msgspec.Meta(description="It sounds when the pin is high; false: when it is low.", examples=[True])
    ] = True
    sound: Annotated[
        Literal["on", "beep", "alarm", "call"],
        msgspec.Meta(description="What it plays when a rule switches it on.", examples=["alarm"]),
    ] = "alarm"
    longest_s: Annotated[
        float,
        msgspec.Meta(gt=0, le=86_400, description="It falls silent by itself after so long.", examples=[300]),
    ] = 300.0
    expect_s: Annotated[float, msgspec.Meta(gt=0)] | None = None


class BuzzerDriver(PinOutputDriver):
    """Plays the sound that it is told, and says which it plays."""

    api = 1
    part = "buzzer"
    info = DriverInfo(
        "buzzer",
        title="Buzzer",
        title_ko="부저",
        bus="gpio",
        datasheet="https://gpiozero.readthedocs.io/en/stable/api_output.html",
        channels=(SOUND,),
        wiring=(("+", "the pin, such as GPIO24 (pin 18)"), ("-", "GND (pin 20)")),
        note="An active buzzer of 3.3 V and at most 8 mA; a louder one needs a transistor.",
        examples=({"pin": 24}, {"pin": 25, "active_high": False, "longest_s": 60.0}),
    )
    Settings = BuzzerSettings

    def __init__(self, settings: Any, *, timezone: str = "UTC") -> None:
        """See `Driver`."""
        super().__init__(settings, timezone=timezone)
        self.when_on = settings.sound
        self._sound = "off"
        self._playing: asyncio.Task[None] | None = None

    async def open(self, bus: Gpio) -> None:
        """See `Driver.open`: silent."""
        self._sound = "off"
        await super().open(bus)

    async def command(self, quantity: str, value: Value) -> None:
        """See `OutputDriver.command`: `sound` is the name of one; true is `on`, false is `off`."""
        name = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
        if quantity != SOUND.quantity or not isinstance(name, str) or name not in PATTERNS:
            raise CommandError(f"a buzzer is told `sound` {', '.join(PATTERNS)}, not {quantity} {value!r}")
        pin = self._open_pin()
        self._stop(pin)
        self._plays(name)
        if name != "off":
            self._playing = asyncio.create_task(self._play(pin, PATTERNS[name]))

    async def close(self) -> None:
        """See `Driver.close`."""
        if self._pin is not None:
            with suppress(DriverError):  # the bus may be gone already
                self._stop(self._pin)
        await super().close()

    def _state(self, pin: GpioOutput) -> Reading:
        return Reading(SOUND.quantity, self._sound)

    def _plays(self, name: str) -> None:
        if name != self._sound:
            self._sound = name
            self._say(name)

    def _stop(self, pin: GpioOutput) -> None:
        if self._playing:
            self._playing.cancel()
            self._playing = None
        self._drive(pin, False)

    async def _play(self, pin: GpioOutput, pattern: Sequence[float]) -> None:
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + self.settings.longest_s
        sounds = True
        for seconds in cycle(pattern):
            self._drive(pin, sounds)
            await asyncio.sleep(min(seconds, max(0.0, ends_s - loop.time())))
            if loop.time() >= ends_s:
                break
            sounds = not sounds or len(pattern) == 1
        self._drive(pin, False)
        self._playing = None
        self._plays("off")


class BuzzerTwin:
    """What hangs at the pin: it counts how often it began to sound."""

    api: ClassVar[int] = 1
    faults: ClassVar[dict[str, str]] = {"shorted": "shorted"}
    unseen: ClassVar[dict[str, str]] = UNSEEN_OUTPUT
    ungiven: ClassVar[frozenset[str]] = frozenset({"sound"})

    def __init__(self, settings: BuzzerSettings, world: World) -> None:
        self._settings = settings
        self.pin: int = settings.pin
        self.is_sounding = False
        self.beeps = 0

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """It feels nothing."""
        return {}

    def driven(self, is_high: bool) -> None:
        """See `OutputTwin.driven`. Which sound it is stands in no level: nothing is given."""
        self.is_sounding = is_high == self._settings.active_high
        self.beeps += self.is_sounding
