"""`golmok_edge.gateway.live`: the newest value of each channel, and who watches."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from golmok_edge.gateway.live import Live, Newest, newest_of, rfc3339
from golmok_edge.gateway.timekeeper import Timekeeper

from .gateway_support import T0, HandClock, record


def live(newest: Mapping[str, Newest] | None = None, kept: int | None = None) -> tuple[Live, HandClock]:
    clock = HandClock(mono=10_000, wall=T0 + 10_000, kept=kept)
    time = Timekeeper(clock)
    time.heed_kernel()
    return Live(clock, time, newest or {}), clock


def test_the_last_record_of_each_channel_is_the_newest() -> None:
    records = [record("a.x", 1), record("b.x", 2), record("a.x", 3)]
    assert newest_of(records, range(7, 10)) == {"a.x": Newest(9, records[2]), "b.x": Newest(8, records[1])}


def test_rows_are_in_the_order_of_their_channels() -> None:
    mine, _ = live({"b.x": Newest(1, record("b.x", 1))})
    mine.committed({"a.x": Newest(2, record("a.x", 2)), "b.x": Newest(3, record("b.x", 3))})
    assert [(row["channel"], row["value"], row["seq"]) for row in mine.rows()] == [("a.x", 2, 2), ("b.x", 3, 3)]
    assert sorted(one.channel for one in mine.records()) == ["a.x", "b.x"]
    assert list(mine.newest({"b.x", "c.x"})) == ["b.x"]


def test_the_age_needs_no_time_of_day() -> None:
    mine, clock = live()
    row = mine.row(Newest(1, record(mono_ms=4_000)))
    assert (row["ts"], row["age_s"]) == (None, 6.0)
    clock.pass_ms(500)
    assert mine.row(Newest(1, record(mono_ms=4_000)))["age_s"] == 6.5


def test_the_age_of_what_waited_is_known_only_from_its_own_time() -> None:
    mine, _ = live(kept=1)
    assert mine.row(Newest(1, record(waited_ms=None)))["age_s"] is None
    assert mine.row(Newest(1, record(waited_ms=None, wall_ms=T0 + 7_000)))["age_s"] == 3.0
    assert mine.row(Newest(1, record(wall_ms=T0 + 99_000)))["age_s"] == 0.0, "a device whose clock is ahead"
    assert mine.row(Newest(1, record(boot="another")))["age_s"] is None


async def test_watchers_see_what_is_committed_while_they_watch() -> None:
    mine, _ = live()
    mine.committed({"a.x": Newest(1, record("a.x", 1))})
    with mine.watch() as one, mine.watch() as other:
        mine.committed({"a.x": Newest(2, record("a.x", 2))})
        assert [(await queue.get() or {})["value"] for queue in (one, other)] == [2, 2]
        assert mine.watchers == 2
    assert mine.watchers == 0
    mine.committed({"a.x": Newest(3, record("a.x", 3))})
    assert one.empty()


async def test_a_watcher_who_is_too_slow_is_let_go_and_told() -> None:
    mine, _ = live()
    with mine.watch() as slow, mine.watch() as quick:
        for seq in range(10_001):
            mine.committed({"a.x": Newest(seq, record("a.x", seq))})
            assert (await quick.get() or {})["seq"] == seq
        assert mine.watchers == 1
        rows = [slow.get_nowait() for _ in range(slow.qsize())]
    assert rows[-1] is None
    assert [row["seq"] for row in rows if row] == list(range(10_000))


@given(st.integers(-(2**62), 2**62))
def test_times_beyond_the_calendar_are_none(wall_ms: int) -> None:
    text = rfc3339(wall_ms)
    assert text is None or (
        len(text) == 24 and text.endswith("Z") and -62_135_596_800_001 < wall_ms < 253_402_300_800_000
    )


def test_times_are_in_utc_with_milliseconds() -> None:
    assert rfc3339(None) is None
    assert rfc3339(T0 + 5) == "2023-11-14T22:13:20.005Z"
