"""How much the server holds in memory, in bytes: what is here, what was announced, and what a fair share of it is.

A body is announced before it comes. If its announcement took room from others, whoever announces 8 MB and sends
nothing would lock out a whole street; if it took none, what was let in might not fit. So both are counted: large
bodies compete with what was announced, and a request that asks for no more than its fair share competes only with
what is really here. Pure: no clock, no I/O.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from golmok_cloud_sync.protocol import MAX_REQUEST

REQUEST_BYTES: Final = 16 << 10
"""What a request costs beside its body: its connection's buffers, its task, its answer."""
BODY_FACTOR: Final = 2
"""A body is held once as it came and once in pieces."""
_OVERBOOKED: Final = 2
"""No more is announced than so many times the room, whoever asks."""


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


@dataclass(slots=True)
class Room:
    """What the requests of one kind hold."""

    count: int = 0
    held: int = 0
    """Bytes of what is here."""
    announced: int = 0
    """The same when all bodies have come that are on their way."""

    def enter(self, held: int, announced: int) -> None:
        """One more."""
        self.count += 1
        self.held += held
        self.announced += announced

    def leave(self, held: int, announced: int) -> None:
        """One less."""
        self.count -= 1
        self.held -= held
        self.announced -= announced

    def has_place(self, cost: int, limit: int) -> bool:
        """Whether so much more may come in. Who comes alone always may: a limit too small would lock him out."""
        if not self.count or self.announced + cost <= limit:
            return True
        is_modest = cost <= self.share(limit) and self.announced + cost <= _OVERBOOKED * limit
        return is_modest and self.held + cost <= limit

    def share(self, limit: int) -> float:
        """What each would have, with one more, if all had the same."""
        return limit / (self.count + 1)


def cost_of(length: int | None) -> int:
    """What a request with a body of `length` bytes costs; one that is not told counts as the largest."""
    return REQUEST_BYTES + BODY_FACTOR * (MAX_REQUEST if length is None else length)


def memory_bytes(groups: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """The memory of this machine, or of the container if that has less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(groups.read_text()))
    except (OSError, ValueError):  # no such file, or "max"
        return machine
