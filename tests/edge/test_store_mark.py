"""What was acknowledged and is gone from the end of a store is missed: whatever part of the log is rotten."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest

from golmok_cloud_sync.protocol import STREAMS
from golmok_edge.store import Keeper, Layout, Reader, Store, StoreDamagedError, Taken, When, asides
from golmok_edge.store.finds import Block, Finder
from golmok_edge.store.mark import Mark, MarkFile, read_mark
from golmok_edge.store.pages import PageRows, Pages
from golmok_edge.store.salvage import Salvage
from golmok_edge.store.verify import verify

from .damage import DAMAGES
from .store_support import BOOT, prepared, some
from .test_store_salvage import all_of

COMMITS: Final = 30
EACH: Final = 7


class Killed(NamedTuple):
    """The folder of a gateway that was killed with its last commits in the log, and what it had acknowledged."""

    folder: Path
    said: int

    def rot(self, body: bytes | bytearray) -> None:
        Layout(self.folder).wal_file.write_bytes(body)

    @property
    def wal(self) -> bytearray:
        return bytearray(Layout(self.folder).wal_file.read_bytes())

    @property
    def last_page(self) -> int:
        """Where the last commit's last page lies in the log."""
        return last_page(self.folder)


def last_page(folder: Path) -> int:
    with Pages(Layout(folder).file, Layout(folder).wal_file) as pages:
        return pages.log.frames[-1].at


@pytest.fixture
def killed(tmp_path: Path) -> Killed:
    folder = prepared(tmp_path / "var")
    with Store.open(folder) as store:
        store.start_broker_session()
        for at in range(COMMITS):
            if at == COMMITS // 2:
                store._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            store.append({"readings": some(EACH, at * EACH)}, [Taken(1, at, at * 31)])
        shutil.copytree(folder, tmp_path / "killed")
    return Killed(tmp_path / "killed", COMMITS * EACH)


def start(killed: Killed) -> Keeper:
    return Keeper(killed.folder, Store.open, lambda: When(0, BOOT, 10**9))


def accounted(killed: Killed) -> tuple[set[int], int]:
    """Start, salvage; the values that are there, and how many records are named as gone."""
    keeper = start(killed)
    found = [one.record.mono_ms // 100 for one in all_of(keeper.store.reader, "readings")]
    named = 0
    for aside in asides(killed.folder):
        done = Salvage(aside).run()
        with Reader.open(done.salvaged) as reader:
            found += [one.record.mono_ms // 100 for one in all_of(reader, "readings")]
        named += done.about.lost.get("readings", 0)
        assert done.about.end_known
    keeper.close()
    assert len(found) == len(set(found)), "twice"
    return set(found), named


def test_a_store_that_was_killed_is_whole(killed: Killed) -> None:
    assert accounted(killed) == (set(range(killed.said)), 0)
    assert not asides(killed.folder)


def test_the_last_commit_is_missed(killed: Killed) -> None:
    body = killed.wal
    body[killed.last_page + 4_000] ^= 1
    killed.rot(body)
    with pytest.raises(StoreDamagedError, match="the end of readings is gone"):
        Store.open(killed.folder)


def test_a_log_that_is_gone_is_missed(killed: Killed) -> None:
    Layout(killed.folder).wal_file.unlink()
    found, named = accounted(killed)
    assert len(found) + named == killed.said
    assert named >= EACH


def test_a_file_that_is_gone_is_missed(killed: Killed) -> None:
    for path in (Layout(killed.folder).file, Layout(killed.folder).wal_file):
        path.unlink()
    assert accounted(killed) == (set(), killed.said)


@pytest.mark.parametrize("kind", DAMAGES)
def test_all_is_there_or_named_whatever_happened_to_the_log(killed: Killed, kind: str, tmp_path: Path) -> None:
    dice = random.Random(kind)
    for case in range(2):
        one = Killed(shutil.copytree(killed.folder, tmp_path / f"{case}"), killed.said)
        body = one.wal
        DAMAGES[kind](body, dice)
        one.rot(body)
        found, named = accounted(one)
        assert len(found) + named == one.said, case


def test_blocks_in_frames_that_do_not_hold_are_saved(killed: Killed) -> None:
    body = killed.wal
    body[16] ^= 1  # the salt: no frame of the log belongs to it any more
    for at in range(32, len(body), 24 + 4_096):
        body[at + 16] ^= 1  # nor has any frame its check sum
    killed.rot(body)
    assert accounted(killed) == (set(range(killed.said)), 0)


def test_the_messages_of_a_block_are_known_where_its_row_is_in_pieces(killed: Killed) -> None:
    with Pages(Layout(killed.folder).file, Layout(killed.folder).wal_file) as pages:
        frame = pages.log.frames[-1]
        page = bytearray(pages.frame(frame))
        rows = pages.rows(bytes(page), frame.page)
        taken = {one.taken for one in Finder().finds(bytes(page), rows) if isinstance(one, Block)}
        page[8 : 8 + 2 * len(rows.rows)] = bytes(2 * len(rows.rows))  # nobody knows where its rows begin
        broken = pages.rows(bytes(page), frame.page)
    found = [one for one in Finder().finds(bytes(page), broken) if isinstance(one, Block)]
    assert len(found) == len(rows.rows) > 1
    assert {one.taken for one in found} == taken


def test_bytes_of_other_rows_are_no_messages(killed: Killed) -> None:
    """A row that came from no broker stands behind one that did."""
    with Store.open(killed.folder) as store:
        store.append({"readings": some(EACH, killed.said)})
        shutil.copytree(killed.folder, killed.folder.with_name("again"))
    folder = killed.folder.with_name("again")
    with Pages(Layout(folder).file, Layout(folder).wal_file) as pages:
        page = pages.frame(pages.log.frames[-1])
    broken = page[:8] + bytes(2 * int.from_bytes(page[3:5], "big")) + page[8 + 2 * int.from_bytes(page[3:5], "big") :]
    blocks = [one for one in Finder().finds(broken, PageRows([], is_whole=False)) if isinstance(one, Block)]
    assert {len(one.taken or b"") for one in blocks} == {0, 18}


def test_what_was_never_committed_is_not_saved(killed: Killed) -> None:
    """Nobody was told of it, so that it comes again."""
    mark = read_mark(Layout(killed.folder).mark_file)
    assert mark
    before = msgspec.structs.replace(mark, last={**mark.last, "readings": mark.last["readings"] - EACH})
    for _ in range(2):
        file = MarkFile(Layout(killed.folder).mark_file)
        file.read()
        file.write(before)
    body = killed.wal
    body[killed.last_page - 24 + 4 : killed.last_page - 16] = bytes(4)  # the end of the last commit is not there
    body[40:44] = bytes(4)  # and something else is rotten
    killed.rot(body)
    found, named = accounted(killed)
    assert asides(killed.folder)
    assert (found, named) == (set(range(killed.said - EACH)), 0)


def test_one_place_of_the_mark_outlives_the_other(tmp_path: Path) -> None:
    file = MarkFile(tmp_path / "mark")
    seqs = dict.fromkeys(STREAMS, 0)
    for last in (1, 2):
        file.write(Mark(epoch="a", bases=seqs, last={**seqs, "readings": last}, acked=seqs, session=0, boot=BOOT))
    file.close()
    body = bytearray((tmp_path / "mark").read_bytes())
    assert (read := read_mark(tmp_path / "mark"))
    assert read.last["readings"] == 2
    body[20] ^= 1
    (tmp_path / "mark").write_bytes(body)
    assert (read := read_mark(tmp_path / "mark"))
    assert read.last["readings"] == 1
    (tmp_path / "mark").write_bytes(random.Random(1).randbytes(1_024))
    assert read_mark(tmp_path / "mark") is None


def test_a_mark_of_before_a_reboot_may_lag_behind() -> None:
    seqs = dict.fromkeys(STREAMS, 0)
    mark = Mark(epoch="a", bases=seqs, last=seqs, acked=seqs, session=0, boot="one")
    assert mark.is_exact("one")
    assert not mark.is_exact("two")


# --- verify


def test_a_page_that_is_rotten_behind_the_log_is_told(killed: Killed) -> None:
    file = Layout(killed.folder).file
    body = bytearray(file.read_bytes())
    assert verify(killed.folder).whole
    place = body.rindex(b"\x28\xb5\x2f\xfd")  # a block in the last leaf, which the log has anew
    body[place + 10 : place + 14] = b"\0\0\0\0"
    file.write_bytes(body)
    report = verify(killed.folder)
    assert not report.whole
    assert not report.faults
    assert [fault.what for fault in report.covered] == [
        f"page {place // 4_096 + 1} of the file is not as it was written; "
        "the log has it whole, so nothing of it is lost"
    ]
    assert accounted(killed) == (set(range(killed.said)), 0)


def test_a_log_that_is_rotten_beside_a_gateway_that_runs_is_told(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "var")
    with Store.open(folder) as store:
        for at in range(COMMITS):
            store.append({"readings": some(EACH, at * EACH)})
        assert verify(folder).whole
        with Layout(folder).wal_file.open("r+b") as log:
            log.seek(last_page(folder) + 4_000)
            log.write(b"rot")
        (fault,) = [one for one in verify(folder).faults if "its end is gone" in one.what]
        assert fault.stream == "readings"


# --- rows that say what nobody wrote


@pytest.mark.parametrize("change", ["messages = 'x'", "taken_before = 'x'", "taken = x'01'"])
def test_a_row_that_says_odd_things_of_its_messages_sets_the_store_aside(killed: Killed, change: str) -> None:
    spoiled(killed.folder, f"UPDATE readings SET {change} WHERE first_seq > {killed.said - EACH}")
    keeper = start(killed)
    keeper.taken_recently()
    keeper.close()
    assert len(asides(killed.folder)) == 1
    assert accounted(killed) == (set(range(killed.said)), 0)


def test_a_store_whose_hints_are_gone_can_be_closed(killed: Killed) -> None:
    with Store.open(killed.folder) as store:
        store._db.execute("DROP TABLE hint")


def spoiled(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(Layout(folder).file)) as db, db:
        db.execute(statement)
