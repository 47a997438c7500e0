"""What time it is, as far as this machine knows: a clock that is never set, and one that may be wrong.

All that is taken is dated by the first. The second is believed only where the kernel says that it is kept by
somebody (NTP), since a Raspberry Pi starts with the time of its last shutdown.
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Final, NamedTuple, Protocol

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES: Final = 208
_MAXERROR: Final = slice(24, 32)  # struct timex on 64-bit Linux: modes, offset, freq, maxerror (microseconds)
_LONG_SINCE_MS: Final = 16_000  # the kernel's cap of maxerror (NTP_PHASE_LIMIT): nobody has kept the clock lately


class Clock(Protocol):
    """The two clocks of a machine."""

    @property
    def boot(self) -> str:
        """Names this boot: 32 hex digits."""

    def mono_ms(self) -> int:
        """Milliseconds since the boot, sleep included; never set."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970 by the machine's own clock, right or wrong."""

    def kept_within_ms(self) -> int | None:
        """How wrong the machine's own clock may be; None if nobody keeps it."""


class SystemClock:
    """Linux's clocks."""

    def __init__(self) -> None:
        self.boot = _BOOT_ID.read_text().strip().replace("-", "")
        self._libc = ctypes.CDLL(None)

    def mono_ms(self) -> int:
        """CLOCK_BOOTTIME."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def wall_ms(self) -> int:
        """CLOCK_REALTIME."""
        return time.time_ns() // 1_000_000

    def kept_within_ms(self) -> int | None:
        """What adjtimex(2) says; None also where it may not be asked."""
        timex = ctypes.create_string_buffer(_TIMEX_BYTES)
        if self._libc.adjtimex(timex) in (-1, _TIME_ERROR):
            return None
        error_ms = int.from_bytes(timex.raw[_MAXERROR], "little") // 1000 + 1
        return error_ms if error_ms < _LONG_SINCE_MS else None


class Instant(NamedTuple):
    """A moment: which boot, and when in it."""

    boot: str
    mono_ms: int
