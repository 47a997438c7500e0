"""What the gateway's own process takes of the machine, and when that is too much for it to go on.

Drivers of others have processes of their own. What still grows here is a fault of ours or of a driver in our process:
first it is looked for, then the process ends in order and says why, and systemd starts it again. Threads that hang for
ever can only be got rid of so.
"""

from __future__ import annotations

import json
import logging
import os
import resource
from collections import Counter
from pathlib import Path
from typing import Any, Final, NamedTuple

_log = logging.getLogger(__name__)

_NOTE: Final = "ended.json"
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Limits(NamedTuple):
    """Beyond these the process ends."""

    watched_bytes: int = 192 * 2**20
    """Beyond this is noted who takes the memory. It costs time and memory itself."""
    memory_bytes: int = 384 * 2**20
    threads: int = 200
    files: float = 0.8
    """Of those that the process may open."""
    every_s: float = 10.0
    """How often it is looked at."""


class OverburdenedError(RuntimeError):
    """The process ended itself."""


class Burden:
    """Looks after the own process, every now and then."""

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008  # a tuple
        self._limits = limits
        self._is_watched = False
        self.every_s = limits.every_s

    def too_much(self) -> str:
        """Why the process must end; empty while it need not."""
        limits = self._limits
        resident, threads, files = _resident(), _threads(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        if resident > limits.watched_bytes and not self._is_watched:
            import tracemalloc  # a module that a gateway in health never needs

            _log.warning("it takes %d MB; from now on it is noted what for", resident // 2**20)
            tracemalloc.start()
            self._is_watched = True
        if resident > limits.memory_bytes:
            return f"it took {resident // 2**20} MB of memory{_most_of_it() if self._is_watched else ''}"
        if threads > limits.threads:
            return f"it had {threads} threads, most of which hung"
        most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if files > limits.files * most_files:
            return f"it had {files} files open, of {most_files} that it may"
        return ""


def note_end(store: Path, why: str) -> None:
    """Leave word of why the process ended itself, for the next one."""
    (store / _NOTE).write_text(json.dumps({"why": why}), encoding="utf-8")


def last_end(store: Path) -> str:
    """Why the last process ended itself; empty if it was told to end. Tells it once."""
    note = store / _NOTE
    try:
        said: Any = json.loads(note.read_text(encoding="utf-8"))
        note.unlink()
        return str(said["why"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("%s: %s", note, error)
        return ""


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _threads() -> int:
    return int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[17])


def _most_of_it() -> str:
    """The files of code whose memory grew the most since it is noted."""
    import tracemalloc

    taken: Counter[str] = Counter()
    for statistic in tracemalloc.take_snapshot().statistics("filename"):
        taken[statistic.traceback[0].filename] += statistic.size
    told = (f"{Path(file).name} {size // 2**20} MB" for file, size in taken.most_common(3))
    return f", since it was noted most of it by {', '.join(told)}"
