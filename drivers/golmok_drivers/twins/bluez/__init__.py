"""A BlueZ that needs no radio: `FakeBlueZ` on a D-Bus daemon of its own, to which an unmodified bleak connects.

It does what bluetoothd 5.66 was measured to do where a gateway can be fooled by it: which adverts are passed on, which
data stay after a device has stopped sending them, what is merged, and what is forgotten.
"""

from __future__ import annotations

from golmok_drivers.twins.bluez.daemon import PrivateBus
from golmok_drivers.twins.bluez.objects import Heard
from golmok_drivers.twins.bluez.server import FakeBlueZ

__all__ = ["FakeBlueZ", "Heard", "PrivateBus"]
