"""Reading a store: what the uplink drains and what the pages ask. Never blocks the writer.

A reader has its own read-only connection. Each call sees one state of the file and is short, so that the log can be
carried over behind it. Seqs here are those of the wire: the seq on disk less the base of the current epoch. Records
of an earlier epoch have seqs below 1; only history shows them.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeVar

import zstandard

from golmok_cloud_sync.protocol.frame import Void
from golmok_cloud_sync.protocol.gaps import Moment
from golmok_cloud_sync.protocol.record import STREAMS, Record, Stream, record_crc

from . import rows
from .errors import BlockDamagedError, damaged, damaged_block, explained, explained_rows
from .layout import Layout, forget_cached
from .packing import BodyError, Unpacker, place_of
from .pagefile import PAGE_BYTES

TRIMMED: Final = "trimmed"
"""The reason where records were deleted after they had been acknowledged, and somebody asks for them again."""
MAX_READ_BYTES: Final = 4 << 20
"""About the most bytes, unpacked, that one `read` gives."""
_CHUNK: Final = 256
_SLACK_MS: Final = 60_000


_Done = TypeVar("_Done")
PRAGMAS: Final = ("cache_size = -256", "cell_size_check = ON", "trusted_schema = OFF")
"""Of each connection: little memory, and no trust in a file that may be damaged."""


class Found(NamedTuple):
    """A record with its seq."""

    seq: int
    record: Record


class Reader:
    """Reads one store's file. Any thread may call; calls take turns."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._unpacker = Unpacker()
        self._last_unpacked: tuple[tuple[Stream, int, int], list[Record]] | None = None
        self._db = self._connect()

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the store in `folder`, also while another process writes to it."""
        layout = Layout(folder)
        layout.look()
        return cls(layout.file)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def read_beside(self, do: Callable[[Self], _Done]) -> _Done:
        """What `do` makes of this reader; see `Keeper.read_beside`."""
        return do(self)

    def reread(self) -> None:
        """Forget what was read before: what comes next comes from the card."""
        with self._lock:
            self._db.close()
            self._last_unpacked = None
            forget_cached(self._file)
            self._db = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # --- what the uplink needs

    def epochs(self) -> list[rows.Epoch]:
        """All epochs of this store, the current one last."""
        with self._state() as db:
            return rows.epochs(db)

    def tail(self, stream: Stream) -> int:
        """The last seq of `stream`, 0 if there is none."""
        with self._state() as db:
            base = rows.base(db, stream)
            return rows.last_seq(db, stream, base) - base

    def read(self, stream: Stream, lo: int, limit: int) -> list[Record] | Void:
        """Consecutive records from `lo` on, at most `limit`; or the void that stands there; nothing at the tail.

        Gives fewer than `limit` before a void, and where long texts add up to `MAX_READ_BYTES`.
        """
        if lo < 1 or limit < 1:
            raise ValueError(f"read from seq {lo}, at most {limit}: both must be at least 1")
        with self._state() as db:
            base = rows.base(db, stream)
            at, end = base + lo, rows.last_seq(db, stream, base) + 1
            if at >= end:
                return []
            if void := self._void_at(db, stream, at, base):
                return void
            end = min(end, rows.next_void(db, stream, at))
            if records := self._records(db, stream, at, min(at + limit, end)):
                return records
            if rows.is_hole(db, stream, at):
                raise damaged(self._file, f"{stream} from {at} on: they are gone, and nothing says why")
            end = min(end, rows.next_block(db, stream, at))
            return Void(stream, lo, end - base, TRIMMED, {}, self._crc(db, stream, at - 1, base))

    def crc(self, stream: Stream, seq: int) -> int | None:
        """The CRC of record `seq` (0 for seq 0); None if it is void, or not, or no longer, here.

        Of a void none is told: the cloud may hold the record, if it came there before it was voided here.
        """
        with self._state() as db:
            base = rows.base(db, stream)
            return self._crc(db, stream, base + seq, base) if seq >= 0 else None

    # --- what the pages need

    def hint(self, name: str) -> int:
        """A number that was saved some time ago: `acked.<stream>` (a seq on disk), `session`, `bytes_written`."""
        with self._state() as db:
            return rows.hints(db).get(name, 0)

    def file_bytes(self) -> int:
        """How large the file is, with the room in it that waits to be used again."""
        with self._state() as db:
            (pages,) = db.execute("PRAGMA page_count").fetchone()
            return int(pages) * PAGE_BYTES

    def latest(self, stream: Stream = "readings", blocks: int = 2_000) -> dict[str, Found]:
        """The newest record of each channel among the last `blocks` blocks."""
        found: dict[str, Found] = {}
        before = None
        while blocks > 0:
            chunk = self._rows_back(stream, before, min(blocks, _CHUNK))
            if not chunk:
                break
            for first_seq, records in chunk:
                for place in range(len(records) - 1, -1, -1):
                    record = records[place]
                    if record.channel not in found:
                        found[record.channel] = Found(first_seq + place, record)
                before = first_seq
            blocks -= len(chunk)
        return found

    def boots(self) -> list[str]:
        """The boots that this store has records of, in their order."""
        with self._state() as db:
            return list(dict.fromkeys(boot for (boot,) in db.execute("SELECT boot FROM boot ORDER BY id")))

    def last_moment(self) -> Moment | None:
        """The newest moment of which something is in this store, in any stream."""
        with self._state() as db:
            ends = [
                row
                for stream in STREAMS
                for row in db.execute(
                    f"SELECT boot, mono_top FROM {rows.table(stream)} ORDER BY first_seq DESC LIMIT 1"  # noqa: S608  # our names
                )
            ]
            run, mono_ms = max(ends, default=(None, 0))
            named = db.execute("SELECT boot FROM boot WHERE id = ?", (run,)).fetchone()
            return Moment(named[0], mono_ms) if named else None

    def recent(self, stream: Stream, after: Moment | None, most_blocks: int) -> Iterator[Record]:
        """The records of `stream` from `after` on in their order (and some before it), of the last blocks only."""
        name = rows.table(stream)
        with self._state() as db:
            newest = db.execute(
                f"SELECT first_seq FROM {name} ORDER BY first_seq DESC LIMIT ?",  # noqa: S608  # our names
                (most_blocks,),
            ).fetchall()
            start = newest[-1][0] if newest else rows.END
            run = None
            if after is not None:
                (run,) = db.execute("SELECT MAX(id) FROM boot WHERE boot = ?", (after.boot,)).fetchone()
            if after is not None and run is not None:
                start = max(start, rows.seek(db, stream, run, after.mono_ms) or 0)
        while True:
            with self._state() as db:
                found = db.execute(
                    f"SELECT first_seq, count, body FROM {name} WHERE first_seq >= ? ORDER BY first_seq LIMIT ?",  # noqa: S608  # our names
                    (start, _CHUNK),
                ).fetchall()
            for row in found:  # one at a time: a block may hold a thousand
                with self._lock:
                    records = self._unpack(stream, *row)
                yield from records
            if len(found) < _CHUNK:
                return
            start = found[-1][0] + 1

    def newest_first(self, stream: Stream) -> Iterator[Record]:
        """All records of `stream` that are still on this disk, from the last to the first."""
        before = None
        while chunk := self._rows_back(stream, before, _CHUNK):
            for _, records in chunk:
                yield from reversed(records)
            before = chunk[-1][0]

    def series(
        self, channel: str, boot: str, from_mono_ms: int, to_mono_ms: int, stream: Stream = "readings"
    ) -> Iterator[Found]:
        """The records of `channel` with from_mono_ms <= mono_ms < to_mono_ms in `boot`, in the order of their seqs."""
        with self._state() as db:
            runs = [run for (run,) in db.execute("SELECT id FROM boot WHERE boot = ? ORDER BY id", (boot,))]
            starts = [(run, rows.seek(db, stream, run, from_mono_ms)) for run in runs]
        for run, start in starts:
            while start is not None:
                chunk, start = self._series_chunk(channel, stream, run, start, from_mono_ms, to_mono_ms)
                yield from chunk

    def find(self, channel: str, stream: Stream, *, newest_first: bool = False) -> Iterator[Found]:
        """All records of `channel` that are still on this disk, through all epochs and boots."""
        order, past = ("DESC", "<") if newest_first else ("ASC", ">")
        query = (
            f"SELECT first_seq, count, body FROM {rows.table(stream)} WHERE first_seq {past} ? "  # noqa: S608  # our names
            f"ORDER BY first_seq {order} LIMIT {_CHUNK}"
        )
        at = 2**63 - 1 if newest_first else -1
        while True:
            with self._state() as db:
                base = rows.base(db, stream)
                found = db.execute(query, (at,)).fetchall()
                chunk: list[Found] = []
                for at, count, body in found:
                    matches = self._matches(stream, at, count, body, channel)
                    if newest_first:
                        matches.reverse()
                    chunk += [Found(at + place - base, record) for place, record in matches]
            if not found:
                return
            yield from chunk

    def everything(self, stream: Stream) -> Iterator[Found]:
        """All records of `stream` that are still on this disk, through all epochs, in their order."""
        at = -1
        query = (
            f"SELECT first_seq, count, body FROM {rows.table(stream)} WHERE first_seq > ? "  # noqa: S608  # our names
            f"ORDER BY first_seq LIMIT {_CHUNK}"
        )
        while True:
            with self._state() as db:
                base = rows.base(db, stream)
                chunk = [(at, self._unpack(stream, at, count, body)) for at, count, body in db.execute(query, (at,))]
            if not chunk:
                return
            for at, records in chunk:
                yield from (Found(at + place - base, record) for place, record in enumerate(records))

    # --- inside

    def _connect(self) -> sqlite3.Connection:
        with explained(self._file):
            db = sqlite3.connect(
                f"{self._file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
            )
            for pragma in PRAGMAS:
                db.execute(f"PRAGMA {pragma}")
            return db

    @contextmanager
    def _state(self) -> Iterator[sqlite3.Connection]:
        """One unchanging state of the file, for as long as the block lasts."""
        with self._lock, explained_rows(self._file):
            self._db.execute("BEGIN")
            try:
                yield self._db
            finally:
                self._db.execute("COMMIT")

    def _records(self, db: sqlite3.Connection, stream: Stream, lo: int, hi: int) -> list[Record]:
        records: list[Record] = []
        size = 0
        found = rows.blocks(db, stream, lo, hi)
        for first_seq, count, body in found:
            if first_seq > lo or first_seq + count <= lo or size >= MAX_READ_BYTES:
                break
            block = self._unpack(stream, first_seq, count, body)
            size += zstandard.frame_content_size(body)
            end = min(hi, first_seq + count)
            records += block if lo == first_seq and end == lo + count else block[lo - first_seq : end - first_seq]
            lo = end
        found.close()
        return records

    def _unpack(self, stream: Stream, first_seq: int, count: int, body: bytes) -> list[Record]:
        """The records of a block; the last large one is kept, because drains cut it into pieces."""
        key = (stream, first_seq, count)
        if self._last_unpacked and self._last_unpacked[0] == key:
            return self._last_unpacked[1]
        try:
            records = self._unpacker.unpack(body, count, place_of(stream, first_seq))
        except BodyError as error:
            raise self._damaged(stream, first_seq, error) from error
        self._last_unpacked = (key, records)
        return records

    def _matches(
        self, stream: Stream, first_seq: int, count: int, body: bytes, channel: str
    ) -> list[tuple[int, Record]]:
        try:
            return self._unpacker.find(body, count, channel, place_of(stream, first_seq))
        except BodyError as error:
            raise self._damaged(stream, first_seq, error) from error

    def _damaged(self, stream: Stream, first_seq: int, error: BodyError) -> BlockDamagedError:
        return damaged_block(self._file, stream, first_seq, str(error))

    def _void_at(self, db: sqlite3.Connection, stream: Stream, lo: int, base: int) -> Void | None:
        """The void that covers `lo`, from there on, with those that follow at once for the same reason."""
        found = rows.void_at(db, stream, lo)
        if found is None:
            return None
        begin, hi, reason, known = found
        whole = Counter[str](json.loads(known))
        if begin < lo:  # cut, because the receiver had the first ones as records: its share
            whole = Counter({channel: n * (hi - lo) // (hi - begin) for channel, n in whole.items()})
        while (follows := rows.void_at(db, stream, hi)) and follows.reason == reason:
            hi = follows.hi
            whole.update(json.loads(follows.counts))
        return Void(stream, lo - base, hi - base, reason, dict(whole), self._crc(db, stream, lo - 1, base))

    def _crc(self, db: sqlite3.Connection, stream: Stream, at: int, base: int) -> int | None:
        if at == base:
            return 0
        if rows.void_at(db, stream, at):
            return None
        records = self._records(db, stream, at, at + 1)
        return record_crc(records[0]) if records else None

    def _rows_back(self, stream: Stream, before: int | None, limit: int) -> list[tuple[int, list[Record]]]:
        with self._state() as db:
            base = rows.base(db, stream)
            found = db.execute(
                f"SELECT first_seq, count, body FROM {rows.table(stream)} "  # noqa: S608  # our names
                "WHERE first_seq < ? ORDER BY first_seq DESC LIMIT ?",
                (2**63 - 1 if before is None else before + base, limit),
            ).fetchall()
            return [(first - base, self._unpack(stream, first, count, body)) for first, count, body in found]

    def _series_chunk(
        self, channel: str, stream: Stream, run: int, start: int, from_mono_ms: int, to_mono_ms: int
    ) -> tuple[list[Found], int | None]:
        matches: list[Found] = []
        with self._state() as db:
            base = rows.base(db, stream)
            found = db.execute(
                f"SELECT first_seq, count, boot, mono_min, body FROM {rows.table(stream)} "  # noqa: S608  # our names
                "WHERE first_seq >= ? ORDER BY first_seq LIMIT ?",
                (start, _CHUNK),
            ).fetchall()
            for first_seq, count, boot, mono_min, body in found:
                if boot != run or mono_min >= to_mono_ms + _SLACK_MS:
                    return matches, None
                for place, record in self._matches(stream, first_seq, count, body, channel):
                    if from_mono_ms <= record.mono_ms < to_mono_ms:
                        matches.append(Found(first_seq + place - base, record))
        return matches, found[-1][0] + 1 if len(found) == _CHUNK else None
