"""The store, as its users see it: what was appended is there, once, in order, after every reopening."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from golmok_cloud_sync.client import Uplink
from golmok_cloud_sync.protocol import RecordError, Void, record_crc
from golmok_edge.store import Store, StoreClosedError, Taken

from .store_support import BOOT, drain, prepared, reading, records, run_python, same, some


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return prepared(tmp_path / "var")


def test_a_new_store_is_empty_and_has_an_epoch(tmp_path: Path) -> None:
    with Store.open(tmp_path / "site" / "var") as store:
        assert re.fullmatch("[0-9a-f]{16}", store.epoch)
        assert store.tail("readings") == store.acked("readings") == 0
        assert store.read("readings", 1, 10) == []
        assert store.crc("readings", 0) == 0
        assert store.crc("readings", 1) is None
        epoch = store.epoch
    with Store.open(tmp_path / "site" / "var") as store:
        assert store.epoch == epoch


def test_each_stream_counts_from_one_without_holes(folder: Path) -> None:
    with Store.open(folder) as store:
        assert store.append({"readings": some(3), "events": some(1)}) == {
            "readings": range(1, 4),
            "events": range(1, 2),
        }
        assert store.append({"readings": some(2, 3)}) == {"readings": range(4, 6)}
        assert store.append({}) == store.append({"orders": []}) == {}
    with Store.open(folder) as store:
        assert store.append({"readings": some(1, 5)}) == {"readings": range(6, 7)}
        assert same(records(store), some(6))
        assert same(records(store, "events"), some(1))


def test_a_read_crosses_blocks_and_begins_and_ends_anywhere(folder: Path) -> None:
    with Store.open(folder) as store:
        for size, first in ((1, 0), (2_500, 1), (7, 2_501)):
            store.append({"readings": some(size, first)})
        for lo, limit in (
            (1, 1),
            (2, 1),
            (1, 2_508),
            (1_000, 100),
            (1_025, 1_024),
            (2_500, 100),
            (2_508, 9),
            (2_509, 1),
        ):
            found = store.read("readings", lo, limit)
            assert isinstance(found, list)
            assert same(found, some(2_508)[lo - 1 : lo - 1 + limit])
        assert store.crc("readings", 1_025) == record_crc(some(1, 1_024)[0])


def test_long_texts_are_read_in_pieces_that_fit_into_memory(folder: Path) -> None:
    texts = [reading(f"{at:05}" * 10_000) for at in range(300)]
    with Store.open(folder) as store:
        store.append({"events": texts})
        first = store.read("events", 1, 10_000)
        assert isinstance(first, list)
        assert 0 < sum(len(str(record.value)) for record in first) < 6 << 20
        assert same(records(store, "events"), texts)


def test_a_record_that_may_not_exist_is_refused_and_leaves_nothing_behind(folder: Path) -> None:
    with Store.open(folder) as store:
        store.append({"readings": some(1)})
        for wrong in (reading(float("nan")), reading(2**63), reading(1.0, -1), reading(1.0, channel="")):
            with pytest.raises(RecordError):
                store.append({"events": some(2), "readings": [*some(5), wrong]})
        assert store.append({"readings": some(1, 1)}) == {"readings": range(2, 3)}
        assert same(records(store), some(2))
        assert store.tail("events") == 0


def test_minus_zero_becomes_zero(folder: Path) -> None:
    with Store.open(folder) as store:
        store.append({"readings": [reading(-0.0), reading(0.0), reading(0), reading(False)]})
        assert same(records(store), [reading(0.0), reading(0.0), reading(0), reading(False)])


def test_what_is_acknowledged_is_remembered_over_a_close(folder: Path) -> None:
    with Store.open(folder) as store:
        store.append({"readings": some(10), "orders": some(2)})
        store.note_acked("readings", 7)
        with pytest.raises(ValueError, match="a fork"):
            store.note_acked("orders", 3)
    with Store.open(folder) as store:
        assert (store.acked("readings"), store.acked("orders")) == (7, 0)


def test_hints_are_saved_about_once_a_minute(folder: Path) -> None:
    now = 0.0
    store = Store.open(folder, clock=lambda: now)
    store.append({"readings": some(1)})
    for at, saved in ((59.0, 0), (61.0, 2), (100.0, 2), (122.0, 4)):
        now = at
        store.append({"readings": some(1)})
        store.note_acked("readings", store.tail("readings") - 1)
        with store.new_reader() as reader:
            assert reader.hint("acked.readings") == (saved and saved - 1)
        assert store.acked("readings") == store.tail("readings") - 1
    store.close()


def test_a_void_is_read_in_place_of_its_records_and_counts_them(folder: Path) -> None:
    with Store.open(folder) as store:
        for first in range(0, 100, 10):
            store.append({"readings": some(10, first)})
        store.note_acked("readings", 5)
        store.void("readings", 26, 51, "evicted")
        store.void("readings", 51, 53, "evicted")
        store.void("readings", 1, 101, "quarantined")
        given = drain(store, "readings", 6)
        voids = [one for one in given if isinstance(one, Void)]
        assert [(v.lo, v.hi, v.reason) for v in voids] == [
            (6, 26, "quarantined"),
            (26, 53, "evicted"),
            (53, 101, "quarantined"),
        ]
        assert voids[1].counts == {f"device{n}.value": 4 if n != 3 else 3 for n in (0, 1, 2, 3, 4, 5, 6)}
        assert [v.prev_crc for v in voids] == [store.crc("readings", 5), None, None]
        assert store.crc("readings", 30) is None
        assert len(drain(store, "readings")) == 5 + 3
        assert store.append({"readings": some(1, 100)}) == {"readings": range(101, 102)}
    with Store.open(folder) as store:
        assert store.tail("readings") == 101
        assert len(drain(store, "readings", 6)) == 4


def test_the_tail_outlives_a_void_of_everything(folder: Path) -> None:
    with Store.open(folder) as store:
        store.append({"readings": some(10)})
        store.void("readings", 1, 11, "evicted")
    with Store.open(folder) as store:
        assert store.tail("readings") == 10
        assert store.append({"readings": some(1)}) == {"readings": range(11, 12)}


def test_a_new_epoch_counts_what_follows_the_last_common_record(folder: Path) -> None:
    with Store.open(folder) as store:
        store.append({"readings": some(10), "events": some(3)})
        store.note_acked("readings", 9)
        before = store.epoch
        with pytest.raises(ValueError, match="events: its last common record must be named"):
            store.new_epoch({"readings": 6})
        after = store.new_epoch({"readings": 6, "events": 3})
        assert after == store.epoch != before
        assert (store.tail("readings"), store.tail("events"), store.acked("readings")) == (4, 0, 0)
        assert store.append({"readings": some(1, 10)}) == {"readings": range(5, 6)}
    with Store.open(folder) as store:
        assert store.epoch == after
        assert same(records(store), some(5, 6))
        assert [(epoch.epoch, epoch.bases["readings"]) for epoch in store.reader.epochs()] == [(before, 0), (after, 6)]
        store.new_epoch({"readings": 1, "events": 0})
        assert same(records(store), some(4, 7))


def test_trim_deletes_acknowledged_blocks_and_no_others(folder: Path) -> None:
    with Store.open(folder) as store:
        for first in range(0, 100, 10):
            store.append({"readings": some(10, first)})
        assert store.trim(0).records == 0
        store.note_acked("readings", 55)
        assert store.trim(10**9).records == 0
        assert store.trim(0) == (50, 5)
        assert same(records(store, lo=51), some(50, 50))
        assert store.crc("readings", 55) == record_crc(some(1, 54)[0])
        assert store.crc("readings", 50) is None


def test_what_was_trimmed_and_is_asked_for_again_is_void(folder: Path) -> None:
    with Store.open(folder) as store:
        for first in range(0, 30, 10):
            store.append({"readings": some(10, first)})
        store.note_acked("readings", 30)
        store.trim(0)
        store.note_acked("readings", 4)
        (void, *rest) = drain(store, "readings", 5)
        assert isinstance(void, Void)
        assert (void.lo, void.hi, void.reason, len(rest)) == (5, 21, "trimmed", 10)
    with Store.open(folder) as store:
        assert store.acked("readings") == 4
        store.new_epoch({"readings": 2})
        (void, *rest) = drain(store, "readings")
        assert isinstance(void, Void)
        assert (void.lo, void.hi, void.prev_crc, len(rest)) == (1, 19, 0, 10)


def test_the_file_stops_growing_when_it_is_trimmed(folder: Path) -> None:
    sizes = []
    with Store.open(folder) as store:
        for _ in range(8):
            for _ in range(8):
                store.append({"readings": some(1_000, store.tail("readings"))})
            store.note_acked("readings", store.tail("readings"))
            store.trim(64_000)
            assert store.used_bytes() <= 64_000
            sizes.append(store.reader.file_bytes())
        assert sizes[-1] == sizes[2] < 8 * 64_000
        assert same(records(store, lo=store.tail("readings"))[-1:], some(1, 63_999))


def test_messages_taken_are_remembered_for_their_session_only(folder: Path) -> None:
    with Store.open(folder) as store:
        store.append({"readings": some(1)}, [Taken(0, 1, 11)])
        session = store.start_broker_session()
        assert store.taken_recently() == []
        store.append({"readings": some(1)}, [Taken(0, 2, 22), Taken(session, 3, 33)])
        store.append({"readings": some(1)})
        store.append({"events": some(1)}, [Taken(session, 4, 2**64 - 1), Taken(session, 65_535, 55)])
        store.append({"readings": some(1)}, [Taken(session, 6, 66)])
    expected = [(3, 33), (4, 2**64 - 1), (65_535, 55), (6, 66)]
    with Store.open(folder) as store:
        assert store.broker_session == session == 1
        assert store.taken_recently() == expected
        store.void("readings", 1, 5, "evicted")
        store.note_acked("events", 1)
        store.trim(0)
        assert store.taken_recently() == expected
    with Store.open(folder) as store:
        assert store.taken_recently() == expected


def test_only_the_last_messages_of_a_session_are_compared(folder: Path) -> None:
    with Store.open(folder) as store:
        for first in range(0, 40_000, 4_000):
            taken = [Taken(0, at % 65_536, at) for at in range(first, first + 4_000)]
            store.append({"readings": some(4_000, first)}, taken)
        store.note_acked("readings", 40_000)
        assert [at for _, at in store.taken_recently()] == list(range(40_000 - 32_768, 40_000))
        store.trim(0)
        assert [at for _, at in store.taken_recently()] == list(range(40_000 - 32_768, 40_000))


def test_a_closed_store_says_so(folder: Path) -> None:
    store = Store.open(folder)
    store.close()
    store.close()
    with pytest.raises(StoreClosedError):
        store.append({"readings": some(1)})
    with pytest.raises(StoreClosedError):
        store.read("readings", 1, 1)


def test_the_uplink_takes_it_as_its_outbox(folder: Path) -> None:
    with Store.open(folder, name="readings") as store:
        store.append({"readings": some(3)})
        assert Uplink(store).backlog("readings") == 3


def test_bytes_written_are_counted_over_reopenings(folder: Path) -> None:
    with Store.open(folder) as store:
        store.append({"readings": some(10)})
        first = store.bytes_written
    with Store.open(folder) as store:
        assert store.bytes_written >= first


def test_a_process_with_a_store_stays_lean(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from golmok_edge.store import GroupCommit, Store\n"
        "with Store.open(Path(sys.argv[1])) as store: store.read('readings', 1, 1)\n"
        "print([name for name in ('numpy', 'pydantic', 'sqlite_utils') if name in sys.modules])"
    )
    done = run_python("-c", code, str(folder / "new"))
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_records_of_several_boots_keep_theirs(folder: Path) -> None:
    mixed = [reading(1.0)._replace(boot=boot) for boot in (BOOT, BOOT, "b2", "b3", "b3", BOOT)]
    with Store.open(folder) as store:
        store.append({"readings": mixed})
        assert same(records(store), mixed)
        assert store.reader.boots() == [BOOT, "b2", "b3"]
