"""Call buttons that cannot be fooled: BTHome v2, encrypted (Shelly BLU Button1, RC Button 4, one's own nRF52).

https://shelly-api-docs.shelly.cloud/docs-ble/Devices/button. A press is believed once: its counter is above every one
that was believed before, which is on disk before anybody hears of the press (`adverts.guard`). Plain frames are
refused, recorded ones too, also after a restart. The frames of one burst are one press.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from golmok_drivers.adverts import bthome
from golmok_drivers.adverts.driver import AdvertDriver, read
from golmok_drivers.adverts.guard import Presses
from golmok_drivers.adverts.keyed import KeyedDevice, events_of
from golmok_drivers.adverts.sender import BTHomeSender
from golmok_drivers.api import Advert, Broadcast, Channel, DriverError, DriverInfo, Reading, World
from golmok_drivers.ble_keys import KeySettings, needed_key_of

CALL_ID: Final = Channel("call-id", is_event=True)
REFUSED: Final = Channel("refused", is_event=True)
BATTERY: Final = Channel("battery", "%", 0, 100, 1)
SAY_REFUSED_S: Final = 60.0
"""The same refusal is told so often at most."""
_PACKET_ID: Final = "packet_id"


class BleButtonSettings(KeySettings):
    """Which button it is."""

    buttons: Annotated[int, msgspec.Meta(ge=1, le=8, description="How many buttons it has.", examples=[4])] = 1
    heartbeat_s: Annotated[
        Annotated[float, msgspec.Meta(gt=0, le=604_800)] | None,
        msgspec.Meta(
            description="How often it speaks without being pressed; silent three times as long is bad. Left out: only "
            "presses are heard of, and nobody notices that it is gone.",
            examples=[21_600],
        ),
    ] = None


class BleButtonDriver(AdvertDriver):
    """Tells each press once, with a name (`call-id`) that is the same at every gateway that heard it."""

    api = 1
    info = DriverInfo(
        "ble-button",
        title="Call button, encrypted BTHome v2 (Bluetooth)",
        title_ko="호출 버튼, 암호화 BTHome v2 (블루투스)",
        bus="ble",
        datasheet="https://shelly-api-docs.shelly.cloud/docs-ble/Devices/button",
        channels=(Channel("call", is_event=True), CALL_ID, REFUSED, BATTERY),
        note="Switch encryption on in its maker's app first: the key is what nobody can imitate.",
        examples=(
            {"address": "38:39:8F:A1:0B:5E", "key": "231d39c1d7cc1ab1aee224cd096db932"},
            {"address": "38:39:8F:A1:0B:5F", "key": "7b1f6c0d3a5e48929d04c6f1b7e2a835"},
        ),
    )
    Settings = BleButtonSettings

    def __init__(self, settings: Any, *, timezone: str = "UTC") -> None:
        """See `Driver`."""
        super().__init__(settings, timezone=timezone)
        self._keyed = KeyedDevice(settings.address, needed_key_of(settings))
        self._presses = Presses()
        self._refused_s: dict[str, float] = {}
        calls = ["call", *(f"call-{number}" for number in range(2, settings.buttons + 1))]
        self._calls = {_button(number): call for number, call in enumerate(calls, 1)}

    @property
    def channels(self) -> tuple[Channel, ...]:
        """See `Driver.channels`."""
        return (*(Channel(call, is_event=True) for call in self._calls.values()), CALL_ID, REFUSED, BATTERY)

    async def taken(self, advert: Advert) -> Sequence[Reading]:
        """See `AdvertDriver.taken`."""
        data = advert.service_data.get(bthome.UUID)
        if data is None:
            return ()
        assert self.bus is not None
        frame = await self._keyed.accepted(data, self.bus.counters, advert.heard_s)
        return () if frame is None else self._told(frame, advert.heard_s)

    def _told(self, frame: bthome.Frame, at_s: float) -> Sequence[Reading]:
        values = frame.by_name()
        events = [(self._calls[name], value) for name, value in events_of(values) if name in self._calls]
        readings = []
        if events and self._presses.is_new(_whole(values.get(_PACKET_ID)), events, at_s):
            assert frame.counter is not None
            readings = [Reading(call, value) for call, value in events]
            readings.append(Reading(CALL_ID.quantity, self._keyed.event_id(frame.counter)))
        if BATTERY.quantity in values:
            readings.append(read(BATTERY, values[BATTERY.quantity]))
        return readings

    def disbelieved(self, error: DriverError, advert: Advert) -> Sequence[Reading]:
        """See `AdvertDriver.disbelieved`: told, so that somebody who tries is noticed."""
        why, at_s = error.reason, advert.heard_s
        if at_s - self._refused_s.get(why, -SAY_REFUSED_S) < SAY_REFUSED_S:
            return ()
        self._refused_s[why] = at_s
        return (Reading(REFUSED.quantity, why),)


def _button(number: int) -> str:
    """BTHome's name of a device's nth button."""
    return "button" if number == 1 else f"button_{number}"


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None


class BleButtonTwin(BTHomeSender):
    """A button: each press is a burst of the same frame, and now and then it tells its battery without a press."""

    api: ClassVar[int] = 1
    BURST: Final = 6
    _HEARTBEAT_S: Final = 60.0

    def __init__(self, settings: BleButtonSettings, world: World) -> None:
        super().__init__(settings.address, needed_key_of(settings), world)
        self._buttons = settings.buttons
        self._heartbeat_s = settings.heartbeat_s or self._HEARTBEAT_S
        self._was_down = False
        self._sent_s = -1e9

    @property
    def interval_s(self) -> float:
        """See `BleTwin.interval_s`."""
        return 0.05

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """Somebody calls about once a minute."""
        return {
            "call": {"kind": "door", "openings_per_h": 60.0, "open_s": 0.5},
            "battery": {"kind": "constant", "value": 90},
        }

    def broadcast(self) -> Broadcast | None:
        """See `BleTwin.broadcast`. It is the first button that is pressed, shortly."""
        is_down, now_s = self.world.feel("call") >= 0.5, self.world.now_s()
        pressed, self._was_down = is_down and not self._was_down, is_down
        if not pressed and now_s - self._sent_s < self._heartbeat_s:
            return None
        self._sent_s = now_s
        others = b"\x3a\x00" * (self._buttons - 1)
        keys = b"\x3a" + (b"\x01" if pressed else b"\x00") + others
        given = (("call", "press"),) if pressed else ()
        return self.frame({"battery": self.world.feel("battery")}, keys, given)._replace(
            times=self.BURST, name="SBBT-002C"
        )
