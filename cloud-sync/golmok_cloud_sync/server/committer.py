"""One thread writes the log, and takes everything that waits into one transaction.

An fsync costs the same for one request as for a hundred. While one commit is on its way to the disk, requests
gather; the next commit takes them all. Nobody is answered before the commit that holds his batches has returned.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final

from golmok_cloud_sync.server.log import Appended, Batch, BatchLog, EpochKey, LogError

_MAX_GROUP: Final = 512
"""Requests in one transaction."""
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
        self._waiting: SimpleQueue[_Request | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="committer", daemon=True)
        self.commits = 0
        """Transactions so far."""
        self.failures = 0
        """Transactions that the disk or the database refused."""
        self._thread.start()

    async def append(self, batches: Sequence[Batch], met: Sequence[EpochKey] = ()) -> list[Appended]:
        """As `BatchLog.append`, together with what others append at the same time. Durable when this returns."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Appended]] = loop.create_future()
        self._waiting.put(_Request(batches, met, answer, loop))
        return await answer

    def close(self) -> None:
        """Write what waits, then end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            group, ends = self._gather(first)
            self._commit(group)
            if ends:
                return

    def _gather(self, first: _Request) -> tuple[list[_Request], bool]:
        group = [first]
        size = _size(first)
        while len(group) < _MAX_GROUP and size < _MAX_BYTES:
            try:
                request = self._waiting.get_nowait()
            except Empty:
                break
            if request is None:
                return group, True
            group.append(request)
            size += _size(request)
        return group, False

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
