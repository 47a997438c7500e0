"""What the store costs: ingest and drain beside raw SQLite in one run, and bytes written per reading.

`python -m bench.store --json`. The raw peer is what a careful person would write by hand: a 54-byte JSON text a row,
write-ahead log, synchronous=FULL, executemany and one commit for as many rows. Both take turns on one disk, because
fsync on a shared disk is noisy: trust the ratios.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from golmok_cloud_sync.protocol import Record, Void
from golmok_edge.store import Store
from golmok_edge.store.wear import thread_bytes_written

BOOT: Final = "8c3f0b6e5d2a4f19b7c1d0e9a8f76543"
CHANNELS: Final = (
    # name, unit, first value, step
    ("fridge.temperature", "Cel", 4.0, 0.05),
    ("fridge.humidity", "%", 60.0, 0.1),
    ("room.temperature", "Cel", 21.0, 0.05),
    ("room.humidity", "%", 45.0, 0.1),
    ("room.co2", "[ppm]", 800.0, 5.0),
    ("kiln.temperature", "Cel", 900.0, 0.4),
    ("motor.vibration", "mm/s", 2.0, 0.05),
    ("plug.power", "W", 120.0, 2.0),
    ("door.open", "", 0.0, 0.0),
    ("meter.energy", "kWh", 1000.0, 0.01),
)
ROUNDS: Final = 5


def readings(count: int, per_s: float, seed: int = 1) -> list[Record]:
    """A seeded café and workshop: ten channels in turn, `per_s` readings a second in all."""
    chance = random.Random(seed)
    now = [first for _, _, first, _ in CHANNELS]
    made = []
    for at in range(count):
        channel = at % len(CHANNELS)
        name, unit, _, step = CHANNELS[channel]
        mono_ms = 60_000 + int(at * 1000 / per_s) + chance.randint(0, 9)
        now[channel] = round(now[channel] + chance.gauss(0, step), 2)
        value: float | bool = chance.random() < 0.02 if name == "door.open" else now[channel]
        made.append(Record(name, value, unit, BOOT, mono_ms))
    return made


class Raw:
    """Raw SQLite, as a careful person would use it."""

    def __init__(self, file: Path) -> None:
        self.db = sqlite3.connect(file, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self.db.execute(f"PRAGMA {pragma}")
        self.db.execute("CREATE TABLE q (id INTEGER PRIMARY KEY, msg TEXT)")
        self.db.execute("CREATE TABLE cursor (id INTEGER PRIMARY KEY, at INTEGER)")
        self.db.execute("INSERT INTO cursor VALUES (1, 0)")

    def append(self, texts: Sequence[str]) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("INSERT INTO q (msg) VALUES (?)", [(text,) for text in texts])
        self.db.execute("COMMIT")

    def drain(self, pack: int) -> int:
        """Read everything, and keep the cursor, a pack at a time."""
        at = count = 0
        while rows := self.db.execute("SELECT id, msg FROM q WHERE id > ? ORDER BY id LIMIT ?", (at, pack)).fetchall():
            at = rows[-1][0]
            count += len(rows)
            self.db.execute("UPDATE cursor SET at = ? WHERE id = 1", (at,))
        return count


def text_of(record: Record) -> str:
    """A reading of about 54 bytes, as the raw peer keeps it."""
    return json.dumps({"c": record.channel, "t": record.mono_ms, "v": record.value}, separators=(",", ":"))


def timed(work: Callable[[], object]) -> tuple[float, int]:
    """Seconds, and bytes written, that `work` took."""
    written, began = thread_bytes_written(), time.perf_counter()
    work()
    return time.perf_counter() - began, thread_bytes_written() - written


def cut(rows: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [rows[at : at + size] for at in range(0, len(rows), size)]


def ingest(folder: Path, per_commit: int, commits: int) -> dict[str, float]:
    """Both append the same readings, in turns of a few commits."""
    records = readings(per_commit * commits, 10.0)
    texts = [text_of(record) for record in records]
    ours_s, raw_s = [0.0] * ROUNDS, [0.0] * ROUNDS
    with Store.open(folder / f"ingest{per_commit}") as store, closing(sqlite3.connect(":memory:")):
        raw = Raw(folder / f"ingest{per_commit}.raw")
        turns = zip(cut(records, per_commit), cut(texts, per_commit), strict=True)
        for at, (mine, theirs) in enumerate(turns):
            raw_s[at % ROUNDS] += timed(lambda theirs=theirs: raw.append(theirs))[0]  # type: ignore[misc]
            ours_s[at % ROUNDS] += timed(lambda mine=mine: store.append({"readings": mine}))[0]  # type: ignore[misc]
        raw.db.close()
    return compared(len(records), ours_s, raw_s)


def compared(count: int, ours_s: Sequence[float], raw_s: Sequence[float]) -> dict[str, float]:
    """Rates over all rounds, the median of their ratios, and the ratio of the best (what a quiet machine gives)."""
    return {
        "ours_per_s": round(count / sum(ours_s)),
        "raw_per_s": round(count / sum(raw_s)),
        "ratio": round(statistics.median(theirs / mine for mine, theirs in zip(ours_s, raw_s, strict=True)), 3),
        "ratio_of_best": round(min(raw_s) / min(ours_s), 3),
    }


def drain(folder: Path, per_commit: int, count: int, pack: int = 1_000) -> dict[str, float]:
    """Both give back a backlog in packs of 1,000; it was stored with `per_commit` readings a commit."""
    records = readings(count, 10.0)
    raw = Raw(folder / f"drain{per_commit}.raw")
    for part in cut([text_of(record) for record in records], 10_000):
        raw.append(part)
    ours_s, raw_s, written = [], [], 0
    with Store.open(folder / f"drain{per_commit}") as store:
        fill(store, records, per_commit)
        del records  # a backlog lies on disk; in memory it would only make the garbage collector slow
        gc.collect()
        for _ in range(ROUNDS):
            raw_s.append(timed(lambda: raw.drain(pack))[0])
            seconds, bytes_ = timed(lambda: drain_store(store, pack))
            ours_s.append(seconds)
            written += bytes_
    raw.db.close()
    rates = compared(count * ROUNDS, ours_s, raw_s)
    return rates | {"ours_bytes_written_per_reading": round(written / count / ROUNDS, 3)}


def fill(store: Store, records: Sequence[Record], per_commit: int) -> None:
    """Store `records`. The commits need not be durable one by one here."""
    store._db.execute("PRAGMA synchronous = OFF")
    for part in cut(records, per_commit):
        store.append({"readings": part})
    store._db.execute("PRAGMA synchronous = FULL")


def drain_store(store: Store, pack: int) -> None:
    """What the uplink does with a backlog, but for the network."""
    at = 1
    while part := store.read("readings", at, pack):
        assert not isinstance(part, Void)
        at += len(part)
        store.note_acked("readings", at - 1)
    store.note_acked("readings", 0)


def wear(folder: Path, per_s: float, interval_s: float, minutes: float = 10.0) -> dict[str, float]:
    """Bytes written per reading over simulated minutes, with the cursor hints and the last close."""
    records = readings(int(per_s * 60 * minutes), per_s)
    now = 0.0
    store = Store.open(folder / f"wear{per_s}-{interval_s}", clock=lambda: now)
    before = thread_bytes_written()
    for part in cut(records, int(per_s * interval_s)):
        now += interval_s
        store.append({"readings": part})
        store.note_acked("readings", store.tail("readings"))
    appended = thread_bytes_written() - before
    store.close()
    closed = thread_bytes_written() - before
    return {
        "bytes_per_reading": round(appended / len(records), 1),
        "with_close": round(closed / len(records), 1),
        "readings": len(records),
    }


def main() -> None:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder if not given")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    options = parser.parse_args()
    share = 10 if options.quick else 1
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="golmok-bench-") as name:
        folder = Path(name)
        result = {
            "ingest": {str(n): ingest(folder, n, c // share) for n, c in ((10, 500), (100, 300), (1_000, 200))},
            "drain": {str(n): drain(folder, n, 200_000 // share) for n in (10, 50, 1_000)},
            "wear": {
                f"{per_s:g}/s, {interval_s:g} s": wear(folder, per_s, interval_s, 10 / share)
                for per_s, interval_s in ((1, 5), (10, 1), (10, 5), (100, 1))
            },
            "sqlite": sqlite3.sqlite_version,
        }
    json.dump(result, sys.stdout, indent=None if options.json else 1)
    print()


if __name__ == "__main__":
    main()
