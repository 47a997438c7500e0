"""A column of integers as small residuals of a prediction, and residuals as byte planes.

Three predictions, the cheapest one is taken: `LEVEL` (all near one number), `STEP` (each near the one before plus
a constant), `LINE` (all near a straight line, as a sensor's times are that is read at a fixed interval).
Everything runs over whole columns in C where the standard library can; no numpy, since the gateway has none.
What was read stays packed until somebody wants the numbers: a server needs the bounds and the last one only.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, Final, TypeAlias, overload

Prediction: TypeAlias = list[int]
"""`[LEVEL, base]`, `[STEP, first, step]` or `[LINE, first, rise over the whole column]`."""

LEVEL, STEP, LINE = 0, 1, 2
_TERMS: Final = {LEVEL: 1, STEP: 2, LINE: 2}
_UNZIGZAG: Final = bytes((u >> 1 ^ -(u & 1)) & 0xFF for u in range(256))


def predict(numbers: Sequence[int]) -> tuple[Prediction, list[int]]:
    """The cheapest prediction of `numbers` and the zigzag residuals that remain (each below 2**64)."""
    if not numbers:
        return [LEVEL, 0], []
    first, n = numbers[0], len(numbers)
    base = sorted(numbers)[n // 2]
    best = [LEVEL, base], [x - base for x in numbers]
    cost = sum(map(abs, best[1]))
    if n > 1 and cost:
        steps = [b - a for a, b in pairwise(numbers)]
        step = sorted(steps)[len(steps) // 2]
        rise = numbers[-1] - first
        for prediction, residuals in (
            ([STEP, first, step], [0, *(s - step for s in steps)]),
            ([LINE, first, rise], [x - first - rise * i // (n - 1) for i, x in enumerate(numbers)]),
        ):
            other = sum(map(abs, residuals))
            if other < cost:
                best, cost = (prediction, residuals), other
    return best[0], [r << 1 if r >= 0 else ~(r << 1) for r in best[1]]


class _Column(Sequence[Any]):
    """A read-only sequence that is made when it is first walked through."""

    __slots__ = ("_made",)
    _made: list[Any] | None

    def make(self) -> list[Any]:
        raise NotImplementedError

    def tolist(self) -> list[Any]:
        """All of it."""
        if self._made is None:
            self._made = self.make()
        return self._made

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        return self.tolist()[at]


class Ints(_Column):
    """The integers that a prediction and its residuals stand for."""

    __slots__ = ("_kind", "_residuals", "_terms")
    _terms: list[int]

    def __init__(self, prediction: Sequence[Any], residuals: list[int]) -> None:
        """`residuals` are signed. Raises ValueError if `prediction` is none."""
        kind, *terms = prediction
        if type(kind) is not int or _TERMS.get(kind) != len(terms):
            raise ValueError(f"prediction {kind!r:.40} is not known")
        if not all(type(term) is int and -(1 << 64) < term < 1 << 64 for term in terms):
            raise ValueError("a prediction's terms must be whole numbers of 64 bits")
        self._kind, self._terms, self._residuals, self._made = kind, list(terms), residuals, None

    def __len__(self) -> int:
        return len(self._residuals)

    def make(self) -> list[int]:
        residuals = self._residuals
        if self._kind == LEVEL:
            (base,) = self._terms
            return [base + r for r in residuals]
        first, slope = self._terms
        if self._kind == STEP:
            return list(accumulate(chain((first + residuals[0],), [r + slope for r in residuals[1:]])))
        last = max(1, len(residuals) - 1)
        return [first + slope * i // last + r for i, r in enumerate(residuals)]

    def last(self) -> int:
        """The last number, without making the others."""
        residuals = self._residuals
        if self._kind == LEVEL:
            return self._terms[0] + residuals[-1]
        first, slope = self._terms
        if self._kind == STEP:
            return first + slope * (len(residuals) - 1) + sum(residuals)
        return first + (slope if len(residuals) > 1 else 0) + residuals[-1]

    def within(self) -> tuple[int, int]:
        """Bounds of all numbers, which may be wider than need be where that saves making them."""
        low, high = min(self._residuals), max(self._residuals)
        if self._kind == LEVEL:
            return self._terms[0] + low, self._terms[0] + high
        first, slope = self._terms
        if self._kind == STEP:
            made = self.tolist()
            return min(made), max(made)
        return first + min(0, slope) + low, first + max(0, slope) + high


class Bools(_Column):
    """Truth values, kept as 0 and 1."""

    __slots__ = ("_ints",)

    def __init__(self, ints: Ints) -> None:
        """Raises ValueError if a number is neither 0 nor 1."""
        numbers = ints.tolist()
        if numbers and not 0 <= min(numbers) <= max(numbers) <= 1:
            raise ValueError("a truth value is neither 0 nor 1")
        self._ints, self._made = ints, None

    def __len__(self) -> int:
        return len(self._ints)

    def make(self) -> list[bool]:
        return list(map(bool, self._ints))

    def last(self) -> bool:
        """The last one."""
        return bool(self._ints.last())


class Decimals(_Column):
    """Floats that are integers divided by a power of ten."""

    __slots__ = ("_ints", "_power")

    def __init__(self, ints: Ints, power: float) -> None:
        self._ints, self._power, self._made = ints, power, None

    def __len__(self) -> int:
        return len(self._ints)

    def make(self) -> list[float]:
        power = self._power
        return [number / power for number in self._ints]

    def last(self) -> float:
        """The last one, without making the others."""
        return self._ints.last() / self._power


def to_planes(numbers: list[int], width: int) -> bytes:
    """All lowest bytes of `numbers` (each 0 to 256**width - 1), then all second ones, and so on."""
    data = array("Q", numbers).tobytes()
    return b"".join(data[k::8] for k in range(width))


def from_planes(planes: bytes, n: int, width: int) -> list[int]:
    """The `n` signed residuals whose zigzag codes `width` planes hold."""
    if width == 1:
        return array("b", planes.translate(_UNZIGZAG)).tolist()
    data = bytearray(8 * n)
    for k in range(width):
        data[k::8] = planes[k * n : (k + 1) * n]
    return [(u >> 1) ^ -(u & 1) for u in array("Q", bytes(data))]
