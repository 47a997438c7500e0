"""Whether a part that is away was changed for another: on a 1-wire bus each part has a number, and all can be listed.

Decides only. On other buses a part is known by where it is, and another one there is found by the driver.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from golmok_drivers.api import DriverError
from golmok_drivers.buses import parse_bus_url
from golmok_drivers.errors import Swapped, Unplugged
from golmok_edge.settings import Device

KIND = "w1"


def addresses(devices: Iterable[Device], bus: str) -> list[str]:
    """The numbers that the settings name on that 1-wire bus; none on another kind of bus."""
    plain = parse_bus_url(bus).plain
    if parse_bus_url(bus).kind != KIND:
        return []
    mine = [device for device in devices if device.bus and parse_bus_url(device.bus).plain == plain]
    return [str(getattr(device.options, "address", "")) for device in mine]


def explained(error: DriverError, known: Sequence[str], present: Sequence[str]) -> DriverError:
    """`error`, or `Swapped` where exactly one known part is away, and exactly one of its family (the number's first
    two digits) is there that nobody knows: with two of each, nobody can tell which stands for which."""
    away = [one for one in known if one not in present]
    others = [one for one in present if one not in known and away and one[:3] == away[0][:3]]
    if not isinstance(error, Unplugged) or len(away) != 1 or len(others) != 1:
        return error
    return Swapped(f"{away[0]} is not there, and {others[0]} is: if it shall stay, set address = {others[0]!r}")
