"""The services of a peripheral as bluetoothd shows them once somebody is connected: objects below the device's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dbus_fast import Variant

from golmok_drivers.radio import Peripheral

SERVICE: Final = "org.bluez.GattService1"
CHARACTERISTIC: Final = "org.bluez.GattCharacteristic1"
MTU: Final = 247
_FIRST_HANDLE: Final = 0x0A
_HANDLES: Final = 3
"""A characteristic takes three: its declaration, its value, and the switch for its notifications."""

Properties = dict[str, Variant]


class Table:
    """Where the services and characteristics of one connected device stand, and who is told their values."""

    def __init__(self, device: str, peripheral: Peripheral) -> None:
        """`device` is the path of the device."""
        self.peripheral = peripheral
        self.objects: dict[str, tuple[str, Properties]] = {}
        """Path -> interface and properties, services before what they hold."""
        self.characteristics: dict[str, str] = {}
        """Path -> UUID."""
        self.listeners: dict[str, set[str]] = {}
        """Path of a characteristic -> who wants its notifications."""
        for path, interface, properties in self._laid_out(device):
            self.objects[path] = interface, properties
            if interface == CHARACTERISTIC:
                self.characteristics[path] = properties["UUID"].value
                self.listeners[path] = set()

    def path_of(self, uuid: str) -> str | None:
        """Where the characteristic stands."""
        return next((path for path, one in self.characteristics.items() if one == uuid), None)

    def _laid_out(self, device: str) -> Iterator[tuple[str, str, Properties]]:
        handle = _FIRST_HANDLE
        for service, characteristics in self.peripheral.services.items():
            place = f"{device}/service{handle:04x}"
            yield (
                place,
                SERVICE,
                {"UUID": Variant("s", service), "Device": Variant("o", device), "Primary": Variant("b", True)},
            )
            handle += 1
            for uuid, flags in characteristics.items():
                yield (
                    f"{place}/char{handle:04x}",
                    CHARACTERISTIC,
                    {
                        "UUID": Variant("s", uuid),
                        "Service": Variant("o", place),
                        "Flags": Variant("as", list(flags)),
                        "Notifying": Variant("b", False),
                        "MTU": Variant("q", MTU),
                        "Value": Variant("ay", b""),
                    },
                )
                handle += _HANDLES
