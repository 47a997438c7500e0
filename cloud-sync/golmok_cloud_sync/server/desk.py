"""The cloud's desk for alarms: watches what gateways tell and whether they call, and sees to it that people hear of it.

What waits to be sent is kept together with how far events were read, in one piece, so that a restart neither forgets a
notice nor makes one twice. Between sending and keeping that it was sent a kill may come: then it goes out again, under
the same id.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from golmok_cloud_sync.notify import Channel, Config, Notice, NotSentError, Queue, Sending, channels_of
from golmok_cloud_sync.notify.push import Push
from golmok_cloud_sync.protocol.alarms import SEVERITIES
from golmok_cloud_sync.server.alarms import AlarmBook, Told
from golmok_cloud_sync.server.dating import Dating
from golmok_cloud_sync.server.fleet import Fleet
from golmok_cloud_sync.server.log import BatchLog, LogError

_log = logging.getLogger(__name__)

NAME: Final = "alarms"
"""Under which the log keeps our state."""
EVERY_S: Final = 1.0
TOO_OLD_MS: Final = 24 * 3_600_000
"""What is older when it arrives is listed and not sent: nobody is to be woken for yesterday's backlog."""
MOST_AT_ONCE: Final = 8
"""Channels that send at the same time."""


class Desk:
    """Lives on the event loop; reads and sends in threads of its own."""

    def __init__(self, log: BatchLog, fleet: Fleet, config: Config | None) -> None:
        """Raises `ConfigError` where a secret or key cannot be used."""
        self.config = config or Config()
        self.book, self._queue = AlarmBook(), Queue(random.SystemRandom().random)
        self.push = Push(self.config.push, self.config.folder) if self.config.push else None
        self._channels: list[Channel] = channels_of(self.config)
        self._log, self._fleet = log, fleet
        self._news: set[str] = set()
        self._wake = asyncio.Event()
        self._sending: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_new = True
        self.last_error = ""
        fleet.on_events = self.heard

    def heard(self, gateway: str) -> None:
        """Events of this gateway have come."""
        self._news.add(gateway)
        self._wake.set()

    async def acknowledge(self, gateway: str, which: str, by: str) -> Told | None:
        """See `AlarmBook.acknowledge`; it is kept when this returns."""
        told = self.book.acknowledge(gateway, which, by)
        if told is not None:
            await self._keep()
        return told

    def document(self) -> dict[str, Any]:
        """How the sending is, for operators."""
        names = [channel.name for channel in self._every_channel()]
        return {
            "channels": [name.partition(":")[0] for name in names],
            "waiting": len(self._queue),
            "sent": self._queue.sent,
            "dropped": self._queue.dropped,
            "last_error": self.last_error,
        }

    async def run(self) -> None:
        """Until cancelled."""
        began_ms = _now_ms()
        await asyncio.to_thread(self._recall)
        self._news.update(self._fleet.names())
        while True:
            news, self._news = self._news, set()
            steps = await asyncio.to_thread(self._read, news)
            for name in self._fleet.names():
                now = self._fleet.know(name)
                steps += self.book.see(now, began_ms, _now_ms(), self.config.silent_after_s)
            if not self._is_new:
                self._add(steps)
            if steps or self._is_new:
                self._is_new = False
                await self._keep()
            self._send()
            self._wake.clear()
            if not self._news:
                await self._rest()

    async def close(self) -> None:
        """Send no more; what waits, and what is on its way, is kept and goes out at the next start."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            return

    def _read(self, gateways: Iterable[str]) -> list[Told]:
        try:
            return [told for gateway in gateways for told in self.book.read(self._log, gateway)]
        except LogError as error:
            _log.error("alarms cannot be read now: %s", error)
            return []

    def _add(self, steps: Iterable[Told]) -> None:
        names, now_ms = [channel.name for channel in self._every_channel()], _now_ms()
        for told in steps:
            now = self._fleet.know(told.gateway)
            at_ms = told.at_ms(self.dating(told.gateway))
            is_old = at_ms is not None and now_ms - at_ms > TOO_OLD_MS
            is_grave = SEVERITIES.index(told.alarm.severity) >= SEVERITIES.index(self.config.least)
            if is_grave and not is_old:
                notice = Notice(told.gateway, now.title or told.gateway, told.alarm, at_ms, now.timezone or "UTC")
                self._queue.add(notice, names, now_ms)

    def dating(self, gateway: str) -> Dating:
        """What is known of that gateway's clock."""
        return self._fleet.book(gateway).dating

    # --- sending

    def _every_channel(self) -> list[Channel]:
        return [*self._channels, *(self.push.channels() if self.push else ())]

    def _send(self) -> None:
        channels = {channel.name: channel for channel in self._every_channel()}
        free = [name for name in channels if name not in self._sending]
        for sending in self._queue.due(_now_ms(), free)[: MOST_AT_ONCE - len(self._sending)]:
            self._sending.add(sending.channel)
            task = asyncio.create_task(self._send_one(channels[sending.channel], sending))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send_one(self, channel: Channel, sending: Sending) -> None:
        try:
            await _beside(partial(channel.send, sending.notice))
        except NotSentError as error:
            self.last_error = str(error)
            goes_on = self._queue.failed(sending, _now_ms(), is_final=error.is_final)
            _log.warning("notice %s: %s%s", sending.notice.id, error, "" if goes_on else "; it is let go")
        except Exception as error:  # noqa: BLE001  # one notice must not end all others
            self.last_error = f"{type(error).__name__}: {error}"
            self._queue.failed(sending, _now_ms(), is_final=False)
            _log.exception("notice %s could not be sent", sending.notice.id)
        else:
            self._queue.went(sending)
        finally:
            self._sending.discard(sending.channel)
        await self._keep()
        self._wake.set()

    # --- keeping

    def _recall(self) -> None:
        try:
            found = self._log.load_derived(NAME)
            if found is not None:
                memory = json.loads(found[1])
                self.book.recall(memory["book"])
                self._queue.recall(memory["queue"], _now_ms())
                self._is_new = False
        except (LogError, ValueError, TypeError, KeyError) as error:
            _log.error("what was known of alarms cannot be used, it is derived anew: %s", error)
            self.book.forget()
            self._is_new = True

    async def _keep(self) -> None:
        body = json.dumps({"book": self.book.memory(), "queue": self._queue.memory()}).encode()
        try:
            await asyncio.to_thread(self._log.save_derived, NAME, 0, body)
        except LogError as error:
            _log.error("what is known of alarms could not be kept: %s", error)


async def _beside(call: Callable[[], None]) -> None:
    """Call in a thread that holds up nobody's end: a mail server that hangs must not keep this one from stopping."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if not done.done():
            done.set_result(None) if error is None else done.set_exception(error)

    def run() -> None:
        error = None
        try:
            call()
        except Exception as raised:  # noqa: BLE001  # it is raised again where it is waited for
            error = raised
        with suppress(RuntimeError):  # the loop has closed since
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=run, name="notice", daemon=True).start()
    await done


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
