"""Drivers of others in processes of their own, so that whatever they do they do to themselves.

`drivers` stands for one in the gateway, `cell` keeps its process, `nursery` makes it by a fork of `__main__`; at the
other end of the line `child` runs the driver, and `buses` hands its questions to the real bus.
"""

from __future__ import annotations

from golmok_drivers.apart.cell import Bounds, Cell, Use, Ward, options_of, use_of
from golmok_drivers.apart.drivers import ApartDriver, ApartEvents, ApartPolled, apart
from golmok_drivers.apart.nursery import Nursery

__all__ = [
    "ApartDriver",
    "ApartEvents",
    "ApartPolled",
    "Bounds",
    "Cell",
    "Nursery",
    "Use",
    "Ward",
    "apart",
    "options_of",
    "use_of",
]
