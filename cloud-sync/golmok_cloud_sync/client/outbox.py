"""What the client asks of the gateway's store. The store itself lives elsewhere; see `golmok_edge.store`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from golmok_cloud_sync.protocol import Record, Stream, Void


class Outbox(Protocol):
    """The records of one store, by seq within the current epoch (from 1, without holes)."""

    @property
    def name(self) -> str:
        """The store's name; with the epoch it tells its sequences from all others of the gateway."""

    @property
    def epoch(self) -> str:
        """The current epoch's id."""

    def tail(self, stream: Stream) -> int:
        """The last seq of `stream`; 0 when there is none."""

    def acked(self, stream: Stream) -> int:
        """The last seq known to be acknowledged. A hint: it may lag behind after a crash."""

    def note_acked(self, stream: Stream, seq: int) -> None:
        """All records up to `seq` are in the cloud."""

    def read(self, stream: Stream, lo: int, limit: int) -> Sequence[Record] | Void:
        """Consecutive records from `lo`, at most `limit`; or the void that stands there; nothing at the tail."""

    def crc(self, stream: Stream, seq: int) -> int | None:
        """The CRC of record `seq` (0 for seq 0); None if it is void, or no longer here."""

    def void(self, stream: Stream, lo: int, hi: int, reason: str) -> None:
        """Records `lo` to `hi - 1` can never be sent."""

    def seal(self) -> Mapping[Stream, int]:
        """This epoch is to be left: its last seqs, for good. On disk when it returns; asked again, it says the same."""

    def sealed(self) -> Mapping[Stream, int] | None:
        """What `seal` said in this epoch; None if it was not sealed."""

    def new_epoch(self, bases: Mapping[Stream, int]) -> str:
        """Begin an epoch in which the record after `bases[stream]` has seq 1; what is before stays as it was.

        Its id follows from the old one and from the oldest records after `bases`: stores that share unsent records
        come to the same epoch.
        """
