"""A store with budgets against a naive model, under both policies; and what each lane may do when there is no room."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from golmok_cloud_sync.protocol import STREAMS, Record, Stream, Void, canonical
from golmok_edge.store import EVICTED, Budgets, Store, StoreFullError, StoreOverBudgetError, WhenFull
from golmok_edge.store import rows as store_rows

from .store_support import BOOT, drain, prepared, reading, records, same

SMALL = Budgets(2_000_000, readings=60_000, files=40_000, events=30_000)
SIZES = st.integers(1, 6)


def noise(number: int, channel: str = "fridge.note") -> Record:
    """More than 2 kB that pack badly: a page has room for one."""
    text = "".join(chr(0x4E00 + (number * 7919 + at * at * 31) % 20_000) for at in range(1_000))
    return Record(channel, text, "", BOOT, number)


class BudgetModel(RuleBasedStateMachine):
    """`entries` are the records that were taken, or None where one was evicted."""

    when_full: WhenFull = "refuse"

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="golmok-budget-"))
        Store.open(prepared(self.folder)).close()
        self.open()
        self.entries: dict[Stream, list[Record | None]] = {stream: [] for stream in STREAMS}
        self.acked = dict.fromkeys(STREAMS, 0)
        self.number = 0
        self.largest = dict.fromkeys(STREAMS, 0)

    def open(self) -> None:
        budgets = Budgets(SMALL.max_bytes, SMALL.readings, SMALL.files, SMALL.events, self.when_full)
        self.store = Store.open(self.folder, budgets=budgets)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.whole_history_is_told()
            self.store.close()
            shutil.rmtree(self.folder)

    @rule(stream=st.sampled_from(STREAMS), count=SIZES, is_calm=st.booleans())
    def append(self, stream: Stream, count: int, is_calm: bool) -> None:
        channel = ("clock.anchor" if is_calm else "alarm.high") if stream == "events" else f"device{count}.note"
        batch = [noise(self.number + at, channel) for at in range(count)]
        self.number += count
        before = self.store.used_by(stream)
        try:
            self.store.append({stream: batch})
        except StoreOverBudgetError:
            assert stream != "orders"
            assert stream != "readings" or self.when_full == "refuse"
            least = SMALL.events // 2 - 20_000 if stream == "events" else SMALL.limit(stream) - 40_000
            assert self.store.used_by(stream) > least, "no refusal while there is room"
        else:
            self.entries[stream] += batch
            self.largest[stream] = max(self.largest[stream], self.store.used_by(stream) - before)

    @rule(stream=st.sampled_from(STREAMS), share=st.floats(0, 1))
    def note_acked(self, stream: Stream, share: float) -> None:
        seq = round(self.acked[stream] + share * (len(self.entries[stream]) - self.acked[stream]))
        self.store.note_acked(stream, seq)
        self.acked[stream] = seq

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.open()

    @precondition(lambda self: hasattr(self, "store"))
    @invariant()
    def budgets_are_kept(self) -> None:
        for stream in ("readings", "files", "events"):
            # What alone is too large goes in when nothing else waits.
            assert self.store.used_by(stream) <= max(SMALL.limit(stream), self.largest[stream] + 8_192), stream
        rows = self.store._db.execute("SELECT length(body), length(taken) FROM readings").fetchall()
        assert self.store.used_by("readings") == sum(store_rows.row_bytes(*row) for row in rows)

    @rule()
    def whole_history_is_told(self) -> None:
        """What the cloud does not have comes entirely, in its order, each record or its void; voids count right."""
        for stream in STREAMS:
            expected = self.entries[stream][self.acked[stream] :]
            at, evicted = 0, 0
            for given in drain(self.store, stream, self.acked[stream] + 1):
                if isinstance(given, Void):
                    assert (stream, given.reason) == ("readings", EVICTED)
                    assert self.when_full == "drop-oldest"
                    lost = expected[at : at + given.hi - given.lo]
                    assert given.counts == Counter(one.channel for one in lost if one)
                    at += given.hi - given.lo
                    evicted = at
                else:
                    assert canonical(given) == canonical(expected[at])  # type: ignore[arg-type]  # none is None
                    at += 1
            assert at == len(expected)
            if self.when_full == "refuse" or stream != "readings":
                assert evicted == 0
            voids = [given for given in drain(self.store, stream, self.acked[stream] + 1) if isinstance(given, Void)]
            assert len(voids) <= 1, "the oldest go, nothing in between"


class DropOldestModel(BudgetModel):
    """The same, with eviction."""

    when_full: WhenFull = "drop-oldest"


TestRefuse = BudgetModel.TestCase
TestRefuse.settings = settings(max_examples=15, stateful_step_count=40, deadline=None)
TestDropOldest = DropOldestModel.TestCase
TestDropOldest.settings = TestRefuse.settings


def opened(folder: Path, **more: int | str) -> Store:
    prepared(folder)
    return Store.open(folder, budgets=Budgets(**({"max_bytes": 3_000_000, "readings": 300_000} | more)))  # type: ignore[arg-type]  # mixed


def fill_until_refused(store: Store, stream: Stream = "readings", channel: str = "fridge.note") -> int:
    for number in range(10_000):
        try:
            store.append({stream: [noise(number, channel)]})
        except StoreOverBudgetError:
            return number
    raise AssertionError("it never was full")


def test_new_readings_are_refused_and_taken_again_when_the_cloud_has_the_old(tmp_path: Path) -> None:
    with opened(tmp_path, when_full="refuse") as store:
        kept = fill_until_refused(store)
        assert 300_000 / 4_096 - 1 <= kept <= 300_000 / 4_096
        store.note_acked("readings", 2)
        for _ in range(3):
            with pytest.raises(StoreOverBudgetError, match=r"max_bytes.*drop-oldest"):
                store.append({"readings": [noise(1)]})
        with pytest.raises(StoreFullError):
            store.look_again()
        store.note_acked("readings", 20)
        store.look_again()
        store.append({"readings": [noise(kept)]})
        assert store.tail("readings") == kept + 1
        assert same(records(store, lo=21), [noise(number) for number in range(20, kept + 1)])


def test_the_oldest_readings_make_room_a_good_piece_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        voids = set()
        for number in range(400):
            store.append({"readings": [noise(number, f"device{number % 3}.note")]})
            assert store.used_by("readings") <= 300_000
            given = store.read("readings", 1, 10)
            voids.add(given.hi if isinstance(given, Void) else 0)
        (void, *rest) = drain(store, "readings")
        assert isinstance(void, Void)
        assert (void.lo, void.reason, sum(void.counts.values())) == (1, EVICTED, void.hi - 1)
        assert store.evicted == void.hi - 1
        assert same(rest, [noise(n, f"device{n % 3}.note") for n in range(void.hi - 1, 400)])  # type: ignore[arg-type]  # no voids
        assert len(rest) >= 300_000 / 4_096 - 6, "no more than needed"
        assert len(voids) <= 400 / 4 + 1, "not a row at a time"


def test_what_the_cloud_has_goes_before_anything_is_evicted(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        for number in range(400):
            store.append({"readings": [noise(number)]})
            store.note_acked("readings", store.tail("readings"))
        assert store.evicted == 0


def test_orders_and_events_get_in_and_make_readings_give_way(tmp_path: Path) -> None:
    with opened(tmp_path, max_bytes=1_000_000, readings=800_000, when_full="refuse") as store:
        fill_until_refused(store)
        for number in range(100):
            store.append({"orders": [noise(number)], "events": [noise(number)]})
        with pytest.raises(StoreOverBudgetError):
            store.append({"readings": [noise(1)]})
        assert (store.tail("orders"), store.tail("events")) == (100, 100)
    with opened(tmp_path / "b", max_bytes=1_000_000, readings=800_000) as store:
        for number in range(250):
            store.append({"readings": [noise(number)]})
        for number in range(100):
            store.append({"orders": [noise(number)]})
            store.append({"readings": [noise(number)]})
        assert store.used_bytes() <= 1_000_000
        assert same(records(store, "orders"), [noise(number) for number in range(100)])


def test_bookkeeping_leaves_half_of_the_events_budget_to_alarms(tmp_path: Path) -> None:
    with opened(tmp_path, events=200_000) as store:
        calm = fill_until_refused(store, "events", "clock.anchor")
        assert calm == pytest.approx(100_000 / 4_096, abs=1)
        alarms = fill_until_refused(store, "events", "alarm.high")
        assert alarms == pytest.approx(100_000 / 4_096, abs=1)
        assert [record.channel for record in records(store, "events")] == ["clock.anchor"] * calm + [
            "alarm.high"
        ] * alarms, "no event is ever evicted"


def test_what_alone_is_too_large_goes_in_when_nothing_else_waits(tmp_path: Path) -> None:
    with opened(tmp_path, when_full="refuse") as store:
        store.append({"readings": [noise(number) for number in range(200)]})
        with pytest.raises(StoreOverBudgetError):
            store.append({"readings": [reading(1.0)]})
        store.note_acked("readings", 200)
        store.append({"readings": [reading(1.0)]})


def test_what_is_used_is_known_again_after_a_kill(tmp_path: Path) -> None:
    """The count is saved with the hints; what came later is counted anew."""
    with opened(tmp_path) as store:
        for number in range(30):
            store.append({"readings": [noise(number)]})
        store.note_acked("readings", 9)
        store.trim(0)
        store.append({"readings": [noise(99), reading(1.0)]})
        used = store.used_by("readings")
        shutil.copytree(tmp_path, tmp_path / "killed")
    with Store.open(tmp_path / "killed") as store:
        assert store.used_by("readings") == used > 0


def test_an_estimate_of_what_a_row_takes_is_right(tmp_path: Path) -> None:
    """Against the pages that SQLite really uses."""
    for length in (10, 300, 1_500, 3_000, 6_000, 30_000):
        folder = tmp_path / str(length)
        with Store.open(prepared(folder)) as store:
            before = store.used_bytes()
            for number in range(100):
                text = "".join(chr(0x4E00 + (number * 7919 + at * at * 31) % 20_000) for at in range(length // 3))
                store.append({"readings": [Record("a.b", text, "", BOOT, number)]})
            real = store.used_bytes() - before
            assert store.used_by("readings") == pytest.approx(real, rel=0.15, abs=8_192), length


def test_evicted_records_cannot_come_back_by_an_acknowledgement(tmp_path: Path) -> None:
    """What was on its way while it was evicted may be in the cloud: then the void is not sent."""
    with opened(tmp_path) as store:
        for number in range(70):
            store.append({"readings": [noise(number)]})
        on_its_way = store.read("readings", 1, 10)
        assert isinstance(on_its_way, list)
        for number in range(70, 100):
            store.append({"readings": [noise(number)]})
        void = store.read("readings", 1, 10)
        assert isinstance(void, Void)
        assert void.hi > 11
        store.note_acked("readings", 10)
        rest = store.read("readings", 11, 10)
        assert isinstance(rest, Void)
        assert (rest.lo, rest.hi, rest.prev_crc) == (11, void.hi, None)
