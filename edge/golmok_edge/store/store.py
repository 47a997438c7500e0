"""The outbox: what a gateway has taken and the cloud may not have yet. What `append` gave back is on disk.

One SQLite file in write-ahead mode, synchronous=FULL. One row is one compressed block of a stream's records, so a
commit writes one page and one fsync; there is no other index. The messages of the broker lie in the block that
they became, so that they cost nothing more and are on disk exactly when their records are.

On disk seqs run on from 1 for ever; on the wire they restart with each epoch: wire seq = seq on disk - base. All seqs
that this class takes and gives are those of the wire. How far the cloud has acknowledged is only a hint, saved about
once a minute: after a crash the cloud says where it stands.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeVar

from golmok_cloud_sync.protocol.frame import Void
from golmok_cloud_sync.protocol.record import STREAMS, Record, Stream

from . import rows
from .ballast import Ballast, free_bytes
from .bound import UNKNOWN, Bound
from .budget import EVICTABLE, TELEMETRY, Budgets, is_calm
from .errors import (
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreOverBudgetError,
    StoreWriteError,
    damaged,
    explained,
    explained_rows,
    full,
    refusal,
    refused,
)
from .layout import SCHEMA, Layout, Schema, forget_cached
from .mark import Mark, MarkFile
from .packing import Block, BodyError, Packer, Unpacker, blocks_of, place_of
from .pagefile import PAGE_BYTES
from .reader import PRAGMAS, TRIMMED, Reader
from .removal import Remover, Trimmed
from .taken import Taken, pack_taken, recent
from .wear import Days, thread_bytes_written

HINT_INTERVAL_S: Final = 60.0
"""How often at most the cursor hints are saved."""
LOG_BYTES: Final = 8 << 20
"""The log is cut to this when it has grown beyond, which it does only while somebody reads for long."""
MOST_LOG_BYTES: Final = 24 << 20
"""With a log of this size that cannot be carried over telemetry is refused: it would grow without end."""
_LOG_LIMIT: Final = f"journal_size_limit = {LOG_BYTES}"
MOST_CHUNKS: Final = 32
"""So many transactions at most make room for one append: an order must not wait for minutes."""
_MOST_PAGES: Final = 16 * (PAGE_BYTES + 24)
"""More than a block dirties beside its own bytes: the tree above it, the tables of boots and hints, all in the log."""
_SPARE_BYTES: Final = 64 << 10
_Done = TypeVar("_Done")


class _Packed(NamedTuple):
    """A block, the seq on disk for which its body was made, and that body."""

    block: Block
    first_seq: int
    body: bytes


class Store:
    """The store in one folder, opened for writing. Any thread may call; writers take turns."""

    name: str
    """Tells the store from others of its gateway."""
    reader: Reader
    """What this object reads with; pages that must not wait for the uplink take a `new_reader`."""

    _epoch: str
    _bases: dict[Stream, int]
    _state: rows.State
    _acked: dict[Stream, int]  # seqs on disk, like _state
    _sealed: dict[Stream, int] | None  # seqs on disk
    _session: int
    _bytes_written: int
    _save_hints_at: float

    def __init__(
        self, layout: Layout, lock_descriptor: int, name: str, clock: Callable[[], float], budgets: Budgets
    ) -> None:
        """Use `Store.open`."""
        self.name = name
        self.budgets = budgets
        self.evicted = 0
        """Records that had to make room for newer ones, since the store was opened."""
        self._evicted_at_s: float | None = None
        self.wear = Days(clock)
        self._file, self._log_name = layout.file, str(layout.wal_file)
        self._ballast = Ballast(layout.ballast_file)
        self._log, self._pages = Bound(self._log_bytes), Bound(self._used_bytes)
        self._resume_at: dict[Stream, int] = {}
        """Of streams that are refused: how far they must shrink to be taken again."""
        self._lock_descriptor = lock_descriptor
        self._clock = clock
        self._lock = threading.RLock()
        self._packer = Packer()
        self._is_closed = False
        self._is_stale = False
        self._layout = layout
        self._mark = MarkFile(layout.mark_file)
        self._db = self._connect()
        try:
            self._read_all()
            self.reader = Reader(layout.file)
        except BaseException:
            self._db.close()
            raise
        self._bytes_written, self._acked = self._hinted()
        self._spare_epochs()
        self._keep_mark(sync=True)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        name: str = "readings",
        clock: Callable[[], float] = time.monotonic,
        schema: Schema = SCHEMA,
        budgets: Budgets = Budgets(),  # noqa: B008  # never changed
    ) -> Self:
        """Open the store in `folder` for this process alone; make it if there is none. Raises `StoreError`.

        `name` tells it from the gateway's other stores in the cloud.
        """
        layout = Layout(folder)
        layout.make_folder()
        lock_descriptor = layout.lock()
        try:
            layout.prepare(schema)
            return cls(layout, lock_descriptor, name, clock, budgets)
        except StoreFullError:
            # Even to read, SQLite needs some room beside the file.
            if not Ballast(layout.ballast_file).give_up():
                os.close(lock_descriptor)
                raise
        except BaseException:
            os.close(lock_descriptor)
            raise
        os.close(lock_descriptor)
        return cls.open(folder, name=name, clock=clock, schema=schema, budgets=budgets)

    def close(self) -> None:
        """Save the hints and let go of the file."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            try:
                self._carry_over()  # now, so that it is counted
                # They only help. What is damaged the next start finds, which can set it aside.
                with suppress(StoreFullError, StoreWriteError, StoreDamagedError), self._transaction() as db:
                    self._save_hints(db, self._state)
                self._keep_mark(sync=True, is_final=True)
            finally:
                self._mark.close()
                # The last to let go removes the log, unless it may only read: then its room is still ours when we
                # come back to a disk that is full.
                for one in (self.reader, self._db) if self._ballast.make() else (self._db, self.reader):
                    one.close()
                os.close(self._lock_descriptor)

    def abandon(self) -> None:
        """Let go of a file that is damaged and was moved away, without writing to it."""
        with self._lock:
            self._is_closed = True
            self._mark.close()
            self.reader.close()
            self._db.close()
            os.close(self._lock_descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # --- writing

    def append(self, batch: Mapping[Stream, Sequence[Record]], taken: Sequence[Taken] = ()) -> dict[Stream, range]:
        """Put the records of `batch` behind those of their streams, on disk when this returns; gives their seqs.

        All or nothing: on `StoreError` or `RecordError` none of them is stored, and the next append may work. `taken`
        are the messages of the broker that these records came in; they are forgotten where there are no records.
        """
        with self._lock:
            packed = {stream: self._packed(stream, batch[stream]) for stream in filter(batch.get, STREAMS)}
            messages, count = pack_taken(taken)
            are_calm = all(map(is_calm, batch.get("events", ())))
            self._admit(_sizes(packed, messages), are_calm=are_calm)
            work = partial(self._append, packed, messages, count)
            ranges = self._insisting(work, may_use_ballast=TELEMETRY.isdisjoint(packed))
            self._keep_mark()
            return ranges

    def note_acked(self, stream: Stream, seq: int) -> None:
        """The cloud has everything up to `seq`. It may also fall, when the cloud has lost what it had.

        Records that it then asks for but that were deleted since become void, with the reason "trimmed".
        """
        with self._lock:
            if not 0 <= seq <= self.tail(stream):
                raise ValueError(f"{stream}: {seq} acknowledged, but the last record is {self.tail(stream)}: a fork")
            has_fallen = seq < self.acked(stream)
            self._acked[stream] = seq + self._bases[stream]
            if has_fallen:
                self._fill_hole(stream)

    def void(self, stream: Stream, lo: int, hi: int, reason: str) -> None:
        """Records lo to hi-1 can never come, for `reason`; they are counted for each channel.

        Neither what was acknowledged nor what is void already changes. Blocks that are void as a whole are deleted.
        """
        with self._lock:
            if not 1 <= lo <= hi <= self.tail(stream) + 1:
                raise ValueError(f"{stream}: void {lo} to {hi}, but there are records 1 to {self.tail(stream)}")
            begin = max(lo + self._bases[stream], self._acked[stream] + 1)
            self._void(stream, begin, hi + self._bases[stream], reason)

    def seal(self) -> dict[Stream, int]:
        """The current epoch is to be left: fix where each stream ends in it, on disk. Gives these seqs.

        Asked again, also after a restart, it gives the same until `new_epoch`.
        """
        with self._lock:
            known = self.sealed()
            if known is None:
                self._sealed = self._insisting(self._seal)
                known = {stream: self.tail(stream) for stream in STREAMS}
            return known

    def sealed(self) -> dict[Stream, int] | None:
        """What `seal` gave in this epoch; None if it was not sealed."""
        with self._lock:
            return self._sealed and {stream: at - self._bases[stream] for stream, at in self._sealed.items()}

    def new_epoch(self, bases: Mapping[Stream, int]) -> str:
        """Begin a new numbering after a fork: what follows on record `bases[stream]` gets the seqs from 1.

        `bases` are the last records that the cloud has too. Every stream that has records must be named.
        """
        with self._lock:
            for stream in STREAMS:
                tail = self.tail(stream)
                if not 0 <= bases.get(stream, 0 if tail == 0 else -1) <= tail:
                    raise ValueError(f"{stream}: its last common record must be named, from 0 to {tail}")
            on_disk = {stream: self._bases[stream] + bases.get(stream, 0) for stream in STREAMS}
            epoch = self._insisting(partial(self._begin_epoch, on_disk))
            self._epoch, self._bases, self._acked, self._sealed = epoch.epoch, on_disk, dict(on_disk), None
            self._spare_epochs()
            self._keep_mark()
            for stream in STREAMS:
                self._fill_hole(stream)
            return self._epoch

    def quarantine(self, stream: Stream, first_seq: int) -> None:
        """The block that begins with record `first_seq` (on disk) is damaged: its records can never come.

        Raises `StoreDamagedError` where more than that is damaged.
        """
        with self._lock, explained_rows(self._file):
            self._insisting(lambda: self._removing(lambda remover: remover.quarantine(stream, first_seq)))

    def adopt(self, session: int, taken: Sequence[tuple[int, int]], bytes_written: int = 0) -> None:
        """In a store that was just made: go on with the broker's session of one that is gone, and its messages."""
        with self._lock:
            with self._transaction() as db:
                rows.save_hint(db, "session", session)
                packed, count = pack_taken([Taken(session, *message) for message in taken])
                if packed:
                    rows.adopt_taken(db, packed, count)
                self._state = rows.load_state(db)
            self._session = session
            self._bytes_written += bytes_written
            self._keep_mark()

    def reread(self) -> None:
        """Forget what was read before, in the process and in the kernel, and read it from the card.

        Raises `StoreDamagedError`: it was no passing error.
        """
        with self._lock:
            self._db.close()
            forget_cached(self._file)
            self._db = self._connect()
            acked = self._acked
            self._read_all()
            self._acked = {stream: min(seq, self._state.ends[stream].last) for stream, seq in acked.items()}
            self._is_stale = False
            self.reader.reread()

    def start_broker_session(self) -> int:
        """The broker has forgotten us: messages taken so far are never compared again. Gives the new session."""
        with self._lock:
            self._insisting(partial(self._save_hint, "session", self._session + 1))
            self._session += 1
            self._keep_mark()
            return self._session

    def trim(self, budget_bytes: int) -> Trimmed:
        """Delete the oldest acknowledged blocks, readings first, until the rest takes at most `budget_bytes`.

        Nothing that was not acknowledged is touched. The file does not shrink; its room is used again. Call it
        now and then, not after each append; appends get their turn in between.
        """
        records = blocks = 0
        while self.used_bytes() > budget_bytes:
            with self._lock:
                chunk = self._trim(STREAMS)
            if not chunk.blocks:
                break
            records, blocks = records + chunk.records, blocks + chunk.blocks
        return Trimmed(records, blocks)

    def tidy(self) -> Trimmed:
        """What is to be done now and then: keep within the budget, set the ballast aside again."""
        trimmed = self.trim(self.budgets.max_bytes)
        with self._lock:
            self._ballast.make()
        return trimmed

    def look_again(self) -> None:
        """Whether something would be taken now of what was refused before; raises what it would be told."""
        with self._lock:
            for stream in list(self._resume_at):
                self._make_room(stream, 0, self.budgets.limit(stream))
            self._see_to_the_disk(0)
            if self._free_bytes() < _SPARE_BYTES:
                folder = self._file.parent
                if free_bytes(folder) < _SPARE_BYTES:
                    raise full(self._file)
                if why := refusal(folder):
                    raise refused(self._file, why)
            self._insisting(partial(self._save_hint, "session", self._session), may_use_ballast=False)

    # --- looking

    @property
    def known(self) -> dict[str, object]:
        """What this object knows by heart of its file: the epoch, and where each stream begins and ends, on disk."""
        return {
            "epoch": self._epoch,
            "bases": dict(self._bases),
            "last": {stream: end.last for stream, end in self._state.ends.items()},
            "acked": dict(self._acked),
        }

    @property
    def epoch(self) -> str:
        """The current epoch, 16 hex digits."""
        return self._epoch

    @property
    def is_untouched(self) -> bool:
        """Whether it was made, and nothing else has happened to it."""
        return not self._session and not any(end.last for end in self._state.ends.values())

    @property
    def broker_session(self) -> int:
        """The current session with the broker; 0 before the first."""
        return self._session

    @property
    def bytes_written(self) -> int:
        """Bytes written to disk since the store was made, as the kernel counts them (0 where it does not)."""
        return self._bytes_written

    def tail(self, stream: Stream) -> int:
        """The last seq of `stream`, 0 if there is none."""
        return self._state.ends[stream].last - self._bases[stream]

    def acked(self, stream: Stream) -> int:
        """Up to where the cloud has `stream`, as far as known."""
        return self._acked[stream] - self._bases[stream]

    def read(self, stream: Stream, lo: int, limit: int) -> list[Record] | Void:
        """See `Reader.read`."""
        return self.reader.read(stream, lo, limit)

    def crc(self, stream: Stream, seq: int) -> int | None:
        """See `Reader.crc`."""
        return self.reader.crc(stream, seq)

    def new_reader(self) -> Reader:
        """Another reader, for a thread that must not wait for the uplink. Close it."""
        return Reader(self._file)

    def taken_recently(self) -> list[tuple[int, int]]:
        """(packet id, hash) of the last 32,768 messages that were taken in the current broker session."""
        with self._lock, explained_rows(self._file):
            return recent((one for _, one in rows.taken_back(self._db, self._state.ends)), self._session)

    def used_bytes(self) -> int:
        """What the records take on disk: the file without its free pages (beside it lies a log of some 4 MB)."""
        with self._lock:
            return self._used_bytes()

    @property
    def evicted_s(self) -> float | None:
        """How long ago something was evicted; None if nothing was since the store was opened."""
        return None if self._evicted_at_s is None else self._clock() - self._evicted_at_s

    def used_by(self, stream: Stream) -> int:
        """About what the records of `stream` take in the file."""
        return self._state.used[stream]

    # --- room

    def _admit(self, sizes: Mapping[Stream, int], *, are_calm: bool) -> None:
        """See that there is room for what comes, by what the settings allow; raises `StoreFullError`."""
        if not TELEMETRY.isdisjoint(sizes):
            self._see_to_the_disk(sum(sizes.values()))
        for stream, size in sizes.items():
            limit = self.budgets.limit(stream, is_calm=are_calm)
            if self._over(stream, size, min(limit, self._resume_at.get(stream, limit))) > 0:
                self._make_room(stream, size, limit)

    def _over(self, stream: Stream, size: int, limit: int) -> int:
        """How much too large the store would be with so much more of `stream`."""
        over = self._state.used[stream] + size - limit
        if stream in TELEMETRY and not self._pages.is_at_most(self.budgets.max_bytes - size):
            # Orders and events may be more than they should; then these give way.
            over = max(over, self._pages.most + size - self.budgets.max_bytes)
        return over

    def _make_room(self, stream: Stream, size: int, limit: int) -> None:
        """What was acknowledged goes first, then the policy; raises `StoreOverBudgetError`."""
        step = self.budgets.step(stream)
        for _ in range(MOST_CHUNKS):
            over = self._over(stream, size + step, limit)
            if over <= 0 or not self._free_some(stream, over, own=self._state.used[stream] + size + step > limit):
                break
        else:
            return  # far too much, as when the settings allow less than before: the next append goes on
        goal = limit - step if stream in self._resume_at else limit
        if self._over(stream, size, goal) > 0 and self._waits(stream):
            self._resume_at[stream] = limit - step
            raise StoreOverBudgetError(self._too_much(stream))
        self._resume_at.pop(stream, None)

    def _free_some(self, stream: Stream, over: int, *, own: bool) -> bool:
        """One transaction's worth of room; `own`: the stream itself is too large. False if nothing may go."""
        if self._trim((stream,) if own else STREAMS).blocks:
            return True
        may_evict = self.budgets.when_full == "drop-oldest" and stream in EVICTABLE
        return may_evict and self._evict(stream, over) > 0

    def _waits(self, stream: Stream) -> bool:
        """Whether the file holds anything that the cloud does not have: what alone is too large must go in."""
        with explained(self._file):
            return bool(rows.sizes(self._db, stream, self._acked[stream] + 1, rows.END, 1).fetchall())

    def _too_much(self, stream: Stream) -> str:
        return (
            f"{self._file}: {self._state.used[stream] / 1e6:,.1f} MB of {stream} wait for the cloud, all that [store] "
            "max_bytes and budgets allow. See to the way to the cloud, or allow more; with "
            'when_full = "drop-oldest" the oldest readings make room. Capture goes on by itself.'
        )

    def _evict(self, stream: Stream, least_bytes: int) -> int:
        """Void some of the oldest unacknowledged records; how many."""
        evicted = self._insisting(
            lambda: self._removing(lambda remover: remover.evict(stream, self._acked[stream] + 1, least_bytes))
        )
        if evicted.records:
            self.evicted += evicted.records
            self._evicted_at_s = self._clock()
        return evicted.records

    def _trim(self, streams: Sequence[Stream]) -> Trimmed:
        """Delete some of the oldest acknowledged blocks."""
        return self._insisting(lambda: self._removing(lambda remover: remover.trim(self._acked, streams)))

    def _see_to_the_disk(self, size: int) -> None:
        """Telemetry may not take the room that the ballast was given up for, nor make the log grow without end."""
        if not self._log.is_at_most(MOST_LOG_BYTES) and not self._carry_over():
            raise StoreFullError(
                f"{self._log_name}: cannot be carried over into the store. End the program that reads the store for so "
                "long (fuser names it), or make room on the disk; capture goes on by itself."
            )
        if self._ballast.make():
            return
        needed = 2 * size + _SPARE_BYTES
        while self._free_bytes() < needed and self._trim_for_the_disk():
            pass
        if self._free_bytes() < needed:
            raise self._no_room(needed)

    def _no_room(self, needed: int) -> StoreError:
        folder = self._file.parent
        why = refusal(folder) if free_bytes(folder) > needed else None  # a quota, perhaps
        return refused(self._file, why) if why else full(self._file)

    def _insisting(self, work: Callable[[], _Done], *, may_use_ballast: bool = True) -> _Done:
        """Do `work`. Where the disk has no room, make what can be made, and try again."""
        last = (self._ballast.give_up, self._carry_over) if may_use_ballast else (self._clear_up,)
        remedies: list[Callable[[], object]] = [self._carry_over, *last]
        done = self._with_remedies(work, remedies)
        if not self._ballast.bytes:
            self._carry_over()  # else the log takes all that is left, and then has nowhere to be carried to
        return done

    @staticmethod
    def _with_remedies(work: Callable[[], _Done], remedies: Iterable[Callable[[], object]]) -> _Done:
        for remedy in remedies:
            try:
                return work()
            except StoreFullError:
                remedy()
        return work()

    def _trim_for_the_disk(self) -> int:
        """Delete some of what the cloud has; how many blocks."""
        return 0 if self.budgets.is_only_copy else self._trim(STREAMS).blocks

    def _clear_up(self) -> None:
        """Make room for telemetry inside the file; what was given up for that is not for telemetry to take."""
        if not self._trim_for_the_disk() or (not self._ballast.bytes and self._free_bytes() < _SPARE_BYTES):
            raise self._no_room(_SPARE_BYTES)

    def _carry_over(self) -> bool:
        """Carry the log over into the file, so that its room is used again; whether all of it was."""
        written = thread_bytes_written()
        try:
            with explained(self._file):
                busy, pages, carried = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                return not busy and pages == carried
        except StoreError:
            return False  # what was to be done says why
        finally:
            self._wrote(thread_bytes_written() - written)

    def _used_bytes(self) -> int:
        with explained(self._file):
            (pages,) = self._db.execute("PRAGMA page_count").fetchone()
            (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
            return int(pages - free) * PAGE_BYTES

    def _log_bytes(self) -> int:
        try:
            return os.stat(self._log_name).st_size  # noqa: PTH116  # while it is large, at each commit
        except OSError:
            return 0

    def _free_bytes(self) -> int:
        """Room inside the file."""
        with explained(self._file):
            (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
            return int(free) * PAGE_BYTES

    # --- inside

    def _packed(self, stream: Stream, records: Sequence[Record]) -> list[_Packed]:
        packed, first = [], self._state.ends[stream].last + 1
        for block in blocks_of(records):
            packed.append(_Packed(block, first, self._packer.pack(block, place_of(stream, first))))
            first += block.count
        return packed

    def _append(
        self, packed: Mapping[Stream, Sequence[_Packed]], messages: bytes | None, count: int
    ) -> dict[Stream, range]:
        ranges: dict[Stream, range] = {}
        sizes = [len(one.body) + len(messages or b"") + _MOST_PAGES for blocks in packed.values() for one in blocks]
        with self._transaction(2 * sum(sizes)) as db:
            state = self._state.copy()
            state.messages += count
            bearer = _bearer(packed)
            for stream, blocks in packed.items():
                before = state.ends[stream].last
                for one in blocks:
                    self._insert(db, state, stream, one, messages if one is bearer else None)
                base = self._bases[stream]
                ranges[stream] = range(before + 1 - base, state.ends[stream].last + 1 - base)
            if ranges and self._clock() >= self._save_hints_at:
                self._save_hints(db, state)
        if ranges:
            self._state = state
        return ranges

    @contextmanager
    def _transaction(self, most_bytes: int = UNKNOWN) -> Iterator[sqlite3.Connection]:
        """Everything or nothing; on disk when it ends. What is kept in memory is changed after it.

        `most_bytes`: by so much at most the file and its log grow if it goes well.
        """
        db, written, grown = self._db, thread_bytes_written(), UNKNOWN
        try:
            db.execute("BEGIN IMMEDIATE")
            if self._is_stale:
                with explained_rows(self._file):
                    self._state = rows.load_state(db)
                self._is_stale = False
            yield db
            db.execute("COMMIT")
            grown = most_bytes
        except BaseException as error:
            # Whatever was refused or half done: the file says what is there.
            self._is_stale = True
            with explained(self._file):
                if db.in_transaction:
                    db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise
            raise
        finally:
            self._log.grow(grown)
            self._pages.grow(grown)
            self._wrote(thread_bytes_written() - written)

    def _wrote(self, count: int) -> None:
        self._bytes_written += count
        self.wear.note()

    def _insert(
        self,
        db: sqlite3.Connection,
        state: rows.State,
        stream: Stream,
        packed: _Packed,
        messages: bytes | None,
    ) -> None:
        end, (block, place, body) = state.ends[stream], packed
        first, last = end.last + 1, end.last + block.count
        if place != first:  # the file ended elsewhere than was thought after a commit that failed
            body = self._packer.pack(block, place_of(stream, first))
        boot = block.boot
        if state.boot[1] != boot:
            state.boot = (state.boot[0] + 1, boot)
            db.execute("INSERT INTO boot (id, boot) VALUES (?, ?)", state.boot)
        mono_top = max(block.mono_ms)
        if end.boot == state.boot[0]:
            mono_top = max(mono_top, end.mono_top)
        done = db.execute(
            f"INSERT INTO {rows.table(stream)} "  # noqa: S608  # our names
            "(first_seq, count, boot, mono_min, mono_top, messages, taken_before, taken, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                first,
                block.count,
                state.boot[0],
                min(block.mono_ms),
                mono_top,
                state.messages,
                end.taken_at,
                messages,
                body,
            ),
        )
        if done.rowcount != 1 or done.lastrowid != first:
            raise StoreWriteError(f"{self._file}: {stream} {first} was not stored. Restart the gateway.")
        state.ends[stream] = rows.End(last, state.boot[0], mono_top, end.taken_at if messages is None else first)
        state.used[stream] += rows.row_bytes(len(body), None if messages is None else len(messages))

    def _seal(self) -> dict[Stream, int]:
        with self._transaction() as db:
            last = {stream: self._state.ends[stream].last for stream in STREAMS}
            rows.seal(db, last)
        return last

    def _begin_epoch(self, bases: Mapping[Stream, int]) -> rows.Epoch:
        with self._transaction() as db:
            epoch = rows.begin_epoch(db, bases)
            rows.unseal(db)
            self._save_hints(db, self._state, bases)
        return epoch

    def _keep_mark(self, *, sync: bool = False, is_final: bool = False) -> None:
        """Say beside the file how far it has come: what is on disk, and nobody knows of yet."""
        written = thread_bytes_written()
        self._mark.write(
            Mark(
                epoch=self._epoch,
                bases=self._bases,
                last={stream: end.last for stream, end in self._state.ends.items()},
                acked=self._acked,
                session=self._session,
                boot=self._state.boot[1],
                is_final=is_final,
            ),
            sync=sync,
        )
        self._wrote(thread_bytes_written() - written)

    def _save_hint(self, name: str, value: int) -> None:
        with self._transaction() as db:
            rows.save_hint(db, name, value)

    def _save_hints(self, db: sqlite3.Connection, state: rows.State, acked: Mapping[Stream, int] | None = None) -> None:
        for stream, seq in (acked or self._acked).items():
            rows.save_hint(db, f"acked.{stream}", seq)
        rows.save_used(db, state)
        rows.save_hint(db, "bytes_written", self._bytes_written)
        self.wear.note(at_once=True)
        rows.save_days(db, self.wear.hints())
        self._save_hints_at = self._clock() + HINT_INTERVAL_S

    def _removing(self, work: Callable[[Remover], _Done]) -> _Done:
        """One transaction that deletes, with the count of what is left."""
        with explained_rows(self._file), self._transaction() as db:
            state = self._state.copy()
            done = work(Remover(db, state, self._session))
            if state.used != self._state.used:  # else nothing is written, which a full disk would refuse
                rows.save_used(db, state)
        self._state = state
        return done

    def _void(self, stream: Stream, begin: int, end: int, reason: str) -> None:
        while begin < end:
            begin = self._insisting(partial(self._void_chunk, stream, begin, end, reason))

    def _void_chunk(self, stream: Stream, begin: int, end: int, reason: str) -> int:
        return self._removing(lambda remover: remover.void(stream, begin, end, reason))

    def _fill_hole(self, stream: Stream) -> None:
        """Where the cloud wants records that were deleted after it once had them, say so with a void."""
        lo = self._acked[stream] + 1
        if lo <= self._state.ends[stream].last and not rows.is_on_disk(self._db, stream, lo):
            end = min(self._state.ends[stream].last + 1, rows.next_block(self._db, stream, lo))
            self._void(stream, lo, end, TRIMMED)

    def _connect(self) -> sqlite3.Connection:
        with explained(self._file):
            db = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
            for pragma in ("journal_mode = WAL", "synchronous = FULL", _LOG_LIMIT, *PRAGMAS):
                db.execute(f"PRAGMA {pragma}")
            return db

    def _read_all(self) -> None:
        """Read what the file says beside its records, and see that any use of it can go well."""
        db = self._db
        self._log.grow(UNKNOWN)
        self._pages.grow(UNKNOWN)
        with explained_rows(self._file):
            self._check()
            db.execute("BEGIN IMMEDIATE")
            epoch = rows.current_epoch(db) or rows.begin_epoch(db, {})
            db.execute("COMMIT")
            self._epoch, self._bases = epoch.epoch, epoch.bases
            self._state = rows.load_state(db)
            self._sealed = rows.sealed(db)
            hints = rows.hints(db)
            self._session = hints.get("session", 0)
            for stream, end in self._state.ends.items():
                if end.last < max(hints.get(f"counted.{stream}", 0), hints.get(f"acked.{stream}", 0)):
                    raise damaged(self._file, f"the end of {stream} is gone")
            if (mark := self._mark.read()) and (gone := rows.lacks(db, mark)):
                raise damaged(self._file, gone)
        self._save_hints_at = self._clock() + HINT_INTERVAL_S
        self._ballast.make()

    def _hinted(self) -> tuple[int, dict[Stream, int]]:
        """Bytes written and acknowledged seqs, as they were saved some time ago."""
        with explained_rows(self._file):
            hints = rows.hints(self._db)
            self.wear.load(hints)
            return hints.get("bytes_written", 0), {
                stream: max(base, min(hints.get(f"acked.{stream}", 0), self._state.ends[stream].last))
                for stream, base in self._bases.items()
            }

    def _spare_epochs(self) -> None:
        """Keep the epochs beside the file too."""
        with explained_rows(self._file):
            known = json.dumps(
                [{"epoch": one.epoch, "bases": one.bases, "check": one.check} for one in rows.epochs(self._db)]
            )
        with suppress(OSError):  # only a spare; a full disk may refuse it
            self._layout.keep_epochs(known)

    def _check(self) -> None:
        """Look at the schema and at the end of each stream: what a start can afford, not the entire file."""
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master")}
        if missing := {*STREAMS, "boot", "void", "epoch", "hint", "taken"} - tables:
            raise damaged(self._file, f"it has no table {min(missing)}")
        unpacker = Unpacker()
        for stream in STREAMS:
            query = f"SELECT first_seq, count, body FROM {rows.table(stream)} ORDER BY first_seq DESC LIMIT 1"  # noqa: S608
            for first, count, body in self._db.execute(query).fetchall():
                try:
                    unpacker.unpack(body, count, place_of(stream, first))
                except BodyError as error:  # where the stream ends is not known then: no case for `quarantine`
                    raise damaged(self._file, f"{stream} {first}: {error}") from error


def _bearer(packed: Mapping[Stream, Sequence[_Packed]]) -> _Packed | None:
    """The block that bears the messages: of what they became, which is mostly readings; both then share a page."""
    return next((blocks[0] for stream in reversed(STREAMS) if (blocks := packed.get(stream))), None)


def _sizes(packed: Mapping[Stream, Sequence[_Packed]], messages: bytes | None) -> dict[Stream, int]:
    """What these rows take in the file."""
    sizes, bearer = dict.fromkeys(packed, 0), _bearer(packed)
    for stream, blocks in packed.items():
        for one in blocks:
            taken = len(messages) if messages is not None and one is bearer else None
            sizes[stream] += rows.row_bytes(len(one.body), taken)
    return sizes
