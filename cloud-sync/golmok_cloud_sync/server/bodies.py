"""The body of a request, read with an eye on the clock: who sends a byte a second holds a place for nothing.

The server waits somewhat longer than a gateway does (30 s), and for large bodies as long as a slow line needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.types import Message, Receive

from golmok_cloud_sync.protocol import MAX_REQUEST
from golmok_cloud_sync.server.admission import TurnedAwayError
from golmok_cloud_sync.server.problems import ProblemError

GRACE_S: Final = 35.0
LEAST_BYTES_PER_S: Final = 32 << 10
_NONE_TOLD: Final = b""


def told_length(headers: dict[bytes, bytes]) -> int | None:
    """What the head says of the body's length; None if it says nothing. Raises 413 if that is too much."""
    told = headers.get(b"content-length", _NONE_TOLD)
    if told == _NONE_TOLD:
        return None if b"transfer-encoding" in headers else 0
    if not told.isdigit() or int(told[:20]) > MAX_REQUEST:
        raise too_large()
    return int(told)


def deadline(length: int | None) -> asyncio.Timeout:
    """Until when a body of so many bytes must be here."""
    return asyncio.timeout(GRACE_S + (MAX_REQUEST if length is None else length) / LEAST_BYTES_PER_S)


async def read(receive: Receive, on_bytes: Callable[[int], None]) -> bytes | None:
    """The body; None if the client went away. `on_bytes` hears how much there is so far. Raises 413."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.request" and not message.get("more_body"):
        return body
    pieces, size = [body], len(body)
    while message["type"] == "http.request" and message.get("more_body"):
        on_bytes(size)
        message = await receive()
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > MAX_REQUEST:
            raise too_large()
    return b"".join(pieces) if message["type"] == "http.request" else None


async def pass_over(receive: Receive, length: int | None) -> bool:
    """Read the body and keep nothing of it, so that its sender comes to read the answer; whether it all came.

    To close at once would be cheaper, but what is still on its way would then reset the connection, and the answer
    with it.
    """
    size = 0
    try:
        async with deadline(length):
            while size <= MAX_REQUEST:
                more, here = _sizes(await receive())
                if more is None:
                    return False
                size += here
                if not more:
                    return True
    except TimeoutError:
        return False
    return False


def _sizes(message: Message) -> tuple[bool | None, int]:
    """Whether more follows (None: the client is gone), and how much this was. Nothing of it is held while we wait."""
    more = message.get("more_body", False) if message["type"] == "http.request" else None
    return more, len(message.get("body", b""))


def too_large() -> ProblemError:
    """More than any request may have."""
    return ProblemError(
        413,
        f"a request may have at most {MAX_REQUEST} bytes",
        remedy="send fewer frames at a time",
        headers={"Connection": "close"},
    )


def too_slow() -> ProblemError:
    """The rest of the body did not come in time."""
    return ProblemError(
        408,
        "the body did not come in time; nothing of this request was taken",
        remedy="send less at a time",
        headers={"Connection": "close"},
    )


def come_again(away: TurnedAwayError, *, close: bool) -> ProblemError:
    """429, with the moment to come again: whole seconds in the header, as HTTP has it, and exactly beside it."""
    headers = {"Retry-After": str(-int(-away.retry_after_s // 1))}
    if close:
        headers["Connection"] = "close"
    return ProblemError(
        429,
        away.detail,
        remedy="send it again after the time that Retry-After says",
        headers=headers,
        retry_after_s=round(away.retry_after_s, 3),
        reason=away.reason,
    )
