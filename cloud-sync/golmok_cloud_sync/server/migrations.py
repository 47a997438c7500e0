"""The schemas of the server's two SQLite files, and how each came to be.

Imported only where a file is new or old: sqlite-utils takes a quarter of a second to load, which a server that was
killed has better use for.
"""

from __future__ import annotations

import sqlite3
from typing import Final

import sqlite_utils
from sqlite_utils import Migrations

log: Final = Migrations("golmok-cloud-log")
registry: Final = Migrations("golmok-cloud-registry")


@log()
def m001_batches(db: sqlite_utils.Database) -> None:
    """Epochs in the order of first contact, the position of each stream, the batches, what is derived."""
    for statement in _M001_BATCHES.split(";"):
        db.execute(statement)


@registry()
def m001_tokens(db: sqlite_utils.Database) -> None:
    """Gateways by name, and tokens by the hash of them; a token without a gateway is a reader's."""
    db.execute("create table gateway (name text primary key, enrolled_ms integer not null)")
    db.execute("create table token (sha256 text primary key, gateway text, made_ms integer not null)")


def apply(db: sqlite3.Connection, which: Migrations, version: int) -> None:
    """Bring the file up to `version`, which is the number of its migrations."""
    which.apply(sqlite_utils.Database(db))
    db.execute(f"pragma user_version = {version}")


_M001_BATCHES: Final = """
create table epoch (
    id integer primary key, gateway text not null, store text not null, epoch text not null, met_ms integer not null,
    unique (gateway, store, epoch)
);
create table stream_state (
    id integer primary key, epoch_id integer not null references epoch(id), stream text not null,
    next_seq integer not null, last_crc integer not null,
    unique (epoch_id, stream)
);
create table batch (
    id integer primary key autoincrement, stream_id integer not null, first_seq integer not null,
    next_seq integer not null, codec integer, crc32 integer not null, last_crc integer not null,
    received_ms integer not null, boot text, mono_min integer, mono_max integer, wall_min integer, wall_max integer,
    payload blob not null
);
create unique index batch_by_seq on batch (stream_id, first_seq);
create index void_by_seq on batch (stream_id, first_seq) where codec is null;
create table derived (name text primary key, upto_id integer not null, body blob not null)
"""
