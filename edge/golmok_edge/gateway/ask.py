"""The gateway's unix socket: one JSON object a line in, JSON objects a line out.

`{"get": "status"}`, `{"get": "latest"}`, `{"get": "history", "channel", "from_ms", "to_ms", "points"}` are answered
with one line; `{"get": "watch"}` stays open and brings a line for each committed value. What is not understood is
answered with `{"error"}`. Only this user may connect.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from golmok_edge.gateway.address import make_room
from golmok_edge.gateway.live import Live
from golmok_edge.gateway.past import Past

_LONGEST_QUESTION: Final = 4096
_MOST_POINTS: Final = 10_000
_MOST_ASKERS: Final = 64


class AskServer:
    """Answers on the socket until `close`."""

    def __init__(self, path: Path, status: Callable[[], Awaitable[dict[str, Any]]], live: Live, past: Past) -> None:
        self.path = path
        self._status, self._live, self._past = status, live, past
        self._server: asyncio.Server | None = None
        self._askers: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Listen. Raises OSError."""
        make_room(self.path)
        self._server = await asyncio.start_unix_server(self._serve, self.path, limit=_LONGEST_QUESTION)
        self.path.chmod(0o600)

    async def close(self) -> None:
        """End all conversations."""
        if self._server:
            self._server.close()
            for asker in list(self._askers):
                asker.cancel()
            await asyncio.gather(*self._askers, return_exceptions=True)
            self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._askers.add(task)
        try:
            if len(self._askers) > _MOST_ASKERS:
                await _say(writer, {"error": "too many ask at once"})
                return
            while line := await reader.readline():
                await self._answer(line, writer)
        except (ConnectionError, ValueError):
            pass  # he has gone, or his line has no end
        finally:
            self._askers.discard(task)
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            question = json.loads(line)
            match question:
                case {"get": "status"}:
                    await _say(writer, await self._status())
                case {"get": "latest"}:
                    await _say(writer, {"channels": self._live.rows()})
                case {"get": "history", "channel": str(channel), "from_ms": int(a), "to_ms": int(b), "points": int(n)}:
                    if not (0 < n <= _MOST_POINTS and 0 <= a < b < 2**53):
                        raise ValueError(f"points must be 1 to {_MOST_POINTS}, and from_ms before to_ms")
                    await _say(writer, await asyncio.to_thread(self._past.chart, channel, a, b, n))
                case {"get": "watch"}:
                    await self._watch(writer)
                case _:
                    raise ValueError("ask for status, latest, history (channel, from_ms, to_ms, points) or watch")
        except (ValueError, RecursionError) as error:
            await _say(writer, {"error": str(error)})

    async def _watch(self, writer: asyncio.StreamWriter) -> None:
        with self._live.watch() as rows:
            while (row := await rows.get()) is not None:
                await _say(writer, row)


async def _say(writer: asyncio.StreamWriter, row: dict[str, Any]) -> None:
    writer.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")
    await writer.drain()
