"""What stands in the tables, as small functions over a connection. Seqs here are those on disk.

The callers hold the transaction. Table names are checked against the streams, because SQL takes no parameter there.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, NamedTuple
from zlib import crc32

from golmok_cloud_sync.protocol.record import STREAMS, Stream

from .errors import OddRowError
from .mark import Mark
from .pagefile import PAGE_BYTES
from .taken import is_packed, session_of

END: Final = 2**63 - 1
"""Beyond every seq."""
_ROW_HEAD: Final = 48
"""What a row has beside its blobs: its numbers, its header, its place in the page."""
_MOST_IN_LEAF: Final = PAGE_BYTES - 35
_LEAST_IN_LEAF: Final = (PAGE_BYTES - 12) * 32 // 255 - 23
"""How SQLite divides a row between its page and others: https://www.sqlite.org/fileformat2.html#b_tree_pages ."""


class Epoch(NamedTuple):
    """A numbering of the records; `bases` says for each stream which record on disk came before its first."""

    epoch: str
    bases: dict[Stream, int]

    @property
    def check(self) -> int:
        """A check sum of both."""
        return crc32(json.dumps([self.epoch, *(self.bases[stream] for stream in STREAMS)]).encode())


class VoidRow(NamedTuple):
    """Records lo to hi-1 can never come; `counts` is JSON."""

    lo: int
    hi: int
    reason: str
    counts: str


class End(NamedTuple):
    """Where a stream's table ends."""

    last: int = 0
    boot: int = 0
    mono_top: int = 0
    taken_at: int = 0
    """first_seq of the last block that came from the broker; 0: none."""


@dataclass(slots=True)
class State:
    """What the next append builds on."""

    ends: dict[Stream, End] = field(default_factory=dict)
    boot: tuple[int, str] = (0, "")
    messages: int = 0
    """Messages taken from the broker so far."""
    used: dict[Stream, int] = field(default_factory=dict)
    """About how many bytes of the file each stream's rows take."""

    def copy(self) -> State:
        """Another that can be changed without this one."""
        return State(dict(self.ends), self.boot, self.messages, dict(self.used))


def table(stream: Stream) -> str:
    """The table of `stream`: its name, once it is known to be one."""
    if stream not in STREAMS:
        raise ValueError(f"{stream!r} is no stream; streams are {', '.join(STREAMS)}")
    return stream


# --- epochs


def epochs(db: sqlite3.Connection) -> list[Epoch]:
    """All epochs, the current one last."""
    return [_epoch(*row) for row in db.execute("SELECT epoch, bases FROM epoch ORDER BY id")]


def current_epoch(db: sqlite3.Connection) -> Epoch | None:
    """The last epoch; None in a file that was just made."""
    row = db.execute("SELECT epoch, bases FROM epoch ORDER BY id DESC LIMIT 1").fetchone()
    return _epoch(*row) if row else None


def begin_epoch(db: sqlite3.Connection, bases: Mapping[Stream, int]) -> Epoch:
    """Begin a new epoch behind `bases`.

    Its id follows from the epoch before and from the first run of a boot that has records behind `bases`. Two copies
    of a store that both have to leave an epoch, and hold the same unsent records, so come to the same one, where the
    cloud tells such records from others. Runs are numbered through all streams in the order in which they were
    written, so what copies share is never newer than what only one has. Where nothing lies behind, it is random.
    """
    before, run = current_epoch(db), _first_run(db, bases)
    epoch = secrets.token_hex(8) if before is None or run is None else _hashed(before.epoch, *run)
    while db.execute("SELECT 1 FROM epoch WHERE epoch = ?", (epoch,)).fetchone():
        epoch = _hashed(epoch)  # it had this one before
    keep_epoch(db, Epoch(epoch, {stream: bases.get(stream, 0) for stream in STREAMS}))
    return _epoch(*db.execute("SELECT epoch, bases FROM epoch ORDER BY id DESC LIMIT 1").fetchone())


def keep_epoch(db: sqlite3.Connection, epoch: Epoch) -> None:
    """Write an epoch down as the last one, with a check sum: one wrong letter in it would send all records anew."""
    said = dict[str, int](**epoch.bases, check=epoch.check)
    db.execute("INSERT INTO epoch (epoch, bases) VALUES (?, ?)", (epoch.epoch, json.dumps(said)))


def _first_run(db: sqlite3.Connection, bases: Mapping[Stream, int]) -> tuple[int, str] | None:
    """The number and the boot of the first run of a boot with records behind `bases`; None if there are none."""
    first: tuple[int, str] | None = None
    for stream, at in bases.items():
        name = table(stream)
        row = db.execute(
            f"SELECT boot.id, boot.boot FROM {name} JOIN boot ON boot.id = {name}.boot "  # noqa: S608  # our names
            f"WHERE first_seq >= (SELECT IFNULL(MAX(first_seq), 0) FROM {name} WHERE first_seq <= ?) "
            "AND first_seq + count > ? ORDER BY first_seq LIMIT 1",
            (at + 1, at + 1),
        ).fetchone()
        if row and (first is None or row[0] < first[0]):
            first = row
    return first


def _hashed(*parts: object) -> str:
    return blake2b("\0".join(map(str, parts)).encode(), digest_size=8).hexdigest()


def seal(db: sqlite3.Connection, last: Mapping[Stream, int]) -> None:
    """The current epoch ends with the records `last`."""
    for stream, seq in last.items():
        save_hint(db, f"sealed.{stream}", seq)


def unseal(db: sqlite3.Connection) -> None:
    """The epoch that was sealed is left."""
    db.executemany("DELETE FROM hint WHERE name = ?", [(f"sealed.{stream}",) for stream in STREAMS])


def sealed(db: sqlite3.Connection) -> dict[Stream, int] | None:
    """The last records of the current epoch, if it was sealed."""
    known = hints(db)
    found = {stream: known[f"sealed.{stream}"] for stream in STREAMS if f"sealed.{stream}" in known}
    return found if len(found) == len(STREAMS) else None


def base(db: sqlite3.Connection, stream: Stream) -> int:
    """The seq on disk of the record before the current epoch's first."""
    epoch = current_epoch(db)
    return epoch.bases[stream] if epoch else 0


def _epoch(epoch: str, bases: str) -> Epoch:
    known = json.loads(bases)
    found = Epoch(epoch, {stream: known.get(stream, 0) for stream in STREAMS})
    if known.get("check") != found.check:
        raise OddRowError(f"epoch {epoch!r} is not as it was written")
    return found


def parse_epoch(epoch: str, bases: str) -> Epoch | None:
    """The epoch that two columns tell of, wherever they were found; None if they cannot be trusted."""
    try:
        found = _epoch(epoch, bases)
        good = (
            len(epoch) == 16 and int(epoch, 16) >= 0 and all(type(at) is int and at >= 0 for at in found.bases.values())
        )
    except (OddRowError, ValueError, TypeError, AttributeError):
        return None
    return found if good else None


# --- hints


def hints(db: sqlite3.Connection) -> dict[str, int]:
    """Numbers with names; most help but do not matter after a crash."""
    return dict(db.execute("SELECT name, value FROM hint"))


def save_hint(db: sqlite3.Connection, name: str, value: int) -> None:
    """Keep a number."""
    db.execute("INSERT INTO hint VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value))


def save_days(db: sqlite3.Connection, written: Mapping[str, int]) -> None:
    """Keep what was written on each of these days, and of no others."""
    if written:
        db.execute("DELETE FROM hint WHERE name >= 'written.' AND name < ?", (min(written),))
    for name, count in written.items():
        save_hint(db, name, count)


# --- blocks


def load_state(db: sqlite3.Connection) -> State:
    """What the file says an append builds on."""
    state = State(boot=db.execute("SELECT IFNULL(MAX(id), 0), IFNULL(boot, '') FROM boot").fetchone())
    for stream in STREAMS:
        row = db.execute(
            "SELECT boot, mono_top, IIF(taken IS NULL, taken_before, first_seq), messages "  # noqa: S608  # our names
            f"FROM {table(stream)} ORDER BY first_seq DESC LIMIT 1"
        ).fetchone() or (0, 0, 0, 0)
        (kept_at, messages) = db.execute(
            "SELECT IFNULL(MAX(first_seq), 0), IFNULL(MAX(messages), 0) FROM taken WHERE stream = ?", (stream,)
        ).fetchone()
        state.ends[stream] = End(last_seq(db, stream, base(db, stream)), row[0], row[1], max(row[2], kept_at))
        state.messages = max(state.messages, row[3], messages)
        state.used[stream] = _used(db, stream)
    return state


def row_bytes(body: int, taken: int | None) -> int:
    """About how much of the file a row takes: its share of a page, and the pages of its own that it overflows to."""
    size = body + (taken or 0) + _ROW_HEAD
    pages = 0
    if size > _MOST_IN_LEAF:
        inside = _LEAST_IN_LEAF + (size - _LEAST_IN_LEAF) % (PAGE_BYTES - 4)
        inside = inside if inside <= _MOST_IN_LEAF else _LEAST_IN_LEAF
        pages, size = -(-(size - inside) // (PAGE_BYTES - 4)), inside
    return pages * PAGE_BYTES + PAGE_BYTES // max(1, _MOST_IN_LEAF // size)


def save_used(db: sqlite3.Connection, state: State) -> None:
    """Keep what the rows take, in the transaction that deletes some of them, and now and then; see `_used`."""
    for stream, used in state.used.items():
        save_hint(db, f"used.{stream}", used)
        save_hint(db, f"counted.{stream}", state.ends[stream].last)


def _used(db: sqlite3.Connection, stream: Stream) -> int:
    """What the rows of `stream` take: what was counted last, and what came after it."""
    known = dict(
        db.execute("SELECT name, value FROM hint WHERE name IN (?, ?)", (f"used.{stream}", f"counted.{stream}"))
    )
    counted = known.get(f"counted.{stream}", 0)
    sizes = db.execute(
        f"SELECT length(body), length(taken) FROM {table(stream)} WHERE first_seq > ?",  # noqa: S608  # our names
        (counted,),
    )
    return int(known.get(f"used.{stream}", 0)) + sum(row_bytes(*size) for size in sizes)


def last_seq(db: sqlite3.Connection, stream: Stream, base: int) -> int:
    """The last seq of `stream`: of its rows, its voids (whose rows may be gone), or what the epoch began with."""
    row = db.execute(
        f"SELECT first_seq + count - 1 FROM {table(stream)} ORDER BY first_seq DESC LIMIT 1"  # noqa: S608  # our names
    ).fetchone()
    void = db.execute("SELECT hi - 1 FROM void WHERE stream = ? ORDER BY lo DESC LIMIT 1", (stream,)).fetchone()
    return max(row[0] if row else 0, void[0] if void else 0, base)


def blocks(db: sqlite3.Connection, stream: Stream, lo: int, hi: int, limit: int = -1) -> sqlite3.Cursor:
    """first_seq, count and body of the blocks that hold lo to hi-1, and perhaps one that ends before."""
    name = table(stream)
    return db.execute(
        f"SELECT first_seq, count, body FROM {name} "  # noqa: S608  # our names
        f"WHERE first_seq >= (SELECT IFNULL(MAX(first_seq), 0) FROM {name} WHERE first_seq <= ?) AND first_seq < ? "
        "ORDER BY first_seq LIMIT ?",
        (lo, hi, limit),
    )


def sizes(db: sqlite3.Connection, stream: Stream, lo: int, hi: int, limit: int) -> sqlite3.Cursor:
    """first_seq, count and the lengths of both blobs of the blocks that hold lo to hi-1, without reading the blobs."""
    name = table(stream)
    return db.execute(
        f"SELECT first_seq, count, length(body), length(taken) FROM {name} "  # noqa: S608  # our names
        f"WHERE first_seq >= (SELECT IFNULL(MAX(first_seq), 0) FROM {name} WHERE first_seq <= ?) AND first_seq < ? "
        "AND first_seq + count > ? ORDER BY first_seq LIMIT ?",
        (lo, hi, lo, limit),
    )


def next_block(db: sqlite3.Connection, stream: Stream, after: int) -> int:
    """first_seq of the first block that begins behind `after`; END if there is none."""
    row = db.execute(
        f"SELECT MIN(first_seq) FROM {table(stream)} WHERE first_seq > ?",  # noqa: S608  # our names
        (after,),
    ).fetchone()
    return END if row[0] is None else int(row[0])


def is_on_disk(db: sqlite3.Connection, stream: Stream, at: int) -> bool:
    """Whether a block holds record `at`."""
    row = db.execute(
        f"SELECT first_seq + count FROM {table(stream)} WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1",  # noqa: S608  # our names
        (at,),
    ).fetchone()
    return row is not None and at < row[0]


def is_hole(db: sqlite3.Connection, stream: Stream, at: int) -> bool:
    """Whether record `at`, which is neither in a block nor void, has a block before it: what was trimmed has none."""
    row = db.execute(f"SELECT 1 FROM {table(stream)} WHERE first_seq < ? LIMIT 1", (at,)).fetchone()  # noqa: S608  # our names
    return row is not None


def seek(db: sqlite3.Connection, stream: Stream, boot: int, mono_ms: int) -> int | None:
    """From where on blocks can hold something of `boot` at or after `mono_ms`: (boot, mono_top) never falls."""
    name = table(stream)
    lo, hi = db.execute(f"SELECT MIN(first_seq), MAX(first_seq) FROM {name}").fetchone()  # noqa: S608  # our names
    if lo is None:
        return None
    probe = f"SELECT first_seq, boot, mono_top FROM {name} WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1"  # noqa: S608  # our names
    while lo < hi:
        middle = (lo + hi) // 2
        first_seq, its_boot, mono_top = db.execute(probe, (middle,)).fetchone()
        if (its_boot, mono_top) < (boot, mono_ms):
            lo = middle + 1
        else:
            hi = first_seq
    return int(lo)


def lacks(db: sqlite3.Connection, mark: Mark) -> str | None:
    """What is gone of what a file had when the mark was written beside it; None if nothing is."""
    for stream, was in mark.last.items():
        last = last_seq(db, stream, base(db, stream))
        if last < was:
            return f"the end of {stream} is gone: it had {was}, and has {last}"
    if hints(db).get("session", 0) < mark.session:
        return "what it knew last of the broker is gone"
    return None


# --- voids


def void_at(db: sqlite3.Connection, stream: Stream, at: int) -> VoidRow | None:
    """The void that `at` lies in."""
    row = db.execute(
        "SELECT lo, hi, reason, counts FROM void WHERE stream = ? AND lo <= ? ORDER BY lo DESC LIMIT 1", (stream, at)
    ).fetchone()
    return VoidRow(*row) if row and at < row[1] else None


def next_void(db: sqlite3.Connection, stream: Stream, after: int) -> int:
    """Where the first void behind `after` begins; END if there is none."""
    row = db.execute("SELECT MIN(lo) FROM void WHERE stream = ? AND lo > ?", (stream, after)).fetchone()
    return END if row[0] is None else int(row[0])


# --- messages of the broker


def adopt_taken(db: sqlite3.Connection, packed: bytes, count: int) -> None:
    """In a file that was just made: messages that another one took, older than all that it will take itself."""
    db.execute("INSERT INTO taken VALUES (?, 0, ?, -1, ?)", (STREAMS[-1], count, packed))


def taken_back(db: sqlite3.Connection, ends: Mapping[Stream, End]) -> Iterator[tuple[int, bytes]]:
    """The taken messages of each commit, the newest commit first: each block names the one before it.

    Each with how many had been taken by then.
    """
    heads = {stream: _taken_row(db, stream, end.taken_at) for stream, end in ends.items()}
    while found := {stream: row for stream, row in heads.items() if row}:
        stream, row = max(found.items(), key=lambda item: item[1])
        yield row[0], row[2]
        heads[stream] = _taken_row(db, stream, row[1])


def keep_taken(db: sqlite3.Connection, stream: Stream, first_seq: int, newer_than: int, session: int) -> None:
    """Before a block is deleted: put its messages aside if they may still come again."""
    row = _taken_row(db, stream, first_seq)
    if row and row[0] > newer_than and session_of(row[2]) == session:
        db.execute("INSERT INTO taken VALUES (?, ?, ?, ?, ?)", (stream, first_seq, *row))


def _taken_row(db: sqlite3.Connection, stream: Stream, first_seq: int) -> tuple[int, int, bytes] | None:
    """messages, taken_before and taken of a block, also if it was deleted and its messages put aside."""
    row: tuple[int, int, bytes] | None = db.execute(
        f"SELECT messages, taken_before, taken FROM {table(stream)} WHERE first_seq = ? AND taken IS NOT NULL "  # noqa: S608  # our names
        "UNION ALL SELECT messages, taken_before, taken FROM taken WHERE stream = ? AND first_seq = ?",
        (first_seq, stream, first_seq),
    ).fetchone()
    if row and not (isinstance(row[0], int) and isinstance(row[1], int) and is_packed(row[2])):
        raise OddRowError(f"what {stream} {first_seq} came in cannot be read")
    return row
