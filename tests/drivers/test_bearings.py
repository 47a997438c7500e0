"""A damage is found by its lines and its blows, on the right part, while the machine still hardly shakes."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from bench import bearing as bench
from golmok_drivers.bearings import DAMAGED_DB, HEALTHY_KURTOSIS, Bearing, Envelope, high_passed, kurtosis, lines
from golmok_drivers.twins.bearing import Shaft, sensed

RATE_HZ, COUNT = 5376.0, 4096
B6205 = Bearing(9, 7.94 / 39.04)


def felt(shaft: Shaft, *, seed: int, part: str = "outer", blow: float = 0.0) -> list[int]:
    samples = shaft.acceleration(COUNT, RATE_HZ, part=part, blow=blow, seed=seed)  # type: ignore[arg-type]
    return sensed(samples, digit_g=0.032, seed=seed)


def test_the_frequencies_are_those_of_the_catalogue() -> None:
    """SKF gives 3.585, 5.415 and 4.714 for its 6205."""
    blows = B6205.blows_a_turn()
    assert blows == pytest.approx({"outer": 3.585, "inner": 5.415, "ball": 4.714}, abs=0.002)


def test_the_filter_takes_away_what_shakes_and_leaves_what_rings() -> None:
    def left(hz: float) -> float:
        sine = [math.sin(2 * math.pi * hz * at / RATE_HZ) for at in range(COUNT)]
        return statistics.pstdev(high_passed(sine, RATE_HZ)[400:]) * math.sqrt(2)

    assert left(100) < 1e-3
    assert left(1000) == pytest.approx(math.sqrt(0.5), abs=0.02)
    assert left(2000) == pytest.approx(1.0, abs=0.02)


def test_kurtosis_is_three_of_noise_and_more_of_blows() -> None:
    chance = random.Random(1)
    noise = [chance.gauss(0, 1) for _ in range(20_000)]
    assert kurtosis(noise) == pytest.approx(3, abs=0.15)
    assert kurtosis([math.sin(at) for at in range(10_000)]) == pytest.approx(1.5, abs=0.01)
    assert kurtosis([9 * value if at % 100 == 0 else value for at, value in enumerate(noise)]) > 20
    assert kurtosis([5.0] * 10) == 0


@pytest.mark.parametrize("seed", range(12))
def test_a_sound_bearing_has_no_lines_and_no_blows(seed: int) -> None:
    chance = random.Random(seed)
    shaft = Shaft(speed_hz=chance.uniform(15, 60), velocity_mm_s=chance.uniform(0.2, 4), noise=chance.uniform(0.2, 3))
    digits = felt(shaft, seed=seed)
    assert lines(digits, RATE_HZ, shaft.bearing, shaft.speed_hz)[0].db < DAMAGED_DB
    assert Envelope(digits, RATE_HZ).kurtosis < HEALTHY_KURTOSIS


@pytest.mark.parametrize("part", ["outer", "inner", "ball"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_damaged_part_is_named_while_the_velocity_is_normal(part: str, seed: int) -> None:
    shaft = Shaft()
    samples = shaft.acceleration(COUNT, RATE_HZ, part=part, blow=6.0, seed=seed)  # type: ignore[arg-type]
    line = lines(sensed(samples, digit_g=0.032, seed=seed), RATE_HZ, shaft.bearing, shaft.speed_hz * 1.01)[0]
    assert line.part == part
    assert line.db > DAMAGED_DB
    assert bench.velocity_mm_s(samples) < bench.NORMAL_MM_S / 2


def test_the_twin_shakes_as_much_as_it_says() -> None:
    shaft = Shaft(velocity_mm_s=2.0, noise=0.0)
    assert bench.velocity_mm_s(shaft.acceleration(COUNT, RATE_HZ)) == pytest.approx(
        2.0 * math.hypot(1, 1 / 3), rel=0.02
    )


def test_more_blow_is_plainer() -> None:
    shaft = Shaft()
    found = [
        lines(felt(shaft, seed=5, blow=blow), RATE_HZ, shaft.bearing, shaft.speed_hz)[0].db for blow in (1, 3, 9, 27)
    ]
    assert min(found[1:]) > found[0] + 3


@pytest.mark.parametrize(("count", "rate_hz"), [(100, RATE_HZ), (COUNT, 1344.0)])
def test_too_little_is_refused(count: int, rate_hz: float) -> None:
    with pytest.raises(ValueError, match="half a second"):
        Envelope([0.0] * count, rate_hz)


def test_a_sensor_that_says_nothing_is_no_damage() -> None:
    assert lines([0] * COUNT, RATE_HZ, B6205, 29.0)[0].db < DAMAGED_DB


def test_a_bearing_that_fails_is_found_before_its_velocity() -> None:
    life = bench.life(11, hours=60)
    alarms = life["alarm_h"]
    assert life["damaged_h"] <= alarms["envelope"] < alarms["velocity"]
    assert life["velocity_at_envelope_alarm_mm_s"] < bench.NORMAL_MM_S
