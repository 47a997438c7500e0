"""What was written on which day, what that comes to, and how long a card lasts so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from golmok_edge.store import Store, card_of
from golmok_edge.store.wear import DAY_S, MOST_DAYS, Card, Days, thread_bytes_written

from .store_support import prepared, some


@dataclass
class Time:
    """Seconds since a start, and the day if anybody knows it."""

    now_s: float = 0.0
    day: str | None = None
    written: int = 0


class Wear(Days):
    """Told what was written."""

    def __init__(self, time: Time) -> None:
        self.time = time
        super().__init__(lambda: time.now_s, lambda: time.written)

    def add(self, written: int) -> None:
        self.time.written += written
        self.note(at_once=True)


def days(time: Time, **known: int) -> Wear:
    made = Wear(time)
    made.day_of_now = lambda: time.day
    made.load({f"written.2026-11-{day[1:]}": written for day, written in known.items()})
    return made


def test_bytes_are_counted_by_the_day_of_the_place() -> None:
    time = Time(day="2026-11-22")
    wear = days(time)
    wear.add(100)
    wear.add(20)
    time.day = "2026-11-23"
    wear.add(7)
    assert (wear.today, wear.hints()) == (7, {"written.2026-11-22": 120, "written.2026-11-23": 7})


def test_what_came_before_the_day_was_known_is_of_that_day() -> None:
    time = Time()
    wear = days(time)
    wear.add(100)
    assert (wear.today, wear.hints()) == (100, {})
    time.day, time.now_s = "2026-11-22", 60.0
    assert wear.today == 100
    wear.add(5)
    assert wear.today == 105


def test_what_came_long_before_the_day_was_known_is_of_no_day() -> None:
    time = Time()
    wear = days(time)
    wear.add(100)
    time.day, time.now_s = "2026-11-22", DAY_S + 1.0
    wear.add(5)
    assert wear.today == 5


def test_whole_days_tell_the_rate_and_neither_the_first_nor_today() -> None:
    time = Time(day="2026-11-22")
    assert days(time, d18=7, d19=100, d20=300, d22=9).per_day == 200
    assert days(time, d18=7, d19=100, d20=300, d22=9).is_sure


def test_without_whole_days_the_hours_so_far_tell_it() -> None:
    time = Time(day="2026-11-22")
    wear = days(time, d21=5)
    wear.add(1_000)
    time.now_s = 30.0
    assert wear.per_day is None
    time.now_s = DAY_S / 24
    assert wear.per_day == 24_000
    assert wear.is_sure
    time.now_s = 600.0
    assert not wear.is_sure


def test_old_days_are_forgotten() -> None:
    time = Time()
    wear = days(time)
    for day in range(10, 31):
        time.day = f"2026-11-{day}"
        wear.add(1)
    assert sorted(wear.hints()) == [f"written.2026-11-{day}" for day in range(31 - MOST_DAYS, 31)]


def test_a_card_lasts_as_its_endurance_says(tmp_path: Path) -> None:
    assert Card(32 * 10**9, 3_200_000_000_000, True).years(864_000_000) == 10.1
    assert Card(1, 1, True).years(0) is None
    assert Card(1, 1, True).years(None) is None
    card = card_of(tmp_path, None)
    assert (card.is_assumed, card.endurance_bytes) == (True, card.size_bytes * 100)
    assert card_of(tmp_path, 5 * 10**12)[1:] == (5 * 10**12, False)


def test_the_store_counts_all_that_it_writes_and_knows_it_again(tmp_path: Path) -> None:
    time = Time(day="2026-11-21")
    folder = prepared(tmp_path)
    before = thread_bytes_written()
    with Store.open(folder) as store:
        store.wear.day_of_now = lambda: time.day
        for at in range(0, 3_000, 10):
            store.append({"readings": some(10, at)})
        store.wear.note(at_once=True)
        time.day = "2026-11-22"
        store.append({"readings": some(10)})
        store.wear.note(at_once=True)
        first, second = store.wear.hints()["written.2026-11-21"], store.wear.today
    written = thread_bytes_written() - before
    if not written:
        pytest.skip("the kernel does not count here (a tmpfs?): wear was NOT tested")
    with Store.open(folder) as store:
        known = store.wear.hints()
        assert known["written.2026-11-21"] >= first > 0
        assert known["written.2026-11-22"] >= second > 0
        assert sum(known.values()) == pytest.approx(written, rel=0.2), "other threads count, too"
