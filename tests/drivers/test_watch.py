from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_drivers.api import Channel, Reading
from golmok_drivers.watch import Watch

AIR = Channel("temperature", "Cel", -40.0, 125.0, 0.01, still_s=600.0, noise=1.0)
WET = Channel("humidity", "%", 0.0, 100.0, 0.01, noise=5.0)


def seen(watch: Watch, values: list[float], step_s: float = 10.0, quantity: str = "temperature") -> list[Reading]:
    return [watch.look([Reading(quantity, value)], at * step_s)[0] for at, value in enumerate(values)]


def test_a_value_that_does_not_move_at_all_is_stuck_until_it_moves() -> None:
    readings = seen(Watch([AIR]), [21.0] * 80 + [21.01] * 3)
    assert [reading.quality for reading in readings] == ["good"] * 60 + ["uncertain"] * 20 + ["good"] * 3
    assert {reading.reason for reading in readings[60:80]} == {"stuck"}
    assert readings[70].value == 21.0, "it is shown all the same"


def test_a_device_is_stuck_only_when_all_of_its_lively_channels_are() -> None:
    cold = Channel("cold-junction", "Cel", still_s=600.0)
    watch = Watch([AIR, cold])
    for at in range(100):
        readings = watch.look([Reading("temperature", 21.0), Reading("cold-junction", at / 64)], at * 10.0)
    assert {reading.quality for reading in readings} == {"good"}
    for at in range(100, 200):
        readings = watch.look([Reading("temperature", 21.0), Reading("cold-junction", 1.0)], at * 10.0)
    assert {reading.reason for reading in readings} == {"stuck"}


def test_the_settings_may_say_how_long_is_still_normal() -> None:
    assert seen(Watch([AIR], still_s=0), [21.0] * 200)[-1].quality == "good"
    assert seen(Watch([AIR], still_s=50), [21.0] * 10)[-1].reason == "stuck"
    assert seen(Watch([WET], still_s=50), [40.0] * 10, quantity="humidity")[-1].quality == "good", "it states nothing"


@pytest.mark.parametrize("seed", range(5))
def test_what_scatters_is_noisy(seed: int) -> None:
    chance = random.Random(seed)
    calm = seen(Watch([AIR], 0), [21 + chance.gauss(0, 0.3) for _ in range(100)])
    loose = seen(Watch([AIR], 0), [21 + chance.gauss(0, 9.0) for _ in range(100)])
    assert {reading.quality for reading in calm} == {"good"}
    assert {reading.reason for reading in loose[20:]} == {"noisy"}


def test_what_is_beyond_the_range_only_because_it_scatters_is_noisy_and_stays_bad() -> None:
    chance, watch = random.Random(1), Watch([AIR], 0)
    for at in range(40):
        value = 21 + chance.gauss(0, 40.0)
        beyond = abs(value - 21) > 60
        reading = Reading("temperature", value, *(("bad", "range") if beyond else ("good", "")))
        (seen_as,) = watch.look([reading], at * 10.0)
        assert at < 20 or (seen_as.quality, seen_as.reason) == ("bad" if beyond else "uncertain", "noisy")
    calm, watch = Reading("temperature", 200.0, "bad", "range"), Watch([AIR], 0)
    assert {tuple(watch.look([calm], float(at))) for at in range(40)} == {(calm,)}


def test_states_beside_a_number_that_stands_still_change_nothing() -> None:
    channels = [Channel("power", "W", still_s=0.0), Channel("on", still_s=0.0)]
    watch, silent = Watch(channels, still_s=30), Watch(channels)
    for at in range(9):
        readings = watch.look([Reading("power", 12.0), Reading("on", at % 2 == 0)], at * 10.0)
        assert {one.quality for one in silent.look([Reading("power", 12.0)], at * 1e6)} == {"good"}
    assert [one.reason for one in readings] == ["stuck", "stuck"]


@given(st.floats(-50, 50), st.floats(-3, 3), st.integers(10, 30), st.floats(-20, 20))
def test_no_slope_and_no_step_is_noise(start: float, slope: float, at: int, step: float) -> None:
    values = [start + slope * turn + (step if turn >= at else 0.0) for turn in range(40)]
    assert {reading.quality for reading in seen(Watch([AIR], 0), values)} == {"good"}


def test_bad_readings_texts_and_states_are_left_as_they_are() -> None:
    watch = Watch([AIR])
    for reading in (Reading("temperature", None, "bad", "crc"), Reading("temperature", True), Reading("zone", "A")):
        for at in range(100):
            assert watch.look([reading], at * 100.0)[0] == reading
