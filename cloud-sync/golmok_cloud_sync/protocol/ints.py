"""A column of integers as small residuals of a prediction, and residuals as byte planes.

Three predictions, the cheapest one is taken: `LEVEL` (all near one number), `STEP` (each near the one before plus
a constant), `LINE` (all near a straight line, as a sensor's times are that is read at a fixed interval).
Everything runs over whole columns in C where the standard library can; no numpy, since the gateway has none.
What was read stays packed until somebody wants the numbers: a server needs the bounds and the last one only.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from operator import sub
from typing import Any, Final, TypeAlias, overload

Prediction: TypeAlias = list[int]
"""`[LEVEL, base]`, `[STEP, first, step]` or `[LINE, first, rise over the whole column]`."""

LEVEL, STEP, LINE = 0, 1, 2
_TERMS: Final = {LEVEL: 1, STEP: 2, LINE: 2}
_FAR: Final = 1 << 64
_SAMPLE: Final = 64
_SIGNED: Final = {1: 1 << 7, 2: 1 << 15}
"""Widths that are written in two's complement, and their bounds. Wider ones are written as zigzag: there the high
bytes are nearly always 0, and the sign would fill them with ones."""
_CODES: Final = {1: "b", 2: "h"}


def predict(numbers: Sequence[int]) -> tuple[Prediction, list[int]]:
    """The cheapest prediction of `numbers`, as far as a sample of them tells, and the residuals that remain.

    Numbers up to 2**53 leave residuals below 2**55.
    """
    if not numbers:
        return [LEVEL, 0], []
    n, first = len(numbers), numbers[0]
    places = range(1, n, max(1, n // _SAMPLE)) or range(1)
    sample = [numbers[i] for i in places]
    middle = sorted([first, *sample])[len(places) // 2]
    steps = sorted(numbers[i] - numbers[i - 1] for i in places)
    step, rise, end = steps[len(steps) // 2], numbers[-1] - first, max(1, n - 1)
    by_level = sum([abs(x - middle) for x in (first, *sample)])
    by_step = sum([abs(s - step) for s in steps])
    by_line = sum([abs(x - first - rise * i // end) for i, x in zip(places, sample, strict=True)])
    if by_level <= by_step and by_level <= by_line:
        return [LEVEL, middle], [x - middle for x in numbers]
    if by_step <= by_line:
        return [STEP, first, step], [0, *(s - step for s in map(sub, numbers[1:], numbers))]
    return [LINE, first, rise], [x - first - rise * i // end for i, x in enumerate(numbers)]


def width_of(residuals: Sequence[int]) -> int:
    """The bytes that each of `residuals` needs; 0 if all are 0."""
    low, high = min(residuals, default=0), max(residuals, default=0)
    if low == high == 0:
        return 0
    for width, bound in _SIGNED.items():
        if -bound <= low and high < bound:
            return width
    return (max(high << 1, ~(low << 1)).bit_length() + 7) // 8


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
        for term in terms:
            if type(term) is not int or not -_FAR < term < _FAR:
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


def to_planes(residuals: list[int], width: int) -> list[bytes]:
    """All lowest bytes of `residuals`, all second ones, and so on; `width` as `width_of` says."""
    if width in _CODES:
        data = _little(array(_CODES[width], residuals)).tobytes()
        return [data[k::width] for k in range(width)]
    data = _little(array("Q", [r << 1 if r >= 0 else ~(r << 1) for r in residuals])).tobytes()
    return [data[k::8] for k in range(width)]


def from_planes(planes: bytes, n: int, width: int) -> list[int]:
    """The `n` residuals in `width` planes that lie one after the other."""
    size = width if width in _CODES else 8
    data = bytearray(size * n)
    for k in range(width):
        data[k::size] = planes[k * n : (k + 1) * n]
    numbers = _little(array(_CODES.get(width, "Q"), bytes(data)))
    return numbers.tolist() if width in _CODES else [(u >> 1) ^ -(u & 1) for u in numbers]


def _little(numbers: array[int]) -> array[int]:
    """Bytes on the wire are little-endian, whatever the machine's are."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
