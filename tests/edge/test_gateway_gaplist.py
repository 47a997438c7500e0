"""The gaps of a time, from the store's own events, and as the technician reads them."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from golmok_cloud_sync.protocol import Record
from golmok_cloud_sync.protocol.gaps import START, Gap, Moment, events
from golmok_edge.gateway.gaplist import of_channel, rows
from golmok_edge.gateway.missing import told
from tests.edge.gateway_support import T0

SEOUL = ZoneInfo("Asia/Seoul")


def date(moment: Moment) -> int | None:
    """Two boots are known, each began at its number of hours after T0."""
    return {"a": T0, "b": T0 + 3_600_000}.get(moment.boot, -1) + moment.mono_ms if moment.boot in "ab" else None


def gap(
    channel: str, begin: int, end: int | None, why: str = "silent", *, said_ms: int | None = None, **more: Any
) -> Record:
    ends = Moment(more.pop("boot", "a"), begin), None if end is None else Moment(more.pop("to_boot", "a"), end)
    (event,) = events(
        Gap(why, {channel: more.pop("count", None)}, *ends, **more), "a", said_ms or end or begin + 20_000
    )
    return event


def listed(*told_in_order: Record, **asked: Any) -> list[tuple[str, int | None, int | None]]:
    found = rows(reversed(told_in_order), date, **asked)
    return [
        (row["reason"], row["from_ms"] and row["from_ms"] - T0, row["to_ms"] and row["to_ms"] - T0) for row in found
    ]


def test_what_was_closed_is_one_gap() -> None:
    assert listed(gap("f.t", 10, None), gap("f.t", 10, 99_000)) == [("silent", 10, 99_000)]


def test_only_what_reaches_into_the_time_of_that_channel() -> None:
    history = gap("f.t", 0, 30_000), gap("d.o", 40_000, 50_000, "off"), gap("f.t", 60_000, 90_000)
    assert listed(*history, channel="f.t") == [("silent", 0, 30_000), ("silent", 60_000, 90_000)]
    assert listed(*history, from_ms=T0 + 45_000, to_ms=T0 + 55_000) == [("off", 40_000, 50_000)]
    assert listed(*history, from_ms=T0 + 30_001) == [("off", 40_000, 50_000), ("silent", 60_000, 90_000)]


def test_a_gap_that_began_long_before_is_found_by_what_closed_it_or_by_who_runs() -> None:
    old, news = gap("f.t", 0, None), [gap("d.o", ms, ms + 10, "off") for ms in range(100_000, 200_000, 10_000)]
    assert listed(old, *news, gap("f.t", 0, 210_000), from_ms=T0 + 205_000) == [("silent", 0, 210_000)]
    running = [Gap("silent", {"f.t": None}, Moment("a", 0), None)]
    assert listed(old, *news, from_ms=T0 + 195_000, going_on=running) == [("silent", 0, None)]


def test_what_a_later_start_knows_nothing_of_ended_with_it() -> None:
    start = Record(START, "{}", "", "b", 5)
    assert listed(gap("f.t", 0, None), start) == [("silent", 0, 3_600_005)]
    assert listed(start, gap("f.t", 0, None)) == [("silent", 0, None)]


def test_over_a_reboot_it_is_judged_when_it_can_be_dated() -> None:
    short = gap("f.t", 0, 0, "off", to_boot="b", limit_ms=3_700_000)
    long = gap("f.t", 0, 0, "off", to_boot="b", limit_ms=15_000, interval_ms=10_000)
    unknown = gap("f.t", 0, 0, "off", to_boot="x", limit_ms=3_700_000)
    assert listed(short) == []
    assert listed(unknown) == [("off", 0, None)]
    (row,) = of_channel(rows([long], date), "f.t")
    assert (row["count"], row["open"]) == (359, False)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["fridge.temperature  sensor silent (answered too late)  3 missing", "door.open  gateway was off"]),
        (
            "ko",
            ["fridge.temperature  센서가 조용함 (대답이 너무 늦음)  3개 빠짐", "door.open  게이트웨이가 꺼져 있었음"],
        ),
    ],
)
def test_the_technician_reads_it_in_his_language(language: Any, words: list[str]) -> None:
    silent = gap("fridge.temperature", 0, 60_000, detail="timeout", count=3)
    found = rows([gap("door.open", 90_000, None, "off"), silent], date)
    first, second = told(found, SEOUL, language)
    assert first == f"2023-11-15 07:13:20 – 2023-11-15 07:14:20  {words[0]}"
    assert second.endswith(words[1])
    assert {"en": "goes on", "ko": "계속됨"}[language] in second
    assert told([], SEOUL, language) == [{"en": "nothing is missing", "ko": "빠진 것이 없습니다"}[language]]


def test_rows_can_be_sent() -> None:
    assert json.dumps(rows([gap("f.t", 0, 60_000)], date), allow_nan=False)
