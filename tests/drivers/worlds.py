"""Worlds for twins under test."""

from __future__ import annotations

from golmok_drivers.api import Value


class StillWorld:
    """A world in which nothing moves; keeps what was given."""

    def __init__(self, *faults: str, **felt: float) -> None:
        self.felt = felt
        self.faults = faults
        self.given: list[tuple[str, Value]] = []
        self.at_s = 0.0

    def now_s(self) -> float:
        return self.at_s

    def part_s(self) -> float:
        return self.at_s

    def passes(self, seconds: float) -> None:
        self.at_s += seconds

    def feel(self, quantity: str) -> float:
        return self.felt[quantity]

    def has(self, fault: str) -> bool:
        return fault in self.faults

    def random(self) -> float:
        return 0.5

    def give(self, quantity: str, value: Value) -> None:
        self.given.append((quantity, value))
