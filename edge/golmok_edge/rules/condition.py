"""What a condition takes in and what it says: the border between the kinds of rules and the alarm they share."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

Value: TypeAlias = bool | int | float | str | None
Memory: TypeAlias = dict[str, Any]
"""Plain JSON."""


class Seen(NamedTuple):
    """A reading, as rules see it."""

    channel: str
    value: Value
    is_good: bool
    at_ms: int
    """By a clock that never falls, the same for all."""


class Look(NamedTuple):
    """How things are."""

    state: Literal["right", "between", "wrong", "unknown"]
    """`between`: no reason for a new alarm, and none to end one. `unknown`: neither, and no time counts."""
    what: str = ""
    """The code of what is wrong."""
    value: Value = None
    limit: float | None = None
    channel: str = ""
    """Where, if the rule watches several."""
    at_once: bool = False
    """Nothing to wait for, and critical whatever the rule says."""


RIGHT: Final = Look("right")
BETWEEN: Final = Look("between")
UNKNOWN: Final = Look("unknown")


class Condition(Protocol):
    """One kind of rule. It knows time only by how much of it passes."""

    @property
    def channels(self) -> tuple[str, ...]:
        """What it wants to see."""

    def see(self, seen: Seen) -> None:
        """Something was measured on one of its channels."""

    def pass_time(self, for_ms: int) -> None:
        """So much time has passed."""

    def look(self) -> Look:
        """How things are now."""

    def memory(self) -> Memory:
        """What to remember over a restart."""

    def recall(self, memory: Memory) -> None:
        """What was remembered; raises ValueError, KeyError or TypeError when it cannot be understood."""


def number(seen: Seen) -> float | None:
    """The value if it is a number that may be believed."""
    value = seen.value
    if not seen.is_good or isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value)


class Fresh:
    """How old the last value that may be believed is, and whether it still counts."""

    __slots__ = ("_age_ms", "_most_ms")

    def __init__(self, most_ms: int | None) -> None:
        """`most_ms`: longer than this nothing is known any more; None: it counts until the next one."""
        self._most_ms, self._age_ms = most_ms, 0

    def touch(self) -> None:
        """One has come."""
        self._age_ms = 0

    def pass_time(self, for_ms: int) -> None:
        """So much time has passed."""
        self._age_ms += for_ms

    @property
    def is_stale(self) -> bool:
        """Whether the last value is too old."""
        return self._most_ms is not None and self._age_ms > self._most_ms
