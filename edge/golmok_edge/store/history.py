"""A channel's past in as many points as a chart has room for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .reader import Found, Reader


class Bucket(NamedTuple):
    """What a channel did from `start_ms` until the next bucket."""

    start_ms: int
    readings: int
    least: float
    mean: float
    greatest: float


def history(reader: Reader, channel: str, boot: str, from_mono_ms: int, to_mono_ms: int, points: int) -> list[Bucket]:
    """At most `points` buckets of `channel` from from_mono_ms to to_mono_ms of `boot`; empty ones are left out."""
    found = reader.series(channel, boot, from_mono_ms, to_mono_ms)
    return buckets(numbers((one.record.mono_ms, one) for one in found), from_mono_ms, to_mono_ms, points)


def numbers(timed: Iterable[tuple[int, Found]]) -> Iterator[tuple[int, float]]:
    """Of records with a time, what a chart can show: numbers (true is 1) that are not known to be bad."""
    for at_ms, found in timed:
        value = found.record.value
        if isinstance(value, bool | int | float) and found.record.quality != "bad":
            yield at_ms, float(value)


def buckets(timed: Iterable[tuple[int, float]], from_ms: int, to_ms: int, points: int) -> list[Bucket]:
    """Numbers with times, in any order, as at most `points` buckets of equal width; empty ones are left out."""
    if points < 1 or to_ms <= from_ms:
        raise ValueError(f"{points} points from {from_ms} to {to_ms}: there must be one at least, and some time")
    width = -(-(to_ms - from_ms) // points)
    sums: dict[int, tuple[int, float, float, float]] = {}
    for at_ms, value in timed:
        if from_ms <= at_ms < to_ms:
            place = (at_ms - from_ms) // width
            count, least, total, greatest = sums.get(place, (0, value, 0.0, value))
            sums[place] = (count + 1, min(least, value), total + value, max(greatest, value))
    return [
        Bucket(from_ms + place * width, count, least, total / count, greatest)
        for place, (count, least, total, greatest) in sorted(sums.items())
    ]
