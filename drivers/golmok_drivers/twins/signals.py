"""What a sensor feels: signals that obey physics, the same at every run for the same seed and time.

Time `t` is in seconds since the midnight before the simulation began, so that a daily curve needs no calendar.
A signal with a memory (a fridge, a lag) is computed on a fixed grid from the beginning, so that what it says
at a time does not depend on who asked before.

Each class is one kind of a scenario's signal table; its fields are the table's keys.
"""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec

from golmok_drivers.errors import ScenarioError

Curve: TypeAlias = Callable[[float], float]
"""What is felt at a time."""

DAY_S = 86_400.0
_FRIDGE_STEP_S = 2.0


class Stage(NamedTuple):
    """Where a signal plays: what its randomness is seeded with, when all began, where its files lie, and who
    else is there (`openings` gives the door signal of another device)."""

    key: str
    begin_s: float
    base: Path
    openings: Callable[[str], Curve]


class _Table(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """What every kind of signal may have: a slow sensor (`lag_s`), and noise (its standard deviation)."""

    lag_s: float = 0.0
    noise: float = 0.0

    def curve(self, stage: Stage) -> Curve:
        """The signal without lag and noise."""
        raise NotImplementedError


class Constant(_Table, tag="constant"):
    """Always the same."""

    value: float

    def curve(self, stage: Stage) -> Curve:
        """See `_Table.curve`."""
        return lambda t: self.value


class Steps(_Table, tag="steps"):
    """`at` is a list of [seconds since the beginning, value]; before the first its value; `repeat_s` starts over."""

    at: list[tuple[float, float]]
    repeat_s: float | None = None

    def __post_init__(self) -> None:
        if not self.at or [step[0] for step in self.at] != sorted({step[0] for step in self.at}):
            raise ValueError("`at` wants a list of [seconds, value] with rising seconds")

    def curve(self, stage: Stage) -> Curve:
        """See `_Table.curve`."""

        def value(t: float) -> float:
            since = t - stage.begin_s
            if self.repeat_s:
                since %= self.repeat_s
            passed = [level for second, level in self.at if second <= since]
            return passed[-1] if passed else self.at[0][1]

        return value


class Daily(_Table, tag="daily"):
    """A day's curve: `mean` plus and minus `swing`, highest at `peak_h` o'clock."""

    mean: float
    swing: float = 0.0
    peak_h: float = 15.0

    def curve(self, stage: Stage) -> Curve:
        """See `_Table.curve`."""
        return lambda t: self.mean + self.swing * math.cos(2 * math.pi * (t / DAY_S - self.peak_h / 24))


class Cycle(_Table, tag="cycle"):
    """A machine that runs for `duty` of each `period_s` (each time a little differently): `high` when it runs."""

    low: float = 0.0
    high: float = 1.0
    period_s: float = 600.0
    duty: float = 0.5

    def curve(self, stage: Stage) -> Curve:
        """See `_Table.curve`."""

        def value(t: float) -> float:
            turn, into = divmod(t, self.period_s)
            share = self.duty * (0.75 + 0.5 * chance(stage.key, int(turn)))
            return self.high if into < share * self.period_s else self.low

        return value


class Door(_Table, tag="door"):
    """A door, 1 while open: some `openings_per_h` an hour from `from_h` to `to_h` o'clock, each for some `open_s`."""

    openings_per_h: float = 12.0
    open_s: float = 10.0
    from_h: float = 0.0
    to_h: float = 24.0

    def curve(self, stage: Stage) -> Curve:
        """See `_Table.curve`."""
        slot_s = 3600.0 / max(self.openings_per_h, 1e-3)

        def value(t: float) -> float:
            turn, into = divmod(t, slot_s)
            start = 0.1 * slot_s + 0.5 * slot_s * chance(stage.key, int(turn), "start")
            length = min(self.open_s * (0.5 + chance(stage.key, int(turn), "length")), 0.3 * slot_s)
            in_hours = self.from_h <= ((turn * slot_s + start) % DAY_S) / 3600 < self.to_h
            return float(in_hours and start <= into < start + length)

        return value


class Fridge(_Table, tag="fridge"):
    """A fridge's air: warms towards `ambient` (much faster with the door open), a compressor with hysteresis cools.

    The time constants are those of a shop's glass-door fridge: hours when shut, about two minutes when open.
    `door` names the device whose door signal opens it; without one it has openings of its own.
    """

    setpoint: float = 4.0
    hysteresis: float = 1.5
    ambient: float = 23.0
    shut_tau_s: float = 4 * 3600.0
    open_tau_s: float = 150.0
    cooling_per_min: float = 0.6
    door: str | None = None
    openings_per_h: float = 8.0
    open_s: float = 12.0

    def curve(self, stage: Stage) -> Curve:
        """See `_Table.curve`."""
        own = Door(openings_per_h=self.openings_per_h, open_s=self.open_s)
        is_open = stage.openings(self.door) if self.door else own.curve(stage)

        def step(t: float, state: tuple[float, bool]) -> tuple[float, bool]:
            air, cooling = state
            if abs(air - self.setpoint) > self.hysteresis / 2:
                cooling = air > self.setpoint
            air += _FRIDGE_STEP_S * (self.ambient - air) / (self.open_tau_s if is_open(t) else self.shut_tau_s)
            return air - (_FRIDGE_STEP_S * self.cooling_per_min / 60 if cooling else 0.0), cooling

        grid = _Grid(stage.begin_s, _FRIDGE_STEP_S, (self.setpoint, False), step)
        return lambda t: grid.at(t)[0]


class Csv(_Table, tag="csv"):
    """A column of a CSV file (a first line with names), a row every `interval_s`; then the last row, or again."""

    file: str
    column: str
    interval_s: float = 60.0
    repeat: bool = True

    def curve(self, stage: Stage) -> Curve:
        """See `_Table.curve`."""
        rows = self._rows(stage.base / self.file)

        def value(t: float) -> float:
            row = int(max(0.0, t - stage.begin_s) / self.interval_s)
            return rows[row % len(rows) if self.repeat else min(row, len(rows) - 1)]

        return value

    def _rows(self, path: Path) -> list[float]:
        try:
            with path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                if self.column not in (reader.fieldnames or ()):
                    raise ScenarioError(f"{path}: no column {self.column!r}; there are {reader.fieldnames}")
                rows = [float(row[self.column]) for row in reader]
        except (OSError, ValueError, TypeError) as error:
            raise ScenarioError(f"{path}: column {self.column!r} cannot be played: {error}") from error
        if not rows:
            raise ScenarioError(f"{path}: has no rows")
        return rows


Signal: TypeAlias = Constant | Steps | Daily | Cycle | Door | Fridge | Csv


def felt(table: Signal, stage: Stage) -> Curve:
    """The curve of a signal table with its lag and its noise."""
    curve = table.curve(stage)
    if table.lag_s > 0:
        curve = _Lagged(curve, table.lag_s, stage.begin_s)
    if not table.noise:
        return curve
    return lambda t: curve(t) + random.Random(f"{stage.key}/{round(t * 1000)}").gauss(0.0, table.noise)  # noqa: S311


@lru_cache(maxsize=4096)
def chance(*key: object) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return random.Random("/".join(map(str, key))).random()  # noqa: S311  (a simulation, not a secret)


class _Grid:
    """A state stepped over a fixed grid from the beginning; who goes back in time starts at a mark on the way."""

    _MARK_EVERY = 512

    def __init__(self, begin_s: float, step_s: float, state: Any, step: Callable[[float, Any], Any]) -> None:
        self._begin_s, self._step_s, self._step = begin_s, step_s, step
        self._done, self._state = 0, state
        self._marks: list[Any] = []

    def at(self, t: float) -> Any:
        """The state at the last grid point before `t`."""
        wanted = max(0, int((t - self._begin_s) / self._step_s))
        if wanted < self._done:
            mark = wanted // self._MARK_EVERY
            self._done, self._state = mark * self._MARK_EVERY, self._marks[mark]
        while self._done < wanted:
            if self._done == len(self._marks) * self._MARK_EVERY:
                self._marks.append(self._state)
            self._state = self._step(self._begin_s + self._done * self._step_s, self._state)
            self._done += 1
        return self._state


class _Lagged:
    """First-order lag: a probe in its sleeve follows the air slowly.

    Forty time constants later nothing is left of what was before (e^-40), so it is computed from the beginning
    of the block of that length before the one of `t`: the cost is bounded, also after a leap of the clock.
    """

    _STEPS_PER_LAG = 20
    _BLOCK = 40 * _STEPS_PER_LAG

    def __init__(self, curve: Curve, lag_s: float, begin_s: float) -> None:
        self._curve, self._begin_s = curve, begin_s
        self._step_s = lag_s / self._STEPS_PER_LAG
        self._share = 1 - math.exp(-1 / self._STEPS_PER_LAG)
        self._start, self._done, self._value = -1, 0, 0.0

    def __call__(self, t: float) -> float:
        wanted = max(0, int((t - self._begin_s) / self._step_s))
        start = max(0, (wanted // self._BLOCK - 1) * self._BLOCK)
        if start != self._start or wanted < self._done:
            self._start, self._done, self._value = start, start, self._felt(start)
        while self._done < wanted:
            self._value += self._share * (self._felt(self._done) - self._value)
            self._done += 1
        return self._value

    def _felt(self, step: int) -> float:
        return self._curve(self._begin_s + step * self._step_s)
