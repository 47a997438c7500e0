"""How far a long stage is, and how long it will still take: on one line where stderr is a screen."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

_EVERY_S: Final = 0.5
_QUIET_EVERY_S: Final = 10.0
EVERY: Final = "GOLMOK_PROGRESS_S"
"""Set to seconds by a program that listens: it is told as often as that."""


class Progress:
    """Call it with how much is done of how much.

    The time left is judged by this run's own pace, from the first that it has done: before that there is waiting for
    hands, looking around, starting.
    """

    def __init__(self, what: str, out: TextIO | None = None, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._out = out = out or sys.stderr
        self._clock_s = clock_s
        self._began_s = self._said_s = clock_s()
        self._before: int | None = None
        self._first: tuple[int, float] | None = None
        self._is_screen = out.isatty()
        self._pause_s = _EVERY_S if self._is_screen else float(os.environ.get(EVERY, _QUIET_EVERY_S))

    def __call__(self, done: int, total: int) -> None:
        """Say so, not too often."""
        now_s = self._clock_s()
        if self._before is None:
            self._before = done
        elif self._first is None and done > self._before:
            self._first = done, now_s
        if done < total and now_s - self._said_s < self._pause_s:
            return
        self._said_s = now_s
        line = f"{self._what}: {done} of {total}{self._left(done, total, now_s)}"
        if self._is_screen:
            self._out.write(f"\r{line:<60}" + ("\n" if done == total else ""))
        else:
            self._out.write(line + "\n")
        self._out.flush()

    def _left(self, done: int, total: int, now_s: float) -> str:
        if done == total:
            return f", took {told(now_s - self._began_s)}"
        if self._first is None or done == self._first[0]:
            return ""
        first, first_s = self._first
        return f", {told((now_s - first_s) / (done - first) * (total - done))} left"


def told(seconds: float) -> str:
    """A duration for people."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
