"""Finds the gaps: what was committed of each channel goes in, what is to be told comes out. Decides only.

What a channel's gap looks like is computed anew from the last reading, all that is known to have kept readings away,
and the present moment (`golmok_cloud_sync.protocol.gaps.cut`); only what differs from what was told already is told.
So it does not matter in which order things become known: that the broker had been gone may be noticed late, and
readings that waited there may fill a gap that was told as open.

Times are points on the line of the gateway's boots. What lies in two boots has a length only if both are dated; a gap
that is not surely longer than its limit is told with the limit, and is judged by whoever can date it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from golmok_cloud_sync.protocol.gaps import OFF, SILENT, Cause, Piece, Point, apart_ms, cut, least_ms, missing

MOST_CAUSES: Final = 256
"""Beyond so many the two oldest count as one: a device may be dead for a year of daily restarts."""
_MOST_TOLD: Final = 16
"""Pieces of one gap that are remembered one by one."""
_CLEARLY_SHORT: Final = 0.75
"""A gap over a restart that is dated as shorter than this share of the limit is not told: dates move only a little."""

Key = tuple[str, Point]
"""Reason and beginning: what an event that closes a gap has in common with the one that opened it."""


class Watched(NamedTuple):
    """A channel, and what is expected of it."""

    channel: str
    device: str
    limit_ms: int | None
    """None: any silence is normal."""
    interval_ms: int | None
    is_on_bus: bool


class Say(NamedTuple):
    """A piece of a channel's gap, to be told. `end` is None while it is open, `begin` where it is taken back."""

    channel: str
    reason: str
    begin: Point
    end: Point | None
    is_sure: bool = True
    detail: str = ""
    lacks: int | None = None
    """How many readings are missing; None where nobody can say."""
    is_lost: bool = False
    """What was said meanwhile is lost for sure: it is no piece of a gap, but one by itself."""


class Scope(NamedTuple):
    """Whom something keeps from being heard; all channels if neither is set."""

    is_bus: bool = False
    device: str | None = None

    def takes_in(self, watched: Watched) -> bool:
        """Whether it concerns this channel."""
        return (watched.is_on_bus or not self.is_bus) and self.device in (None, watched.device)


EVERYTHING: Final = Scope()
THE_BUS: Final = Scope(is_bus=True)


class _Known(NamedTuple):
    cause: Cause
    scope: Scope


@dataclass(slots=True)
class State:
    """What is known of one channel."""

    watched: Watched
    last: Point | None = None
    """Its last reading with a value; where it never gave one, since when it is expected to."""
    since: Point | None = None
    """From where on its gap is still being cut: mostly `last`, later in a gap of very many pieces."""
    detail: str = ""
    told: dict[Key, Point | None] = field(default_factory=dict)
    """What was told of the gap that is going on."""
    lost: dict[Key, Point] = field(default_factory=dict)
    """What was told since the last reading as lost for sure, however short: part of a gap once there is one."""
    own: list[Cause] = field(default_factory=list)
    """Why nothing is heard of this one in the gap that is going on, whatever is so of others."""

    @property
    def limit_ms(self) -> int:
        """Only of channels that have one."""
        assert self.watched.limit_ms is not None
        return self.watched.limit_ms

    def keeps_away(self, cause: Cause) -> None:
        """Of this channel nothing was heard for a while."""
        self.own.append(cause)
        if len(self.own) > MOST_CAUSES:
            first, second = self.own[:2]
            self.own[:2] = [first._replace(end=max(first.end, second.end))]


class Tracker:
    """All channels of a gateway. Not for two threads at once."""

    def __init__(
        self, watched: Iterable[Watched], apart: Callable[[Point, Point], int | None] = lambda begin, end: None
    ) -> None:
        """`apart` is how far apart two moments of different boots are, where both can be dated."""
        self.states = {one.channel: State(one) for one in watched}
        self._apart = apart
        self._causes: deque[_Known] = deque()
        self._going_on: dict[tuple[str, Scope], Point] = {}

    def __len__(self) -> int:
        return len(self._causes)

    # --- what becomes known

    def begin(self, now: Point) -> None:
        """From now on every channel is expected that was not before."""
        for state in self.states.values():
            if state.since is None:
                state.last = state.since = now

    def take_up_told(self) -> None:
        """Of channels of which nothing else is known go on with the gap that was told."""
        for state in self.states.values():
            still = [begin for (_, begin), end in state.told.items() if end is None]
            if state.since is None and still:
                state.since = min(still)

    def good(self, channel: str, at: Point) -> list[Say]:
        """A reading with a value was committed."""
        state = self.states.get(channel)
        if state is None or (state.last is not None and at <= state.last):
            return []
        says = [] if state.watched.limit_ms is None else self._close(state, at) if state.since else _stale(state, at)
        state.last = at
        if state.since is None or state.since < at:
            state.since = at
        state.detail = ""
        return says

    def bad(self, channel: str, reason: str) -> None:
        """A reading without a value was committed: why, if it goes on."""
        if state := self.states.get(channel):
            state.detail = reason

    def cause(self, reason: str, begin: Point, end: Point, scope: Scope = EVERYTHING) -> None:
        """Something kept readings away for a while."""
        if begin < end:
            self._causes.append(_Known(Cause(reason, begin, end), scope))
            if len(self._causes) > MOST_CAUSES:
                (first, scope), (second, _) = self._causes.popleft(), self._causes.popleft()
                both = Cause(first.reason, min(first.begin, second.begin), max(first.end, second.end))
                self._causes.appendleft(_Known(both, scope))

    def missed(self, reason: str, begin: Point, end: Point, scope: Scope = EVERYTHING) -> list[Say]:
        """What speaks only when something happens may have spoken meanwhile: channels without a limit have a gap."""
        says = []
        for state in self.states.values():
            if begin >= end or state.watched.limit_ms is not None or not scope.takes_in(state.watched):
                continue
            if state.told.pop((reason, begin), None) != end:  # else the process before us told it
                says.append(Say(state.watched.channel, reason, begin, end))
        return says

    def lost(self, reason: str, begin: Point, end: Point, channels: Mapping[str, int | None]) -> list[Say]:
        """What these said meanwhile is lost for sure: a gap, however short it was. How many, where that is known."""
        says = []
        for channel, count in channels.items():
            state = self.states.get(channel)
            if state is not None and begin < end:
                if state.watched.limit_ms is not None:
                    state.lost[reason, begin] = end
                    state.keeps_away(Cause(reason, begin, end, is_sure=True))
                says.append(Say(channel, reason, begin, end, lacks=count, is_lost=True))
        return says

    def counted_none(self, scope: Scope) -> dict[str, None]:
        """The channels that something concerns, for want of a count."""
        return {name: None for name, state in self.states.items() if scope.takes_in(state.watched)}

    def begins(self, reason: str, at: Point, scope: Scope = EVERYTHING) -> None:
        """Something keeps readings away from now on."""
        self._going_on.setdefault((reason, scope), at)

    def ends(self, reason: str, at: Point, scope: Scope = EVERYTHING) -> Point | None:
        """It does no more; since when it did."""
        begin = self._going_on.pop((reason, scope), None)
        if begin is not None:
            self.cause(reason, begin, at, scope)
        return begin

    def is_going_on(self, reason: str, scope: Scope = EVERYTHING) -> bool:
        """Whether it keeps readings away just now."""
        return (reason, scope) in self._going_on

    def causes(self) -> list[tuple[str, Point, Point | None, Scope]]:
        """All that is known to have kept readings away: reason, beginning, end (None: it still does), whom."""
        ended = [(cause.reason, cause.begin, cause.end, scope) for cause, scope in self._causes]
        return [*ended, *((reason, at, None, scope) for (reason, scope), at in self._going_on.items())]

    def tick(self, now: Point, *, holds_bus: bool = False) -> list[Say]:
        """Time has passed. With `holds_bus` what waits at the broker is just coming: it may fill what seems a gap."""
        says: list[Say] = []
        for state in self.states.values():
            if state.watched.limit_ms is not None and not (holds_bus and state.watched.is_on_bus):
                says += self._open(state, now)
        self._forget()
        return says

    # --- what is missing now

    def missing_now(self, now: Point) -> list[Say]:
        """Of each channel that is in a gap the piece that is going on."""
        found = []
        for state in self.states.values():
            if pieces := self._pieces(state, now):
                last = pieces[-1]
                found.append(Say(state.watched.channel, last.reason, last.begin, None, True, self._detail(state, last)))
        return found

    # --- inside

    def _pieces(self, state: State, end: Point) -> list[Piece]:
        """The gap up to `end`, if there is surely one."""
        if state.since is None or state.watched.limit_ms is None or state.since >= end:
            return []
        length_ms = apart_ms(state.since, end)
        if state.since == state.last and length_ms is not None and length_ms <= state.limit_ms:
            return []
        pieces = self._cut(state, state.since, end)
        return pieces if state.since != state.last or least_ms(pieces) > state.limit_ms else []

    def _cut(self, state: State, begin: Point, end: Point) -> list[Piece]:
        causes = [one.cause for one in self._causes if one.scope.takes_in(state.watched) and one.cause.end > begin]
        causes += [
            Cause(reason, at, end)
            for (reason, scope), at in self._going_on.items()
            if scope.takes_in(state.watched) and at < end
        ]
        causes += state.own
        return cut(begin, end, state.limit_ms, causes)

    def _open(self, state: State, now: Point) -> list[Say]:
        pieces = self._pieces(state, now)
        if not pieces:
            return []
        # That it was off can be told when it is clear how long nothing came afterwards: the start is in the log.
        *ended, last = pieces
        says = self._differences(state, ended, None if last.reason == OFF else last, now)
        if len(state.told) > _MOST_TOLD:
            state.since = last.begin
            state.told = {key: end for key, end in state.told.items() if end is None}
        return says

    def _close(self, state: State, at: Point) -> list[Say]:
        """The gap that this reading ends, if it does."""
        pieces = self._pieces(state, at)
        if pieces:
            says = self._differences(state, pieces, None, at)
        elif self._may_be(state, at):
            assert state.since is not None
            whole = Piece(OFF, state.since, at)
            says = self._differences(state, [whole], None, at, is_sure=False)
        else:
            says = self._differences(state, [], None, at)
        state.told = {key: end for key, end in state.told.items() if key[1] >= at}
        state.lost = {key: end for key, end in state.lost.items() if key[1] >= at}
        state.own = [one for one in state.own if one.end > at and (one.is_sure or one.begin >= at)]
        return says

    def _may_be(self, state: State, at: Point) -> bool:
        """Whether it may be a gap, though nobody counted how long it was."""
        if state.since is None or state.since >= at or apart_ms(state.since, at) is not None:
            return False
        dated_ms = self._apart(state.since, at)
        return dated_ms is None or dated_ms > state.limit_ms * _CLEARLY_SHORT

    def _differences(
        self, state: State, ended: Sequence[Piece], last: Piece | None, upto: Point, *, is_sure: bool = True
    ) -> list[Say]:
        """What must be told so that all that was told up to there is so."""
        channel = state.watched.channel
        is_so: dict[Key, Piece] = {(piece.reason, piece.begin): piece for piece in ended}
        going_on = None if last is None else (last.reason, last.begin)
        assert state.since is not None
        if is_sure and (ended or last):  # else there may be no gap that it is part of
            state.told |= {key: end for key, end in state.lost.items() if key[1] < upto}
            state.lost = {key: end for key, end in state.lost.items() if key[1] >= upto}
        wrong = [key for key in state.told if state.since <= key[1] < upto and key not in is_so and key != going_on]
        says = [Say(channel, reason, begin, begin) for reason, begin in wrong]
        for key in wrong:
            del state.told[key]
        for key, piece in is_so.items():
            if key not in state.told or state.told[key] != piece.end:
                state.told[key] = piece.end
                says.append(self._ended(state, piece, upto, is_sure=is_sure))
        if last is not None and going_on is not None and state.told.get(going_on, upto) is not None:
            state.told[going_on] = None
            says.append(Say(channel, last.reason, last.begin, None, True, self._detail(state, last)))
        return says

    def _ended(self, state: State, piece: Piece, upto: Point, *, is_sure: bool) -> Say:
        watched, count = state.watched, None
        if is_sure and watched.interval_ms is not None and state.last is not None:
            count = missing(state.last, piece.begin, piece.end, watched.interval_ms, is_heard=piece.end == upto)
        detail = self._detail(state, piece)
        return Say(watched.channel, piece.reason, piece.begin, piece.end, is_sure, detail, count)

    @staticmethod
    def _detail(state: State, piece: Piece) -> str:
        return state.detail if piece.reason == SILENT else ""

    def _forget(self) -> None:
        """Causes that lie before every gap that may still be going on."""
        earliest = min(
            (one.since for one in self.states.values() if one.since is not None and one.watched.limit_ms is not None),
            default=None,
        )
        while self._causes and (earliest is None or self._causes[0].cause.end <= earliest):
            self._causes.popleft()


def _stale(state: State, at: Point) -> list[Say]:
    """The first reading that is known: what was told as open before it has ended by then."""
    begins = [key for key, end in state.told.items() if end is None and key[1] < at]
    state.told = {key: end for key, end in state.told.items() if key[1] >= at}
    return [Say(state.watched.channel, reason, begin, at) for reason, begin in begins]
