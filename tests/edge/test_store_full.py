"""A full disk: the source is refused aloud, nothing acknowledged is lost, and it goes on when there is room."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest

from golmok_cloud_sync.protocol import Record
from golmok_edge.store import (
    Budgets,
    Commit,
    GroupCommit,
    Item,
    Layout,
    Store,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnusableError,
)
from golmok_edge.store.store import LOG_BYTES, MOST_LOG_BYTES

from .store_support import mount_tmpfs, prepared, reading, records, same


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    unmount = mount_tmpfs(tmp_path / "disk", "size=3m")
    yield tmp_path / "disk"
    unmount()


@pytest.fixture
def larger_disk(tmp_path: Path) -> Iterator[Path]:
    unmount = mount_tmpfs(tmp_path / "disk", "size=12m")
    yield tmp_path / "disk"
    unmount()


def fill(folder: Path) -> Path:
    """Take what room is left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4_096)
    return filler


def test_a_full_disk_refuses_and_recovers(small_disk: Path) -> None:
    noise = Random(1)
    kept = []
    with Store.open(prepared(small_disk / "var")) as store:
        filler = fill(small_disk)
        refused: StoreFullError | None = None
        while refused is None:
            batch = [reading(noise.randbytes(500).hex(), at) for at in range(20)]
            try:
                store.append({"readings": batch, "events": batch[:1]})
                kept += batch
            except StoreFullError as error:
                refused = error
        assert "Make room" in str(refused)
        for _ in range(3):
            with pytest.raises(OSError, match="no room is left"):
                store.append({"readings": batch, "events": batch[:1]})
        assert same(records(store), kept)
        filler.unlink()
        assert store.append({"readings": batch})["readings"] == range(len(kept) + 1, len(kept) + 21)
        kept += batch
    with Store.open(small_disk / "var") as store:
        assert same(records(store), kept)
        assert store.tail("events") == len(kept) // 20 - 1


def test_sources_are_refused_and_heard_again(small_disk: Path) -> None:
    heard: list[Item] = []
    refused: list[tuple[Item, Exception]] = []

    def on_commit(commit: Commit) -> None:
        heard.extend(commit.items)

    def on_refuse(items: Sequence[Item], error: Exception) -> None:
        refused.extend((item, error) for item in items)

    noise = Random(2)
    large = [Item("events", [reading(noise.randbytes(1_000).hex(), at) for at in range(60)]) for _ in range(60)]
    with Store.open(prepared(small_disk / "var")) as store:
        filler = fill(small_disk)
        with GroupCommit(store, on_commit, on_refuse) as group:
            for item in large:
                group.put(item)
        assert len(heard) + len(refused) == 60
        assert refused
        assert all(isinstance(error, StoreFullError) for _, error in refused)
        assert group.counts.refused_records == 60 * len(refused)
        filler.unlink()
        with GroupCommit(store, on_commit, on_refuse) as group:
            group.put(refused[0][0])
        assert heard[-1] == refused[0][0]
        assert same(records(store, "events"), [record for item in heard for record in item.records])


def noise(chance: Random, at: int) -> Record:
    return reading(chance.randbytes(500).hex(), at)


def refuse_telemetry(store: Store, chance: Random) -> int:
    """Append until readings are refused; how many were taken."""
    for at in range(100_000):
        try:
            store.append({"readings": [noise(chance, at)]})
        except StoreFullError:
            return at
    raise AssertionError("the disk never was full")


def test_orders_and_alarms_get_in_when_readings_have_filled_the_disk(larger_disk: Path) -> None:
    chance = Random(3)
    with Store.open(prepared(larger_disk / "var")) as store:
        filler = fill(larger_disk)
        kept = refuse_telemetry(store, chance)
        for at in range(200):
            store.append({"orders": [noise(chance, at)]})
            store.append({"events": [reading(1.0, at, "alarm.high")]})
            with pytest.raises(StoreFullError):
                store.append({"readings": [noise(chance, at)]})
        store.void("readings", 1, 3, "refused")
        with pytest.raises(StoreFullError):
            store.look_again()
        filler.unlink()
        store.look_again()
        assert store.append({"readings": [reading(1.0)]}) == {"readings": range(kept + 1, kept + 2)}
        assert (store.tail("orders"), store.tail("events")) == (200, 200)


def test_what_the_cloud_has_makes_room_on_a_full_disk(larger_disk: Path) -> None:
    """Its pages are used again: the file need not grow."""
    chance = Random(4)
    with Store.open(prepared(larger_disk / "var")) as store:
        for at in range(1_000):
            store.append({"readings": [noise(chance, at)]})
        fill(larger_disk)
        refuse_telemetry(store, chance)
        store.note_acked("readings", 700)
        for at in range(400):
            store.append({"readings": [noise(chance, at)]})
        assert len(records(store, lo=701)) == store.tail("readings") - 700


def test_what_lies_nowhere_else_makes_no_room_on_a_full_disk(larger_disk: Path) -> None:
    """Without a cloud: others may have filled it."""
    chance = Random(8)
    with Store.open(prepared(larger_disk / "var"), budgets=Budgets(is_only_copy=True)) as store:
        kept = [noise(chance, at) for at in range(1_000)]
        for record in kept:
            store.append({"readings": [record]})
        store.note_acked("readings", 1_000)
        fill(larger_disk)
        refuse_telemetry(store, chance)
        store.append({"orders": [noise(chance, 1)]})
        with pytest.raises(StoreFullError):
            store.append({"readings": [noise(chance, 1)]})
        assert same(records(store)[:1_000], kept)


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("is_tight", [False, True])
def test_a_store_starts_on_a_full_disk(larger_disk: Path, is_killed: bool, is_tight: bool) -> None:
    """It reads, frees what was acknowledged, takes orders; also when its ballast was given up before."""
    here = larger_disk / "var"
    in_another_process(lambda: _a_life(prepared(here), is_killed, is_tight))
    fill(larger_disk)
    chance = Random(7)
    with Store.open(here) as again:
        tail, orders = again.tail("readings"), again.tail("orders")
        assert tail == len(records(again)) >= 300
        assert orders == 5 * is_tight
        again.append({"orders": [noise(chance, 1)]})
        with pytest.raises(StoreFullError):
            again.append({"readings": [noise(chance, at) for at in range(1_000)]})
        again.note_acked("readings", tail - 1)
        for at in range(100):
            again.append({"readings": [noise(chance, at)]})
        assert (again.tail("orders"), len(records(again, lo=tail))) == (orders + 1, 101)


def _a_life(here: Path, is_killed: bool, is_tight: bool) -> None:
    """300 readings; perhaps a full disk, and orders on it; perhaps no goodbye."""
    chance = Random(5)
    store = Store.open(here)
    for at in range(300):
        store.append({"readings": [noise(chance, at)]})
    if is_tight:
        fill(here.parent)
        refuse_telemetry(store, chance)
        for at in range(5):
            store.append({"orders": [noise(chance, at)]})
    if not is_killed:
        store.close()


def in_another_process(work: Callable[[], None]) -> None:
    """Do it in a process that then ends as if it was killed."""
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        return
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def test_a_log_that_cannot_be_carried_over_is_told(tmp_path: Path) -> None:
    """Somebody reads in one go for hours: the log grows, and that has an end."""
    chance = Random(6)
    with Store.open(prepared(tmp_path / "var")) as store:
        store.append({"readings": [noise(chance, 0)]})
        with closing(sqlite3.connect(tmp_path / "var" / "store.db", isolation_level=None)) as other:
            other.execute("BEGIN")
            assert other.execute("SELECT count(*) FROM readings").fetchone() == (1,)
            while (log := Layout(tmp_path / "var").wal_file.stat().st_size) < MOST_LOG_BYTES:
                store.append({"readings": [noise(chance, at) for at in range(900)]})
            with pytest.raises(StoreFullError, match="reads the store"):
                store.append({"readings": [reading(1.0)]})
            assert log < MOST_LOG_BYTES + (2 << 20)
            store.append({"orders": [reading(1.0)]})
            other.execute("COMMIT")
        store.append({"readings": [reading(1.0)]})
        store.append({"readings": [reading(1.0)]})
        assert Layout(tmp_path / "var").wal_file.stat().st_size <= LOG_BYTES, "its room is given back"


def test_a_new_store_on_a_full_disk_is_refused_and_made_later(small_disk: Path) -> None:
    filler = fill(small_disk)
    with pytest.raises(StoreError):
        Store.open(small_disk / "var")
    filler.unlink()
    Store.open(small_disk / "var").close()


def test_a_disk_that_cannot_be_written(tmp_path: Path) -> None:
    unmount = mount_tmpfs(tmp_path / "disk", "ro")
    try:
        with pytest.raises(StoreUnusableError, match=r"\[store\] path"):
            Store.open(tmp_path / "disk" / "var")
    finally:
        unmount()


def test_a_store_on_a_disk_that_has_become_read_only_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    unmount = mount_tmpfs(folder, "size=4m")
    try:
        Store.open(prepared(folder / "var")).close()
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        with pytest.raises(StoreReadOnlyError, match="replace the SD card"):
            Store.open(folder / "var")
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        Store.open(folder / "var").close()
    finally:
        unmount()
