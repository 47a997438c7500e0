"""Whose turn it is among the requests that are in: one of a store at a time, orders and alarms first, then fair shares.

The event loop is one thread. If everything that arrived were worked on as it came, an order would wait behind all of
a storm; so requests stand in line here, cheaply, and only a few are begun in each round of the loop. Between two
rounds the loop looks who else has come.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from golmok_cloud_sync.server.fair import FairQueue

MOST_INSIDE: Final = 64
"""Requests that are decoded or on their way to the disk at once. More would make commits little cheaper, and who comes
first in line would wait behind them."""
MOST_INSIDE_BYTES: Final = 32 << 20
_ROUND: Final = 16
"""Requests begun in one round of the event loop."""
BEHIND_S: Final = 5.0
"""How long a second request of a store waits for the first."""


class BusyError(RuntimeError):
    """Another request of the same store is still under way, or a newer one waits for it already."""


class Whose(NamedTuple):
    """A store has one request of each lane under way: one of telemetry must not hold up an order."""

    gateway: str
    store: str
    urgent: bool


Place = asyncio.Future[None]


@dataclass
class Turns:
    """The line. Lives on the event loop."""

    now: Callable[[], float] = time.monotonic
    _inside: int = 0
    _inside_bytes: int = 0
    _left: int = _ROUND
    _is_planned: bool = False
    _urgent: FairQueue[Place] = field(default_factory=FairQueue)
    _usual: FairQueue[Place] = field(default_factory=FairQueue)
    _costs: dict[Place, int] = field(default_factory=dict)
    _busy: set[Whose] = field(default_factory=set)
    _behind: dict[Whose, Place] = field(default_factory=dict)

    async def begin(self, whose: Whose, cost: int) -> None:
        """Return when it is this request's turn; `end` must follow. Raises `BusyError`."""
        if whose in self._busy:
            await self._follow(whose)
        self._busy.add(whose)
        try:
            await self._line_up(whose, cost)
        except BaseException:
            self._next_of(whose)
            raise

    def end(self, whose: Whose, cost: int) -> None:
        """The request is done, or given up."""
        self._inside -= 1
        self._inside_bytes -= cost
        self._next_of(whose)
        self._plan()

    def age_s(self) -> float:
        """How long the one has waited who waits longest."""
        now_s = self.now()
        return max(self._urgent.age_s(now_s), self._usual.age_s(now_s))

    def __len__(self) -> int:
        """How many are in line or being worked on."""
        return len(self._urgent) + len(self._usual) + self._inside

    # --- one request of a store ---------------------------------------------------------------------------------------

    async def _follow(self, whose: Whose) -> None:
        """Wait until the store's request is done. Of several who wait the newest is right: the others were given up."""
        older = self._behind.pop(whose, None)
        if older is not None and not older.done():
            older.set_exception(BusyError("a newer request of this store has come"))
        place: Place = asyncio.get_running_loop().create_future()
        self._behind[whose] = place
        try:
            await asyncio.wait_for(asyncio.shield(place), BEHIND_S)
        except TimeoutError:
            self._give_up(whose, place)
            raise BusyError("another request of this store is still under way") from None
        except asyncio.CancelledError:
            self._give_up(whose, place)
            raise

    def _give_up(self, whose: Whose, place: Place) -> None:
        if place.done():  # it was its turn just now
            self._next_of(whose)
        elif self._behind.get(whose) is place:
            del self._behind[whose]
            place.cancel()

    def _next_of(self, whose: Whose) -> None:
        """The store's request is done: hand its place on."""
        place = self._behind.pop(whose, None)
        if place is not None and not place.done():
            place.set_result(None)
        else:
            self._busy.discard(whose)

    # --- the line -----------------------------------------------------------------------------------------------------

    async def _line_up(self, whose: Whose, cost: int) -> None:
        queue = self._urgent if whose.urgent else self._usual
        self._plan()
        if self._left > 0 and not queue and (whose.urgent or (not self._urgent and self._is_open())):
            self._enter(cost)
            return
        place: Place = asyncio.get_running_loop().create_future()
        queue.put(whose.gateway, cost, place, self.now())
        self._costs[place] = cost
        try:
            await place
        except asyncio.CancelledError:
            if not queue.discard(place) and not place.cancelled():  # it was its turn just now
                self._inside -= 1
                self._inside_bytes -= cost
            self._costs.pop(place, None)
            raise

    def _is_open(self) -> bool:
        return self._inside < MOST_INSIDE and self._inside_bytes < MOST_INSIDE_BYTES

    def _enter(self, cost: int) -> None:
        self._inside += 1
        self._inside_bytes += cost
        self._left -= 1

    def _plan(self) -> None:
        if not self._is_planned:
            self._is_planned = True
            asyncio.get_running_loop().call_soon(self._round)

    def _round(self) -> None:
        """Begin with the next few."""
        self._is_planned = False
        self._left = _ROUND
        while self._left > 0 and (place := self._next()) is not None:
            cost = self._costs.pop(place)
            if not place.done():  # else its client is gone
                self._enter(cost)
                place.set_result(None)
        if self._urgent or (self._usual and self._is_open()):
            self._plan()

    def _next(self) -> Place | None:
        now_s = self.now()
        place = self._urgent.take(now_s)
        if place is None and self._is_open():
            place = self._usual.take(now_s)
        return place
