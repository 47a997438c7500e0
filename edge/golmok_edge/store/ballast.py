"""A file that only takes room, so that there is some to give up when the disk is full.

Even to delete, SQLite needs room for its log. And when readings have filled the disk, an order must still get in.
So some megabytes are set aside while there is plenty; on a full disk they are given up for orders, alarms, voids
and clearing up, and set aside again as soon as there is room. Really allocated, but never written: it wears nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress
from io import BufferedRandom
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 4 << 20
LEAST_BYTES: Final = 64 << 10
_SHARE: Final = 8
"""At first one part in so many of what is free is set aside."""
_PLENTY: Final = 2
"""Once it was given up, so many times its size must be free: else it would be made of what it gave."""


class Ballast:
    """The ballast of one store. Given up, its file keeps its size, which says how much is to be set aside again."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._wanted = self._bytes = 0
        with suppress(OSError):
            said = file.stat()
            self._wanted = said.st_size
            self._bytes = said.st_size if said.st_blocks * 512 >= said.st_size else 0

    @property
    def bytes(self) -> int:
        """How much is set aside; 0 if it was given up, or there never was room for it."""
        return self._bytes

    def make(self) -> bool:
        """Set it aside if there is plenty of room; whether it is there now."""
        if self._bytes:
            return True
        room = free_bytes(self._file.parent)
        wanted = self._wanted or min(MOST_BYTES, room // _SHARE) // LEAST_BYTES * LEAST_BYTES
        if not wanted or room < _PLENTY * wanted:
            return False
        self._wanted = wanted
        try:
            with self._open() as file:
                os.posix_fallocate(file.fileno(), 0, wanted)
        except OSError:  # a quota, or somebody was faster
            self.give_up()
            return False
        self._bytes = wanted
        return True

    def give_up(self) -> int:
        """Let go of it; gives how much that was."""
        given, self._bytes = self._bytes, 0
        with suppress(OSError), self._open() as file:
            os.truncate(file.fileno(), 0)
            os.truncate(file.fileno(), self._wanted)
        return given

    def _open(self) -> BufferedRandom:
        self._file.touch(0o600)
        return self._file.open("r+b")


def free_bytes(folder: Path) -> int:
    """What this user may still write in `folder`; much where the file system does not tell."""
    try:
        said = os.statvfs(folder)
    except OSError:
        return 0
    return said.f_bavail * said.f_frsize if said.f_blocks else 1 << 40
