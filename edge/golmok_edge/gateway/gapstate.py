"""What the gap ledger remembers over a restart: a small JSON file, and the line of boots on which its moments lie."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from golmok_cloud_sync.protocol.gaps import Moment, Point
from golmok_edge.gateway.gaps import Scope, State, Tracker
from golmok_edge.store.layout import sync_file, sync_folder

FILE_NAME: Final = "gaps.json"


class Runs:
    """The boots of a gateway in their order, the present one last."""

    def __init__(self, boots: Iterable[str], now: str) -> None:
        self.boots = [*(boot for boot in dict.fromkeys(boots) if boot != now), now]
        self._places = {boot: place for place, boot in enumerate(self.boots)}

    def point(self, moment: Moment | None) -> Point | None:
        """Where a moment lies; None if nobody knows when its boot was."""
        place = None if moment is None else self._places.get(moment.boot)
        return None if moment is None or place is None else Point(place, moment.mono_ms)

    def moment(self, point: Point) -> Moment:
        """What everybody knows it by."""
        return Moment(self.boots[point.run], point.mono_ms)

    def now(self, mono_ms: int) -> Point:
        """A moment of the present boot."""
        return Point(len(self.boots) - 1, mono_ms)


class KeptChannel(msgspec.Struct, omit_defaults=True):
    """A `State`; `told`, `lost`, `sure` and `over` are reason, beginning and end."""

    last: Moment | None = None
    since: Moment | None = None
    detail: str = ""
    told: list[tuple[str, Moment, Moment | None]] = []
    lost: list[tuple[str, Moment, Moment]] = []
    sure: list[tuple[str, Moment, Moment]] = []
    over: list[tuple[str, Moment, Moment]] = []
    """What an earlier process told of: so far it saw it."""


class KeptCause(msgspec.Struct, omit_defaults=True):
    """Something that kept readings away; without an end it still did."""

    reason: str
    begin: Moment
    end: Moment | None = None
    is_bus: bool = False
    device: str | None = None

    @property
    def scope(self) -> Scope:
        """Whom it concerned."""
        return Scope(self.is_bus, self.device)


class Kept(msgspec.Struct):
    """All that is remembered."""

    at: Moment
    """The newest moment of which something was on disk."""
    boots: list[str]
    """Those that are named here, in their order."""
    channels: dict[str, KeptChannel]
    causes: list[KeptCause]
    heard: Moment | None = None
    """When the local bus was heard last: what the broker still had then is younger."""


_DECODER: Final = msgspec.json.Decoder(Kept)


def in_order(remembered: Iterable[str], on_disk: Iterable[str]) -> list[str]:
    """The boots of two lines as one. A store that lacks boots is newer than they are: the one before was set aside."""
    line, rest = [], list(on_disk)
    for boot in remembered:
        upto = rest.index(boot) + 1 if boot in rest else 0
        line += rest[:upto] or [boot]
        del rest[:upto]
    return list(dict.fromkeys([*line, *rest]))


def keep(tracker: Tracker, at: Point, runs: Runs, heard: Point | None = None) -> Kept:
    """What to remember of `tracker`, and when the local bus was heard last."""
    named = {at.run}

    def moment(point: Point) -> Moment:
        named.add(point.run)
        return runs.moment(point)

    def maybe(point: Point | None) -> Moment | None:
        return None if point is None else moment(point)

    def channel(state: State) -> KeptChannel:
        told = [(reason, moment(begin), maybe(end)) for (reason, begin), end in state.told.items()]
        lost = [(reason, moment(begin), moment(end)) for (reason, begin), end in state.lost.items()]
        sure = [(one.reason, moment(one.begin), moment(one.end)) for one in state.own if one.is_sure]
        over = [(one.reason, moment(one.begin), moment(one.end)) for one in state.own if not one.is_sure]
        return KeptChannel(maybe(state.last), maybe(state.since), state.detail, told, lost, sure, over)

    causes = [
        KeptCause(reason, moment(begin), maybe(end), scope.is_bus, scope.device)
        for reason, begin, end, scope in tracker.causes()
    ]
    channels = {name: channel(state) for name, state in tracker.states.items()}
    was_heard = maybe(heard)
    return Kept(runs.moment(at), [runs.boots[run] for run in sorted(named)], channels, causes, was_heard)


def write(file: Path, kept: Kept) -> None:
    """Put it in the place of what stood there, whole or not at all. Raises OSError."""
    new = file.with_suffix(".new")
    try:
        new.write_bytes(msgspec.json.encode(kept))
        sync_file(new)
        new.rename(file)
        sync_folder(file.parent)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def read(file: Path) -> Kept | None:
    """What was written; None if there is nothing that could be understood."""
    try:
        return _DECODER.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
