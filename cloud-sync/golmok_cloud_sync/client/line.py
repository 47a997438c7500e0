"""One kept HTTP connection to one server.

By the standard library: httpx drags in click, rich and pygments where they are installed (14 MB of a gateway's 40),
urllib3 takes 4 MB, and neither is asked for anything here but what `http.client` does.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from email.message import Message
from typing import Final, NamedTuple
from urllib.parse import urlsplit

MOST_ANSWER: Final = 1 << 20
"""Bytes of an answer that are looked at. Something in between may answer with anything."""
_STALE: Final = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)

_LESSER: Final = 0x04
"""RFC 8622: routers that know it let everything else go first."""
_LESSER_BUFFER: Final = 64 << 10
"""What waits in this machine's own buffers cannot be overtaken."""


class LineError(OSError):
    """No answer came; the message says why."""


class NobodyThereError(LineError):
    """No connection came about, which says nothing of how much the line can carry."""


class Answer(NamedTuple):
    """What came back, whatever its status."""

    status: int
    reason: str
    headers: Message
    body: bytes


class Line:
    """Asks `url`, http or https, on one connection that is made when it is needed.

    `lesser`: what goes here gives way to all else, as far as the network heeds that.
    """

    def __init__(self, url: str, *, lesser: bool = False) -> None:
        self._lesser = lesser
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._target = parts.path or "/"
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, headers: Mapping[str, str], connect_s: float, answer_s: float) -> Answer:
        """The answer to a POST to `url` itself."""
        return self.ask("POST", self._target, body, headers, connect_s=connect_s, answer_s=answer_s)

    def ask(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str], *, connect_s: float, answer_s: float
    ) -> Answer:
        """The answer. Raises `LineError`. A body may have been taken though no answer came."""
        is_kept = self._connection is not None
        try:
            return self._ask(method, target, body, headers, connect_s, answer_s)
        except _STALE as error:
            self.close()
            if not is_kept:
                raise LineError(f"the connection was cut: {error}") from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise error if isinstance(error, LineError) else LineError(_why(error)) from error
        except ValueError:  # a header that cannot be sent: nothing else can be sent after half a request
            self.close()
            raise
        # The server had closed the kept connection meanwhile, which only shows when it is used.
        return self.ask(method, target, body, headers, connect_s=connect_s, answer_s=answer_s)

    def close(self) -> None:
        """Give the connection up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str], connect_s: float, answer_s: float
    ) -> Answer:
        connection = self._connection = self._connection or self._connect(connect_s)
        connection.sock.settimeout(answer_s)
        connection.request(method, target, body, dict(headers))
        response = connection.getresponse()
        answer = Answer(response.status, response.reason, response.headers, response.read(MOST_ANSWER))
        if not response.isclosed() or response.will_close:
            self.close()
        return answer

    def _connect(self, connect_s: float) -> http.client.HTTPConnection:
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=connect_s)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=connect_s, context=self._tls)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise NobodyThereError(_why(error)) from error
        if self._lesser:
            _give_way(connection.sock)
        return connection


def _give_way(end: socket.socket) -> None:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LESSER_BUFFER)
    if end.family == socket.AF_INET6:
        end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _LESSER)
    else:
        end.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _LESSER)


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
