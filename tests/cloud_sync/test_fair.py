"""`golmok_cloud_sync.server.fair`: one who brings much does not delay those who bring little, and nobody starves."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from golmok_cloud_sync.server.fair import PATIENCE_S, FairQueue

KEYS = st.sampled_from("abc")


def test_those_who_bring_the_same_come_in_their_order() -> None:
    queue: FairQueue[int] = FairQueue()
    for n in range(9):
        queue.put("abc"[n % 3], 10, n, 0)
    assert [queue.take(0) for _ in range(10)] == [*range(9), None]


def test_a_huge_backlog_does_not_delay_others() -> None:
    queue: FairQueue[str] = FairQueue()
    for n in range(100):
        queue.put("greedy", 1000, f"greedy {n}", 0)
    for n in range(5):
        queue.put(f"modest-{n}", 1000, f"modest {n}", 0)
    assert sorted(queue.take(0) or "" for _ in range(6)) == ["greedy 0", *(f"modest {n}" for n in range(5))]


def test_one_large_request_goes_behind_as_many_bytes_of_others() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.put("large", 100, "large", 0)
    taken = []
    for n in range(30):
        queue.put(f"small-{n % 2}", 10, f"small {n}", 0)
        taken.append(queue.take(0))
    assert taken.index("large") in range(9, 21), "two others have had about 100 bytes each"


@given(st.lists(st.tuples(KEYS, st.integers(0, 10_000)), max_size=60))
def test_the_shares_of_those_who_always_wait_differ_by_one_request_at_most(puts: list[tuple[str, int]]) -> None:
    queue: FairQueue[tuple[str, int, int]] = FairQueue()
    left = dict.fromkeys("abc", 0)
    for n, (key, cost) in enumerate(puts):
        queue.put(key, cost, (key, cost, n), 0)
        left[key] += 1
    had = dict.fromkeys("abc", 0)
    largest = max((cost for _, cost in puts), default=0)
    while all(left.values()):
        taken = queue.take(0)
        assert taken is not None
        key, cost, _ = taken
        had[key] += max(1, cost)
        left[key] -= 1
        assert max(had.values()) - min(had.values()) <= 2 * max(1, largest)


class Model(RuleBasedStateMachine):
    """Whatever is put is taken once, in its order among those of its key, or discarded."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: FairQueue[int] = FairQueue()
        self.waiting: dict[int, tuple[str, int, float]] = {}
        self.made = 0
        self.now_s = 0.0

    @rule(key=KEYS, cost=st.integers(0, 1 << 24))
    def put(self, key: str, cost: int) -> None:
        self.made += 1
        self.queue.put(key, cost, self.made, self.now_s)
        self.waiting[self.made] = (key, max(1, cost), self.now_s)

    @rule(s=st.floats(0, PATIENCE_S))
    def wait(self, s: float) -> None:
        self.now_s += s

    @rule()
    def take(self) -> None:
        item = self.queue.take(self.now_s)
        if not self.waiting:
            assert item is None
            return
        assert item is not None
        oldest = min(self.waiting)
        if self.now_s - self.waiting[oldest][2] > PATIENCE_S:
            assert item == oldest, "nobody starves"
        key = self.waiting[item][0]
        assert not any(other < item and self.waiting[other][0] == key for other in self.waiting)
        del self.waiting[item]

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        item = data.draw(st.integers(1, self.made))
        assert self.queue.discard(item) == (self.waiting.pop(item, None) is not None)

    @invariant()
    def adds_up(self) -> None:
        assert len(self.queue) == len(self.waiting)
        assert self.queue.cost == sum(cost for _, cost, _ in self.waiting.values())
        oldest = self.now_s - self.waiting[min(self.waiting)][2] if self.waiting else 0.0
        assert self.queue.age_s(self.now_s) == max(0.0, oldest)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
