"""How much of a store each stream may take, and which lane it travels in. Decides only; `store.py` acts on it.

Three lanes. Telemetry (readings, files) is refused first, and only it is ever evicted. Calm events, the gateway's own
bookkeeping, may fill half of the events' budget, so that the other half is there for alarms. Orders and alarms have
the rest: an order is refused by nothing but a disk that has no byte left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from golmok_cloud_sync.protocol.record import Record, Stream

WhenFull = Literal["drop-oldest", "refuse"]
Lane = Literal["vital", "calm", "telemetry"]

LANES: Final[tuple[Lane, ...]] = ("vital", "calm", "telemetry")
"""The most urgent first."""
TELEMETRY: Final = frozenset[Stream]({"readings", "files"})
EVICTABLE: Final = frozenset[Stream]({"readings"})
"""A file is a person's work: it is refused while there is no room, never thrown away."""
CALM: Final = ("clock.", "gateway.", "gap.", "store.", "machine.", "calibration.")
"""Events of which nobody is in a hurry to hear: a thousand gateways that start together must not all call at once."""
UNLIMITED: Final = 1 << 53
_LEAST_STEP, _MOST_STEP = 16 << 10, 1 << 20


@dataclass(frozen=True, slots=True)
class Budgets:
    """What the streams of one store may take on disk, and what happens when readings take more."""

    max_bytes: int = UNLIMITED
    """Of all together. What the others leave of it is for orders, which have no budget."""
    readings: int = UNLIMITED
    files: int = UNLIMITED
    events: int = UNLIMITED
    when_full: WhenFull = "drop-oldest"
    is_only_copy: bool = False
    """There is no cloud: a disk that others have filled must not cost what lies nowhere else."""

    def limit(self, stream: Stream, *, is_calm: bool = False) -> int:
        """The most bytes of `stream`."""
        match stream:
            case "readings":
                return self.readings
            case "files":
                return self.files
            case "events":
                return self.events // 2 if is_calm else self.events
        return UNLIMITED

    def step(self, stream: Stream) -> int:
        """So much is freed at once, and so much must be free again before a refusal ends: not a row at a time."""
        limit = self.limit(stream)
        return min(_MOST_STEP, limit // 8, max(_LEAST_STEP, limit // 32))


def is_calm(record: Record) -> bool:
    """Whether an event is the gateway's own bookkeeping."""
    return record.channel.startswith(CALM)


def lane_of(batch: Iterable[tuple[Stream, Sequence[Record]]]) -> Lane:
    """The lane of what is stored together: that of the most urgent of it."""
    lane: Lane = "telemetry"
    for stream, records in batch:
        if stream == "orders" or (stream == "events" and not all(map(is_calm, records))):
            return "vital"
        if stream == "events":
            lane = "calm"
    return lane
