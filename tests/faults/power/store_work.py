"""A traced process that does with a store what a gateway does in a year, and marks what it was told.

`python -m tests.faults.power.store_work KIND SEED STEPS FOLDER JOURNAL [FOLDER JOURNAL ...]`: one folder after another.

Kinds: `mixed`, all that there is; `large`, so much that SQLite carries its log over by itself and begins it anew.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

from golmok_cloud_sync.protocol import STREAMS, Record, Stream, Value
from golmok_edge.store import Commit, GroupCommit, Item, Store, Taken
from tests.faults.power import tracer
from tests.faults.power.promises import STORE, Batch, say

_CHANNELS: Final = ("fridge.temperature", "fridge.humidity", "door.open", "kiln.온도")
_WEIGHTS: Final = {
    "mixed": {
        "append": 12, "append_much": 2, "group": 3, "void": 2, "note_acked": 4, "trim": 2, "epoch": 1, "session": 1,
        "restart": 2, "time": 3,
    },
    "large": {"flood": 10, "append": 6, "note_acked": 2, "trim": 1, "time": 1},
}  # fmt: skip


class Work:
    """One store at work."""

    def __init__(self, folder: Path, trace: tracer.Trace, random: Random, name: str) -> None:
        self._folder = folder / STORE
        self._trace = trace
        self._random = random
        self._boot = name
        self._numbers = count(1)
        self._now = 0.0
        self._open()

    def do(self, kind: str, steps: int) -> None:
        """So many things, as chance has it, and the end."""
        weights = _WEIGHTS[kind]
        for what in self._random.choices(list(weights), list(weights.values()), k=steps):
            getattr(self, f"_{what}")()
        self._store.close()

    def _open(self) -> None:
        self._store = Store.open(self._folder, clock=lambda: self._now)
        self._bases = {stream: self._base(stream) for stream in STREAMS}
        acked = {stream: self._store.acked(stream) + self._bases[stream] for stream in STREAMS}
        self._mark("opened", self._store.epoch, self._store.broker_session, acked)

    def _base(self, stream: Stream) -> int:
        return self._store.reader.epochs()[-1].bases[stream]

    def _mark(self, kind: str, *said: object) -> None:
        self._trace.mark(say(kind, *said))

    def _records(self, most: int, longest: int = 9) -> list[Record]:
        return [self._record(longest) for _ in range(self._random.randint(1, most))]

    def _record(self, longest: int) -> Record:
        number = next(self._numbers)
        value: Value = self._random.choice(
            (number, number / 8, self._random.randbytes(self._random.randint(0, longest)).hex(), True, None, -number)
        )
        return Record(self._random.choice(_CHANNELS), value, "Cel", self._boot, number)

    def _taken(self) -> list[Taken]:
        session = self._store.broker_session
        return [Taken(session, self._random.randrange(65_536), next(self._numbers)) for _ in range(2)]

    def _append(self, most: int = 4, longest: int = 9) -> None:
        streams = self._random.sample(STREAMS, self._random.choice((1, 1, 1, 2, 3)))
        batch = {stream: self._records(most, longest) for stream in STREAMS if stream in streams}
        taken = self._random.choice(([], self._taken()))
        said = (batch, [(one.packet_id, one.hash64) for one in taken])
        self._mark("put", *said)
        self._store.append(batch, taken)
        self._mark("stored", *said)

    def _append_much(self) -> None:
        self._append(*self._random.choice(((150, 9), (9, 9_000))))

    def _flood(self) -> None:
        self._append(12, 32_000)

    def _group(self) -> None:
        def told(commit: Commit) -> None:
            taken = [(one.packet_id, one.hash64) for item in commit.items for one in item.taken]
            self._mark("stored", commit.records, taken)

        def refused(items: object, error: Exception) -> None:
            raise error

        with GroupCommit(self._store, told, refused, interval_s=self._random.choice((0.0, 0.002))) as group:
            for _ in range(self._random.randint(1, 12)):
                stream = self._random.choice(STREAMS)
                item = Item(stream, self._records(5), self._random.choice(([], self._taken())))
                batch: Batch = {stream: item.records}
                self._mark("put", batch, [(one.packet_id, one.hash64) for one in item.taken])
                group.put(item)

    def _span(self, stream: Stream) -> tuple[int, int]:
        tail = self._store.tail(stream)
        lo = self._random.randint(1, tail + 1)
        return lo, min(tail + 1, lo + self._random.choice((0, 1, 7, 60)))

    def _void(self) -> None:
        stream = self._random.choice(STREAMS)
        lo, hi = self._span(stream)
        reason = self._random.choice(("evicted", "quarantined"))
        self._mark("void", stream, lo + self._bases[stream], hi + self._bases[stream], reason)
        self._store.void(stream, lo, hi, reason)
        self._mark("voided", stream)

    def _note_acked(self) -> None:
        stream = self._random.choice(STREAMS)
        low = self._store.acked(stream)
        seq = self._random.randint(low, self._store.tail(stream))
        self._mark("noted", stream, seq + self._bases[stream])
        self._store.note_acked(stream, seq)

    def _trim(self) -> None:
        self._mark("trim")
        self._store.trim(self._random.choice((0, 60_000)))

    def _epoch(self) -> None:
        common = {stream: self._random.randint(0, self._store.tail(stream)) for stream in STREAMS}
        bases = {stream: self._bases[stream] + common[stream] for stream in STREAMS}
        self._mark("epoch", bases)
        self._store.new_epoch(common)
        self._bases = bases
        self._mark("began", self._store.epoch)

    def _session(self) -> None:
        self._mark("session")
        self._mark("sessioned", self._store.start_broker_session())

    def _restart(self) -> None:
        self._store.close()
        self._open()

    def _time(self) -> None:
        """The hints are saved with the next append."""
        self._now += 100


def main() -> None:
    """See the module."""
    kind, seed, steps, *rest = sys.argv[1:]
    for folder, journal in zip(map(Path, rest[::2]), map(Path, rest[1::2]), strict=True):
        trace = tracer.install(folder, journal)
        name = f"{seed}-{folder.name}"
        Work(folder, trace, Random(name), name).do(kind, int(steps))
        tracer.stop(trace)


if __name__ == "__main__":
    main()
