"""`golmok_drivers.sound`: what a driver gives is readings, or is refused in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_drivers.api import Reading
from golmok_drivers.errors import DriverFloods, DriverTalksNonsense, Misbehaved
from golmok_drivers.sound import MOST_AT_ONCE, sound

X = frozenset({"x"})
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(object()),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
READINGS = st.builds(
    Reading,
    st.just("x"),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    st.sampled_from(["good", "uncertain", "bad"]),
    st.text(max_size=64),
    st.none() | st.integers(),
)
NEARLY = st.builds(Reading, ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING)


@given(st.lists(READINGS) | st.lists(READINGS).map(tuple))
def test_readings_pass_as_they_are(readings: Any) -> None:
    assert [repr(reading) for reading in sound(readings, X)] == [repr(reading) for reading in readings]


@given(ANYTHING | st.lists(NEARLY | READINGS | ANYTHING))
def test_anything_else_is_refused_and_nothing_else_happens(said: Any) -> None:
    try:
        readings = sound(said, X)
    except Misbehaved:
        pass
    else:
        for reading in readings:
            assert reading.quantity == "x"
            assert reading.quality in ("good", "uncertain", "bad")
            assert reading.value is None or isinstance(reading.value, bool | int | float | str)


def test_more_than_one_can_want_is_a_flood() -> None:
    assert len(sound([Reading("x", 1)] * MOST_AT_ONCE, X)) == MOST_AT_ONCE
    with pytest.raises(DriverFloods):
        sound([Reading("x", 1)] * (MOST_AT_ONCE + 1), X)


def test_a_coroutine_that_nobody_awaits_is_closed(recwarn: pytest.WarningsRecorder) -> None:
    async def never() -> list[Reading]:
        return []

    with pytest.raises(DriverTalksNonsense, match="coroutine"):
        sound(never(), X)
    assert not recwarn.list
