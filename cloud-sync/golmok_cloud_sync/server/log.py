"""The log: every batch as it came, in the order it was taken. It is the truth; all else is derived from it.

`BatchLog` says what the rest of the server needs, so that one implementation can be swapped for another
(`sqlite_log.py` embedded, PostgreSQL when that is outgrown) without a caller noticing. Implementations know
nothing of HTTP, of messages, or of what is inside a payload.

What makes the effect exactly-once is `append`: a batch is taken only if it begins at the stream's `next_seq` and
follows the record the stream ends with, and the batch and the new position are one transaction. A unique key for
each batch would not do: a client that lost a reply cuts its records anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from golmok_cloud_sync.protocol import Stream, StreamState
from golmok_cloud_sync.server.errors import ServerError


class LogError(ServerError, OSError):
    """The log cannot be opened, read or written; the message says what to do."""


class LogBusyError(LogError):
    """Another server has this log open."""


class EpochKey(NamedTuple):
    """One life of one store of one gateway."""

    gateway: str
    store: str
    epoch: str


class StreamKey(NamedTuple):
    """One sequence of records."""

    gateway: str
    store: str
    epoch: str
    stream: Stream

    @property
    def of_epoch(self) -> EpochKey:
        return EpochKey(self.gateway, self.store, self.epoch)


class Span(NamedTuple):
    """Where a batch lies in time, as far as its records tell; what is not told is None.

    `boot` is None if its records are of several boots: then nothing can be said. `wall_*` bound the times that
    sources stated themselves, None if none did.
    """

    boot: str | None
    mono_min: int
    mono_max: int
    wall_min: int | None = None
    wall_max: int | None = None


class Batch(NamedTuple):
    """Records `first_seq` to `next_seq - 1` of a stream, encoded once; or, with `codec` None, a void."""

    key: StreamKey
    first_seq: int
    next_seq: int
    codec: int | None
    crc32: int
    prev_crc: int | None
    """CRC of record first_seq - 1 as the sender has it; None if it does not say."""
    last_crc: int
    """CRC of record next_seq - 1."""
    span: Span | None
    """None for a void."""
    payload: bytes


class Stored(NamedTuple):
    """A batch as the log gives it back."""

    id: int
    """Rises in the order in which batches were taken, over all streams."""
    stream_id: int
    first_seq: int
    next_seq: int
    codec: int | None
    crc32: int
    last_crc: int
    span: Span | None
    received_ms: int
    payload: bytes


class StreamInfo(NamedTuple):
    """A stream and where it stands among others."""

    id: int
    key: StreamKey
    epoch_order: int
    """Rises in the order in which the epochs of a store were first heard of."""
    position: StreamState


class Appended(NamedTuple):
    """Whether a batch was taken, and the stream's position after that."""

    taken: bool
    position: StreamState


class BatchLog(Protocol):
    """Where batches are kept. Every method may be called from any thread, `append` from one at a time."""

    def append(self, batches: Sequence[Batch], now_ms: int, met: Sequence[EpochKey] = ()) -> list[Appended]:
        """Take what fits, in order, in one transaction; durable when this returns. Raises `LogError`: none taken.

        A batch fits if it begins at the stream's `next_seq` and its `prev_crc` is the stream's `last_crc`. `met`
        are epochs that were heard of: the order of first contact is kept, even where no batch came.
        """

    def next_seq(self, key: EpochKey) -> dict[Stream, StreamState] | None:
        """How far the streams of an epoch have come; None if it was never heard of."""

    def streams(self, gateway: str, stream: Stream | None = None) -> list[StreamInfo]:
        """The gateway's streams in the order (store, epoch by first contact, stream by urgency)."""

    def gateways(self) -> list[str]:
        """Every gateway that was ever heard of."""

    def read(self, stream_id: int, seq: int, limit: int, *, voids: bool | None = None) -> list[Stored]:
        """At most `limit` batches of a stream in order, from the one that holds record `seq` or the next one.

        `voids`: True for voids only, False for records only.
        """

    def read_back(self, stream_id: int, seq: int, limit: int) -> list[Stored]:
        """At most `limit` batches of records that begin before `seq`, the newest first."""

    def taken_after(self, batch_id: int, limit: int) -> list[tuple[StreamKey, Stored]]:
        """At most `limit` batches taken after batch `batch_id`, in the order they were taken."""

    def last_id(self) -> int:
        """The `id` of the batch taken last; 0 if there is none."""

    def trim(self, stream_id: int, below_seq: int) -> int:
        """Delete the batches that lie wholly below record `below_seq`; how many."""

    def save_derived(self, name: str, upto_id: int, body: bytes) -> None:
        """Keep what was derived from the batches up to `upto_id`, so that the next start need not do it again."""

    def load_derived(self, name: str) -> tuple[int, bytes] | None:
        """What `save_derived` last kept under this name."""

    def close(self) -> None:
        """Give up everything; what was taken stays."""
