"""The clocks of an invented machine, in a file of 64 bytes that two processes share.

The harness sets them (`Machine`); the gateway that `starter.py` runs reads them (`FileClock`). The machine's boot
clock is this machine's, from another zero and 50 ppm fast or slow; its wall clock is off by as much as it is told.
"""

from __future__ import annotations

import mmap
import secrets
import struct
import time
from pathlib import Path
from typing import Final

_FIELDS: Final = struct.Struct("<qqqq")  # zero of the boot clock, drift (ppm), wall's offset, kept within (-1: nobody)
_BOOT: Final = slice(32, 64)
_SIZE: Final = 64


def _now_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Machine:
    """The harness's end."""

    def __init__(self, file: Path, drift_ppm: int) -> None:
        self.file = file
        self._drift_ppm = drift_ppm
        self._zero_ms, self._offset_ms, self._kept_ms = _now_ms(), 0, -1
        self.boot = ""
        self.reboot(0)

    def reboot(self, offset_ms: int) -> None:
        """A new boot: its id is new, its clock begins at 0, its wall clock is off by `offset_ms`, nobody keeps it."""
        self.boot = secrets.token_hex(16)
        self._zero_ms, self._offset_ms, self._kept_ms = _now_ms(), offset_ms, -1
        self._write()

    def reboot_at(self, wall_ms: int) -> None:
        """A new boot with the wall clock at that time."""
        self.reboot(wall_ms - _wall_ms())

    def jump(self, by_ms: int) -> None:
        """Somebody sets the wall clock who does not know the time either. The kernel then says that nobody keeps it."""
        self._offset_ms += by_ms
        self._kept_ms = -1
        self._write()

    def keep(self, within_ms: int) -> None:
        """Somebody who knows the time (NTP) sets the wall clock right, and keeps it."""
        self._offset_ms, self._kept_ms = 0, within_ms
        self._write()

    def _write(self) -> None:
        data = _FIELDS.pack(self._zero_ms, self._drift_ppm, self._offset_ms, self._kept_ms) + self.boot.encode()
        if not self.file.exists():
            self.file.write_bytes(data)
            return
        with self.file.open("r+b") as file, mmap.mmap(file.fileno(), _SIZE) as shared:
            shared[:] = data


class FileClock:
    """`golmok_edge.gateway.clock.Clock` of an invented machine. The boot is that at the start of the process."""

    def __init__(self, file: Path) -> None:
        with file.open("rb") as opened:
            self._shared = mmap.mmap(opened.fileno(), _SIZE, prot=mmap.PROT_READ)
        self.boot = self._shared[_BOOT].decode()

    def mono_ms(self) -> int:
        """Since the boot."""
        zero_ms, drift_ppm, _, _ = self._read()
        since_ms = _now_ms() - zero_ms
        return max(0, since_ms + since_ms * drift_ppm // 1_000_000)

    def wall_ms(self) -> int:
        """Right or wrong."""
        return max(0, _wall_ms() + self._read()[2])

    def kept_within_ms(self) -> int | None:
        """None while nobody keeps it."""
        kept_ms = self._read()[3]
        return None if kept_ms < 0 else kept_ms

    def _read(self) -> tuple[int, int, int, int]:
        zero_ms, drift_ppm, offset_ms, kept_ms = _FIELDS.unpack_from(self._shared)
        return zero_ms, drift_ppm, offset_ms, kept_ms
