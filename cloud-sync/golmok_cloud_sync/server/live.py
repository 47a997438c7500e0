"""What pages hear of at once: new values and new contacts, as server-sent events.

Every connection begins with all that is known now, so there is nothing to be missed and nothing to be asked for
again; `Last-Event-ID` is not needed. Values are dated and sent by one task, which takes what has gathered: a burst
of syncs costs one look into the log for each gateway that somebody watches, and none for the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from golmok_cloud_sync.protocol import Record
from golmok_cloud_sync.server.dating import Dating
from golmok_cloud_sync.server.fleet import PACE_S, WATCHED_PACE_S, Fleet, latest_value
from golmok_cloud_sync.server.formats import one_line_each

HEARTBEAT_S: Final = 10.0
_MOST_WAITING: Final = 2_000
"""Events that a slow reader may let gather; then he is cut off, and begins anew."""
_END: Final = b""
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Watcher:
    gateway: str | None
    events: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)

    def wants(self, gateway: str) -> bool:
        return self.gateway in (None, gateway)

    def send(self, event: bytes) -> None:
        if self.events.qsize() < _MOST_WAITING:
            self.events.put_nowait(event)
        elif self.events.qsize() == _MOST_WAITING:
            self.events.put_nowait(_END)


class Hub:
    """Everybody who watches, and what is to be sent to them. Lives on the event loop."""

    def __init__(self, fleet: Fleet, dating: Callable[[str], Awaitable[Dating]]) -> None:
        self._fleet = fleet
        self._dating = dating
        self._watchers: set[_Watcher] = set()
        self._news: dict[str, dict[str, Record]] = {}
        self._wake = asyncio.Event()
        self._closed = False

    @property
    def watchers(self) -> int:
        """How many connections there are."""
        return len(self._watchers)

    def pace_s(self, gateway: str) -> float:
        """How often this gateway should call: often while somebody watches."""
        if not self._watchers:
            return PACE_S
        if any(w.gateway == gateway for w in self._watchers):
            return WATCHED_PACE_S
        return self._fleet.fleet_pace_s() if any(w.gateway is None for w in self._watchers) else PACE_S

    def heard(self, gateway: str, news: Iterable[Record]) -> None:
        """A gateway has called, with these new values."""
        if any(w.wants(gateway) for w in self._watchers):
            self._news.setdefault(gateway, {}).update((record.channel, record) for record in news)
            self._wake.set()

    async def run(self) -> None:
        """Send what is heard, for as long as the server runs."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            news, self._news = self._news, {}
            for gateway, records in news.items():
                for event in await self._events(gateway, records.values()):
                    self._send(gateway, event)

    def watch(self, gateway: str | None) -> AsyncIterator[bytes]:
        """The events of one gateway, or of all, from now on; begins with all that is known."""
        watcher = _Watcher(gateway)
        self._watchers.add(watcher)
        return self._stream(watcher)

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        for watcher in self._watchers:
            watcher.events.put_nowait(_END)

    async def _stream(self, watcher: _Watcher) -> AsyncIterator[bytes]:
        try:
            yield b"retry: 2000\n\n"
            names = self._fleet.names() if watcher.gateway is None else [watcher.gateway]
            for name in names:
                now = self._fleet.get(name)
                if now is not None:
                    yield b"".join(await self._events(name, list(now.latest.values())))
            while not self._closed:
                try:
                    event = await asyncio.wait_for(watcher.events.get(), HEARTBEAT_S)
                except TimeoutError:
                    event = b": still here\n\n"
                if event == _END:
                    return
                yield event
        finally:
            self._watchers.discard(watcher)

    async def _events(self, gateway: str, records: Iterable[Record]) -> list[bytes]:
        now = self._fleet.get(gateway)
        if now is None:
            return []
        dating = await self._dating(gateway)
        values = [
            _event("value", {"gateway": gateway, **latest_value(record, dating).model_dump()}) for record in records
        ]
        return [_event("gateway", self._fleet.status(now).model_dump()), *values]

    def _send(self, gateway: str, event: bytes) -> None:
        for watcher in self._watchers:
            if watcher.wants(gateway):
                watcher.send(event)


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), one_line_each(msgspec.json.encode(data)))
