"""`golmok_edge.gateway.again`: what the disk refuses is put again, all of it, in its order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from golmok_edge.gateway.again import AGAIN_S, MOST_HELD, Again
from golmok_edge.store import Item, StoreClosedError, Taken

from .gateway_support import record


@dataclass
class Call:
    """One that is to come."""

    call: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class HandTimer:
    """Calls when it is told."""

    calls: list[Call] = field(default_factory=list)

    def later(self, after_s: float, call: Callable[[], None]) -> Call:
        assert after_s == AGAIN_S
        self.calls.append(Call(call))
        return self.calls[-1]

    def strike(self) -> None:
        calls, self.calls = self.calls, []
        for one in calls:
            if not one.is_cancelled:
                one.call()


@dataclass
class Group:
    """Stands for the store: takes what it is given, and commits or refuses it when told."""

    is_open: bool = True
    waiting: list[Item] = field(default_factory=list)
    stored: list[Item] = field(default_factory=list)

    def put(self, items: Sequence[Item]) -> bool:
        if self.is_open:
            self.waiting += items
        return self.is_open

    def commit(self) -> None:
        self.stored += self.waiting
        self.waiting = []

    def refuse(self, to: Again) -> None:
        items, self.waiting = self.waiting, []
        to.refused(items)


def item(number: int, taken: bool = True) -> Item:
    return Item("readings", [record(value=number)], [Taken(1, number % 60_000, number)] if taken else [])


def values(items: Sequence[Item]) -> list[object]:
    return [one.value for each in items for one in each.records]


class Refusals(RuleBasedStateMachine):
    """A disk that is full now and then. In the end all is stored once, and what waited is in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.group, self.timer = Group(), HandTimer()
        self.again = Again(self.group.put, self.timer.later)
        self.made = 0

    @rule(count=st.integers(1, 5))
    def come(self, count: int) -> None:
        for _ in range(count):
            self.again.put(item(self.made))
            self.made += 1

    @rule()
    def refuse(self) -> None:
        self.group.refuse(self.again)

    @precondition(lambda self: not len(self.again))
    @rule()
    def commit(self) -> None:
        """What was on its way when another was refused may overtake it: that is for the store to mend."""
        self.group.commit()

    @rule()
    def time_passes(self) -> None:
        self.timer.strike()

    @rule(is_open=st.booleans())
    def the_way_is_open(self, is_open: bool) -> None:
        self.group.is_open = is_open

    @invariant()
    def one_call_is_to_come_while_something_waits(self) -> None:
        assert len(self.timer.calls) <= 1
        assert self.timer.calls or not len(self.again)

    def teardown(self) -> None:
        self.group.is_open = True
        self.group.refuse(self.again)
        self.timer.strike()
        self.group.commit()
        assert values(self.group.stored) == list(range(self.made))


TestRefusals = Refusals.TestCase
TestRefusals.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_what_others_put_is_not_kept() -> None:
    group, timer = Group(), HandTimer()
    one, other = Again(group.put, timer.later), Again(group.put, timer.later)
    other.put(item(1))
    one.refused([item(2), *group.waiting])
    assert (len(one), len(other), timer.calls) == (0, 0, [])


def test_beyond_its_room_only_what_the_broker_keeps_is_kept() -> None:
    """Messages without a receipt (QoS 0) come as fast as they like and must not fill the memory."""
    timer = HandTimer()
    again = Again(Group(is_open=False).put, timer.later)
    for number in range(MOST_HELD + 100):
        again.put(item(number, taken=False))
    again.put(item(7))
    assert (len(again), again.dropped) == (MOST_HELD + 1, 100)


def test_at_the_end_it_is_tried_a_last_time() -> None:
    group, timer = Group(is_open=False), HandTimer()
    again = Again(group.put, timer.later)
    again.put(item(1))
    group.is_open = True
    again.close()
    assert values(group.waiting) == [1]
    group.refuse(again)
    timer.strike()
    assert (group.waiting, timer.calls) == ([], [])


def test_a_store_that_is_closed_takes_nothing_and_breaks_nothing() -> None:
    def closed(_: Sequence[Item]) -> bool:
        raise StoreClosedError("closed")

    again = Again(closed, HandTimer().later)
    again.put(item(1))
    assert len(again) == 0, "the broker has it"


def test_what_waits_can_be_changed() -> None:
    group, timer = Group(is_open=False), HandTimer()
    again = Again(group.put, timer.later)
    again.put(item(1))
    again.change(lambda one: one._replace(taken=()))
    group.is_open = True
    timer.strike()
    assert [one.taken for one in group.waiting] == [()]
