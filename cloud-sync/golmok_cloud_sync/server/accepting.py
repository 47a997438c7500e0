"""Takes new connections many at a time.

uvloop takes one in each round of the event loop. In a storm a round lasts tens of milliseconds, and whoever connects
then, be it with an order, would wait behind all the others for minutes (measured: 200 connections took 202 rounds).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, Final

_AT_ONCE: Final = 256
"""In one round: what is sent on those that are there must be read, too."""
_RECEIVE_BYTES: Final = 32 << 10
"""What the system keeps of a connection until it is read, so that no more than that is read at once. With its usual
size 2,000 connections that send all they can took 1.1 GB, whether they were let in or not."""
_PAUSE_S: Final = 0.5
"""Where the system gives no more: it would say so in every round."""
_log = logging.getLogger(__name__)


class Acceptor:
    """Listens on `listener` and gives each connection a protocol of its own. Closes as asyncio's servers do."""

    def __init__(self, listener: socket.socket, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._listener, self._make_protocol = listener, make_protocol
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[Any]] = set()
        self._pause: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Take no more."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)

    async def wait_closed(self) -> None:
        """There is nothing to wait for."""

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.error("no connection can be taken: %s", error)
                self._loop.remove_reader(self._listener)
                self._pause = self._loop.call_later(_PAUSE_S, self._listen)
                return
            self._open(connection)

    def _open(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._make_protocol, connection))
        self._opening.add(task)
        task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[Any]) -> None:
        self._opening.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("a connection ended at once: %s", error)
