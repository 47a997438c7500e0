"""What bluetoothd remembers of adapters and devices, and what it tells of them: no D-Bus here, no clock, no task.

Measured against bluetoothd 5.66 with Linux 6.1:

* DuplicateData false: the controller passes a device's adverts on only when they differ from its last one, and
  manufacturer data of several companies pile up; true: each advert is passed on, and they are replaced.
* Either way service data stay after the device has stopped sending them, so that whatever it sends later brings the
  old ones along.
* When nobody scans any more, RSSI is forgotten.
* A monitor that is begun while the radio is off hears nothing, nor do later ones.
* A device that was not heard for half a minute is forgotten, unless it is connected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from dbus_fast import Variant

ADAPTER: Final = "org.bluez.Adapter1"
DEVICE: Final = "org.bluez.Device1"
FORGOTTEN_AFTER_S: Final = 30.0
"""bluetoothd's TemporaryTimeout."""


class Heard(NamedTuple):
    """An advert as a controller hears it. UUIDs of 16 bits, company ids; RSSI in dBm."""

    address: str
    service_data: Mapping[int, bytes] = {}
    manufacturer_data: Mapping[int, bytes] = {}
    name: str = ""
    rssi: int = -60
    adapter: str = "hci0"
    is_random: bool = False

    def data(self) -> tuple[Any, ...]:
        """What a controller compares when it filters duplicates."""
        return tuple(self.service_data.items()), tuple(self.manufacturer_data.items()), self.name

    def elements(self) -> list[tuple[int, bytes]]:
        """Types and contents of the advert's parts, as a monitor's patterns see them."""
        parts = [(0x16, uuid.to_bytes(2, "little") + data) for uuid, data in self.service_data.items()]
        parts += [(0xFF, company.to_bytes(2, "little") + data) for company, data in self.manufacturer_data.items()]
        return parts + ([(0x09, self.name.encode())] if self.name else [])


class Pattern(NamedTuple):
    """What a passive scan looks for: `content` at `start` of a part of type `kind`."""

    start: int
    kind: int
    content: bytes

    def fits(self, heard: Heard) -> bool:
        """Whether the advert has it."""
        end = self.start + len(self.content)
        return any(kind == self.kind and part[self.start : end] == self.content for kind, part in heard.elements())


def long_uuid(short: int) -> str:
    """The 128 bits that stand for a UUID of 16."""
    return f"0000{short:04x}-0000-1000-8000-00805f9b34fb"


@dataclass
class Device:
    """A device that was heard by one adapter."""

    adapter: str
    address: str
    is_random: bool = False
    name: str = ""
    rssi: int | None = None
    service_data: dict[int, bytes] = field(default_factory=dict)
    manufacturer_data: dict[int, bytes] = field(default_factory=dict)
    is_connected: bool = False
    is_resolved: bool = False
    heard_s: float = 0.0
    is_told: bool = False
    """Whether it stands on the bus already."""
    changed: set[str] = field(default_factory=set)
    """Names of properties that changed since they were last told."""
    _last: tuple[Any, ...] | None = None

    @property
    def path(self) -> str:
        """Where it stands on the bus."""
        return f"/org/bluez/{self.adapter}/dev_{self.address.replace(':', '_')}"

    def hear(self, heard: Heard, now_s: float, *, duplicates: bool) -> bool:
        """Take an advert; whether it came through the controller's filter."""
        if not duplicates and heard.data() == self._last:
            return False
        self._last, self.heard_s, self.rssi = heard.data(), now_s, heard.rssi
        self.changed.add("RSSI")
        if heard.name and heard.name != self.name:
            self.name = heard.name
            self.changed |= {"Name", "Alias"}
        if heard.service_data:
            self.service_data |= heard.service_data
            self.changed.add("ServiceData")
        if heard.manufacturer_data:
            before = {} if duplicates else self.manufacturer_data
            self.manufacturer_data = {**before, **heard.manufacturer_data}
            self.changed.add("ManufacturerData")
        return True

    def properties(self) -> dict[str, Variant]:
        """All of them, made anew: what was handed on never changes afterwards."""
        known = {
            "Adapter": Variant("o", f"/org/bluez/{self.adapter}"),
            "Address": Variant("s", self.address),
            "AddressType": Variant("s", "random" if self.is_random else "public"),
            "Alias": Variant("s", self.name or self.address.replace(":", "-")),
            "Paired": Variant("b", False),
            "Bonded": Variant("b", False),
            "Trusted": Variant("b", False),
            "Blocked": Variant("b", False),
            "LegacyPairing": Variant("b", False),
            "Connected": Variant("b", self.is_connected),
            "ServicesResolved": Variant("b", self.is_resolved),
            "UUIDs": Variant("as", []),
        }
        if self.name:
            known["Name"] = Variant("s", self.name)
        if self.rssi is not None:
            known["RSSI"] = Variant("n", self.rssi)
        if self.service_data:
            data = {long_uuid(uuid): Variant("ay", bytes(data)) for uuid, data in self.service_data.items()}
            known["ServiceData"] = Variant("a{sv}", data)
        if self.manufacturer_data:
            made = {company: Variant("ay", bytes(data)) for company, data in self.manufacturer_data.items()}
            known["ManufacturerData"] = Variant("a{qv}", made)
        return known

    def take_changes(self) -> dict[str, Variant]:
        """What changed since it was last told."""
        known, changed = self.properties(), self.changed
        self.changed = set()
        return {name: known[name] for name in sorted(changed) if name in known}

    def is_forgotten(self, now_s: float) -> bool:
        """Whether it was not heard for so long that bluetoothd drops it."""
        return not self.is_connected and now_s - self.heard_s > FORGOTTEN_AFTER_S


@dataclass
class Adapter:
    """A controller: who scans with it, and how."""

    name: str
    address: str
    is_powered: bool = True
    is_jammed: bool = False
    """A monitor was begun while it was off: it hears nothing for that one, nor for later ones."""
    sessions: dict[str, bool] = field(default_factory=dict)
    """Who scans actively (his name on the bus) -> whether with duplicates."""
    filters: dict[str, bool] = field(default_factory=dict)
    monitors: dict[tuple[str, str], list[Pattern]] = field(default_factory=dict)
    """Who monitors, and the path of his monitor -> its patterns (none until he has told them)."""

    @property
    def path(self) -> str:
        """Where it stands on the bus."""
        return f"/org/bluez/{self.name}"

    @property
    def is_listening(self) -> bool:
        """Whether anybody wants to hear anything."""
        return bool(self.sessions or self.monitors)

    @property
    def duplicates(self) -> bool:
        """Whether every advert is passed on: one who asks for it is enough, and monitors always do."""
        return any(self.sessions.values()) or bool(self.monitors)

    def wants(self, heard: Heard) -> bool:
        """Whether somebody would hear this advert."""
        if self.sessions:
            return True
        return any(pattern.fits(heard) for patterns in self.monitors.values() for pattern in patterns)

    def leave(self, sender: str) -> None:
        """He is gone, or has stopped."""
        self.sessions.pop(sender, None)
        for key in [key for key in self.monitors if key[0] == sender]:
            del self.monitors[key]

    def properties(self) -> dict[str, Variant]:
        """All of them."""
        return {
            "Address": Variant("s", self.address),
            "AddressType": Variant("s", "public"),
            "Name": Variant("s", f"golmok {self.name}"),
            "Alias": Variant("s", f"golmok {self.name}"),
            "Powered": Variant("b", self.is_powered),
            "Discoverable": Variant("b", False),
            "Pairable": Variant("b", False),
            "Discovering": Variant("b", bool(self.sessions)),
            "UUIDs": Variant("as", []),
            "Roles": Variant("as", ["central", "peripheral"]),
        }
