"""Makes a clean store of what can be read of a damaged one: `python -m golmok_edge.store.salvage FOLDER`.

Always a process of its own, in no hurry: the gateway takes readings meanwhile. It reads page by page, the file and
the log, and may be killed at any moment: what it has is committed with how far it came, and the next one goes on from
there. The damaged files are only read. The clean store has the epoch and the seqs of the damaged one; what could not be
read is void there, for the reason `quarantined`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from heapq import merge
from pathlib import Path
from typing import Final

from golmok_cloud_sync.protocol.record import STREAMS, Stream

from . import rows
from .aside import BUSY, Aside, End, read_aside
from .errors import StoreError, StoreLockedError
from .finds import Block, Boot, Find, Finder, Found, Hint, Kept, Void
from .layout import SCHEMA, Layout, sync_file, sync_folder
from .messages import is_of_use, most_of_rest
from .packing import Unpacker, place_of
from .pages import PageRows, Pages
from .reader import TRIMMED
from .removal import QUARANTINED

CHUNK: Final = 256
"""Pages between two commits."""
_TELL_S: Final = 1.0
_GENTLE: Final = 10
"""How nice it is to others: enough for the taking of readings to come first, and not so much that it never ends."""
_SPARE: Final = "spare"
_FAR: Final = 1 << 20
"""A void further beyond the last record than this was not written by us."""

_NOTES: Final = """
    CREATE TABLE IF NOT EXISTS salvage_note (kind TEXT, name TEXT, value TEXT, PRIMARY KEY (kind, name)) WITHOUT ROWID
"""
"""What was found beside blocks, until the end, and how far the reading came."""


class Salvage:
    """One damaged file on its way to a clean store."""

    def __init__(self, aside: Aside, *, gently: bool = False) -> None:
        """`gently`: leave the processor and the card to others half of the time."""
        self._aside = aside
        self._gently = gently
        self._finder = Finder()
        self._boots: dict[int, str] = {}
        self._runs: dict[str, int] = {}
        self._ends: dict[Stream, dict[str, End]] = {"readings": {}, "events": {}}
        self._moved: set[tuple[Stream, str]] = set()
        """Ends that are not in the notes yet."""

    def run(self, tell: Callable[[Aside], None] = lambda _: None) -> Aside:
        """Do what is left to do; `tell` hears how far it has come. Raises `StoreError`, OSError, `sqlite3.Error`."""
        if self._aside.salvaged.exists():
            return self._aside
        layout = Layout(self._aside.partly)
        layout.make_folder()
        lock = layout.lock()
        try:
            if self._aside.salvaged.exists():  # one that was at it has just come to its end
                shutil.rmtree(layout.folder)
                return self._aside
            if not layout.file.exists():
                layout.prepare(SCHEMA)
            with closing(sqlite3.connect(layout.file, isolation_level=None)) as db:
                for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -4096"):
                    db.execute(f"PRAGMA {pragma}")
                db.execute(_NOTES)
                self._read(db, tell)
                self._finish(db)
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            sync_file(layout.file)
            layout.lock_file.unlink(missing_ok=True)
            self._aside.partly.rename(self._aside.salvaged)
            sync_folder(self._aside.folder)
        finally:
            os.close(lock)
        tell(self._aside)
        return self._aside

    # --- reading

    def _read(self, db: sqlite3.Connection, tell: Callable[[Aside], None]) -> None:
        with Pages(self._aside.file, self._aside.wal_file) as pages:
            total = pages.count + len(pages.log.frames) + len(pages.log.rest)
            most = most_of_rest(self._aside)
            done = int(self._note(db, "progress", "pages") or 0)
            self._aside = self._aside.say(state="salvaging", pages=total, done_pages=done)
            self._boots = {int(run): boot for run, boot in self._notes(db, "boot")}
            for stream, ends in self._ends.items():
                ends.update({name: End(*json.loads(said)) for name, said in self._notes(db, f"end.{stream}")})
            told = time.monotonic()
            while done < total:
                began = time.monotonic()
                db.execute("BEGIN IMMEDIATE")
                for place in range(done, min(done + CHUNK, total)):
                    page, said = _looked_at(pages, place)
                    is_of_rest = place >= pages.count + len(pages.log.frames)
                    for find in self._finder.finds(page, said):
                        if not is_of_rest or is_of_use(find, most):
                            self._keep(db, find)
                done = min(done + CHUNK, total)
                self._keep_note(db, "progress", "pages", done)
                for stream, name in self._moved:
                    self._keep_note(db, f"end.{stream}", name, json.dumps(self._ends[stream][name]))
                self._moved.clear()
                db.execute("COMMIT")
                if time.monotonic() - told >= _TELL_S:
                    told = time.monotonic()
                    records = sum(db.execute(f"SELECT IFNULL(SUM(count), 0) FROM {s}").fetchone()[0] for s in STREAMS)  # noqa: S608  # our names
                    self._aside = self._aside.say(done_pages=done, records=records)
                    tell(self._aside)
                if self._gently:
                    time.sleep(time.monotonic() - began)

    def _keep(self, db: sqlite3.Connection, find: Find) -> None:
        match find:
            case Block():
                self._keep_block(db, find)
            case Boot(run, boot):
                self._boots[run] = boot
                self._keep_note(db, "boot", str(run), boot)
            case Void(stream, lo):
                self._keep_note(db, "void", f"{stream} {lo}", json.dumps(find[2:]))
            case Kept():
                db.execute("INSERT OR IGNORE INTO taken VALUES (?, ?, ?, ?, ?)", find)
            case Hint(name, value):
                self._keep_note(db, "hint", name, value)
            case Found(number, epoch):
                said = {"epoch": epoch.epoch, "bases": epoch.bases}
                self._keep_note(db, "epoch", f"{number:09}", json.dumps(said))

    def _keep_block(self, db: sqlite3.Connection, block: Block) -> None:
        self._keep_ends(block)
        monos = [record.mono_ms for record in block.records]
        db.execute(
            f"INSERT OR IGNORE INTO {rows.table(block.stream)} "  # noqa: S608  # our names
            "(first_seq, count, boot, mono_min, mono_top, messages, taken_before, taken, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                block.first_seq,
                len(block.records),
                self._run(db, block),
                min(monos),
                max(monos),
                block.messages,
                block.taken_before,
                block.taken,
                block.body,
            ),
        )

    def _keep_ends(self, block: Block) -> None:
        """What waited for who knows how long tells nothing of when it was, unless its source does."""
        ends = self._ends.get(block.stream)
        if ends is None:
            return
        for seq, record in enumerate(block.records, block.first_seq):
            if record.wall_ms is None and record.waited_ms is None:
                continue
            known = ends.get(record.channel)
            if known is None or known.seq < seq:
                mono_ms = record.mono_ms - (record.waited_ms or 0)
                ends[record.channel] = End(seq, record.boot, mono_ms, record.wall_ms)
                self._moved.add((block.stream, record.channel))

    def _run(self, db: sqlite3.Connection, block: Block) -> int:
        """The number of the block's run: as its row says, if that agrees with the records, else of the same boot."""
        boot = block.records[0].boot
        if block.boot is not None and self._boots.setdefault(block.boot, boot) == boot:
            self._runs[boot] = block.boot
            return block.boot
        if boot not in self._runs:
            known = [run for run, name in self._boots.items() if name == boot]
            self._runs[boot] = known[0] if known else max(self._boots, default=0) + 1
            self._boots[self._runs[boot]] = boot
        return self._runs[boot]

    # --- the end

    def _finish(self, db: sqlite3.Connection) -> None:
        """Order what was found: epochs, voids, holes. In one commit, so that it is done or not."""
        epochs = self._epochs(db)
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT OR REPLACE INTO boot VALUES (?, ?)", sorted(self._boots.items()))
        for run, boot in self._notes(db, "boot"):
            db.execute("INSERT OR IGNORE INTO boot VALUES (?, ?)", (int(run), boot))
        db.execute("DELETE FROM epoch")
        for epoch in epochs:
            rows.keep_epoch(db, epoch)
        bases = epochs[-1].bases if epochs else dict.fromkeys(STREAMS, 0)
        hints = {name: int(value) for name, value in self._notes(db, "hint")}
        known, is_sure = self._aside.known()
        if not known and (ends := _ends_by_sqlite(self._aside)):
            known, is_sure = {"last": ends}, True
        acked = known.get("acked") or {stream: hints.get(f"acked.{stream}", 0) for stream in STREAMS}
        lost = dict.fromkeys(STREAMS, 0)
        is_end_gone = not is_sure
        for stream in STREAMS:
            _order_times(db, stream)
            last = int((known.get("last") or {}).get(stream, hints.get(f"counted.{stream}", 0)))
            if is_sure:
                _drop_strangers(db, stream, last)
            is_end_gone |= stream == "readings" and last > max(row[0] for row in _ends(db, stream))
            lost[stream] = self._fill(db, stream, bases[stream], int(acked.get(stream, 0)), last)
        self._keep_hints(db, hints, {stream: int(acked.get(stream, 0)) for stream in STREAMS})
        records = sum(db.execute(f"SELECT IFNULL(SUM(count), 0) FROM {s}").fetchone()[0] for s in STREAMS)  # noqa: S608  # our names
        first, (last_boot, last_mono_ms) = _first(db), _last(db)
        db.execute("DROP TABLE salvage_note")
        db.execute("COMMIT")
        self._aside = self._aside.say(
            state="sending" if epochs else "kept",
            epoch=epochs[-1].epoch if epochs else "",
            done_pages=self._aside.about.pages,
            records=records,
            lost={stream: n for stream, n in lost.items() if n},
            end_known=is_sure,
            last_boot=last_boot,
            last_mono_ms=last_mono_ms,
            ends=self._ends if is_end_gone else {},
            first=first,
        )

    def _epochs(self, db: sqlite3.Connection) -> list[rows.Epoch]:
        """The epochs as the file has them, as they were kept beside it, and as the store knew its last."""
        found = [rows.Epoch(**json.loads(said)) for _, said in self._notes(db, "epoch")]
        with suppress(OSError, ValueError, TypeError, KeyError):
            for said in json.loads(self._aside.epochs_file.read_text()):
                epoch = rows.parse_epoch(said["epoch"], json.dumps({**said["bases"], "check": said["check"]}))
                if epoch and epoch not in found:
                    found.append(epoch)
        known, is_sure = self._aside.known()
        if known:
            found.append(rows.Epoch(known["epoch"], {s: int(known["bases"].get(s, 0)) for s in STREAMS}))
        by_name = {epoch.epoch: epoch for epoch in found}
        # Bases only rise; the last in that order is the one that the store was in.
        ordered = sorted(by_name.values(), key=lambda epoch: sum(epoch.bases.values()))
        if is_sure:
            ordered.sort(key=lambda epoch: epoch.epoch == known["epoch"])
        return ordered

    def _fill(self, db: sqlite3.Connection, stream: Stream, base: int, acked: int, last: int) -> int:
        """Write the voids of a stream, those it had and those for the holes; how many records are missing."""
        blocks = db.execute(f"SELECT first_seq, count FROM {rows.table(stream)} ORDER BY first_seq")  # noqa: S608  # our names
        end = max(last, base, *(row[0] for row in _ends(db, stream)))
        voids = sorted(self._voids(db, stream, end + _FAR))
        end = max([end, *(hi - 1 for _, hi, _, _ in voids)])
        at = lost = 0
        for lo, hi in _holes(blocks, voids, end):
            if lo == 1 and (hi - 1 <= base or hi - 1 <= min(acked, end - 1)):
                continue  # deleted long ago, as what the cloud has is; but a stream of which nothing is left has an end
            for begin, stop, reason in _reasons(lo, hi, max(acked, base)):
                db.execute("INSERT OR REPLACE INTO void VALUES (?, ?, ?, ?, '{}')", (stream, begin, stop, reason))
                lost += stop - begin if reason == QUARANTINED else 0
        for lo, hi, reason, counts in voids:
            if lo >= at:
                db.execute("INSERT OR REPLACE INTO void VALUES (?, ?, ?, ?, ?)", (stream, lo, hi, reason, counts))
                at = hi
        return lost

    def _voids(self, db: sqlite3.Connection, stream: Stream, most: int) -> Iterator[tuple[int, int, str, str]]:
        """Those that were found of a stream and may be: they do not overlap, nor lie beyond everything."""
        at = 0
        found = []
        for name, said in self._notes(db, "void"):
            its, lo = name.split(" ")
            if its == stream:
                found.append((int(lo), *json.loads(said)))
        for lo, hi, reason, counts in sorted(found):
            if max(lo, at) < hi <= most:
                yield max(lo, at), hi, reason, counts
                at = hi

    def _keep_hints(self, db: sqlite3.Connection, hints: Mapping[str, int], acked: Mapping[Stream, int]) -> None:
        """Not where an epoch was sealed: that may be of one left long ago. If this one is, the cloud says so."""
        for stream in STREAMS:
            rows.save_hint(db, f"acked.{stream}", acked[stream])
        rows.save_hint(db, "session", hints.get("session", 0))

    # --- notes

    def _keep_note(self, db: sqlite3.Connection, kind: str, name: str, value: object) -> None:
        db.execute("INSERT OR REPLACE INTO salvage_note VALUES (?, ?, ?)", (kind, name, str(value)))

    def _note(self, db: sqlite3.Connection, kind: str, name: str) -> str | None:
        row = db.execute("SELECT value FROM salvage_note WHERE kind = ? AND name = ?", (kind, name)).fetchone()
        return None if row is None else str(row[0])

    def _notes(self, db: sqlite3.Connection, kind: str) -> list[tuple[str, str]]:
        return db.execute("SELECT name, value FROM salvage_note WHERE kind = ? ORDER BY name", (kind,)).fetchall()


def _looked_at(pages: Pages, place: int) -> tuple[bytes, PageRows]:
    """The page at a place and its rows: those of the file, of the log, so that newer comes later, and of its rest."""
    if place < pages.count:
        page = pages.page(place + 1)
        return page, pages.rows(page, place + 1)
    place -= pages.count
    is_of_rest = place >= len(pages.log.frames)
    frame = pages.log.rest[place - len(pages.log.frames)] if is_of_rest else pages.log.frames[place]
    page = pages.frame(frame)
    return page, pages.rows(page, frame.page, is_of_rest=is_of_rest)


def _ends(db: sqlite3.Connection, stream: Stream) -> list[tuple[int]]:
    query = f"SELECT first_seq + count - 1 FROM {rows.table(stream)} ORDER BY first_seq DESC LIMIT 1"  # noqa: S608  # our names
    return db.execute(query).fetchall() or [(0,)]


def _ends_by_sqlite(aside: Aside) -> dict[Stream, int] | None:
    """Where the streams end, if SQLite can still tell that of all of them, and the last blocks are what they say."""
    if aside.wal_file.exists() and aside.wal_file.stat().st_size > 0:
        return None  # it passes over in silence what it cannot read at the end of a log
    how = "mode=ro&immutable=1"
    unpacker, ends = Unpacker(), {}
    try:
        with closing(sqlite3.connect(f"{aside.file.absolute().as_uri()}?{how}", uri=True)) as db:
            db.execute("PRAGMA cell_size_check = ON")
            for stream in STREAMS:
                query = f"SELECT first_seq, count, body FROM {rows.table(stream)} ORDER BY first_seq DESC LIMIT 1"  # noqa: S608
                for first, count, body in db.execute(query).fetchall():
                    unpacker.unpack(body, count, place_of(stream, first))
                ends[stream] = rows.last_seq(db, stream, rows.base(db, stream))
    except (sqlite3.Error, ValueError, TypeError, OverflowError):
        return None
    return ends


def _holes(blocks: sqlite3.Cursor, voids: list[tuple[int, int, str, str]], end: int) -> Iterator[tuple[int, int]]:
    """What neither a block nor a void covers of the records 1 to `end`."""
    covered = _merged(((first, first + count) for first, count in blocks), ((lo, hi) for lo, hi, _, _ in voids))
    at = 1
    for lo, hi in covered:
        if lo > at:
            yield at, lo
        at = max(at, hi)
    if at <= end:
        yield at, end + 1


def _merged(one: Iterator[tuple[int, int]], other: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    yield from merge(one, other)


def _reasons(lo: int, hi: int, acked: int) -> Iterator[tuple[int, int, str]]:
    """A hole by its reasons: what the cloud has was deleted, what it has not is damaged."""
    middle = min(max(lo, acked + 1), hi)
    if lo < middle:
        yield lo, middle, TRIMMED
    if middle < hi:
        yield middle, hi, QUARANTINED


def _drop_strangers(db: sqlite3.Connection, stream: Stream, last: int) -> None:
    """Leave out what lies beyond the end, but for what follows right on it and was committed when nobody had said so.

    Bytes of another store may lie about in a file: of one that stood there before.
    """
    at, name = last, rows.table(stream)
    query = f"SELECT first_seq, count FROM {name} WHERE first_seq > ? ORDER BY first_seq"  # noqa: S608  # our names
    for first, count in db.execute(query, (last,)).fetchall():
        if first != at + 1:
            db.execute(f"DELETE FROM {name} WHERE first_seq = ?", (first,))  # noqa: S608  # our names
        else:
            at = first + count - 1


def _order_times(db: sqlite3.Connection, stream: Stream) -> None:
    """Make `mono_top` what it is in a store: the greatest of a boot so far."""
    name = rows.table(stream)
    run, top = 0, 0
    changes: list[tuple[int, int]] = []
    for first_seq, boot, mono_top in db.execute(f"SELECT first_seq, boot, mono_top FROM {name} ORDER BY first_seq"):  # noqa: S608  # our names
        run, top = boot, max(top, mono_top) if boot == run else mono_top
        if top != mono_top:
            changes.append((top, first_seq))
    db.executemany(f"UPDATE {name} SET mono_top = ? WHERE first_seq = ?", changes)  # noqa: S608  # our names


def _first(db: sqlite3.Connection) -> tuple[str, int] | None:
    """Boot and time of the first record that was read of any stream."""
    found = []
    for stream in STREAMS:
        query = f"SELECT boot, body, count FROM {rows.table(stream)} ORDER BY first_seq LIMIT 1"  # noqa: S608  # our names
        for run, body, count in db.execute(query).fetchall():
            record = Unpacker().unpack(body, count)[0]
            found.append((run, record.mono_ms, record.boot))
    return (min(found)[2], min(found)[1]) if found else None


def _last(db: sqlite3.Connection) -> tuple[str, int]:
    """Boot and time of the last record that was read of any stream."""
    last = ("", 0)
    run = 0
    for stream in STREAMS:
        query = f"SELECT boot, body, count FROM {rows.table(stream)} ORDER BY first_seq DESC LIMIT 1"  # noqa: S608  # our names
        for its, body, count in db.execute(query).fetchall():
            record = Unpacker().unpack(body, count)[-1]
            if (its, record.mono_ms) > (run, last[1]):
                run, last = its, (record.boot, record.mono_ms)
    return last


# --- as a process


def main() -> int:
    """Salvage the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m golmok_edge.store.salvage")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gently", action="store_true")
    args = parser.parse_args()
    os.nice(_GENTLE if args.gently else 0)
    try:
        Salvage(read_aside(args.folder), gently=args.gently).run()
    except (StoreError, OSError, sqlite3.Error) as error:
        print(error, file=sys.stderr)
        return BUSY if isinstance(error, StoreLockedError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
