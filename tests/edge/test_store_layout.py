"""Where a store may lie, which version it has, and how a damaged one is told from a good one."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path
from random import Random

import pytest

from golmok_cloud_sync.protocol import Void
from golmok_edge.store import (
    BlockDamagedError,
    Layout,
    Reader,
    Store,
    StoreDamagedError,
    StoreError,
    StoreTooNewError,
    StoreUnusableError,
)
from golmok_edge.store.layout import SCHEMA, Schema

from .store_support import ROOT, drain, prepared, reading, records, same, some

NEXT = Schema("tests.edge.store_next_version", SCHEMA.version + 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return prepared(tmp_path / "var")


def test_a_path_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "var"):
        with pytest.raises(StoreUnusableError, match="a file stands where"):
            Store.open(path)


def test_a_store_whose_making_was_interrupted_is_made_anew(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.new_file.write_bytes(b"half")
    layout.new_file.with_name(layout.new_file.name + "-journal").write_bytes(b"half")
    with Store.open(tmp_path) as store:
        store.append({"readings": some(3)})
    assert sorted(path.name.removeprefix("store.db") for path in tmp_path.iterdir()) == [
        "",
        ".ballast",
        ".epochs",
        ".lock",
        ".mark",
    ]


def test_an_older_store_is_brought_forward_with_its_records(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # where the next version's module is found
    with Store.open(folder) as store:
        store.append({"readings": some(10)})
        epoch = store.epoch
    with Store.open(folder, schema=NEXT) as store:
        assert (store.epoch, store.tail("readings")) == (epoch, 10)
        assert same(records(store), some(10))
        store.append({"readings": some(1, 10)})
    with contextlib.closing(sqlite3.connect(Layout(folder).file)) as database:
        assert database.execute("SELECT COUNT(*) FROM added_by_the_next_version").fetchone() == (0,)
        assert database.execute("PRAGMA user_version").fetchone() == (NEXT.version,)
    with pytest.raises(StoreTooNewError, match="Install the newer version"):
        Store.open(folder)


def test_a_migration_that_fails_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with Store.open(folder) as store:
        store.append({"readings": some(10)})
    with pytest.raises(StoreError, match="could not be brought to version"):
        Store.open(folder, schema=Schema("tests.edge.no_such_module", NEXT.version))
    with Store.open(folder) as store:
        assert same(records(store), some(10))


def test_the_file_is_small_pages_without_indexes(folder: Path) -> None:
    Store.open(folder).close()
    with contextlib.closing(sqlite3.connect(Layout(folder).file)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA auto_vacuum").fetchone() == (0,)
        names = database.execute("SELECT tbl_name FROM sqlite_master WHERE type = 'index'").fetchall()
        assert not {("readings",), ("events",), ("orders",), ("files",)} & set(names)


@pytest.mark.parametrize(
    ("at", "put"), [(0, b"\0" * 4_096), (0, b"#!/bin/sh\n"), (16, b"\x02\x00"), (4_096, b"\xff" * 40_960)]
)
def test_a_damaged_file_is_refused_with_what_to_do(folder: Path, at: int, put: bytes) -> None:
    with Store.open(folder) as store:
        store.append({"readings": some(10)})
    with Layout(folder).file.open("r+b") as file:
        file.seek(at)
        file.write(put)
    with pytest.raises(StoreDamagedError, match="golmok-gateway store verify"):
        Store.open(folder)


@pytest.mark.parametrize("size", [0, 50, 5_000])
def test_a_file_cut_short_is_refused(folder: Path, size: int) -> None:
    with Store.open(folder) as store:
        store.append({"readings": some(5_000)})
    with Layout(folder).file.open("r+b") as file:
        file.truncate(size)
    with pytest.raises(StoreDamagedError, match="damaged"):
        Store.open(folder)
    with pytest.raises(StoreDamagedError, match="damaged"):
        Reader.open(folder)


def test_a_missing_file_beside_its_log_is_damage_and_not_a_new_store(folder: Path) -> None:
    with Store.open(folder) as store:
        store.append({"readings": some(10)})
        shutil.copytree(folder, folder.with_name("copy"))
    Layout(folder.with_name("copy")).file.unlink()
    with pytest.raises(StoreDamagedError, match="its log is still there"):
        Store.open(folder.with_name("copy"))


def rot(folder: Path, first_seq: int) -> None:
    """Change bytes in the middle of a block, as a worn card does."""
    with contextlib.closing(sqlite3.connect(Layout(folder).file)) as database:
        (body,) = database.execute("SELECT body FROM readings WHERE first_seq = ?", (first_seq,)).fetchone()
        rotten = body[:20] + bytes(byte ^ 0xFF for byte in body[20:30]) + body[30:]
        database.execute("UPDATE readings SET body = ? WHERE first_seq = ?", (rotten, first_seq))
        database.commit()


def test_a_rotten_last_block_is_found_at_the_start(folder: Path) -> None:
    with Store.open(folder) as store:
        store.append({"readings": some(10)})
        store.append({"readings": some(10)})
    rot(folder, 11)
    with pytest.raises(StoreDamagedError, match="readings 11"):
        Store.open(folder)


def test_a_rotten_block_is_found_when_it_is_read_and_can_be_voided(folder: Path) -> None:
    with Store.open(folder) as store:
        for first in (0, 10, 20):
            store.append({"readings": some(10, first)})
    rot(folder, 11)
    with Store.open(folder) as store:
        found = store.read("readings", 1, 10)
        assert isinstance(found, list)
        with pytest.raises(StoreDamagedError, match="readings from 11 on"):
            store.read("readings", 11, 10)
        store.void("readings", 11, 21, "quarantined")
        assert len(drain(store, "readings")) == 21


def test_a_reader_needs_no_writer(folder: Path) -> None:
    with Store.open(folder) as store:
        store.append({"readings": some(10)})
        with Reader.open(folder) as beside:
            assert same(records(beside), some(10))
            store.append({"readings": some(1, 10)})
            assert beside.tail("readings") == 11
    with Reader.open(folder) as alone:
        assert same(records(alone), some(11))


def change(folder: Path, statement: str) -> None:
    """Change a row behind the store's back."""
    with contextlib.closing(sqlite3.connect(Layout(folder).file)) as database:
        database.execute(statement)
        database.commit()


def test_a_block_that_stands_in_another_s_place_is_not_read_as_that(folder: Path) -> None:
    with Store.open(folder) as store:
        for first in (0, 10, 20):
            store.append({"readings": some(10, first)})
        store.append({"events": some(10)})
    change(folder, "UPDATE readings SET first_seq = 12 WHERE first_seq = 11")
    with Store.open(folder) as store, pytest.raises(StoreDamagedError, match="gone, and nothing says why"):
        store.read("readings", 11, 10)
    change(folder, "UPDATE readings SET first_seq = 11 WHERE first_seq = 12")
    change(folder, "UPDATE readings SET body = (SELECT body FROM events) WHERE first_seq = 11")
    with Store.open(folder) as store, pytest.raises(BlockDamagedError, match="in its place stands events 1"):
        store.read("readings", 11, 10)


def test_an_epoch_with_a_wrong_letter_is_not_used(folder: Path) -> None:
    with Store.open(folder) as store:
        store.append({"readings": some(10)})
        kept = Layout(folder).epochs_file.read_text()
        assert store.epoch in kept
    change(folder, "UPDATE epoch SET epoch = iif(epoch LIKE 'f%', 'e', 'f') || substr(epoch, 2)")
    with pytest.raises(StoreDamagedError, match="not as it was written"):
        Store.open(folder)


@pytest.mark.parametrize("statement", ["count = 'many'", "first_seq = 2 WHERE first_seq = 11", "body = 7", "count = 2"])
def test_rows_that_hold_what_nobody_wrote_are_damage(folder: Path, statement: str) -> None:
    with Store.open(folder) as store:
        for first in (0, 10, 20):
            store.append({"readings": some(10, first)})
    change(folder, f"UPDATE readings SET {statement}{'' if 'WHERE' in statement else ' WHERE first_seq = 1'}")
    with Store.open(folder) as store, pytest.raises(StoreDamagedError):
        drain(store, "readings", 1)


def test_a_quarantined_block_is_a_void_whatever_it_says_of_itself(folder: Path) -> None:
    with Store.open(folder) as store:
        for first in (0, 10, 20):
            store.append({"readings": some(10, first)})
    change(folder, "UPDATE readings SET count = 500, body = 'x' WHERE first_seq = 11")
    with Store.open(folder) as store:
        store.quarantine("readings", 11)
        found = drain(store, "readings")
        (void,) = [one for one in found if isinstance(one, Void)]
        assert (void.lo, void.hi, void.reason, len(found)) == (11, 21, "quarantined", 21)
    with Store.open(folder) as store:
        assert store.tail("readings") == 30


@pytest.mark.parametrize(("at", "put"), [(18, b"\1"), (52, b"\0\0\0\7"), (63, b"\7")])
def test_a_header_with_a_wrong_bit_is_refused(folder: Path, at: int, put: bytes) -> None:
    """A log that SQLite passes over, a file of a version that there is not: damage, and no reason to stop for good."""
    with Store.open(folder) as store:
        store.append({"readings": some(10)})
    with Layout(folder).file.open("r+b") as file:
        file.seek(at)
        file.write(put)
    with pytest.raises(StoreDamagedError):
        Store.open(folder)


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    with pytest.raises(StoreDamagedError, match="it is a folder"):
        Store.open(tmp_path)


@pytest.mark.parametrize(
    "torn", [bytes(512), b"\xff" * 512, b"SQLite format 3\0" + bytes(496)], ids=["0", "ff", "half"]
)
def test_a_first_page_that_was_torn_while_the_log_was_carried_over_is_read_from_the_log(
    tmp_path: Path, torn: bytes
) -> None:
    """A power cut during SQLite's checkpoint: the log is whole until the file is synced."""
    with Store.open(prepared(tmp_path / "live")) as store:
        chance = Random(1)
        stored = [reading(chance.randbytes(2_000).hex(), at) for at in range(50)]  # so much that the file grows
        store.append({"readings": stored})
        shutil.copytree(tmp_path / "live", tmp_path / "left")
    left = Layout(tmp_path / "left")
    left.file.write_bytes(torn + left.file.read_bytes()[512:])
    with Store.open(left.folder) as store:
        assert same(records(store), stored)
    left.file.write_bytes(torn + left.file.read_bytes()[512:])
    with pytest.raises(StoreDamagedError):
        Store.open(left.folder)
