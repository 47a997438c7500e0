"""What a driver gave, looked at before anybody believes it: a short list of readings of its own channels."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence, Set
from typing import Any, Final

from golmok_drivers.api import Reading
from golmok_drivers.errors import DriverFloods, DriverTalksNonsense

MOST_AT_ONCE: Final = 5_000
"""Readings in one answer; who has more floods."""
_QUALITIES: Final = frozenset({"good", "uncertain", "bad"})
_LONGEST_REASON: Final = 64


def sound(said: Any, quantities: Set[str]) -> list[Reading]:
    """The readings in `said`; raises `DriverTalksNonsense` or `DriverFloods`.

    A value that is none at all is nonsense; one that cannot be stored (NaN, too large) is the business of who stores.
    """
    if not isinstance(said, Sequence) or isinstance(said, str | bytes | bytearray):
        if isinstance(said, Coroutine):
            said.close()  # else Python complains of it, too
        raise DriverTalksNonsense(f"it gave {_shown(said)} instead of a list of readings")
    if len(said) > MOST_AT_ONCE:
        raise DriverFloods(f"it gave {len(said):,} readings at once, more than {MOST_AT_ONCE:,}")
    readings = [said[at] for at in range(len(said))]  # its iterator may never end
    for reading in readings:
        _judge(reading, quantities)
    return readings


def _judge(reading: Any, quantities: Set[str]) -> None:
    if not isinstance(reading, Reading):
        raise DriverTalksNonsense(f"it gave {_shown(reading)} where a reading belongs")
    if not isinstance(reading.quantity, str) or reading.quantity not in quantities:
        raise DriverTalksNonsense(f"it has no channel {_shown(reading.quantity)}")
    if not isinstance(reading.value, bool | int | float | str | None):
        raise DriverTalksNonsense(f"{reading.quantity}: {_shown(reading.value)} is no value")
    if not isinstance(reading.quality, str) or reading.quality not in _QUALITIES:
        raise DriverTalksNonsense(f"{reading.quantity}: {_shown(reading.quality)} is no quality")
    if not isinstance(reading.reason, str) or len(reading.reason) > _LONGEST_REASON:
        raise DriverTalksNonsense(f"{reading.quantity}: {_shown(reading.reason)} is no reason")
    wall_ms = reading.wall_ms
    if wall_ms is not None and (not isinstance(wall_ms, int) or isinstance(wall_ms, bool)):
        raise DriverTalksNonsense(f"{reading.quantity}: {_shown(wall_ms)} is no time")


def _shown(thing: Any) -> str:
    """The thing in few words; its own `repr` is the driver's, too, and not trusted."""
    if thing is None:
        return "None"
    if isinstance(thing, str | int | float) and type(thing) in (str, int, float, bool):
        text = repr(thing) if not isinstance(thing, int) or abs(thing) < 2**64 else "a number of many digits"
        return text[:60]
    return f"a {type(thing).__name__[:40]}"
