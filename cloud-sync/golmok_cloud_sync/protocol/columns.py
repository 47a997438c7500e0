"""Records seen as columns: what both codecs write down.

A run of records is split into series, one for each (boot, channel, unit); what is the same in nearly all records
(quality, the source's own time, waiting) is kept beside them and left out where it says nothing. Of
their order only what differs from the natural one is kept: by boot, time, and the first appearance of a series.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, repeat
from typing import Any, Final, NamedTuple

from .ints import Bools, Decimals, Ints
from .record import MAX_NAME_BYTES, MAX_TEXT_BYTES, MAX_TIME_MS, QUALITIES, Quality, Record, Value

MAX_COUNT: Final = 10_000
"""Most records in one frame."""


class ColumnsError(ValueError):
    """Columns that no run of records can have made."""


@dataclass(slots=True)
class Series:
    """The records of one channel, in one unit, during one boot."""

    boot: str
    channel: str
    unit: str
    mono_ms: Sequence[int]
    values: Sequence[Value]


class State(NamedTuple):
    """A quality and its reason."""

    quality: Quality
    reason: str


@dataclass(slots=True)
class Columns:
    """A run of records. All lists that run over records are in the records' order."""

    count: int
    series: list[Series]
    shifts: list[int] | None = None
    """For each record its place in the natural order less its place here; None: all 0."""
    states: list[State] = field(default_factory=lambda: [State("good", "")])
    state_codes: list[int] | None = None
    """For each record the index into `states`; None: all have the first."""
    wall_ms: list[int | None] | None = None
    waited_ms: list[int | None] | None = None


class Newest(NamedTuple):
    """The last record of a channel in a run, told without building the others."""

    channel: str
    unit: str
    boot: str
    mono_ms: int
    value: Value


def split(records: Sequence[Record]) -> Columns:
    """Columns of `records`, which must have passed `record.check`."""
    found: dict[tuple[str, str, str], int] = {}
    series: list[Series] = []
    times: list[list[int]] = []
    values: list[list[Value]] = []
    ids: list[int] = []
    for record in records:
        key = (record[3], record[0], record[2])
        at = found.get(key)
        if at is None:
            at = found[key] = len(series)
            times.append([])
            values.append([])
            series.append(Series(record[3], record[0], record[2], times[at], values[at]))
        times[at].append(record[4])
        values[at].append(record[1])
        ids.append(at)
    columns = Columns(len(records), series)
    natural = _natural(columns)
    starts = [0, *accumulate(len(row.values) for row in series)]
    taken = starts[:-1]
    flat = []
    for at in ids:
        flat.append(taken[at])
        taken[at] += 1
    if natural != flat:
        place = dict(zip(natural, range(len(natural)), strict=True))
        columns.shifts = [place[k] - here for here, k in enumerate(flat)]
    _split_states(columns, records)
    if any(record[7] is not None for record in records):
        columns.wall_ms = [record[7] for record in records]
    if any(record[8] != 0 for record in records):
        columns.waited_ms = [record[8] for record in records]
    return columns


def join(columns: Columns) -> list[Record]:
    """The records of `columns`, which must have passed `check`."""
    count = columns.count
    wall = columns.wall_ms or [None] * count
    waited = columns.waited_ms or [0] * count
    if columns.state_codes is None:
        quality, reason = columns.states[0] if columns.states else State("good", "")
        qualities, reasons = [quality] * count, [reason] * count
    else:
        qualities = [columns.states[code][0] for code in columns.state_codes]
        reasons = [columns.states[code][1] for code in columns.state_codes]
    rows: list[tuple[str, Value, str, str, int]] = []
    for s in columns.series:
        rows += zip(repeat(s.channel), s.values, repeat(s.unit), repeat(s.boot), s.mono_ms)
    return [
        Record(*rows[k], quality, reason, wall_ms, waited_ms)
        for k, quality, reason, wall_ms, waited_ms in zip(
            _order(columns), qualities, reasons, wall, waited, strict=True
        )
    ]


def last(columns: Columns) -> Record:
    """The last record of `columns`, without building the others. `columns` must hold one at least."""
    if columns.shifts is None:
        ranks = _boot_ranks(columns)
        series = columns.series
        at = max(range(len(series)), key=lambda i: (ranks[i], _last(series[i].mono_ms), i))
        mono_ms, value = _last(series[at].mono_ms), _last(series[at].values)
    else:
        k = _order(columns)[-1]
        at = 0
        while k >= len(columns.series[at].values):
            k -= len(columns.series[at].values)
            at += 1
        mono_ms, value = columns.series[at].mono_ms[k], columns.series[at].values[k]
    s = columns.series[at]
    code = columns.state_codes[-1] if columns.state_codes is not None else 0
    quality, reason = columns.states[code]
    wall = columns.wall_ms[-1] if columns.wall_ms is not None else None
    waited = columns.waited_ms[-1] if columns.waited_ms is not None else 0
    return Record(s.channel, value, s.unit, s.boot, mono_ms, quality, reason, wall, waited)


def check(columns: Columns) -> Columns:
    """Give back `columns` if they are those of records that `record.check` would pass, else raise `ColumnsError`.

    All checks run over whole lists in C, because the server does this before it acknowledges.
    """
    if not 0 < columns.count <= MAX_COUNT:
        raise ColumnsError(f"{columns.count} records, must be 1 to {MAX_COUNT}")
    if sum(len(s.values) for s in columns.series) != columns.count:
        raise ColumnsError("the series do not add up to the count")
    for s in columns.series:
        _check_series(s)
    for state in columns.states:
        if state.quality not in QUALITIES:
            raise ColumnsError(f"unknown quality {state.quality!r:.40}")
        _check_name(state.reason)
    _check_codes(columns.state_codes, len(columns.states), columns.count)
    if not columns.states:
        raise ColumnsError("no state")
    if columns.shifts is not None:
        places = [here + shift for here, shift in enumerate(columns.shifts)]
        if sorted(places) != list(range(columns.count)):
            raise ColumnsError("the shifts are no order")
    for name, column, least in (("wall_ms", columns.wall_ms, -MAX_TIME_MS), ("waited_ms", columns.waited_ms, 0)):
        if column is not None:
            if len(column) != columns.count:
                raise ColumnsError(f"{name} has {len(column)} entries for {columns.count} records")
            _check_range(name, [number for number in column if number is not None], least)
    return columns


def newest(columns: Columns) -> Iterable[Newest]:
    """The last value of each series."""
    for s in columns.series:
        yield Newest(s.channel, s.unit, s.boot, _last(s.mono_ms), _last(s.values))


def _split_states(columns: Columns, records: Sequence[Record]) -> None:
    first = records[0][5:7] if records else ("good", "")
    if all(record[5:7] == first for record in records):
        columns.states = [State(*first)]
        return
    table: dict[State, int] = {}
    columns.state_codes = [table.setdefault(State(record[5], record[6]), len(table)) for record in records]
    columns.states = list(table)


def _boot_ranks(columns: Columns) -> list[int]:
    boots: dict[str, int] = {}
    return [boots.setdefault(s.boot, len(boots)) for s in columns.series]


def _natural(columns: Columns) -> list[int]:
    """The natural order: numbers of the records as they lie in the series one after the other."""
    series = columns.series
    if len(series) == 1 and (times := list(series[0].mono_ms)) == sorted(times):
        return list(range(columns.count))
    width = len(series)
    keys: list[int] = []
    for at, (rank, s) in enumerate(zip(_boot_ranks(columns), series, strict=True)):
        base = (rank << 53) * width + at
        keys += [mono * width + base for mono in s.mono_ms]
    return sorted(range(len(keys)), key=keys.__getitem__)


def _order(columns: Columns) -> list[int]:
    natural = _natural(columns)
    if columns.shifts is None:
        return natural
    return [natural[here + shift] for here, shift in enumerate(columns.shifts)]


def _last(column: Sequence[Any]) -> Any:
    return column.last() if isinstance(column, Ints | Bools | Decimals) else column[-1]


def _check_series(s: Series) -> None:
    if not s.values or len(s.values) != len(s.mono_ms):
        raise ColumnsError("a series is empty or its columns differ in length")
    for name in (s.boot, s.channel, s.unit):
        _check_name(name)
    if not s.channel:
        raise ColumnsError("a series has no channel")
    _check_range("mono_ms", s.mono_ms, 0)
    if isinstance(s.values, Bools | Decimals):
        return  # whatever they hold is finite and a truth value or a float
    kinds = {int} if isinstance(s.values, Ints) else set(map(type, s.values))
    for kind in kinds:
        _check_kind(s, kind)


def _check_kind(s: Series, kind: type) -> None:
    mine = s.values if isinstance(s.values, Ints) else [v for v in s.values if type(v) is kind]
    if kind is float:
        if not all(map(math.isfinite, mine)):
            raise ColumnsError(f"{s.channel:.80}: a value is not a finite number")
        if 0.0 in mine and any(v == 0.0 and math.copysign(1.0, v) < 0 for v in mine):
            raise ColumnsError(f"{s.channel:.80}: a value is minus zero")
    elif kind is int:
        low, high = _bounds(mine)
        if low < -(2**63) or high >= 2**63:
            raise ColumnsError(f"{s.channel:.80}: a value does not fit in 64 bits")
    elif kind is str:
        if any(_utf8_length(str(v)) > MAX_TEXT_BYTES for v in mine):
            raise ColumnsError(f"{s.channel:.80}: a text is longer than {MAX_TEXT_BYTES} bytes")
    elif kind is not bool and kind is not type(None):
        raise ColumnsError(f"{s.channel:.80}: a value is a {kind.__name__}")


def _bounds(numbers: Sequence[Any]) -> tuple[int, int]:
    return numbers.within() if isinstance(numbers, Ints) else (min(numbers), max(numbers))


def _check_name(name: str) -> None:
    if type(name) is not str or _utf8_length(name) > MAX_NAME_BYTES:
        raise ColumnsError(f"{name!r:.40}: must be text of at most {MAX_NAME_BYTES} bytes")


def _check_range(name: str, numbers: Sequence[Any], least: int) -> None:
    if not isinstance(numbers, Ints) and set(map(type, numbers)) - {int}:
        raise ColumnsError(f"{name} must be whole numbers")
    if len(numbers):
        low, high = _bounds(numbers)
        if (low < least or high > MAX_TIME_MS) and isinstance(numbers, Ints):
            low, high = _bounds(numbers.tolist())
        if low < least or high > MAX_TIME_MS:
            raise ColumnsError(f"{name} must lie between {least} and {MAX_TIME_MS}")


def _check_codes(codes: list[int] | None, table: int, count: int) -> None:
    if codes is None:
        return
    if len(codes) != count or set(map(type, codes)) - {int} or min(codes) < 0 or max(codes) >= table:
        raise ColumnsError("a column of codes does not fit its table")


def _utf8_length(text: str) -> int:
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise ColumnsError("a text is not valid Unicode") from None
