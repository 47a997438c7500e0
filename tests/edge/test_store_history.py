"""A channel's past, from the blocks, against the plain way over all records."""

from __future__ import annotations

from pathlib import Path
from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_cloud_sync.protocol import Record
from golmok_edge.store import Store, buckets, history, numbers

from .store_support import BOOT, prepared, reading, some


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[Record]]:
    """Three boots of readings a second, in commits of all sizes."""
    chance = Random(3)
    store = Store.open(prepared(tmp_path_factory.mktemp("days")))
    all_records: list[Record] = []
    for boot in ("boot1", "boot2", "boot3"):
        made = [
            reading(round(chance.gauss(5, 1), 2), 1_000 * at, channel)._replace(boot=boot)
            for at in range(1_500)
            for channel in ("fridge.temperature", "room.temperature")
        ]
        while made:
            size = chance.randint(1, 40)
            store.append({"readings": made[:size], "events": made[:1]})
            all_records += made[:size]
            made = made[size:]
    return store, all_records


@pytest.mark.parametrize("boot", ["boot1", "boot2", "boot3", "unknown"])
@pytest.mark.parametrize(("begin", "end"), [(0, 1_500_000), (700_500, 701_500), (1_499_000, 10**9), (5, 6), (-9, 0)])
def test_a_series_is_what_a_look_at_every_record_gives(
    days: tuple[Store, list[Record]], boot: str, begin: int, end: int
) -> None:
    store, everything = days
    expected = [
        (seq, record)
        for seq, record in enumerate(everything, 1)
        if (record.channel, record.boot) == ("fridge.temperature", boot) and begin <= record.mono_ms < end
    ]
    assert list(store.reader.series("fridge.temperature", boot, begin, end)) == expected


def test_a_chart_has_at_most_so_many_points(days: tuple[Store, list[Record]]) -> None:
    store, everything = days
    chart = history(store.reader, "fridge.temperature", "boot2", 300_000, 900_000, 7)
    values = [r for r in everything if r[0] == "fridge.temperature" and r[3] == "boot2" and 300_000 <= r[4] < 900_000]
    assert len(chart) == 7
    assert sum(bucket.readings for bucket in chart) == len(values) == 600
    assert min(bucket.least for bucket in chart) == min(record.value for record in values)  # type: ignore[type-var]
    first = [float(r.value or 0) for r in values if r.mono_ms < chart[1].start_ms]
    start_ms, readings, least, mean, greatest = chart[0]
    assert (start_ms, readings, least, greatest) == (300_000, len(first), min(first), max(first))
    assert mean == pytest.approx(fmean(first))


def test_the_newest_of_each_channel_is_found_again(days: tuple[Store, list[Record]]) -> None:
    store, everything = days
    newest = {record.channel: (seq, record) for seq, record in enumerate(everything, 1)}
    assert store.reader.latest() == newest
    assert store.reader.latest(blocks=0) == {}


@pytest.mark.parametrize("newest_first", [False, True])
def test_all_of_a_channel_through_all_boots(days: tuple[Store, list[Record]], newest_first: bool) -> None:
    store, everything = days
    expected = [(seq, r) for seq, r in enumerate(everything, 1) if r.channel == "room.temperature"]
    found = list(store.reader.find("room.temperature", "readings", newest_first=newest_first))
    assert found == (expected[::-1] if newest_first else expected)


def test_history_goes_on_behind_a_new_epoch_and_a_trim(tmp_path: Path) -> None:
    with Store.open(prepared(tmp_path)) as store:
        for first in range(0, 40, 10):
            store.append({"readings": some(10, first)})
        store.new_epoch({"readings": 15})
        found = list(store.reader.series("device0.value", BOOT, 0, 10**6))
        assert [seq for seq, _ in found] == [-14, -7, 0, 7, 14, 21]
        assert max(seq for seq, _ in store.reader.latest().values()) == 25
        store.note_acked("readings", 10)
        store.trim(0)
        assert [seq for seq, _ in store.reader.series("device0.value", BOOT, 0, 10**6)] == [7, 14, 21]


def test_times_that_fall_are_found_within_a_boot(tmp_path: Path) -> None:
    late = [reading(1.0, 50_000), reading(2.0, 20_000), reading(3.0, 40_000), reading(4.0, 60_000)]
    with Store.open(prepared(tmp_path)) as store:
        for record in late:
            store.append({"readings": [record]})
        found = list(store.reader.series("fridge.temperature", BOOT, 20_000, 41_000))
        assert [one.record.value for one in found] == [2.0, 3.0]


def test_only_good_numbers_are_drawn(tmp_path: Path) -> None:
    odd = [reading(None), reading("open"), reading(True), reading(2.0)._replace(quality="bad"), reading(4.0)]
    with Store.open(prepared(tmp_path)) as store:
        store.append({"readings": odd})
        (bucket,) = history(store.reader, "fridge.temperature", BOOT, 0, 10, 1)
    assert bucket == (0, 2, 1.0, 2.5, 4.0)
    assert list(numbers([])) == []


@given(st.lists(st.tuples(st.integers(-10, 110), st.floats(-1e6, 1e6))), st.integers(1, 30))
def test_every_number_is_in_one_bucket(timed: list[tuple[int, float]], points: int) -> None:
    found = buckets(timed, 0, 100, points)
    inside = [value for at, value in timed if 0 <= at < 100]
    assert len(found) <= points
    assert sum(bucket.readings for bucket in found) == len(inside)
    assert [bucket.start_ms for bucket in found] == sorted({bucket.start_ms for bucket in found})
    assert all(bucket.least <= bucket.greatest for bucket in found)


@pytest.mark.parametrize(("begin", "end", "points"), [(0, 10, 0), (10, 10, 1), (10, 0, 1)])
def test_a_chart_without_room_is_a_mistake(begin: int, end: int, points: int) -> None:
    with pytest.raises(ValueError, match="points from"):
        buckets([], begin, end, points)
