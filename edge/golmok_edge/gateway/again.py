"""What the disk refused and must not be lost waits here, in its order, and is put again until it is taken.

A message of the local bus is not acknowledged meanwhile, so that it survives our death at the broker; an event of the
gateway's own survives as long as the process. Readings of wired devices do not come here: the next one is not far.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, NamedTuple, Protocol

from golmok_edge.store import Item, StoreClosedError

AGAIN_S: Final = 2.0
"""How long after a refusal it is tried again; what comes meanwhile waits behind it."""
MOST_HELD: Final = 10_000
"""Beyond so many, what nobody will bring again is let go; what the broker keeps for us is bounded by its window."""


class Cancellable(Protocol):
    """What stands for a call that is to come."""

    def cancel(self) -> None:
        """Let it not come."""


class _Place(NamedTuple):
    """Whose an item is, and when it came."""

    owner: Again
    number: int


class Again:
    """A way to the store on which nothing is lost and nothing overtakes. Any thread may call."""

    def __init__(
        self,
        put: Callable[[Sequence[Item]], bool],
        later: Callable[[float, Callable[[], None]], Cancellable] | None = None,
    ) -> None:
        """`put` hands items to the store, all or none; False: not now. `later` calls once after so many seconds."""
        self._put, self._later = put, later or in_a_thread
        self._lock = threading.Lock()
        self._numbers = count()
        self._held: list[Item] = []
        self._next: Cancellable | None = None
        self._is_closed = False
        self.dropped = 0
        """Items that nobody will bring again and for which there was no more room."""

    def __len__(self) -> int:
        return len(self._held)

    def put(self, item: Item) -> None:
        """To the store, or behind those that wait."""
        with self._lock:
            mine = item._replace(tag=_Place(self, next(self._numbers)))
            if not self._held and self._handed_over([mine]):
                return
            if mine.taken or len(self._held) < MOST_HELD:
                self._held.append(mine)
            else:
                self.dropped += 1
            self._arm()

    def refused(self, items: Sequence[Item]) -> None:
        """The store took none of `items`; those that came this way are kept."""
        mine = [item for item in items if isinstance(item.tag, _Place) and item.tag.owner is self]
        if mine:
            with self._lock:
                self._hold(mine)

    def change(self, how: Callable[[Item], Item]) -> None:
        """Change what waits."""
        with self._lock:
            self._held = [how(item) for item in self._held]

    def close(self) -> None:
        """Try a last time. What is refused then is left to whoever brought it."""
        with self._lock:
            self._is_closed = True
            if self._next:
                self._next.cancel()
        self._try_again()

    def _hold(self, items: Sequence[Item]) -> None:
        """Those that were on their way already; they are few enough."""
        self._held = sorted([*self._held, *items], key=_number)
        self._arm()

    def _arm(self) -> None:
        if self._held and self._next is None and not self._is_closed:
            self._next = self._later(AGAIN_S, self._try_again)

    def _try_again(self) -> None:
        with self._lock:
            items, self._held, self._next = self._held, [], None
            if items and not self._handed_over(items):
                self._hold(items)

    def _handed_over(self, items: Sequence[Item]) -> bool:
        try:
            return self._put(items)
        except StoreClosedError:
            return True  # at the end: the broker keeps its own


def _number(item: Item) -> int:
    assert isinstance(item.tag, _Place)
    return item.tag.number


def in_a_thread(after_s: float, call: Callable[[], None]) -> Cancellable:
    """Call once after so many seconds, in a thread of its own."""
    timer = threading.Timer(after_s, call)
    timer.daemon = True
    timer.start()
    return timer
