"""Calibrations as data: what was found when a sensor was held against a reference, in a file beside the settings.

`gateway.toml` has `gateway.calibration.json`. Entries are only ever added; the newest of a channel is in force, and one
of the kind `none` takes back those before it. Nothing measured is lost by a wrong one: each curve can be undone, and
the gateway tells by an event which was in force from when on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from golmok_edge.settings.mistakes import Mistake, nearest
from golmok_edge.settings.model import Device

Kind: TypeAlias = Literal["offset", "two-point", "polynomial", "none"]
MOST_DEGREE: Final = 3
MOST_BYTES: Final = 1 << 20
_ITSELF: Final = (0.0, 1.0)


class CalibrationError(ValueError):
    """Points of which no calibration can be made, or a file that is none; the message says what to do."""


class Point(msgspec.Struct, frozen=True):
    """What the sensor said, uncalibrated, and what it should have said."""

    measured: float
    reference: float


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One calibration of one channel: true value = c0 + c1 x + c2 x² + …, x as the sensor says it."""

    id: Annotated[str, Meta(min_length=1, max_length=100)]
    channel: str
    kind: Kind
    at: date
    valid_until: date | None = None
    """The last day on which it holds; then values are uncertain. None: for ever."""
    coefficients: tuple[float, ...] = _ITSELF
    points: tuple[Point, ...] = ()
    by: str = ""
    note: str = ""
    """Such as the number of the reference's certificate."""

    def __post_init__(self) -> None:
        if not 2 <= len(self.coefficients) <= MOST_DEGREE + 1 or not all(map(math.isfinite, self.coefficients)):
            raise ValueError(f"coefficients must be 2 to {MOST_DEGREE + 1} numbers")
        if len(self.coefficients) == 2 and self.coefficients[1] == 0:
            raise ValueError("a line that is level turns every value into the same")

    def apply(self, value: float) -> float:
        """The true value."""
        total = 0.0
        for coefficient in reversed(self.coefficients):
            total = total * value + coefficient
        return total

    def undo(self, value: float) -> float:
        """What the sensor had said: the inverse of `apply`, near the points that it was made of."""
        c0, c1 = self.coefficients[:2]
        if len(self.coefficients) == 2:
            return (value - c0) / c1
        found = (value - c0) / c1 if c1 else value
        for _ in range(50):  # Newton's method; `fitted` sees to it that the curve only rises
            slope = self._slope(found)
            step = (self.apply(found) - value) / slope if slope else 0.0
            found -= step
            if abs(step) <= 1e-12 * max(1.0, abs(found)):
                break
        return found

    def residuals(self) -> list[float]:
        """How far the curve passes by each of its points."""
        return [self.apply(point.measured) - point.reference for point in self.points]

    def is_expired(self, today: date) -> bool:
        """Whether it no longer holds."""
        return self.valid_until is not None and today > self.valid_until

    def _slope(self, value: float) -> float:
        return sum(power * c * value ** (power - 1) for power, c in enumerate(self.coefficients) if power)


class Book(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All calibrations of a gateway."""

    golmok_calibration: Literal[1] = 1
    version: int = 0
    """Counts up with each entry."""
    entries: tuple[Calibration, ...] = ()

    def in_force(self) -> dict[str, Calibration]:
        """The newest of each channel, those that were taken back left out."""
        newest = {entry.channel: entry for entry in self.entries}
        return {channel: entry for channel, entry in newest.items() if entry.kind != "none"}

    def with_entry(self, entry: Calibration) -> Book:
        """The same and one more."""
        return Book(version=self.version + 1, entries=(*self.entries, entry))


def book_file(settings: Path) -> Path:
    """Where the calibrations of that settings file are."""
    return settings.with_suffix(".calibration.json")


def read_book(file: Path) -> Book:
    """The calibrations; an empty book if there is no file. Raises `CalibrationError`, OSError."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise CalibrationError(f"it has more than {MOST_BYTES} bytes")
        return msgspec.json.decode(file.read_bytes(), type=Book)
    except FileNotFoundError:
        return Book()
    except msgspec.DecodeError as error:
        raise CalibrationError(str(error)) from None


def written(book: Book) -> bytes:
    """A book as its file has it: for people too, a line each."""
    return msgspec.json.format(msgspec.json.encode(book), indent=1) + b"\n"


def fitted(points: Sequence[Point], kind: Kind, degree: int = 2) -> tuple[float, ...]:
    """The coefficients of the curve through these points, or nearest to them (least squares).

    Raises `CalibrationError` when there are too few, two at one place, or when the curve would fall or turn between
    them, so that a value could not be told from another.
    """
    places = {point.measured for point in points}
    match kind:
        case "none":
            return _ITSELF
        case "offset":
            _need(points, 1)
            return (math.fsum(point.reference - point.measured for point in points) / len(points), 1.0)
        case "two-point":
            power = 1
        case "polynomial":
            power = degree
    if not 1 <= power <= MOST_DEGREE:
        raise CalibrationError(f"the degree must be 1 to {MOST_DEGREE}")
    _need(points, power + 1)
    if len(places) <= power:
        raise CalibrationError(f"{power + 1} different measured values are needed; there are {len(places)}")
    coefficients = _least_squares(points, power)
    _must_rise(coefficients, min(places), max(places))
    return coefficients


def _need(points: Sequence[Point], count: int) -> None:
    if len(points) < count:
        raise CalibrationError(f"{count} points are needed, {len(points)} given; measure against more references")


def _least_squares(points: Sequence[Point], power: int) -> tuple[float, ...]:
    """By the normal equations, in a variable from -1 to 1 so that they are well conditioned."""
    low, high = min(p.measured for p in points), max(p.measured for p in points)
    middle, half = (low + high) / 2, (high - low) / 2
    rows = [[((p.measured - middle) / half) ** at for at in range(power + 1)] for p in points]
    size = power + 1
    matrix = [[math.fsum(row[i] * row[j] for row in rows) for j in range(size)] for i in range(size)]
    right = [math.fsum(row[i] * p.reference for row, p in zip(rows, points, strict=True)) for i in range(size)]
    scaled = _solved(matrix, right)
    found = [0.0] * size  # multiplied out: sum of c_k ((x - middle) / half)^k
    for at, coefficient in enumerate(scaled):
        for inner in range(at + 1):
            found[inner] += coefficient * math.comb(at, inner) * (-middle) ** (at - inner) / half**at
    return tuple(found)


def _solved(matrix: list[list[float]], right: list[float]) -> list[float]:
    """By Gauss's elimination with pivots."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for at in range(size):
        best = max(range(at, size), key=lambda row: abs(rows[row][at]))
        rows[at], rows[best] = rows[best], rows[at]
        for below in range(at + 1, size):
            factor = rows[below][at] / rows[at][at]
            rows[below] = [a - factor * b for a, b in zip(rows[below], rows[at], strict=True)]
    found = [0.0] * size
    for at in reversed(range(size)):
        known = math.fsum(rows[at][other] * found[other] for other in range(at + 1, size))
        found[at] = (rows[at][size] - known) / rows[at][at]
    return found


def _must_rise(coefficients: Sequence[float], low: float, high: float) -> None:
    reach = (high - low) / 2
    for part in range(101):
        at = low - reach + (high - low + 2 * reach) * part / 100
        if sum(power * c * at ** (power - 1) for power, c in enumerate(coefficients) if power) <= 0:
            raise CalibrationError(f"its curve would fall or turn near {at:g}; check the points, or use fewer degrees")


# --- what the check says of it


def examined(settings: Path, devices: Sequence[Device], today: date) -> tuple[list[Mistake], list[Mistake]]:
    """Mistakes and warnings of the file beside `settings`."""
    file = book_file(settings)
    try:
        book = read_book(file)
    except (CalibrationError, OSError) as error:
        return [Mistake(str(file), 1, "", "", "calibration-file", {"why": str(error)})], []
    return [], list(_doubts(file, book, devices, today))


def _doubts(file: Path, book: Book, devices: Sequence[Device], today: date) -> Iterator[Mistake]:
    known = [f"{device.name}.{channel.quantity}" for device in devices for channel in device.channels]
    for channel, entry in book.in_force().items():
        args = {"found": channel, "id": entry.id}
        if channel not in known:
            near = nearest(channel, known) or "–"
            yield Mistake(str(file), 1, channel, "", "calibration-channel", args | {"near": near})
        elif entry.is_expired(today):
            until = {"until": str(entry.valid_until), "device": channel.partition(".")[0]}
            yield Mistake(str(file), 1, channel, "", "calibration-expired", args | until)
