"""The gateway: everything put together, from `start` to the last commit. What it composes is decided elsewhere."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from golmok_cloud_sync.client import Courier, Outbox, Pace, ServerTime
from golmok_cloud_sync.protocol import Hello, Record, Stream
from golmok_cloud_sync.protocol.gaps import START, Moment, start_fields
from golmok_drivers.api import EventDriver, MessageDriver, OutputDriver, PolledDriver, Value
from golmok_drivers.buses import open_bus, parse_bus_url
from golmok_edge.gateway.address import socket_path
from golmok_edge.gateway.again import Again
from golmok_edge.gateway.alarms import AlarmKeeper
from golmok_edge.gateway.ask import AskServer
from golmok_edge.gateway.burden import Burden, Limits, OverburdenedError, last_end, note_end
from golmok_edge.gateway.bus import LocalBus
from golmok_edge.gateway.clock import Clock, SystemClock
from golmok_edge.gateway.correcting import Corrector
from golmok_edge.gateway.counters import CounterFile
from golmok_edge.gateway.decoding import Decoder
from golmok_edge.gateway.devices import Buses, Deadlines, DeviceTask
from golmok_edge.gateway.ending import LastResort
from golmok_edge.gateway.gapkeeper import GapKeeper
from golmok_edge.gateway.inbox import Listener
from golmok_edge.gateway.live import Live, Newest, newest_of
from golmok_edge.gateway.memory import give_back, share
from golmok_edge.gateway.notify import notify, watchdog_s
from golmok_edge.gateway.outputs import Outputs, Switch
from golmok_edge.gateway.past import Past
from golmok_edge.gateway.publisher import Publisher
from golmok_edge.gateway.said import Said
from golmok_edge.gateway.salvager import EVERY_S, Salvager, set_aside_event
from golmok_edge.gateway.stall import Stall
from golmok_edge.gateway.status import SOFTWARE, Parts, Rate, document
from golmok_edge.gateway.strangers import addresses
from golmok_edge.gateway.timekeeper import ANCHOR, Timekeeper, day_of_now
from golmok_edge.gateway.wards import Wards
from golmok_edge.settings import Device, Settings, normal_silence_s
from golmok_edge.store import (
    LANES,
    Aside,
    Budgets,
    Commit,
    Found,
    GroupCommit,
    Item,
    Keeper,
    Store,
    StoreError,
    When,
    is_calm,
    start_salvage,
)

if TYPE_CHECKING:
    from golmok_drivers.twins import Simulation

_log = logging.getLogger(__name__)

STORE: Final = "gateway"
"""Tells this process's store from those of the gateway's others."""
HOUSEKEEPING_S: Final = 10.0
UNKNOWN_S: Final = 1.0
"""So often the kernel's clock is looked at while the time is not known: nothing can be dated meanwhile."""
ALARMS_EVERY_S: Final = 1.0
GAPS_EVERY_S: Final = 1.0
GAPS_KEPT_EVERY_S: Final = 60.0
LAST_MESSAGES_S: Final = 3.0
LAST_SENDING_S: Final = 3.0
"""How long the end waits for the cloud to take what is left."""
SAY_EVICTED_MS: Final = 3_600_000
LOOK_AGAIN_S: Final = 2.0
"""How soon it is seen that there is room again, though nothing comes."""
_MOST_ANCHORS: Final = 5_000


class Gateway:
    """One gateway, from its settings to its last commit."""

    def __init__(
        self,
        settings: Settings,
        *,
        twins: bool = False,
        ledger: Path | None = None,
        clock: Clock | None = None,
        deadlines: Deadlines = Deadlines(),  # noqa: B008  # a tuple
        limits: Limits = Limits(),  # noqa: B008  # a tuple
    ) -> None:
        """`twins` puts the simulated other end on every bus; `ledger` is where they write down what they gave."""
        self.settings = settings
        self._twins, self._ledger = twins, ledger
        self._clock, self._deadlines = clock or SystemClock(), deadlines
        self._stopping = asyncio.Event()
        self._burden, self._why_ended, self._last_end = Burden(limits), "", ""
        self._is_started = False
        self._rate = Rate()
        self._evicted_said = self._say_evicted_at_ms = 0
        self._aside = ThreadPoolExecutor(3, "aside")  # not the loop's own: a driver may fill that with what hangs
        self._committing: GroupCommit | None = None
        self._bus: LocalBus | None = None
        self._courier: Courier | None = None
        self._tasks: list[DeviceTask] = []
        self._put_aside: list[Aside] = []
        self._has_lost_events = False
        self._expire_s = {
            f"{device.name}.{channel.quantity}": silence_s
            for device in settings.devices
            if (silence_s := normal_silence_s(device)) is not None
            for channel in device.lasting
        }
        self._channels = {
            f"{device.name}.{channel.quantity}" for device in settings.devices for channel in device.lasting
        }
        self._happening = frozenset(
            f"{device.name}.{channel.quantity}"
            for device in settings.devices
            for channel in device.channels
            if channel.is_event
        )
        """Channels of devices that are events: they do not wait for the next commit."""
        self._counters: CounterFile | None = None

    def stop(self) -> None:
        """Come to an end: commit what is there, say goodbye."""
        self._stopping.set()

    def rescue(self) -> None:
        """Commit what is there though the rest of us hangs; from any thread."""
        if self._committing:
            self._committing.close()
        socket_path(self.settings.store.path).unlink(missing_ok=True)

    async def run(self, on_calm: Callable[[], None] = lambda: None, on_end: Callable[[], None] = lambda: None) -> None:
        """Run until `stop`. Raises `StoreError` or OSError when it cannot even start, `OverburdenedError` at the end
        if it was the gateway's own wish.

        `on_calm` is called at the end, when all that could hang is over but the cloud, which is not waited for long;
        `on_end` when the gateway itself wishes to end.
        """
        self._on_calm, self._on_end = on_calm, on_end
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            await self._open(stack)
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(task.run(), name=task.device.name) for task in self._tasks]
                running += [
                    *(tasks.create_task(decoder.run(), name=decoder.device.name) for decoder in self._decoders),
                    tasks.create_task(self._keep_awake()),
                    tasks.create_task(self._keep_house()),
                    tasks.create_task(self._look_again()),
                    tasks.create_task(self._see_to_the_damaged()),
                    tasks.create_task(self._keep_gaps()),
                    tasks.create_task(self._keep_alarms()),
                    tasks.create_task(self._outputs.run()),
                ]
                publishing = None
                if self._simulation and self._simulation.publishes and self._bus:
                    publishing = tasks.create_task(self._publish_twins(self._simulation, self._bus))
                self._is_started = True
                notify("READY=1")
                await self._stopping.wait()
                notify("STOPPING=1")
                await asyncio.gather(*(task.finish_turn() for task in self._tasks))
                if publishing and self._bus:
                    publishing.cancel()
                    await asyncio.wait([publishing])
                    await self._take_the_rest(self._bus)
                for task in running:
                    task.cancel()
            self._put_event("gateway.stop", {"why": self._why_ended} if self._why_ended else {})
        if self._why_ended:
            raise OverburdenedError(self._why_ended)

    async def _open(self, stack: AsyncExitStack) -> None:
        """Open everything, each with its closing on the stack: what takes in closes before what it gives to."""
        settings, clock = self.settings, self._clock
        self._keeper = Keeper(settings.store.path, self._open_store, self._when, self._on_set_aside, self._on_given_up)
        self._said = Said(settings.store.path)
        stack.callback(self._keeper.close)
        known_boots = self._keeper.use(lambda store: store.reader.boots())
        self._time = Timekeeper(clock, self._keeper.use(_anchors))
        latest = self._keeper.use(lambda store: store.reader.latest())
        self._live = Live(clock, self._time, {channel: Newest(*one) for channel, one in latest.items()})
        self._gaps, alive = self._keeper.use(self._recovered)
        self._corrector = Corrector(settings, self._time, self._put_event)
        self._alarms = AlarmKeeper(settings, clock, self._time, self._put_record)
        self._keeper.use(lambda store: self._alarms.recover(store.reader))
        past = Past(self._keeper, clock, self._time, self._gaps.going_on)
        self._open_courier(stack, is_new_boot=known_boots[-1:] != [clock.boot])
        wards = Wards(settings.site.timezone, clock, self._deadlines)
        stack.callback(wards.end)
        drivers = [(device, wards.driver_of(device)) for device in settings.devices]
        _resume(drivers, latest)
        self._decoders = [driver for _, driver in drivers if isinstance(driver, Decoder)]
        self._group = GroupCommit(
            self._keeper, self._on_commit, self._on_refuse, interval_s=settings.store.commit_interval_s
        )
        self._committing = self._group
        self._events, self._bookkeeping = Again(self._hand_over), Again(self._hand_over)
        self._open_bus(stack, [Listener(d, one) for d, one in drivers if isinstance(one, MessageDriver)], latest)
        stack.callback(self._gaps.save)
        stack.callback(self._alarms.save, at_the_end=True)
        stack.callback(self._close_taking)
        self._last_end = last_end(settings.store.path)
        if self._last_end:
            _log.error("the last time it ended itself: %s", self._last_end)
        after = {"after": self._last_end} if self._last_end else {}
        self._put_event(
            START,
            {
                "software": SOFTWARE,
                "settings_version": settings.version,
                **start_fields(alive),
                **after,
                **self._alarms.start_fields(),
            },
        )
        for aside in self._put_aside:
            self._put_event("store.set-aside", set_aside_event(aside))
        self._salvager = self._open_salvager()
        stack.callback(self._salvager.close)
        self._heed_kernel()
        self._corrector.look()
        self._gaps.begin()
        self._alarms.begin()
        if self._has_lost_events:
            self._tell_gaps_again()
        self._simulation = self._simulate()
        if self._simulation:
            stack.callback(self._simulation.close)
        stack.callback(self._close_counters)
        buses = Buses(settings.file.parent, self._open_one_bus)
        stack.push_async_callback(buses.close)
        self._tasks = [
            DeviceTask(
                device,
                one,
                buses,
                clock,
                self._put_readings,
                self._deadlines,
                elsewhere=wards.elsewhere(device),
                neighbours=addresses(settings.devices, device.bus or ""),
            )
            for device, one in drivers
            if not isinstance(one, MessageDriver)
        ]
        self._outputs = self._open_outputs()
        where = socket_path(settings.store.path)
        server = AskServer(
            where, self._status, self._live, past, alarms=self._alarms, command=self._command, aside=self._aside
        )
        await server.open()
        stack.push_async_callback(server.close)
        if self._courier:
            self._courier.start()

    def _open_outputs(self) -> Outputs:
        """What rules may switch: the devices whose drivers can be."""
        found = {
            task.device.name: Switch(task, task.device.channels[0].quantity)
            for task in self._tasks
            if isinstance(task.driver, OutputDriver)
        }
        outputs = Outputs(found, self._alarms.outputs)
        self._alarms.on_switch = outputs.want
        return outputs

    def _recovered(self, store: Store) -> tuple[GapKeeper, Moment | None]:
        """The gap ledger, from what it remembers and `store` holds; and the last sign of life before this start."""
        settings = self.settings
        gaps = GapKeeper(settings.devices, self._clock, self._time, self._put_record, settings.store.path)
        return gaps, gaps.recover(store.reader)

    @property
    def _store(self) -> Store:
        """The store that is in use now; what may find it damaged goes through the keeper."""
        return self._keeper.store

    def _open_store(self, folder: Path) -> Store:
        store = Store.open(folder, name=STORE, budgets=_budgets(self.settings))
        store.wear.day_of_now = self._day_of_now
        return store

    def _day_of_now(self) -> str | None:
        """None also before the anchors are read: a file that is damaged is closed before that."""
        return day_of_now(self._time, self.settings.site.timezone) if hasattr(self, "_time") else None

    def _when(self) -> When:
        return When(self._clock.wall_ms(), self._clock.boot, self._clock.mono_ms())

    def _on_set_aside(self, aside: Aside) -> None:
        if self._committing:
            self._put_event("store.set-aside", set_aside_event(aside))
        else:
            self._put_aside.append(aside)  # told as soon as there is something to tell it with
        if self._courier:
            self._courier.renew()

    def _on_given_up(self, stream: Stream) -> None:
        if stream == "events":
            self._tell_gaps_again()

    def _tell_gaps_again(self) -> None:
        """What was told of them is gone from the store, or may be."""
        if not self._committing:
            self._has_lost_events = True
            return
        for event in self._said.events(self._clock.boot, self._clock.mono_ms()):
            self._put_record(event)

    def _open_salvager(self) -> Salvager:
        return Salvager(
            self.settings.store.path,
            self._open_store,
            self._courier_of if self.settings.cloud else None,
            self._put_event,
            start_salvage,
            self._tell_gaps_again,
            [f"{device.name}.{channel.quantity}" for device in self.settings.devices for channel in device.lasting],
        )

    def _open_courier(self, stack: AsyncExitStack, *, is_new_boot: bool) -> None:
        if self.settings.cloud is None:
            return
        self._courier = self._new_courier(
            self._keeper.outbox,
            is_new_boot=is_new_boot,
            latest=lambda: self._live.records(),
            on_time=self._on_time,
            on_reply=lambda reply: self._alarms.heed(reply.commands),
        )
        stack.callback(self._courier.close, LAST_SENDING_S)
        stack.callback(self._on_calm)

    def _courier_of(self, saved: Store) -> Courier:
        """Brings what was saved of a damaged store."""
        return self._new_courier(lambda: saved, is_earlier=True)

    def _new_courier(
        self, outbox: Callable[[], Outbox], *, is_new_boot: bool = False, is_earlier: bool = False, **more: Any
    ) -> Courier:
        cloud = self.settings.cloud
        assert cloud is not None
        return Courier(
            cloud.url,
            Hello(
                self.settings.site.gateway,
                store="",
                epoch="",
                boot=self._clock.boot,
                mono_ms=0,
                wall_ms=0,
                settings_version=self.settings.version,
                software=SOFTWARE,
                title=self.settings.site.title,
                earlier=is_earlier,
                timezone=self.settings.site.timezone,
            ),
            outbox,
            clock=self._clock,
            pace=Pace(cloud.interval_s),
            new_boot=is_new_boot,
            token=self._token,
            **more,
        )

    def _open_bus(self, stack: AsyncExitStack, listeners: Sequence[Listener], latest: Mapping[str, Found]) -> None:
        if self.settings.mqtt is None:
            return
        gateway = self.settings.site.gateway
        self._bus = LocalBus(
            gateway,
            self.settings.mqtt,
            listeners,
            store=self._keeper,
            latest=latest,
            put=self._hand_over,
            absence=self._gaps,
            clock=self._clock,
            on_open=self._on_bus_open,
        )
        self._publisher = Publisher(
            gateway, self.settings.site.title, self._bus.publish, self._live.row, self._bus.publish_once
        )
        for decoder in self._decoders:
            decoder.on_topics = self._bus.learn
        self._bus.inbox.corrected = self._corrector.applied
        self._bus.open()
        stack.callback(self._bus.close)

    def _close_taking(self) -> None:
        """Nothing more comes in; what is here is committed, and then acknowledged."""
        if self._bus:
            self._bus.stop_taking()
        self._events.close()
        self._bookkeeping.close()
        self._group.close()

    def _simulate(self) -> Simulation | None:
        """The twins of the devices: of all with `--twins`, else of those whose bus is a simulated one."""
        simulated = [one for one in self.settings.devices if self._twins or _is_simulated(one.bus)]
        if not simulated:
            return None
        from golmok_drivers.twins import SimDevice, simulate  # a shop with real devices need not hold them in memory

        devices = [SimDevice(one.name, one.driver, one.bus or "", one.options) for one in simulated]
        base, timezone = self.settings.file.parent, self.settings.site.timezone
        return simulate(devices, base=base, ledger=self._ledger, timezone=timezone)

    def _open_one_bus(self, url: str) -> Any:
        is_simulated = self._twins or _is_simulated(url)
        simulation = self._simulation if is_simulated else None
        return open_bus(url, base=self.settings.file.parent, simulation=simulation, counters=self._open_counters)

    def _open_counters(self) -> CounterFile:
        """Where the counters of Bluetooth devices with a key are kept: opened by the first radio."""
        if self._counters is None:
            self._counters = CounterFile(self.settings.store.path, self._clock)
        return self._counters

    def _close_counters(self) -> None:
        if self._counters is not None:
            self._counters.close()

    async def _publish_twins(self, simulation: Simulation, bus: LocalBus) -> None:
        mqtt = self.settings.mqtt
        assert mqtt is not None
        password = mqtt.password_file.read_text().strip() if mqtt.password_file else None
        await _until_caught_up(bus)
        await simulation.publish(mqtt.host, mqtt.port, username=mqtt.username, password=password)

    async def _take_the_rest(self, bus: LocalBus) -> None:
        """What the twins have published is still on its way to us."""
        bus.catch_up()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_MESSAGES_S):
                await _until_caught_up(bus)

    # --- the way of a reading; `_on_…` run in other threads

    def _put_readings(self, records: Sequence[Record]) -> None:
        if self._happening:
            for record in records:
                if record.channel in self._happening:
                    self._put_record(record)
            records = [record for record in records if record.channel not in self._happening]
        if records:
            self._group.put(Item("readings", self._corrector.applied(records)))

    def _put_event(self, channel: str, fields: Mapping[str, Any]) -> None:
        value = json.dumps(fields, ensure_ascii=False, allow_nan=False)
        self._put_record(Record(channel, value, "", self._clock.boot, self._clock.mono_ms()))

    def _put_record(self, record: Record) -> None:
        way = self._bookkeeping if is_calm(record) else self._events  # an alarm does not wait behind what is refused
        way.put(Item("events", [record]))

    def _hand_over(self, items: Sequence[Item]) -> bool:
        self._group.put(*items)
        return True

    def _on_commit(self, commit: Commit) -> None:
        self._said.note(commit.records.get("events", ()))
        if self._bus:
            self._bus.committed(commit)
        if self._courier is None:
            self._settle(commit.ranges)
        elif is_urgent(commit):
            self._courier.wake()
        self._gaps.committed(commit)
        self._alarms.committed(commit)
        if self._bus:
            self._bus.gaps_committed()
        records = commit.records.get("readings", [])
        if records:
            newest = newest_of(records, commit.ranges["readings"])
            self._loop.call_soon_threadsafe(self._tell, newest, len(records))
        if self._happening and (events := commit.records.get("events")):
            seqs = commit.ranges["events"]
            happened = [(one, seq) for one, seq in zip(events, seqs, strict=True) if one.channel in self._happening]
            if happened:
                self._loop.call_soon_threadsafe(self._tell_happened, happened)

    def _on_refuse(self, items: Sequence[Item], error: Exception) -> None:
        self._events.refused(items)
        self._bookkeeping.refused(items)
        if self._bus:
            self._bus.refuse(items)
        self._gaps.refused(items)

    def _on_time(self, server: ServerTime) -> None:
        for anchor in self._time.heed_server(*_moments(server)):
            self._put_record(anchor)

    def _tell(self, newest: Mapping[str, Newest], count: int) -> None:
        self._rate.add(count)
        self._live.committed(newest)
        if self._bus:
            self._publisher.committed(newest, self._expire_s)

    def _tell_happened(self, happened: Sequence[tuple[Record, int]]) -> None:
        if self._bus:
            for record, seq in happened:
                self._publisher.happened(Newest(seq, record))

    def _on_bus_open(self) -> None:
        self._loop.call_soon_threadsafe(self._say_all)

    def _say_all(self) -> None:
        """The broker may have been started anew, or has not heard the last values."""
        self._publisher.again()
        self._publisher.committed(self._live.newest(self._channels), self._expire_s)

    async def _command(self, device: str, value: Value) -> None:
        """Make a device do that; raises LookupError when there is no such device, `DriverError`."""
        task = next((task for task in self._tasks if task.device.name == device), None)
        if task is None:
            raise LookupError(f"there is no device {device!r}")
        await task.tell(value)

    async def _status(self) -> dict[str, Any]:
        bus, used_bytes = self._bus, await self._loop.run_in_executor(self._aside, self._used_bytes)
        return {"last_end": self._last_end, **self._of_rules()} | document(
            Parts(
                self.settings,
                self._clock,
                self._time,
                self._store,
                self._group,
                self._live,
                bus,
                self._courier.state if self._courier else None,
                {one.device.name: one.state for one in self._tasks}
                | {one.device.name: one.state for one in self._decoders},
                self._damage(),
                self._gaps.rows(),
            ),
            is_ready=self._is_started and (bus is None or bus.is_caught_up),
            readings_per_s=self._rate.per_s(),
            used_bytes=used_bytes,
        )

    def _of_rules(self) -> dict[str, Any]:
        open_now = [row for row in self._alarms.rows() if row["state"] != "cleared"]
        return {"alarms": open_now, "learning": self._alarms.learning(), "outputs": self._outputs.rows()}

    def _used_bytes(self) -> int:
        return self._keeper.use(Store.used_bytes)

    def _damage(self) -> dict[str, Any]:
        return {**self._salvager.document(), "quarantined_blocks": self._keeper.counts.quarantined_blocks}

    # --- now and then

    async def _keep_awake(self) -> None:
        """Keep the watchdog quiet while the loop and the store live, and the clock known."""
        every_s = min(HOUSEKEEPING_S, (watchdog_s() or HOUSEKEEPING_S * 2) / 2)
        while True:
            if self._group.is_alive:
                notify("WATCHDOG=1")
            self._heed_kernel()
            await asyncio.sleep(every_s if self._time.is_known else min(every_s, UNKNOWN_S))

    async def _keep_house(self) -> None:
        """Keep the disk in its bounds, and the memory."""
        while True:
            await asyncio.sleep(self._burden.every_s)
            give_back()
            self._say_evicted()
            if why := self._burden.too_much():
                self._end_because(why)
            try:
                await self._loop.run_in_executor(self._aside, self._keeper.use, Store.tidy)
            except StoreError as error:
                _log.error("the store could not be trimmed: %s", error)

    async def _see_to_the_damaged(self) -> None:
        """Have what was set aside salvaged, and bring it to the cloud."""
        while True:
            try:
                await self._loop.run_in_executor(self._aside, self._salvager.step)
            except OSError as error:
                _log.error("a damaged store cannot be seen to: %s", error)
            await asyncio.sleep(EVERY_S)

    def _end_because(self, why: str) -> None:
        """End in order, and be started anew: nothing else helps any more."""
        if not self._why_ended:
            _log.error("the gateway ends itself: %s", why)
            self._why_ended = why
            note_end(self.settings.store.path, why)
            self._on_end()
            self.stop()

    def _say_evicted(self) -> None:
        """Once an hour at most."""
        evicted = self._store.evicted - self._evicted_said
        if evicted < 0:  # another file: the old one was set aside
            evicted, self._evicted_said = self._store.evicted, 0
        if evicted and self._clock.mono_ms() >= self._say_evicted_at_ms:
            _log.warning("the oldest %d readings that the cloud does not have had to make room", evicted)
            self._evicted_said = self._store.evicted
            self._say_evicted_at_ms = self._clock.mono_ms() + SAY_EVICTED_MS

    async def _look_again(self) -> None:
        """See that there is room again, also when nothing comes that could be refused."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            if not self._group.refusals:
                continue
            try:
                await self._loop.run_in_executor(self._aside, self._keeper.use, Store.look_again)
            except StoreError:
                continue  # it was said when it began
            for lane in LANES:
                self._group.recovered(lane)

    async def _keep_gaps(self) -> None:
        """See what has been silent for too long, and remember it."""
        slack_ms = round(1000 * (self.settings.store.commit_interval_s + GAPS_EVERY_S))
        while True:
            for _ in range(round(GAPS_KEPT_EVERY_S / GAPS_EVERY_S)):
                await asyncio.sleep(GAPS_EVERY_S)
                bus = self._bus
                is_draining = bus is not None and bus.is_connected and not bus.is_caught_up
                self._gaps.tick(holds_bus=is_draining, slack_ms=slack_ms)
            await self._loop.run_in_executor(self._aside, self._gaps.save)

    async def _keep_alarms(self) -> None:
        """Let time pass for the rules, remember what they told, and see what was calibrated."""
        while True:
            await asyncio.sleep(ALARMS_EVERY_S)
            self._corrector.look()
            self._alarms.tick()
            await self._loop.run_in_executor(self._aside, self._alarms.save)

    def _settle(self, stored: Mapping[Stream, range]) -> None:
        """Without a cloud nobody acknowledges: all counts as delivered, so that the oldest can make room."""
        for stream, seqs in stored.items():
            self._store.note_acked(stream, seqs.stop - 1)

    def _token(self) -> str | None:
        """What the cloud knows us by; the file may come later."""
        file = self.settings.cloud.token_file if self.settings.cloud else None
        return file.read_text().strip() if file and file.exists() else None

    def _heed_kernel(self) -> None:
        for anchor in self._time.heed_kernel():
            self._put_record(anchor)


def _resume(drivers: Sequence[tuple[Device, Any]], latest: Mapping[str, Found]) -> None:
    """Let them go on counting where they stood."""
    for device, driver in drivers:
        if isinstance(driver, PolledDriver | EventDriver):
            known = {channel.quantity: latest.get(f"{device.name}.{channel.quantity}") for channel in device.channels}
            driver.resume({quantity: found.record.value for quantity, found in known.items() if found})


def _is_simulated(url: str | None) -> bool:
    return bool(url) and parse_bus_url(url or "").simulated


def _anchors(store: Store) -> list[Record]:
    """The clock's anchors that are on disk, the newest first."""
    return [one.record for one in islice(store.reader.find(ANCHOR, "events", newest_first=True), _MOST_ANCHORS)]


def _budgets(settings: Settings) -> Budgets:
    store = settings.store
    is_only_copy = settings.cloud is None
    return Budgets(store.max_bytes, **store.shares, when_full=store.when_full, is_only_copy=is_only_copy)


def _moments(server: ServerTime) -> tuple[int, int, int]:
    return server.server_ms, server.sent_mono_ms, server.came_mono_ms


async def _until_caught_up(bus: LocalBus) -> None:
    while not bus.is_caught_up:  # noqa: ASYNC110  # paho's thread sets it, which cannot set an event of the loop
        await asyncio.sleep(0.02)


def is_urgent(commit: Commit) -> bool:
    """Whether the cloud is to hear of it at once: orders and alarms."""
    return "orders" in commit.records or not all(map(is_calm, commit.records.get("events", [])))


async def serve(gateway: Gateway) -> None:
    """Run until SIGTERM or SIGINT, and end then, whatever happens."""
    share()
    loop = asyncio.get_running_loop()
    with LastResort(gateway.rescue) as last_resort, Stall(loop):

        def end(*_: object) -> None:
            last_resort.begin()
            loop.call_soon_threadsafe(gateway.stop)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)  # not the loop's: a driver may block that
        await gateway.run(last_resort.begin_anew, last_resort.begin)
