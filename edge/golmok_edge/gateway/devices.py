"""One task for each device that is not on the local bus: opens it, asks it or listens to it, and never gives up.

Whatever goes wrong with a device becomes bad readings with a reason, and concerns no other device: each has its
own task, its own deadline, its own pause before it is opened again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, cast

from golmok_cloud_sync.protocol import Record
from golmok_drivers import catalogue
from golmok_drivers.api import BusBackoff, BusTimeout, Driver, DriverError, EventDriver, PolledDriver, Reading, failed
from golmok_edge.gateway.clock import Clock, Instant
from golmok_edge.gateway.convert import records_of, units_of
from golmok_edge.settings import Device

_log = logging.getLogger(__name__)

REOPEN_AFTER: Final = 3
"""Failures in a row after which a device is closed and opened anew: it may have been swapped."""


class Deadlines(NamedTuple):
    """How long to wait for what."""

    answer_s: float = 10.0
    """A device that takes longer to answer hangs."""
    last_turn_s: float = 2.0
    """At the end, for the answer that is under way."""
    close_s: float = 1.0
    """For a device to be let go, or to stop what it does when it is told to; then it is left to itself."""
    least_pause_s: float = 1.0
    """Before it is opened again; while nothing good comes twice as long each time, up to the next."""
    most_pause_s: float = 60.0


class BusOf(Protocol):
    """Gives the open bus of a URL."""

    def __call__(self, url: str) -> Any:
        """The bus; raises `DriverError`."""


@dataclass(slots=True)
class DeviceState:
    """How a device is, for `status` and the pages."""

    state: str = "starting"
    """starting, good, bad (it answers wrongly or not at all)."""
    reason: str = ""
    detail: str = ""
    last_good_mono_ms: int | None = None
    readings: int = 0
    failures: int = 0
    restarts: int = 0


class DeviceTask:
    """Runs one device until cancelled."""

    def __init__(
        self,
        device: Device,
        driver: Driver,
        bus_of: BusOf,
        clock: Clock,
        put: Callable[[Sequence[Record]], None],
        deadlines: Deadlines = Deadlines(),  # noqa: B008  # a tuple
    ) -> None:
        self.device, self.driver = device, driver
        self.state = DeviceState()
        self._bus_of, self._clock, self._put, self._deadlines = bus_of, clock, put, deadlines
        self._units = units_of(device)
        self._due_s: float | None = None
        self._stuck: set[asyncio.Task[Any]] = set()
        """What was cut off and has not ended all the same."""
        self._turn = asyncio.Lock()
        """Held from the question until its answer is put, so that no answer is lost at the end."""

    async def finish_turn(self) -> None:
        """Wait until what is being measured is put, and ask no more. Cancel the task then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._deadlines.last_turn_s):
                await self._turn.acquire()

    async def run(self) -> None:
        """Open, read, close, and again after a pause that grows while nothing good comes."""
        least_s, most_s = self._deadlines.least_pause_s, self._deadlines.most_pause_s
        pause_s = least_s
        while True:
            good_before = self.state.last_good_mono_ms
            try:
                await self._within(self._deadlines.answer_s, self.driver.open(self._bus_of(self.device.bus or "")))
                await self._read()
            except DriverError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001  # a driver of anybody's must not end the gateway
                _log.exception("%s: its driver broke", self.device.name)
                self._failed(DriverError(f"{type(error).__name__}: {error}"))
            finally:
                await self._close()
            self.state.restarts += 1
            pause_s = least_s if self.state.last_good_mono_ms != good_before else min(pause_s * 2, most_s)
            await asyncio.sleep(pause_s)

    async def _read(self) -> None:
        match self.driver:
            case PolledDriver():
                await self._poll(self.driver)
            case EventDriver():
                await self._within(None, self._listen(self.driver))
            case _:
                raise DriverError(f"{self.device.driver} is neither asked nor does it speak")

    async def _listen(self, driver: EventDriver) -> None:
        async with aclosing(cast(AsyncIterator[Any], driver.events())) as events:  # type: ignore[type-var]
            async for readings in events:
                self._took(readings)

    async def _poll(self, driver: PolledDriver) -> None:
        """Ask on a fixed grid of times, so that the pace is kept whatever an answer takes."""
        failures = 0
        while failures < REOPEN_AFTER:
            await self._next_turn()
            async with self._turn:
                try:
                    self._took(await self._within(self._deadlines.answer_s, driver.sample()))
                    failures = 0
                except DriverError as error:
                    self._failed(error)
                    failures += 1

    async def _next_turn(self) -> None:
        interval_s = self.device.interval_s or 10.0
        now_s = asyncio.get_running_loop().time()
        if self._due_s is None:
            self._due_s = now_s
        elif self._due_s + interval_s <= now_s:  # turns were missed: the grid stays
            self._due_s += interval_s * ((now_s - self._due_s) // interval_s)
        else:
            self._due_s += interval_s
        await asyncio.sleep(max(0.0, self._due_s - now_s))

    async def _close(self) -> None:
        try:
            await self._within(self._deadlines.close_s, self.driver.close())
        except DriverError as error:
            _log.warning("%s is not closed: %s", self.device.name, error)
        except Exception:  # noqa: BLE001  # a driver of anybody's must not end the gateway
            _log.exception("%s: its driver broke", self.device.name)

    async def _within(self, deadline_s: float | None, answer: Coroutine[Any, Any, Any]) -> Any:
        """What the driver answers. It runs in a task of its own, since it may not even heed being cancelled."""
        if self._stuck:
            answer.close()
            raise BusBackoff("what it was told to do before still hangs")
        task = asyncio.create_task(answer)
        try:
            done, _ = await asyncio.wait([task], timeout=deadline_s)
        finally:
            if not task.done():
                await self._cut_off(task)
        if not done:
            raise BusTimeout(f"no answer within {deadline_s:g} s")
        if task.cancelled():
            raise DriverError("it gave up by itself")
        return task.result()

    async def _cut_off(self, task: asyncio.Task[Any]) -> None:
        self._stuck.add(task)
        task.add_done_callback(self._came_free)
        task.cancel()
        await asyncio.wait([task], timeout=self._deadlines.close_s)

    def _came_free(self, task: asyncio.Task[Any]) -> None:
        self._stuck.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.info("%s: what hung has ended: %r", self.device.name, error)

    def _took(self, readings: Sequence[Reading]) -> None:
        at = Instant(self._clock.boot, self._clock.mono_ms())
        bad = next((reading for reading in readings if reading.quality == "bad"), None)
        self._tell("bad" if bad else "good", bad.reason if bad else "", "")
        if not bad:
            self.state.last_good_mono_ms = at.mono_ms
        self.state.readings += len(readings)
        self._put(records_of(self.device, self._units, readings, at))

    def _failed(self, error: DriverError) -> None:
        self.state.failures += 1
        self._tell("bad", error.reason, str(error))
        at = Instant(self._clock.boot, self._clock.mono_ms())
        self._put(records_of(self.device, self._units, failed(self.device.channels, error), at))

    def _tell(self, state: str, reason: str, detail: str) -> None:
        if (state, reason) != (self.state.state, self.state.reason):
            level = logging.WARNING if state == "bad" else logging.INFO
            _log.log(level, "%s is %s%s", self.device.name, state, f": {reason} {detail}" if reason else "")
        self.state.state, self.state.reason, self.state.detail = state, reason, detail


def driver_of(device: Device, timezone: str) -> Driver:
    """The driver of a device, not yet opened."""
    return catalogue.load(device.driver)(device.options, timezone=timezone)


class Buses:
    """The buses of the settings, each opened once, by whom needs it first."""

    def __init__(self, base: Path, open_one: Callable[[str], Any]) -> None:
        self._base, self._open_one = base, open_one
        self._open: dict[str, Any] = {}

    def __call__(self, url: str) -> Any:
        """See `BusOf`."""
        if url not in self._open:
            self._open[url] = self._open_one(url)
        return self._open[url]

    async def close(self) -> None:
        """Close them all; one that fails or hangs keeps no other open."""
        closing = [asyncio.create_task(bus.close(), name=url) for url, bus in self._open.items()]
        self._open.clear()
        if closing:
            await asyncio.wait(closing, timeout=Deadlines().close_s)
        for task in closing:
            if not task.done():
                task.cancel()
            elif error := task.exception():
                _log.warning("%s is not closed: %s", task.get_name(), error)
