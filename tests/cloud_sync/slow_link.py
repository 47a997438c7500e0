"""A slow line between a gateway and its cloud, shared by all its connections, as the line of a shop is.

What is sent first goes first, whoever sends it: a large request holds up all that comes behind it, as it does in a
shop's router, which keeps as much as it has memory for.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Final

_PIECE: Final = 1_400
_ROUTER_PIECES: Final = 64

Queue = asyncio.Queue[tuple[bytes, asyncio.StreamWriter]]


class SlowLink:
    """Listens on `port`, and carries everything to 127.0.0.1:`target` with `bytes_per_s` in each direction."""

    def __init__(self, target: int, bytes_per_s: float) -> None:
        self._target, self._bytes_per_s = target, bytes_per_s
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.port = self.carried_up = 0
        self._thread.start()
        assert self._is_ready.wait(20)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(10)

    async def _run(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        self._up: Queue = asyncio.Queue(_ROUTER_PIECES)
        self._down: Queue = asyncio.Queue(_ROUTER_PIECES)
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0, limit=_PIECE)
        self.port = server.sockets[0].getsockname()[1]
        self._is_ready.set()
        pumps = [asyncio.create_task(self._pump(queue)) for queue in (self._up, self._down)]
        await self._closing.wait()
        for pump in pumps:
            pump.cancel()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target, limit=_PIECE)
        await asyncio.gather(self._take(reader, back, self._up), self._take(there, writer, self._down))

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, queue: Queue) -> None:
        try:
            while piece := await reader.read(_PIECE):
                await queue.put((piece, writer))
        except ConnectionError:
            piece = b""
        await queue.put((b"", writer))

    async def _pump(self, queue: Queue) -> None:
        while True:
            piece, writer = await queue.get()
            await asyncio.sleep(len(piece) / self._bytes_per_s)
            if not piece:
                writer.close()
            elif not writer.is_closing():
                writer.write(piece)
            if queue is self._up:
                self.carried_up += len(piece)
