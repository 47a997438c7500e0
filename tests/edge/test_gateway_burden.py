"""`golmok_edge.gateway.burden`: when the process is too much of a burden to go on, and how the next one hears of it."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from golmok_edge.gateway.burden import Burden, Limits, last_end, note_end


def test_in_health_there_is_nothing_to_say() -> None:
    assert Burden(Limits(watched_bytes=2**40, memory_bytes=2**40, threads=10_000, files=1.0)).too_much() == ""


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (Limits(watched_bytes=2**40, memory_bytes=2**40, threads=0), "threads"),
        (Limits(watched_bytes=2**40, memory_bytes=2**40, threads=10_000, files=0.0), "files"),
        (Limits(watched_bytes=2**40, memory_bytes=1), "memory"),
    ],
)
def test_each_burden_has_its_words(limits: Limits, word: str) -> None:
    assert word in Burden(limits).too_much()


def test_it_is_noted_who_takes_the_memory_before_it_is_too_much() -> None:
    burden = Burden(Limits(watched_bytes=1, memory_bytes=2**40, threads=10_000, files=1.0))
    try:
        assert burden.too_much() == ""
        kept = [b"x" * 1000 for _ in range(5_000)]
        burden._limits = burden._limits._replace(memory_bytes=1)
        assert Path(__file__).name in burden.too_much()
        assert kept
    finally:
        tracemalloc.stop()


def test_the_next_process_hears_of_it_once(tmp_path: Path) -> None:
    assert last_end(tmp_path) == ""
    note_end(tmp_path, "it took too much")
    assert [last_end(tmp_path), last_end(tmp_path)] == ["it took too much", ""]


@pytest.mark.parametrize("text", ["", "{}", "[]", "no"])
def test_a_note_that_cannot_be_read_is_no_reason_to_stop(tmp_path: Path, text: str) -> None:
    (tmp_path / "ended.json").write_text(text)
    assert last_end(tmp_path) == ""
