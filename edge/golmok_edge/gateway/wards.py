"""The devices' drivers: ours in the gateway's own process, those of others each in one of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from golmok_drivers import catalogue
from golmok_drivers.api import Driver, DriverError, MessageDriver
from golmok_drivers.buses import parse_bus_url
from golmok_drivers.declare import declared
from golmok_edge.gateway.clock import Clock
from golmok_edge.gateway.decoding import Decoder
from golmok_edge.gateway.devices import Deadlines
from golmok_edge.settings import Device

_log = logging.getLogger(__name__)


class Wards:
    """Makes drivers, and ends the processes that it made."""

    def __init__(self, timezone: str, clock: Clock, deadlines: Deadlines = Deadlines()) -> None:  # noqa: B008  # a tuple
        self._timezone, self._clock, self._deadlines = timezone, clock, deadlines
        self._nursery: Any = None
        self._ends: list[Callable[[], None]] = []

    def driver_of(self, device: Device) -> Driver:
        """The driver of a device, not yet opened."""
        kind = catalogue.load(device.driver)
        if issubclass(kind, MessageDriver):
            if device.apart and not device.bus:
                return self._decoder(device, kind)
            driver = kind(device.options, timezone=self._timezone)
            return _with_a_trace(driver, device) if device.bus or device.record_to else driver
        return self.apart(device) if device.apart else kind(device.options, timezone=self._timezone)

    def apart(self, device: Device) -> Driver:
        """The driver of a device, in a process of its own."""
        from golmok_drivers.apart import apart  # half a megabyte that a gateway with our drivers only does not need

        kind = catalogue.load(device.driver)
        driver = apart(kind)(self._ward(device), kind.info, device.channels, self._the_nursery(), self._bounds(device))
        self._ends.append(driver.end)
        return driver

    def elsewhere(self, device: Device) -> Callable[[], Driver] | None:
        """What makes the driver in a process of its own; None if it is in one, or could do less there (Bluetooth)."""
        stays = catalogue.load(device.driver).info.bus in ("ble", "mqtt")
        return None if device.apart or stays else partial(self.apart, device)

    def end(self) -> None:
        """End all processes."""
        for end in self._ends:
            end()
        if self._nursery is not None:
            self._nursery.close()

    def _decoder(self, device: Device, kind: type[Driver]) -> Decoder:
        from golmok_drivers.apart import Cell

        topics: tuple[str, ...] = ()
        try:
            topics = declared(kind, device.options, self._timezone).topics
        except DriverError as error:
            _log.error("%s: its driver does not say yet what it wants to hear: %s", device.name, error)
        ward, nursery, bounds = self._ward(device), self._the_nursery(), self._bounds(device)
        decoder = Decoder(device, topics, lambda: Cell(ward, nursery, bounds), self._clock, self._deadlines)
        self._ends.append(decoder.end)
        return decoder

    def _ward(self, device: Device) -> Any:
        from golmok_drivers.apart import Ward, options_of

        kind = parse_bus_url(device.bus).kind if device.bus else ""
        return Ward(
            device=device.name,
            place=catalogue.where(device.driver),
            options=options_of(device.options),
            timezone=self._timezone,
            bus_kind=kind,
        )

    def _the_nursery(self) -> Any:
        from golmok_drivers.apart import Nursery

        self._nursery = self._nursery or Nursery()
        return self._nursery

    def _bounds(self, device: Device) -> Any:
        from golmok_drivers.apart import Bounds

        return Bounds(memory_bytes=device.most_mb * 2**20, silence_s=self._deadlines.answer_s)


def _with_a_trace(driver: MessageDriver, device: Device) -> Driver:
    from golmok_drivers.buses.mqtttrace import standing_for  # only where something is recorded or replayed

    return standing_for(driver, device.bus, device.record_to)
