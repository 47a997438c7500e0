"""A TCP line that leads to a program and can be cut: what both chaos proxies share."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

HOST = "127.0.0.1"


def until(condition: Callable[[], Any], deadline_s: float, every_s: float = 0.02) -> Any:
    """Wait for something to become true; its value, false if it did not within the time."""
    end = time.monotonic() + deadline_s
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(every_s)
    return value


class CutError(ConnectionError):
    """The proxy ends a connection on purpose."""


class Line:
    """Listens on a port of its own; `_serve` handles one connection in a thread of its own."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.is_away = False
        """Nobody answers: a connection is ended as soon as it is made."""
        self.connections = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._is_closed = False
        self._listening = socket.create_server((HOST, 0), backlog=64)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, name="line", daemon=True).start()

    def cut(self) -> int:
        """Reset all connections; how many there were."""
        with self._lock:
            ends, self._open = self._open, set()
        for end in ends:
            reset(end)
        return len(ends) // 2

    def go_away(self) -> None:
        """Nobody is there, until `come_back`."""
        self.is_away = True
        self.cut()

    def come_back(self) -> None:
        """Somebody is there again."""
        self.is_away = False

    def close(self) -> None:
        """End it all."""
        self._is_closed = True
        self._listening.close()
        self.go_away()

    def reach(self) -> socket.socket:
        """A new connection to the program behind the line, ended with the others. Raises OSError."""
        return self._keep(socket.create_connection((HOST, self.target), timeout=30))

    def _keep(self, end: socket.socket) -> socket.socket:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            if self._is_closed:
                reset(end)
                raise CutError("the line is closed")
            self._open.add(end)
        return end

    def drop(self, *ends: socket.socket | None) -> None:
        """End some of them."""
        with self._lock:
            self._open.difference_update(ends)
        for end in ends:
            if end is not None:
                reset(end)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if self.is_away:
                    reset(client)
                    continue
                self.connections += 1
                threading.Thread(target=self._handle, args=(client,), name="connection", daemon=True).start()

    def _handle(self, client: socket.socket) -> None:
        try:
            self._serve(self._keep(client))
        except (OSError, EOFError):
            pass
        finally:
            self.drop(client)

    def _serve(self, client: socket.socket) -> None:
        raise NotImplementedError


def reset(end: socket.socket) -> None:
    """End a connection without a goodbye."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
    end.close()
