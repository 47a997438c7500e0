"""What is told of a damaged store whose end is gone: for each channel, from when to when readings may be lost.

Where it is known how many records are gone they are void, and counted. But what is gone may have stood between two
silences that were each too short to be told, and of each channel somebody must say when it was heard last.

It begins with the channel's last reading that could be read, by the time that its source states too, and ends when
the store was set aside. The cloud may have later ones of the same epoch: it is told which one, and looks there. Where
no reading is left, the first record of the store is the earliest that it can be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from golmok_cloud_sync.protocol.gaps import MOST_CHANNELS, PREFIX
from golmok_edge.store.aside import About, End


class _Since(NamedTuple):
    """Channels that share it share a gap."""

    boot: str | None
    mono_ms: int | None
    wall_ms: int | None
    device: str = ""
    """Where no reading is left: the cloud may find one of another device at another time."""


def told(about: About, expected: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The values of the events `gap.quarantined`; `expected` are the channels of the settings."""
    if about.end_known and not about.ends:
        return
    is_named = bool(about.epoch)
    detail = "the end of a damaged store could not be read" if is_named else "a damaged store cannot be named"
    more = {**_until(about), "end_of": about.epoch, "detail": detail}
    groups: dict[_Since, list[str]] = defaultdict(list)
    for name, since in _begins(about, expected):
        groups[since].append(name)
    for since, names in groups.items():
        begin: dict[str, Any] = {"from_mono_ms": since.mono_ms}
        begin |= {"from_boot": since.boot} if since.boot is not None else {}
        begin |= {"from_ms": since.wall_ms} if since.wall_ms is not None else {}
        for at in range(0, len(names), MOST_CHANNELS):
            yield {"channels": dict.fromkeys(names[at : at + MOST_CHANNELS]), **begin, **more}


def _until(about: About) -> dict[str, Any]:
    if about.boot:
        return {"to_boot": about.boot, "to_mono_ms": about.mono_ms}
    return {"to_ms": about.when_ms} if about.when_ms else {}  # else the event's own moment


def _begins(about: About, expected: Iterable[str]) -> Iterator[tuple[str, _Since]]:
    # What nobody can name does not come to the cloud: then what could be read of it is missing there, too.
    ends: Mapping[str, Mapping[str, End]] = about.ends if about.epoch else {}
    readings = ends.get("readings", {})
    boot, mono_ms = about.first or (None, None)
    for name in sorted({*expected, *readings}):
        if end := readings.get(name):
            yield name, _Since(end.boot, end.mono_ms, end.wall_ms)
        else:
            yield name, _Since(boot, mono_ms, None, name.partition(".")[0])
    events = {} if about.end_known else ends.get("events", {})
    last = max(events.values(), default=None)
    for name in sorted(events):
        if last and not name.startswith(PREFIX):
            yield name, _Since(last.boot, last.mono_ms, None)
