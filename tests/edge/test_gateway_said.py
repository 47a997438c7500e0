"""`golmok_edge.gateway.said`: what was told of gaps can be told again."""

from __future__ import annotations

from pathlib import Path

from golmok_cloud_sync.protocol import Record
from golmok_cloud_sync.protocol.gaps import Gap, Moment, events, parse
from golmok_edge.gateway.said import FILE_NAME, MOST, Said


def told(at: int, end: int | None = None) -> Record:
    gap = Gap("off", {"a.x": None}, Moment("one", at), None if end is None else Moment("one", end))
    (event,) = events(gap, "one", at)
    return event


def test_what_was_told_is_told_again_in_its_order_and_once(tmp_path: Path) -> None:
    said = Said(tmp_path)
    said.note([told(1), told(2), told(1, 5)])
    said.note([told(2), Record("door.open", True, "", "one", 3)])
    again = Said(tmp_path).events("two", 9)
    assert [parse(one) for one in again] == [parse(one) for one in (told(1), told(1, 5), told(2))]
    assert {(one.boot, one.mono_ms) for one in again} == {("two", 9)}


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    said = Said(tmp_path)
    for at in range(3 * MOST):
        said.note([told(at)])
    assert [parse(one).begin for one in said.events("one", 0)] == [
        Moment("one", at) for at in range(2 * MOST, 3 * MOST)
    ]
    assert len((tmp_path / FILE_NAME).read_text().splitlines()) <= 2 * MOST


def test_a_line_that_is_torn_and_what_is_dated_by_its_place_are_left_out(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('["gap.off", "{')
    end_of = Record("gap.quarantined", '{"channels": {"a.x": null}, "from_mono_ms": 1, "end_of": "e"}', "", "one", 3)
    said = Said(tmp_path)
    said.note([end_of])
    assert said.events("one", 0) == []
    said.note([told(1)])
    assert len(said.events("one", 0)) == 1
