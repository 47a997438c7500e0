"""`python -m tests.edge.hurried_gateway CONFIG`: the real gateway on a machine whose first week passes in seconds.

Its clocks stand a week ago until the gateway has looked at them, and then hurry until they have reached the present;
from then on they keep to it. Its quartz is 30 ppm fast all the while. NTP keeps its wall clock only until the gateway
has looked at it; then it is reset to 1970.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Final

from golmok_edge.gateway.daemon import Gateway, serve
from golmok_edge.gateway.ending import leave
from golmok_edge.settings import load

WEEK_MS: Final = 7 * 86_400_000
HURRY_S: Final = 12
_KEPT_LOOKS: Final = 2
WITHIN_MS: Final = 20
FAST: Final = 1 + 30e-6
_STEP_MS: Final = 20
"""Hurrying clocks go in steps, so that two looks at them in a row see the same."""
_STAND_MS: Final = 1_000
"""After the first look: so long this machine may hold it up without a week's share passing meanwhile."""


def quartz_ms(since_boot_ms: float) -> float:
    """What the quartz counts in so much time."""
    return since_boot_ms * FAST


def true_ms(since_boot_mono_ms: float) -> float:
    """And the other way round."""
    return since_boot_mono_ms / FAST


class HurriedClock:
    """The clocks of that machine; `began_ms` is the true time of its boot."""

    boot = "77" * 16

    def __init__(self) -> None:
        self.began_ms = time.time_ns() // 1_000_000 - WEEK_MS
        self._looks = 0
        self._hurries_from_ms: int | None = None

    def mono_ms(self) -> int:
        return int(quartz_ms(self._true_ms() - self.began_ms))

    def wall_ms(self) -> int:
        return int(self._true_ms()) if self._looks <= _KEPT_LOOKS else int(self._true_ms() - self.began_ms)

    def kept_within_ms(self) -> int | None:
        self._looks += 1
        if self._hurries_from_ms is None:
            self._hurries_from_ms = time.time_ns() // 1_000_000 + _STAND_MS
        return WITHIN_MS if self._looks <= _KEPT_LOOKS else None

    def _true_ms(self) -> float:
        now_ms = time.time_ns() // 1_000_000
        elapsed = 0 if self._hurries_from_ms is None else max(0, now_ms - self._hurries_from_ms)
        if elapsed >= HURRY_S * 1_000:
            return now_ms
        stepped = elapsed // _STEP_MS * _STEP_MS
        return self.began_ms + stepped * WEEK_MS / (HURRY_S * 1_000)


def main() -> int:
    """Say when the boot was, and run until SIGTERM."""
    clock = HurriedClock()
    print(clock.began_ms, flush=True)

    async def run() -> None:
        await serve(Gateway(load(Path(sys.argv[1])), twins=True, clock=clock))

    asyncio.Runner().run(run())
    return leave(0)


if __name__ == "__main__":
    sys.exit(main())
