"""A small disk for a store, that can be filled and freed: a tmpfs, which only root may mount."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self

from .guard import mark

_MOST = 96 << 20
"""A salvage wants 32 MB to spare."""


class SmallDisk:
    """A mounted disk of 96 MB."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    @classmethod
    def mount(cls, folder: Path) -> Self | None:
        """Mount it on `folder`; None where that is not allowed."""
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid():
            return None
        command = ["mount", "-t", "tmpfs", "-o", f"size={_MOST},mode=755", mark(), str(folder)]
        return cls(folder) if subprocess.run(command, capture_output=True, check=False).returncode == 0 else None

    def fill(self) -> None:
        """Leave not a byte."""
        with suppress(OSError), self._filler.open("wb", buffering=0) as filler:
            for size in (1 << 20, 4096):
                with suppress(OSError):
                    while filler.write(bytes(size)) == size:
                        pass

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink(missing_ok=True)

    def unmount(self) -> None:
        """Give the folder back; what still uses it is let finish."""
        subprocess.run(["umount", "--lazy", str(self.folder)], capture_output=True, check=False)
