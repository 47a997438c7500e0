"""Compare-and-set on a stream's next seq: how one end decides, and how the other learns.

The receiver keeps for each (gateway, store, epoch, stream) the next seq it wants and the CRC of the last record
it has. A part is taken only if it starts exactly there and names that CRC. That, and nothing kept about batches,
makes delivery exactly-once however often parts are lost, doubled or cut anew (measured against a unique key per
batch, which lost and doubled one record in ten).

When the CRCs differ, the card was cloned or rolled back: a fork. `ForkSearch` finds the last common record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

FIRST_SEQ: Final = 1
MAX_PROBES: Final = 256
"""Most seqs of a stream that one request may ask the CRCs of."""


class StreamState(NamedTuple):
    """What the receiver has of a stream."""

    next_seq: int = FIRST_SEQ
    last_crc: int = 0
    """CRC of record `next_seq - 1`; 0 before the first."""


class Verdict(StrEnum):
    """What the receiver makes of a part."""

    APPLY = "applied"
    DUPLICATE = "duplicate"
    """All of it is here already. A frame is acknowledged if the stored records `lo - 1` and `hi - 1` are its own
    (where still known; a void in the place of `hi - 1` is not); else it is a fork: a cloned card counts on from the
    same number with other records. A void is acknowledged."""
    RECUT = "recut"
    """The first records are here already: cut it anew at next_seq."""
    GAP = "gap"
    """Records before it are missing: send from next_seq."""
    FORK = "fork"
    """It follows on another record than the one that is here."""
    REFUSED = "refused"
    """It is damaged or does not decode; its sender must mend it or void it."""
    BUSY = "busy"
    """Not looked at: send it again later."""


ACKNOWLEDGED: Final = frozenset({Verdict.APPLY, Verdict.DUPLICATE})


def judge(state: StreamState, lo: int, hi: int, prev_crc: int | None) -> Verdict:
    """What to make of records `lo` to `hi - 1` that follow on a record with `prev_crc` (None: not told)."""
    if lo > state.next_seq:
        return Verdict.GAP
    if lo == state.next_seq:
        return Verdict.APPLY if prev_crc in (None, state.last_crc) else Verdict.FORK
    return Verdict.DUPLICATE if hi <= state.next_seq else Verdict.RECUT


def is_rolled_back(state: StreamState, tail: int) -> bool:
    """Whether a sender whose last record is `tail` has lost records that are here already."""
    return tail + 1 < state.next_seq


@dataclass(slots=True)
class ForkSearch:
    """Finds the last record that both ends have, by comparing CRCs: first the checkpoints, then ever closer.

    `own_crc` gives this end's CRC of a seq, or None where it no longer knows. Where either end does not know, the
    seq is passed over; the search then ends at the last record known to be common.
    """

    own_crc: Callable[[int], int | None]
    common: int = 0
    """The highest seq known to be common; 0 stands before all records."""
    apart: int = 0
    """The lowest seq known to differ."""
    _asked: set[int] = field(default_factory=set)

    @classmethod
    def begin(cls, own_crc: Callable[[int], int | None], tail: int, theirs: StreamState) -> ForkSearch:
        """Start between nothing and the first seq that only one end can have."""
        search = cls(own_crc, 0, min(tail + 1, theirs.next_seq))
        search.learn({theirs.next_seq - 1: theirs.last_crc})
        return search

    @property
    def is_found(self) -> bool:
        """Whether `common` is as good as it gets."""
        return not self.probes()

    def learn(self, their_crcs: Mapping[int, int | None]) -> None:
        """Take in CRCs of the other end."""
        for seq in sorted(their_crcs):
            self._asked.add(seq)
            theirs = their_crcs[seq]
            if not self.common < seq < self.apart or theirs is None:
                continue
            own = self.own_crc(seq)
            if own is None:
                continue
            if own == theirs:
                self.common = seq
            else:
                self.apart = seq

    def probes(self) -> list[int]:
        """Seqs whose CRCs the other end should tell next; none when the search is over."""
        first, width = self.common + 1, self.apart - self.common - 1
        if width <= MAX_PROBES:
            wanted: Iterable[int] = range(first, self.apart)
        else:
            wanted = (first + width * i // MAX_PROBES for i in range(MAX_PROBES))
        return [seq for seq in wanted if seq not in self._asked]
