"""The log in one SQLite file: what a single server needs, with nothing to install.

WAL with synchronous=FULL: when a commit returns, the batch is on the disk. The tables have rowids on purpose: a
WITHOUT ROWID table with blobs of 2 kB took three times as long in a storm.

One connection writes, under a lock; readers have a connection for each thread, so that a long query delays no
commit. A file lock keeps a second server out: two of them would each be right about a different next_seq.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from golmok_cloud_sync.protocol import STREAMS, Stream, StreamState
from golmok_cloud_sync.server.folders import make_folder
from golmok_cloud_sync.server.log import (
    Appended,
    Batch,
    EpochKey,
    LogBusyError,
    LogError,
    Span,
    Stored,
    StreamInfo,
    StreamKey,
)

FILE: Final = "log.db"

_VERSION: Final = 1
"""The number of the schema's migrations."""

_STREAM_RANK: Final = (
    "case s.stream " + " ".join(f"when '{name}' then {at}" for at, name in enumerate(STREAMS)) + " end"
)
_STREAMS: Final = f"""
select s.id, e.gateway, e.store, e.epoch, s.stream, e.id, s.next_seq, s.last_crc
from stream_state s join epoch e on e.id = s.epoch_id
where e.gateway = ? and (? is null or s.stream = ?) order by e.store, e.id, {_STREAM_RANK}
"""  # noqa: S608  # made of constants
_COLUMNS: Final = (
    "b.id, b.stream_id, b.first_seq, b.next_seq, b.codec, b.crc32, b.last_crc, b.boot, b.mono_min, b.mono_max, "
    "b.wall_min, b.wall_max, b.received_ms, b.payload"
)
_READ: Final = f"""
select {_COLUMNS} from batch b where b.stream_id = :id and b.first_seq >= coalesce(
    (select max(first_seq) from batch where stream_id = :id and first_seq <= :seq and next_seq > :seq), :seq)
"""  # noqa: S608  # made of constants
_CAS: Final = "update stream_state set next_seq = ?, last_crc = ? where id = ? and next_seq = ? and last_crc = ?"
_MEET: Final = "insert or ignore into epoch (gateway, store, epoch, met_ms) values (?, ?, ?, ?)"
_INSERT: Final = """
insert into batch (stream_id, first_seq, next_seq, codec, crc32, last_crc, received_ms,
                   boot, mono_min, mono_max, wall_min, wall_max, payload)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class SqliteBatchLog:
    """`BatchLog` in the folder `folder`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._closing = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        self._local = threading.local()
        self._write_lock = threading.Lock()
        self._lock_file = _lock(folder)
        try:
            self._writer = _connect(self._path)
            _migrate(self._writer)
        except sqlite3.Error as error:
            self._lock_file.close()
            raise LogError(f"{self._path} cannot be used as the log: {error}") from error
        self._ids: dict[StreamKey, int] = {}

    # --- writing ------------------------------------------------------------------------------------------------

    def append(self, batches: Sequence[Batch], now_ms: int, met: Sequence[EpochKey] = ()) -> list[Appended]:
        made: dict[StreamKey, int] = {}
        with self._transaction() as db:
            db.executemany(_MEET, [(*key, now_ms) for key in met])
            results = [self._append(db, batch, now_ms, made) for batch in batches]
        self._ids.update(made)
        return results

    def _append(self, db: sqlite3.Connection, batch: Batch, now_ms: int, made: dict[StreamKey, int]) -> Appended:
        stream_id = self._ids.get(batch.key) or made.get(batch.key)
        if stream_id is None:
            stream_id = made[batch.key] = _stream_id(db, batch.key, now_ms)
        if batch.prev_crc is None:
            (prev_crc,) = db.execute("select last_crc from stream_state where id = ?", (stream_id,)).fetchone()
        else:
            prev_crc = batch.prev_crc
        moved = db.execute(_CAS, (batch.next_seq, batch.last_crc, stream_id, batch.first_seq, prev_crc))
        if not moved.rowcount:
            row = db.execute("select next_seq, last_crc from stream_state where id = ?", (stream_id,)).fetchone()
            return Appended(False, StreamState(*row))
        span = batch.span or (None, None, None, None, None)
        db.execute(
            _INSERT,
            (stream_id, batch.first_seq, batch.next_seq, batch.codec, batch.crc32, batch.last_crc, now_ms, *span,
             batch.payload),
        )  # fmt: skip
        return Appended(True, StreamState(batch.next_seq, batch.last_crc))

    def trim(self, stream_id: int, below_seq: int) -> int:
        with self._transaction() as db:
            return db.execute(
                "delete from batch where stream_id = ? and next_seq <= ?", (stream_id, below_seq)
            ).rowcount

    def save_derived(self, name: str, upto_id: int, body: bytes) -> None:
        with self._transaction() as db:
            db.execute("insert or replace into derived (name, upto_id, body) values (?, ?, ?)", (name, upto_id, body))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._write_lock:
            try:
                self._writer.execute("begin immediate")
                try:
                    yield self._writer
                except BaseException:
                    self._writer.execute("rollback")
                    raise
                self._commit()
            except sqlite3.Error as error:
                raise LogError(f"{self._path} cannot be written: {error}") from error

    def _commit(self) -> None:
        try:
            self._writer.execute("commit")
        except sqlite3.Error:
            if self._writer.in_transaction:
                self._writer.execute("rollback")
            raise

    # --- reading ------------------------------------------------------------------------------------------------

    def next_seq(self, key: EpochKey) -> dict[Stream, StreamState] | None:
        rows = self._rows(
            "select s.stream, s.next_seq, s.last_crc from epoch e left join stream_state s on s.epoch_id = e.id "
            "where e.gateway = ? and e.store = ? and e.epoch = ?",
            key,
        )
        if not rows:
            return None
        return {stream: StreamState(next_seq, crc) for stream, next_seq, crc in rows if stream is not None}

    def streams(self, gateway: str, stream: Stream | None = None) -> list[StreamInfo]:
        return [
            StreamInfo(at, StreamKey(g, store, epoch, name), order, StreamState(next_seq, crc))
            for at, g, store, epoch, name, order, next_seq, crc in self._rows(_STREAMS, (gateway, stream, stream))
        ]

    def gateways(self) -> list[str]:
        return [name for (name,) in self._rows("select distinct gateway from epoch order by gateway")]

    def read(self, stream_id: int, seq: int, limit: int, *, voids: bool | None = None) -> list[Stored]:
        condition = {None: "", True: " and b.codec is null", False: " and b.codec is not null"}[voids]
        rows = self._rows(
            f"{_READ}{condition} order by b.first_seq limit :limit", {"id": stream_id, "seq": seq, "limit": limit}
        )
        return [_stored(row) for row in rows]

    def read_back(self, stream_id: int, seq: int, limit: int) -> list[Stored]:
        rows = self._rows(
            f"select {_COLUMNS} from batch b where b.stream_id = ? and b.first_seq < ? and b.codec is not null "  # noqa: S608  # constants
            "order by b.first_seq desc limit ?",
            (stream_id, seq, limit),
        )
        return [_stored(row) for row in rows]

    def taken_after(self, batch_id: int, limit: int) -> list[tuple[StreamKey, Stored]]:
        rows = self._rows(
            f"select e.gateway, e.store, e.epoch, s.stream, {_COLUMNS} from batch b "  # noqa: S608  # constants
            "join stream_state s on s.id = b.stream_id join epoch e on e.id = s.epoch_id "
            "where b.id > ? order by b.id limit ?",
            (batch_id, limit),
        )
        return [(StreamKey(*row[:4]), _stored(row[4:])) for row in rows]

    def last_id(self) -> int:
        ((last,),) = self._rows("select coalesce(max(id), 0) from batch")
        return int(last)

    def load_derived(self, name: str) -> tuple[int, bytes] | None:
        rows = self._rows("select upto_id, body from derived where name = ?", (name,))
        return (rows[0][0], rows[0][1]) if rows else None

    def _rows(self, sql: str, values: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._reader().execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise LogError(f"{self._path} cannot be read: {error}") from error

    def _reader(self) -> sqlite3.Connection:
        reader: sqlite3.Connection | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = self._local.reader = _connect(self._path)
            reader.execute("pragma query_only = on")
            with self._closing:
                self._readers.append(reader)
        return reader

    def close(self) -> None:
        with self._closing, self._write_lock:
            for reader in self._readers:
                reader.close()
            self._readers.clear()
            self._writer.close()
            self._lock_file.close()


def _lock(folder: Path) -> IO[bytes]:
    try:
        make_folder(folder)
        file = (folder / "server.lock").open("wb")
    except OSError as error:
        raise LogError(f"{folder} cannot be used for the data: {error.strerror}; name a folder with --data") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise LogBusyError(f"{folder} is in use by another server; stop it, or name another folder") from None
    return file


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64, timeout=30)
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    db.execute("pragma cache_size = -16000")
    return db


def _migrate(db: sqlite3.Connection) -> None:
    if db.execute("pragma user_version").fetchone() != (_VERSION,):
        from golmok_cloud_sync.server import migrations  # see there why only now

        migrations.apply(db, migrations.log, _VERSION)


def _stream_id(db: sqlite3.Connection, key: StreamKey, now_ms: int) -> int:
    db.execute(_MEET, (*key.of_epoch, now_ms))
    (epoch_id,) = db.execute(
        "select id from epoch where gateway = ? and store = ? and epoch = ?", key.of_epoch
    ).fetchone()
    db.execute(
        "insert or ignore into stream_state (epoch_id, stream, next_seq, last_crc) values (?, ?, ?, ?)",
        (epoch_id, key.stream, *StreamState()),
    )
    row = db.execute("select id from stream_state where epoch_id = ? and stream = ?", (epoch_id, key.stream)).fetchone()
    return int(row[0])


def _stored(row: tuple[Any, ...]) -> Stored:
    at, stream_id, first_seq, next_seq, codec, crc, last_crc, *span, received_ms, payload = row
    return Stored(
        at, stream_id, first_seq, next_seq, codec, crc, last_crc,
        None if codec is None else Span(*span), received_ms, payload,
    )  # fmt: skip
