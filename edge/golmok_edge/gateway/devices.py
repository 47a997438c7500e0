"""One task for each device that is not on the local bus: opens it, asks it or listens to it, and never gives up.

Whatever goes wrong with a device becomes bad readings with a reason, and concerns no other device: each has its
own task, its own deadline, its own pause before it is opened again.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from inspect import isawaitable
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, cast

from golmok_cloud_sync.protocol import Record
from golmok_drivers.api import (
    BusTimeout,
    CommandDriver,
    CommandError,
    Driver,
    DriverError,
    EventDriver,
    Identity,
    PolledDriver,
    Reading,
    Unplugged,
    Value,
    failed,
)
from golmok_drivers.errors import DriverFloods, DriverHangs, DriverRaises, DriverTalksNonsense, Misbehaved
from golmok_drivers.sound import sound
from golmok_drivers.watch import Watch
from golmok_edge.gateway.clock import Clock, Instant
from golmok_edge.gateway.convert import records_of, units_of
from golmok_edge.gateway.health import Allowance, DeviceState, Pauses
from golmok_edge.gateway.strangers import explained
from golmok_edge.settings import Device

_log = logging.getLogger(__name__)

REOPEN_AFTER: Final = 3
"""Failures in a row after which a device is closed and opened anew: it may have been swapped."""
WHO_S: Final = 300.0
"""How often a part with a number is asked for it: it can be changed between two samples, too."""


class Deadlines(NamedTuple):
    """How long to wait for what."""

    answer_s: float = 10.0
    """A device that takes longer to answer hangs."""
    last_turn_s: float = 2.0
    """At the end, for the answer that is under way."""
    import_s: float = 5.0
    """A device that is opened may import a library for so long, on a slow machine."""
    close_s: float = 1.0
    """For a device to be let go; then it is left to itself."""
    least_pause_s: float = 1.0
    """Before it is opened again; while nothing good comes twice as long each time, up to the next."""
    most_pause_s: float = 60.0


class BusOf(Protocol):
    """Gives the open bus of a URL."""

    def __call__(self, url: str) -> Any:
        """The bus; raises `DriverError`."""


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
        elsewhere: Callable[[], Driver] | None = None,
        neighbours: Sequence[str] = (),
    ) -> None:
        """`elsewhere` makes the same driver in a process of its own, where it goes once it has hung in ours;
        `neighbours` are the numbers of all devices of its 1-wire bus, its own among them."""
        self.device, self.driver = device, driver
        self.state = DeviceState()
        self.may_block_s = 0.0
        """How long its driver may keep the loop from the others; beyond this it is interrupted."""
        self._bus_of, self._clock, self._put, self._deadlines = bus_of, clock, put, deadlines
        self._neighbours = neighbours
        self._elsewhere = elsewhere
        self._units = units_of(device)
        self._quantities = frozenset(channel.quantity for channel in device.channels)
        self._allowance = Allowance(_most_per_s(device))
        self._watch = Watch(device.channels, device.still_s)
        self._is_swapped, self._ask_again_s = False, 0.0
        self._due_s: float | None = None
        self._stuck: set[asyncio.Task[Any]] = set()
        """What was cut off and has not ended all the same."""
        self._turn = asyncio.Lock()
        """Held from the question until its answer is put, so that no answer is lost at the end."""

    @property
    def restarts(self) -> int:
        """How often it was opened anew."""
        return self.state.restarts

    async def command(self, quantity: str, value: Value) -> None:
        """Make it do that; raises `DriverError`, `CommandError` when it does nothing that it could be told."""
        driver = self._commanded()
        try:
            async with asyncio.timeout(driver.command_s):
                await driver.command(quantity, value)
        except BusTimeout:
            raise
        except TimeoutError:
            raise BusTimeout(f"{self.device.name} did not do it within {driver.command_s:g} s") from None

    async def tell(self, value: Value) -> None:
        """The same of what its driver is told if nothing else is said."""
        await self.command(self._commanded().told, value)

    def _commanded(self) -> CommandDriver:
        driver = self.driver
        if not isinstance(driver, CommandDriver):
            raise CommandError(f"{self.device.name} ({self.device.driver}) does nothing that it could be told")
        return driver

    async def finish_turn(self) -> None:
        """Wait until what is being measured is put, and ask no more. Cancel the task then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._deadlines.last_turn_s):
                await self._turn.acquire()

    async def run(self) -> None:
        """Open, read, close, and again after a pause that grows while nothing good comes."""
        pauses = Pauses(self._deadlines.least_pause_s, self._deadlines.most_pause_s)
        while True:
            good_before, began_s = self.state.last_good_mono_ms, _now_s()
            error: DriverError | None = None
            try:
                bus = self._bus_of(self.device.bus or "")
                self.may_block_s = self._deadlines.import_s
                await self._within(self._deadlines.answer_s, lambda: self.driver.open(bus))  # noqa: B023  # awaited here
                self.may_block_s = 0.0
                await self._read()
                self._fell_silent()
            except DriverError as raised:
                self._failed(error := raised)
            except Exception as raised:  # noqa: BLE001  # a driver of anybody's must not end the gateway
                _log.exception("%s: its driver broke", self.device.name)
                self._failed(error := DriverRaises(f"{type(raised).__name__}: {raised}"))
            finally:
                await self._close()
            if isinstance(error, Misbehaved):
                self._end_its_process()
            if isinstance(error, DriverHangs):
                self._move_out()
            self.state.restarts += 1
            was_good = self.state.last_good_mono_ms != good_before
            await self._rest(pauses.after(error, was_good=was_good, lived_s=_now_s() - began_s))

    async def _rest(self, pause_s: float) -> None:
        self.state.next_attempt_mono_ms = self._clock.mono_ms() + round(pause_s * 1000)
        await asyncio.sleep(pause_s)
        self.state.next_attempt_mono_ms = None

    def _end_its_process(self) -> None:
        """Where it has one: whatever it left there ends with it."""
        end = getattr(self.driver, "end", None)
        if end is not None:
            end()

    def _move_out(self) -> None:
        """It has shown that it may hang; from now on it does so on its own."""
        if self._elsewhere is not None:
            _log.warning("%s: its driver runs in a process of its own from now on", self.device.name)
            self.driver, self._elsewhere = self._elsewhere(), None
            self._stuck.clear()  # left behind, and counted

    async def _read(self) -> None:
        match self.driver:
            case PolledDriver():
                await self._poll(self.driver)
            case EventDriver():
                driver = self.driver
                await self._within(None, lambda: self._listen(driver))
            case _:
                raise DriverError(f"{self.device.driver} is neither asked nor does it speak")

    async def _listen(self, driver: EventDriver) -> None:
        async with aclosing(cast(AsyncIterator[Any], driver.events())) as events:  # type: ignore[type-var]
            async for readings in events:
                wait_s = self._took(readings)
                if self._allowance.floods(_now_s()):
                    raise DriverFloods(f"for long it gave more than {_most_per_s(self.device):g} readings a second")
                await asyncio.sleep(wait_s)  # also with 0, so that one who speaks on and on lets the others speak

    async def _poll(self, driver: PolledDriver) -> None:
        """Ask on a fixed grid of times, so that the pace is kept whatever an answer takes."""
        failures = 0
        while failures < REOPEN_AFTER:
            await self._next_turn()
            async with self._turn:
                try:
                    if self._took(await self._within(self._deadlines.answer_s, driver.sample)):
                        raise DriverFloods(f"it gave more than {_most_per_s(self.device):g} readings a second")
                    failures = 0
                    await self._see_who_it_is(driver)
                except Misbehaved:
                    raise
                except DriverError as error:
                    self._failed(await self._explained(error))
                    failures += 1

    async def _explained(self, error: DriverError) -> DriverError:
        """The error, or what the others on a bus say of it."""
        if isinstance(error, Unplugged) and self._neighbours:
            with suppress(DriverError):
                present = await self._bus_of(self.device.bus or "").devices()
                return explained(error, self._neighbours, present)
        return error

    async def _see_who_it_is(self, driver: PolledDriver) -> None:
        """Once after it was good again, and now and then: what was away may have come back as another."""
        is_known = self.state.part and _now_s() < self._ask_again_s
        if is_known or self.state.state == "bad":
            return
        self._ask_again_s = _now_s() + WHO_S if driver.info.has_serial else math.inf
        try:
            identity = await self._within(self._deadlines.answer_s, driver.probe)
        except Misbehaved:
            raise
        except DriverError as error:
            _log.info("%s does not say who it is: %s", self.device.name, error)
            return
        if not isinstance(identity, Identity):
            raise DriverTalksNonsense(f"its probe gave a {type(identity).__name__}")
        expected = self.device.serial
        self._is_swapped = bool(expected and identity.serial and identity.serial != expected)
        self.state.known_as(self.device.name, identity.part, identity.serial, expected or "")

    async def _next_turn(self) -> None:
        interval_s = self.device.interval_s or 10.0
        now_s = _now_s()
        if self._due_s is None:
            self._due_s = now_s
        elif self._due_s + interval_s <= now_s:  # turns were missed: the grid stays
            self._due_s += interval_s * ((now_s - self._due_s) // interval_s)
        else:
            self._due_s += interval_s
        await asyncio.sleep(max(0.0, self._due_s - now_s))

    async def _close(self) -> None:
        try:
            await self._within(self._deadlines.close_s, self.driver.close)
        except DriverError as error:
            _log.warning("%s is not closed: %s", self.device.name, error)
        except Exception:  # noqa: BLE001  # a driver of anybody's must not end the gateway
            _log.exception("%s: its driver broke", self.device.name)

    async def _within(self, deadline_s: float | None, what: Callable[[], Any]) -> Any:
        """What the driver answers. It runs in a task of its own, since it may not even heed being cancelled."""
        if self._stuck:
            raise DriverHangs("what it was told to do before still hangs")
        task = asyncio.create_task(self._told(what))
        try:
            done, _ = await asyncio.wait([task], timeout=deadline_s)
        finally:
            if not task.done():
                await self._cut_off(task)
        if not done:
            late = DriverHangs if getattr(self.driver, "is_apart", False) else BusTimeout
            raise _said_at_last(task) or late(f"no answer within {deadline_s:g} s")
        if task.cancelled():
            raise DriverRaises("it gave up by itself")
        return task.result()

    async def _told(self, what: Callable[[], Any]) -> Any:
        """Runs the driver. `stall` looks for this frame, to know whose driver blocks the loop."""
        try:
            answer = what()
            if not isawaitable(answer):
                raise DriverTalksNonsense(f"it gave a {type(answer).__name__} where something to await belongs")
            return await answer
        except (Exception, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001  # SystemExit and its like would end the gateway
            _log.exception("%s: its driver broke", self.device.name)
            raise DriverRaises(f"{type(error).__name__}: {error}") from None

    async def _cut_off(self, task: asyncio.Task[Any]) -> None:
        self._stuck.add(task)
        self.state.left_behind += 1
        task.add_done_callback(self._came_free)
        task.cancel()
        await asyncio.wait([task], timeout=self._deadlines.close_s)

    def _came_free(self, task: asyncio.Task[Any]) -> None:
        self._stuck.discard(task)
        self.state.left_behind -= 1
        if not task.cancelled() and (error := task.exception()):
            _log.info("%s: what hung has ended: %r", self.device.name, error)

    def _took(self, said: Any) -> float:
        """Store what it gave; the seconds that it must wait until it may give more."""
        at = Instant(self._clock.boot, self._clock.mono_ms())
        readings = self._watch.look(sound(said, self._quantities), at.mono_ms / 1000)
        if self._is_swapped:
            readings = [_of_a_stranger(reading) for reading in readings]
        records = records_of(self.device, self._units, readings, at)
        bad = next((record for record in records if record.quality == "bad"), None)
        worst = bad or next((record for record in records if record.quality == "uncertain"), None)
        self.state.tell(
            self.device.name,
            worst.quality if worst else "good",
            worst.reason if worst else "",
            self.state.stranger if self._is_swapped else "",
            at.mono_ms,
        )
        if not bad:
            self.state.last_good_mono_ms = at.mono_ms
        self.state.readings += len(records)
        self._put(records)
        return self._allowance.take(len(records), _now_s())

    def _fell_silent(self) -> None:
        """It is not asked or listened to any more, though nothing was raised."""
        if isinstance(self.driver, EventDriver):
            self.state.tell(self.device.name, "bad", "silent", "its events have ended", self._clock.mono_ms())

    def _failed(self, error: DriverError) -> None:
        at = Instant(self._clock.boot, self._clock.mono_ms())
        self.state.part = ""  # it may come back as another
        self.state.went_wrong(self.device.name, error, at.mono_ms)
        self._put(records_of(self.device, self._units, failed(self.device.lasting, error), at))


def _of_a_stranger(reading: Reading) -> Reading:
    return reading._replace(quality="uncertain", reason="swapped") if reading.quality == "good" else reading


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _said_at_last(task: asyncio.Task[Any]) -> DriverError | None:
    """What a task that was cut off had to say about it."""
    error = task.exception() if task.done() and not task.cancelled() else None
    return error if isinstance(error, DriverError) else None


def _most_per_s(device: Device) -> float:
    """How many readings a second a device may give: at least twice what it is asked for."""
    return max(device.most_per_s, 2 * len(device.channels) / device.interval_s if device.interval_s else 0.0)


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
