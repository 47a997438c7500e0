"""What to send next, and what a reply means: the sender's half of the compare-and-set, without I/O.

Ask `compose` for the next request, send it, and give its reply to `took`, or say `failed`. One request is under
way at a time. Nothing about what is under way needs to survive: the receiver's next seq rules, always.

Requests come in rounds: a round ends when all that was there at its beginning is acknowledged. What came in the
meantime waits for the next one, or a busy shop would send without a pause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from golmok_cloud_sync.protocol import (
    STREAMS,
    ForkSearch,
    Hello,
    Part,
    Reply,
    Stream,
    StreamReport,
    StreamState,
    TooLargeError,
    Verdict,
    Void,
    frame,
)

from .outbox import Outbox

MOST_RECORDS: Final = 4_000
"""Records in one frame. More would save little on the wire and cost memory on the gateway."""
LEAST_RECORDS: Final = 1


@dataclass(slots=True)
class _Lane:
    """How one stream stands."""

    next_seq: int
    limit: int = MOST_RECORDS
    codec: int = 1
    sent: int = 0
    """Records in the frame that is under way."""
    search: ForkSearch | None = None


@dataclass(slots=True)
class Uplink:
    """Brings the records of `outbox` to the cloud, each exactly once."""

    outbox: Outbox
    forks: int = 0
    """Forks that were found and left behind in a new epoch."""
    _lanes: dict[Stream, _Lane] = field(init=False)
    _goals: Mapping[Stream, int] = field(init=False)
    """The last seq of each stream when the round began."""
    _sealed: Mapping[Stream, int] | None = field(init=False)
    """The last seq of each stream in an epoch that is being left; nothing beyond goes out in it."""

    def __post_init__(self) -> None:
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self._lanes = {stream: _Lane(self.outbox.acked(stream) + 1) for stream in STREAMS}
        self._sealed = self.outbox.sealed()
        self._begin_round()

    @property
    def is_round_done(self) -> bool:
        """Whether the cloud has all that was there when the round began."""
        return not any(lane.search or lane.next_seq <= self._goals[stream] for stream, lane in self._lanes.items())

    @property
    def is_all_sent(self) -> bool:
        """Whether the cloud has all that is there now."""
        return self.is_round_done and not any(map(self.backlog, STREAMS))

    def backlog(self, stream: Stream) -> int:
        """Records of `stream` that the cloud is not known to have."""
        return max(0, self.outbox.tail(stream) - self._lanes[stream].next_seq + 1)

    def compose(self, hello: Hello) -> tuple[Hello, list[Part]]:
        """The next request: `hello` with what this end has of each stream, and the most urgent parts."""
        if self.is_round_done:
            self._begin_round()
        reports = {}
        parts: list[Part] = []
        for stream, lane in self._lanes.items():
            probes = tuple(lane.search.probes()) if lane.search else ()
            reports[stream] = StreamReport(self._tail(stream), lane.next_seq - 1, probes)
            lane.sent = 0
            if not lane.search and (part := self._cut(stream, lane)):
                parts.append(part)
        return replace(hello, store=self.outbox.name, epoch=self.outbox.epoch, streams=reports), parts

    def took(self, reply: Reply) -> bool:
        """Learn from a reply; False if it brought nothing forward, so that the same would be sent again."""
        before = self._position()
        verdicts = {result.stream: result.verdict for result in reply.results}
        for stream, theirs in reply.streams.items():
            lane, state = self._lanes[stream], StreamState(theirs.next_seq, theirs.last_crc)
            if lane.search:
                lane.search.learn(theirs.crcs)
            elif theirs.fork or self._is_other_history(stream, state):
                self._begin_search(stream, lane, state)
            else:
                self._advance(stream, lane, theirs.next_seq)
                self._judge(stream, lane, verdicts.get(stream))
        self._leave_fork()
        return self._position() != before

    def failed(self) -> None:
        """The request brought no reply: ask for less next time, the line may be too slow for so much."""
        for lane in self._lanes.values():
            if lane.sent:
                lane.limit = max(LEAST_RECORDS, lane.sent // 2)

    def _begin_round(self) -> None:
        self._goals = self._sealed or {stream: self.outbox.tail(stream) for stream in STREAMS}

    def _tail(self, stream: Stream) -> int:
        """The last seq that belongs to this epoch."""
        return self._sealed[stream] if self._sealed else self.outbox.tail(stream)

    def _position(self) -> list[object]:
        """All that decides what is sent next."""
        lanes = self._lanes.values()
        probes = [lane.search.probes() if lane.search else [] for lane in lanes]
        return [self.outbox.epoch, probes, *((lane.next_seq, lane.limit, lane.codec) for lane in lanes)]

    def _cut(self, stream: Stream, lane: _Lane) -> Part | None:
        """The next part of `stream`, if there is any."""
        left = self._tail(stream) - lane.next_seq + 1
        if left <= 0:
            return None
        found = self.outbox.read(stream, lane.next_seq, min(lane.limit, left))
        prev_crc = self.outbox.crc(stream, lane.next_seq - 1)
        if isinstance(found, Void):
            hi = min(found.hi, found.lo + left)
            lane.sent = hi - found.lo
            return replace(found, hi=hi, prev_crc=prev_crc)
        while found:
            try:
                part = frame(stream, lane.next_seq, found, prev_crc, lane.codec)
            except TooLargeError:
                found = found[: len(found) // 2]
                continue
            lane.sent = len(found)
            return part
        return None

    def _judge(self, stream: Stream, lane: _Lane, verdict: Verdict | None) -> None:
        """After a success ask for more again; what is refused is sent in smaller and plainer pieces, then voided."""
        if verdict in (Verdict.APPLY, Verdict.DUPLICATE):
            lane.limit = min(MOST_RECORDS, lane.limit * 2)
            lane.codec = 1
        elif verdict is Verdict.REFUSED:
            if lane.codec == 1:
                lane.codec = 0
            elif lane.sent > 1:
                lane.limit = lane.sent // 2
            else:
                self.outbox.void(stream, lane.next_seq, lane.next_seq + 1, "refused")
                lane.limit, lane.codec = MOST_RECORDS, 1

    def _advance(self, stream: Stream, lane: _Lane, next_seq: int) -> None:
        if next_seq != lane.next_seq:
            lane.next_seq = next_seq
            self.outbox.note_acked(stream, next_seq - 1)

    def _is_other_history(self, stream: Stream, theirs: StreamState) -> bool:
        """Whether the last record over there is not ours: an acknowledgement would be another card's."""
        seq = theirs.next_seq - 1
        own = self.outbox.crc(stream, seq)
        return seq > self._tail(stream) or (own is not None and own != theirs.last_crc)

    def _begin_search(self, stream: Stream, lane: _Lane, theirs: StreamState) -> None:
        if self._sealed is None:
            self._sealed = self._goals = self.outbox.seal()
        lane.search = ForkSearch.begin(lambda seq: self.outbox.crc(stream, seq), self._tail(stream), theirs)

    def _leave_fork(self) -> None:
        """Go on behind the last common record of each forked stream in a new epoch.

        The other streams first send what they have in the old one: a clone may hold the same records, and there
        they are recognised. The seal says what that is, on disk: a clone that is made meanwhile sends the same
        there, and all else in the epoch that both come to.
        """
        lanes = self._lanes
        if self._sealed is None:
            return
        if all(lane.search.is_found if lane.search else lane.next_seq > self._goals[s] for s, lane in lanes.items()):
            self.outbox.new_epoch(
                {s: lane.search.common if lane.search else lane.next_seq - 1 for s, lane in lanes.items()}
            )
            self.forks += 1
            self._begin_epoch()
