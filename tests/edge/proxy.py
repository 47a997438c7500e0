"""A TCP proxy between the gateway and its broker that misbehaves as told: swallows packets, holds all back, cuts."""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

PUBLISH: Final = 3
PUBACK: Final = 4


class ChaosProxy:
    """Leads to the port `target`. What the client sends passes packet by packet (MQTT), what it gets as it comes."""

    def __init__(self, target: int) -> None:
        self.swallows: set[int] = set()
        """Types of packets of the client that never arrive."""
        self.passed: Counter[int] = Counter()
        """How many packets of the client arrived, by type."""
        self.cuts = 0
        self._target = target
        self._may_pass = threading.Event()
        self._may_pass.set()
        self._left = -1
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """Let nothing pass, in either direction, and lose nothing."""
        self._may_pass.clear()

    def let_go(self) -> None:
        """Let pass what was held."""
        self._may_pass.set()

    def cut(self) -> None:
        """End all connections, without a goodbye."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        self.cuts += len(pairs)
        for pair in pairs:
            for end in pair:
                _reset(end)

    def cut_after(self, size: int) -> None:
        """End all connections when the client has got so many bytes more."""
        with self._lock:
            self._left = size

    def close(self) -> None:
        """End it all."""
        self._listening.close()
        self.let_go()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    broker = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    client.close()
                    continue
                with self._lock:
                    self._pairs.append((client, broker))
                threading.Thread(target=self._send, args=(client, broker), daemon=True).start()
                threading.Thread(target=self._bring, args=(broker, client), daemon=True).start()

    def _send(self, client: socket.socket, broker: socket.socket) -> None:
        with suppress(OSError):
            for packet in _packets(client):
                self._may_pass.wait()
                kind = packet[0] >> 4
                if kind not in self.swallows:
                    broker.sendall(packet)
                    self.passed[kind] += 1
            broker.shutdown(socket.SHUT_WR)

    def _bring(self, broker: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := broker.recv(4096):
                self._may_pass.wait()
                client.sendall(data)
                if self._is_due(len(data)):
                    self.cut()
            client.shutdown(socket.SHUT_WR)

    def _is_due(self, size: int) -> bool:
        with self._lock:
            if self._left < 0:
                return False
            self._left = max(-1, self._left - size)
            return self._left < 0


def _packets(client: socket.socket) -> Iterator[bytes]:
    """Whole MQTT packets (MQTT 5, 2.1): a byte, a length of one to four bytes, the rest."""
    buffer = b""
    while data := client.recv(65_536):
        buffer += data
        while (size := _size(buffer)) and len(buffer) >= size:
            yield buffer[:size]
            buffer = buffer[size:]


def _size(buffer: bytes) -> int:
    """The size of the packet that `buffer` begins with; 0 while that is not known."""
    length = 0
    for at, byte in enumerate(buffer[1:5]):
        length |= (byte & 0x7F) << (7 * at)
        if byte < 0x80:
            return 2 + at + length
    return 0


def _reset(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
    end.close()
