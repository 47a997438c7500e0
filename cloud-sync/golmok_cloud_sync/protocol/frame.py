"""What carries records to the cloud: a frame holds them, a void says that they can never come.

Both cover the seqs `lo` to `hi - 1` of one stream, and both name the CRC of the record before `lo`, so that the
receiver knows that sender and receiver speak of the same history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from .codec import encode
from .record import Record, Stream, void_crc


@dataclass(frozen=True, slots=True)
class Frame:
    """Records `lo` to `lo + count - 1` of a stream, encoded once.

    `crc32` is of the payload (damage on the way), `prev_crc` of record `lo - 1` (another history); before the
    first record it is 0. It is None only where the record before is void for the sender: the receiver may hold
    that record all the same.
    """

    stream: Stream
    lo: int
    count: int
    codec: int
    crc32: int
    prev_crc: int | None
    payload: bytes

    @property
    def hi(self) -> int:
        """The seq after the last record."""
        return self.lo + self.count

    @property
    def is_whole(self) -> bool:
        """Whether the payload came as it was sent."""
        return crc32(self.payload) == self.crc32


@dataclass(frozen=True, slots=True)
class Void:
    """Records `lo` to `hi - 1` of a stream can never come: evicted, quarantined or unreadable.

    `counts` says how many of each channel, as far as known. `prev_crc` as in a frame.
    """

    stream: Stream
    lo: int
    hi: int
    reason: str
    counts: Mapping[str, int]
    prev_crc: int | None

    @property
    def last_crc(self) -> int:
        """The CRC that stands for the last record of the void."""
        return void_crc(self.stream, self.hi - 1, self.reason)


Part = Frame | Void


def frame(stream: Stream, lo: int, records: Sequence[Record], prev_crc: int | None, codec: int = 1) -> Frame:
    """The frame of `records`, the first of which has seq `lo`. Raises `codec.TooLargeError`: cut into fewer."""
    payload = encode(records, codec)
    return Frame(stream, lo, len(records), codec, crc32(payload), prev_crc, payload)
