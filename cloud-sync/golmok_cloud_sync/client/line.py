"""One kept HTTP connection, for posting to one address.

By the standard library: httpx drags in click, rich and pygments where they are installed (14 MB of a gateway's 40),
urllib3 takes 4 MB, and neither is asked for anything here but what `http.client` does.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from email.message import Message
from typing import Final, NamedTuple
from urllib.parse import urlsplit

MOST_ANSWER: Final = 1 << 20
"""Bytes of an answer that are looked at. Something in between may answer with anything."""
_STALE: Final = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


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
    """Posts to `url`, http or https, on one connection that is made when it is needed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._target = parts.path or "/"
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, headers: Mapping[str, str], connect_s: float, answer_s: float) -> Answer:
        """The answer. Raises `LineError`. A body may have been taken though no answer came."""
        is_kept = self._connection is not None
        try:
            return self._post(body, headers, connect_s, answer_s)
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
        return self.post(body, headers, connect_s, answer_s)

    def close(self) -> None:
        """Give the connection up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, body: bytes, headers: Mapping[str, str], connect_s: float, answer_s: float) -> Answer:
        connection = self._connection = self._connection or self._connect(connect_s)
        connection.sock.settimeout(answer_s)
        connection.request("POST", self._target, body, dict(headers))
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
        return connection


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
