from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from golmok_edge.shop.curves import curve, midnight

NOON = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)  # in Seoul
SEOUL = ZoneInfo("Asia/Seoul")


def ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def points(*minutes_ago: float) -> list[list[float]]:
    return [[ms(NOON - timedelta(minutes=minutes)), 1.0, 2.0, 3.0] for minutes in minutes_ago]


def test_the_day_begins_at_the_shop() -> None:
    assert midnight(NOON, SEOUL) == datetime(2026, 2, 28, 15, 0, tzinfo=UTC)
    late = datetime(2026, 2, 28, 14, 59, tzinfo=UTC)
    assert midnight(late, SEOUL) == datetime(2026, 2, 27, 15, 0, tzinfo=UTC)


def test_the_day_begins_at_midnight_also_when_the_clocks_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert midnight(datetime(2026, 3, 29, 12, 0, tzinfo=UTC), berlin) == datetime(2026, 3, 28, 23, 0, tzinfo=UTC)


def test_a_curve_begins_with_the_first_value_of_the_day() -> None:
    drawn = curve(points(60, 30, 0), midnight(NOON, SEOUL), NOON, None, "")
    assert (drawn["from"], drawn["to"]) == (ms(NOON - timedelta(hours=1)), ms(NOON))


def test_a_shop_just_opened_has_room_for_a_curve() -> None:
    day = midnight(NOON, SEOUL)
    assert curve(points(0.1), day, NOON, None, "")["from"] == ms(NOON - timedelta(minutes=3))
    just_after = day + timedelta(minutes=1)
    assert curve([], day, just_after, None, "")["from"] == ms(day)


def test_a_hole_in_the_record_is_marked_with_its_reason() -> None:
    drawn = curve(points(120, 60, 59, 58, 40), midnight(NOON, SEOUL), NOON, 25.0, "no record")
    gaps = [
        ((ms(NOON) - gap["from"]) / 60_000, (ms(NOON) - gap["to"]) / 60_000, gap["reason"]) for gap in drawn["gaps"]
    ]
    assert gaps == [(120, 60, "no record"), (58, 40, "no record"), (40, 0, "no record")]


def test_a_device_that_may_be_silent_has_no_holes() -> None:
    assert curve(points(600, 0), midnight(NOON, SEOUL), NOON, None, "no record")["gaps"] == []


def test_neighbouring_buckets_are_no_hole() -> None:
    five_minutes = [5.0 * i for i in range(100, -1, -1)]
    assert curve(points(*five_minutes), midnight(NOON, SEOUL), NOON, 25.0, "no record")["gaps"] == []
