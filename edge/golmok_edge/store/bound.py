"""A size that is too dear to measure at each commit: how large it can be at most by now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

UNKNOWN: Final = 1 << 62
"""More than anything is."""


class Bound:
    """An upper bound of what `measure` gives, which only grows by what `grow` is told of."""

    def __init__(self, measure: Callable[[], int]) -> None:
        self._measure = measure
        self.most = UNKNOWN

    def grow(self, most: int) -> None:
        """It may have grown by so much at most."""
        self.most += most

    def is_at_most(self, limit: int) -> bool:
        """Whether it is; measured only where the bound does not say so, and then `most` is what it is."""
        if self.most > limit:
            self.most = self._measure()
        return self.most <= limit
