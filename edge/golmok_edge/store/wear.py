"""How many bytes are written, as the kernel counts them: by a thread, on each day; and how long a card lasts so.

Not counted are what the file system writes beside the data, and what other programs write. What was written within
the last minute before a kill is not in the days' counts (the hints are saved about once a minute).
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

MOST_DAYS: Final = 9
"""Today, seven whole days, and one before them that perhaps was not whole."""
LEAST_RUN_S: Final = 60.0
"""From so long a run on a day's bytes can be guessed."""
NOTE_S: Final = 1.0
"""How often at most the counter is looked at."""
DAY_S: Final = 86_400
CYCLES: Final = 1_000
"""An assumption: how often each cell of a usual card can be written."""
AMPLIFICATION: Final = 10
"""An assumption: how much more a card writes inside, and the file system beside, than it is given in small pieces."""
_PREFIX: Final = "written."
_COUNTS: Final = sys.platform == "linux"
"""Elsewhere these numbers are of something else."""
_UNIT: Final = 512


def thread_bytes_written() -> int:
    """Bytes of pages that the calling thread has dirtied so far; 0 where the kernel does not count (not Linux)."""
    return _bytes_written("RUSAGE_THREAD")


def process_bytes_written() -> int:
    """The same of all threads, those that ended included."""
    return _bytes_written("RUSAGE_SELF")


def _bytes_written(of: str) -> int:
    """`write_bytes` of /proc/…/io, asked for in one call: a quarter of the time of reading it there."""
    return resource.getrusage(getattr(resource, of)).ru_oublock * _UNIT if _COUNTS else 0


class Days:
    """What was written on each of the last days, and how much a day is to be expected."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, counter: Callable[[], int] | None = None) -> None:
        """`counter` gives what was written so far: by this process with all its threads, unless told otherwise."""
        self.day_of_now: Callable[[], str | None] = lambda: None
        """Which day it is where the gateway stands (2026-11-22), None while nobody knows."""
        self._clock = clock
        self._began_s = self._noted_s = clock()
        self._counter = counter or process_bytes_written
        self._counted = self._counter()
        self._run = self._undated = 0
        self._days: dict[str, int] = {}

    def note(self, *, at_once: bool = False) -> None:
        """Count what was written since the last time, unless that was just now."""
        now_s = self._clock()
        if now_s - self._noted_s < NOTE_S and not at_once:
            return
        self._noted_s = now_s
        counted = self._counter()
        written, self._counted = counted - self._counted, counted
        self._run += written
        self._undated += written
        today = self.day_of_now()
        if today is None:
            return
        # What came before the day was known is of this day, too, unless that is long ago.
        is_recent = self._clock() - self._began_s < DAY_S
        self._days[today] = self._days.get(today, 0) + (self._undated if is_recent else written)
        self._undated = 0
        for day in sorted(self._days)[:-MOST_DAYS]:
            del self._days[day]

    @property
    def today(self) -> int:
        """Bytes of today; those of this run while the day is not known."""
        today = self.day_of_now()
        return self._run if today is None else self._days.get(today, 0) + self._undated

    @property
    def per_day(self) -> int | None:
        """Of the whole days that are known, their mean; else what this run would come to; None if it is too short."""
        today = self.day_of_now() or "9999"
        whole = [self._days.get(day, 0) for day in sorted(self._days)[1:] if day < today]
        if whole:
            return sum(whole) // len(whole)
        run_s = self._clock() - self._began_s
        return round(self._run / run_s * DAY_S) if run_s >= LEAST_RUN_S else None

    @property
    def is_sure(self) -> bool:
        """Whether `per_day` stands on an hour at least."""
        return len(self._days) > 2 or self._clock() - self._began_s >= 3_600

    def load(self, hints: Mapping[str, int]) -> None:
        """Take in what was saved."""
        self._days = {name.removeprefix(_PREFIX): n for name, n in hints.items() if name.startswith(_PREFIX)}

    def hints(self) -> dict[str, int]:
        """What is to be saved."""
        return {_PREFIX + day: written for day, written in self._days.items()}


class Card(NamedTuple):
    """What a card can take."""

    size_bytes: int
    endurance_bytes: int
    is_assumed: bool

    def years(self, per_day: int | None) -> float | None:
        """How long a new one lasts at this rate; None if nothing is written, or nobody knows."""
        return round(self.endurance_bytes / per_day / 365, 1) if per_day else None


def card_of(folder: Path, endurance_bytes: int | None) -> Card:
    """The card that `folder` lies on. Where its endurance is not set, it is assumed from its size."""
    said = os.statvfs(folder)
    size = said.f_blocks * said.f_frsize
    return Card(size, endurance_bytes or size * CYCLES // AMPLIFICATION, endurance_bytes is None)
