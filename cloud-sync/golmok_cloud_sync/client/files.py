"""Whole files to the cloud, by tus 1.0.0: announce one, send a piece, rest.

A piece is what the line carries in about a second, and after each the line is left alone for as long as the piece
took. So nothing waits more than about a second behind a file, and half of the line stays free of it, whatever the line
is. For the rest files give way by the network's own means (`Line`, `lesser`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from golmok_cloud_sync.protocol.tus import MISMATCH, PIECE_TYPE, TUS, FileHead, checksum

from .answers import problem_of, retry_after_s
from .line import Answer, Line, LineError

CONNECT_S: Final = 5.0
ANSWER_S: Final = 30.0
LEAST_PIECE: Final = 16 << 10
MOST_PIECE: Final = 1 << 20
"""As much as the usual proxies let through."""
_AIM_S: Final = 1.0
_MOST_REST_S: Final = 10.0


class Place(NamedTuple):
    """Where the bytes of an announced file go, and how many are there."""

    target: str
    offset: int


class TurnedAwayError(OSError):
    """The cloud did not do what it was asked; `status` says what kind of no that is."""

    def __init__(self, status: int, detail: str, retry_after_s: float = 0.0) -> None:
        super().__init__(f"HTTP {status}: {detail}")
        self.status = status
        self.retry_after_s = retry_after_s


class AskAgainError(OSError):
    """The cloud has more, less or nothing of the file: announce it again, and go on from there."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.was_damaged = status == MISMATCH


_AGAIN: Final = frozenset({404, 409, 410, MISMATCH})


@dataclass(slots=True)
class Stint:
    """How much to send at once, and how long to rest."""

    size: int = LEAST_PIECE

    def took(self, size: int, seconds: float) -> float:
        """A piece is there; the seconds to rest now."""
        fitting = int(size / max(seconds, 0.001) * _AIM_S)
        self.size = max(LEAST_PIECE, min(fitting, 2 * size, MOST_PIECE))
        return min(seconds, _MOST_REST_S)

    def failed(self) -> None:
        """It did not come through: try less."""
        self.size = max(LEAST_PIECE, self.size // 2)


class FileClient:
    """Speaks with the cloud at `url` for `gateway`. Every method raises `LineError` where no answer comes."""

    def __init__(
        self, url: str, gateway: str, *, token: Callable[[], str | None] = lambda: None, answer_s: float = ANSWER_S
    ) -> None:
        self._url = f"{url.rstrip('/')}/v1/files/{gateway}"
        self._token, self._answer_s = token, answer_s
        self._line = Line(self._url, lesser=True)

    def announce(self, head: FileHead) -> Place:
        """A place for the file; the one it has if it was announced before. Raises as `push` does."""
        told = {"Upload-Length": str(head.size), "Upload-Metadata": head.metadata()}
        answer = self._ask("POST", urlsplit(self._url).path, told)
        if answer.status == MISMATCH:
            raise AskAgainError(answer.status, problem_of(answer))
        if answer.status != 201:
            raise _turned_away(answer)
        target = self._target(answer.headers.get("Location", ""))
        if "Upload-Offset" not in answer.headers:  # other servers than ours
            answer = self._ask("HEAD", target, {})
            if answer.status != 200:
                raise _turned_away(answer)
        return Place(target, _offset(answer))

    def push(self, place: Place, piece: bytes) -> Place:
        """A piece is on the cloud's disk. Raises `TurnedAwayError`, `AskAgainError`."""
        told = {"Upload-Offset": str(place.offset), "Content-Type": PIECE_TYPE, "Upload-Checksum": checksum(piece)}
        answer = self._ask("PATCH", place.target, told, piece)
        if answer.status in _AGAIN:
            raise AskAgainError(answer.status, problem_of(answer))
        if answer.status != 204:
            raise _turned_away(answer)
        if (offset := _offset(answer)) <= place.offset:
            raise AskAgainError(answer.status, f"it is still at byte {offset}")
        return place._replace(offset=offset)

    def close(self) -> None:
        """Give the connection up."""
        self._line.close()

    def _ask(self, method: str, target: str, told: Mapping[str, str], body: bytes = b"") -> Answer:
        headers = {"Tus-Resumable": TUS, **told}
        if token := self._token():  # asked each time: it may come, or be another, while we run
            if not (token.isascii() and token.isprintable()):
                raise TurnedAwayError(401, "the token cannot be sent: look at token_file")
            headers["Authorization"] = f"Bearer {token}"
        connect_s = min(CONNECT_S, self._answer_s)
        return self._line.ask(method, target, body, headers, connect_s=connect_s, answer_s=self._answer_s)

    def _target(self, location: str) -> str:
        """What to ask for; the token goes to no other server."""
        here, there = urlsplit(self._url), urlsplit(urljoin(self._url, location))
        if not location or (there.scheme, there.netloc) != (here.scheme, here.netloc):
            raise LineError(f"the cloud answered with a place elsewhere: {location!r:.100}")
        return there.path


def _offset(answer: Answer) -> int:
    told = answer.headers.get("Upload-Offset", "")
    if not (told.isascii() and told.isdigit()):
        raise LineError(f"no answer of tus: Upload-Offset is {told!r:.40}")
    return int(told)


def _turned_away(answer: Answer) -> TurnedAwayError:
    return TurnedAwayError(answer.status, problem_of(answer), retry_after_s(answer))
