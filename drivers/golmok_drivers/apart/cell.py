"""One driver in a process of its own, from the gateway's side: what it is told, what it answers, when it is ended.

Whatever it does to itself, the gateway goes on: it is asked with deadlines, its memory, files, threads and tasks are
counted, and what does not keep to its bounds is killed. `why` says then what it did.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from golmok_drivers.apart.ble import NearBle
from golmok_drivers.apart.nursery import Nursery
from golmok_drivers.apart.wire import Message, Unpacker, error_of, packed, told
from golmok_drivers.errors import (
    BusClosed,
    DriverError,
    DriverFloods,
    DriverHangs,
    DriverLeaks,
    DriverRaises,
    DriverTalksNonsense,
    Misbehaved,
)

_log = logging.getLogger(__name__)

WATCH_S: Final = 1.0
HEED_S: Final = 0.5
"""How long it may take to let be what it is told to let be."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_ROOM: Final = 256 * 2**20
"""What a driver may have mapped besides, whether it uses it or not."""
_MOST_ASKED: Final = 64
"""Questions to its bus under way at once."""
_LONGEST_ASK_S: Final = 10.0
_MOST_READ: Final = 65_536
_MOST_HZ: Final = 125_000_000


class Bounds(NamedTuple):
    """What a driver may take, beyond what it had when it was opened."""

    memory_bytes: int = 64 * 2**20
    files: int = 128
    threads: int = 32
    tasks: int = 500
    silence_s: float = 10.0
    """So long it may keep its process from answering."""


class Use(NamedTuple):
    """What a process takes."""

    memory_bytes: int
    files: int
    threads: int


@dataclass(frozen=True, kw_only=True)
class Ward:
    """Whose driver it is, and how it is made."""

    device: str
    place: str
    """Where its class stands, as `module:class`: a process that is only a driver's does not look for it."""
    options: Mapping[str, Any]
    timezone: str = "UTC"
    bus_kind: str = ""
    """i2c, spi, uart, w1, gpio; empty for what is on MQTT."""


class Cell:
    """A driver's process. Make a new one when it has ended."""

    def __init__(self, ward: Ward, nursery: Nursery, bounds: Bounds = Bounds()) -> None:  # noqa: B008  # a tuple
        self.ward = ward
        self.why: Misbehaved | None = None
        """Why it has ended; None while it lives."""
        self.pid = 0
        self._nursery, self._bounds = nursery, bounds
        self._pidfd = -1
        self._line: asyncio.Transport
        self._levels: socket.socket | None = None
        self._unpacker = Unpacker()
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._bus: Any = None
        self._pins: dict[int, Any] = {}
        self._ble = NearBle()
        self._edges: set[int] = set()
        """Pins of whose edge it was told and has not heard yet."""
        self._asking: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._at_first: Use | None = None
        self._heard_s = 0.0

    async def start(self) -> tuple[str, ...]:
        """Start it and make the driver; its topics, if it has any. Raises `DriverError`."""
        loop = asyncio.get_running_loop()
        line, self._levels = self._nursery.bear()
        self._levels.setblocking(False)
        self._line, _ = await loop.create_unix_connection(lambda: _Line(self), sock=line)
        loop.add_reader(self._levels, self._on_level_asked)
        self._heard_s = loop.time()
        self._watching = asyncio.create_task(self._watch())
        ward = self.ward
        level = logging.getLogger().getEffectiveLevel()
        return tuple(
            await self.call(
                "make", ward.place, ward.options, ward.timezone, level, 2 * self._bounds.memory_bytes + _ROOM
            )
        )

    async def call(self, what: str, *args: Any) -> Any:
        """What it answers; raises what it raised, or why it has ended.

        Who is cancelled here cancels it there; if it does not heed that, it is killed and `DriverHangs` raised.
        """
        number, answer = self._ask(what, args)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            if answer.done():
                raise
            self._say(number, "cancel")
            await asyncio.wait([answer], timeout=HEED_S)
            if not answer.done():
                self.kill(DriverHangs(f"its {what} does not end, not even when it is told to; its process was ended"))
                raise self.why or DriverHangs(what) from None
            raise
        finally:
            self._waiting.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # heard

    def send(self, what: str, *args: Any) -> asyncio.Future[Any]:
        """The same without waiting; answers come in the order of the questions."""
        number, answer = self._ask(what, args)

        def over(answer: asyncio.Future[Any]) -> None:
            self._waiting.pop(number, None)
            if not answer.cancelled():
                answer.exception()  # heard, also where nobody waits any more

        answer.add_done_callback(over)
        return answer

    def use_bus(self, bus: Any) -> None:
        """The bus that it asks from now on."""
        self._give_all_back()
        self._bus = bus

    def settled(self) -> None:
        """It is open: what it takes now is what it needs."""
        self._at_first = self.use()

    def use(self) -> Use | None:
        """What it takes now; None if it has ended."""
        return use_of(self.pid) if self.pid else None

    def kill(self, why: Misbehaved) -> None:
        """End it at once; does nothing if it has ended."""
        if self.why is not None:
            return
        self.why = why
        if self._pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
                os.killpg(self.pid, signal.SIGKILL)  # and what it has started
            os.close(self._pidfd)
            self._pidfd = -1
        self._let_go()

    # --- what comes from it

    def on_data(self, data: bytes) -> None:
        """Bytes came over the line."""
        try:
            for message in self._unpacker.feed(data):
                self._heed(message)
        except Misbehaved as error:
            self.kill(error)

    def on_end(self) -> None:
        """The line is closed: its process has ended."""
        self.kill(DriverRaises("its process ended by itself"))

    def _heed(self, message: Message) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        match message:
            case [_, "born", int(pid)] if not self.pid:
                self._born(pid)
            case [int(number), "ok", value]:
                self._settle(number, lambda answer: answer.set_result(value))
            case [int(number), "bad", known, reason, text]:
                error = error_of(known, reason, text)
                self._settle(number, lambda answer: answer.set_exception(error))
            case [int(number), "over"]:
                self._settle(number, lambda answer: answer.cancel())
            case [int(number), "bus", str(method), list(args)]:
                self._serve(number, method, args)
            case [int(handle), "seen"]:
                self._edges.discard(handle)
            case [int(handle), "give back"]:
                if pin := self._pins.pop(handle, None):
                    pin.close()
            case [_, "pong", int(tasks)]:
                if tasks > self._bounds.tasks:
                    self.kill(DriverLeaks(f"it has {tasks} tasks that do not end"))
            case _:
                raise DriverTalksNonsense("it writes into the line to the gateway")

    def _born(self, pid: int) -> None:
        try:
            self._pidfd = os.pidfd_open(pid)
        except OSError:
            return  # it is dead already; the line tells
        self.pid = pid

    def _settle(self, number: int, how: Callable[[asyncio.Future[Any]], object]) -> None:
        answer = self._waiting.get(number)
        if answer is not None and not answer.done():
            how(answer)

    # --- what goes to it

    def _ask(self, what: str, args: tuple[Any, ...]) -> tuple[int, asyncio.Future[Any]]:
        if self.why is not None:
            raise self.why
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._say(number, what, *args)
        return number, answer

    def _say(self, *message: Any) -> None:
        if self.why is None:
            self._line.write(packed(message))

    # --- its bus

    def _serve(self, number: int, method: str, args: list[Any]) -> None:
        if len(self._asking) >= _MOST_ASKED:
            self.kill(DriverFloods(f"it asks more than {_MOST_ASKED} questions of its bus at once"))
            return
        task = asyncio.create_task(self._answer(number, method, args))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _answer(self, number: int, method: str, args: list[Any]) -> None:
        try:
            self._say(number, "answer", True, await self._on_bus(method, args))
        except DriverError as error:
            self._say(number, "answer", False, *told(error))
        except (TypeError, ValueError, OverflowError, OSError) as error:
            self._say(number, "answer", False, *told(DriverTalksNonsense(f"{method}: {error}")))

    def _on_bus(self, method: str, args: list[Any]) -> Awaitable[Any]:
        if self._bus is None:
            raise BusClosed("it is not open")
        match self.ward.bus_kind, method, args:
            case "i2c", "xfer", [int(address), bytes(write), int(read), int() | float() as timeout_s] if (
                0 <= address < 2**10 and 0 <= read <= _MOST_READ and len(write) <= _MOST_READ
            ):
                return self._bus.xfer(address, write, read, timeout_s=_bounded(timeout_s))  # type: ignore[no-any-return]
            case "spi", "xfer", [int(select), bytes(write), int(mode), int(speed_hz), int() | float() as timeout_s] if (
                0 <= select < 2**8 and 0 <= mode < 4 and 0 < speed_hz <= _MOST_HZ and len(write) <= _MOST_READ
            ):
                how = {"mode": mode, "speed_hz": speed_hz, "timeout_s": _bounded(timeout_s)}
                return self._bus.xfer(select, write, **how)  # type: ignore[no-any-return]
            case "uart", "ask", [int(device), bytes(write), int(read), int() | float() as timeout_s] if (
                0 <= device < 2**8 and 0 <= read <= _MOST_READ and len(write) <= _MOST_READ
            ):
                return self._bus.ask(device, write, read, timeout_s=_bounded(timeout_s))  # type: ignore[no-any-return]
            case "w1", "devices", []:
                return self._bus.devices()  # type: ignore[no-any-return]
            case "w1", "read", [str(device), str(file), int() | float() as timeout_s] if _is_plain(device, file):
                return self._bus.read(device, file, timeout_s=_bounded(timeout_s))  # type: ignore[no-any-return]
            case "gpio", "input", [int(pin), bool(pull_up)]:
                return self._claim(pin, pull_up)
            case "ble", _, _:
                return self._ble.answer(self._bus, method, args)
        raise DriverTalksNonsense(f"its bus cannot be asked {method} so")

    async def _claim(self, pin: int, pull_up: bool) -> int:
        handle = next(self._numbers)
        claimed = await self._bus.input(pin, pull_up=pull_up, on_edge=lambda: self._on_edge(handle))
        if self.why is not None:
            claimed.close()
            raise BusClosed("it has ended meanwhile")
        self._pins[handle] = claimed
        return handle

    def _on_edge(self, handle: int) -> None:
        if handle not in self._edges:
            self._edges.add(handle)
            self._say(handle, "edge")

    def _on_level_asked(self) -> None:
        assert self._levels is not None
        try:
            asked = self._levels.recv(4)
            if not asked:
                asyncio.get_running_loop().remove_reader(self._levels)
                return
            self._levels.send(bytes((self._level(int.from_bytes(asked, "big")),)))
        except OSError:
            pass  # it does not listen, or has just ended; the line will tell

    def _level(self, handle: int) -> int:
        pin = self._pins.get(handle)
        if pin is None:
            return 2
        try:
            return int(pin.is_high)
        except DriverError:
            return 2

    def _give_all_back(self) -> None:
        self._ble.close()
        pins = list(self._pins.values())
        self._pins.clear()
        self._edges.clear()
        for pin in pins:
            pin.close()

    # --- keeping an eye on it

    async def _watch(self) -> None:
        loop, bounds = asyncio.get_running_loop(), self._bounds
        asked_s: float | None = None
        while self.why is None:
            if asked_s is not None and self._heard_s < asked_s and loop.time() - asked_s > bounds.silence_s:
                self.kill(DriverHangs(f"it blocked its process for more than {bounds.silence_s:g} s"))
                return
            if self.pid and (asked_s is None or self._heard_s >= asked_s):
                asked_s = loop.time()
                self._say(0, "ping")
            if problem := self._too_much():
                self.kill(DriverLeaks(problem))
                return
            await asyncio.sleep(WATCH_S)

    def _too_much(self) -> str:
        now, first, bounds = self.use(), self._at_first, self._bounds
        if now is None or first is None:
            return ""
        grown = now.memory_bytes - first.memory_bytes
        if grown > bounds.memory_bytes:
            return f"it took {grown / 2**20:.0f} MB more since it was opened"
        if now.files - first.files > bounds.files:
            return f"it has {now.files} files open, {first.files} when it was opened"
        if now.threads - first.threads > bounds.threads:
            return f"it has {now.threads} threads, {first.threads} when it was opened"
        return ""

    def _let_go(self) -> None:
        if self._watching:
            self._watching.cancel()
        for task in self._asking:
            task.cancel()
        self._give_all_back()
        if self._levels is not None:
            asyncio.get_running_loop().remove_reader(self._levels)
            self._levels.close()
        if hasattr(self, "_line"):
            self._line.abort()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self.why or DriverRaises("it has ended"))


class _Line(asyncio.Protocol):
    """Hands on what comes over the line."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._cell.on_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._cell.on_end()


def options_of(settings: Any) -> dict[str, Any]:
    """A driver's settings as they go over the line."""
    return msgspec.to_builtins(settings, enc_hook=str) if settings is not None else {}


def use_of(pid: int) -> Use | None:
    """What a process takes; None if there is none."""
    proc = Path(f"/proc/{pid}")
    try:
        resident = int((proc / "statm").read_text().split()[1]) * _PAGE
        threads = (proc / "stat").read_text().rpartition(")")[2].split()[17]
        return Use(resident, len(os.listdir(proc / "fd")), int(threads))  # noqa: PTH208  # many times a minute
    except (OSError, IndexError, ValueError):
        return None


def _bounded(timeout_s: float) -> float:
    return max(0.001, min(float(timeout_s), _LONGEST_ASK_S))


def _is_plain(*names: str) -> bool:
    """Whether they are names in a folder and no ways out of it."""
    return all(name and "/" not in name and name not in (".", "..") for name in names)
