"""What every `BatchLog` does, run over every implementation."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golmok_cloud_sync.protocol import Stream, StreamState
from golmok_cloud_sync.server.log import Batch, BatchLog, EpochKey, LogBusyError, LogError, Span, StreamKey
from golmok_cloud_sync.server.sqlite_log import FILE, SqliteBatchLog

Opener = Callable[[Path], BatchLog]
LOGS: dict[str, Opener] = {"sqlite": SqliteBatchLog}
"""Every implementation, by name: what opens it on a folder of its own, again and again."""

KEY = StreamKey("gw-1", "gateway", "e1", "readings")


@pytest.fixture(params=LOGS, scope="module")
def opener(request: pytest.FixtureRequest) -> Opener:
    return LOGS[request.param]


@pytest.fixture
def log(opener: Opener, tmp_path: Path) -> Iterator[BatchLog]:
    opened = opener(tmp_path)
    yield opened
    opened.close()


def batch(lo: int, hi: int, prev_crc: int | None = None, key: StreamKey = KEY, *, void: bool = False) -> Batch:
    """Records whose CRC is their seq."""
    before = lo - 1 if prev_crc is None else prev_crc
    payload = f"{lo}-{hi}".encode()
    return Batch(key, lo, hi, None if void else 1, 7, before, hi - 1, None if void else Span("b", lo, hi), payload)


def stream_id(log: BatchLog, key: StreamKey = KEY) -> int:
    return next(info.id for info in log.streams(key.gateway) if info.key == key)


def seqs(log: BatchLog, key: StreamKey = KEY) -> list[tuple[int, int]]:
    return [(b.first_seq, b.next_seq) for b in log.read(stream_id(log, key), 1, 10_000)]


def test_a_batch_that_follows_is_taken_and_given_back_as_it_came(log: BatchLog) -> None:
    first, second = log.append([batch(1, 11), batch(11, 15)], 5)
    assert (first.taken, first.position) == (True, StreamState(11, 10))
    assert (second.taken, second.position) == (True, StreamState(15, 14))
    stored = log.read(stream_id(log), 1, 10)
    assert [(b.first_seq, b.next_seq, b.payload, b.codec, b.crc32) for b in stored] == [
        (1, 11, b"1-11", 1, 7), (11, 15, b"11-15", 1, 7)
    ]  # fmt: skip
    assert [(b.span, b.last_crc, b.received_ms) for b in stored] == [
        (Span("b", 1, 11), 10, 5),
        (Span("b", 11, 15), 14, 5),
    ]


@pytest.mark.parametrize(
    "wrong",
    [batch(1, 11), batch(5, 12), batch(12, 20), batch(11, 20, prev_crc=99)],
    ids=["doubled", "overlaps", "leaves a hole", "follows another record"],
)
def test_a_batch_that_does_not_follow_changes_nothing(log: BatchLog, wrong: Batch) -> None:
    log.append([batch(1, 11)], 0)
    (result,) = log.append([wrong], 0)
    assert (result.taken, result.position) == (False, StreamState(11, 10))
    assert seqs(log) == [(1, 11)]


def test_one_that_does_not_follow_keeps_no_other_out(log: BatchLog) -> None:
    other = KEY._replace(stream="orders")
    results = log.append([batch(1, 3), batch(9, 11), batch(1, 5, key=other), batch(3, 4)], 0)
    assert [r.taken for r in results] == [True, False, True, True]


def test_a_void_stands_among_the_records(log: BatchLog) -> None:
    log.append([batch(1, 3), batch(3, 1_000_000, void=True), batch(1_000_000, 1_000_002)], 0)
    at = stream_id(log)
    assert [b.codec for b in log.read(at, 1, 9)] == [1, None, 1]
    assert [b.first_seq for b in log.read(at, 1, 9, voids=True)] == [3]
    assert [b.first_seq for b in log.read(at, 1, 9, voids=False)] == [1, 1_000_000]
    assert [b.first_seq for b in log.read(at, 500, 1)] == [3]
    assert [b.first_seq for b in log.read(at, 500, 1, voids=False)] == [1_000_000]
    assert [b.first_seq for b in log.read_back(at, 1_000_000, 9)] == [1]


def test_a_void_may_leave_open_what_it_follows(log: BatchLog) -> None:
    log.append([batch(1, 3)], 0)
    (result,) = log.append([batch(3, 5, void=True)._replace(prev_crc=None)], 0)
    assert result.taken


@pytest.mark.parametrize(("seq", "first"), [(1, 1), (10, 1), (11, 11), (14, 11), (15, None)])
def test_reading_begins_with_the_batch_that_holds_the_record(log: BatchLog, seq: int, first: int | None) -> None:
    log.append([batch(1, 11), batch(11, 15)], 0)
    assert [b.first_seq for b in log.read(stream_id(log), seq, 1)] == ([] if first is None else [first])


def test_epochs_keep_the_order_of_first_contact(log: BatchLog) -> None:
    log.append([], 0, [EpochKey("gw-1", "gateway", "zz")])
    log.append([batch(1, 2, key=KEY._replace(epoch="aa"))], 0)
    log.append([batch(1, 2, key=KEY._replace(epoch="zz")), batch(1, 2, key=KEY._replace(store="a"))], 0)
    assert [(i.key.store, i.key.epoch) for i in log.streams("gw-1", "readings")] == [
        ("a", "e1"), ("gateway", "zz"), ("gateway", "aa")
    ]  # fmt: skip


def test_streams_stand_in_the_order_of_their_urgency(log: BatchLog) -> None:
    names: list[Stream] = ["readings", "files", "events", "orders"]
    log.append([batch(1, 2, key=KEY._replace(stream=name)) for name in names], 0)
    assert [info.key.stream for info in log.streams("gw-1")] == ["orders", "events", "files", "readings"]
    assert log.streams("gw-2") == []


def test_an_epoch_is_known_from_its_first_contact_on(log: BatchLog) -> None:
    assert log.next_seq(KEY.of_epoch) is None
    log.append([], 0, [KEY.of_epoch])
    assert log.next_seq(KEY.of_epoch) == {}
    log.append([batch(1, 4)], 0, [KEY.of_epoch])
    assert log.next_seq(KEY.of_epoch) == {"readings": StreamState(4, 3)}
    assert log.gateways() == ["gw-1"]


def test_what_was_taken_is_there_after_opening_again(opener: Opener, tmp_path: Path) -> None:
    log = opener(tmp_path)
    log.append([batch(1, 11)], 0)
    log.close()
    log = opener(tmp_path)
    assert log.next_seq(KEY.of_epoch) == {"readings": StreamState(11, 10)}
    assert [r.taken for r in log.append([batch(1, 11), batch(11, 12)], 0)] == [False, True]
    assert seqs(log) == [(1, 11), (11, 12)]
    log.close()


def test_what_was_taken_can_be_walked_in_the_order_it_was_taken(log: BatchLog) -> None:
    other = KEY._replace(gateway="gw-2")
    log.append([batch(1, 2), batch(1, 5, key=other), batch(2, 3)], 0)
    walked = log.taken_after(0, 2)
    walked += log.taken_after(walked[-1][1].id, 2)
    assert [(key.gateway, b.first_seq) for key, b in walked] == [("gw-1", 1), ("gw-2", 1), ("gw-1", 2)]
    assert log.taken_after(walked[-1][1].id, 2) == []
    assert log.last_id() == walked[-1][1].id


def test_trimming_deletes_whole_batches_and_moves_nothing(log: BatchLog) -> None:
    log.append([batch(1, 11), batch(11, 21), batch(21, 31)], 0)
    at = stream_id(log)
    last = log.last_id()
    assert log.trim(at, 25) == 2
    assert seqs(log) == [(21, 31)]
    assert log.next_seq(KEY.of_epoch) == {"readings": StreamState(31, 30)}
    assert log.trim(at, 31) == 1
    log.append([batch(31, 32)], 0)
    assert log.last_id() > last


def test_what_was_derived_is_kept_by_name(log: BatchLog) -> None:
    assert log.load_derived("fleet") is None
    log.save_derived("fleet", 3, b"old")
    log.save_derived("fleet", 4, b"new")
    assert log.load_derived("fleet") == (4, b"new")


@given(cuts=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 10)), max_size=40))
@settings(max_examples=40, deadline=None)
def test_however_a_stream_is_cut_every_record_is_taken_once(
    opener: Opener, tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[int, int]]
) -> None:
    log = opener(tmp_path_factory.mktemp("log"))
    taken: list[int] = []
    for lo, count in cuts:
        (result,) = log.append([batch(lo, lo + count)], 0)
        if result.taken:
            taken += range(lo, lo + count)
        assert result.position.next_seq == len(taken) + 1
    assert taken == list(range(1, len(taken) + 1))
    log.close()


# --- the SQLite one by itself --------------------------------------------------------------------------------------


def test_a_second_server_is_kept_out(tmp_path: Path) -> None:
    log = SqliteBatchLog(tmp_path)
    with pytest.raises(LogBusyError, match="in use by another server"):
        SqliteBatchLog(tmp_path)
    log.close()
    SqliteBatchLog(tmp_path).close()


def test_a_file_that_is_no_database_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database, but long enough to look like one" * 100)
    with pytest.raises(LogError, match="cannot be used as the log"):
        SqliteBatchLog(tmp_path)


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    log = SqliteBatchLog(tmp_path)
    (mode,) = log._writer.execute("pragma synchronous").fetchone()
    (journal,) = log._writer.execute("pragma journal_mode").fetchone()
    assert (mode, journal) == (2, "wal")  # FULL
    log.close()


def test_a_full_disk_takes_nothing_and_says_so(tmp_path: Path) -> None:
    log = SqliteBatchLog(tmp_path)
    log.append([batch(1, 2)], 0)
    pages = log._writer.execute("pragma page_count").fetchone()[0]
    log._writer.execute(f"pragma max_page_count = {pages + 4}")
    big = batch(2, 3)._replace(payload=bytes(100_000))
    with pytest.raises(LogError, match="full"):
        log.append([batch(2, 3), big._replace(first_seq=3, next_seq=4, prev_crc=2)], 0)
    assert log.next_seq(KEY.of_epoch) == {"readings": StreamState(2, 1)}
    log._writer.execute("pragma max_page_count = 1000000")
    assert log.append([big], 0)[0].taken
    log.close()
    assert sqlite3.connect(tmp_path / FILE).execute("pragma integrity_check").fetchone() == ("ok",)
