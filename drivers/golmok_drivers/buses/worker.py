"""One owner for a bus: transactions come one after another, each with a deadline, in a thread of their own.

All deciding happens in the event loop, so nothing here needs a lock; the thread only runs one blocking call at
a time. A call that is not over by its deadline raises `BusTimeout` to its caller and keeps its thread; the
bus goes on with a new one, and the device whose call hangs is not tried again before that call is over and its
pause (1 s, doubling to a minute) has passed. So a hanging device holds the others up by one deadline, once. The
deadline counts from when the call began in its thread: that a busy machine did not let it begin is no device's fault.

Who awaits a transaction may be cancelled at any time: one that waits is forgotten, one that runs is finished
and its result dropped, since half a transaction would leave the bus in a state nobody knows.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from golmok_drivers.errors import BusBackoff, BusClosed, BusTimeout

T = TypeVar("T")

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0


@dataclass(eq=False)
class _Job:
    device: Hashable
    work: Callable[[], Any]
    timeout_s: float
    done: asyncio.Future[Any]
    deadline: asyncio.TimerHandle | None = None
    began_s: float | None = None
    """When its thread took it."""


@dataclass
class _Health:
    """What is known of one device: does a call of it still hang, and until when is it left alone?"""

    hanging: int = 0
    pause_s: float = 0.0
    rests_until: float = 0.0
    innocent: bool = False


@dataclass(eq=False)
class _Lane:
    """A daemon thread (a call that hangs for ever must not keep the process from ending) and its inbox."""

    name: str
    inbox: SimpleQueue[tuple[_Job, Callable[[_Job, Any, BaseException | None], None]] | None] = field(
        default_factory=SimpleQueue
    )

    def start(self) -> None:
        threading.Thread(target=self._run, name=self.name, daemon=True).start()

    def _run(self) -> None:
        while (item := self.inbox.get()) is not None:
            job, report = item
            loop = job.done.get_loop()
            job.began_s = time.monotonic()
            try:
                result, error = job.work(), None
            except Exception as raised:  # noqa: BLE001  (it is the caller's: raised again where he awaits)
                result, error = None, raised
            with suppress(RuntimeError):  # the loop has closed since; nobody waits any more
                loop.call_soon_threadsafe(report, job, result, error)


class BusWorker:
    """Runs blocking calls for the devices of one bus."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._waiting: list[_Job] = []
        self._current: _Job | None = None
        self._lane: _Lane | None = None
        self._health: dict[Hashable, _Health] = {}
        self._closed = False

    async def run(self, device: Hashable, work: Callable[[], T], timeout_s: float) -> T:
        """The result of `work`, called in the bus's thread; raises what it raises, `BusTimeout` or `BusBackoff`.

        `timeout_s` counts from when its turn came: who stands behind a slow device does not pay for it.
        """
        self._check(device)
        job = _Job(device, work, timeout_s, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._next()
        try:
            result: T = await job.done
        finally:
            if job in self._waiting:
                self._waiting.remove(job)
        return result

    async def close(self) -> None:
        """End the bus; whoever waits gets `BusClosed`. A call that runs is left to end by itself."""
        self._closed = True
        for job in (*self._waiting, *([self._current] if self._current else [])):
            _fail(job, BusClosed(f"{self._name} was closed"))
        self._waiting.clear()
        if self._lane:
            self._lane.inbox.put(None)
            self._lane = None

    def _check(self, device: Hashable) -> None:
        if self._closed:
            raise BusClosed(f"{self._name} is closed")
        health = self._health.get(device)
        if health and health.hanging:
            raise BusBackoff(f"{self._name}: an earlier transaction with {device!r} still hangs")
        if health and (left_s := health.rests_until - self._clock()) > 0:
            raise BusBackoff(f"{self._name}: {device!r} hung before and is tried again in {left_s:.1f} s")

    def _next(self) -> None:
        if self._current or self._closed or not self._waiting:
            return
        job = min(self._waiting, key=lambda job: job.device in self._health)  # those who once hung come last
        self._waiting.remove(job)
        self._current = job
        job.deadline = job.done.get_loop().call_later(job.timeout_s, self._expired, job)
        if self._lane is None:
            self._lane = _Lane(self._name)
            self._lane.start()
        self._lane.inbox.put((job, self._finished))

    def _finished(self, job: _Job, result: Any, error: BaseException | None) -> None:
        if job is self._current:
            self._current = None
            if job.deadline:
                job.deadline.cancel()
            self._health.pop(job.device, None)
        else:
            self._over(job.device)
        if job.done.done():
            pass
        elif error is not None:
            job.done.set_exception(error)
        else:
            job.done.set_result(result)
        self._next()

    def _over(self, device: Hashable) -> None:
        """A call that had hung past its deadline has ended after all."""
        health = self._health[device]
        health.hanging -= 1
        if health.innocent and not health.hanging:
            del self._health[device]

    def _expired(self, job: _Job) -> None:
        now_s = time.monotonic()
        left_s = job.timeout_s - (now_s - (now_s if job.began_s is None else job.began_s))
        if left_s > 0:
            job.deadline = job.done.get_loop().call_later(left_s, self._expired, job)
            return
        others_hang = any(health.hanging for device, health in self._health.items() if device != job.device)
        health = self._health.setdefault(job.device, _Health())
        health.hanging += 1
        health.innocent = others_hang and not health.pause_s  # it may only have stood behind the one that hangs
        if not health.innocent:
            health.pause_s = min(max(FIRST_PAUSE_S, health.pause_s * 2), LONGEST_PAUSE_S)
            health.rests_until = self._clock() + health.pause_s
        _fail(job, BusTimeout(f"{self._name}: {job.device} was not done within {job.timeout_s:g} s"))
        for waiting in [waiting for waiting in self._waiting if waiting.device == job.device]:
            self._waiting.remove(waiting)
            _fail(waiting, BusBackoff(f"{self._name}: the transaction before, with {job.device!r}, hangs"))
        self._current = None
        if self._lane:
            self._lane.inbox.put(None)  # it ends when the hanging call does
            self._lane = None
        self._next()


def _fail(job: _Job, error: Exception) -> None:
    if not job.done.done():
        job.done.set_exception(error)
