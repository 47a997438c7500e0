"""What a row of samples says: mean, effective value, kurtosis, and the vibration velocity in a band of frequencies.

In plain Python: the gateway's memory has no room for numpy (30 MB), and a few thousand samples a minute need none.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

ISO_BAND_HZ: Final = (10.0, 1000.0)
"""The band in which ISO 20816-1 (4.2) measures the severity of a machine's vibration."""


def mean(samples: Sequence[float]) -> float:
    """The arithmetic mean."""
    return math.fsum(samples) / len(samples)


def rms(samples: Sequence[float]) -> float:
    """The effective value about the mean: over whole cycles of the mains, or long enough."""
    middle = mean(samples)
    return math.sqrt(math.fsum((sample - middle) ** 2 for sample in samples) / len(samples))


def kurtosis(samples: Sequence[float]) -> float:
    """The fourth moment over the square of the second: 1.5 of a sine, 3 of noise, far more where there are blows.

    0 where nothing moves at all.
    """
    middle = mean(samples)
    squares = [(sample - middle) ** 2 for sample in samples]
    second = math.fsum(squares) / len(squares)
    return math.fsum(square * square for square in squares) / len(squares) / second**2 if second else 0.0


def velocity_rms(samples: Sequence[float], rate_hz: float, band_hz: tuple[float, float] = ISO_BAND_HZ) -> float:
    """The effective velocity in m/s of accelerations in m/s2, taken `rate_hz` times a second; their number is a power
    of two.

    Each line of the spectrum is integrated by itself: divided by 2 pi f. A Hann window keeps what lies below the band
    (gravity, drift) from leaking into it.
    """
    count = len(samples)
    middle = mean(samples)
    window = _hann(count)
    lines = fft([(sample - middle) * weight for sample, weight in zip(samples, window, strict=True)])
    first = max(1, math.ceil(band_hz[0] * count / rate_hz))
    last = min(count // 2 - 1, math.floor(band_hz[1] * count / rate_hz))
    step = 2 * math.pi * rate_hz / count
    power = math.fsum((lines[at].real ** 2 + lines[at].imag ** 2) / (step * at) ** 2 for at in range(first, last + 1))
    return math.sqrt(2 * power / (count * _hann_power(count)))


def fft(samples: Sequence[complex]) -> list[complex]:
    """The discrete Fourier transform (Cooley and Tukey, 1965); as many samples as a power of two, else ValueError."""
    count = len(samples)
    if count & (count - 1) or not count:
        raise ValueError(f"{count} samples are no power of two")
    return _fft(list(samples))


def _fft(samples: list[complex]) -> list[complex]:
    count = len(samples)
    if count == 1:
        return samples
    if count == 2:
        return [samples[0] + samples[1], samples[0] - samples[1]]
    even, odd = _fft(samples[0::2]), _fft(samples[1::2])
    turned = [factor * value for factor, value in zip(_factors(count), odd, strict=True)]
    return [a + b for a, b in zip(even, turned, strict=True)] + [a - b for a, b in zip(even, turned, strict=True)]


@lru_cache(maxsize=16)
def _factors(count: int) -> list[complex]:
    return [cmath.exp(-2j * math.pi * at / count) for at in range(count // 2)]


@lru_cache(maxsize=2)
def _hann(count: int) -> list[float]:
    return [0.5 - 0.5 * math.cos(2 * math.pi * at / count) for at in range(count)]


@lru_cache(maxsize=2)
def _hann_power(count: int) -> float:
    return math.fsum(weight * weight for weight in _hann(count))
