"""What leaves a store: voids (records that can never come) and blocks that were acknowledged.

Each function does as much as one transaction should; the store calls it until nothing is left to do, so that
appends get their turn in between. Seqs are those on disk.
"""

from __future__ import annotations

import json
import sqlite3
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from golmok_cloud_sync.protocol.record import STREAMS, Stream

from . import rows
from .errors import OddRowError
from .packing import BodyError, Unpacker
from .taken import WINDOW

EVICTED: Final = "evicted"
"""The reason where unsent readings had to make room for newer ones."""
QUARANTINED: Final = "quarantined"
"""The reason where records are damaged beyond reading."""
_CHUNK: Final = 256
_MOST_CHANNELS: Final = 1_000


class Trimmed(NamedTuple):
    """What was deleted."""

    records: int
    blocks: int


class Evicted(NamedTuple):
    """What was voided because readings had no more room."""

    records: int
    bytes: int


class Remover(NamedTuple):
    """Deletes blocks; knows which messages of the broker must outlive them, and counts what becomes free."""

    db: sqlite3.Connection
    state: rows.State
    session: int

    def void(self, stream: Stream, begin: int, end: int, reason: str) -> int:
        """Void what follows from `begin`, at most to `end`; gives where it stopped."""
        if already := rows.void_at(self.db, stream, begin):
            return already.hi
        end = min(end, rows.next_void(self.db, stream, begin))
        blocks = rows.blocks(self.db, stream, begin, end, _CHUNK + 1).fetchall()
        if len(blocks) > _CHUNK:
            end = blocks.pop()[0]
        counts = _counts(blocks, begin, end)
        self.db.execute(
            "INSERT INTO void (stream, lo, hi, reason, counts) VALUES (?, ?, ?, ?, ?)",
            (stream, begin, end, reason, json.dumps(counts, ensure_ascii=False)),
        )
        self._delete(stream, [first for first, count, _ in blocks if self._is_void(stream, first, first + count)])
        return end

    def evict(self, stream: Stream, begin: int, least_bytes: int) -> Evicted:
        """Void whole blocks from `begin` on, the oldest first, until so much is free or a chunk is through."""
        while already := rows.void_at(self.db, stream, begin):
            begin = already.hi
        used, end, freed = self.state.used[stream], begin, 0
        for first, count, body, taken in rows.sizes(
            self.db, stream, begin, rows.next_void(self.db, stream, begin), _CHUNK
        ):
            if freed >= least_bytes:
                break
            end = first + count
            freed += rows.row_bytes(body, taken)
        if end > begin:
            end = self.void(stream, begin, end, EVICTED)
        return Evicted(end - begin, used - self.state.used[stream])

    def quarantine(self, stream: Stream, first_seq: int) -> None:
        """Void what the block that begins with `first_seq` held, and delete it. It is damaged: it is asked nothing.

        Raises `OddRowError` where it is not in its place, so that nobody knows what it held.
        """
        with suppress(struct.error, TypeError, OddRowError):  # its messages may be readable still
            rows.keep_taken(self.db, stream, first_seq, self.state.messages - WINDOW, self.session)
        at, end = first_seq, min(self.state.ends[stream].last + 1, rows.next_block(self.db, stream, first_seq))
        while at < end:
            if already := rows.void_at(self.db, stream, at):
                at = already.hi
                continue
            hi = min(end, rows.next_void(self.db, stream, at))
            self.db.execute("INSERT INTO void VALUES (?, ?, ?, ?, '{}')", (stream, at, hi, QUARANTINED))
            at = hi
        done = self.db.execute(f"DELETE FROM {rows.table(stream)} WHERE first_seq = ?", (first_seq,))  # noqa: S608  # our names
        if done.rowcount != 1:
            raise OddRowError(f"{stream} {first_seq} stands where it cannot be found")

    def trim(self, acked: Mapping[Stream, int], streams: Sequence[Stream] = STREAMS) -> Trimmed:
        """Delete some of the oldest acknowledged blocks of the least urgent of `streams` that has any."""
        for stream in reversed(streams):
            # The block with the last acknowledged record stays: the next frame names that record's CRC.
            found = self.db.execute(
                f"SELECT first_seq, count FROM {rows.table(stream)} "  # noqa: S608  # our names
                "WHERE first_seq + count <= ? ORDER BY first_seq LIMIT ?",
                (acked[stream], _CHUNK),
            ).fetchall()
            if found:
                self._delete(stream, [first for first, _ in found])
                self.db.execute("DELETE FROM void WHERE stream = ? AND hi <= ?", (stream, found[-1][0]))
                # So that what is missing at the front is never taken for damage.
                rows.save_hint(self.db, f"acked.{stream}", acked[stream])
                return Trimmed(sum(count for _, count in found), len(found))
        return Trimmed(0, 0)

    def _is_void(self, stream: Stream, begin: int, end: int) -> bool:
        while begin < end and (void := rows.void_at(self.db, stream, begin)):
            begin = void.hi
        return begin >= end

    def _delete(self, stream: Stream, firsts: Sequence[int]) -> None:
        for first in firsts:
            rows.keep_taken(self.db, stream, first, self.state.messages - WINDOW, self.session)
            ((body, taken),) = self.db.execute(
                f"DELETE FROM {rows.table(stream)} WHERE first_seq = ? RETURNING length(body), length(taken)",  # noqa: S608  # our names
                (first,),
            ).fetchall()
            self.state.used[stream] -= rows.row_bytes(body, taken)
        self.db.execute("DELETE FROM taken WHERE messages <= ?", (self.state.messages - WINDOW,))


def _counts(blocks: Sequence[tuple[int, int, bytes]], begin: int, end: int) -> dict[str, int]:
    """Records begin to end-1 of each channel, as far as they can be read."""
    unpacker = Unpacker()
    counts = Counter[str]()
    for first, count, body in blocks:
        try:
            records = unpacker.unpack(body, count)
        except BodyError:
            continue  # perhaps the very reason of the void: what it held cannot be told
        counts.update(record.channel for record in records[max(0, begin - first) : max(0, end - first)])
    return dict(counts.most_common(_MOST_CHANNELS))
