"""Gaps: how long a channel said nothing, cut into pieces that each have a reason, and how that is told.

A hole is the time between two readings of a channel that are further apart than its limit. What is known to have kept
readings away (the gateway was off, the broker was gone, the disk was full) names its share of the hole; what is left
over is `silent` where it is longer than the limit itself, and else goes to its neighbour. So the pieces of a hole
touch each other, never overlap, and cover it exactly. (Where only dates will tell whether a hole is long enough, it is
told whole, with its limit; what is lost for sure in it is told beside it, since it is so in either case.)

A gap is told by an event `gap.<reason>` whose value is one JSON object. Its ends are moments of a boot, not times of
day: those are derived when it is read, as all times are. An event with the same reason, beginning and channels stands
in the place of the one before it: that is how an open gap is closed, and how one that was told too early is taken
back (it then ends where it begins).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Generic, NamedTuple, TypeVar

from .record import MAX_TIME_MS, Record

PREFIX: Final = "gap."
"""Channels of events that tell of a gap begin with this."""
SILENT: Final = "silent"
OFF: Final = "off"
BROKER: Final = "broker"
DISK_FULL: Final = "disk-full"
FLOOD: Final = "flood"
QUARANTINED: Final = "quarantined"

SHORTEST_CAUSE_MS: Final = 2_000
"""What lasted less than this is not why nothing was heard, but that the gateway was off, and what was lost for sure."""
MOST_CHANNELS: Final = 100
"""In one event: with names of 255 bytes these still fit in a record's text."""


# --- cutting a hole ---------------------------------------------------------------------------------------------


class Point(NamedTuple):
    """A moment on the one line of a gateway's boots: in the how manieth of them, and when in it."""

    run: int
    mono_ms: int


class Cause(NamedTuple):
    """Something that is known to have kept readings away for a while."""

    reason: str
    begin: Point
    end: Point
    is_sure: bool = False
    """What was said meanwhile is lost for sure: however short it was, and whatever else there was at the time."""


class Piece(NamedTuple):
    """A part of a hole, and why nothing was heard in it."""

    reason: str
    begin: Point
    end: Point


def apart_ms(begin: Point, end: Point) -> int | None:
    """How far apart two moments are; None if they are in different boots, between which nobody counted."""
    return end.mono_ms - begin.mono_ms if begin.run == end.run else None


def least_ms(pieces: Iterable[Piece]) -> int:
    """How long they are together at the least: what lies between two boots may have taken no time at all."""
    return sum(apart_ms(piece.begin, piece.end) or 0 for piece in pieces)


def cut(begin: Point, end: Point, limit_ms: int, causes: Iterable[Cause]) -> list[Piece]:
    """The pieces of the hole from `begin` to `end`: in order, touching, and together exactly the hole."""
    causes = sorted(causes, key=lambda cause: (cause.begin, cause.end))
    sure = _laid(begin, end, [cause for cause in causes if cause.is_sure or cause.reason == OFF])
    others = [cause for cause in causes if not cause.is_sure and cause.reason != OFF]
    pieces: list[Piece] = []
    at = begin
    for known in [*sure, Piece("", end, end)]:
        for one in [*_laid(at, known.begin, others, SHORTEST_CAUSE_MS), known]:
            pieces += [_rest(at, one.begin, limit_ms), one]
            at = one.end
    return _joined([piece for piece in pieces if piece.begin < piece.end])


def missing(origin: Point, begin: Point, end: Point, interval_ms: int, *, is_heard: bool) -> int | None:
    """How many readings should have come from `begin` on and before `end`, when the last one came at `origin`.

    `is_heard`: one came at `end`, which may have been a little early. None where nobody counted the time.
    """
    if not origin.run == begin.run == end.run:
        return None
    last_ms = end.mono_ms - origin.mono_ms - (interval_ms // 2 if is_heard else 0)
    upto, before = -(-last_ms // interval_ms), -(-(begin.mono_ms - origin.mono_ms) // interval_ms)
    return max(0, upto - max(1, before))


def _laid(begin: Point, end: Point, causes: Iterable[Cause], shortest_ms: int = 1) -> Iterator[Piece]:
    """What each has of the time from `begin` to `end`, one after the other; what two have is the first one's."""
    for cause in causes:
        known = Piece(cause.reason, max(cause.begin, begin), min(cause.end, end))
        length_ms = apart_ms(known.begin, known.end)
        if known.begin < known.end and (length_ms is None or length_ms >= shortest_ms):
            yield known
            begin = known.end


_SHORT: Final = ""
"""The reason of a rest that is too short to have one of its own."""


def _rest(begin: Point, end: Point, limit_ms: int) -> Piece:
    length_ms = apart_ms(begin, end)
    if length_ms is None:
        return Piece(OFF, begin, end)  # a boot ended in it
    return Piece(SILENT if length_ms > limit_ms else _SHORT, begin, end)


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Short rests go to the piece before them, the first to the one behind it; pieces of one reason become one."""
    joined: list[Piece] = []
    for piece in pieces:
        before = joined[-1] if joined else None
        if before is not None and piece.reason in (before.reason, _SHORT):
            joined[-1] = before._replace(end=piece.end)
        elif before is not None and before.reason == _SHORT:
            joined[-1] = Piece(piece.reason, before.begin, piece.end)
        else:
            joined.append(piece)
    return [piece._replace(reason=piece.reason or SILENT) for piece in joined]


# --- telling it -------------------------------------------------------------------------------------------------


class Moment(NamedTuple):
    """A moment of a boot, named so that everybody knows it."""

    boot: str
    mono_ms: int


class Gap(NamedTuple):
    """What one event says."""

    reason: str
    channels: Mapping[str, int | None]
    """How many readings of each are missing, None where nobody can say; none at all: the whole gateway."""
    begin: Moment | None
    end: Moment | None
    """None: it is still open."""
    limit_ms: int = 0
    """It is one only if it turns out to be longer than this, once both ends can be dated."""
    interval_ms: int | None = None
    """How often a reading should have come, where only a date can tell how many are missing."""
    detail: str = ""
    total: int | None = None
    """How many are missing of the whole gateway."""
    from_ms: int | None = None
    """Since 1970, where the event itself says so."""
    to_ms: int | None = None
    epoch: str | None = None
    """What it tells is that the end of this epoch was lost with a damaged store, "" if nobody knows which. It begins
    with the last reading of each channel that is left, which may be later than `begin`."""
    is_lost: bool = False
    """What was said meanwhile is lost for sure: it is a gap, however short it was."""

    @property
    def is_open(self) -> bool:
        """Whether nothing has ended it yet."""
        return self.end is None and self.to_ms is None

    @property
    def is_void(self) -> bool:
        """Whether it was taken back: it ends where it begins."""
        return self.begin is not None and self.begin == self.end


def events(gap: Gap, boot: str, mono_ms: int) -> Iterator[Record]:
    """The events that tell of `gap` at a moment: more than one only if it has very many channels."""
    if gap.begin is None:
        raise ValueError("a gap begins somewhere")
    fields: dict[str, Any] = {
        "channels": {},
        "from_boot": gap.begin.boot,
        "from_mono_ms": gap.begin.mono_ms,
        "to_boot": gap.end.boot if gap.end else None,
        "to_mono_ms": gap.end.mono_ms if gap.end else None,
        "limit_ms": gap.limit_ms,
        "interval_ms": gap.interval_ms,
        "detail": gap.detail,
        "lost": gap.is_lost or None,
    }
    fields = {name: value for name, value in fields.items() if value is not None or name == "to_mono_ms"}
    channels = iter(gap.channels.items())
    while some := dict(islice(channels, MOST_CHANNELS)):
        value = json.dumps(fields | {"channels": some}, ensure_ascii=False, allow_nan=False)
        yield Record(f"{PREFIX}{gap.reason}", value, "", boot, mono_ms)


def parse(event: Record) -> Gap:
    """What an event `gap.*` says. What cannot be understood is left out: that there was a gap is known all the same."""
    said = _object(event.value)
    channels = {
        name: _whole(count) for name, count in _dict(said.get("channels")).items() if isinstance(name, str) and name
    }
    count, channel = _whole(said.get("count")), said.get("channel")
    if isinstance(channel, str) and channel and not channels:
        channels = {channel: count}
    # Gaps of the first kind named one moment, or none: then it is the event's own.
    own = Moment(event.boot, event.mono_ms)
    begin = _moment(said, "from", event.boot) or (None if "from_mono_ms" in said or "from_ms" in said else own)
    is_open = "to_mono_ms" in said and said["to_mono_ms"] is None
    end = None if is_open else _moment(said, "to", event.boot) or (None if "to_ms" in said else own)
    return Gap(
        event.channel.removeprefix(PREFIX),
        channels,
        begin,
        end,
        _whole(said.get("limit_ms")) or 0,
        _whole(said.get("interval_ms")) or None,
        said["detail"][:200] if isinstance(said.get("detail"), str) else "",
        count,
        _whole(said.get("from_ms"), least=-MAX_TIME_MS),
        _whole(said.get("to_ms"), least=-MAX_TIME_MS),
        said["end_of"] if isinstance(said.get("end_of"), str) else None,
        said.get("lost") is True,
    )


def _object(value: object) -> dict[str, Any]:
    try:
        return _dict(json.loads(value)) if isinstance(value, str) else {}
    except (ValueError, RecursionError):
        return {}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: object, least: int = 0) -> int | None:
    return value if type(value) is int and least <= value <= MAX_TIME_MS else None


def _moment(said: Mapping[str, Any], end: str, boot: str) -> Moment | None:
    mono_ms = _whole(said.get(f"{end}_mono_ms"), least=-MAX_TIME_MS)
    named = said.get(f"{end}_boot")
    return None if mono_ms is None else Moment(named if isinstance(named, str) else boot, mono_ms)


START: Final = "gateway.start"
"""The event of a gateway's start says when the last sign of life before it was, if it knows of any."""


def start_fields(alive: Moment | None) -> dict[str, Any]:
    """What the event of a start says of the last sign of life before it."""
    return {} if alive is None else {"alive_boot": alive.boot, "alive_mono_ms": alive.mono_ms}


def alive_before(start: Record) -> Moment | None:
    """The last sign of life before a start; None if that gateway knew of none."""
    said = _object(start.value)
    return _moment(said, "alive", start.boot) if isinstance(said.get("alive_boot"), str) else None


# --- what of all that was told still stands ---------------------------------------------------------------------

Place = TypeVar("Place", bound=tuple[Any, ...])


class Folded(Generic[Place]):
    """The gaps of one store: of those that tell of the same, the one with the greatest place stands.

    In whatever order they are added: records of an earlier life of the store may come late.
    """

    def __init__(self) -> None:
        self._gaps: dict[Place, Gap] = {}
        self._places: dict[tuple[str, Moment, str], Place] = {}

    def __len__(self) -> int:
        return len(self._gaps)

    def add(self, place: Place, gap: Gap) -> None:
        """Take in what was told at `place`, which no other has."""
        if gap.begin is None:
            self._gaps[place] = gap
            return
        newest = {
            name: count for name, count in gap.channels.items() if self._takes(place, (gap.reason, gap.begin, name))
        }
        if newest or (not gap.channels and self._takes(place, (gap.reason, gap.begin, ""))):
            self._gaps[place] = gap._replace(channels=newest)

    def _takes(self, place: Place, key: tuple[str, Moment, str]) -> bool:
        known = self._places.get(key)
        if known is not None and known >= place:
            return False
        self._places[key] = place
        if known is not None:
            rest = {name: count for name, count in self._gaps[known].channels.items() if name != key[2]}
            if rest:
                self._gaps[known] = self._gaps[known]._replace(channels=rest)
            else:
                del self._gaps[known]
        return True

    def standing(self) -> list[tuple[Place, Gap]]:
        """Those that stand, in the order of their places."""
        return [(place, gap) for place, gap in sorted(self._gaps.items()) if not gap.is_void]
