"""A relay at a pin: a light, a fan, a lock. It does what it is told, and is off when nobody is there to tell.

Guide: https://gpiozero.readthedocs.io/en/stable/api_output.html. Most relay boards switch on with a low level (their
opto-coupler hangs at the supply): then `active_high = false`. When the gateway ends, the pin is let go and it falls.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, ClassVar, Final

import msgspec

from golmok_drivers.api import Channel, CommandError, DriverInfo, GpioOutput, Reading, Settings, Value, World
from golmok_drivers.pins import UNSEEN_OUTPUT, PinOutputDriver

ON: Final = Channel("on")


class RelaySettings(Settings):
    """A relay (or anything else that is on or off) at a pin."""

    pin: Annotated[int, msgspec.Meta(ge=0, le=27, description="The pin's BCM number (GPIO17 is 17).", examples=[22])]
    active_high: Annotated[
        bool,
        msgspec.Meta(
            description="On when the pin is high; false for boards that switch on with a low level.", examples=[True]
        ),
    ] = True
    longest_s: Annotated[
        Annotated[float, msgspec.Meta(gt=0, le=86_400)] | None,
        msgspec.Meta(description="It goes off by itself after so long, whoever forgot it.", examples=[600]),
    ] = None
    expect_s: Annotated[float, msgspec.Meta(gt=0)] | None = None


class RelayDriver(PinOutputDriver):
    """Switches a pin; says what it did, in the order in which it did it."""

    api = 1
    part = "relay"
    info = DriverInfo(
        "relay",
        title="Relay (light, fan, lock)",
        title_ko="릴레이 (조명, 환풍기, 잠금)",
        bus="gpio",
        datasheet="https://gpiozero.readthedocs.io/en/stable/api_output.html",
        channels=(ON,),
        wiring=(("VCC", "5 V (pin 2)"), ("GND", "GND (pin 14)"), ("IN", "the pin, such as GPIO22 (pin 15)")),
        note="A board whose input draws more than 8 mA needs a transistor. Mains wiring is an electrician's work.",
        examples=({"pin": 22}, {"pin": 23, "active_high": False, "longest_s": 600.0}),
    )
    Settings = RelaySettings
    _off: asyncio.TimerHandle | None = None

    async def command(self, quantity: str, value: Value) -> None:
        """See `OutputDriver.command`: `on` is true or false."""
        if quantity != ON.quantity or not isinstance(value, bool):
            raise CommandError(f"a relay is told `on` true or false, not {quantity} {value!r}")
        pin = self._open_pin()
        was_on = self._is_on(pin)
        self._drive(pin, value)
        self._stop_timer()
        if value and self.settings.longest_s:
            self._off = asyncio.get_running_loop().call_later(self.settings.longest_s, self._time_is_up)
        if was_on != self._is_on(pin):
            self._say(value)

    async def close(self) -> None:
        """See `Driver.close`."""
        self._stop_timer()
        await super().close()

    def _state(self, pin: GpioOutput) -> Reading:
        return Reading(ON.quantity, self._is_on(pin))

    def _is_on(self, pin: GpioOutput) -> bool:
        return bool(pin.is_high == self.settings.active_high)

    def _stop_timer(self) -> None:
        if self._off:
            self._off.cancel()
            self._off = None

    def _time_is_up(self) -> None:
        self._off = None
        if self._pin is not None and self._is_on(self._pin):
            self._drive(self._pin, False)
            self._say(False)


class RelayTwin:
    """What hangs at the pin; it remembers what it does."""

    api: ClassVar[int] = 1
    faults: ClassVar[dict[str, str]] = {"shorted": "shorted"}
    unseen: ClassVar[dict[str, str]] = UNSEEN_OUTPUT

    def __init__(self, settings: RelaySettings, world: World) -> None:
        self._world = world
        self._settings = settings
        self.pin: int = settings.pin
        self.is_on = False

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """It feels nothing."""
        return {}

    def driven(self, is_high: bool) -> None:
        """See `OutputTwin.driven`."""
        self.is_on = is_high == self._settings.active_high
        self._world.give("on", self.is_on)
