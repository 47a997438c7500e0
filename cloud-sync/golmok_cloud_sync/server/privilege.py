"""Who may go before all others: what says it is urgent must be so, and there is a limit to how much of it one may have.

Else the word would be a way around the queue. Who goes too far is not refused; he waits like everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from golmok_cloud_sync.protocol import LANE_HEADER, MAX_URGENT, URGENT, URGENT_STREAMS, Part

BURST: Final = 512 << 10
"""Bytes that a gateway may send before others at once."""
BYTES_PER_S: Final = 32 << 10
"""And how many it may go on to send."""
_LEAST: Final = 1 << 10
"""What a request counts at least."""
_LANE: Final = LANE_HEADER.lower().encode()
_URGENT: Final = URGENT.encode()


def claims(headers: Mapping[bytes, bytes], length: int | None) -> bool:
    """Whether a request says that it is urgent, and is small enough for that."""
    return headers.get(_LANE) == _URGENT and length is not None and length <= MAX_URGENT


def deserves(parts: Iterable[Part]) -> bool:
    """Whether it is true."""
    return all(part.stream in URGENT_STREAMS for part in parts)


@dataclass(slots=True)
class Allowance:
    """How much each gateway may still send before others."""

    _left: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Bytes at a moment."""

    def take(self, gateway: str, size: int, now_s: float) -> bool:
        """Whether `gateway` may send `size` bytes before others."""
        left, at_s = self._left.get(gateway, (BURST, now_s))
        left = min(BURST, left + (now_s - at_s) * BYTES_PER_S)
        size = max(size, _LEAST)
        may = size <= left
        self._left[gateway] = (left - size if may else left, now_s)
        return may
