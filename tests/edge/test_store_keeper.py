"""A store whose file is damaged at any place: it is used on, and each record is in the cloud once or named as gone."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pytest

from golmok_cloud_sync.client.uplink import Uplink
from golmok_cloud_sync.protocol import STREAMS, Hello, Record, Stream, decode_reply, encode_request
from golmok_edge.store import Keeper, Layout, Reader, Store, StoreClosedError, StoreDamagedError, When, asides
from golmok_edge.store.aside import About, Aside, set_aside
from golmok_edge.store.salvage import Salvage
from tests.cloud_sync.both_ends import MemoryCloud

from .damage import DAMAGES
from .store_support import prepared, reading, records, same, some
from .test_store_salvage import Whole, whole

CASES = 18
HELLO = Hello("gw-1", "", "", "boot", 1, 2)
NEW = reading(1.0, 10**9, "new.value")


def opened(folder: Path) -> Store:
    """A new file without the half second that it takes to make one."""
    layout = Layout(folder)
    if not layout.file.exists() and not layout.wal_file.exists():
        prepared(folder)
    return Store.open(folder)


def kept(folder: Path) -> Keeper:
    return Keeper(folder, opened, lambda: When(1_700_000_000_000, "boot", 5))


def bring(uplink: Uplink, cloud: MemoryCloud) -> None:
    """Until all is there."""
    for _ in range(400):
        uplink.took(decode_reply(cloud.handle(encode_request(*uplink.compose(HELLO)))))
        if uplink.is_all_sent:
            return
    raise AssertionError("it never came to an end")


def bring_all(keeper: Keeper, folder: Path, cloud: MemoryCloud) -> None:
    """As the gateway does it: what is in use, anew when it was set aside; then what was saved of the others."""
    for _ in range(5):
        with suppress(StoreClosedError):
            bring(Uplink(keeper.outbox()), cloud)
            break
    else:
        raise AssertionError("set aside again and again")
    for aside in asides(folder):
        prepared(aside.partly)
        done = Salvage(aside).run()
        assert done.about.state == "sending"
        with Store.open(done.salvaged) as saved:
            bring(Uplink(saved), cloud)


def cloud_with(was: Whole, acked: int = 300) -> MemoryCloud:
    """What had arrived before the damage."""
    cloud = MemoryCloud()
    cloud.logs = {(was.epoch, "readings"): list(was.given["readings"][:acked])}
    return cloud


def assert_accounted_for(cloud: MemoryCloud, was: Whole, *, ends_known: bool) -> Counter[str]:
    """Each record once, or a hole with a name; gives the holes by reason."""
    holes = Counter[str]()
    for stream in STREAMS:
        found: Counter[Record] = Counter()
        named = 0
        for (_, its), log in cloud.logs.items():
            if its == stream:
                found.update(entry for entry in log if isinstance(entry, Record))
                holes.update(entry for entry in log if isinstance(entry, str))
                named += sum(isinstance(entry, str) for entry in log)
        wanted = Counter(was.given[stream])
        assert not found - wanted - Counter([NEW]), f"{stream}: never taken, or doubled"
        given = was.given[stream]
        if not ends_known:  # what came last may be gone without a trace; a gap says so
            given = given[: max((at for at, record in enumerate(given, 1) if record in found), default=0)]
        missing = sum(record not in found for record in given)
        assert missing <= named, f"{stream}: {missing} are missing, {named} have a name"
    return holes


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_store_that_is_damaged_anywhere(tmp_path: Path, kind: str) -> None:
    was = whole()
    for seed in range(CASES):
        dice = random.Random(f"{kind} {seed}")
        folder = tmp_path / str(seed)
        folder.mkdir()
        data, wal = bytearray(was.file), bytearray(was.wal)
        DAMAGES[kind](wal if seed % 3 == 2 else data, dice)
        layout = Layout(folder)
        layout.file.write_bytes(data)
        layout.wal_file.write_bytes(wal)
        layout.epochs_file.write_bytes(was.epochs)
        keeper, cloud = kept(folder), cloud_with(was)
        keeper.append({"readings": [NEW]})
        bring_all(keeper, folder, cloud)
        if seed % 3 != 2:  # of a damaged log SQLite itself says nothing
            assert_accounted_for(cloud, was, ends_known=all(one.about.end_known for one in asides(folder)))
        values = [e for log in cloud.logs.values() for e in log if isinstance(e, Record)]
        assert NEW in values
        assert not Counter(values) - Counter(r for s in STREAMS for r in was.given[s]) - Counter([NEW])
        keeper.close()
        shutil.rmtree(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = prepared(tmp_path / "var")
    with Store.open(folder) as store:
        for first in range(0, 600, 10):
            store.append({"readings": some(10, first)})
    return folder


def rot(folder: Path, *firsts: int) -> None:
    """Change the bytes of blocks in the file, as a worn card does."""
    layout = Layout(folder)
    with Reader.open(folder) as reader, reader._state() as db:
        bodies = [
            db.execute("SELECT body FROM readings WHERE first_seq = ?", (first,)).fetchone()[0] for first in firsts
        ]
    data = layout.file.read_bytes()
    for body in bodies:
        assert data.count(body) == 1
        data = data.replace(body, body[:30] + bytes(byte ^ 0xFF for byte in body[30:40]) + body[40:])
    layout.file.write_bytes(data)


def test_one_rotten_block_costs_itself_and_no_more(folder: Path) -> None:
    rot(folder, 101, 301)
    keeper = kept(folder)
    epoch = keeper.store.epoch
    cloud = MemoryCloud()
    bring(Uplink(keeper.outbox()), cloud)
    log = cloud.logs[epoch, "readings"]
    assert [at for at, entry in enumerate(log, 1) if entry == "quarantined"] == [*range(101, 111), *range(301, 311)]
    assert (keeper.counts.quarantined_blocks, keeper.counts.set_aside, asides(folder)) == (2, 0, [])
    keeper.close()


class Twitching(Store):
    """A store whose first reading goes wrong, as that of a memory cell that a particle has hit."""

    hits = 1

    def read(self, stream: Stream, lo: int, limit: int) -> object:  # type: ignore[override]  # it only passes on
        if self.hits:
            self.hits -= 1
            raise StoreDamagedError("a passing error")
        return super().read(stream, lo, limit)


def test_a_passing_error_costs_nothing(folder: Path) -> None:
    keeper = Keeper(folder, Twitching.open, lambda: When(0, "", 0))
    found = keeper.outbox().read("readings", 1, 600)
    assert isinstance(found, list)
    assert same(found, some(600))
    assert (keeper.counts.misreads, keeper.counts.set_aside) == (1, 0)
    keeper.close()


def test_what_lies_behind_a_rotten_piece_of_the_log_is_saved(tmp_path: Path) -> None:
    """SQLite passes over it without a word."""
    was = whole()
    for at in (32 + 24 + 100, 32 + 9 * (24 + 4_096) + 24 + 4_000, 20):
        folder = tmp_path / str(at)
        folder.mkdir()
        wal = bytearray(was.wal)
        wal[at] ^= 1
        layout = Layout(folder)
        layout.file.write_bytes(was.file)
        layout.wal_file.write_bytes(wal)
        layout.epochs_file.write_bytes(was.epochs)
        keeper, cloud = kept(folder), cloud_with(was)
        assert len(asides(folder)) == 1
        bring_all(keeper, folder, cloud)
        assert_accounted_for(cloud, was, ends_known=False)
        assert was.given["readings"][-1] in cloud.logs[was.epoch, "readings"]
        keeper.close()


def test_pages_find_the_damage_too(folder: Path) -> None:
    rot(folder, 101)
    keeper = kept(folder)
    assert len(keeper.read_beside(lambda reader: records(reader, "readings", 111))) == 490
    found = keeper.read_beside(lambda reader: list(reader.everything("readings")))
    assert len(found) == 590
    assert keeper.counts.quarantined_blocks == 1
    keeper.close()


def test_a_store_that_goes_on_has_another_epoch_and_knows_the_broker_s_messages(tmp_path: Path) -> None:
    was = whole()
    folder = tmp_path / "var"
    folder.mkdir()
    Layout(folder).file.write_bytes(was.file)
    Layout(folder).wal_file.write_bytes(was.wal)
    with closing(sqlite3.connect(Layout(folder).file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # else the log has the page that is torn below
    Layout(folder).file.write_bytes(bytes(100) + Layout(folder).file.read_bytes()[100:])
    keeper = kept(folder)
    assert keeper.store.epoch != was.epoch
    assert set(keeper.taken_recently()) == set(was.taken)
    keeper.close()
    with Store.open(folder) as store:
        assert set(store.taken_recently()) == set(was.taken)
        assert store.broker_session == 1


@pytest.mark.parametrize("has_new_file", [False, True])
def test_a_death_after_it_was_set_aside_forgets_no_message(tmp_path: Path, has_new_file: bool) -> None:
    """The new store may have been made, and not yet told what the old one knew."""
    was = whole()
    folder = tmp_path / "var"
    folder.mkdir()
    layout = Layout(folder)
    layout.file.write_bytes(was.file)
    layout.wal_file.write_bytes(was.wal)
    set_aside(layout, About(why="rotten", boot="boot"))
    if has_new_file:
        opened(folder).abandon()
    told: list[Aside] = []
    for _ in range(2):
        keeper = Keeper(folder, opened, lambda: When(1_700_000_000_000, "boot", 5), told.append)
        assert set(keeper.taken_recently()) == set(was.taken)
        assert keeper.broker_session == 1
        keeper.close()
    assert [one.about.why for one in told] == ["rotten"]
