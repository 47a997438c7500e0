"""When a commit falls due, what it holds, and that sources learn of it only then."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_cloud_sync.protocol import RecordError
from golmok_edge.store import Budgets, Commit, GroupCommit, Item, Store, StoreClosedError, Taken
from golmok_edge.store.group import MOST_WAITING, in_order

from .store_support import BOOT, prepared, reading, records, same, some


class HandClock:
    """Time that stands until a test moves it."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.waits: list[float | None] = []
        self._sleepers: set[threading.Condition] = set()

    def now(self) -> float:
        return self.seconds

    def wait(self, condition: threading.Condition, timeout_s: float | None) -> None:
        self.waits.append(timeout_s)
        self._sleepers.add(condition)
        condition.wait()

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
        for condition in list(self._sleepers):
            with condition:
                condition.notify_all()


class Listener:
    """A source that writes down what it is told."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self.refused: list[tuple[list[Item], Exception]] = []

    def on_commit(self, commit: Commit) -> None:
        self.commits.append(commit)

    def on_refuse(self, items: Sequence[Item], error: Exception) -> None:
        self.refused.append((list(items), error))


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(prepared(tmp_path)) as store:
        yield store


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def group(store: Store, clock: HandClock, listener: Listener) -> Iterator[GroupCommit]:
    with GroupCommit(store, listener.on_commit, listener.on_refuse, interval_s=1.0, clock=clock) as group:
        until(lambda: clock.waits == [None])
        yield group


def test_a_commit_falls_due_an_interval_after_the_first_item(
    group: GroupCommit, clock: HandClock, listener: Listener, store: Store
) -> None:
    group.put(Item("readings", some(2)))
    until(lambda: clock.waits[-1] == 1.0)
    clock.advance(0.5)
    until(lambda: clock.waits[-1] == 0.5)
    group.put(Item("readings", some(3, 2)))
    assert (listener.commits, store.tail("readings"), group.waiting) == ([], 0, 5)
    clock.advance(0.5)
    until(lambda: len(listener.commits) == 1)
    (commit,) = listener.commits
    assert commit.ranges == {"readings": range(1, 6)}
    assert same(commit.records["readings"], some(5))
    assert [len(item.records) for item in commit.items] == [2, 3]
    until(lambda: clock.waits[-1] is None)
    assert group.waiting == 0


def test_orders_and_events_and_whatever_is_urgent_go_at_once(group: GroupCommit, listener: Listener) -> None:
    group.put(Item("readings", some(1)))
    for count, item in enumerate(
        (Item("events", some(1)), Item("orders", some(1)), Item("readings", some(1), urgent=True)), 1
    ):
        group.put(item)
        until(lambda count=count: len(listener.commits) == count)  # type: ignore[misc]
    assert listener.commits[0].ranges == {"readings": range(1, 2), "events": range(1, 2)}


def test_an_event_may_wait_when_it_says_so(group: GroupCommit, clock: HandClock, listener: Listener) -> None:
    group.put(Item("events", some(1), urgent=False))
    until(lambda: clock.waits[-1] == 1.0)
    assert listener.commits == []


def test_a_full_window_of_messages_is_not_kept_waiting(group: GroupCommit, listener: Listener) -> None:
    for at in range(MOST_WAITING):
        group.put(Item("readings", some(1, at), [Taken(0, at, at)]))
    until(lambda: sum(len(commit.items) for commit in listener.commits) == MOST_WAITING)


def test_messages_without_records_count_too(group: GroupCommit, listener: Listener) -> None:
    for at in range(MOST_WAITING):
        group.put(Item("readings", [], [Taken(0, at, at)]))
    until(lambda: sum(len(commit.items) for commit in listener.commits) == MOST_WAITING)
    assert all(commit.ranges == {} for commit in listener.commits)


def test_closing_commits_what_waits(group: GroupCommit, listener: Listener, store: Store) -> None:
    group.put(Item("readings", some(3)))
    group.close()
    assert [commit.ranges for commit in listener.commits] == [{"readings": range(1, 4)}]
    assert same(records(store), some(3))
    with pytest.raises(StoreClosedError):
        group.put(Item("readings", some(1)))


def test_one_put_is_one_commit_over_all_streams(group: GroupCommit, clock: HandClock, listener: Listener) -> None:
    group.put()
    group.put(Item("readings", some(2)), Item("events", some(1)), Item("readings", some(1, 2)))
    until(lambda: len(listener.commits) == 1)
    assert listener.commits[0].ranges == {"events": range(1, 2), "readings": range(1, 4)}


def test_a_wrong_record_is_refused_where_it_is_put(group: GroupCommit, listener: Listener) -> None:
    with pytest.raises(RecordError, match="fridge"):
        group.put(Item("readings", some(1)), Item("events", [reading(float("inf"))]))
    group.close()
    assert listener.commits == []


def test_a_failed_commit_is_told_and_the_thread_lives_on(
    tmp_path: Path, group: GroupCommit, listener: Listener, store: Store
) -> None:
    store.close()
    for count in (1, 2):
        group.put(Item("events", some(count)))
        until(lambda count=count: len(listener.refused) == count)  # type: ignore[misc]
    assert [len(items) for items, _ in listener.refused] == [1, 1]
    assert all(isinstance(error, StoreClosedError) for _, error in listener.refused)
    assert (group.counts.refused_commits, group.counts.refused_records, group.counts.commits) == (2, 3, 0)


def test_what_waits_behind_a_refusal_is_given_back_too(
    store: Store, group: GroupCommit, clock: HandClock, listener: Listener
) -> None:
    """Else it would be stored before what came earlier."""
    store.budgets = Budgets(readings=1, when_full="refuse")
    store.append({"readings": some(1)})
    behind = [Item("readings", some(1, 20)), Item("readings", some(1, 30))]

    def on_refuse(items: Sequence[Item], error: Exception) -> None:
        listener.on_refuse(items, error)
        if len(listener.refused) == 1:  # puts itself in between, as another thread would
            store.budgets = Budgets()
            group.put(behind[1])

    group._on_refuse = on_refuse
    first = Item("readings", some(1, 10))
    group.put(first)
    group.put(Item("events", [reading(1.0, 0, "clock.anchor")]))
    until(lambda: len(listener.refused) == 2)
    assert [items for items, _ in listener.refused] == [[first], [behind[1]]]
    assert [commit.ranges for commit in listener.commits] == [{"events": range(1, 2)}]
    group.put(first, *behind)
    clock.advance(1.0)
    until(lambda: len(listener.commits) == 2)
    assert [record.mono_ms for record in records(store)][1:] == [1_000, 2_000, 3_000]


def test_orders_and_alarms_are_stored_without_what_there_is_no_room_for(
    store: Store, group: GroupCommit, listener: Listener
) -> None:
    store.budgets = Budgets(readings=1, events=2, when_full="refuse")
    store.append({"readings": some(1), "events": [reading(1.0)]})
    group.put(
        Item("readings", some(2)),
    )
    group.put(Item("events", [reading(1.0, 0, "gap.silent")]))
    until(lambda: len(listener.refused) == 2)
    assert set(group.refusals) == {"calm", "telemetry"}
    group.put(Item("orders", some(1)))
    until(lambda: len(listener.commits) == 1)
    assert listener.commits[0].ranges == {"orders": range(1, 2)}
    assert set(group.refusals) == {"calm", "telemetry"}
    assert group.refused_s("telemetry") == 0.0
    store.budgets = Budgets()
    group.put(Item("readings", some(1)), Item("events", [reading(1.0, 0, "gap.silent")]))
    until(lambda: len(listener.commits) == 2)
    assert set(group.refusals) == {"telemetry"}, "the unit went in the lane of the more urgent"
    group.recovered("telemetry")
    assert group.refused_s("telemetry") is None


def test_a_listener_that_fails_is_counted_and_hears_the_next(store: Store) -> None:
    heard: list[Commit] = []

    def on_commit(commit: Commit) -> None:
        heard.append(commit)
        raise RuntimeError("the listener's own mistake")

    with GroupCommit(store, on_commit, Listener().on_refuse) as group:
        for count in (1, 2):
            group.put(Item("events", some(1)))
            until(lambda count=count: len(heard) == count)  # type: ignore[misc]
    assert (group.counts.failed_callbacks, group.counts.commits) == (2, 2)


def test_many_threads_put_and_everything_is_stored_once(store: Store, listener: Listener) -> None:
    def source(name: str) -> None:
        for at in range(200):
            writer.put(Item("readings", [reading(at, at, name)], tag=name))

    with GroupCommit(store, listener.on_commit, listener.on_refuse, interval_s=0.01) as writer:
        threads = [threading.Thread(target=source, args=(f"source{n}.value",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    seen = defaultdict(list)
    for record in records(store):
        seen[record.channel].append(record.value)
    assert seen == {f"source{n}.value": list(range(200)) for n in range(4)}
    assert writer.counts.records == 800
    told = [
        (seq, record)
        for commit in listener.commits
        for seq, record in zip(commit.ranges["readings"], commit.records["readings"], strict=True)
    ]
    assert [seq for seq, _ in told] == list(range(1, 801))
    assert same([record for _, record in told], records(store))


SOURCES = st.lists(st.lists(st.integers(0, 20), max_size=6).map(sorted), min_size=1, max_size=5)


@given(SOURCES, st.randoms(use_true_random=False))
def test_records_are_stored_by_time_and_no_source_is_reordered(sources: list[list[int]], chance: object) -> None:
    items = [
        (number, Item("readings", [reading(at, mono, f"source{number}.{part}") for part in "ab"]))
        for number, times in enumerate(sources)
        for at, mono in enumerate(times)
    ]
    queues = [[item for owner, item in items if owner == number] for number in range(len(sources))]
    put: list[Item] = []
    while any(queues):
        waiting = [queue for queue in queues if queue]
        put.append(chance.choice(waiting).pop(0))  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    stored = in_order(put).get("readings", [])
    assert [record.mono_ms for record in stored] == sorted(record.mono_ms for record in stored)
    for number, times in enumerate(sources):
        mine = [record for record in stored if record.channel.startswith(f"source{number}.")]
        assert mine == [record for item in queues_of(items, number) for record in item.records]
        assert len(mine) == 2 * len(times)


def queues_of(items: list[tuple[int, Item]], number: int) -> list[Item]:
    return [item for owner, item in items if owner == number]


def test_a_new_boot_comes_after_the_old_one_whatever_its_time() -> None:
    old = [reading(1.0, 900), reading(2.0, 800)]
    new = [reading(3.0, 5)._replace(boot="new"), reading(4.0, 1)._replace(boot="new")]
    stored = in_order([Item("readings", old), Item("readings", new), Item("events", new[:1])])
    assert [record.value for record in stored["readings"]] == [2.0, 1.0, 4.0, 3.0]
    assert stored["readings"][0].boot == BOOT
    assert list(stored) == ["events", "readings"]
