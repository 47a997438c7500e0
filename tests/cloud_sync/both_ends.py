"""Both ends of the sync in memory: the plainest outbox and the plainest receiver that keep the contract."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from golmok_cloud_sync.protocol import (
    ACKNOWLEDGED,
    STREAMS,
    Frame,
    PartResult,
    Record,
    Reply,
    Stream,
    StreamReply,
    StreamState,
    Verdict,
    Void,
    decode,
    decode_request,
    encode_reply,
    is_rolled_back,
    judge,
    record_crc,
    void_crc,
)

_EPOCHS = count(1000)
Entry = Record | str
"""A record, or the reason why there is none."""


def entry_crc(stream: Stream, seq: int, entry: Entry) -> int:
    return void_crc(stream, seq, entry) if isinstance(entry, str) else record_crc(entry)


@dataclass
class MemoryOutbox:
    """Keeps everything in lists."""

    epoch: str
    name: str = "readings"
    entries: dict[Stream, list[Entry]] = field(default_factory=lambda: {stream: [] for stream in STREAMS})
    bases: dict[Stream, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    hints: dict[Stream, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    runs: dict[Stream, list[tuple[int, int]]] = field(default_factory=lambda: {stream: [] for stream in STREAMS})
    """Where a run of a boot begins in a stream, and its number through all streams."""
    boots: list[str] = field(default_factory=list)
    """The boot of each run."""
    seals: dict[Stream, int] | None = None

    def append(self, stream: Stream, records: Sequence[Record]) -> None:
        """As a store does it: each change of boots begins a new run."""
        for record in records:
            if not self.boots or self.boots[-1] != record.boot:
                self.boots.append(record.boot)
            if not self.runs[stream] or self.runs[stream][-1][1] != len(self.boots) - 1:
                self.runs[stream].append((len(self.entries[stream]), len(self.boots) - 1))
            self.entries[stream].append(record)

    def tail(self, stream: Stream) -> int:
        return len(self.entries[stream]) - self.bases[stream]

    def acked(self, stream: Stream) -> int:
        return self.hints[stream]

    def note_acked(self, stream: Stream, seq: int) -> None:
        self.hints[stream] = seq

    def read(self, stream: Stream, lo: int, limit: int) -> Sequence[Record] | Void:
        rest = self.entries[stream][self.bases[stream] + lo - 1 :][:limit]
        if rest and isinstance(reason := rest[0], str):
            n = next((i for i, entry in enumerate(rest) if entry != reason), len(rest))
            return Void(stream, lo, lo + n, reason, {}, None)
        n = next((i for i, entry in enumerate(rest) if isinstance(entry, str)), len(rest))
        return [entry for entry in rest[:n] if not isinstance(entry, str)]

    def crc(self, stream: Stream, seq: int) -> int | None:
        if seq == 0:
            return 0
        at = self.bases[stream] + seq - 1
        entry = self.entries[stream][at] if 0 <= at < len(self.entries[stream]) else ""
        return None if isinstance(entry, str) else record_crc(entry)

    def void(self, stream: Stream, lo: int, hi: int, reason: str) -> None:
        for at in range(self.bases[stream] + lo - 1, self.bases[stream] + hi - 1):
            self.entries[stream][at] = reason

    def seal(self) -> Mapping[Stream, int]:
        if self.seals is None:
            self.seals = {stream: self.tail(stream) for stream in STREAMS}
        return self.seals

    def sealed(self) -> Mapping[Stream, int] | None:
        return self.seals

    def new_epoch(self, bases: Mapping[Stream, int]) -> str:
        for stream, base in bases.items():
            self.bases[stream] += base
        run = min((run for stream in STREAMS if (run := self._run_behind(stream)) is not None), default=None)
        self.epoch = f"e{next(_EPOCHS)}" if run is None else f"{hash((self.epoch, run, *self.boots[run : run + 1])):x}"
        self.hints = dict.fromkeys(STREAMS, 0)
        self.seals = None
        return self.epoch

    def _run_behind(self, stream: Stream) -> int | None:
        """The number of the run of the first record behind the base."""
        at = next(
            (i for i, e in enumerate(self.entries[stream]) if i >= self.bases[stream] and type(e) is not str), None
        )
        return None if at is None else max((run for begin, run in self.runs[stream] if begin <= at), default=0)

    def clone(self) -> MemoryOutbox:
        return copy.deepcopy(self)


@dataclass
class MemoryCloud:
    """Takes requests as bytes and answers in bytes; keeps every entry by epoch and stream."""

    logs: dict[tuple[str, Stream], list[Entry]] = field(default_factory=dict)

    def handle(self, body: bytes) -> bytes:
        hello, parts = decode_request(body)
        logs = {stream: self.logs.setdefault((hello.epoch, stream), []) for stream in STREAMS}
        forked = {s for s, report in hello.streams.items() if is_rolled_back(self._state(s, logs[s]), report.tail)}
        results = []
        for part in parts:
            verdict = Verdict.FORK if part.stream in forked else self._take(part, logs[part.stream])
            if verdict is Verdict.FORK:
                forked.add(part.stream)
            results.append(PartResult(part.stream, verdict))
        streams = {}
        for stream, report in hello.streams.items():
            state = self._state(stream, logs[stream])
            crcs = {seq: self._crc(stream, seq, logs[stream]) for seq in report.probes}
            streams[stream] = StreamReply(state.next_seq, state.last_crc, stream in forked, crcs)
        return encode_reply(Reply(0, streams, results))

    def _take(self, part: Frame | Void, log: list[Entry]) -> Verdict:
        stream = part.stream
        verdict = judge(self._state(stream, log), part.lo, part.hi, part.prev_crc)
        if verdict not in ACKNOWLEDGED:
            return verdict
        entries: list[Entry] = (
            [part.reason] * (part.hi - part.lo)
            if isinstance(part, Void)
            else list(decode(part.payload, part.codec, part.count))
        )
        if verdict is Verdict.APPLY:
            log += entries
        elif isinstance(part, Frame):
            theirs, mine = log[part.hi - 2], entries[-1]
            same = part.prev_crc in (None, self._crc(stream, part.lo - 1, log))
            same &= theirs == mine
            return verdict if same else Verdict.FORK
        return verdict

    def _state(self, stream: Stream, log: list[Entry]) -> StreamState:
        return StreamState(len(log) + 1, self._crc(stream, len(log), log) or 0)

    def _crc(self, stream: Stream, seq: int, log: list[Entry]) -> int | None:
        if seq == 0:
            return 0
        return entry_crc(stream, seq, log[seq - 1]) if seq <= len(log) else None
