"""Brings a store's file to the version of this Golmok: `python -m golmok_edge.store.migrate PATH`.

Always a process of its own (see `layout.py`). Each step is one transaction and is written down in the file; a step
that was released is never changed, a new one is added below it, and `layout.Schema.version` counts them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from sqlite_utils import Database, Migrations

from golmok_cloud_sync.protocol.record import STREAMS
from golmok_edge.store.pagefile import PAGE_BYTES

steps: Final = Migrations("golmok.store")


@steps(name="0001 blocks, voids, epochs and hints")
def _first(db: Database) -> None:
    for stream in STREAMS:
        # One row, one block: no index, so that a commit writes one page.
        db.execute(f"""
            CREATE TABLE {stream} (
                first_seq INTEGER PRIMARY KEY,      -- counted from 1 over all epochs
                count INTEGER NOT NULL,
                boot INTEGER NOT NULL,              -- boot.id
                mono_min INTEGER NOT NULL,
                mono_top INTEGER NOT NULL,          -- the greatest of this boot so far, so that one can search by it
                messages INTEGER NOT NULL,          -- MQTT messages taken so far, with this commit
                taken_before INTEGER NOT NULL,      -- first_seq of the last row before this that has any taken; 0: none
                taken BLOB,                         -- session, then (packet id, hash) of each message; see taken.py
                body BLOB NOT NULL                  -- see packing.py
            )""")  # names from our own table
    db.execute("""
        CREATE TABLE taken (                        -- of blocks that were deleted while their messages may come again
            stream TEXT NOT NULL,
            first_seq INTEGER NOT NULL,
            messages INTEGER NOT NULL,
            taken_before INTEGER NOT NULL,
            taken BLOB NOT NULL,
            PRIMARY KEY (stream, first_seq)
        ) WITHOUT ROWID""")
    db.execute("CREATE TABLE boot (id INTEGER PRIMARY KEY, boot TEXT NOT NULL)")
    db.execute("""
        CREATE TABLE void (                         -- records lo..hi-1 can never come
            stream TEXT NOT NULL,
            lo INTEGER NOT NULL,
            hi INTEGER NOT NULL,
            reason TEXT NOT NULL,
            counts TEXT NOT NULL,                   -- JSON: records of each channel
            PRIMARY KEY (stream, lo)
        ) WITHOUT ROWID""")
    db.execute("""
        CREATE TABLE epoch (
            id INTEGER PRIMARY KEY,
            epoch TEXT NOT NULL UNIQUE,
            bases TEXT NOT NULL                     -- JSON: for each stream, the seq on disk less the seq on the wire
        )""")
    db.execute("CREATE TABLE hint (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID")


def migrate(path: Path, migrations: Migrations) -> None:
    """Apply those of `migrations` that the file at `path` does not have yet; make the file if there is none."""
    db = Database(path)
    try:
        if not db.table_names():
            db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            db.execute("PRAGMA auto_vacuum = NONE")
            db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        migrations.apply(db)
        # After the steps: a file that says it is of this version is.
        db.execute(f"PRAGMA user_version = {len(migrations.applied(db))}")
    finally:
        db.close()


def main() -> None:
    """Migrate the file that the command line names."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m golmok_edge.store.migrate PATH")
    migrate(Path(sys.argv[1]), steps)


if __name__ == "__main__":
    main()
