"""The gap ledger: what can never come, or was never taken, and why.

Derived from voids (records that a gateway gave up) and from the events `gap.*` (what it knows it missed). A line
stands where its void or event stands; one void is one line, whatever the number of its channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from golmok_cloud_sync.protocol import STREAMS, Record
from golmok_cloud_sync.server.dating import Dating, EventBook, records
from golmok_cloud_sync.server.log import BatchLog, StreamInfo
from golmok_cloud_sync.server.query import Filter
from golmok_cloud_sync.server.times import show
from golmok_cloud_sync.server.verify import void_body

_CHUNK: Final = 64


class Gap(NamedTuple):
    """A gap and where it stands. Times are None where they are not known."""

    store: str
    epoch_order: int
    rank: int
    """The place of its stream among the streams."""
    seq: int
    seq_end: int
    """The last seq of it (that of the event itself, if it was an event)."""
    epoch: str
    channel: str | None
    """None: several, or not known."""
    reason: str
    missing: int | None
    """How many records, where that is known."""
    counts: dict[str, int]
    from_ms: int | None
    to_ms: int | None

    @property
    def stands(self) -> tuple[str, int, int, int]:
        """What the ledger is sorted by."""
        return self[:4]

    def of_channel(self, channel: str) -> Gap | None:
        """What this gap is to one channel, if anything."""
        if self.counts:
            count = self.counts.get(channel)
            return None if count is None else self._replace(channel=channel, missing=count)
        return self if self.channel in (None, channel) else None

    def touches(self, wanted: Filter) -> bool:
        """Whether it reaches into the time asked for. An end that is not known is taken for endless."""
        if not wanted.by_time:
            return True
        if self.from_ms is None and self.to_ms is None:
            return False
        begins = wanted.to_ms is None or self.from_ms is None or self.from_ms < wanted.to_ms
        return begins and (wanted.from_ms is None or self.to_ms is None or self.to_ms >= wanted.from_ms)


class _Said(msgspec.Struct):
    """What an event `gap.*` may say of itself."""

    channel: str | None = None
    count: int | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    from_mono_ms: int | None = None
    to_mono_ms: int | None = None


_SAID: Final = msgspec.json.Decoder(_Said)


def ledger(log: BatchLog, gateway: str, book: EventBook, wanted: Filter) -> list[Gap]:
    """The gaps of a gateway, in order. Reads the log: to be used in a thread of its own."""
    dating = book.catch_up(log)
    gaps = [*_voids(log, gateway, dating), *_said(book, dating)]
    if wanted.channel is not None:
        gaps = [mine for gap in gaps if (mine := gap.of_channel(wanted.channel)) is not None]
    return sorted((gap for gap in gaps if gap.touches(wanted)), key=lambda gap: gap.stands)


def document(gap: Gap) -> dict[str, Any]:
    """A gap as a line of JSON shows it: with what every line has, and from, to, count."""
    return {
        "store": gap.store,
        "epoch": gap.epoch,
        "seq": gap.seq,
        "ts": show(gap.from_ms),
        "channel": gap.channel,
        "value": gap.missing,
        "unit": "1",
        "quality": "bad",
        "reason": gap.reason,
        "stream": STREAMS[gap.rank],
        "seq_end": gap.seq_end,
        "from": show(gap.from_ms),
        "to": show(gap.to_ms),
        "count": gap.missing,
        "counts": gap.counts,
    }


def _voids(log: BatchLog, gateway: str, dating: Dating) -> Iterator[Gap]:
    for info in log.streams(gateway):
        seq = 1
        while batches := log.read(info.id, seq, _CHUNK, voids=True):
            for batch in batches:
                body = void_body(batch)
                yield Gap(
                    info.key.store,
                    info.epoch_order,
                    STREAMS.index(info.key.stream),
                    batch.first_seq,
                    batch.next_seq - 1,
                    info.key.epoch,
                    next(iter(body.counts)) if len(body.counts) == 1 else None,
                    body.reason,
                    batch.next_seq - batch.first_seq,
                    body.counts,
                    _before(log, info, batch.first_seq, dating),
                    _after(log, info, batch.next_seq, dating),
                )
            seq = batches[-1].next_seq


def _before(log: BatchLog, info: StreamInfo, seq: int, dating: Dating) -> int | None:
    for batch in log.read_back(info.id, seq, 1):
        for record in records(batch)[-1:]:
            return dating.date(record).ms
    return None


def _after(log: BatchLog, info: StreamInfo, seq: int, dating: Dating) -> int | None:
    for batch in log.read(info.id, seq, 1, voids=False):
        for record in records(batch)[:1]:
            return dating.date(record).ms
    return None


def _said(book: EventBook, dating: Dating) -> Iterator[Gap]:
    for event in book.gaps:
        said = _saying(event.record)
        taken_ms = dating.date(event.record).ms
        yield Gap(
            event.store,
            event.epoch_order,
            STREAMS.index("events"),
            event.seq,
            event.seq,
            event.epoch,
            said.channel,
            event.record.channel.partition(".")[2],
            said.count,
            {},
            _first(said.from_ms, _at(event.record, said.from_mono_ms, dating), taken_ms),
            _first(said.to_ms, _at(event.record, said.to_mono_ms, dating), taken_ms),
        )


def _saying(event: Record) -> _Said:
    try:
        return _SAID.decode(event.value) if isinstance(event.value, str) else _Said()
    except msgspec.DecodeError:
        return _Said()  # that there was a gap is known all the same


def _at(event: Record, mono_ms: int | None, dating: Dating) -> int | None:
    return None if mono_ms is None else dating.date(event._replace(mono_ms=mono_ms, wall_ms=None, waited_ms=0)).ms


def _first(*times: int | None) -> int | None:
    return next((ms for ms in times if ms is not None), None)
