"""The chaos proxy between gateway and cloud. It knows where a request and its reply begin and end, and nothing more.

What goes wrong is an `Act`: it is given each exchange in place of passing it on. An act that ends the connection
raises `CutError`.
"""

from __future__ import annotations

import random
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from .line import CutError, Line

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_COPIES: Final = 8
_TELLS_TIME_S: Final = 1.0
"""A reply that took longer leaves the time uncertain by half a second and more."""


@dataclass
class Exchange:
    """One request on its way, and the two ends."""

    line: HttpLine
    client: socket.socket
    server: socket.socket
    request: bytes
    began: float = field(default_factory=time.monotonic)

    def ask(self) -> bytes:
        """Hand the request over; the whole reply."""
        self.server.sendall(self.request)
        return self.hear()

    def hear(self) -> bytes:
        """The whole reply to what was handed over."""
        if reply := read_message(self.server):
            return reply
        raise CutError("the server is gone")

    def answer(self, reply: bytes) -> None:
        """Bring the reply back."""
        if self.has_payload:
            self.line.carried.append(self.request)
        self.client.sendall(reply)
        self.line.heard(reply, time.monotonic() - self.began)

    @property
    def payload_at(self) -> int:
        """Where the payloads of the frames, or the bytes of a file, begin; the request's end if it carries none."""
        body = self.request.index(b"\r\n\r\n") + 4
        return self.request.index(b"\n", body) + 1 if self.request.startswith(b"POST /v1/sync ") else body

    @property
    def has_payload(self) -> bool:
        """Whether it brings any records."""
        return self.payload_at < len(self.request)


Act = Callable[[Exchange], None]


@dataclass
class Trouble:
    """What is done to the next exchanges, and how often it was."""

    act: Act
    times: int
    needs_payload: bool = True
    done: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_over(self) -> bool:
        """Whether it has happened as often as it should."""
        return self.done >= self.times

    def is_for(self, exchange: Exchange) -> bool:
        """Whether this exchange is to suffer it; counted if so."""
        with self.lock:
            if self.is_over or (self.needs_payload and not exchange.has_payload):
                return False
            self.done += 1
            return True


class HttpLine(Line):
    """Leads to the cloud's port."""

    def __init__(self, target: int, on_time: Callable[[], None] = lambda: None) -> None:
        self.replies = 0
        """Replies that came back whole and said 200 or 409."""
        self.carried: deque[bytes] = deque(maxlen=8)
        """The last requests that brought records and were answered."""
        self._on_time = on_time
        self._trouble: Trouble | None = None
        super().__init__(target)

    def afflict(self, act: Act, times: int = 1, *, needs_payload: bool = True) -> Trouble:
        """Do `act` to the next exchanges."""
        self._trouble = Trouble(act, times, needs_payload)
        return self._trouble

    def calm(self) -> None:
        """No more trouble."""
        self._trouble = None

    def heard(self, reply: bytes, took_s: float) -> None:
        """A reply went back; it tells the time the better the less the exchange took."""
        if reply[9:12] in (b"200", b"409"):
            self.replies += 1
            if took_s < _TELLS_TIME_S:
                self._on_time()

    def _serve(self, client: socket.socket) -> None:
        server = None
        try:
            while request := read_message(client):
                server = server or self.reach()
                exchange, trouble = Exchange(self, client, server, request), self._trouble
                if trouble and trouble.is_for(exchange):
                    trouble.act(exchange)
                else:
                    exchange.answer(exchange.ask())
        finally:
            self.drop(server)


# --- what can go wrong ------------------------------------------------------------------------------------------


def late(chance: random.Random) -> Act:
    """Both ways take up to 0.4 s."""

    def act(exchange: Exchange) -> None:
        time.sleep(chance.uniform(0.05, 0.4))
        reply = exchange.ask()
        time.sleep(chance.uniform(0.05, 0.4))
        exchange.answer(reply)

    return act


def slow(bytes_per_s: float) -> Act:
    """A thin line."""

    def act(exchange: Exchange) -> None:
        for at in range(0, len(exchange.request), 256):
            exchange.server.sendall(exchange.request[at : at + 256])
            time.sleep(256 / bytes_per_s)
        exchange.answer(exchange.hear())

    return act


def cut_request(chance: random.Random) -> Act:
    """Ends in the middle of the request."""

    def act(exchange: Exchange) -> None:
        exchange.server.sendall(exchange.request[: chance.randrange(1, len(exchange.request))])
        raise CutError

    return act


def cut_reply(chance: random.Random) -> Act:
    """The request arrives; the reply ends in the middle."""

    def act(exchange: Exchange) -> None:
        reply = exchange.ask()
        exchange.client.sendall(reply[: chance.randrange(1, len(reply))])
        raise CutError

    return act


def swallow_reply(exchange: Exchange) -> None:
    """The request arrives; nothing of the reply does."""
    exchange.ask()
    raise CutError


def hole(until: threading.Event) -> Act:
    """The request disappears, and so does all that follows on this connection, until `until`."""

    def act(exchange: Exchange) -> None:
        until.wait(60)
        raise CutError

    return act


class Overtaken:
    """A request hangs somewhere; its sender tries again with less; then the first one arrives after all."""

    TIMES: Final = 4
    """The request, what the sender tries at once, one try with half of it, and the one that overtakes it."""

    def __init__(self) -> None:
        self._requests: list[bytes] = []

    def __call__(self, exchange: Exchange) -> None:
        self._requests.append(exchange.request)
        if len(self._requests) < self.TIMES:
            raise CutError
        reply = exchange.ask()
        again(exchange.line, self._requests[0])
        exchange.answer(reply)


def twice(chance: random.Random) -> Act:
    """The same bytes come on a second connection as well: at the same time, or when others have followed."""

    def act(exchange: Exchange) -> None:
        wait_s = chance.choice((0.0, 0.0, chance.uniform(0.2, 1.2)))
        double = threading.Thread(target=again, args=(exchange.line, exchange.request, wait_s), daemon=True)
        double.start()
        exchange.answer(exchange.ask())
        if not wait_s:
            double.join(10)

    return act


def damage(chance: random.Random) -> Act:
    """Bits of the payload flip: the server gets some damaged copies on other connections, then it gets the true one.

    Every fourth time only a damaged one arrives, as where a line damages what passes. Payloads only: the heads have
    no checksum of their own, since https protects them.
    """

    def act(exchange: Exchange) -> None:
        whole = exchange.request
        for _ in range(_COPIES):
            again(exchange.line, _flipped(whole, exchange.payload_at, chance))
        if chance.random() < 0.25:
            exchange.request = _flipped(whole, exchange.payload_at, chance)
        exchange.answer(exchange.ask())

    return act


def _flipped(request: bytes, begin: int, chance: random.Random) -> bytes:
    damaged = bytearray(request)
    damaged[chance.randrange(begin, len(request))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def again(line: HttpLine, request: bytes, wait_s: float = 0.0) -> None:
    """Bring a request on a connection of its own; nobody hears the reply."""
    time.sleep(wait_s)
    try:
        server = line.reach()
    except OSError:
        return
    try:
        server.sendall(request)
        read_message(server)
    except OSError:
        pass
    finally:
        line.drop(server)


def read_message(end: socket.socket) -> bytes:
    """A whole HTTP message with Content-Length; empty at the end. Raises `CutError` in the middle of one."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = end.recv(65_536)
        if not piece:
            if data:
                raise CutError("ended in the middle of a head")
            return b""
        data += piece
    head = data.index(b"\r\n\r\n")
    found = _LENGTH.search(data[:head])
    size = head + 4 + (int(found[1]) if found else 0)
    while len(data) < size:
        piece = end.recv(65_536)
        if not piece:
            raise CutError("ended in the middle of a body")
        data += piece
    return data
