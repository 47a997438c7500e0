"""How long this machine kept programs waiting: what a busy machine delays is no wrong time of the product's.

Linux tells for how long some program had to wait for a processor (PSI, /proc/pressure/cpu); where it does not, there
is only how much later than asked this process itself wakes up.
"""

from __future__ import annotations

import re
import threading
import time
from bisect import bisect_left
from pathlib import Path
from typing import Final

_EVERY_S: Final = 0.05
_WORTH_NOTING_S: Final = 0.1
_PRESSURE: Final = Path("/proc/pressure/cpu")
_TOTAL: Final = re.compile(r"^some .*total=(\d+)", re.MULTILINE)


class Stalls:
    """Notes how much was stood still, until `close`."""

    def __init__(self, *, is_watching: bool = True) -> None:
        self._moments: list[float] = []
        self._totals: list[float] = []
        self._is_over = threading.Event()
        if is_watching:
            threading.Thread(target=self._watch, name="stalls", daemon=True).start()

    def note(self, at: float, for_s: float) -> None:
        """Until `at`, it stood still for so long in all since the last note."""
        self._totals.append((self._totals[-1] if self._totals else 0.0) + for_s)
        self._moments.append(at)

    def between(self, begin: float, end: float) -> float:
        """How long it stood still between two moments, whichever is first."""
        begin, end = min(begin, end), max(begin, end)
        moments, totals = list(self._moments), list(self._totals)
        if not moments:
            return 0.0
        first = bisect_left(moments, begin)
        last = min(bisect_left(moments, end), len(moments) - 1)
        before = totals[first - 1] if first else 0.0
        return min(end - begin, totals[last] - before) if last >= first else 0.0

    def close(self) -> None:
        """Watch no more."""
        self._is_over.set()

    def _watch(self) -> None:
        last, waited_s = time.time(), _waited_s()
        while not self._is_over.wait(_EVERY_S):
            now, now_waited_s = time.time(), _waited_s()
            late_s = now - last - _EVERY_S
            self.note(now, max(now_waited_s - waited_s, late_s if late_s > _WORTH_NOTING_S else 0.0))
            last, waited_s = now, now_waited_s


def _waited_s() -> float:
    try:
        found = _TOTAL.search(_PRESSURE.read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1e6 if found else 0.0
