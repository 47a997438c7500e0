"""A queue in which everybody has the same share of the bytes, however much each of them brings.

Self-clocked fair queueing (Golestani, 1994): what comes in is stamped with the moment at which it would be done if
all took turns byte by byte, and the least stamp goes first. Where all bring the same it is first come, first served;
one who brings a thousand times as much goes behind those who bring little. Pure: it reads no clock.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Generic, TypeVar

T = TypeVar("T")
PATIENCE_S: Final = 5.0
"""What has waited for longer goes first, whoever brought it: fair shares alone could starve a large request."""


@dataclass(slots=True, eq=False)
class _Entry(Generic[T]):
    key: Hashable
    item: T
    cost: int
    came_s: float
    is_gone: bool = False


@dataclass(slots=True)
class FairQueue(Generic[T]):
    """Items by the key of who brought them, each with its cost in bytes."""

    cost: int = 0
    """Of all that waits."""
    _heap: list[tuple[int, int, _Entry[T]]] = field(default_factory=list)
    _by_age: dict[T, _Entry[T]] = field(default_factory=dict)
    _finish: dict[Hashable, int] = field(default_factory=dict)
    """The last stamp of each key of which something waits."""
    _waiting: dict[Hashable, int] = field(default_factory=dict)
    _now: int = 0
    _order: count[int] = field(default_factory=count)

    def __len__(self) -> int:
        return len(self._by_age)

    def put(self, key: Hashable, cost: int, item: T, now_s: float) -> None:
        """`item` waits; `key` says whose share it takes. An item is in the queue once."""
        entry = _Entry(key, item, max(1, cost), now_s)
        stamp = max(self._now, self._finish.get(key, 0)) + entry.cost
        self._finish[key] = stamp
        self._waiting[key] = self._waiting.get(key, 0) + 1
        self._by_age[item] = entry
        self.cost += entry.cost
        heapq.heappush(self._heap, (stamp, next(self._order), entry))

    def take(self, now_s: float) -> T | None:
        """Whose turn it is; None if nobody waits."""
        if not self._by_age:
            return None
        oldest = next(iter(self._by_age.values()))
        if now_s - oldest.came_s > PATIENCE_S:
            return self._leave(oldest)
        while True:
            stamp, _, entry = heapq.heappop(self._heap)
            if not entry.is_gone:
                self._now = stamp
                return self._leave(entry)

    def discard(self, item: T) -> bool:
        """`item` waits no longer; whether it did."""
        entry = self._by_age.get(item)
        if entry is not None:
            self._leave(entry)
        return entry is not None

    def age_s(self, now_s: float) -> float:
        """How long the oldest has waited."""
        return max(0.0, now_s - next(iter(self._by_age.values())).came_s) if self._by_age else 0.0

    def _leave(self, entry: _Entry[T]) -> T:
        entry.is_gone = True
        del self._by_age[entry.item]
        self.cost -= entry.cost
        self._waiting[entry.key] -= 1
        if not self._waiting[entry.key]:
            del self._waiting[entry.key], self._finish[entry.key]
        if not self._by_age:
            self._heap.clear()
            self._now = 0
        return entry.item
