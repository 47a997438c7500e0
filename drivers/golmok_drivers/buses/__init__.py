"""Bus URLs, and the buses they open.

`i2c://1`, `w1://0` and `gpio://` are the machine's own; with `sim+` before them and a scenario file after
them (`sim+i2c://scenario.toml`) twins are at the other end, and whoever opened the bus cannot tell. MQTT is
no bus in this sense: see `golmok_drivers.buses.mqtt`.
"""

from __future__ import annotations

from golmok_drivers.buses.opening import open_bus
from golmok_drivers.buses.url import BusUrl, parse_bus_url

__all__ = ["BusUrl", "open_bus", "parse_bus_url"]
