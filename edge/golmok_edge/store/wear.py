"""How many bytes this thread has made the kernel write: what an SD card wears by."""

from __future__ import annotations

from typing import Final

_FILE: Final = "/proc/thread-self/io"
_FIELD: Final = b"\nwrite_bytes: "


def thread_bytes_written() -> int:
    """Bytes of pages that the calling thread has dirtied so far; 0 where the kernel does not count (not Linux)."""
    try:
        with open(_FILE, "rb", buffering=0) as file:  # noqa: PTH123  # measured: half the time of Path.read_bytes
            said = file.read(512)
    except OSError:
        return 0
    at = said.find(_FIELD)
    return int(said[at + len(_FIELD) :].split(None, 1)[0]) if at >= 0 else 0
