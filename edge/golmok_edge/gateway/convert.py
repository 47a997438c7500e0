"""From what a driver read to what is stored: the one place where `Reading` becomes `Record`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from golmok_cloud_sync.protocol import Record, RecordError, check
from golmok_drivers.api import Channel, Reading
from golmok_edge.gateway.clock import Instant
from golmok_edge.settings import Device


def units_of(device: Device) -> Mapping[str, str]:
    """The unit of each of the device's quantities ("" where it has none)."""
    return {channel.quantity: _unit(channel) for channel in device.channels}


def records_of(
    device: Device, units: Mapping[str, str], readings: Sequence[Reading], at: Instant, waited_ms: int | None = 0
) -> list[Record]:
    """The records of `readings`, taken at `at`. A value that cannot be stored becomes a bad reading without one."""
    return [_record(device.name, units, reading, at, waited_ms) for reading in readings]


def _record(device: str, units: Mapping[str, str], reading: Reading, at: Instant, waited_ms: int | None) -> Record:
    quantity, value, quality, reason, wall_ms = reading
    channel, unit = f"{device}.{quantity}", units.get(quantity, "")
    record = Record(channel, value, unit, at.boot, at.mono_ms, quality, reason, wall_ms, waited_ms)
    try:
        return check(record)
    except RecordError:
        return check(record._replace(value=None, quality="bad", reason="range", wall_ms=None))


def _unit(channel: Channel) -> str:
    return "" if channel.unit == "1" else channel.unit
