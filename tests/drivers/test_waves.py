"""What a row of samples says, against numpy and against what was put in."""

from __future__ import annotations

import math
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golmok_drivers import waves

RATE_HZ = 5376.0
samples = st.lists(st.floats(-1e4, 1e4), min_size=64, max_size=64)


@given(samples)
def test_the_transform_is_numpy_s(values: list[float]) -> None:
    assert np.allclose(waves.fft(values), np.fft.fft(values), atol=1e-6)


@given(samples)
def test_moments_are_numpy_s(values: list[float]) -> None:
    array = np.array(values)
    assert waves.rms(values) == pytest.approx(array.std(), abs=1e-9)
    if array.std() > 1e-3:
        expected = ((array - array.mean()) ** 4).mean() / array.var() ** 2
        assert waves.kurtosis(values) == pytest.approx(expected, rel=1e-6)


@settings(max_examples=25)
@given(st.floats(12.0, 990.0), st.floats(0.1, 50.0), st.floats(0, 6.28), st.floats(-20, 20))
def test_the_velocity_of_a_sine_is_within_two_percent(hz: float, mm_s: float, phase: float, gravity: float) -> None:
    peak = mm_s / 1000 * math.sqrt(2) * 2 * math.pi * hz
    wave = [gravity + peak * math.sin(2 * math.pi * hz * at / RATE_HZ + phase) for at in range(4096)]
    assert waves.velocity_rms(wave, RATE_HZ) * 1000 == pytest.approx(mm_s, rel=0.02)


@pytest.mark.parametrize("hz", [2.0, 4.0, 1100.0, 2000.0])
def test_what_lies_outside_the_band_does_not_count(hz: float) -> None:
    peak = 0.01 * math.sqrt(2) * 2 * math.pi * hz
    wave = [peak * math.sin(2 * math.pi * hz * at / RATE_HZ) for at in range(4096)]
    assert waves.velocity_rms(wave, RATE_HZ) < 0.01 * 0.02


@pytest.mark.parametrize("seed", range(3))
def test_the_velocity_of_noise_is_that_of_numpy(seed: int) -> None:
    chance = random.Random(seed)
    wave = [chance.gauss(0, 1) for _ in range(2048)]
    window = np.hanning(2049)[:2048]
    lines = np.fft.rfft((np.array(wave) - np.mean(wave)) * window)
    hz = np.arange(1025) * RATE_HZ / 2048
    inside = (hz >= 10) & (hz <= 1000)
    power = (2 * np.abs(lines[inside]) ** 2 / (2 * np.pi * hz[inside]) ** 2).sum() / (2048 * (window**2).sum())
    assert waves.velocity_rms(wave, RATE_HZ) == pytest.approx(math.sqrt(power), rel=1e-9)


def test_kurtosis_of_known_shapes() -> None:
    sine = [math.sin(2 * math.pi * at / 64) for at in range(4096)]
    chance = random.Random(1)
    noise = [chance.gauss(0, 1) for _ in range(20_000)]
    blows = [100.0 if at % 256 == 0 else chance.gauss(0, 1) for at in range(4096)]
    assert waves.kurtosis(sine) == pytest.approx(1.5, abs=0.01)
    assert waves.kurtosis(noise) == pytest.approx(3.0, abs=0.2)
    assert waves.kurtosis(blows) > 50
    assert waves.kurtosis([1.0] * 8) == 0


def test_a_number_that_is_no_power_of_two_is_refused() -> None:
    for count in (0, 3, 100):
        with pytest.raises(ValueError, match="power of two"):
            waves.fft([0.0] * count)


def test_it_needs_no_numpy() -> None:
    code = (
        "import sys; from golmok_drivers import catalogue; [catalogue.load(n) for n in catalogue.names()];"
        "print('numpy' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
