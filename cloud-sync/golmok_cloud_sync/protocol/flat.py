"""Columns as blocks of bytes, and back: what codec 1 compresses.

The blocks are the header (a u32 of its length before it), then the byte planes of each group of integers, then
the 8-byte raw values. A group holds the residuals (`ints.py`) of all columns that say the same sort of thing and
need the same number of bytes: first the times, then the values, then the rest, each the narrow ones first. Like
lies by like, so that each block gets a code of its own from the compressor.

The header is JSON, all lists so that it stays small:
`[count, boots, texts, states, series, shifts, codes, wall, waited]`. A column of integers is
`[bytes a number, *prediction]`; a series is `[n, boot, channel, unit, times, kind, column]`, with `times` a column or
the number of an earlier series that has the very same times. Where values of several kinds occur, a column of
their numbers and then `kind, column, n` of each stand in the place of the last two.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

from .columns import MAX_COUNT, Columns, Series, State
from .ints import Bools, Decimals, Ints, from_planes, predict, to_planes, width_of
from .record import QUALITIES, Value

Column: TypeAlias = list[int]
"""`[bytes a number, *prediction]` in the header."""

_EXACT: Final = 2**53
"""Integers up to here are floats too, and their differences fit in 64 bits."""
_POWERS: Final = tuple(10.0**e for e in range(10))

# What a column says; the order of the groups.
_TIMES, _VALUES, _REST = 0, 1, 2
# Kinds of value: a decimal is its exponent, 0 to 9.
_NONE, _BOOL, _INT, _TEXT, _FLOAT, _WIDE = -1, -2, -3, -4, -5, -6
_RAW: Final = {_FLOAT: "d", _WIDE: "q"}


def write(columns: Columns) -> list[bytes]:
    """The blocks that stand for `columns`."""
    out = _Writer()
    boots: dict[str, int] = {}
    times: dict[tuple[int, ...], int] = {}
    series = []
    for at, s in enumerate(columns.series):
        same = times.setdefault(tuple(s.mono_ms), at)
        time = same if same != at else out.ints(_TIMES, s.mono_ms)
        boot = boots.setdefault(s.boot, len(boots))
        series.append([len(s.values), boot, s.channel, s.unit, time, *_write_values(s.values, out)])
    head = [
        columns.count,
        list(boots),
        list(out.texts),
        [[QUALITIES.index(state.quality), state.reason] for state in columns.states],
        series,
        out.optional(columns.shifts),
        out.optional(columns.state_codes),
        out.sparse(columns.wall_ms),
        out.sparse(columns.waited_ms),
    ]
    header = json.dumps(head, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return [len(header).to_bytes(4, "little") + header, *out.blocks()]


def read(raw: bytes) -> Columns:
    """Columns of the joined blocks; not yet checked. Raises ValueError, LookupError, TypeError on what is not ours."""
    begin = 4 + int.from_bytes(raw[:4], "little")
    head = json.loads(raw[4:begin])
    count, boots, texts, states, series, shifts, codes, wall, waited = head
    reader = _Reader(raw, begin, texts)
    reader.open(list(_specs(head)))
    rows: list[Series] = []
    for n, boot, channel, unit, time, *parts in series:
        mono = rows[_index(time, len(rows))].mono_ms if type(time) is int else reader.next(n)
        if len(mono) != n:
            raise ValueError("a series' times do not add up")
        rows.append(Series(boots[_index(boot, len(boots))], channel, unit, mono, _read_values(n, parts, reader)))
    columns = Columns(_index(count, MAX_COUNT + 1), rows)
    columns.shifts = reader.next(count).tolist() if shifts is not None else None
    columns.state_codes = reader.next(count).tolist() if codes is not None else None
    columns.wall_ms = reader.sparse(count) if wall is not None else None
    columns.waited_ms = reader.sparse(count) if waited is not None else None
    columns.states = [State(QUALITIES[_index(quality, 3)], reason) for quality, reason in states]
    reader.close()
    return columns


@dataclass(slots=True)
class _Writer:
    """Gathers what goes behind the header while the header is made."""

    groups: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    raw: bytearray = field(default_factory=bytearray)
    texts: dict[str, int] = field(default_factory=dict)

    def ints(self, role: int, numbers: Sequence[int]) -> Column:
        prediction, residuals = predict(numbers)
        width = width_of(residuals)
        if width:
            self.groups.setdefault((role, width), []).extend(residuals)
        return [width, *prediction]

    def optional(self, numbers: Sequence[int] | None) -> Column | None:
        return None if numbers is None else self.ints(_REST, numbers)

    def sparse(self, numbers: Sequence[int | None] | None) -> list[Any] | None:
        """Presence of each, then those that are there, and their count."""
        if numbers is None:
            return None
        presence = self.ints(_REST, [int(number is not None) for number in numbers])
        there = [number for number in numbers if number is not None]
        return [presence, self.ints(_REST, there), len(there)]

    def blocks(self) -> Iterator[bytes]:
        for (_, width), numbers in sorted(self.groups.items()):
            yield from to_planes(numbers, width)
        yield bytes(self.raw)


@dataclass(slots=True)
class _Reader:
    """Hands out what stands behind the header, and never more than is there."""

    raw: bytes
    at: int
    texts: list[str]
    columns: Iterator[Ints] = field(default_factory=lambda: iter(()))

    def open(self, specs: list[tuple[int, int, Column]]) -> None:
        """Unpack all columns of integers, in the order of the header."""
        sizes: dict[tuple[int, int], int] = {}
        for role, n, column in specs:
            if _index(n, MAX_COUNT + 1) and _index(width := column[0], 9):
                sizes[role, width] = sizes.get((role, width), 0) + n
        groups = {key: from_planes(self.take(n * key[1]), n, key[1]) for key, n in sorted(sizes.items())}
        used = dict.fromkeys(groups, 0)
        found = []
        for role, n, (width, *prediction) in specs:
            if not width:
                found.append(Ints(prediction, [0] * n))
                continue
            start = used[role, width]
            used[role, width] = start + n
            found.append(Ints(prediction, groups[role, width][start : start + n]))
        self.columns = iter(found)

    def take(self, size: int) -> bytes:
        piece = self.raw[self.at : self.at + size]
        if len(piece) != size:
            raise ValueError("the payload is cut short")
        self.at += size
        return piece

    def next(self, n: int) -> Ints:
        numbers = next(self.columns)
        if len(numbers) != n:
            raise ValueError(f"a column has {len(numbers)} entries where {n!r:.20} belong")
        return numbers

    def sparse(self, count: int) -> list[int | None]:
        presence, there = self.next(count).tolist(), next(self.columns)
        if presence.count(1) != len(there) or presence.count(0) != count - len(there):
            raise ValueError("a sparse column does not add up")
        numbers = iter(there)
        return [next(numbers) if flag else None for flag in presence]

    def close(self) -> None:
        if self.at != len(self.raw):
            raise ValueError("bytes follow the end")


def _specs(head: list[Any]) -> Iterator[tuple[int, int, Column]]:
    """Role, length and column of each list of integers in the header, in the order in which `read` asks for them."""
    count, _, _, _, series, shifts, codes, wall, waited = head
    for n, _, _, _, time, *parts in series:
        if type(time) is list:
            yield _TIMES, n, time
        if len(parts) == 2:
            parts = [*parts, n]
        else:
            yield _REST, n, parts[0]
            parts = parts[1:]
        for kind, column, m in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            if kind not in _RAW and kind != _NONE:
                yield _VALUES, m, column
    for column in (shifts, codes):
        if column is not None:
            yield _REST, count, column
    for sparse in (wall, waited):
        if sparse is not None:
            yield _REST, count, sparse[0]
            yield _REST, sparse[2], sparse[1]


def _index(number: Any, below: int) -> int:
    if type(number) is not int or not 0 <= number < below:
        raise ValueError(f"{number!r:.40} is out of range")
    return number


# --- values -----------------------------------------------------------------------------------------------------


def _write_values(values: Sequence[Value], out: _Writer) -> list[Any]:
    if plain := _plain_decimals(values):
        exponent, numbers = plain
        return [exponent, out.ints(_VALUES, numbers)]
    kinds, mantissas = _kinds(values)
    names = list(dict.fromkeys(kinds))
    if len(names) == 1:
        return [names[0], _write_kind(names[0], values, mantissas, out)]
    codes = {kind: at for at, kind in enumerate(names)}
    parts: list[Any] = [out.ints(_REST, [codes[kind] for kind in kinds])]
    for name in names:
        mine = [v for v, kind in zip(values, kinds, strict=True) if kind == name]
        parts += name, _write_kind(name, mine, mantissas, out), len(mine)
    return parts


def _plain_decimals(values: Sequence[Value]) -> tuple[int, list[int]] | None:
    """The common case made quick: all are floats with a few decimals. Their exponent and mantissas, else None."""
    if set(map(type, values)) != {float}:
        return None
    floats = cast("Sequence[float]", values)
    exponent = max(map(_decimal_places, floats[:4]))
    power = _POWERS[exponent]
    if not -_EXACT / power < min(floats) <= max(floats) < _EXACT / power:
        return None
    numbers = [round(v * power) for v in floats]
    return (exponent, numbers) if [number / power for number in numbers] == floats else None


def _write_kind(kind: int, values: Sequence[Any], mantissas: dict[float, int], out: _Writer) -> Column:
    if kind == _NONE:
        return []
    if kind in _RAW:
        out.raw += array(_RAW[kind], values).tobytes()
        return []
    if kind == _TEXT:
        return out.ints(_VALUES, [out.texts.setdefault(v, len(out.texts)) for v in values])
    if kind >= 0:
        return out.ints(_VALUES, [mantissas[v] for v in values])
    return out.ints(_VALUES, list(map(int, values)))


def _kinds(values: Sequence[Value]) -> tuple[list[int], dict[float, int]]:
    """The kind of each value, and the mantissa of each float that is a decimal."""
    floats = [v for v in values if type(v) is float]
    exponent, mantissas = _decimals(floats) if floats else (0, {})
    if len(floats) == len(values) and all(map(mantissas.__contains__, floats)):
        return [exponent] * len(values), mantissas
    return [_kind(v, exponent if v in mantissas else _FLOAT) for v in values], mantissas


def _kind(value: Value, of_float: int) -> int:
    match value:
        case None:
            return _NONE
        case bool():
            return _BOOL
        case float():
            return of_float
        case int():
            return _INT if -_EXACT <= value <= _EXACT else _WIDE
        case str():
            return _TEXT


def _decimals(floats: list[float]) -> tuple[int, dict[float, int]]:
    """One exponent for as many of `floats` as have at most 9 decimals, and their mantissas."""
    exponent = max(map(_decimal_places, floats[:4]))
    mantissas = _mantissas(floats, exponent)
    rest = [v for v in floats if v not in mantissas]
    if rest and (higher := max(map(_decimal_places, rest))) > exponent:
        exponent, mantissas = higher, _mantissas(floats, higher)
    return exponent, mantissas


def _decimal_places(number: float) -> int:
    """Digits behind the point in the shortest text of `number`; 0 if there are none, or more than 9."""
    text = repr(number)
    if "e" in text or text.endswith(".0"):
        return 0
    places = len(text) - text.index(".") - 1
    return places if places < len(_POWERS) else 0


def _mantissas(floats: list[float], exponent: int) -> dict[float, int]:
    power = _POWERS[exponent]
    most = _EXACT / power
    return {v: m for v in set(floats) if -most < v < most and (m := round(v * power)) / power == v}


def _read_values(n: int, parts: list[Any], reader: _Reader) -> Sequence[Value]:
    if len(parts) == 2:
        return _read_kind(parts[0], n, reader)
    numbers = reader.next(n).tolist()
    kinds, sizes = parts[1::3], parts[3::3]
    if sizes != [numbers.count(at) for at in range(len(kinds))]:
        raise ValueError("a series' values do not add up")
    pools = [iter(_read_kind(kind, size, reader)) for kind, size in zip(kinds, sizes, strict=True)]
    return [next(pools[_index(number, len(pools))]) for number in numbers]


def _read_kind(kind: int, n: int, reader: _Reader) -> Sequence[Value]:
    if kind == _NONE:
        return [None] * n
    if kind in _RAW:
        return array(_RAW[kind], reader.take(8 * n)).tolist()
    numbers = reader.next(n)
    if kind == _INT:
        return numbers
    if kind == _TEXT:
        return [reader.texts[_index(number, len(reader.texts))] for number in numbers]
    if kind == _BOOL:
        return Bools(numbers)
    return Decimals(numbers, _POWERS[_index(kind, len(_POWERS))])
