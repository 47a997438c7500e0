"""A driver's process: does what the gateway says over the line, and whatever the driver does, harms only itself.

The gateway judges from outside (deadlines, memory, silence) and ends the process when it must. Here only what can be
told in words is caught: every exception, also those that end a program, and answers that are none.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import inspect
import logging
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec

from golmok_drivers import catalogue
from golmok_drivers.apart.buses import FarPins, far_bus
from golmok_drivers.apart.wire import Message, Unpacker, error_of, packed, told
from golmok_drivers.api import Driver, EventDriver, MessageDriver, PolledDriver
from golmok_drivers.errors import DriverError, DriverTalksNonsense
from golmok_drivers.sound import sound

_PR_SET_PDEATHSIG: Final = 1
_OOM_SCORE: Final = "800"
"""Where memory ends, the kernel takes this process before any of the gateway's."""
_MOST_FILES: Final = 512
_CORE: Final = (0, 0)


def die_with_parent() -> None:
    """Whatever this process hangs in, it does not outlive its parent."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def live(line: int, levels: int, parent: int) -> NoReturn:
    """Be a driver's process on these two sockets, from the fork to the end."""
    code = 1
    try:
        os.setsid()
        die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGTERM):  # meant for the gateway, which tells us when to end
            signal.signal(number, lambda *_: None)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
        resource.setrlimit(resource.RLIMIT_CORE, _CORE)
        most_files = min(_MOST_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
        gc.unfreeze()
        asyncio.run(_Child(socket.socket(fileno=line), socket.socket(fileno=levels)).run())
        code = 0
    except BaseException:  # noqa: BLE001  # the end of a process of its own; the gateway sees the line close
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


class _Child:
    """The end of the line at which the driver is."""

    def __init__(self, line: socket.socket, levels: socket.socket) -> None:
        self._line, self._levels = line, levels
        self._writer: asyncio.StreamWriter
        self._driver: Driver
        self._quantities: frozenset[str] = frozenset()
        self._bus: Any = None
        self._events: AsyncIterator[Any] | None = None
        self._running: dict[int, asyncio.Task[None]] = {}
        self._cancelled: set[int] = set()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._numbers = count(1)
        self._does: dict[str, Callable[..., Awaitable[Any]]] = {
            "make": self._make,
            "open": self._open,
            "probe": self._probe,
            "sample": self._sample,
            "next": self._next,
            "decode": self._decode,
            "close": self._close,
        }

    async def run(self) -> None:
        """Until the gateway hangs up."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._line)
        self._say(0, "born", os.getpid())
        unpacker = Unpacker()
        while data := await reader.read(65_536):
            for message in unpacker.feed(data):
                self._heed(message)
        os._exit(0)  # tasks, threads and what else the driver keeps end here

    def _heed(self, message: Message) -> None:
        number, kind, *args = message
        match kind:
            case "ping":
                self._say(number, "pong", len(asyncio.all_tasks()))
            case "cancel":
                if task := self._running.get(number):
                    self._cancelled.add(number)
                    task.cancel()
            case "answer":
                self._answered(number, args)
            case "edge":
                self._say(number, "seen")
                if isinstance(self._bus, FarPins):
                    self._bus.edge(number)
            case _:
                self._running[number] = asyncio.create_task(self._do(number, kind, args))

    def _answered(self, number: int, args: list[Any]) -> None:
        waiting = self._asked.pop(number, None)
        if waiting is None or waiting.done():
            return
        if args[0]:
            waiting.set_result(args[1])
        else:
            waiting.set_exception(error_of(*args[1:]))

    async def _do(self, number: int, what: str, args: list[Any]) -> None:
        try:
            self._say(number, "ok", await self._does[what](*args))
        except BaseException as error:  # noqa: BLE001  # SystemExit and its like are the driver's, too
            if number in self._cancelled and isinstance(error, asyncio.CancelledError):
                self._say(number, "over")
            else:
                if not isinstance(error, DriverError):
                    traceback.print_exception(error, limit=-8)
                self._say(number, "bad", *told(error))
        finally:
            self._running.pop(number, None)
            self._cancelled.discard(number)

    def _say(self, *message: Any) -> None:
        self._writer.write(packed(message))

    # --- what the gateway may tell it to do

    async def _make(
        self, place: str, options: dict[str, Any], timezone: str, level: int, most_bytes: int
    ) -> tuple[str, ...]:
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))  # one that grows at once need not be caught
        logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        kind = catalogue.load_from(place)
        settings = msgspec.convert(options, kind.Settings, dec_hook=lambda wanted, text: wanted(text))
        self._driver = kind(settings, timezone=timezone)
        self._quantities = frozenset(channel.quantity for channel in self._driver.channels)
        return tuple(self._driver.topics()) if isinstance(self._driver, MessageDriver) else ()

    async def _open(self, kind: str) -> None:
        self._bus = far_bus(kind, self._ask, self._levels, self._give_back) if kind else None
        await _awaited(self._driver.open(self._bus), "open")

    async def _probe(self) -> list[str]:
        identity = await _awaited(self._driver.probe(), "probe")
        return [str(identity[0]), str(identity[1])]

    async def _sample(self) -> list[Any]:
        assert isinstance(self._driver, PolledDriver)
        return self._sound(await _awaited(self._driver.sample(), "sample"))

    async def _next(self) -> list[Any] | None:
        """What it says next; None at the end. One batch at a time: who is not asked cannot flood."""
        assert isinstance(self._driver, EventDriver)
        if self._events is None:
            self._events = aiter(self._driver.events())
        try:
            return self._sound(await anext(self._events))
        except StopAsyncIteration:
            self._events = None
            return None
        except BaseException:
            self._events = None
            raise

    async def _decode(self, topic: str, payload: bytes) -> list[Any]:
        assert isinstance(self._driver, MessageDriver)
        return self._sound(self._driver.decode(topic, payload))

    async def _close(self) -> None:
        events, self._events = self._events, None
        if events is not None and hasattr(events, "aclose"):
            await events.aclose()
        await _awaited(self._driver.close(), "close")

    def _sound(self, said: Any) -> list[Any]:
        return [tuple(reading) for reading in sound(said, self._quantities)]

    # --- what the driver asks of its bus

    async def _ask(self, method: str, *args: Any) -> Any:
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._say(number, "bus", method, args)
            return await self._asked[number]
        finally:
            self._asked.pop(number, None)

    def _give_back(self, handle: int) -> None:
        self._say(handle, "give back")


async def _awaited(answer: Any, what: str) -> Any:
    if not inspect.isawaitable(answer):
        raise DriverTalksNonsense(f"its {what} gave a {type(answer).__name__[:40]}, which cannot be awaited")
    return await answer
