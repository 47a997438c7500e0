"""The end of the process, which comes whatever a driver or a disk does.

A driver of anybody's may block the event loop, or start threads that never end. Whoever stops the gateway must not
wait for it; systemd would, for 90 s, and then kill what has not been committed.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, NoReturn, Self

_log = logging.getLogger(__name__)

END_WITHIN_S: Final = 5.0
RESCUE_S: Final = 3.0


class LastResort:
    """Ends the process `within_s` after `begin` unless the `with` is left by then; `rescue` saves what can be saved."""

    def __init__(self, rescue: Callable[[], None], within_s: float = END_WITHIN_S) -> None:
        self._rescue, self._within_s = rescue, within_s
        self._is_told, self._is_over, self._is_longer = threading.Event(), threading.Event(), threading.Event()

    def begin(self) -> None:
        """The end was asked for. May be called by a signal's handler."""
        self._is_told.set()

    def begin_anew(self) -> None:
        """What could hang is over; what comes has bounds of its own."""
        self._is_longer.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, name="last resort", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._is_over.set()

    def _watch(self) -> None:
        self._is_told.wait()
        while not self._is_over.wait(self._within_s):
            if self._is_longer.is_set():
                self._is_longer.clear()
                continue
            _log.error(
                "something does not end within %g s; what is here is committed, and the rest left", self._within_s
            )
            saving = threading.Thread(target=self._rescue, daemon=True)
            saving.start()
            saving.join(RESCUE_S)
            leave(1)


def leave(code: int) -> NoReturn:
    """End the process without waiting for anybody's threads."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
