"""Looks into a part before it is logged: what cannot be decoded must not be acknowledged.

A frame is checked whole (its CRC, its count, every value), but its records are not built: the log keeps the
payload as it came, and needs to know only the CRC of the last record and where the records lie in time. The
newest value of each channel falls off on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from golmok_cloud_sync.protocol import CodecError, Columns, Frame, Part, Record, decode_columns, record_crc
from golmok_cloud_sync.protocol import columns as cols
from golmok_cloud_sync.protocol.ints import Ints
from golmok_cloud_sync.server.errors import ServerError
from golmok_cloud_sync.server.log import Batch, EpochKey, Span, Stored, StreamKey


class RefusedError(ServerError, ValueError):
    """A part that cannot be taken, ever; the message says why."""


class Verified(NamedTuple):
    """A part that may be logged, and the newest record of each of its channels."""

    batch: Batch
    newest: list[Record]


class VoidBody(msgspec.Struct, frozen=True):
    """What the log keeps of a void."""

    reason: str
    counts: dict[str, int]


def verify(epoch: EpochKey, part: Part) -> Verified:
    """The batch that `part` becomes. Raises `RefusedError`."""
    key = StreamKey(*epoch, part.stream)
    if isinstance(part, Frame):
        return _frame(key, part)
    payload = _void_payload(part.reason, part.counts)
    return Verified(Batch(key, part.lo, part.hi, None, 0, part.prev_crc, part.last_crc, None, payload), [])


def void_body(stored: Stored) -> VoidBody:
    """Why the records of a void cannot come, and how many of each channel."""
    return msgspec.json.decode(stored.payload, type=VoidBody)


def newest(columns: Columns) -> list[Record]:
    """The last record of each series."""
    if columns.state_codes is None and columns.wall_ms is None and columns.waited_ms is None:
        quality, reason = columns.states[0]
        return [Record(n.channel, n.value, n.unit, n.boot, n.mono_ms, quality, reason) for n in cols.newest(columns)]
    by_series = {(record.channel, record.boot, record.unit): record for record in cols.join(columns)}
    return list(by_series.values())


def _frame(key: StreamKey, frame: Frame) -> Verified:
    if not frame.is_whole:
        raise RefusedError("the payload was damaged on the way: its CRC does not fit")
    try:
        columns = decode_columns(frame.payload, frame.codec, frame.count)
    except CodecError as error:
        raise RefusedError(str(error)) from error
    last_crc = record_crc(cols.last(columns))
    batch = Batch(
        key, frame.lo, frame.hi, frame.codec, frame.crc32, frame.prev_crc, last_crc, _span(columns), frame.payload
    )
    return Verified(batch, newest(columns))


def _span(columns: Columns) -> Span:
    boots = {s.boot for s in columns.series}
    bounds = [_bounds(s.mono_ms) for s in columns.series]
    walls = [wall for wall in columns.wall_ms or () if wall is not None]
    return Span(
        boots.pop() if len(boots) == 1 else None,
        min(low for low, _ in bounds),
        max(high for _, high in bounds),
        min(walls, default=None),
        max(walls, default=None),
    )


def _bounds(times: Sequence[int]) -> tuple[int, int]:
    """Wide enough, without unpacking them."""
    return times.within() if isinstance(times, Ints) else (min(times), max(times))


def _void_payload(reason: str, counts: Mapping[str, int]) -> bytes:
    return msgspec.json.encode(VoidBody(reason, dict(counts)))
