"""One thread writes the log, and takes everything that waits into one transaction.

An fsync costs the same for one request as for a hundred. While one commit is on its way to the disk, requests
gather; the next commit takes them all. Nobody is answered before the commit that holds his batches has returned.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event, Thread
from typing import Final

from golmok_cloud_sync.server.log import Appended, Batch, BatchLog, EpochKey, LogError

_MAX_GROUP: Final = 512
"""Requests in one transaction."""
_MAX_BESIDE_URGENT: Final = 64
"""The same if some of them are urgent."""
_MAX_BYTES: Final = 32 << 20
"""Bytes of payload in one transaction: beyond that, waiting longer costs more than one fsync saves."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Request:
    batches: Sequence[Batch]
    met: Sequence[EpochKey]
    answer: asyncio.Future[list[Appended]]
    loop: asyncio.AbstractEventLoop


class Committer:
    """Appends batches of many requests to a `BatchLog`, in groups."""

    def __init__(self, log: BatchLog) -> None:
        self._log = log
        self._urgent: deque[_Request] = deque()
        self._usual: deque[_Request] = deque()
        self._bell = Event()
        self._closing = False
        self._thread = Thread(target=self._run, name="committer", daemon=True)
        self.commits = 0
        """Transactions so far."""
        self.failures = 0
        """Transactions that the disk or the database refused."""
        self._thread.start()

    async def append(
        self, batches: Sequence[Batch], met: Sequence[EpochKey] = (), *, urgent: bool = False
    ) -> list[Appended]:
        """As `BatchLog.append`, together with what others append at the same time. Durable when this returns.

        `urgent` ones are in the next transaction, and that one is kept short.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Appended]] = loop.create_future()
        (self._urgent if urgent else self._usual).append(_Request(batches, met, answer, loop))
        self._bell.set()
        return await answer

    def close(self) -> None:
        """Write what waits, then end the thread."""
        self._closing = True
        self._bell.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._bell.wait()
            self._bell.clear()
            is_last = self._closing
            while group := self._gather():
                self._commit(group)
            if is_last:
                return

    def _gather(self) -> list[_Request]:
        """What goes into the next transaction."""
        group: list[_Request] = []
        size = 0
        for queue in (self._urgent, self._usual):
            most = _MAX_BESIDE_URGENT if group else _MAX_GROUP
            while queue and len(group) < most and size < _MAX_BYTES:
                group.append(queue.popleft())
                size += _size(group[-1])
        return group

    def _commit(self, group: list[_Request]) -> None:
        try:
            results = self._log.append(
                [batch for request in group for batch in request.batches],
                _now_ms(),
                [key for request in group for key in request.met],
            )
        except LogError as error:
            self.failures += 1
            if len(group) > 1:  # one that cannot be written must not take the others down
                for request in group:
                    self._commit([request])
                return
            _log.error("%s", error)
            _deliver(group[0].loop, [(group[0].answer, error)])
            return
        self.commits += 1
        answers: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[list[Appended]], list[Appended]]]] = {}
        at = 0
        for request in group:
            answers.setdefault(request.loop, []).append((request.answer, results[at : at + len(request.batches)]))
            at += len(request.batches)
        for loop, mine in answers.items():
            _deliver(loop, mine)


def _deliver(
    loop: asyncio.AbstractEventLoop,
    answers: Sequence[tuple[asyncio.Future[list[Appended]], list[Appended] | LogError]],
) -> None:
    """Wake the loop once for all answers. A loop that is gone has nobody left who waits."""
    try:
        loop.call_soon_threadsafe(_settle, answers)
    except RuntimeError:
        _log.debug("the event loop ended before its answers")


def _settle(answers: Sequence[tuple[asyncio.Future[list[Appended]], list[Appended] | LogError]]) -> None:
    for future, answer in answers:
        if future.done():  # the client went away
            continue
        if isinstance(answer, LogError):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _size(request: _Request) -> int:
    return sum(len(batch.payload) for batch in request.batches)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
