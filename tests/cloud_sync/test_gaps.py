"""A hole cut into named pieces, and the events that tell of them."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_cloud_sync.protocol import Record, check
from golmok_cloud_sync.protocol.gaps import (
    BROKER,
    DISK_FULL,
    OFF,
    SHORTEST_CAUSE_MS,
    SILENT,
    Cause,
    Folded,
    Gap,
    Moment,
    Piece,
    Point,
    apart_ms,
    cut,
    events,
    least_ms,
    missing,
    parse,
)

LIMIT_MS = 15_000


def at(seconds: float, run: int = 0) -> Point:
    return Point(run, round(seconds * 1000))


def shown(pieces: list[Piece]) -> list[tuple[str, float, float]]:
    return [(piece.reason, piece.begin.mono_ms / 1000, piece.end.mono_ms / 1000) for piece in pieces]


# --- cutting


def test_a_hole_that_nothing_explains_is_silence() -> None:
    assert shown(cut(at(0), at(60), LIMIT_MS, [])) == [(SILENT, 0, 60)]


def test_what_is_known_names_its_share_and_short_rests_go_to_their_neighbour() -> None:
    off = Cause(OFF, at(10), at(50))
    assert shown(cut(at(0), at(60), LIMIT_MS, [off])) == [(OFF, 0, 60)]
    assert shown(cut(at(-30), at(60), LIMIT_MS, [off])) == [(SILENT, -30, 10), (OFF, 10, 60)]
    assert shown(cut(at(0), at(90), LIMIT_MS, [off])) == [(OFF, 0, 50), (SILENT, 50, 90)]


def test_causes_that_overlap_are_not_named_twice() -> None:
    causes = [Cause(DISK_FULL, at(20), at(80)), Cause(BROKER, at(10), at(40)), Cause(BROKER, at(15), at(30))]
    assert shown(cut(at(0), at(90), LIMIT_MS, causes)) == [(BROKER, 0, 40), (DISK_FULL, 40, 90)]


def test_pieces_of_one_reason_that_touch_are_one() -> None:
    restarts = [Cause(OFF, at(10), at(20)), Cause(OFF, at(22), at(40)), Cause(OFF, at(60), at(61))]
    assert shown(cut(at(0), at(62), LIMIT_MS, restarts)) == [(OFF, 0, 40), (SILENT, 40, 60), (OFF, 60, 62)]


def test_what_lasted_a_moment_is_not_why() -> None:
    assert shown(cut(at(0), at(60), LIMIT_MS, [Cause(BROKER, at(10), at(11))])) == [(SILENT, 0, 60)]


def test_what_was_lost_for_sure_is_named_however_short_it_was_and_whatever_else_there_was() -> None:
    lost = Cause(BROKER, at(10), at(10.2), is_sure=True)
    assert shown(cut(at(0), at(60), LIMIT_MS, [lost])) == [(BROKER, 0, 10.2), (SILENT, 10.2, 60)]
    assert shown(cut(at(0), at(12), 5_000, [lost])) == [(SILENT, 0, 10), (BROKER, 10, 12)]
    full = Cause(DISK_FULL, at(5), at(20))
    assert shown(cut(at(5), at(20), LIMIT_MS, [full, lost])) == [
        (DISK_FULL, 5, 10),
        (BROKER, 10, 10.2),
        (DISK_FULL, 10.2, 20),
    ]


def test_between_two_boots_it_was_off_though_nobody_noted_it() -> None:
    assert [piece.reason for piece in cut(at(0), at(5, run=1), LIMIT_MS, [])] == [OFF]


POINTS = st.builds(Point, st.integers(0, 2), st.integers(0, 100_000))
CAUSES = st.lists(
    st.builds(Cause, st.sampled_from([OFF, BROKER, DISK_FULL]), POINTS, POINTS, st.booleans()).filter(
        lambda c: c.begin < c.end
    ),
    max_size=6,
)


@given(POINTS, POINTS, st.integers(5_000, 50_000), CAUSES)
def test_the_pieces_are_exactly_the_hole(one: Point, two: Point, limit_ms: int, causes: list[Cause]) -> None:
    begin, end = min(one, two), max(one, two)
    pieces = cut(begin, end, limit_ms, causes)
    if begin == end:
        assert pieces == []
        return
    assert (pieces[0].begin, pieces[-1].end) == (begin, end)
    assert all(before.end == after.begin and before.reason != after.reason for before, after in pairwise(pieces))
    assert all(piece.begin < piece.end for piece in pieces)
    assert pieces == cut(begin, end, limit_ms, reversed(causes)) or len({(c.begin, c.end) for c in causes}) < len(
        causes
    )


@given(POINTS, POINTS, st.integers(5_000, 50_000), CAUSES)
def test_silent_pieces_are_longer_than_the_limit_and_free_of_causes(
    one: Point, two: Point, limit_ms: int, causes: list[Cause]
) -> None:
    pieces = cut(min(one, two), max(one, two), limit_ms, causes)
    for piece in pieces:
        if piece.reason == SILENT and len(pieces) > 1:
            length_ms = apart_ms(piece.begin, piece.end)
            assert length_ms is not None
            assert length_ms > limit_ms
            for cause in causes:
                shared = max(cause.begin, piece.begin), min(cause.end, piece.end)
                if shared[0] < shared[1]:
                    assert cause.reason != OFF
                    assert not cause.is_sure
                    shared_ms = apart_ms(*shared)
                    assert shared_ms is not None
                    assert shared_ms < SHORTEST_CAUSE_MS
    assert least_ms(pieces) == sum(apart_ms(p.begin, p.end) or 0 for p in pieces)


# --- counting


@given(st.integers(1, 100), st.integers(100, 10_000), st.lists(st.floats(0.0, 1.0), max_size=4))
def test_the_missing_of_the_pieces_are_those_of_the_hole(lost: int, interval_ms: int, shares: list[float]) -> None:
    origin, end = Point(0, 7), Point(0, 7 + (lost + 1) * interval_ms)
    ends = [origin, *sorted(Point(0, 7 + round(share * (end.mono_ms - 7))) for share in shares), end]
    counts = [missing(origin, a, b, interval_ms, is_heard=b == end) for a, b in pairwise(ends) if a < b]
    assert sum(count or 0 for count in counts) == lost


@given(st.integers(0, 20), st.floats(-0.4, 0.4))
def test_a_reading_may_be_a_little_early_or_late(lost: int, off_grid: float) -> None:
    end = Point(0, round((lost + 1 + off_grid) * 1000))
    assert missing(Point(0, 0), Point(0, 0), end, 1000, is_heard=True) == lost


def test_nobody_counts_what_is_missing_between_two_boots() -> None:
    assert missing(at(0), at(0), at(60, run=1), 1000, is_heard=True) is None


# --- telling

MOMENTS = st.builds(Moment, st.text(max_size=9), st.integers(-(2**53) + 1, 2**53 - 1))
GAPS = st.tuples(
    st.sampled_from([SILENT, OFF, BROKER, DISK_FULL, "flood"]),
    st.dictionaries(st.text(min_size=1, max_size=9), st.none() | st.integers(0, 2**40), min_size=1, max_size=9),
    MOMENTS,
    st.none() | MOMENTS,
    st.integers(0, 10**9),
    st.none() | st.integers(1, 10**9),
    st.text(max_size=9),
).map(lambda fields: Gap(*fields))


@given(GAPS)
def test_what_is_told_is_understood(gap: Gap) -> None:
    told = [parse(check(event)) for event in events(gap, "boot", 5)]
    assert {name: count for one in told for name, count in one.channels.items()} == gap.channels
    assert all(one._replace(channels={}) == gap._replace(channels={}) for one in told)


def test_very_many_channels_take_several_events() -> None:
    many = {f"{'가' * 80}{number}": number for number in range(250)}
    told = [check(one) for one in events(Gap(OFF, many, Moment("b", 1), None), "b", 2)]
    assert [len(parse(one).channels) for one in told] == [100, 100, 50]
    assert {name: count for one in told for name, count in parse(one).channels.items()} == many


def event(value: Any, channel: str = "gap.broker") -> Record:
    return Record(channel, value if isinstance(value, str) else json.dumps(value), "", "boot", 9_000)


def test_gaps_of_the_first_kind_are_still_understood() -> None:
    broker = parse(event({"reason": "broker", "from_mono_ms": 5_000, "to_mono_ms": 9_000}))
    assert broker == Gap("broker", {}, Moment("boot", 5_000), Moment("boot", 9_000))
    assert not broker.is_open
    disk = parse(event({"from_mono_ms": 1, "to_mono_ms": 2, "count": 7}, "gap.disk-full"))
    assert (disk.reason, disk.channels, disk.total) == ("disk-full", {}, 7)
    plug = parse(event({"channel": "plug.power", "count": 3, "from_ms": 10, "to_ms": 20}))
    assert (plug.channels, plug.from_ms, plug.to_ms, plug.is_open) == ({"plug.power": 3}, 10, 20, False)
    unknown = parse(event({"from_mono_ms": None, "to_mono_ms": 9_000}))
    assert (unknown.begin, unknown.end, unknown.is_open) == (None, Moment("boot", 9_000), False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = ["channels", "channel", "count", "from_boot", "from_mono_ms", "to_mono_ms", "from_ms", "limit_ms", "detail"]


@given(st.text(max_size=200) | st.dictionaries(st.sampled_from(MEMBERS), JSON) | JSON)
def test_whatever_an_event_says_it_is_a_gap(value: Any) -> None:
    gap = parse(event(value))
    assert gap.reason == "broker"
    assert all(name and (count is None or count >= 0) for name, count in gap.channels.items())


@pytest.mark.parametrize("value", [None, 1, True, "[" * 60_000, "{"])
def test_nonsense_stands_where_the_event_stands(value: Any) -> None:
    gap = parse(Record("gap.off", value, "", "boot", 9_000))
    assert gap == Gap("off", {}, Moment("boot", 9_000), Moment("boot", 9_000))


# --- folding

HERE, LATER, LAST = Moment("b", 1), Moment("b", 50), Moment("b", 90)


def gap(reason: str, channels: str, begin: Moment, end: Moment | None) -> Gap:
    return Gap(reason, dict.fromkeys(channels, None), begin, end)


def folded(*gaps: Gap) -> list[tuple[str, str, Moment | None]]:
    book = Folded[tuple[int]]()
    for place, one in enumerate(gaps):
        book.add((place,), one)
    return [(one.reason, "".join(one.channels), one.end) for _, one in book.standing()]


def test_what_closes_a_gap_stands_in_the_place_of_what_opened_it() -> None:
    assert folded(gap(SILENT, "a", HERE, None), gap(SILENT, "a", HERE, LATER)) == [(SILENT, "a", LATER)]
    assert folded(gap(SILENT, "a", HERE, None), gap(OFF, "a", HERE, LATER)) == [(SILENT, "a", None), (OFF, "a", LATER)]


def test_channels_of_one_gap_may_end_one_by_one() -> None:
    both = gap(SILENT, "ab", HERE, None)
    assert folded(both, gap(SILENT, "b", HERE, LATER)) == [(SILENT, "a", None), (SILENT, "b", LATER)]
    assert folded(both, gap(SILENT, "b", HERE, LATER), gap(SILENT, "a", HERE, LAST)) == [
        (SILENT, "b", LATER),
        (SILENT, "a", LAST),
    ]


def test_what_was_taken_back_is_gone() -> None:
    assert folded(gap(SILENT, "ab", HERE, None), gap(SILENT, "ab", HERE, HERE)) == []


@given(
    st.lists(st.tuples(st.sets(st.sampled_from("abc"), min_size=1), st.sampled_from([None, LATER, LAST, HERE]))),
    st.randoms(),
)
def test_the_order_of_arrival_does_not_matter(told: list[tuple[set[str], Moment | None]], chance: Any) -> None:
    numbered = [
        ((place,), Gap(SILENT, dict.fromkeys(sorted(names)), HERE, end)) for place, (names, end) in enumerate(told)
    ]
    book, other = Folded[tuple[int]](), Folded[tuple[int]]()
    for place, one in numbered:
        book.add(place, one)
    chance.shuffle(numbered)
    for place, one in numbered:
        other.add(place, one)
    assert book.standing() == other.standing()
    last = {name: end for names, end in told for name in names}
    assert {name: one.end for _, one in book.standing() for name in one.channels} == {
        name: end for name, end in last.items() if end != HERE
    }
