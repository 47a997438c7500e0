"""What the gateway last said, kept up to date for as long as the shop runs, whether or not the gateway does.

One connection watches the gateway for all browsers together; each browser is a `Listener` that is woken when
something changed and takes what is newest, so a slow telephone costs no memory and misses no state.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from golmok_edge.shop.link import Link, NoGatewayError, Row
from golmok_edge.shop.situation import Situation, situation

STATUS_S: Final = 2.0
"""How often the gateway is asked how it is, and what it said last, should the watching have missed something."""
_RETRY_S: Final = 1.0
_log = logging.getLogger(__name__)


class Said(NamedTuple):
    """A channel's newest value, as the gateway told it, and when that was on this process's clock."""

    row: Row
    heard_s: float

    def age_s(self, now_s: float) -> float | None:
        """How old the value is; None if the gateway does not know."""
        age: float | None = self.row.get("age_s")
        return None if age is None else max(0.0, age + now_s - self.heard_s)


@dataclass(eq=False)
class Listener:
    """One browser: which channels it has not been told of yet."""

    changed: set[str] = field(default_factory=set)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, longest_s: float) -> set[str]:
        """The channels that changed; returns as soon as anything did, at the latest after `longest_s`."""
        try:
            async with asyncio.timeout(longest_s):
                await self.woken.wait()
        except TimeoutError:
            return set()
        self.woken.clear()
        changed, self.changed = self.changed, set()
        return changed


class Heard:
    """The gateway's words, by channel, and its last status."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.latest: dict[str, Said] = {}
        self.situation: Situation | None = None
        """How the gateway is; None while it does not answer."""
        self._down_since_s: float | None = time.monotonic()
        self.closing = False
        self._said = ""
        self._listeners: set[Listener] = set()
        self._look_now = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._look())

    def close(self) -> None:
        """Tell every browser's connection to end."""
        self.closing = True
        self._wake(())

    def down_s(self, now_s: float) -> float | None:
        """For how long the gateway has not answered; None while it does."""
        return None if self._down_since_s is None else now_s - self._down_since_s

    @contextmanager
    def listener(self) -> Iterator[Listener]:
        """A browser that listens; at first every channel is news to it."""
        listener = Listener(set(self.latest))
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def _watch(self) -> None:
        while True:
            try:
                async with self.link.watch() as rows:
                    self._look_now.set()  # what was said before
                    async for row in rows:
                        self._take(row)
            except NoGatewayError:
                self._look_now.set()  # which says that it is down
            await asyncio.sleep(_RETRY_S)

    async def _look(self) -> None:
        while True:
            try:
                status = await self.link.ask("status")
                for row in (await self.link.ask("latest"))["channels"]:
                    self._take(row)
                self._now(situation(status), "")
            except NoGatewayError as error:
                self._now(None, str(error))
            self._look_now.clear()
            try:
                async with asyncio.timeout(STATUS_S):
                    await self._look_now.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(0.1)  # a gateway that is ending still answers for a moment

    def _now(self, now: Situation | None, why: str) -> None:
        if why != self._said:
            _log.warning("%s", why or "the gateway answers")
            self._said = why
        self._down_since_s = None if now else self._down_since_s or time.monotonic()
        self.situation = now
        self._wake(())

    def _take(self, row: Row) -> None:
        known = self.latest.get(row["channel"])
        if known is not None and {**known.row, "age_s": None} == {**row, "age_s": None}:
            return
        self.latest[row["channel"]] = Said(row, time.monotonic())
        self._wake((row["channel"],))

    def _wake(self, channels: tuple[str, ...]) -> None:
        for listener in self._listeners:
            listener.changed.update(channels)
            listener.woken.set()
