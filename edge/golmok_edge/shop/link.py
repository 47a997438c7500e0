"""The other end of the gateway's unix socket: ask it something, or watch every value it commits.

One JSON object a line in, JSON objects a line out. Whatever keeps the gateway from answering (it is not there, it may
not be read, it hangs, it speaks nonsense) is one error here, `NoGatewayError`, with a line that says which.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

Row: TypeAlias = dict[str, Any]

ANSWER_S: Final = 5.0
"""How long the gateway may take; a day of one channel takes it some milliseconds."""
_LONGEST_LINE: Final = 16 * 1024 * 1024


class NoGatewayError(ConnectionError):
    """The gateway process does not answer; the message says how."""


class Link:
    """The gateway behind the socket at `path`."""

    def __init__(self, path: Path, answer_s: float = ANSWER_S) -> None:
        self.path = path
        self._answer_s = answer_s

    async def ask(self, get: str, **arguments: Any) -> Row:
        """The gateway's answer to one question. Raises `NoGatewayError`."""
        async with self._open({"get": get, **arguments}) as reader:
            return await _line(reader, self._answer_s)

    async def acknowledge(self, alarm: str, by: str) -> Row:
        """Somebody has seen that alarm. Raises `NoGatewayError`."""
        async with self._open({"do": "acknowledge", "alarm": alarm, "by": by}) as reader:
            return await _line(reader, self._answer_s)

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[Row]]:
        """Every value from now on. Raises `NoGatewayError` when the gateway goes."""
        async with self._open({"get": "watch"}) as reader:
            yield _lines(reader)

    @asynccontextmanager
    async def _open(self, question: Row) -> AsyncIterator[asyncio.StreamReader]:
        try:
            async with asyncio.timeout(self._answer_s):
                reader, writer = await asyncio.open_unix_connection(self.path, limit=_LONGEST_LINE)
        except (OSError, TimeoutError) as error:
            raise NoGatewayError(_why(self.path, error)) from None
        try:
            writer.write(json.dumps(question).encode() + b"\n")
            yield reader
        finally:
            writer.close()


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[Row]:
    while True:
        yield await _line(reader, None)


async def _line(reader: asyncio.StreamReader, patience_s: float | None) -> Row:
    try:
        async with asyncio.timeout(patience_s):
            line = await reader.readline()
        row = json.loads(line) if line else None
    except TimeoutError:
        raise NoGatewayError(f"the gateway has not answered for {patience_s:g} s") from None
    except (OSError, ValueError) as error:
        raise NoGatewayError(f"the gateway's answer cannot be read: {error}") from None
    if not isinstance(row, dict):
        raise NoGatewayError("the gateway has closed the connection")
    if "error" in row:
        raise NoGatewayError(f"the gateway refused: {row['error']}")
    return row


def _why(path: Path, error: OSError | TimeoutError) -> str:
    match error:
        case FileNotFoundError() | ConnectionRefusedError():
            return f"the gateway is not running (nobody listens at {path})"
        case PermissionError():
            return f"{path} may not be opened; run golmok-shop as the user that runs golmok-gateway"
        case _:
            return f"the gateway cannot be reached at {path}: {error or 'no answer'}"
