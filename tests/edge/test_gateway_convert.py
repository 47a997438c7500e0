"""`golmok_edge.gateway.convert`: from what a driver read to what is stored."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_cloud_sync.protocol import Record, RecordError, check
from golmok_drivers.api import Channel, Reading
from golmok_edge.gateway.clock import Instant
from golmok_edge.gateway.convert import records_of, units_of

from .gateway_support import BOOT, device

AT = Instant(BOOT, 5_000)
FRIDGE = device("fridge", "temperature")
UNITS = {"temperature": "Cel"}


def stored(reading: Reading, waited_ms: int | None = 0) -> Record:
    (record,) = records_of(FRIDGE, UNITS, [reading], AT, waited_ms)
    return record


def test_a_reading_becomes_a_record_of_its_channel() -> None:
    assert stored(Reading("temperature", 4.5)) == Record("fridge.temperature", 4.5, "Cel", BOOT, 5_000)
    assert stored(Reading("other", True)).unit == ""


def test_the_unit_one_is_none() -> None:
    counter = device("door", channels=(Channel("open"), Channel("load", "kg")))
    assert units_of(counter) == {"open": "", "load": "kg"}


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 2**63, -(2**63) - 1, "x" * 70_000, "\ud800", b"raw", [1], 1j]
)
def test_a_value_that_cannot_be_stored_is_a_bad_reading_without_one(value: Any) -> None:
    record = stored(Reading("temperature", value))
    assert (record.value, record.quality, record.reason) == (None, "bad", "range")


def test_its_own_time_stays_beside_how_long_it_waited() -> None:
    record = stored(Reading("temperature", 4.5, wall_ms=1_700_000_000_000), waited_ms=None)
    assert (record.wall_ms, record.waited_ms) == (1_700_000_000_000, None)


def test_without_a_time_that_can_be_stored_it_has_waited_all_the_same() -> None:
    """Else it would be dated when it came, and not when it was."""
    record = stored(Reading("temperature", 4.5, wall_ms=10**30), waited_ms=None)
    assert (record.wall_ms, record.waited_ms, record.quality) == (None, None, "bad")


def test_a_reading_of_no_possible_channel_is_refused_aloud() -> None:
    with pytest.raises(RecordError):
        stored(Reading("x" * 300, 1.0))


@given(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()),
    st.sampled_from(["good", "uncertain", "bad"]),
    st.one_of(st.none(), st.integers()),
    st.one_of(st.none(), st.integers(0, 10**9)),
)
def test_whatever_was_read_can_be_stored(value: Any, quality: Any, wall_ms: int | None, waited_ms: int | None) -> None:
    record = stored(Reading("temperature", value, quality, "", wall_ms), waited_ms)
    assert check(record) == record
    assert record.value in (None, value)
