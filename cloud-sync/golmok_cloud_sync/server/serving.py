"""The app under uvicorn: connections that stay, and an end within a second or two whatever is still open."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn

from golmok_cloud_sync.notify import Config
from golmok_cloud_sync.server.accepting import Acceptor
from golmok_cloud_sync.server.app import Cloud, build
from golmok_cloud_sync.server.file_store import FileStore
from golmok_cloud_sync.server.log import BatchLog
from golmok_cloud_sync.server.registry import Registry
from golmok_cloud_sync.server.room import Limits

_KEEP_ALIVE_S: Final = 180
"""Longer than the usual pace: a gateway that had to connect anew each time would cost three times as much."""
_END_S: Final = 1
_MOST_FILES: Final = 1 << 18
_SWITCH_S: Final = 0.0005
"""How long a thread that computes keeps others from it. The committer asks for a turn at every statement: at Python's
5 ms a commit of a hundred batches took a second while the event loop was busy, and all orders in it as well."""
_OWN_FILES: Final = 128
"""For the log, its readers and what else needs a file; who connects beyond what is left is answered 503."""


def serve(
    log: BatchLog,
    registry: Registry,
    files: FileStore,
    listener: socket.socket,
    *,
    is_open: bool,
    limits: Limits,
    notify: Config | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; then close `log` and `registry`. Raises `ConfigError` of `notify`."""
    sys.setswitchinterval(_SWITCH_S)
    most = raise_open_files() - _OWN_FILES
    _Server(build(log, registry, files, is_open=is_open, limits=limits, notify=notify), most).run([listener])


def raise_open_files() -> int:
    """Every gateway holds a connection, and 1,024 open files are the usual limit; how many there may be now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        soft = min(hard, _MOST_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


class _Server(uvicorn.Server):
    """Ends the streams that would never end by themselves before it waits for connections to end."""

    def __init__(self, cloud: Cloud, most_connections: int) -> None:
        super().__init__(
            uvicorn.Config(
                cloud,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_END_S,
                access_log=False,
                log_level="warning",
                server_header=False,
                limit_concurrency=most_connections,
            )
        )
        self._cloud = cloud

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but to be told to end is no failure: it would raise the signal again at the end."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, with our way of taking connections."""
        await super().startup(sockets=[])
        self.servers += [Acceptor(listener, self._protocol) for listener in sockets or []]  # type: ignore[misc]  # closes as one

    def _protocol(self) -> asyncio.Protocol:
        kind: Any = self.config.http_protocol_class
        made: asyncio.Protocol = kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        return made

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._cloud.end_streams()
        await super().shutdown(sockets)
