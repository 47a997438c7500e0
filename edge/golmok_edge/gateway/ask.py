"""The gateway's unix socket: one JSON object a line in, JSON objects a line out.

`{"get": "status"}`, `{"get": "latest"}`, `{"get": "history", "channel", "from_ms", "to_ms", "points"}` are answered
with one line, and so is `{"get": "gaps"}`, with `channel`, `from_ms` and `to_ms` if wanted; `{"get": "watch"}` stays
open and brings a line for each committed value, until the asker ends his half of the line. `{"get": "alarms"}` lists
alarms. Two things are done for who asks: `{"do": "acknowledge", "alarm", "by"}` notes that an alarm was seen,
`{"do": "command", "device", "value"}` tells an output what to do. What is not understood is answered with `{"error"}`.
Only this user may connect.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from golmok_drivers.api import DriverError, Value
from golmok_edge.gateway.address import make_room
from golmok_edge.gateway.live import Live
from golmok_edge.gateway.past import Past
from golmok_edge.store import StoreError

_HELP: Final = "ask for status, latest, history (channel, from_ms, to_ms, points), gaps, alarms or watch"
_LONGEST_QUESTION: Final = 4096
_MOST_POINTS: Final = 10_000
_MOST_ASKERS: Final = 64
PATIENCE_S: Final = 10.0
"""An asker who does not take his answer for so long is let go: what he has not read is in our memory."""


class Alarms(Protocol):
    """What is told of alarms, and who is told that one was seen."""

    def rows(self) -> list[dict[str, Any]]:
        """The open ones, the newest first, and then those that are over."""

    def acknowledge(self, which: str, by: str) -> dict[str, Any]:
        """Somebody has seen it; raises LookupError."""


_Status = Callable[[], Awaitable[dict[str, Any]]]
_Command = Callable[[str, Value], Awaitable[None]]


class AskServer:
    """Answers on the socket until `close`."""

    def __init__(
        self,
        path: Path,
        status: _Status,
        live: Live,
        past: Past,
        *,
        alarms: Alarms | None = None,
        command: _Command | None = None,
        aside: Executor | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`aside` is where the past is read, beside the loop."""
        self.path = path
        self._status, self._live, self._past = status, live, past
        self._alarms, self._command = alarms, command
        self._aside, self._patience_s = aside, patience_s
        self._server: asyncio.Server | None = None
        self._askers: set[asyncio.Task[Any]] = set()

    @property
    def askers(self) -> int:
        """Conversations under way."""
        return len(self._askers)

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
            await self._converse(reader, writer)
        except (ConnectionError, TimeoutError):
            writer.transport.abort()  # he has gone, or does not listen
        finally:
            self._askers.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._askers) > _MOST_ASKERS:
            await self._say(writer, {"error": "too many ask at once"})
            return
        try:
            while line := await reader.readline():
                await self._answer(line, reader, writer)
        except ValueError:
            await self._say(writer, {"error": f"a question has at most {_LONGEST_QUESTION} bytes"})

    async def _answer(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            match json.loads(line):
                case {"get": "status"}:
                    await self._say(writer, await self._status())
                case {"get": "latest"}:
                    await self._say(writer, {"channels": self._live.rows()})
                case {"get": "history", "channel": str(channel), "from_ms": int(a), "to_ms": int(b), "points": int(n)}:
                    if not (0 < n <= _MOST_POINTS and 0 <= a < b < 2**53):
                        raise ValueError(f"points must be 1 to {_MOST_POINTS}, and from_ms before to_ms")
                    charting = partial(self._past.chart, channel, a, b, n)
                    await self._say(writer, await asyncio.get_running_loop().run_in_executor(self._aside, charting))
                case {"get": "gaps", **more}:
                    listing = partial(self._past.gaps, *_wanted(more))
                    found = await asyncio.get_running_loop().run_in_executor(self._aside, listing)
                    await self._say(writer, {"gaps": found})
                case {"get": "alarms"}:
                    await self._say(writer, {"alarms": self._alarms.rows() if self._alarms else []})
                case {"do": "acknowledge", "alarm": str(which), "by": str(by)} if self._alarms:
                    await self._say(writer, {"alarm": self._alarms.acknowledge(which, by[:100])})
                case {"do": "command", "device": str(device), "value": bool() | int() | float() | str() as value} if (
                    self._command
                ):
                    await self._command(device, value)
                    await self._say(writer, {"done": {"device": device, "value": value}})
                case {"get": "watch"}:
                    await self._watch(reader, writer)
                case _:
                    raise ValueError(_HELP)
        except (ValueError, LookupError, RecursionError, StoreError, DriverError) as error:
            await self._say(writer, {"error": str(error)})

    async def _watch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._live.watch() as rows:
            leaving = asyncio.create_task(_until_gone(reader))
            leaving.add_done_callback(lambda _: rows.put_nowait(None))
            try:
                while (row := await rows.get()) is not None:
                    await self._say(writer, row)
            finally:
                leaving.cancel()
        raise ConnectionResetError("he has gone, or was too slow")

    async def _say(self, writer: asyncio.StreamWriter, row: dict[str, Any]) -> None:
        writer.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")
        async with asyncio.timeout(self._patience_s):
            await writer.drain()


def _wanted(more: dict[Any, Any]) -> tuple[str | None, int | None, int | None]:
    channel, from_ms, to_ms = (more.pop(name, None) for name in ("channel", "from_ms", "to_ms"))
    times = [ms for ms in (from_ms, to_ms) if ms is not None]
    if more or not isinstance(channel, str | None) or not all(type(ms) is int and 0 <= ms < 2**53 for ms in times):
        raise ValueError("gaps may be asked for with channel, from_ms and to_ms, whole milliseconds since 1970")
    return channel, from_ms, to_ms


async def _until_gone(reader: asyncio.StreamReader) -> None:
    while await reader.read(_LONGEST_QUESTION):
        pass
