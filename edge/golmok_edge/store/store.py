"""The outbox: what a gateway has taken and the cloud may not have yet. What `append` gave back is on disk.

One SQLite file in write-ahead mode, synchronous=FULL. One row is one compressed block of a stream's records, so a
commit writes one page and one fsync; there is no other index. The messages of the broker lie in the block that
they became, so that they cost nothing more and are on disk exactly when their records are.

On disk seqs run on from 1 for ever; on the wire they restart with each epoch: wire seq = seq on disk - base. All seqs
that this class takes and gives are those of the wire. How far the cloud has acknowledged is only a hint, saved about
once a minute: after a crash the cloud says where it stands.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from golmok_cloud_sync.protocol.frame import Void
from golmok_cloud_sync.protocol.record import STREAMS, Record, Stream

from . import rows
from .errors import StoreFullError, StoreWriteError, damaged, explained
from .layout import PAGE_BYTES, SCHEMA, Layout, Schema
from .packing import Block, BodyError, Packer, Unpacker, blocks_of
from .reader import TRIMMED, Reader
from .removal import Remover, Trimmed
from .taken import Taken, pack_taken, recent
from .wear import thread_bytes_written

HINT_INTERVAL_S: Final = 60.0
"""How often at most the cursor hints are saved."""


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

    def __init__(self, layout: Layout, lock_descriptor: int, name: str, clock: Callable[[], float]) -> None:
        """Use `Store.open`."""
        self.name = name
        self._file = layout.file
        self._lock_descriptor = lock_descriptor
        self._clock = clock
        self._lock = threading.RLock()
        self._packer = Packer()
        self._is_closed = False
        self._is_stale = False
        with explained(self._file):
            self._db = sqlite3.connect(layout.file, isolation_level=None, check_same_thread=False)
            try:
                self._read_all()
                self.reader = Reader(layout.file)
            except BaseException:
                self._db.close()
                raise

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        name: str = "readings",
        clock: Callable[[], float] = time.monotonic,
        schema: Schema = SCHEMA,
    ) -> Self:
        """Open the store in `folder` for this process alone; make it if there is none. Raises `StoreError`.

        `name` tells it from the gateway's other stores in the cloud.
        """
        layout = Layout(folder)
        layout.make_folder()
        lock_descriptor = layout.lock()
        try:
            layout.prepare(schema)
            return cls(layout, lock_descriptor, name, clock)
        except BaseException:
            os.close(lock_descriptor)
            raise

    def close(self) -> None:
        """Save the hints and let go of the file."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            try:
                with suppress(StoreFullError, StoreWriteError), self._transaction() as db:
                    self._save_hints(db)
            finally:
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
        ranges: dict[Stream, range] = {}
        with self._lock:
            with self._transaction() as db:
                state = self._state.copy()
                packed, count = pack_taken(taken)
                state.messages += count
                for stream in filter(batch.get, STREAMS):
                    before = state.ends[stream].last
                    for block in blocks_of(batch[stream]):
                        self._insert(db, state, stream, block, packed)
                        packed = None
                    base = self._bases[stream]
                    ranges[stream] = range(before + 1 - base, state.ends[stream].last + 1 - base)
                if ranges and self._clock() >= self._save_hints_at:
                    self._save_hints(db)
            if ranges:
                self._state = state
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
                with self._transaction() as db:
                    last = {stream: self._state.ends[stream].last for stream in STREAMS}
                    rows.seal(db, last)
                self._sealed = last
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
            with self._transaction() as db:
                on_disk = {stream: self._bases[stream] + bases.get(stream, 0) for stream in STREAMS}
                epoch = rows.begin_epoch(db, on_disk)
                rows.unseal(db)
                self._save_hints(db, on_disk)
            self._epoch, self._bases, self._acked, self._sealed = epoch.epoch, on_disk, dict(on_disk), None
            for stream in STREAMS:
                self._fill_hole(stream)
            return self._epoch

    def start_broker_session(self) -> int:
        """The broker has forgotten us: messages taken so far are never compared again. Gives the new session."""
        with self._lock:
            with self._transaction() as db:
                rows.save_hint(db, "session", self._session + 1)
            self._session += 1
            return self._session

    def trim(self, budget_bytes: int) -> Trimmed:
        """Delete the oldest acknowledged blocks, readings first, until the rest takes at most `budget_bytes`.

        Nothing that was not acknowledged is touched. The file does not shrink; its room is used again. Call it
        now and then, not after each append; appends get their turn in between.
        """
        records = blocks = 0
        while self.used_bytes() > budget_bytes:
            with self._lock, self._transaction() as db:
                chunk = self._remover(db).trim(self._acked)
            if not chunk.blocks:
                break
            records, blocks = records + chunk.records, blocks + chunk.blocks
        return Trimmed(records, blocks)

    # --- looking

    @property
    def epoch(self) -> str:
        """The current epoch, 16 hex digits."""
        return self._epoch

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
        with self._lock, explained(self._file):
            return recent(rows.taken_back(self._db, self._state.ends), self._session)

    def used_bytes(self) -> int:
        """What the records take on disk: the file without its free pages (beside it lies a log of some 4 MB)."""
        with self._lock, explained(self._file):
            (pages,) = self._db.execute("PRAGMA page_count").fetchone()
            (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
            return int(pages - free) * PAGE_BYTES

    # --- inside

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything or nothing; on disk when it ends. What is kept in memory is changed after it."""
        db, written = self._db, thread_bytes_written()
        try:
            db.execute("BEGIN IMMEDIATE")
            if self._is_stale:
                self._state = rows.load_state(db)
                self._is_stale = False
            yield db
            db.execute("COMMIT")
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
            self._bytes_written += thread_bytes_written() - written

    def _insert(
        self, db: sqlite3.Connection, state: rows.State, stream: Stream, block: Block, packed: bytes | None
    ) -> None:
        end = state.ends[stream]
        first, last = end.last + 1, end.last + block.count
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
                packed,
                self._packer.pack(block),
            ),
        )
        if done.rowcount != 1 or done.lastrowid != first:
            raise StoreWriteError(f"{self._file}: {stream} {first} was not stored. Restart the gateway.")
        state.ends[stream] = rows.End(last, state.boot[0], mono_top, end.taken_at if packed is None else first)

    def _save_hints(self, db: sqlite3.Connection, acked: Mapping[Stream, int] | None = None) -> None:
        for stream, seq in (acked or self._acked).items():
            rows.save_hint(db, f"acked.{stream}", seq)
        rows.save_hint(db, "bytes_written", self._bytes_written)
        self._save_hints_at = self._clock() + HINT_INTERVAL_S

    def _remover(self, db: sqlite3.Connection) -> Remover:
        return Remover(db, self._state.messages, self._session)

    def _void(self, stream: Stream, begin: int, end: int, reason: str) -> None:
        while begin < end:
            with self._transaction() as db:
                begin = self._remover(db).void(stream, begin, end, reason)

    def _fill_hole(self, stream: Stream) -> None:
        """Where the cloud wants records that were deleted after it once had them, say so with a void."""
        lo = self._acked[stream] + 1
        if lo <= self._state.ends[stream].last and not rows.is_on_disk(self._db, stream, lo):
            end = min(self._state.ends[stream].last + 1, rows.next_block(self._db, stream, lo))
            self._void(stream, lo, end, TRIMMED)

    def _read_all(self) -> None:
        """Read what the file says beside its records, and see that any use of it can go well."""
        db = self._db
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -1024"):
            db.execute(f"PRAGMA {pragma}")
        self._check()
        db.execute("BEGIN IMMEDIATE")
        epoch = rows.current_epoch(db) or rows.begin_epoch(db, {})
        db.execute("COMMIT")
        self._epoch, self._bases = epoch.epoch, epoch.bases
        self._state = rows.load_state(db)
        self._sealed = rows.sealed(db)
        hints = rows.hints(db)
        self._session = hints.get("session", 0)
        self._bytes_written = hints.get("bytes_written", 0)
        self._acked = {
            stream: max(base, min(hints.get(f"acked.{stream}", 0), self._state.ends[stream].last))
            for stream, base in self._bases.items()
        }
        self._save_hints_at = self._clock() + HINT_INTERVAL_S

    def _check(self) -> None:
        """Look at the schema and at both ends of each stream: what a start can afford, not the entire file."""
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master")}
        if missing := {*STREAMS, "boot", "void", "epoch", "hint", "taken"} - tables:
            raise damaged(self._file, f"it has no table {min(missing)}")
        unpacker = Unpacker()
        for stream in STREAMS:
            for order in ("ASC", "DESC"):
                query = f"SELECT first_seq, count, body FROM {rows.table(stream)} ORDER BY first_seq {order} LIMIT 1"  # noqa: S608
                for first, count, body in self._db.execute(query).fetchall():
                    try:
                        unpacker.unpack(body, count)
                    except BodyError as error:
                        raise damaged(self._file, f"{stream} {first}: {error}") from error
