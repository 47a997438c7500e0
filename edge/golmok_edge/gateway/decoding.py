"""A device on the local bus whose driver has a process of its own: its messages go there and come back as readings.

A message is not acknowledged before its readings are on disk, so what waits here is the broker's as much as ours. It
must not be much: the broker has only so many messages under way to us at once, for all devices together. What a driver
cannot take in time becomes a bad reading, named after what the driver does.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Final, NamedTuple, NoReturn, Protocol

from golmok_drivers.api import Channel, DriverError, MessageDriver, Reading
from golmok_drivers.errors import DriverFloods, DriverHangs, DriverLeaks, DriverRaises, DriverTalksNonsense, Misbehaved
from golmok_drivers.sound import sound
from golmok_edge.gateway.clock import Clock
from golmok_edge.gateway.devices import Deadlines
from golmok_edge.gateway.health import DeviceState, Pauses
from golmok_edge.settings import Device

_log = logging.getLogger(__name__)

MOST_WAITING: Final = 512
"""Messages of one device; the broker's window has 4,096 for all."""
MOST_WAITING_BYTES: Final = 4 * 2**20
AT_ONCE: Final = 32
"""Messages on their way to the process."""
PATIENCE: Final = 3
"""So many messages in a row on which it breaks, and it is started anew."""


class Said(NamedTuple):
    """What became of a message: readings, or why there are none."""

    readings: Sequence[Reading]
    error: DriverError | None = None


class Together:
    """Waits until every device that a message is for has said what it makes of it."""

    def __init__(self, count: int, done: Callable[[Sequence[Said]], None]) -> None:
        self._said: list[Said | None] = [None] * count
        self._left, self._done = count, done
        self._lock = threading.Lock()

    def hearing(self, place: int) -> Callable[[Said], None]:
        """What the device at that place is to call, once, in any thread."""

        def hear(said: Said) -> None:
            with self._lock:
                self._said[place] = said
                self._left -= 1
                is_whole = not self._left
            if is_whole:
                self._done([one for one in self._said if one is not None])

        return hear


class Process(Protocol):
    """A driver's process, as `golmok_drivers.apart.Cell` is."""

    why: Misbehaved | None

    async def start(self) -> tuple[str, ...]:
        """Its topics."""

    async def call(self, what: str, *args: Any) -> Any:
        """Its answer."""

    def send(self, what: str, *args: Any) -> asyncio.Future[Any]:
        """The same, not waited for."""

    def settled(self) -> None:
        """It is open."""

    def kill(self, why: Misbehaved) -> None:
        """End it."""


class _Asked(NamedTuple):
    topic: str
    payload: bytes
    hear: Callable[[Said], None]


class Decoder(MessageDriver):
    """Stands for the driver, and runs its process until cancelled."""

    api: ClassVar[int] = 1

    def __init__(
        self,
        device: Device,
        topics: tuple[str, ...],
        start: Callable[[], Process],
        clock: Clock,
        deadlines: Deadlines = Deadlines(),  # noqa: B008  # a tuple
    ) -> None:
        """`topics` is what it said that it wants to hear; empty if it said nothing yet."""
        super().__init__(device.options)
        self.device, self.state = device, DeviceState()
        self.on_topics: Callable[[], None] = lambda: None
        """Called when it has said at last what it wants to hear."""
        self._topics, self._start, self._clock, self._deadlines = topics, start, clock, deadlines
        self._quantities = frozenset(channel.quantity for channel in device.channels)
        self._process: Process | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._waiting: deque[_Asked] = deque()
        self._bytes = 0
        self._spared: _Asked | None = None
        self._comes = asyncio.Event()

    @property
    def channels(self) -> tuple[Channel, ...]:
        """See `Driver.channels`."""
        return self.device.channels

    def topics(self) -> tuple[str, ...]:
        """See `MessageDriver.topics`."""
        return self._topics

    def decode(self, topic: str, payload: bytes) -> NoReturn:
        """Not here: see `ask`."""
        raise DriverRaises("its driver has a process of its own")

    def ask(self, topic: str, payload: bytes, hear: Callable[[Said], None]) -> None:
        """Have a message decoded; `hear` is called with what it says, in any thread. From any thread."""
        with self._lock:
            is_full = len(self._waiting) >= MOST_WAITING or self._bytes + len(payload) > MOST_WAITING_BYTES
            if not is_full:
                self._waiting.append(_Asked(topic, payload, hear))
                self._bytes += len(payload)
        if is_full:
            hear(Said((), DriverFloods(f"{MOST_WAITING} messages wait for its driver already")))
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(self._comes.set)

    def end(self) -> None:
        """End its process, if it has one."""
        if self._process is not None:
            self._process.kill(DriverRaises("the gateway ends"))

    async def run(self) -> None:
        """Start the process, hand it messages, and start it again after a pause when it misbehaves."""
        self._loop = asyncio.get_running_loop()
        pauses = Pauses(self._deadlines.least_pause_s, self._deadlines.most_pause_s)
        while True:
            good_before, began_s = self.state.last_good_mono_ms, self._loop.time()
            error: DriverError
            try:
                await self._live()
            except DriverError as raised:
                error = raised
            except OSError as raised:
                error = DriverRaises(str(raised))
            self._failed(error)
            self.end()
            self.state.restarts += 1
            was_good = self.state.last_good_mono_ms != good_before
            pause_s = pauses.after(error, was_good=was_good, lived_s=self._loop.time() - began_s)
            self.state.next_attempt_mono_ms = self._clock.mono_ms() + round(pause_s * 1000)
            await asyncio.sleep(pause_s)
            self.state.next_attempt_mono_ms = None

    async def _live(self) -> NoReturn:
        process = self._process = self._start()
        topics = await self._within(process.start())
        await self._within(process.call("open", ""))
        process.settled()
        if topics and not self._topics:
            self._topics = topics
            self.on_topics()
        broken = 0
        under_way: deque[tuple[_Asked, asyncio.Future[Any]]] = deque()
        try:
            while True:
                await self._fill(process, under_way)
                said = await self._answer(process, under_way[0])
                if isinstance(said.error, DriverLeaks) and self._spared is not under_way[0][0]:
                    self._spared = under_way[0][0]
                    raise said.error  # it need not have been this message, the first time
                asked, _ = under_way.popleft()
                broken = broken + 1 if isinstance(said.error, Misbehaved) else 0
                self._judge(said)
                asked.hear(said)
                if said.error is not None and (process.why is not None or broken >= PATIENCE):
                    raise said.error
        finally:
            self._take_back(asked for asked, _ in under_way)

    async def _fill(self, process: Process, under_way: deque[tuple[_Asked, asyncio.Future[Any]]]) -> None:
        """Hand on what waits; returns when something is under way."""
        while True:
            self._comes.clear()
            while len(under_way) < AT_ONCE and (asked := self._next()):
                try:
                    under_way.append((asked, process.send("decode", asked.topic, asked.payload)))
                except DriverError:
                    self._take_back([asked])
                    if under_way:  # it broke on that one, not on this
                        return
                    raise
            if under_way:
                return
            try:
                async with asyncio.timeout(1.0):
                    await self._comes.wait()
            except TimeoutError:
                if process.why is not None:
                    raise process.why from None

    async def _answer(self, process: Process, head: tuple[_Asked, asyncio.Future[Any]]) -> Said:
        _, answer = head
        await asyncio.wait([answer], timeout=self._deadlines.answer_s)
        if not answer.done():
            error = DriverHangs(
                f"its decode has not ended within {self._deadlines.answer_s:g} s; its process was ended"
            )
            process.kill(error)
            return Said((), error)
        try:
            return Said(sound([Reading(*row) for row in answer.result()], self._quantities))
        except DriverError as error:
            return Said((), error)
        except TypeError:
            return Said((), DriverTalksNonsense("it writes into the line to the gateway"))

    async def _within(self, answer: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(self._deadlines.answer_s):
                return await answer
        except TimeoutError:
            raise DriverHangs(f"no answer within {self._deadlines.answer_s:g} s") from None

    def _next(self) -> _Asked | None:
        with self._lock:
            if not self._waiting:
                return None
            asked = self._waiting.popleft()
            self._bytes -= len(asked.payload)
            return asked

    def _take_back(self, asked: Any) -> None:
        """They were not answered, and it was not they on which it broke: they are asked again."""
        with self._lock:
            for one in reversed(list(asked)):
                self._waiting.appendleft(one)
                self._bytes += len(one.payload)

    def _judge(self, said: Said) -> None:
        mono_ms = self._clock.mono_ms()
        if said.error is not None:
            self._failed(said.error)
        elif said.readings:
            bad = next((reading for reading in said.readings if reading.quality == "bad"), None)
            self.state.tell(self.device.name, "bad" if bad else "good", bad.reason if bad else "", "", mono_ms)
            self.state.readings += len(said.readings)
            if not bad:
                self.state.last_good_mono_ms = mono_ms

    def _failed(self, error: DriverError) -> None:
        self.state.went_wrong(self.device.name, error, self._clock.mono_ms())
