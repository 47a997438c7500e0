from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from golmok_edge.shop.curves import Span, curve, today

NOON = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)  # in Seoul
DAY = today(NOON, ZoneInfo("Asia/Seoul"))


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def points(*minutes_ago: float) -> list[list[float]]:
    return [[ms(NOON - minutes(ago)), 1.0, 2.0, 3.0] for ago in minutes_ago]


def gaps(drawn: dict[str, Any]) -> list[tuple[float, float, str]]:
    """From and to, in minutes ago."""
    return [((ms(NOON) - g["from"]) / 60_000, (ms(NOON) - g["to"]) / 60_000, g["reason"]) for g in drawn["gaps"]]


def test_the_day_begins_at_the_shop() -> None:
    assert DAY.start == datetime(2026, 2, 28, 15, 0, tzinfo=UTC)
    late = datetime(2026, 2, 28, 14, 59, tzinfo=UTC)
    assert today(late, ZoneInfo("Asia/Seoul")).start == datetime(2026, 2, 27, 15, 0, tzinfo=UTC)


def test_the_day_begins_at_midnight_also_when_the_clocks_change() -> None:
    changed = today(datetime(2026, 3, 29, 12, 0, tzinfo=UTC), ZoneInfo("Europe/Berlin"))
    assert changed.start == datetime(2026, 3, 28, 23, 0, tzinfo=UTC)


def test_a_curve_begins_with_the_first_value_of_the_day() -> None:
    assert DAY.narrowed(points(60, 30, 0)) == Span(NOON - minutes(60), NOON)
    assert DAY.narrowed(points(12 * 60)).start == DAY.start


def test_a_shop_just_opened_has_room_for_a_curve() -> None:
    assert DAY.narrowed(points(0.1)).start == NOON - minutes(3)
    just_after = Span(DAY.start, DAY.start + minutes(1))
    assert just_after.narrowed([]) == just_after


def test_what_is_short_is_asked_again_more_finely() -> None:
    short = DAY.narrowed(points(60))
    assert short.is_much_shorter_than(DAY)
    assert not DAY.narrowed(points(400)).is_much_shorter_than(DAY)
    assert short.bucket_ms == DAY.bucket_ms / 12
    assert short.question == {"from_ms": ms(NOON) - 3_600_000, "to_ms": ms(NOON), "points": 288}


def test_a_hole_in_the_record_is_marked_with_its_reason() -> None:
    drawn = curve(points(120, 60, 59, 58, 40), DAY, DAY.bucket_ms, 25.0, "no record")
    assert gaps(drawn) == [(120, 60, "no record"), (58, 40, "no record"), (40, 0, "no record")]


def test_a_device_that_may_be_silent_has_no_holes() -> None:
    assert curve(points(600, 0), DAY, DAY.bucket_ms, None, "no record")["gaps"] == []


def test_neighbouring_buckets_are_no_hole() -> None:
    five_minutes = [5.0 * i for i in range(100, -1, -1)]
    assert curve(points(*five_minutes), DAY, DAY.bucket_ms, 25.0, "no record")["gaps"] == []


def test_a_day_without_a_value_has_no_gaps_but_no_points_either() -> None:
    drawn = curve([], DAY, DAY.bucket_ms, 25.0, "no record")
    assert (drawn["points"], drawn["gaps"]) == ([], [])
