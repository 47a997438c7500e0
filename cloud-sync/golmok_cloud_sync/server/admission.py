"""Who is let in, before his body is read: what the server holds in memory is bounded, in bytes.

A request counts from its first byte until its answer leaves. Ordinary ones share one budget, which shrinks to what
can be worked off in a few seconds, so that who is let in is answered soon; who finds no room is told when to come
again. Orders and alarms have a reserve of their own and are never turned away: where it is full they wait, with their
body left on the line. A body that only trickles in gives way as soon as its place is wanted.

No I/O here but the futures of those who wait; lives on the event loop.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Final

from golmok_cloud_sync.protocol import MAX_REQUEST
from golmok_cloud_sync.server.errors import ServerError

REQUEST_BYTES: Final = 16 << 10
"""What a request costs beside its body: its connection's buffers, its task, its answer."""
BODY_FACTOR: Final = 2
"""A body is held once as it came and once in pieces."""
LONGEST_WAIT_S: Final = 2.0
"""No more is let in than can be worked off in so long."""
LEAST_ROOM: Final = 16 << 20
"""As much is let in however slow the server was of late; it may have been idle."""
SLOW_AFTER_S: Final = 5.0
SLOW_BYTES_PER_S: Final = 32 << 10
"""A body that came slower than this after `SLOW_AFTER_S` gives way when its place is wanted."""
MOST_READING: Final = 4
"""Bodies of one sender that may be on their way at once; a further one takes the place of the oldest, which hangs."""
SPREAD: Final = (0.5, 1.5)
SOONEST_S: Final = 0.5
LATEST_S: Final = 120.0
_SAMPLE_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes that the server holds at most, for ordinary requests and for those of orders and alarms."""

    queue: int
    reserve: int

    @classmethod
    def of(cls, queue: int) -> Limits:
        """A quarter as much beside it for orders and alarms."""
        return cls(queue, max(queue // 4, cost_of(64 << 10)))

    @classmethod
    def of_memory(cls) -> Limits:
        """A sixteenth of what this machine, or this container, has; 32 to 256 MiB."""
        return cls.of(min(256 << 20, max(32 << 20, memory_bytes() // 16)))


class TurnedAwayError(ServerError):
    """Come again in `retry_after_s`. `reason`: full, gateway, slow."""

    def __init__(self, reason: str, detail: str, retry_after_s: float) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.retry_after_s = reason, detail, retry_after_s


@dataclass(slots=True, eq=False)
class Ticket:
    """One request that was let in."""

    cost: int
    urgent: bool
    sender: str | None
    came_s: float
    got: int = 0
    """Bytes of the body so far."""
    is_read: bool = False
    gave_way: bool = False
    deadline: asyncio.Timeout | None = None
    """Ends the reading of the body."""


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
    _held: int = 0
    _reserved: int = 0
    _waiting: int = 0
    _drain: Drain = field(default_factory=Drain)
    _crowd: Crowd = field(default_factory=Crowd)
    _reading: dict[Ticket, None] = field(default_factory=dict)
    """The oldest first."""
    _by_sender: dict[str, list[Ticket]] = field(default_factory=dict)
    _at_the_door: deque[asyncio.Future[None]] = field(default_factory=deque)

    @property
    def held_bytes(self) -> int:
        """What all requests cost that are in now."""
        return self._held + self._reserved

    async def enter(self, length: int | None, sender: str | None, *, urgent: bool) -> Ticket:
        """Let a request in whose body has `length` bytes (None: not told). Raises `TurnedAwayError`.

        `sender` is who its token belongs to, if it has one.
        """
        ticket = Ticket(cost_of(length), urgent, sender, self.now())
        self._supersede(ticket)
        if urgent:
            while not self._has_reserve(ticket.cost) and not self._make_way(ticket):
                await self._wait_at_the_door()
            self._reserved += ticket.cost
        else:
            self._let_in(ticket)
        self._reading[ticket] = None
        if sender is not None:
            self._by_sender.setdefault(sender, []).append(ticket)
        return ticket

    def was_read(self, ticket: Ticket, size: int) -> None:
        """The body is here, whole: `size` bytes."""
        self._no_longer_reading(ticket)
        ticket.is_read = True
        self._change(ticket, cost_of(size))
        if not self._waiting:
            self._drain.began(self.now())
        self._waiting += ticket.cost

    def demote(self, ticket: Ticket) -> None:
        """It is an ordinary request though it came as an urgent one. Raises `TurnedAwayError`."""
        if not self._has_room(ticket.cost):
            raise self._full(ticket.cost)
        self._reserved -= ticket.cost
        self._held += ticket.cost
        ticket.urgent = False
        self._open_the_door()

    def leave(self, ticket: Ticket, *, done: bool) -> None:
        """The request is answered, or its client is gone; `done`: its work was done."""
        self._no_longer_reading(ticket)
        if ticket.is_read:
            self._waiting -= ticket.cost
            if done:
                self._drain.did(self.now(), ticket.cost)
        self._change(ticket, 0)
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

    def is_overloaded(self, within_s: float) -> bool:
        """Whether somebody found no room lately."""
        return self.last_full_s is not None and self.now() - self.last_full_s <= within_s

    # --- room -------------------------------------------------------------------------------------------------------

    def _let_in(self, ticket: Ticket) -> None:
        if not self._has_room(ticket.cost) and not self._make_way(ticket):
            raise self._full(ticket.cost)
        self._held += ticket.cost

    def _has_room(self, cost: int) -> bool:
        """Whether so much may come in. Who comes alone always may: a limit too small for him would lock him out."""
        soon = max(LEAST_ROOM, self._drain.per_s * LONGEST_WAIT_S)
        return not self._held or self._held + cost <= min(self.limits.queue, soon)

    def _has_reserve(self, cost: int) -> bool:
        return not self._reserved or self._reserved + cost <= self.limits.reserve

    def _full(self, cost: int) -> TurnedAwayError:
        self.last_full_s = self.now()
        detail = "the server has as much to do as it can hold; nothing of this request was taken"
        return self.turn_away("full", detail, cost)

    def _make_way(self, ticket: Ticket) -> bool:
        """Send bodies away that only trickle in, if that makes room enough in the same budget."""
        now_s = self.now()
        has = self._has_reserve if ticket.urgent else self._has_room
        old = takewhile(lambda one: now_s - one.came_s > SLOW_AFTER_S, self._reading)
        for other in [one for one in old if one.urgent == ticket.urgent and _is_slow(one, now_s)]:
            self._give_way(other)
            if has(ticket.cost):
                return True
        return False

    def _supersede(self, ticket: Ticket) -> None:
        """A gateway that connects anew while its old request hangs must not be locked out by itself."""
        mine = self._by_sender.get(ticket.sender, ()) if ticket.sender is not None else ()
        if len(mine) >= MOST_READING:
            self._give_way(mine[0])

    def _give_way(self, ticket: Ticket) -> None:
        self._no_longer_reading(ticket)
        ticket.gave_way = True
        self._change(ticket, 0)
        if ticket.deadline is not None:
            ticket.deadline.reschedule(0)

    def _no_longer_reading(self, ticket: Ticket) -> None:
        if ticket not in self._reading:
            return
        del self._reading[ticket]
        if ticket.sender is not None:
            mine = self._by_sender[ticket.sender]
            mine.remove(ticket)
            if not mine:
                del self._by_sender[ticket.sender]

    def _change(self, ticket: Ticket, cost: int) -> None:
        if ticket.urgent:
            self._reserved += cost - ticket.cost
        else:
            self._held += cost - ticket.cost
        ticket.cost = cost

    # --- urgent ones, where the reserve is full -----------------------------------------------------------------------

    async def _wait_at_the_door(self) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._at_the_door.append(place)
        try:
            await asyncio.wait_for(place, SLOW_AFTER_S)  # then looks for slow ones again
        except TimeoutError:
            self._at_the_door.remove(place)

    def _open_the_door(self) -> None:
        """Wake the first who waits; he looks whether there is room for him."""
        while self._at_the_door:
            place = self._at_the_door.popleft()
            if not place.done():
                place.set_result(None)
                return


def cost_of(length: int | None) -> int:
    """What a request with a body of `length` bytes costs; one that is not told counts as the largest."""
    return REQUEST_BYTES + BODY_FACTOR * (MAX_REQUEST if length is None else length)


def _is_slow(ticket: Ticket, now_s: float) -> bool:
    return ticket.got < (now_s - ticket.came_s) * SLOW_BYTES_PER_S


def memory_bytes(groups: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """The memory of this machine, or of the container if that has less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(groups.read_text()))
    except (OSError, ValueError):  # no such file, or "max"
        return machine
