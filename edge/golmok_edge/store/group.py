"""Group commit: many sources, one thread that writes, one fsync for all that came within a moment.

A commit falls due `interval_s` after the first item that waits, or at once when many records wait or an item is
urgent. Only after it do the sources learn that they were heard. Whoever puts an item must not be kept waiting, so
nothing here blocks in `put`; `waiting` tells how much has piled up.

When there is no room for all, orders and alarms are stored without the rest. What is refused takes along all of its
lane that waits behind it, so that nothing is stored before what came earlier.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

from golmok_cloud_sync.protocol.record import STREAMS, Record, Stream

from .budget import LANES, Lane, lane_of
from .errors import StoreClosedError, StoreFullError
from .packing import checked
from .taken import Taken

COMMIT_INTERVAL_S: Final = 1.0
MOST_WAITING: Final = 4_096
"""A commit falls due at so many records or items: no more than the broker's window of unacknowledged messages."""
_URGENT_STREAMS: Final = frozenset[Stream]({"orders", "events"})
_mono_ms: Final = itemgetter(4)
_log = logging.getLogger(__name__)


class Item(NamedTuple):
    """What one source hands over at once: all of it is stored in one commit, or none. `tag` is the source's own."""

    stream: Stream
    records: Sequence[Record]
    taken: Sequence[Taken] = ()
    urgent: bool | None = None
    """Commit at once; None: if the stream is orders or events."""
    tag: object = None

    @property
    def is_urgent(self) -> bool:
        """Whether it may not wait for the interval."""
        return self.stream in _URGENT_STREAMS if self.urgent is None else self.urgent


class Commit(NamedTuple):
    """What a commit stored. `records[stream]` have the seqs `ranges[stream]`, in this order."""

    items: Sequence[Item]
    records: dict[Stream, list[Record]]
    ranges: dict[Stream, range]
    bytes_written: int


Unit = Sequence[Item]
"""What was put together."""


@dataclass(slots=True)
class Refusal:
    """A lane from which nothing is taken now."""

    error: Exception
    since_s: float
    """By the clock of the group."""
    records: int = 0


class Appends(Protocol):
    """Where the commits go: a store, or what holds one."""

    @property
    def bytes_written(self) -> int:
        """See `Store.bytes_written`."""

    def append(self, batch: Mapping[Stream, Sequence[Record]], taken: Sequence[Taken] = ()) -> dict[Stream, range]:
        """See `Store.append`."""


class Clock(Protocol):
    """What the committing thread knows of time."""

    def now(self) -> float:
        """Seconds since some fixed moment, never falling."""

    def wait(self, condition: threading.Condition, timeout_s: float | None) -> None:
        """Wait, holding `condition`, until it is notified or so much time has passed."""


class MonotonicClock:
    """The machine's own time."""

    def now(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def wait(self, condition: threading.Condition, timeout_s: float | None) -> None:
        """See `Clock`."""
        condition.wait(timeout_s)


@dataclass(slots=True)
class Counts:
    """What a `GroupCommit` has done so far."""

    commits: int = 0
    records: int = 0
    refused_commits: int = 0
    refused_records: int = 0
    failed_callbacks: int = 0
    bytes_written: int = 0
    last_commit_s: float = 0.0


class GroupCommit:
    """The thread that appends to `store`. `on_commit` and `on_refuse` are called in it, one at a time."""

    def __init__(
        self,
        store: Appends,
        on_commit: Callable[[Commit], None],
        on_refuse: Callable[[Sequence[Item], Exception], None],
        *,
        interval_s: float = COMMIT_INTERVAL_S,
        clock: Clock | None = None,
    ) -> None:
        self.counts = Counts()
        self.refusals: dict[Lane, Refusal] = {}
        """What is refused now, and why."""
        self._store = store
        self._on_commit = on_commit
        self._on_refuse = on_refuse
        self._interval_s = interval_s
        self._clock = clock or MonotonicClock()
        self._changed = threading.Condition()
        self._units: list[Unit] = []
        self._waiting = 0
        self._due: float | None = None
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    def put(self, *items: Item) -> None:
        """Hand over `items` as one unit: stored in one commit, or refused together. From any thread; never waits.

        Raises `RecordError` when one of the records may not exist; then nothing of it is taken.
        """
        if not items:
            return
        good = [item._replace(records=checked(item.records)) for item in items]
        now = self._clock.now()
        with self._changed:
            if self._is_closing:
                raise StoreClosedError("the store is being closed; nothing more is taken")
            self._units.append(good)
            self._waiting += sum(max(1, len(item.records)) for item in good)
            is_at_once = self._waiting >= MOST_WAITING or any(item.is_urgent for item in good)
            due = now if is_at_once else now + self._interval_s
            if self._due is None or due < self._due:
                self._due = due
                self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """Records that wait for a commit (those of one that is being written are not counted)."""
        return self._waiting

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Commit what waits and end the thread. Nothing can be put any more."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def refused_s(self, lane: Lane) -> float | None:
        """For how long nothing of `lane` has been taken; None if it is."""
        refusal = self.refusals.get(lane)
        return None if refusal is None else self._clock.now() - refusal.since_s

    def recovered(self, lane: Lane) -> None:
        """The store would take something of `lane` again, though nothing came."""
        if refusal := self.refusals.pop(lane, None):
            _log.warning("%s is taken again; %d records were refused", lane, refusal.records)

    def _run(self) -> None:
        while units := self._next_units():
            self._commit(units)

    def _next_units(self) -> list[Unit]:
        """What the next commit is to hold, once it is due; nothing at the end."""
        with self._changed:
            while not self._is_closing:
                now = self._clock.now()
                if self._due is not None and self._due <= now:
                    break
                self._clock.wait(self._changed, None if self._due is None else self._due - now)
            units, self._units = self._units, []
            self._waiting, self._due = 0, None
            return units

    def _commit(self, units: list[Unit]) -> None:
        """Store all of it, or else what there is room for."""
        lanes: dict[Lane, list[Unit]] = {}
        for unit in units:
            lanes.setdefault(_lane(unit), []).append(unit)
        error = self._stored(units, lanes)
        if error is None:
            return
        for lane in filter(lanes.get, LANES):
            has_more = len(lanes) > 1 and isinstance(error, StoreFullError)
            if why := self._stored(lanes[lane], (lane,)) if has_more else error:
                self._refuse(lane, lanes[lane], why)

    def _stored(self, units: Sequence[Unit], lanes: Iterable[Lane]) -> Exception | None:
        """Store `units`, all or nothing; gives why it could not be."""
        items = [item for unit in units for item in unit]
        records = in_order(items)
        started, written = self._clock.now(), self._store.bytes_written
        try:
            ranges = self._store.append(records, [message for item in items for message in item.taken])
        except Exception as error:  # noqa: BLE001  # this thread must live on, and every source must be told
            return error
        commit = Commit(items, records, ranges, self._store.bytes_written - written)
        self.counts.commits += 1
        self.counts.records += sum(map(len, records.values()))
        self.counts.bytes_written += commit.bytes_written
        self.counts.last_commit_s = self._clock.now() - started
        for lane in lanes:
            self.recovered(lane)
        self._tell(partial(self._on_commit, commit))
        return None

    def _refuse(self, lane: Lane, units: list[Unit], error: Exception) -> None:
        """Give back `units` and what waits behind them; twice, for what is put until the source has heard of it."""
        refusal = self.refusals.get(lane)
        if refusal is None or type(refusal.error) is not type(error):
            _log.error("%s is refused: %s", lane, error)  # once, however long it lasts
        refusal = self.refusals.setdefault(lane, Refusal(error, self._clock.now()))
        refusal.error = error
        for refused in (units, None, None):
            items = [item for unit in refused or self._behind(lane) for item in unit]
            if items:
                count = sum(len(item.records) for item in items)
                refusal.records += count
                self.counts.refused_commits += 1
                self.counts.refused_records += count
                self._tell(partial(self._on_refuse, items, error))

    def _behind(self, lane: Lane) -> list[Unit]:
        """Take out all of `lane` that waits."""
        with self._changed:
            mine = [unit for unit in self._units if _lane(unit) == lane]
            self._units = [unit for unit in self._units if _lane(unit) != lane]
            self._waiting -= sum(max(1, len(item.records)) for unit in mine for item in unit)
            if not self._units:
                self._due = None
            return mine

    def _tell(self, listener: Callable[[], None]) -> None:
        try:
            listener()
        except Exception:  # noqa: BLE001  # this thread must live on; the trace is logged and the failure counted
            self.counts.failed_callbacks += 1
            _log.exception("a listener failed after a commit")


def in_order(items: Iterable[Item]) -> dict[Stream, list[Record]]:
    """The records of each stream as they are stored: by time, and what came at one time as it was put.

    A source's own records keep their order, since its time never falls; ordered so, all are smaller on the wire.
    Times of different boots cannot be compared: a boot's records stay behind those of the boot before.
    """
    batch: dict[Stream, list[Record]] = {}
    for item in items:
        if item.records:
            batch.setdefault(item.stream, []).extend(item.records)
    for records in batch.values():
        boots = {boot: rank for rank, boot in enumerate(dict.fromkeys(record.boot for record in records))}
        if len(boots) == 1:
            records.sort(key=_mono_ms)
        else:
            records.sort(key=lambda record: (boots[record.boot], record.mono_ms))
    return {stream: batch[stream] for stream in STREAMS if stream in batch}


def _lane(unit: Unit) -> Lane:
    return lane_of((item.stream, item.records) for item in unit)
