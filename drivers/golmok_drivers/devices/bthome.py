"""Sensors that broadcast in BTHome v2, plain or encrypted: Shelly BLU, Xiaomi with ATC firmware, many of one's own.

Format: https://bthome.io/format. What it measures stands in `channels`. A plain frame proves nothing: anybody may
send it. One with a key is believed once, by its counter (`adverts.guard`); a device that has a key and sends plain
frames is not believed at all. What happens at a moment (a button) is told once for each packet id; of a device without
a key it is uncertain, and what is said before the first change is not told, since it may be old: BlueZ hands the last
frame on again after a restart. For buttons that somebody must rely on there is `ble-button`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from golmok_drivers.adverts import bthome
from golmok_drivers.adverts.driver import SensorDriver, read
from golmok_drivers.adverts.guard import Presses, Verdict
from golmok_drivers.adverts.keyed import KeyedDevice, is_event
from golmok_drivers.adverts.sender import BTHomeSender, Repeated
from golmok_drivers.api import Advert, Broadcast, Channel, DriverInfo, Reading, World
from golmok_drivers.ble_keys import KeySettings, key_of

_UNITS: Final = {row.name: row.unit for row in reversed(bthome.OBJECTS.values())}
_RANGES: Final[dict[str, tuple[float | None, float | None]]] = {
    "battery": (0, 100),
    "humidity": (0, 100),
    "moisture": (0, 100),
    "temperature": (-60, 300),
    "dew_point": (-100, 100),
    "pressure": (300, 1_100),
    "illuminance": (0, None),
    "co2": (0, 40_000),
    "voltage": (0, None),
}
_BATTERY: Final = Channel("battery", "%", 0, 100, 1)
_PACKET_ID: Final = "packet_id"


def channel_of(name: str) -> Channel:
    """The channel of a quantity by its name, `temperature_2` being the second one of its kind. Raises ValueError."""
    base, _, number = name.rpartition("_")
    kind = name if name in _UNITS else base if number.isdecimal() else ""
    if kind not in _UNITS:
        raise ValueError(f"BTHome knows no {name!r}; it knows {', '.join(sorted(_UNITS))}")
    low, high = _RANGES.get(kind, (None, None))
    return Channel(name, _UNITS[kind], low, high, is_event=is_event(name))


class BthomeSettings(KeySettings):
    """Which sensor it is, and what of it is wanted. With a key, plain frames are refused."""

    must_have_key: ClassVar[bool] = False

    channels: Annotated[
        list[str],
        msgspec.Meta(
            min_length=1,
            description="What of its quantities is kept, by BTHome's names; a second one is `temperature_2`.",
            examples=[["temperature", "humidity", "battery"]],
        ),
    ] = msgspec.field(default_factory=lambda: ["temperature", "humidity", "battery"])
    every_s: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            le=86_400,
            description="A reading so often, though it may speak more often; a change of state at once.",
            examples=[10],
        ),
    ] = 10.0
    heartbeat_s: Annotated[
        float,
        msgspec.Meta(
            gt=0, le=86_400, description="How often it speaks; silent three times as long is bad.", examples=[60]
        ),
    ] = 60.0

    def __post_init__(self) -> None:
        """Every channel must be known, once."""
        super().__post_init__()
        for name in self.channels:
            channel_of(name)
        if len(set(self.channels)) < len(self.channels):
            raise ValueError("a quantity stands twice in channels")


class BthomeDriver(SensorDriver):
    """Makes readings of what one device broadcasts."""

    api = 1
    info = DriverInfo(
        "bthome",
        title="BTHome v2 sensor (Bluetooth)",
        title_ko="BTHome v2 센서 (블루투스)",
        bus="ble",
        datasheet="https://bthome.io/format",
        channels=tuple(map(channel_of, ("temperature", "humidity", "battery"))),
        expect_s=300.0,
        examples=(
            {"address": "A4:C1:38:0B:5E:ED"},
            {"address": "A4:C1:38:0B:5E:EE", "key": "231d39c1d7cc1ab1aee224cd096db932"},
        ),
    )
    Settings = BthomeSettings

    def __init__(self, settings: Any, *, timezone: str = "UTC") -> None:
        """See `Driver`."""
        super().__init__(settings, timezone=timezone)
        self._channels = tuple(map(channel_of, settings.channels))
        self._presses = Presses()
        key = key_of(settings)
        self._keyed = KeyedDevice(settings.address, key) if key else None
        self._last = b""
        self._is_first = True

    @property
    def channels(self) -> tuple[Channel, ...]:
        """See `Driver.channels`."""
        return self._channels

    async def taken(self, advert: Advert) -> Sequence[Reading]:
        """See `AdvertDriver.taken`."""
        data = advert.service_data.get(bthome.UUID)
        if data is None:
            return ()
        if self._keyed is not None:
            return await self._believed(self._keyed, advert, data)
        return self._read(advert, data, bthome.decode(data))

    async def _believed(self, keyed: KeyedDevice, advert: Advert, data: bytes) -> Sequence[Reading]:
        assert self.bus is not None
        counters = self.bus.counters
        judged = keyed.judged(data, counters)
        if judged is None:
            return ()
        if judged[1] is not Verdict.FRESH:
            await keyed.accepted(data, counters, advert.heard_s)  # refused, unless an operator waits for it
            return ()
        readings = self._read(advert, data, judged[0])
        if readings:
            await keyed.note(judged[0], counters)
        return readings

    def _read(self, advert: Advert, data: bytes, frame: bthome.Frame) -> Sequence[Reading]:
        values = frame.by_name()
        packet_id = values.get(_PACKET_ID)
        readings = self._events(advert, data, values)
        states = tuple(value for name, value in values.items() if isinstance(value, bool | str) and not is_event(name))
        numbered = packet_id is not None or frame.counter is not None
        if self.thinned.is_due(advert, data, numbered=numbered, states=states):
            units = dict(zip(frame.names, frame.units, strict=True))
            readings += [
                _reading(channel, values[channel.quantity], units)
                for channel in self._channels
                if not channel.is_event and channel.quantity in values
            ]
        return readings

    def _events(self, advert: Advert, data: bytes, values: Mapping[str, Any]) -> list[Reading]:
        """What happened. Of a device without a key nobody knows how old the first frame is."""
        is_first, is_same = self._is_first, data == self._last
        self._is_first, self._last = False, data
        wanted = [channel for channel in self._channels if channel.is_event and channel.quantity in values]
        if not wanted or is_same:
            return []
        said = [(channel.quantity, values[channel.quantity]) for channel in wanted]
        is_new = self._presses.is_new(values.get(_PACKET_ID), said, advert.heard_s)
        if self._keyed is not None:
            return [Reading(name, value) for name, value in said] if is_new else []
        return (
            [Reading(name, value, "uncertain", "unsigned") for name, value in said] if is_new and not is_first else []
        )


def _reading(channel: Channel, value: Any, units: Mapping[str, str]) -> Reading:
    base, _, number = channel.quantity.rpartition("_")
    unit = units.get(channel.quantity) or units.get(base if number.isdecimal() else "")
    if unit != channel.unit:
        return Reading(channel.quantity, None, "bad", "unit")
    return read(channel, value)


class BthomeTwin(BTHomeSender):
    """A sensor: a new frame every `every_s`, sent again and again in between."""

    api: ClassVar[int] = 1
    _DEFAULTS: Final[dict[str, dict[str, Any]]] = {
        "temperature": {"kind": "daily", "mean": 22.0, "swing": 3.0, "noise": 0.03},
        "humidity": {"kind": "daily", "mean": 48.0, "swing": 8.0, "peak_h": 4.0, "noise": 0.15},
        "pressure": {"kind": "daily", "mean": 1013.0, "swing": 4.0},
        "co2": {"kind": "daily", "mean": 700.0, "swing": 250.0},
        "illuminance": {"kind": "daily", "mean": 300.0, "swing": 300.0},
        "door": {"kind": "door", "openings_per_h": 60.0, "open_s": 8.0},
        "motion": {"kind": "door", "openings_per_h": 60.0, "open_s": 8.0},
    }

    def __init__(self, settings: BthomeSettings, world: World) -> None:
        super().__init__(settings.address, key_of(settings), world)
        self._names = [name for name in settings.channels if not is_event(name)]
        self._repeated = Repeated(settings.every_s)

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """A room; a battery that is nearly full; 1 of whatever else."""
        other = {"battery": {"kind": "constant", "value": 96}}
        return {
            name: cls._DEFAULTS.get(name) or other.get(name) or {"kind": "constant", "value": 1}
            for name in settings.channels
            if not is_event(name)
        }

    def broadcast(self) -> Broadcast | None:
        """See `BleTwin.broadcast`."""
        states = {name: self.world.feel(name) >= 0.5 for name in self._names if self.is_state(name)}
        return self._repeated.at(self.world.now_s(), self._measured, is_news=self.has_changed(states))

    def _measured(self) -> Broadcast:
        return self.frame({name: self.world.feel(name) for name in self._names})
