"""Keeps the event loop going when a driver in our own process blocks it.

The loop must come by every little while; if it does not, the kernel sends SIGALRM, whose handler runs in the very code
that blocks, also where that sleeps or waits for a socket. If it is a driver's, it is told so by an exception, and its
device is opened again in a process of its own. What is not a driver's is only noted: a slow machine is no fault.

Nor is it a driver's fault that the machine is too busy to let it run, or that it runs just when the loop is late for
other reasons. So it is looked at several times: one that blocks stands in the same place each time, or has itself used
up the time of the processor. (A task makes one step in a round of the loop, so what is seen twice is the same step.)
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from types import FrameType, TracebackType
from typing import Any, Final, Self

from golmok_drivers.errors import DriverHangs
from golmok_edge.gateway.devices import DeviceTask

_log = logging.getLogger(__name__)

COMES_BY_S: Final = 0.2
STALL_S: Final = 0.7
"""After so long without the loop a driver is interrupted."""
AGAIN_S: Final = 0.1
_SAME_PLACE: Final = 3
"""So often in a row it stands at the very same instruction: it sleeps, or waits for something."""
_OF_THE_TIME: Final = 0.5
"""One that computes has used so much of `STALL_S` of the processor since it was first seen."""
_TOLD: Final = DeviceTask._told.__code__  # the frame below which a driver's code runs


class _Suspect:
    """A driver that was running when the loop was late, and how it goes on."""

    def __init__(self, task: DeviceTask, frame: FrameType) -> None:
        self.task = task
        self._place = (id(frame), frame.f_lasti)
        self._times, self._cpu_s = 0, time.thread_time()

    def blocks(self, frame: FrameType, stall_s: float) -> bool:
        """Whether it is to blame, now that it is seen again."""
        place = (id(frame), frame.f_lasti)
        self._times = self._times + 1 if place == self._place else 0
        self._place = place
        return self._times >= _SAME_PLACE or time.thread_time() - self._cpu_s >= _OF_THE_TIME * stall_s


class Stall:
    """Interrupts drivers that block `loop`, which is the main thread's, while the `with` lasts."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stall_s: float = STALL_S) -> None:
        self._loop, self._stall_s = loop, stall_s
        self._came_s = time.monotonic()
        self._suspect: _Suspect | None = None
        self._next: asyncio.TimerHandle | None = None
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGALRM, self._on_stall)
        self._come_by()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._next:
            self._next.cancel()
        signal.signal(signal.SIGALRM, self._before)

    def _come_by(self) -> None:
        self._came_s, self._suspect = time.monotonic(), None
        signal.setitimer(signal.ITIMER_REAL, self._stall_s / 2, AGAIN_S)
        self._next = self._loop.call_later(COMES_BY_S, self._come_by)

    def _on_stall(self, number: int, frame: FrameType | None) -> None:
        stalled_s = time.monotonic() - self._came_s
        task = _whose(frame)
        if task is None or frame is None or self._suspect is None or self._suspect.task is not task:
            self._suspect = _Suspect(task, frame) if task and frame else None
        elif self._suspect.blocks(frame, self._stall_s) and stalled_s >= max(self._stall_s, task.may_block_s):
            _log.error("%s: its driver has blocked the gateway for %.1f s: interrupted", task.device.name, stalled_s)
            raise DriverHangs(f"it blocked the gateway for {stalled_s:.1f} s")


def _whose(frame: FrameType | None) -> DeviceTask | None:
    """Whose driver runs there; None if it is no driver."""
    while frame is not None:
        if frame.f_code is _TOLD:
            task = frame.f_locals.get("self")
            return task if isinstance(task, DeviceTask) else None
        frame = frame.f_back
    return None
