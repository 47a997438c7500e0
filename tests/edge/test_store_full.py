"""A full disk: the source is refused aloud, nothing acknowledged is lost, and it goes on when there is room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from golmok_edge.store import Commit, GroupCommit, Item, Store, StoreError, StoreFullError, StoreUnusableError

from .store_support import mount_tmpfs, prepared, reading, records, same


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    unmount = mount_tmpfs(tmp_path / "disk", "size=3m")
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
