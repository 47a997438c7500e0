"""The store against plain lists: any mix of what can happen to it, and it gives back what the lists hold."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from golmok_cloud_sync.protocol import STREAMS, Record, Stream, Void, canonical, record_crc
from golmok_edge.store import Store, Taken
from tests.cloud_sync.strategies import records

from .store_support import prepared

SOME = st.lists(records(), min_size=1, max_size=12)
STREAM = st.sampled_from(STREAMS)
SHARE = st.floats(0, 1)


class StoreModel(RuleBasedStateMachine):
    """`entries` are the records on disk in order, or why there is none; seqs on the wire begin behind `bases`."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="golmok-store-"))
        self.store = Store.open(prepared(self.folder))
        self.entries: dict[Stream, list[Record | str]] = {stream: [] for stream in STREAMS}
        self.bases = dict.fromkeys(STREAMS, 0)
        self.acked = dict.fromkeys(STREAMS, 0)  # on the wire
        self.may_be_trimmed = dict.fromkeys(STREAMS, 0)  # on disk
        self.taken: list[Taken] = []

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder)

    def tail(self, stream: Stream) -> int:
        return len(self.entries[stream]) - self.bases[stream]

    @rule(stream=STREAM, batch=SOME, second=st.none() | st.tuples(STREAM, SOME), ids=st.lists(st.integers(0, 65_535)))
    def append(
        self, stream: Stream, batch: list[Record], second: tuple[Stream, list[Record]] | None, ids: list[int]
    ) -> None:
        both = {stream: batch} | (dict([second]) if second else {})
        taken = [Taken(self.store.broker_session, at, at * 7) for at in ids]
        expected = {s: range(self.tail(s) + 1, self.tail(s) + 1 + len(both[s])) for s in STREAMS if s in both}
        assert self.store.append(both, taken) == expected
        for s, new in both.items():
            self.entries[s] += new
        self.taken += taken

    @rule(stream=STREAM, share=SHARE)
    def note_acked(self, stream: Stream, share: float) -> None:
        seq = round(share * self.tail(stream))
        self.store.note_acked(stream, seq)
        self.acked[stream] = seq

    @rule(stream=STREAM, begin=SHARE, width=st.integers(0, 20), reason=st.sampled_from(["evicted", "refused"]))
    def void(self, stream: Stream, begin: float, width: int, reason: str) -> None:
        lo = 1 + round(begin * self.tail(stream))
        hi = min(lo + width, self.tail(stream) + 1)
        self.store.void(stream, lo, hi, reason)
        entries = self.entries[stream]
        for at in range(max(lo, self.acked[stream] + 1) + self.bases[stream] - 1, hi + self.bases[stream] - 1):
            if isinstance(entries[at], Record):
                entries[at] = reason

    @rule()
    def trim(self) -> None:
        self.store.trim(0)
        for stream in STREAMS:
            on_disk = self.acked[stream] + self.bases[stream]
            self.may_be_trimmed[stream] = max(self.may_be_trimmed[stream], on_disk - 1)

    @rule(shares=st.tuples(*[SHARE] * len(STREAMS)))
    def new_epoch(self, shares: tuple[float, ...]) -> None:
        common = {s: round(share * self.tail(s)) for s, share in zip(STREAMS, shares, strict=True)}
        before = self.store.epoch
        assert self.store.new_epoch(common) == self.store.epoch != before
        for stream in STREAMS:
            self.bases[stream] += common[stream]
            self.acked[stream] = 0

    @rule()
    def start_broker_session(self) -> None:
        self.store.start_broker_session()
        self.taken = []

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store.open(self.folder)

    @precondition(lambda self: hasattr(self, "store"))
    @invariant()
    def it_stands_where_the_lists_do(self) -> None:
        for stream in STREAMS:
            assert self.store.tail(stream) == self.tail(stream)
            assert self.store.acked(stream) == self.acked[stream]

    @rule()
    def the_messages_are_those(self) -> None:
        assert self.store.taken_recently() == [(packet_id, hash64) for _, packet_id, hash64 in self.taken]

    @rule(stream=STREAM, begin=SHARE, limit=st.integers(1, 50))
    def read(self, stream: Stream, begin: float, limit: int) -> None:
        lo = 1 + round(begin * self.tail(stream))
        found = self.store.read(stream, lo, limit)
        first = self.bases[stream] + lo - 1
        entries = self.entries[stream][first:]
        if isinstance(found, Void):
            assert found.lo == lo < found.hi <= self.tail(stream) + 1
            for at, entry in enumerate(entries[: found.hi - lo], first):
                assert entry == found.reason or (found.reason == "trimmed" and at < self.may_be_trimmed[stream])
        else:
            assert bool(found) == bool(entries)
            assert len(found) <= limit
            assert [canonical(record) for record in found] == [
                canonical(entry) for entry in entries[: len(found)] if isinstance(entry, Record)
            ]

    @rule(stream=STREAM, share=SHARE)
    def crc(self, stream: Stream, share: float) -> None:
        seq = round(share * (self.tail(stream) + 1))
        crc = self.store.crc(stream, seq)
        at = self.bases[stream] + seq - 1
        if seq == 0:
            assert crc == 0
        elif seq > self.tail(stream) or isinstance(entry := self.entries[stream][at], str):
            assert crc is None
        else:
            assert crc == record_crc(entry) or (crc is None and at < self.may_be_trimmed[stream])

    @rule(stream=STREAM)
    def drain(self, stream: Stream) -> None:
        """What is not acknowledged comes entirely, records and voids, each of these with its counts."""
        seq = self.acked[stream] + 1
        while found := self.store.read(stream, seq, 7):
            if isinstance(found, Void):
                assert found.hi > seq
                assert sum(found.counts.values()) <= found.hi - seq
                seq = found.hi
            else:
                seq += len(found)
        assert seq == self.tail(stream) + 1


TestStoreModel = StoreModel.TestCase
TestStoreModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
