"""RuuviTag: temperature, humidity, pressure, motion and battery, by Bluetooth adverts of formats 5 and 3.

https://docs.ruuvi.com/communication/bluetooth-advertisements. It speaks every 1.3 s and is not encrypted: anybody may
send in its name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from golmok_drivers.adverts import ruuvi
from golmok_drivers.adverts.driver import SensorDriver, read
from golmok_drivers.adverts.sender import Repeated
from golmok_drivers.api import Advert, Broadcast, Channel, DriverInfo, Reading, World
from golmok_drivers.ble_keys import AddressSettings

CHANNELS: Final = (
    Channel("temperature", "Cel", -40, 85, 0.005, 0.2),
    Channel("humidity", "%", 0, 100, 0.0025, 2),
    Channel("pressure", "hPa", 500, 1155, 0.01, 1),
    Channel("acceleration", "[g]", 0, 28),
    Channel("movements"),
    Channel("voltage", "V", 1.6, 3.647, 0.001),
)
_LOW: Final = {"voltage": 2.4}
"""A CR2477 that has so little left drops out in the cold."""
_FORMAT_5: Final = 5
_ADVERTS_S: Final = 1.285


class RuuviSettings(AddressSettings):
    """Which tag it is."""

    every_s: Annotated[
        float, msgspec.Meta(ge=0, le=86_400, description="A reading so often, though it speaks oftener.", examples=[10])
    ] = 10.0
    heartbeat_s: Annotated[
        float, msgspec.Meta(gt=0, le=86_400, description="How often it is heard; silent three times as long is bad.")
    ] = 20.0


class RuuviDriver(SensorDriver):
    """Makes readings of what one tag broadcasts; what it could not measure is bad, with reason `sensor`."""

    api = 1
    info = DriverInfo(
        "ruuvi",
        title="RuuviTag (Bluetooth)",
        title_ko="RuuviTag 환경 센서 (블루투스)",
        bus="ble",
        datasheet="https://docs.ruuvi.com/communication/bluetooth-advertisements",
        channels=CHANNELS,
        expect_s=300.0,
        examples=({"address": "CB:B8:33:4C:88:4F"}, {"address": "CB:B8:33:4C:88:50"}),
    )
    Settings = RuuviSettings

    async def taken(self, advert: Advert) -> Sequence[Reading]:
        """See `AdvertDriver.taken`."""
        data = advert.manufacturer_data.get(ruuvi.COMPANY)
        if data is None:
            return ()
        values = ruuvi.decode(data)
        if not self.thinned.is_due(advert, data, numbered=data[0] == _FORMAT_5):
            return ()
        return [
            _reading(channel, values) for channel in CHANNELS if channel.quantity != "movements" or data[0] == _FORMAT_5
        ]


def _reading(channel: Channel, values: Mapping[str, Any]) -> Reading:
    name = channel.quantity
    value = values.get(name)
    if name == "acceleration":
        axes = [axis for letter in "xyz" if (axis := values.get(f"acceleration_{letter}")) is not None]
        value = round(math.hypot(*axes), 4) if len(axes) == len("xyz") else None
    if value is None:
        return Reading(name, None, "bad", "sensor")
    return read(channel, value, _LOW)


class RuuviTwin:
    """A tag in format 5: a new measurement every `every_s`, sent each 1.3 s."""

    api: ClassVar[int] = 1

    def __init__(self, settings: RuuviSettings, world: World) -> None:
        self.address = settings.address.upper()
        self.interval_s = _ADVERTS_S
        self._world = world
        self._repeated = Repeated(settings.every_s)
        self._sequence = int(world.random() * 65_000)

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """A tag at rest in a room."""
        return {
            "temperature": {"kind": "daily", "mean": 22.0, "swing": 3.0, "noise": 0.02},
            "humidity": {"kind": "daily", "mean": 48.0, "swing": 8.0, "peak_h": 4.0, "noise": 0.1},
            "pressure": {"kind": "daily", "mean": 1013.0, "swing": 4.0},
            "acceleration": {"kind": "constant", "value": 1.0, "noise": 0.004},
            "movements": {"kind": "constant", "value": 0},
            "voltage": {"kind": "constant", "value": 2.95},
        }

    def broadcast(self) -> Broadcast | None:
        """See `BleTwin.broadcast`."""
        return self._repeated.at(self._world.now_s(), self._measured)

    def _measured(self) -> Broadcast:
        feel = self._world.feel
        self._sequence = (self._sequence + 1) % 0xFFFF
        temperature, humidity = (
            _fit(feel("temperature") / 0.005, -32_767, 32_767),
            _fit(feel("humidity") / 0.0025, 0, 65_534),
        )
        pressure = _fit(feel("pressure") * 100 - 50_000, 0, 65_534)
        axis_z = _fit(feel("acceleration") * 1000, -32_767, 32_767)
        volts, moves = _fit(feel("voltage") * 1000 - 1_600, 0, 2_046), _fit(feel("movements"), 0, 254)
        words = [temperature, humidity, pressure, 0, 0, axis_z, volts << 5 | 22]
        data = bytes([5]) + b"".join((word & 0xFFFF).to_bytes(2, "big") for word in words)
        data += bytes([moves]) + self._sequence.to_bytes(2, "big") + bytes.fromhex(self.address.replace(":", ""))
        meant = (
            temperature / 200,
            humidity / 400,
            (pressure + 50_000) / 100,
            abs(axis_z) / 1000,
            moves,
            (volts + 1_600) / 1000,
        )
        strength = -62 + round(8 * self._world.random())
        given = tuple(zip((channel.quantity for channel in CHANNELS), meant, strict=True))
        return Broadcast(manufacturer_data={0x0499: data}, name="Ruuvi", rssi=strength, given=given)


def _fit(value: float, low: int, high: int) -> int:
    """The nearest whole number that the field can hold."""
    return round(min(max(value, low), high))
