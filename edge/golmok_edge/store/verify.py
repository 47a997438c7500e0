"""Reads a whole store, as a technician asks for it: each block and its check sum, the seqs, SQLite's own check.

File and log are looked at together, as SQLite reads them, and each for itself, as they stand on the card: `hidden.py`.
Also while a gateway writes to it: everything is read in short pieces, each of one state of the file.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from golmok_cloud_sync.protocol.record import STREAMS, Stream

from . import rows
from .errors import StoreError, explain, explained_rows
from .hidden import gone_at_next_start, rotten_behind_log
from .layout import SCHEMA, Layout, forget_cached
from .packing import BodyError, Unpacker, place_of
from .reader import PRAGMAS

_CHUNK: Final = 512
_MOST_FAULTS: Final = 1_000


class Fault(msgspec.Struct):
    """Something that is not as it was written. Seqs are those on disk."""

    what: str
    stream: str = ""
    first: int | None = None
    last: int | None = None


class StreamReport(msgspec.Struct):
    """A stream as it was read."""

    records: int = 0
    blocks: int = 0
    voids: dict[str, int] = {}
    """Records that can never come, by reason."""
    first: int | None = None
    last: int | None = None


class Report(msgspec.Struct):
    """All that was found."""

    file: str
    whole: bool = False
    bytes: int = 0
    epoch: str = ""
    streams: dict[str, StreamReport] = {}
    faults: list[Fault] = []
    covered: list[Fault] = []
    """What is not as it was written, while the log has it anew: nothing of it is lost."""

    def note(self, what: str, stream: str = "", first: int | None = None, last: int | None = None) -> None:
        """One fault more."""
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(Fault(what, stream, first, last))


def verify(folder: Path, tell: Callable[[float], None] = lambda _: None) -> Report:
    """Read the store in `folder`; `tell` hears how far it has come, from 0 to 1. Never raises for damage."""
    layout = Layout(folder)
    report = Report(str(layout.file))
    forget_cached(layout.file)
    try:
        layout.look()
        report.bytes = layout.file.stat().st_size
        uri = f"{layout.file.absolute().as_uri()}?mode=ro"
        with explained_rows(layout.file), closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
            for pragma in PRAGMAS:
                db.execute(f"PRAGMA {pragma}")
            _check_whole(db, report, tell)
            _check_streams(db, layout.file, report, tell)
        _check_hidden(layout, report)
    except StoreError as error:
        report.note(_plain(error, layout.file))
    report.whole = not report.faults and not report.covered
    tell(1.0)
    return report


def _check_whole(db: sqlite3.Connection, report: Report, tell: Callable[[float], None]) -> None:
    """What SQLite says of its pages, and what stands in the small tables."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA.version:
        report.note(f"it is of version {version}, and this Golmok knows {SCHEMA.version}")
    tell(0.0)
    for (said,) in db.execute("PRAGMA integrity_check(50)"):
        for line in str(said).splitlines():
            if line != "ok" and not line.startswith("***"):
                report.note(f"SQLite: {line}")
    tell(0.2)
    epochs = rows.epochs(db)
    if not epochs:
        report.note("it has no epoch")
    else:
        report.epoch = epochs[-1].epoch


def _check_hidden(layout: Layout, report: Report) -> None:
    for what, stream in gone_at_next_start(layout):
        report.note(what, stream or "")
    report.covered += [
        Fault(f"page {number} of the file is not as it was written; the log has it whole, so nothing of it is lost")
        for number in rotten_behind_log(layout)[:_MOST_FAULTS]
    ]


def _check_streams(db: sqlite3.Connection, file: Path, report: Report, tell: Callable[[float], None]) -> None:
    total = sum(_span(db, stream) for stream in STREAMS) or 1
    done = 0
    for stream in STREAMS:
        read = report.streams[stream] = StreamReport()
        voids = Counter[str]()
        try:
            with explained_rows(file):
                _check_blocks(db, stream, report, read, partial(_tell_share, tell, done, total))
                for lo, hi, reason in db.execute("SELECT lo, hi, reason FROM void WHERE stream = ?", (stream,)):
                    voids[reason] += hi - lo
        except StoreError as error:
            report.note(_plain(error, file), stream)
        read.voids = dict(voids)
        done += _span(db, stream)


def _tell_share(tell: Callable[[float], None], before: int, total: int, now: int) -> None:
    tell(0.2 + 0.8 * (before + now) / total)


def _span(db: sqlite3.Connection, stream: Stream) -> int:
    try:
        first, last = db.execute(f"SELECT MIN(first_seq), MAX(first_seq) FROM {rows.table(stream)}").fetchone()  # noqa: S608
        return int((last or 0) - (first or 0))
    except (sqlite3.Error, TypeError):
        return 0  # said where it is read


def _check_blocks(
    db: sqlite3.Connection, stream: Stream, report: Report, read: StreamReport, tell: Callable[[int], None]
) -> None:
    unpacker = Unpacker()
    query = (
        f"SELECT first_seq, count, body FROM {rows.table(stream)} WHERE first_seq > ? "  # noqa: S608  # our names
        f"ORDER BY first_seq LIMIT {_CHUNK}"
    )
    at, expected = -1, None
    while chunk := db.execute(query, (at,)).fetchall():
        for first, count, body in chunk:
            if first <= at:
                report.note("two blocks stand in one place", stream, first)
                return
            if expected is not None and first != expected:
                _check_hole(db, stream, report, expected, first)
            try:
                unpacker.unpack(body, count, place_of(stream, first))
                expected = first + count
            except BodyError as error:
                expected = None
                report.note(str(error), stream, first, rows.next_block(db, stream, first) - 1)
            at = first
            read.first = first if read.first is None else read.first
            read.last = first + count - 1 if isinstance(count, int) else first
            read.blocks += 1
            read.records += count if expected is not None else 0
        tell(at - (read.first or 0))


def _check_hole(db: sqlite3.Connection, stream: Stream, report: Report, lo: int, hi: int) -> None:
    """Between blocks there may only be voids, or nothing where the blocks before it were just trimmed."""
    at = lo
    while at < hi and (void := rows.void_at(db, stream, at)):
        at = void.hi
    if at < hi and rows.is_hole(db, stream, at):
        report.note("they are gone, and nothing says why", stream, at, hi - 1)
    elif hi < lo:
        report.note("it begins before the one before it ends", stream, hi)


def _plain(error: StoreError, file: Path) -> str:
    """What is wrong, without the file's name and without what to do: both are said once."""
    cause = error.__cause__
    said = str(explain(file, cause) if isinstance(cause, sqlite3.Error) else error)
    return said.removeprefix(f"{file}: ").partition(". The file is damaged")[0]
