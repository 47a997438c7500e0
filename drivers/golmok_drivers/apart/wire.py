"""What goes over the line between the gateway and a driver's process: messages as bytes, errors as words.

A message is a list [number, kind, …] in msgpack behind its length. Nothing in it is believed before it is looked at:
at the other end is code of anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from golmok_drivers import errors
from golmok_drivers.errors import DriverError, DriverLeaks, DriverRaises, DriverTalksNonsense

Message: TypeAlias = list[Any]

MOST_BYTES: Final = 2 * 1024 * 1024
"""Of one message. The longest that has a meaning are 5,000 readings."""
LONGEST_TEXT: Final = 500
_HEAD: Final = 4
_REASON: Final = re.compile(r"[a-z0-9-]{1,32}")


class Reported(DriverError):  # noqa: N818  # as its siblings in `errors`
    """An error of a class that only the driver knows, with the reason that it stated."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason  # type: ignore[misc]  # of the class elsewhere; here each stands for another class


def packed(message: Sequence[Any]) -> bytes:
    """The message as it goes over the line; raises `DriverTalksNonsense` if it cannot."""
    try:
        body = msgspec.msgpack.encode(message)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DriverTalksNonsense(f"what it gave cannot be handed over: {str(error)[:LONGEST_TEXT]}") from None
    if len(body) > MOST_BYTES:
        raise DriverTalksNonsense(f"what it gave has {len(body):,} bytes")
    return len(body).to_bytes(_HEAD, "big") + body


class Unpacker:
    """Finds the messages in what comes over the line."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole now; raises `DriverTalksNonsense`."""
        self._rest += data
        while len(self._rest) >= _HEAD:
            size = int.from_bytes(self._rest[:_HEAD], "big")
            if size > MOST_BYTES:
                raise DriverTalksNonsense("it writes into the line to the gateway")
            if len(self._rest) < _HEAD + size:
                return
            body = bytes(self._rest[_HEAD : _HEAD + size])
            del self._rest[: _HEAD + size]
            yield _message(body)


def _message(body: bytes) -> Message:
    try:
        message = msgspec.msgpack.decode(body, type=list[Any])
    except (msgspec.MsgspecError, RecursionError):
        raise DriverTalksNonsense("it writes into the line to the gateway") from None
    if len(message) < 2 or not isinstance(message[0], int) or not isinstance(message[1], str):
        raise DriverTalksNonsense("it writes into the line to the gateway")
    return message


def told(error: BaseException) -> tuple[str, str, str]:
    """An error in words: the nearest class that both ends know, reason, text. What is no `DriverError`: it raised."""
    if isinstance(error, MemoryError) and not isinstance(error, DriverError):
        return DriverLeaks.__name__, DriverLeaks.reason, "it wants more memory than it may have"
    if not isinstance(error, DriverError):
        return DriverRaises.__name__, DriverRaises.reason, f"{type(error).__name__}: {_text(error)}"[:LONGEST_TEXT]
    known = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    reason = error.reason if isinstance(error.reason, str) else ""
    return known, reason, _text(error)


def error_of(known: Any, reason: Any, text: Any) -> DriverError:
    """The error again."""
    kind = getattr(errors, known, None) if isinstance(known, str) else None
    said = str(text)[:LONGEST_TEXT]
    if not (isinstance(kind, type) and issubclass(kind, DriverError)):
        return DriverTalksNonsense("it reports an error that is none")
    if reason == kind.reason or not isinstance(reason, str) or not _REASON.fullmatch(reason):
        return kind(said)
    return Reported(reason, said)


def _text(error: BaseException) -> str:
    try:
        return str(error)[:LONGEST_TEXT]
    except Exception:  # noqa: BLE001  # an error of anybody's need not even have a text
        return "?"
