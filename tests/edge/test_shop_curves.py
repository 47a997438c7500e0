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
    assert short.question == {"from_ms": ms(NOON) - 3_600_000, "to_ms": ms(NOON), "points": 288}


def said(from_ago: float | None, to_ago: float | None, why: str = "silent", **more: Any) -> dict[str, Any]:
    """A gap as the gateway tells it."""
    begin, end = (None if ago is None else ms(NOON - minutes(ago)) for ago in (from_ago, to_ago))
    return {"from_ms": begin, "to_ms": end, "reason": why, "detail": "", "count": None, "open": False} | more


def test_what_the_gateway_knows_to_be_missing_is_marked_with_its_reason() -> None:
    drawn = curve(points(120, 60), DAY, [said(119, 61), said(60, None, "off", open=True)], "en")
    assert gaps(drawn) == [(119, 61, "sensor silent"), (60, 0, "gateway was off")]
    assert [gap["open"] for gap in drawn["gaps"]] == [False, True]


def test_a_gap_that_is_longer_than_the_day_is_cut_to_it() -> None:
    assert gaps(curve([], DAY, [said(5_000, 60), said(None, 30)], "ko")) == [
        (12 * 60, 60, "센서가 조용함"),
        (12 * 60, 30, "센서가 조용함"),
    ]


def test_a_day_that_begins_with_a_gap_is_shown_from_there() -> None:
    assert DAY.narrowed(points(60), [said(90, 60)]).start == NOON - minutes(90)
    assert DAY.narrowed([], [said(5_000, None)]).start == DAY.start
