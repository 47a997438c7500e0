"""Files that consist of pages, read as far as the card gives them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PAGE_BYTES: Final = 4_096


def open_to_read(path: Path) -> int | None:
    """A descriptor; None if there is no such file, or it cannot be read."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC) if path.is_file() else None
    except OSError:
        return None


def size_of(descriptor: int | None) -> int:
    """How many bytes it has; none where there is no file."""
    return 0 if descriptor is None else os.fstat(descriptor).st_size


def read_page(descriptor: int | None, at: int) -> bytes:
    """A page; empty where the card gives none."""
    if descriptor is None or at < 0:
        return b""
    try:
        return os.pread(descriptor, PAGE_BYTES, at)
    except OSError:
        return b""
