"""A value that is not as it used to be: learns what is normal, then looks for what lasts, never for single values.

The method is the two-sided cumulative sum (E. S. Page, Biometrika 41 (1954) 100-115) over robust deviations. Means over
a thousandth of the learning time are compared with the median in units of the scaled median absolute deviation. What
they lie beyond ALLOWANCE adds up on their side; what lies within takes it down again. An alarm is a sum larger than
`margin` times the largest that the learning time itself made, so that the threshold is in the machine's own measure:
how long it normally lingers away from its usual level, whatever its cycle or its noise. One threshold serves both
sides: that a machine happened to linger on one of them only while it was watched says little of the other.

Why `margin` is 2: if the peaks of such sums fall off exponentially, n of them during learning have a largest of about
b ln n, and eleven times as many b (ln n + ln 11), about twice that for n around ten. So 2 is about one false alarm in
ten times the learning time.

Nothing here was fitted to a recording; what it does on one is `bench/anomaly.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from golmok_edge.rules.condition import BETWEEN, RIGHT, UNKNOWN, Fresh, Look, Memory, Seen, number

ALLOWANCE: Final = 1.0
"""In scales: half of a shift of two, which is the least that is looked for."""
MOST_DEVIATION: Final = 4.0
"""A single wild mean counts as no more than this."""
LEAST_THRESHOLD: Final = 5.0
"""In scales times means, the textbook's: for a channel that never lingered anywhere."""
MOST_OVER: Final = 1.5
"""A sum grows to so many thresholds at most, so that it is over soon after all is well again."""
_PARTS: Final = 1000
_LEAST_MEANS: Final = 30
_GAUSS: Final = 1.4826
_DOUBT: Final = 0.2
"""So much of what is unusual is learned all the same: a machine that was changed for good is normal after a while."""
_LONGEST_GAP: Final = 50
"""Of the learning time: a longer time between two values taught nothing."""


class Normal(NamedTuple):
    """What was learned."""

    level: float
    scale: float
    threshold: float


class Sums:
    """How far the values have added up on either side."""

    __slots__ = ("high", "low", "most")

    def __init__(self, most: float = float("inf")) -> None:
        self.low = self.high = 0.0
        self.most = most

    def add(self, deviation: float) -> float:
        """One more; gives the larger of the two sums."""
        bounded = max(-MOST_DEVIATION, min(MOST_DEVIATION, deviation))
        self.high = min(self.most, max(0.0, self.high + bounded - ALLOWANCE))
        self.low = min(self.most, max(0.0, self.low - bounded - ALLOWANCE))
        return max(self.high, self.low)


def learn(means: list[float], margin: float, least_scale: float = 0.0) -> Normal:
    """What is normal, from means in their order. `least_scale`: what the sensor cannot tell apart."""
    level = median(means)
    scale = _GAUSS * median(abs(mean - level) for mean in means)
    if scale <= least_scale:  # it stands still more than half of the time
        scale = max(least_scale, sum(abs(mean - level) for mean in means) / len(means), abs(level) * 0.01, 1e-6)
    sums = Sums()
    worst = max(sums.add((mean - level) / scale) for mean in means)
    return Normal(level, scale, max(LEAST_THRESHOLD, margin * worst))


class Unusual:
    """A channel that is first learned and then watched."""

    def __init__(
        self, channel: str, *, learn_ms: int, margin: float, least_scale: float = 0.0, fresh_ms: int | None
    ) -> None:
        self.channels = (channel,)
        self._learn_ms, self._margin, self._least_scale = learn_ms, margin, least_scale
        self._fresh = Fresh(fresh_ms)
        self._means: list[float] = []
        self._learned_ms = 0
        self.normal: Normal | None = None
        """None while it learns."""
        self._sums = Sums()
        self._count, self._mean, self._open_ms = 0, 0.0, 0
        self._look = UNKNOWN

    @property
    def learned(self) -> float:
        """How much of the learning is done, 0 to 1."""
        return 1.0 if self.normal else min(1.0, self._learned_ms / self._learn_ms)

    def see(self, seen: Seen) -> None:
        """See `Condition`. Values that are not good teach nothing and raise nothing."""
        value = number(seen)
        if value is None:
            return
        self._fresh.touch()
        if self._count and self._open_ms * _PARTS >= self._learn_ms:
            self._take(self._mean, self._open_ms)
            self._count, self._mean, self._open_ms = 0, 0.0, 0
        self._count += 1
        self._mean += (value - self._mean) / self._count

    def pass_time(self, for_ms: int) -> None:
        """See `Condition`."""
        self._open_ms += for_ms
        self._fresh.pass_time(for_ms)

    def look(self) -> Look:
        """See `Condition`."""
        return UNKNOWN if self._fresh.is_stale else self._look

    def memory(self) -> Memory:
        """See `Condition`."""
        if self.normal is None:
            return {"means": [round(mean, 6) for mean in self._means], "learned_ms": self._learned_ms}
        return {"normal": list(self.normal), "low": self._sums.low, "high": self._sums.high}

    def recall(self, memory: Memory) -> None:
        """See `Condition`."""
        if "normal" not in memory:
            self._means, self._learned_ms = _floats(memory["means"]), int(memory["learned_ms"])
            return
        level, scale, threshold = _floats(memory["normal"])
        if scale <= 0 or threshold <= 0:
            raise ValueError("nothing is like this")
        self._begin(Normal(level, scale, threshold))
        self._sums.low, self._sums.high = float(memory["low"]), float(memory["high"])

    def _take(self, mean: float, for_ms: int) -> None:
        if self.normal is None:
            self._means.append(mean)
            self._learned_ms += for_ms if for_ms * _LONGEST_GAP <= self._learn_ms else 0
            if self._learned_ms >= self._learn_ms and len(self._means) >= _LEAST_MEANS:
                self._begin(learn(self._means, self._margin, self._least_scale))
                self._means = []
            return
        level, scale, threshold = self.normal
        deviation = (mean - level) / scale
        self._look = self._judged(self._sums.add(deviation), mean)
        # The level follows what lasts, within the learning time; what is wild moves it by little, and what is an
        # alarm hardly: a fault must not become what is normal, and health unusual after it.
        share = min(for_ms, self._learn_ms / _LONGEST_GAP) / self._learn_ms
        if self._look.state != "right":
            share *= _DOUBT
        self.normal = Normal(level + share * scale * max(-1.5, min(1.5, deviation)), scale, threshold)

    def _begin(self, normal: Normal) -> None:
        self.normal, self._sums = normal, Sums(MOST_OVER * normal.threshold)

    def _judged(self, most: float, mean: float) -> Look:
        assert self.normal is not None
        if most > self.normal.threshold:
            is_high = self._sums.high > self._sums.low
            what = "unusually-high" if is_high else "unusually-low"
            return Look("wrong", what, round(mean, 4), round(self.normal.level, 4))
        return BETWEEN if most > self.normal.threshold / 2 else RIGHT


def median(values: Iterable[float]) -> float:
    """The middle one. Not `statistics`': that takes a megabyte of the gateway's memory."""
    found = sorted(values)
    half = len(found) // 2
    return found[half] if len(found) % 2 else (found[half - 1] + found[half]) / 2


def _floats(values: Any) -> list[float]:
    if not isinstance(values, list):
        raise TypeError("a list of numbers was expected")
    return [float(value) for value in values]
