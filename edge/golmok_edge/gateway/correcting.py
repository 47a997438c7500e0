"""Calibrations at work: each reading is corrected before it is stored, by what is in force at that moment.

The file is looked at every second, so that a technician sees what he did. Which curve is in force from when on is an
event, so that what the sensor had said can be had back from what was stored.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from golmok_cloud_sync.protocol import Record
from golmok_edge.gateway.timekeeper import Timekeeper
from golmok_edge.settings import Settings
from golmok_edge.settings.calibration import Book, Calibration, CalibrationError, book_file, read_book

_log = logging.getLogger(__name__)

IN_FORCE: Final = "calibration.in-force"
"""The event that tells which curve is in force from now on; its coefficients are 0, 1 where none is."""
EXPIRED: Final = "calibration"
"""The reason of a value whose calibration no longer holds."""
_MOST_DIGITS: Final = 9


class Corrector:
    """The calibrations of a running gateway. `applied` may be called in any thread."""

    def __init__(self, settings: Settings, time: Timekeeper, tell: Callable[[str, Mapping[str, Any]], None]) -> None:
        """`tell` puts an event."""
        self._file, self._time, self._tell = book_file(settings.file), time, tell
        self._zone = ZoneInfo(settings.site.timezone)
        self._digits = {
            f"{device.name}.{channel.quantity}": _digits(channel.resolution)
            for device in settings.devices
            for channel in device.channels
        }
        self._seen: tuple[int, int] | None = (0, 0)
        self._in_force: dict[str, Calibration] = {}
        self._expired: frozenset[str] = frozenset()

    def applied(self, records: Sequence[Record]) -> Sequence[Record]:
        """The same records, corrected where a calibration is in force."""
        in_force = self._in_force
        if not in_force:
            return records
        return [self._corrected(record, in_force.get(record.channel)) for record in records]

    def look(self) -> None:
        """See whether the file has changed, and what has expired."""
        if (seen := self._stamp()) != self._seen:
            self._seen = seen
            try:
                self._take(read_book(self._file))
            except (CalibrationError, OSError) as error:
                _log.error("%s: %s; what was in force stays so", self._file, error)
        today = self._today()
        if today is not None:
            self._expired = frozenset(name for name, one in self._in_force.items() if one.is_expired(today))

    def _take(self, book: Book) -> None:
        before, self._in_force = self._in_force, book.in_force()
        for channel in sorted({*before, *self._in_force}):
            now = self._in_force.get(channel)
            if now != before.get(channel):
                coefficients = now.coefficients if now else (0.0, 1.0)
                said = {"channel": channel, "id": now.id if now else "", "coefficients": coefficients}
                self._tell(IN_FORCE, said | {"version": book.version, "valid_until": _iso(now)})

    def _corrected(self, record: Record, curve: Calibration | None) -> Record:
        value = record.value
        if curve is None or isinstance(value, bool) or not isinstance(value, int | float):
            return record
        true = round(curve.apply(value), self._digits.get(record.channel, _MOST_DIGITS))
        if not math.isfinite(true):
            return record._replace(value=None, quality="bad", reason="range")
        if record.channel in self._expired and record.quality == "good":
            return record._replace(value=true, quality="uncertain", reason=EXPIRED)
        return record._replace(value=true)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def _today(self) -> date | None:
        """None while the time is not known: then nothing is said to be expired."""
        now_ms = self._time.now_ms()
        return None if now_ms is None else datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(self._zone).date()


def _digits(resolution: float | None) -> int:
    """So many digits after the point that a tenth of the sensor's step is kept, and no more bytes than that."""
    if not resolution:
        return _MOST_DIGITS
    return min(_MOST_DIGITS, max(0, math.ceil(-math.log10(resolution))) + 1)


def _iso(curve: Calibration | None) -> str | None:
    return curve.valid_until.isoformat() if curve and curve.valid_until else None
