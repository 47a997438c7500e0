"""Records seen as columns: what both codecs write down.

A run of records is split into series, one for each (boot, channel, unit); what is the same in nearly all records
(quality, the source's own time, waiting) is kept beside them and left out where it says nothing. Of
their order only what differs from the natural one is kept: by boot, time, and the first appearance of a series.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, repeat, starmap
from operator import add
from typing import Any, Final, NamedTuple, cast

from .ints import Bools, Decimals, Ints
from .record import MAX_NAME_BYTES, MAX_TEXT_BYTES, MAX_TIME_MS, QUALITIES, Quality, Record, Value

MAX_COUNT: Final = 10_000
"""Most records in one frame."""


_record_of = cast("Callable[[tuple[Any, ...]], Record]", partial(tuple.__new__, Record))
"""`Record._make` without its check of the length, which costs three times as much."""


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
    """Columns of `records` (one at least), which must have passed `record.check`."""
    channels, values, units, boots, monos, qualities, reasons, walls, waits = zip(*records, strict=True)
    keys = list(zip(boots, channels, units, strict=True))
    index = {key: at for at, key in enumerate(dict.fromkeys(keys))}
    ids = list(map(index.__getitem__, keys))
    times: list[list[int]] = [[] for _ in index]
    said: list[list[Value]] = [[] for _ in index]
    for at, mono_ms, value in zip(ids, monos, values, strict=True):
        times[at].append(mono_ms)
        said[at].append(value)
    columns = Columns(len(records), list(map(Series, *zip(*index, strict=True), times, said)))
    columns.shifts = _shifts(columns, ids, monos)
    if len(set(qualities)) == 1 and len(set(reasons)) == 1:
        columns.states = [State(qualities[0], reasons[0])]
    else:
        pairs = list(zip(qualities, reasons, strict=True))
        table = {pair: code for code, pair in enumerate(dict.fromkeys(pairs))}
        columns.state_codes = list(map(table.__getitem__, pairs))
        columns.states = list(starmap(State, table))
    columns.wall_ms = list(walls) if set(walls) != {None} else None
    columns.waited_ms = list(waits) if set(waits) != {0} else None
    return columns


def join(columns: Columns) -> list[Record]:
    """The records of `columns`, which must have passed `check`."""
    state = columns.states[0]
    rows: list[tuple[Any, ...]] = []
    for s in columns.series:
        always = map(repeat, (*state, None, 0))
        rows += zip(repeat(s.channel), s.values, repeat(s.unit), repeat(s.boot), s.mono_ms, *always)
    rows = [rows[k] for k in _order(columns)]
    if columns.state_codes or columns.wall_ms or columns.waited_ms:
        count = columns.count
        states = [columns.states[code] for code in columns.state_codes or [0] * count]
        wall, waited = columns.wall_ms or [None] * count, columns.waited_ms or [0] * count
        rows = [(*row[:5], *state, w, d) for row, state, w, d in zip(rows, states, wall, waited, strict=True)]
    return list(map(_record_of, rows))


def last(columns: Columns) -> Record:
    """The last record of `columns`, without building the others if it is the last in the natural order too."""
    series = columns.series
    if columns.shifts is None or columns.shifts[-1] == 0:
        ranks = _boot_ranks(columns)
        at = max(range(len(series)), key=lambda i: (ranks[i], _last(series[i].mono_ms), i))
        mono_ms, value = _last(series[at].mono_ms), _last(series[at].values)
    else:
        k, at = _order(columns)[-1], 0
        while k >= len(series[at].values):
            k -= len(series[at].values)
            at += 1
        mono_ms, value = series[at].mono_ms[k], series[at].values[k]
    s = series[at]
    quality, reason = columns.states[columns.state_codes[-1] if columns.state_codes else 0]
    wall = columns.wall_ms[-1] if columns.wall_ms else None
    waited = columns.waited_ms[-1] if columns.waited_ms else 0
    return Record(s.channel, value, s.unit, s.boot, mono_ms, quality, reason, wall, waited)


def check(columns: Columns) -> Columns:
    """Give back `columns` if they are those of records that `record.check` would pass, else raise `ColumnsError`.

    All checks run over whole lists in C, because the server does this before it acknowledges.
    """
    if not 0 < columns.count <= MAX_COUNT:
        raise ColumnsError(f"{columns.count} records, must be 1 to {MAX_COUNT}")
    names = {name for s in columns.series for name in (s.boot, s.channel, s.unit)}
    for name in names:
        _check_name(name)
    if sum(map(_check_series, columns.series)) != columns.count:
        raise ColumnsError("the series do not add up to the count")
    for state in columns.states:
        if state.quality not in QUALITIES:
            raise ColumnsError(f"unknown quality {state.quality!r:.40}")
        _check_name(state.reason)
    _check_codes(columns.state_codes, len(columns.states), columns.count)
    if not columns.states:
        raise ColumnsError("no state")
    if columns.shifts is not None:
        places = list(map(add, columns.shifts, range(columns.count)))
        if len(set(places)) != columns.count or min(places) != 0 or max(places) != columns.count - 1:
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


def _shifts(columns: Columns, ids: Sequence[int], monos: Sequence[int]) -> list[int] | None:
    """What the records' order differs from the natural one; `ids` are the numbers of their series."""
    ranks, width = _boot_ranks(columns), len(columns.series)
    if width == 1 or len(set(ranks)) == 1:
        keys = [mono_ms * width + at for at, mono_ms in zip(ids, monos, strict=True)]
    else:
        keys = [(ranks[at] << 53 | mono_ms) * width + at for at, mono_ms in zip(ids, monos, strict=True)]
    if keys == sorted(keys):
        return None
    starts = list(accumulate((len(s.values) for s in columns.series), initial=0))
    flat = []
    for at in ids:
        flat.append(starts[at])
        starts[at] += 1
    natural = _natural(columns)
    place = dict(zip(natural, range(len(natural)), strict=True))
    return [place[k] - here for here, k in enumerate(flat)]


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
    return [natural[place] for place in map(add, columns.shifts, range(columns.count))]


def _last(column: Sequence[Any]) -> Any:
    return column.last() if isinstance(column, Ints | Bools | Decimals) else column[-1]


def _check_series(s: Series) -> int:
    """How many records it holds."""
    count = len(s.values)
    if not count or count != len(s.mono_ms):
        raise ColumnsError("a series is empty or its columns differ in length")
    if not s.channel:
        raise ColumnsError("a series has no channel")
    _check_range("mono_ms", s.mono_ms, 0)
    if not isinstance(s.values, Bools | Decimals):  # whatever those hold is finite and a truth value or a float
        for kind in {int} if isinstance(s.values, Ints) else set(map(type, s.values)):
            _check_kind(s, kind)
    return count


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
    if isinstance(numbers, Ints):
        low, high = numbers.within()
        if least <= low and high <= MAX_TIME_MS:
            return
        numbers = numbers.tolist()
    if set(map(type, numbers)) - {int}:
        raise ColumnsError(f"{name} must be whole numbers")
    if numbers and not least <= min(numbers) <= max(numbers) <= MAX_TIME_MS:
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
