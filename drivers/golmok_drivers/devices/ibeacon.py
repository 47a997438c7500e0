"""iBeacon: whether a tag is near, how strongly it is heard, and in which room; never a proof of a table.

Apple, "Proximity Beacon Specification" (2015). A tag changes its address as it likes; it is known by its number.
Anybody may send any number, and strength moves by 10 dB when somebody walks by: good for "is the tool bag in the
workshop", for nothing that money hangs on. Which room: with a receiver in each (`bus = "ble://hci0,hci1"`) and `rooms`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final
from uuid import UUID

import msgspec

from golmok_drivers.adverts import ibeacon
from golmok_drivers.adverts.driver import AdvertDriver
from golmok_drivers.api import Advert, Broadcast, Channel, DriverInfo, Identity, Reading, Settings, World
from golmok_drivers.zones import Zone

PRESENT: Final = Channel("present")
RSSI: Final = Channel("rssi", "dBm", -127, 20, 1)
ZONE: Final = Channel("zone")
NOWHERE: Final = ""
_UUID_PATTERN: Final = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_LOOK_S: Final = 1.0


class IbeaconSettings(Settings):
    """Which tag it is, and when it counts as away."""

    uuid: Annotated[
        str,
        msgspec.Meta(
            pattern=_UUID_PATTERN,
            description="The number that the tags of one owner share.",
            examples=["f7826da6-4fa2-4e98-8024-bc5b71e0893e"],
        ),
    ]
    major: (
        Annotated[int, msgspec.Meta(ge=0, le=65_535, description="The tag's first number; any if left out.")] | None
    ) = None
    minor: (
        Annotated[int, msgspec.Meta(ge=0, le=65_535, description="The tag's second number; any if left out.")] | None
    ) = None
    away_s: Annotated[
        float, msgspec.Meta(ge=1, le=86_400, description="Unheard for so long it is away.", examples=[30])
    ] = 30.0
    every_s: Annotated[
        float, msgspec.Meta(ge=0.5, le=86_400, description="Its strength is told so often.", examples=[10])
    ] = 10.0
    rooms: Annotated[
        dict[str, str],
        msgspec.Meta(
            description="Receiver -> the room it hangs in; makes the channel `zone`.",
            examples=[{"hci0": "workshop", "hci1": "store"}],
        ),
    ] = msgspec.field(default_factory=dict)


class IbeaconDriver(AdvertDriver):
    """Says when the tag comes and goes, its smoothed strength, and the room when that changes."""

    api = 1
    info = DriverInfo(
        "ibeacon",
        title="iBeacon tag: near or away, which room (Bluetooth)",
        title_ko="iBeacon 태그: 있음/없음, 어느 방 (블루투스)",
        bus="ble",
        datasheet="https://developer.apple.com/ibeacon/",
        channels=(PRESENT, RSSI),
        note="Put a receiver into each room to be told the room. It never says which table.",
        examples=(
            {"uuid": "f7826da6-4fa2-4e98-8024-bc5b71e0893e", "minor": 1},
            {"uuid": "f7826da6-4fa2-4e98-8024-bc5b71e0893e", "minor": 2},
        ),
    )
    Settings = IbeaconSettings
    ticks_s = _LOOK_S

    def __init__(self, settings: Any, *, timezone: str = "UTC") -> None:
        """See `Driver`."""
        super().__init__(settings, timezone=timezone)
        self._head = _head(settings)
        self._heard_s: float | None = None
        self._told_s = -1e9
        self._present: bool | None = None
        self._zone = Zone()
        self._room: str | None = None
        self._opened_s: float | None = None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """See `Driver.channels`."""
        return (PRESENT, RSSI, ZONE) if self.settings.rooms else (PRESENT, RSSI)

    @property
    def hears(self) -> Mapping[str, Any]:
        """See `AdvertDriver.hears`."""
        return {"company": ibeacon.COMPANY}

    def settings_text(self) -> str:
        """See `AdvertDriver.settings_text`."""
        numbers = [str(n) for n in (self.settings.major, self.settings.minor) if n is not None]
        return "/".join(["the tag", self.settings.uuid, *numbers])

    def is_of_it(self, advert: Advert) -> bool:
        """See `AdvertDriver.is_of_it`."""
        data = advert.manufacturer_data.get(ibeacon.COMPANY, b"")
        if not data.startswith(self._head):
            return False
        return self.settings.minor is None or data[20:22] == self.settings.minor.to_bytes(2, "big")

    async def probe(self) -> Identity:
        """See `Driver.probe`."""
        return (await super().probe())._replace(serial=self.settings.uuid)

    async def taken(self, advert: Advert) -> Sequence[Reading]:
        """See `AdvertDriver.taken`."""
        if not self.is_of_it(advert):
            return ()
        at_s = self._heard_s = advert.heard_s
        self._zone.hear(advert.receiver, advert.rssi, at_s)
        readings = self._moved(at_s)
        if at_s - self._told_s >= self.settings.every_s:
            self._told_s = at_s
            readings.append(Reading(RSSI.quantity, round(self._zone.rssi)))
        return readings

    def tick(self, now_s: float) -> Sequence[Reading]:
        """See `AdvertDriver.tick`."""
        self._opened_s = now_s if self._opened_s is None else self._opened_s
        self._zone.tick(now_s)
        return self._moved(now_s)

    def _moved(self, now_s: float) -> list[Reading]:
        since_s = self._heard_s if self._heard_s is not None else self._opened_s
        is_away = since_s is not None and now_s - since_s >= self.settings.away_s
        present = False if is_away else True if self._heard_s is not None else self._present
        readings = []
        if present is not None and present != self._present:
            self._present = present
            readings.append(Reading(PRESENT.quantity, present))
            if not present:
                self._told_s = -1e9
        room = NOWHERE if self._zone.now is None else self.settings.rooms.get(self._zone.now, NOWHERE)
        if self.settings.rooms and present is not None and room != self._room:
            self._room = room
            readings.append(Reading(ZONE.quantity, room))
        return readings


def _head(settings: IbeaconSettings) -> bytes:
    """How the tag's data begin; the minor number stands behind a major one that may be any."""
    head = b"\x02\x15" + UUID(settings.uuid).bytes
    return head if settings.major is None else head + settings.major.to_bytes(2, "big")


class IbeaconTwin:
    """A tag that is carried about: near it is heard every 0.3 s, away not at all; -60 dBm beside a receiver."""

    api: ClassVar[int] = 1

    def __init__(self, settings: IbeaconSettings, world: World) -> None:
        self._settings, self._world = settings, world
        self._was_near: bool | None = None
        self.interval_s = 0.3
        self.address = "C0:" + ":".join(f"{int(world.random() * 256):02X}" for _ in range(5))

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """Near, and in the first room."""
        return {"present": {"kind": "constant", "value": 1}, "zone": {"kind": "constant", "value": 0}}

    def broadcast(self) -> Broadcast | None:
        """See `BleTwin.broadcast`. In `zone` it feels the number of the receiver that it is beside (0 is the first)."""
        if self._world.feel("present") < 0.5:
            self._was_near = False
            return None
        near = int(self._world.feel("zone"))
        at = {
            receiver: round((-60 if place == near else -78) + 10 * (self._world.random() - 0.5))
            for place, receiver in enumerate(self._settings.rooms or ("hci0",))
        }
        given: tuple[tuple[str, Any], ...] = () if self._was_near else ((PRESENT.quantity, True),)
        self._was_near = True
        numbers = ((self._settings.major or 0) << 16 | (self._settings.minor or 0)).to_bytes(4, "big")
        data = bytes.fromhex("0215" + self._settings.uuid.replace("-", "")) + numbers + b"\xc5"
        return Broadcast(manufacturer_data={0x004C: data}, rssi=-90, at=at, given=given)
