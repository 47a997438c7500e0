"""What is left of a damaged store is saved: everything whose bytes are untouched, nothing that is not as it was."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from golmok_cloud_sync.protocol import STREAMS, Record, Stream, Void, canonical
from golmok_edge.store import Found, Layout, Reader, Store, Taken, asides
from golmok_edge.store.aside import About, Aside, read_aside, set_aside
from golmok_edge.store.messages import messages_of
from golmok_edge.store.pages import Pages
from golmok_edge.store.salvage import Salvage

from .damage import DAMAGES
from .store_support import BOOT, drain, mount_tmpfs, prepared, reading, some

CASES = 8
"""Of each kind of damage."""


class Whole(NamedTuple):
    """A store as it was, with what it held."""

    file: bytes
    wal: bytes
    epochs: bytes
    epoch: str
    records: dict[Stream, dict[int, Record]]
    bodies: dict[tuple[Stream, int], tuple[int, bytes]]
    """Count and body of each block."""
    taken: list[tuple[int, int]]
    given: dict[Stream, list[Record]]
    """All that was ever appended."""


@cache
def whole() -> Whole:
    """A store with a void, an old boot, long texts, a log, messages of the broker, and free pages."""
    with tempfile.TemporaryDirectory() as made:
        folder = prepared(Path(made) / "var")
        dice = random.Random(7)
        given: dict[Stream, list[Record]] = {stream: [] for stream in STREAMS}
        with Store.open(folder) as store:
            store.start_broker_session()
            for at in range(160):
                batch: dict[Stream, list[Record]] = {"readings": some(10, at * 10)}
                if at % 3 == 0:
                    batch["events"] = [reading("ㅎ" * 30, at, "a.alarm")]
                if at % 20 == 0:
                    batch["orders"] = [reading("".join(chr(dice.randrange(33, 127)) for _ in range(9_000)), at)]
                store.append(batch, [Taken(1, at, at * 7)])
                for stream, records in batch.items():
                    given[stream] += records
            store.note_acked("readings", 300)
            store.trim(store.used_bytes() - 8_000)
            store.void("readings", 400, 425, "evicted")
            bodies: dict[tuple[Stream, int], tuple[int, bytes]] = {
                (stream, first): (count, body)
                for stream in STREAMS
                for first, count, body in store._db.execute(f"SELECT first_seq, count, body FROM {stream}")
            }
            layout = Layout(folder)
            store._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            for at in range(160, 200):
                store.append({"readings": some(10, at * 10)}, [Taken(1, at, at * 7)])
                given["readings"] += some(10, at * 10)
            return Whole(
                layout.file.read_bytes(),
                layout.wal_file.read_bytes(),
                layout.epochs_file.read_bytes(),
                store.epoch,
                {s: {one.seq: one.record for one in all_of(store.reader, s)} for s in STREAMS},
                bodies,
                store.taken_recently(),
                given,
            )


def all_of(reader: Reader, stream: Stream) -> Iterator[Found]:
    lo = 1
    while found := reader.read(stream, lo, 1_000):
        if isinstance(found, Void):
            lo = found.hi
        else:
            yield from (Found(lo + at, record) for at, record in enumerate(found))
            lo += len(found)


def damaged(folder: Path, file: bytes, wal: bytes = b"", epochs: bytes = b"") -> Aside:
    """A store with these bytes that was set aside; its copy need not make the empty file first."""
    folder.mkdir(parents=True)
    layout = Layout(folder)
    layout.file.write_bytes(file)
    if wal:
        layout.wal_file.write_bytes(wal)
    if epochs:
        layout.epochs_file.write_bytes(epochs)
    aside = set_aside(layout, About(why="a test"))
    prepared(aside.partly)
    return aside


def salvaged(aside: Aside) -> dict[Stream, list[Record | Void]]:
    Salvage(aside).run()
    with Store.open(aside.salvaged) as store:
        return {stream: drain(store, stream) for stream in STREAMS}


def numbered(found: list[Record | Void]) -> dict[int, Record]:
    """The records by seq; `found` has no holes, or `drain` would have raised."""
    by_seq, at = {}, 1
    for one in found:
        if isinstance(one, Void):
            at = one.hi
        else:
            by_seq[at] = one
            at += 1
    return by_seq


def test_nothing_is_lost_of_a_store_that_is_whole(tmp_path: Path) -> None:
    was = whole()
    aside = damaged(tmp_path / "var", was.file, was.wal, was.epochs)
    found = salvaged(aside)
    for stream in STREAMS:
        assert numbered(found[stream]).items() >= was.records[stream].items()
    with Store.open(aside.salvaged) as store:
        assert store.epoch == was.epoch
    assert read_aside(aside.folder).about.lost == {}
    assert [v.reason for v in found["readings"] if isinstance(v, Void)][-1:] == ["evicted"]


@pytest.mark.parametrize("kind", DAMAGES)
def test_what_is_untouched_is_saved_and_what_is_saved_is_right(tmp_path: Path, kind: str) -> None:
    was = whole()
    untouched = saved = 0
    for seed in range(CASES):
        dice = random.Random(f"{kind} {seed}")
        data = bytearray(was.file)
        DAMAGES[kind](data, dice)
        aside = damaged(tmp_path / str(seed), bytes(data), was.wal if seed % 2 else b"", was.epochs)
        found = {stream: numbered(each) for stream, each in salvaged(aside).items()}
        for stream in STREAMS:
            for seq, record in found[stream].items():
                if seq in was.records[stream]:  # else it was trimmed, and its bytes were there still
                    assert canonical(record) == canonical(was.records[stream][seq]), (stream, seq)
        with Store.open(aside.salvaged) as store:
            assert store.epoch == was.epoch
        for (stream, first), (count, body) in was.bodies.items():
            at = was.file.find(body)
            if at >= 0 and bytes(data).find(body) >= 0 and not any(400 <= s < 425 for s in range(first, first + count)):
                untouched += count
                saved += sum(seq in found[stream] for seq in range(first, first + count))
        shutil.rmtree(tmp_path / str(seed))
    assert saved == untouched, f"{saved} of {untouched} untouched records"


def test_a_torn_log_gives_what_holds(tmp_path: Path) -> None:
    """Also what stands behind a rotten piece of it, which SQLite passes over."""
    was = whole()
    frame = 24 + 4_096
    whole_one = damaged(tmp_path / "whole", was.file, was.wal)
    with Pages(whole_one.file, whole_one.wal_file) as pages:
        count = len(pages.log.frames)
    assert count > 20
    for seed in range(8):
        dice = random.Random(seed)
        wal = bytearray(was.wal)
        at = 32 + dice.randrange(count) * frame + 24 + dice.randrange(4_096)
        wal[at] ^= 0x40
        aside = damaged(tmp_path / str(seed), was.file, bytes(wal), was.epochs)
        found = numbered(salvaged(aside)["readings"])
        assert all(canonical(found[seq]) == canonical(was.records["readings"][seq]) for seq in found if seq > 300)
        with Pages(aside.file, aside.wal_file) as pages:
            assert len(pages.log.frames) >= count - 2
        assert len(found) > len(was.records["readings"]) - 200
        shutil.rmtree(tmp_path / str(seed))


def test_where_the_streams_ended_is_kept_where_it_was_known(tmp_path: Path) -> None:
    """A file that is gone as a whole, while the gateway ran: each record is a hole with a name."""
    layout = Layout(tmp_path / "var")
    layout.folder.mkdir()
    layout.file.write_bytes(b"x")
    known = {
        "epoch": "00000000000000a1",
        "bases": dict.fromkeys(STREAMS, 0),
        "last": {"orders": 0, "events": 3, "files": 0, "readings": 500},
        "acked": {"orders": 0, "events": 3, "files": 0, "readings": 120},
    }
    aside = set_aside(layout, About(known=known))
    prepared(aside.partly)
    found = salvaged(aside)
    with Store.open(aside.salvaged) as store:
        assert (store.epoch, store.acked("readings"), store.tail("readings")) == ("00000000000000a1", 120, 500)
        (void,) = drain(store, "readings", 121)
        assert isinstance(void, Void)
        assert (void.lo, void.hi, void.reason) == (121, 501, "quarantined")
    assert found["orders"] == []
    assert read_aside(aside.folder).about.lost == {"readings": 380}


def test_the_broker_s_messages_outlive_the_store(tmp_path: Path) -> None:
    was = whole()
    aside = damaged(tmp_path / "whole", was.file, was.wal)
    assert messages_of(aside) == (1, was.taken)
    header_gone = bytes(100) + was.file[100:]
    found = messages_of(damaged(tmp_path / "header", header_gone, was.wal))
    assert found.session == 1
    assert set(found.taken) == set(was.taken)
    assert messages_of(damaged(tmp_path / "noise", random.Random(1).randbytes(50_000))) == (0, [])


def test_a_death_between_the_renames_is_mended(tmp_path: Path) -> None:
    """The file was moved and its log was not: the log follows."""
    was = whole()
    layout = Layout(tmp_path)
    layout.file.write_bytes(was.file)
    layout.wal_file.write_bytes(was.wal)
    (tmp_path / "damaged-1").mkdir()
    layout.file.rename(tmp_path / "damaged-1" / layout.file.name)
    again = set_aside(layout, About(why="its log is still there"))
    assert again.folder == tmp_path / "damaged-1"
    assert [one.folder.name for one in asides(tmp_path)] == ["damaged-1"]
    assert again.wal_file.read_bytes() == was.wal


def test_a_salvage_that_is_killed_goes_on(tmp_path: Path) -> None:
    """kill -9 at any moment, again and again; the one that comes through has it all."""
    was = whole()
    aside = damaged(tmp_path / "var", was.file, was.wal, was.epochs)
    dice = random.Random(3)
    kills = 0
    while kills < 4:
        process = subprocess.Popen([sys.executable, "-m", "golmok_edge.store.salvage", str(aside.folder)])
        time.sleep(dice.uniform(0.02, 0.6))
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    found = salvaged(read_aside(aside.folder))
    assert numbered(found["readings"]).items() >= was.records["readings"].items()


def test_a_copy_with_old_boots_can_be_searched_by_time(tmp_path: Path) -> None:
    was = whole()
    aside = damaged(tmp_path / "var", was.file, was.wal, was.epochs)
    Salvage(aside).run()
    with Store.open(aside.salvaged) as store:
        found = list(store.reader.series("device3.value", BOOT, 150_000, 160_000))
        assert [one.record.mono_ms for one in found] == [
            at for at in range(150_000, 160_000, 100) if at // 100 % 7 == 3
        ]


def test_where_an_epoch_was_sealed_is_not_taken_from_a_damaged_store(tmp_path: Path) -> None:
    """Old pages may tell of an epoch that was left long ago: what follows would then be sent once more in another."""
    layout = Layout(prepared(tmp_path / "var"))
    with Store.open(layout.folder) as store:
        store.append({"readings": some(20)})
        assert store.seal()["readings"] == 20
        epoch = store.epoch
    aside = Salvage(set_aside(layout, About(why="damaged"))).run()
    with Store.open(aside.salvaged) as saved:
        assert (saved.epoch, saved.tail("readings"), saved.sealed()) == (epoch, 20, None)


def test_a_store_that_finds_no_room_to_be_set_aside_leaves_nothing_behind(tmp_path: Path) -> None:
    unmount = mount_tmpfs(tmp_path / "disk", "size=512k")
    try:
        layout = Layout(prepared(tmp_path / "disk" / "var"))
        with (tmp_path / "disk" / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(b"x" * 4_096)
        with pytest.raises(OSError, match="No space left"):
            set_aside(layout, About(why="damaged"))
        assert asides(layout.folder) == []
        assert layout.file.exists()
        (tmp_path / "disk" / "filler").unlink()
        assert set_aside(layout, About(why="damaged")).number == 1
    finally:
        unmount()
