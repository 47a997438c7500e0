"""Records out of the log again, page by page, in the order (store, epoch by first contact, seq).

A page is planned first (where it ends, and whether more follows: the `Link` header needs to know), then read a
second time while it is sent, a batch at a time, so that a page of 100,000 records takes no more memory than one
of ten. A cursor says at which record of which stream to go on; whatever arrives meanwhile changes nothing before it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from golmok_cloud_sync.protocol import Record, Stream
from golmok_cloud_sync.server.dating import Dated, Dating, records
from golmok_cloud_sync.server.errors import ServerError
from golmok_cloud_sync.server.log import BatchLog, Stored, StreamInfo

MAX_LIMIT: Final = 100_000
_CHUNK: Final = 16
_MAX_SCAN: Final = 5_000_000
"""Records looked at for one page. A filter that fits nothing must not hold a thread for hours."""


class CursorError(ServerError, ValueError):
    """A cursor that this server did not give."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The next record to give: `seq` of the stream that is (store, epoch_order)."""

    store: str
    epoch_order: int
    seq: int
    rank: int = 0
    """The place of the stream among the streams, where a page holds several."""

    def encode(self) -> str:
        """As it stands in a URL."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Of what `encode` gave. Raises `CursorError`."""
        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=cls)
        except (binascii.Error, ValueError) as error:
            raise CursorError("this cursor is not one that this server gave") from error


class Row(NamedTuple):
    """A record and where it stands."""

    store: str
    epoch: str
    seq: int
    dated: Dated
    record: Record


class Filter(NamedTuple):
    """Which records are asked for; None: whatever it is. `to_ms` is not included."""

    channel: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None

    @property
    def by_time(self) -> bool:
        return self.from_ms is not None or self.to_ms is not None

    @property
    def takes_all(self) -> bool:
        return self == (None, None, None)

    def fits(self, record: Record, dated: Dated) -> bool:
        """Whether this record is asked for. One whose time is not known fits no time."""
        if self.channel is not None and record.channel != self.channel:
            return False
        if not self.by_time:
            return True
        ms = dated.ms
        return (
            ms is not None and (self.from_ms is None or ms >= self.from_ms) and (self.to_ms is None or ms < self.to_ms)
        )


@dataclass(frozen=True)
class Page:
    """A planned page: where it begins and ends in each stream, and where the next one begins."""

    parts: list[tuple[StreamInfo, int, int]]
    """Stream, first seq, seq after the last."""
    next: Cursor | None


@dataclass(frozen=True)
class Query:
    """What is asked of one gateway. Reads the log: to be used in a thread of its own."""

    log: BatchLog
    gateway: str
    stream: Stream
    filter: Filter
    dating: Dating

    def plan(self, cursor: Cursor | None, limit: int) -> Page:
        """The page of at most `limit` records that begins at `cursor`."""
        parts: list[tuple[StreamInfo, int, int]] = []
        wanted, scan = limit, _MAX_SCAN
        for info in self.log.streams(self.gateway, self.stream):
            seq = _start(info, cursor)
            if seq >= info.position.next_seq:
                continue
            end, found, scanned = self._walk(info, seq, wanted, scan)
            wanted, scan = wanted - found, scan - scanned
            parts.append((info, seq, end))
            if end < info.position.next_seq:
                return Page(parts, Cursor(info.key.store, info.epoch_order, end))
        return Page(parts, None)

    def rows(self, page: Page) -> Iterator[list[Row]]:
        """The records of a planned page, some at a time."""
        for info, seq, end in page.parts:
            for batch in self._batches(info, seq, end):
                found = self._matches(info, batch, seq, end)
                if found:
                    yield found

    def _walk(self, info: StreamInfo, seq: int, wanted: int, scan: int) -> tuple[int, int, int]:
        """Where a page of `wanted` records from `seq` on ends: before the first record too many, if there is one."""
        found = scanned = 0
        tail = info.position.next_seq
        for batch in self._batches(info, seq, tail):
            if scanned >= scan:
                return batch.first_seq, found, scanned
            first = max(seq, batch.first_seq)
            here = min(batch.next_seq, tail) - first
            if self.filter.takes_all:
                if found + here > wanted:
                    return first + wanted - found, wanted, scanned
                found += here
                continue
            scanned += here
            for row in self._matches(info, batch, first, tail):
                if found == wanted:
                    return row.seq, found, scanned
                found += 1
        return tail, found, scanned

    def _batches(self, info: StreamInfo, seq: int, end: int) -> Iterator[Stored]:
        """The batches with records in `seq` to `end - 1` that may hold what is asked for."""
        while seq < end:
            batches = self.log.read(info.id, seq, _CHUNK, voids=False)
            for batch in batches:
                if batch.first_seq >= end:
                    return
                if not self.filter.by_time or batch.span is None or self._may_hold(batch):
                    yield batch
            if not batches:
                return
            seq = batches[-1].next_seq

    def _may_hold(self, batch: Stored) -> bool:
        assert batch.span is not None
        return self.dating.may_hold(batch.span, self.filter.from_ms, self.filter.to_ms)

    def _matches(self, info: StreamInfo, batch: Stored, seq: int, end: int) -> list[Row]:
        store, epoch = info.key.store, info.key.epoch
        dating, wanted = self.dating, self.filter
        found = []
        for at, record in enumerate(records(batch, wanted.channel), batch.first_seq):
            if seq <= at < end and (wanted.channel is None or record.channel == wanted.channel):
                dated = dating.date(record)
                if wanted.takes_all or wanted.fits(record, dated):
                    found.append(Row(store, epoch, at, dated, record))
        return found


def _start(info: StreamInfo, cursor: Cursor | None) -> int:
    """Where to begin in a stream: nowhere in those that lie before the cursor."""
    if cursor is None or (info.key.store, info.epoch_order) > (cursor.store, cursor.epoch_order):
        return 1
    if (info.key.store, info.epoch_order) < (cursor.store, cursor.epoch_order):
        return info.position.next_seq
    return max(1, cursor.seq)
