"""The tracer against what the file system says, and the model of a power cut against its own rules."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.edge.store_support import prepared

from .power import tracer
from .power.cuts import ROOT, run
from .power.disk import Disk, Outcome, cut, states
from .power.journal import (
    AnyEntry,
    File,
    Folder,
    Gone,
    Less,
    Made,
    Mark,
    Renamed,
    Size,
    SyncBegins,
    Synced,
    Write,
    read,
)

ROOT_INODE, A, B = 1, 10, 11
BEGIN: list[AnyEntry] = [Folder("", ROOT_INODE), File("a", A, b"old")]


def sync(inode: int, number: int = 99) -> list[AnyEntry]:
    return [SyncBegins(number), Synced(number, inode)]


def write(body: bytes, offset: int = 0, path: str = "a", inode: int = A, number: int = 1) -> Write:
    return Write(number, inode, path, offset, body)


def outcomes(*entries: AnyEntry) -> list[Outcome]:
    *_, disk = states([*BEGIN, *entries])
    return [disk.outcome(Random(seed)) for seed in range(300)]


def bodies(path: str, *entries: AnyEntry) -> set[bytes | None]:
    return {outcome.files.get(path) for outcome in outcomes(*entries)}


def test_what_was_synced_is_there() -> None:
    assert bodies("a", write(b"new"), *sync(A)) == {b"new"}


def test_what_was_not_synced_is_kept_or_not() -> None:
    assert {b"old", b"new"} <= bodies("a", write(b"new"))


def test_a_write_that_came_while_a_sync_was_under_way_is_not_sure() -> None:
    assert {b"old", b"new"} <= bodies("a", SyncBegins(5), write(b"new"), Synced(5, A))


def test_a_sync_that_did_not_return_promises_nothing() -> None:
    assert {b"old", b"new"} <= bodies("a", write(b"new"), SyncBegins(5))


def test_a_sync_of_another_file_promises_nothing() -> None:
    assert {b"old", b"new"} <= bodies("a", write(b"new"), *sync(B), *sync(ROOT_INODE))


def test_writes_come_in_any_order() -> None:
    found = bodies("a", write(b"N", 0), write(b"W", 2))
    assert {b"old", b"Nld", b"olW", b"NlW"} <= found


def test_a_large_write_is_torn_at_sectors_and_may_hold_garbage_in_one() -> None:
    found = {body for body in bodies("a", write(b"x" * 1_500, 0)) if body is not None}
    assert b"x" * 512 in found
    assert any(len(body) > 1_024 and body[:512] != b"x" * 512 and body[512:1_024] == b"x" * 512 for body in found)


def test_garbage_stands_only_where_was_written() -> None:
    synced = [write(b"s" * 700), *sync(A)]
    assert all(body and body[:700] == b"s" * 700 for body in bodies("a", *synced, write(b"n" * 900, 700)))


def test_a_file_may_have_grown_without_its_bytes() -> None:
    assert any(body and len(body) == 5_000 and body.count(0) > 4_000 for body in bodies("a", write(b"n", 4_999)))


def test_a_smaller_size_is_sure_after_a_sync_only() -> None:
    assert bodies("a", Size(A, "a", 1)) == {b"old", b"o"}
    assert bodies("a", Size(A, "a", 1), *sync(A)) == {b"o"}


def test_what_the_disk_refused_was_never_written() -> None:
    assert bodies("a", write(b"new"), Less(1, 1), *sync(A)) == {b"nld"}


def test_a_new_file_is_there_when_its_folder_was_synced() -> None:
    made = [write(b"b", 0, "b", B), *sync(B)]
    assert bodies("b", *made) == {None, b"b"}
    assert bodies("b", *made, *sync(ROOT_INODE)) == {b"b"}


def test_a_rename_is_whole_or_not_at_all() -> None:
    renamed = [write(b"b", 0, "b", B), *sync(B), *sync(ROOT_INODE), Renamed("b", "a")]
    found = {tuple(sorted(outcome.files.items())) for outcome in outcomes(*renamed)}
    assert found == {(("a", b"b"),), (("a", b"old"), ("b", b"b"))}
    assert bodies("a", *renamed, *sync(ROOT_INODE)) == {b"b"}


def test_a_rename_between_folders_is_sure_when_both_were_synced() -> None:
    moved = [Made("f", 5), *sync(ROOT_INODE), Renamed("a", "f/a"), *sync(5, 98)]
    assert bodies("f/a", *moved) == {None, b"old"}
    assert bodies("f/a", *moved, *sync(ROOT_INODE)) == {b"old"}


def test_with_a_folder_that_is_lost_all_in_it_is_lost() -> None:
    made = [Made("f", 5), write(b"b", 0, "f/b", B), *sync(B), *sync(5, 98)]
    assert bodies("f/b", *made) == {None, b"b"}


def test_a_name_that_was_taken_away_may_come_back() -> None:
    assert bodies("a", Gone("a")) == {None, b"old"}
    assert bodies("a", Gone("a"), *sync(ROOT_INODE)) == {None}


def test_a_new_file_may_have_the_number_of_an_old_one() -> None:
    again = [Gone("a"), write(b"b", 0, "b", A), *sync(A), *sync(ROOT_INODE)]
    assert bodies("a", *again) == {None}
    assert bodies("b", *again) == {b"b"}


def test_a_cut_gives_what_had_been_said(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    trace = tracer.Trace(tmp_path / "live", tmp_path / "journal")
    trace.mark(b"1")
    trace.mark(b"2")
    trace.close()
    assert cut(tmp_path / "journal", tmp_path / "left", Random(1)) == [b"1", b"2"]
    assert cut(tmp_path / "journal", tmp_path / "left", Random(1), 2) == [b"1"]
    assert list((tmp_path / "left").iterdir()) == []


def test_a_journal_that_was_cut_off_ends_before_that(tmp_path: Path) -> None:
    trace = tracer.Trace(tmp_path, tmp_path.parent / "journal")
    trace.mark(b"1")
    trace.mark(b"2")
    trace.close()
    whole = (tmp_path.parent / "journal").read_bytes()
    (tmp_path.parent / "journal").write_bytes(whole[:-1])
    assert read(tmp_path.parent / "journal") == [Folder("", tmp_path.stat().st_ino), Mark(b"1")]


def as_it_is(folder: Path) -> Outcome:
    found = [path for path in folder.rglob("*") if not path.name.endswith("-shm")]
    files = {str(path.relative_to(folder)): path.read_bytes() for path in found if path.is_file()}
    return Outcome(sorted(str(path.relative_to(folder)) for path in found if path.is_dir()), files)


def as_noted(journal: Path) -> Outcome:
    disk = Disk()
    for entry in read(journal):
        disk.apply(entry)
    folders, files = disk.written()
    return Outcome(sorted(folders), files)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_journal_holds_all_that_a_store_writes(quick_folder: Path, seed: int) -> None:
    live, journal = quick_folder / "live", quick_folder / "journal"
    prepared(live / "var")
    run("tests.faults.power.store_work", "mixed", str(seed), "80", live, journal)
    assert as_noted(journal) == as_it_is(live)
    assert sum(isinstance(entry, Synced) for entry in read(journal)) > 40


def test_the_journal_holds_all_that_is_written_by_a_process_and_those_it_starts(quick_folder: Path) -> None:
    live, journal = quick_folder / "live", quick_folder / "journal"
    live.mkdir()
    run("tests.faults.power.store_work", "mixed", "1", "5", live, journal, traced=(live, journal))
    assert as_noted(journal) == as_it_is(live)


def test_the_journal_of_a_killed_process_holds_what_it_had_written(quick_folder: Path) -> None:
    live, journal = quick_folder / "live", quick_folder / "journal"
    prepared(live)
    command = [sys.executable, "-m", "tests.edge.store_writer", str(live), "2000", "0"]
    environment = os.environ | tracer.environment(live, journal)
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        while not writer.stdout.readline().startswith("200"):
            pass
        writer.send_signal(signal.SIGKILL)
    assert as_noted(journal).files["store.db"] == as_it_is(live).files["store.db"]
    assert as_noted(journal).files["store.db-wal"][:100_000] == as_it_is(live).files["store.db-wal"][:100_000]


WAYS: dict[str, Callable[[Path], object]] = {
    "text": lambda folder: (folder / "text").write_text("x" * 10_000),
    "over": lambda folder: (folder / "there").write_text("y"),
    "folders": lambda folder: (folder / "f/g/h").mkdir(parents=True),
    "renamed": lambda folder: (folder / "there").rename(folder / "elsewhere"),
    "gone": lambda folder: (folder / "there").unlink(),
    "linked": lambda folder: os.link(folder / "there", folder / "also"),
    "allocated": lambda folder: allocate(folder / "large", 100_000),
    "cut": lambda folder: os.truncate(folder / "there", 2),
}


def allocate(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(descriptor, 0, size)
    os.pwrite(descriptor, b"end", size - 3)
    os.fsync(descriptor)
    os.close(descriptor)


def test_what_python_itself_does_to_files_is_noted(quick_folder: Path) -> None:
    live, journal = quick_folder / "live", quick_folder / "journal"
    for way in WAYS:
        (live / way).mkdir(parents=True)
        (live / way / "there").write_text("before")
    run("tests.faults.test_power_disk", live, journal)
    assert as_noted(journal) == as_it_is(live)


def main() -> None:
    folder, journal = map(Path, sys.argv[1:])
    trace = tracer.install(folder, journal)
    for name, way in WAYS.items():
        way(folder / name)
    trace.mark(b"")  # plain writes are noted with it


if __name__ == "__main__":
    main()


def test_what_is_written_to_a_file_whose_folder_is_gone_is_nowhere() -> None:
    """A program may still have it open when somebody removes the folder."""
    file = write(b"x", path="f/b", inode=B)
    *_, disk = states([*BEGIN, Made("f", 20), file, Gone("f"), Gone("f/b"), file, Size(B, "f/b", 0)])
    assert disk.written() == Outcome([], {"a": b"old"})
