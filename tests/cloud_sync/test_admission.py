"""`golmok_cloud_sync.server.admission`, `turns`, `privilege`: bounded in bytes, and nobody is locked out."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golmok_cloud_sync.protocol import MAX_REQUEST, Frame, Void
from golmok_cloud_sync.server.admission import (
    LATEST_S,
    MOST_READING,
    QUIET_S,
    SLOW_AFTER_S,
    SLOW_BYTES_PER_S,
    SOONEST_S,
    Admission,
    Ticket,
    TurnedAwayError,
)
from golmok_cloud_sync.server.privilege import BURST, BYTES_PER_S, Allowance, claims, deserves
from golmok_cloud_sync.server.room import Limits, cost_of, memory_bytes
from golmok_cloud_sync.server.turns import BusyError, Turns, Whose

SMALL = cost_of(1000)


class Hand:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


def door(requests: int, *, reserve: int = 2, hand: Hand | None = None) -> Admission:
    """With room for so many requests of 1,000 bytes."""
    return Admission(Limits(requests * SMALL, reserve * SMALL), hand or Hand(), lambda low, high: (low + high) / 2)


def soon(work: Coroutine[Any, Any, Any]) -> Any:
    """Its result; it must not hang."""

    async def within() -> Any:
        return await asyncio.wait_for(work, 20)

    return asyncio.run(within())


async def fill(admission: Admission, count: int, *, read: bool = True) -> list[Ticket]:
    tickets = [await admission.enter(1000, None, urgent=False) for _ in range(count)]
    for ticket in tickets if read else []:
        admission.was_read(ticket, 1000)
    return tickets


# --- bytes


def test_beyond_the_limit_who_comes_is_turned_away_until_one_leaves() -> None:
    async def work() -> None:
        admission = door(3)
        tickets = await fill(admission, 3)
        for _ in range(2):
            with pytest.raises(TurnedAwayError) as away:
                await admission.enter(1000, None, urgent=False)
            assert away.value.reason == "full"
        admission.leave(tickets[0], done=True)
        await fill(admission, 1)
        assert admission.turned_away == {"full": 2}
        assert admission.is_overloaded(60)

    soon(work())


def test_a_limit_smaller_than_a_request_locks_nobody_out() -> None:
    async def work() -> None:
        admission = Admission(Limits(10, 10))
        for urgent in (False, True):
            ticket = await admission.enter(MAX_REQUEST, None, urgent=urgent)
            admission.was_read(ticket, MAX_REQUEST)
            admission.leave(ticket, done=True)
        assert admission.held_bytes == 0

    soon(work())


def test_a_body_whose_length_is_not_told_counts_as_the_largest_until_it_is_here() -> None:
    async def work() -> None:
        admission = Admission(Limits.of(64 << 20))
        ticket = await admission.enter(None, None, urgent=False)
        with pytest.raises(TurnedAwayError):
            await admission.enter(MAX_REQUEST, None, urgent=False)
        admission.was_read(ticket, 1000)
        assert admission.held_bytes == SMALL
        await admission.enter(MAX_REQUEST // 2, None, urgent=False)

    soon(work())


def test_the_time_to_come_again_is_what_waits_by_how_fast_it_goes() -> None:
    async def work() -> None:
        hand = Hand()
        admission = door(100, hand=hand)
        for _ in range(10):  # ten a second
            (ticket,) = await fill(admission, 1)
            hand.s += 0.1
            admission.leave(ticket, done=True)
        await fill(admission, 100)
        with pytest.raises(TurnedAwayError) as away:
            await admission.enter(1000, None, urgent=False)
        assert away.value.retry_after_s == pytest.approx(10.1, rel=0.1)

    soon(work())


@given(st.lists(st.floats(0, 1000), max_size=20), st.floats(0.5, 1.5))
@settings(deadline=None)
def test_the_time_to_come_again_is_in_bounds_whatever_was_measured(waits: list[float], share: float) -> None:
    async def work() -> None:
        hand = Hand()
        admission = Admission(Limits(3 * SMALL, SMALL), hand, lambda low, high: share)
        for wait_s in waits:
            (ticket,) = await fill(admission, 1)
            hand.s += wait_s
            admission.leave(ticket, done=True)
        await fill(admission, 3)
        with pytest.raises(TurnedAwayError) as away:
            await admission.enter(1000, None, urgent=False)
        assert SOONEST_S <= away.value.retry_after_s <= LATEST_S

    soon(work())


def test_urgent_ones_have_a_room_of_their_own_and_wait_where_that_is_full() -> None:
    async def work() -> None:
        admission = door(1, reserve=2)
        await fill(admission, 1)
        inside = [await admission.enter(1000, None, urgent=True) for _ in range(2)]
        waiting = [asyncio.create_task(admission.enter(1000, None, urgent=True)) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(one.done() for one in waiting)
        for _ in range(3):
            admission.leave(inside.pop(0), done=True)
            inside += [task.result() for task in await first_of(waiting)]
            waiting = [task for task in waiting if not task.done()]
        assert admission.turned_away == {}
        assert admission.held_bytes <= 3 * SMALL

    soon(work())


async def first_of(tasks: list[asyncio.Task[Ticket]]) -> set[asyncio.Task[Ticket]]:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    return done


def test_what_was_not_urgent_needs_room_like_all_else() -> None:
    async def work() -> None:
        admission = door(1)
        ticket = await admission.enter(1000, None, urgent=True)
        admission.was_read(ticket, 1000)
        (other,) = await fill(admission, 1)
        with pytest.raises(TurnedAwayError):
            admission.demote(ticket)
        admission.leave(other, done=True)
        admission.demote(ticket)
        assert not ticket.urgent
        admission.leave(ticket, done=True)
        assert admission.held_bytes == 0

    soon(work())


def test_bodies_that_trickle_in_give_way_the_oldest_first_and_others_do_not() -> None:
    async def work() -> None:
        hand, size = Hand(), 400_000
        admission = Admission(Limits(3 * cost_of(size), cost_of(0)), hand)
        quick, slow, slower = [await admission.enter(size, None, urgent=False) for _ in range(3)]
        hand.s += SLOW_AFTER_S + 1
        admission.came(quick, int(SLOW_BYTES_PER_S * (SLOW_AFTER_S + 2)))
        await admission.enter(size, None, urgent=False)
        assert [one.gave_way for one in (quick, slow, slower)] == [False, True, False]
        await admission.enter(size, None, urgent=False)
        assert slower.gave_way
        with pytest.raises(TurnedAwayError):
            await admission.enter(size, None, urgent=False)
        for ticket in (slow, slower, quick):
            admission.leave(ticket, done=False)
        assert admission.held_bytes == 2 * cost_of(0)

    soon(work())


def test_a_large_body_that_was_only_announced_takes_no_room_from_others_but_from_other_large_ones() -> None:
    async def work() -> None:
        admission = Admission(Limits.of(64 << 20), Hand())
        large = await admission.enter(MAX_REQUEST, None, urgent=False)
        admission.came(large, 1 << 20)
        with pytest.raises(TurnedAwayError):
            await admission.enter(MAX_REQUEST // 2, None, urgent=False)
        await fill(admission, 300)
        assert not large.gave_way

    soon(work())


@pytest.mark.parametrize("trickles", [False, True])
def test_a_large_body_that_hangs_near_its_end_gives_way_within_seconds(trickles: bool) -> None:
    async def work() -> float:
        hand = Hand()
        admission = Admission(Limits.of(64 << 20), hand)
        large = await admission.enter(MAX_REQUEST, None, urgent=False)
        admission.came(large, MAX_REQUEST - 1000)
        tickets = 0
        while not large.gave_way:
            try:
                tickets += len(await fill(admission, 1))
            except TurnedAwayError:
                hand.s += 0.1
                admission.came(large, large.got + 1 if trickles else large.got) if trickles else None
        await fill(admission, 100)
        return hand.s - 1000.0

    assert soon(work()) < (SLOW_AFTER_S if trickles else QUIET_S) + 0.3


def test_a_large_body_that_comes_quickly_is_not_sent_away_for_others() -> None:
    async def work() -> None:
        hand = Hand()
        admission = Admission(Limits.of(64 << 20), hand)
        large = await admission.enter(MAX_REQUEST, None, urgent=False)
        for piece in range(1, 5):
            admission.came(large, piece * MAX_REQUEST // 5)
            hand.s += 0.9
            with pytest.raises(TurnedAwayError):
                await fill(admission, 1000)
        assert not large.gave_way

    soon(work())


def test_where_more_comes_than_may_be_held_the_largest_gives_way_and_never_an_order() -> None:
    async def work() -> None:
        limits = Limits(17 << 20, 1 << 20)
        admission = Admission(limits, Hand())
        large = await admission.enter(MAX_REQUEST, None, urgent=False)
        orders = [await admission.enter(1 << 10, None, urgent=True) for _ in range(10)]
        modest = [await admission.enter(60 << 10, None, urgent=False) for _ in range(50)]
        for ticket in [*orders, *modest]:
            admission.was_read(ticket, (ticket.announced - cost_of(0)) // 2)
        for piece in range(1, 9):
            admission.came(large, piece << 20)
            assert admission.held_bytes <= limits.queue + limits.reserve
        assert large.gave_way
        with pytest.raises(TurnedAwayError):
            admission.was_read(large, MAX_REQUEST)
        for ticket in [large, *orders, *modest]:
            admission.leave(ticket, done=True)
        assert admission.held_bytes == 0

    soon(work())


def test_a_gateway_that_connects_again_and_again_displaces_itself_only() -> None:
    async def work() -> None:
        admission = door(100)
        (other,) = [await admission.enter(1000, "other", urgent=False)]
        mine = [await admission.enter(1000, "hasty", urgent=False) for _ in range(MOST_READING + 3)]
        assert [one.gave_way for one in mine] == [True] * 3 + [False] * MOST_READING
        assert not other.gave_way

    soon(work())


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_what_is_held_is_what_is_in_and_never_more_than_allowed(data: st.DataObject) -> None:
    async def work() -> None:
        hand = Hand()
        limits = Limits(2 << 20, 512 << 10)
        admission = Admission(limits, hand, lambda low, high: low)
        inside: dict[Ticket, int] = {}

        async def enter() -> None:
            size, urgent = data.draw(st.integers(0, 400_000)), data.draw(st.booleans())
            sender = data.draw(st.sampled_from([None, "a", "b"]))
            size = min(size, 60_000) if urgent else size
            entering = asyncio.create_task(admission.enter(size, sender, urgent=urgent))
            await asyncio.sleep(0)
            if not entering.done():
                assert urgent
                entering.cancel()
            elif entering.exception() is None:
                inside[entering.result()] = size

        def move(ticket: Ticket, what: str) -> None:
            size = inside[ticket]
            if what == "leaves" or ticket.is_read or ticket.gave_way:
                del inside[ticket]
                admission.leave(ticket, done=ticket.is_read)
            elif what == "comes":
                admission.came(ticket, data.draw(st.integers(ticket.got, size)))
            else:
                with suppress(TurnedAwayError):
                    admission.was_read(ticket, size)

        for _ in range(data.draw(st.integers(1, 40))):
            hand.s += data.draw(st.floats(0, 4))
            what = data.draw(st.sampled_from(["enters", "enters", "comes", "is read", "leaves"]))
            if what == "enters" or not inside:
                await enter()
            else:
                move(data.draw(st.sampled_from(list(inside))), what)
            assert admission.held_bytes == sum(one.cost for one in inside)
            usual = [one.cost for one in inside if not one.urgent]
            assert sum(usual) <= limits.queue or any(not one.urgent and one.is_read for one in inside)
            assert sum(usual) <= limits.queue + cost_of(400_000), "one that is told so just now is still there"
            assert sum(one.cost for one in inside if one.urgent) <= 2 * limits.reserve
        for ticket in inside:
            admission.leave(ticket, done=False)
        assert admission.held_bytes == 0

    soon(work())


def test_the_memory_is_that_of_the_container_where_there_is_one(tmp_path: Any) -> None:
    whole = memory_bytes(tmp_path / "none")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_bytes(tmp_path / "memory.max") == whole
    (tmp_path / "memory.max").write_text("100000000\n")
    assert memory_bytes(tmp_path / "memory.max") == 100_000_000
    assert 32 << 20 <= Limits.of_memory().queue <= 256 << 20


# --- turns


def whose(gateway: str = "a", store: str = "gateway", *, urgent: bool = False) -> Whose:
    return Whose(gateway, store, urgent)


def test_one_request_of_a_store_at_a_time_but_an_order_does_not_wait_for_telemetry() -> None:
    async def work() -> None:
        turns = Turns()
        await turns.begin(whose(), 10)
        await turns.begin(whose(urgent=True), 10)
        await turns.begin(whose(store="shop"), 10)
        await turns.begin(whose("b"), 10)
        second = asyncio.create_task(turns.begin(whose(), 10))
        await asyncio.sleep(0.01)
        assert not second.done()
        turns.end(whose(), 10)
        await second

    soon(work())


def test_of_two_who_wait_behind_the_first_the_newer_one_is_right() -> None:
    """The older one's client has given it up: else it would not have sent another."""

    async def work() -> None:
        turns = Turns()
        await turns.begin(whose(), 10)
        older = asyncio.create_task(turns.begin(whose(), 10))
        await asyncio.sleep(0)
        newer = asyncio.create_task(turns.begin(whose(), 10))
        with pytest.raises(BusyError):
            await older
        turns.end(whose(), 10)
        await newer
        turns.end(whose(), 10)
        await turns.begin(whose(), 10)

    soon(work())


def test_urgent_ones_go_first_and_the_others_by_fair_shares() -> None:
    async def work() -> list[str]:
        turns = Turns()
        served: list[str] = []

        async def one(gateway: str, store: str, cost: int, *, urgent: bool = False) -> None:
            await turns.begin(whose(gateway, store, urgent=urgent), cost)
            served.append(gateway)
            turns.end(whose(gateway, store, urgent=urgent), cost)

        async with asyncio.TaskGroup() as tasks:
            for n in range(200):
                tasks.create_task(one("greedy", f"s{n}", 1 << 20))
            for n in range(20):
                tasks.create_task(one(f"modest-{n}", "s", 1 << 10))
            tasks.create_task(one("order", "s", 1 << 10, urgent=True))
        assert len(turns) == 0
        return served

    served = soon(work())
    assert len(served) == 221
    assert served.index("order") < 50, "only what had begun already went before"
    last_modest = max(at for at, name in enumerate(served) if name.startswith("modest"))
    assert last_modest < 80, "they do not wait behind all of the greedy one's"


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whoever_gives_up_at_any_moment_leaves_no_place_taken(data: st.DataObject) -> None:
    async def work() -> None:
        turns = Turns()

        async def one(who: Whose, rounds: int) -> None:
            try:
                await turns.begin(who, 10)
            except BusyError:
                return
            try:
                for _ in range(rounds):
                    await asyncio.sleep(0)
            finally:
                turns.end(who, 10)

        tasks = []
        for _ in range(data.draw(st.integers(1, 40))):
            who = whose(
                data.draw(st.sampled_from("ab")), data.draw(st.sampled_from("st")), urgent=data.draw(st.booleans())
            )
            tasks.append(asyncio.create_task(one(who, data.draw(st.integers(0, 3)))))
            for _ in range(data.draw(st.integers(0, 2))):
                await asyncio.sleep(0)
            if data.draw(st.booleans()):
                data.draw(st.sampled_from(tasks)).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(turns) == 0
        for gateway in "ab":
            for store in "st":
                for urgent in (False, True):
                    await asyncio.wait_for(turns.begin(whose(gateway, store, urgent=urgent), 10), 1)

    soon(work())


# --- privilege

FRAME = Frame("events", 1, 1, 1, 0, 0, b"")


@pytest.mark.parametrize(
    ("headers", "length", "urgent"),
    [
        ({b"golmok-lane": b"urgent"}, 65_536, True),
        ({b"golmok-lane": b"urgent"}, 65_537, False),
        ({b"golmok-lane": b"urgent"}, None, False),
        ({b"golmok-lane": b"now"}, 10, False),
        ({}, 10, False),
    ],
)
def test_who_may_say_that_he_is_urgent(headers: dict[bytes, bytes], length: int | None, urgent: bool) -> None:
    assert claims(headers, length) == urgent


def test_only_orders_and_events_are_urgent() -> None:
    assert deserves([FRAME, Void("orders", 1, 2, "refused", {}, 0)])
    assert deserves([])
    assert not deserves([FRAME, Frame("readings", 1, 1, 1, 0, 0, b"")])


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 65_536)), min_size=1, max_size=100))
def test_one_gateway_goes_before_others_with_a_burst_and_a_rate_at_most(steps: list[tuple[float, int]]) -> None:
    allowance, now_s, taken = Allowance(), 0.0, 0
    for wait_s, size in steps:
        now_s += wait_s
        if allowance.take("greedy", size, now_s):
            taken += size
        assert taken <= BURST + now_s * BYTES_PER_S + 1
        assert allowance.take(f"other-{now_s}-{taken}", 65_536, now_s)
