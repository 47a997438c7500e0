"""Who is let in, before his body is read: what the server holds in memory is bounded, in bytes.

A request counts from its first byte until its answer leaves. Ordinary ones share one budget, which shrinks to what
can be worked off in a few seconds, so that who is let in is answered soon; who finds no room is told when to come
again. Orders and alarms have a reserve of their own and are never turned away: where it is full they wait, with their
body left on the line. What a body takes is what has come of it (`room`), and as soon as its place is wanted it gives
way if it only trickles in, or is large and hangs.

No I/O here but the futures of those who wait; lives on the event loop.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, takewhile
from typing import Final

from golmok_cloud_sync.protocol import MAX_URGENT
from golmok_cloud_sync.server.errors import ServerError
from golmok_cloud_sync.server.room import Limits, Room, cost_of

LONGEST_WAIT_S: Final = 1.5
"""No more is let in than can be worked off in so long."""
LEAST_ROOM: Final = 16 << 20
"""As much is let in however slow the server was of late; it may have been idle."""
SLOW_AFTER_S: Final = 5.0
SLOW_BYTES_PER_S: Final = 32 << 10
"""A body that came slower than this after `SLOW_AFTER_S`, or says nothing for so long, gives way when its place is
wanted."""
QUIET_S: Final = 1.0
"""A large body that has more here than its fair share gives way after such a silence, or when it is not whole after
`SLOW_AFTER_S`, however fast it comes."""
_LARGE: Final = MAX_URGENT
"""What is smaller than an order may be is nothing to look at."""
MOST_READING: Final = 4
"""Bodies of one sender that may be on their way at once; a further one takes the place of the oldest, which hangs."""
SPREAD: Final = (0.5, 1.5)
SOONEST_S: Final = 0.5
LATEST_S: Final = 120.0
_SAMPLE_S: Final = 0.25


class TurnedAwayError(ServerError):
    """Come again in `retry_after_s`. `reason`: full, gateway, slow."""

    def __init__(self, reason: str, detail: str, retry_after_s: float) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.retry_after_s = reason, detail, retry_after_s


@dataclass(slots=True, eq=False)
class Ticket:
    """One request that was let in."""

    announced: int
    """What it costs when its body is here."""
    urgent: bool
    sender: str | None
    came_s: float
    got: int = 0
    """Bytes of the body so far."""
    got_s: float = field(init=False)
    """When the last of them came."""
    is_read: bool = False
    gave_way: bool = False
    deadline: asyncio.Timeout | None = None
    """Ends the reading of the body."""

    def __post_init__(self) -> None:
        self.got_s = self.came_s

    @property
    def cost(self) -> int:
        """What it costs now."""
        return 0 if self.gave_way else cost_of(self.got)


@dataclass(slots=True)
class Drain:
    """How many bytes a second are worked off while there is something to do."""

    per_s: float = 0.0
    _since_s: float = 0.0
    _bytes: int = 0
    _busy_s: float = 0.0

    def began(self, now_s: float) -> None:
        """There is something to do, and there was nothing before."""
        self._since_s = now_s

    def did(self, now_s: float, size: int) -> None:
        """So much is done."""
        self._busy_s += now_s - self._since_s
        self._since_s = now_s
        self._bytes += size
        if self._busy_s >= _SAMPLE_S:
            now_per_s = self._bytes / self._busy_s
            self.per_s = now_per_s if not self.per_s else 0.7 * self.per_s + 0.3 * now_per_s
            self._bytes, self._busy_s = 0, 0.0


@dataclass(slots=True)
class Crowd:
    """About how many bytes were turned away and have not come again."""

    stay_s: float = SOONEST_S
    """How long they were told to stay away."""
    _bytes: float = 0.0
    _at_s: float = 0.0

    def join(self, now_s: float, size: int) -> float:
        """How many there are, with so many more."""
        self._bytes = self._bytes * math.exp((self._at_s - now_s) / self.stay_s) + size
        self._at_s = now_s
        return self._bytes


@dataclass
class Admission:
    """The door."""

    limits: Limits
    now: Callable[[], float] = time.monotonic
    uniform: Callable[[float, float], float] = random.uniform
    turned_away: Counter[str] = field(default_factory=Counter)
    """By reason, since the start."""
    last_full_s: float | None = None
    """When the last one found no room."""
    _usual: Room = field(default_factory=Room)
    _urgent: Room = field(default_factory=Room)
    _waiting: int = 0
    _drain: Drain = field(default_factory=Drain)
    _crowd: Crowd = field(default_factory=Crowd)
    _reading: dict[Ticket, None] = field(default_factory=dict)
    """The oldest first."""
    _large: dict[Ticket, None] = field(default_factory=dict)
    """Those of them with a large body."""
    _by_sender: dict[str, list[Ticket]] = field(default_factory=dict)
    _at_the_door: deque[asyncio.Future[None]] = field(default_factory=deque)

    @property
    def held_bytes(self) -> int:
        """What all requests cost that are in now."""
        return self._usual.held + self._urgent.held

    async def enter(self, length: int | None, sender: str | None, *, urgent: bool) -> Ticket:
        """Let a request in whose body has `length` bytes (None: not told). Raises `TurnedAwayError`.

        `sender` is who its token belongs to, if it has one.
        """
        ticket = Ticket(cost_of(length), urgent, sender, self.now())
        self._supersede(ticket)
        while not self._has_place(ticket) and not self._make_way(ticket):
            if not urgent:
                raise self._full(ticket.announced)
            await self._wait_at_the_door()
        self._room_of(ticket).enter(ticket.cost, ticket.announced)
        self._reading[ticket] = None
        if ticket.announced > cost_of(_LARGE):
            self._large[ticket] = None
        if sender is not None:
            self._by_sender.setdefault(sender, []).append(ticket)
        return ticket

    def came(self, ticket: Ticket, size: int) -> None:
        """`size` bytes of the body are here so far. Where that is more than may be held, the largest gives way."""
        if ticket.gave_way:
            return
        self._grow(ticket, size)
        if self._is_too_much(ticket) and not ticket.urgent:
            self._give_way(ticket)

    def was_read(self, ticket: Ticket, size: int) -> None:
        """The body is here, whole: `size` bytes. Raises `TurnedAwayError` where that is more than may be held."""
        if ticket.gave_way:
            raise self.too_slow()
        self._no_longer_reading(ticket)
        self._grow(ticket, size)
        room = self._room_of(ticket)
        room.announced += ticket.cost - ticket.announced
        ticket.announced, ticket.is_read = ticket.cost, True
        if not self._waiting:
            self._drain.began(self.now())
        self._waiting += ticket.cost
        if self._is_too_much(ticket) and not ticket.urgent:
            raise self._full(ticket.cost)

    def demote(self, ticket: Ticket) -> None:
        """It is an ordinary request though it came as an urgent one. Raises `TurnedAwayError`."""
        if not self._usual.has_place(ticket.cost, self._limit(urgent=False)):
            raise self._full(ticket.cost)
        self._urgent.leave(ticket.cost, ticket.announced)
        self._usual.enter(ticket.cost, ticket.announced)
        ticket.urgent = False
        self._open_the_door()

    def leave(self, ticket: Ticket, *, done: bool) -> None:
        """The request is answered, or its client is gone; `done`: its work was done."""
        self._no_longer_reading(ticket)
        if ticket.is_read:
            self._waiting -= ticket.cost
            if done:
                self._drain.did(self.now(), ticket.cost)
        if not ticket.gave_way:
            self._room_of(ticket).leave(ticket.cost, ticket.announced)
        self._open_the_door()

    def turn_away(self, reason: str, detail: str, cost: int = 0) -> TurnedAwayError:
        """What to raise, with a moment to come again that is another one for everybody.

        It is when all will be worked off that waits, with those who were turned away before and will be here again.
        """
        self.turned_away[reason] += 1
        per_s = self._drain.per_s
        wait_s = (self._waiting + self._crowd.join(self.now(), cost)) / per_s if per_s else SOONEST_S
        wait_s = min(LATEST_S, max(SOONEST_S, wait_s))
        self._crowd.stay_s = wait_s
        return TurnedAwayError(reason, detail, min(LATEST_S, max(SOONEST_S, wait_s * self.uniform(*SPREAD))))

    def too_slow(self) -> TurnedAwayError:
        """What to raise for one that gave way."""
        return self.turn_away("slow", "the body came too slowly for a server this busy; send less at a time")

    def is_overloaded(self, within_s: float) -> bool:
        """Whether somebody found no room lately."""
        return self.last_full_s is not None and self.now() - self.last_full_s <= within_s

    # --- room -------------------------------------------------------------------------------------------------------

    def _room_of(self, ticket: Ticket) -> Room:
        return self._urgent if ticket.urgent else self._usual

    def _limit(self, *, urgent: bool) -> int:
        if urgent:
            return self.limits.reserve
        return min(self.limits.queue, int(max(LEAST_ROOM, self._drain.per_s * LONGEST_WAIT_S)))

    def _grow(self, ticket: Ticket, size: int) -> None:
        before = ticket.cost
        ticket.got, ticket.got_s = size, self.now()
        self._room_of(ticket).held += ticket.cost - before

    def _is_too_much(self, ticket: Ticket) -> bool:
        """Whether there is more here than may be, also when large bodies that are on their way have given way."""
        room = self._room_of(ticket)
        while room.count > 1 and room.held > (self.limits.reserve if ticket.urgent else self.limits.queue):
            large = [one for one in self._large if one.urgent == ticket.urgent]
            if not large:
                return True
            self._give_way(max(large, key=_size))
        return False

    def _has_place(self, ticket: Ticket) -> bool:
        return self._room_of(ticket).has_place(ticket.announced, self._limit(urgent=ticket.urgent))

    def _full(self, cost: int) -> TurnedAwayError:
        self.last_full_s = self.now()
        detail = "the server has as much to do as it can hold; nothing of this request was taken"
        return self.turn_away("full", detail, cost)

    def _make_way(self, ticket: Ticket) -> bool:
        """Send bodies away that hang or only trickle in, if that makes room enough in the same budget."""
        now_s = self.now()
        share = self._room_of(ticket).share(self._limit(urgent=ticket.urgent))
        hang = sorted((one for one in self._large if _hangs(one, now_s, share)), key=_size, reverse=True)
        old = takewhile(lambda one: now_s - one.came_s > SLOW_AFTER_S, self._reading)
        slow = [one for one in old if _is_slow(one, now_s)]
        for other in dict.fromkeys(one for one in chain(hang, slow) if one.urgent == ticket.urgent):
            self._give_way(other)
            if self._has_place(ticket):
                return True
        return False

    def _supersede(self, ticket: Ticket) -> None:
        """A gateway that connects anew while its old request hangs must not be locked out by itself."""
        mine = self._by_sender.get(ticket.sender, ()) if ticket.sender is not None else ()
        if len(mine) >= MOST_READING:
            self._give_way(mine[0])

    def _give_way(self, ticket: Ticket) -> None:
        self._no_longer_reading(ticket)
        self._room_of(ticket).leave(ticket.cost, ticket.announced)
        ticket.gave_way = True
        if ticket.deadline is not None:
            ticket.deadline.reschedule(0)

    def _no_longer_reading(self, ticket: Ticket) -> None:
        if ticket not in self._reading:
            return
        del self._reading[ticket]
        self._large.pop(ticket, None)
        if ticket.sender is not None:
            mine = self._by_sender[ticket.sender]
            mine.remove(ticket)
            if not mine:
                del self._by_sender[ticket.sender]

    # --- urgent ones, where the reserve is full -----------------------------------------------------------------------

    async def _wait_at_the_door(self) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._at_the_door.append(place)
        try:
            await asyncio.wait_for(place, QUIET_S)  # then looks for slow ones again
        except TimeoutError:
            self._at_the_door.remove(place)

    def _open_the_door(self) -> None:
        """Wake the first who waits; he looks whether there is room for him."""
        while self._at_the_door:
            place = self._at_the_door.popleft()
            if not place.done():
                place.set_result(None)
                return


def _size(ticket: Ticket) -> int:
    return ticket.got


def _hangs(ticket: Ticket, now_s: float, share: float) -> bool:
    """Whether a large body holds more than its share, and has not come within the time that is for that."""
    is_late = now_s - ticket.got_s > QUIET_S or now_s - ticket.came_s > SLOW_AFTER_S
    return is_late and ticket.cost > share


def _is_slow(ticket: Ticket, now_s: float) -> bool:
    is_quiet = now_s - ticket.got_s > SLOW_AFTER_S
    return is_quiet or ticket.got < (now_s - ticket.came_s) * SLOW_BYTES_PER_S
