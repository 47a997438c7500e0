"""How long this machine itself stood still: what a busy machine delays is no wrong time of the product's."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from typing import NamedTuple

_EVERY_S = 0.05
_WORTH_NOTING_S = 0.1


class _Stall(NamedTuple):
    at: float
    for_s: float


class Stalls:
    """Notes how much later than asked this process wakes up, until `close`."""

    def __init__(self, *, is_watching: bool = True) -> None:
        self._noted: list[_Stall] = []
        self._is_over = threading.Event()
        if is_watching:
            threading.Thread(target=self._watch, name="stalls", daemon=True).start()

    def note(self, at: float, for_s: float) -> None:
        """It stood still for so long, until `at`."""
        self._noted.append(_Stall(at, for_s))

    def around(self, at: float, within_s: float = 3.0) -> float:
        """How long it stood still about then, in all."""
        begin = bisect_left(self._noted, (at - within_s,))
        total = 0.0
        for stall in self._noted[begin:]:
            if stall.at - stall.for_s > at + within_s:
                break
            total += stall.for_s
        return total

    def close(self) -> None:
        """Watch no more."""
        self._is_over.set()

    def _watch(self) -> None:
        last = time.time()
        while not self._is_over.wait(_EVERY_S):
            now = time.time()
            if now - last - _EVERY_S > _WORTH_NOTING_S:
                self.note(now, now - last - _EVERY_S)
            last = now
