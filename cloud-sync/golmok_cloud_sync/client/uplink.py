"""What to send next, and what a reply means: the sender's half of the compare-and-set, without I/O.

Ask `compose` for the next request, send it, and give its reply to `took`, or say `failed`. Two requests may be under
way at a time: one of all streams, and an urgent one of orders and events only, which does not wait for the other.
Both may hold the same records; the receiver takes them once. Of a stream only the request that was composed last is
believed, but for what it says to be acknowledged: an older one did not know all that was there. Nothing about what is
under way needs to survive: the receiver's next seq rules, always.

Requests come in rounds: a round ends when all that was there at its beginning is acknowledged. What came in the
meantime waits for the next one, or a busy shop would send without a pause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from golmok_cloud_sync.protocol import (
    MAX_URGENT,
    STREAMS,
    URGENT_STREAMS,
    ForkSearch,
    Frame,
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
URGENT_RECORDS: Final = 500
"""Records in one frame of an urgent request."""
_URGENT_BYTES: Final = MAX_URGENT - (5 << 10)
"""For the payloads; the rest is for the first line."""
SLOW_S: Final = 2.0
"""A request should not be on the line for longer: whoever shares the line waits behind it, also an order."""
_LEAST_ON_SLOW: Final = 100


@dataclass(slots=True, eq=False)
class _Trip:
    """A request that is under way."""

    epoch: str
    sent: dict[Stream, int] = field(default_factory=dict)
    """Records in each stream's frame."""
    limits: dict[Stream, int] = field(default_factory=dict)
    """How many might have been in it."""


@dataclass(slots=True)
class _Lane:
    """How one stream stands."""

    next_seq: int
    limit: int = MOST_RECORDS
    codec: int = 1
    trip: _Trip | None = None
    """The last request that told of this stream."""
    search: ForkSearch | None = None


@dataclass(slots=True)
class Uplink:
    """Brings the records of `outbox` to the cloud, each exactly once."""

    outbox: Outbox
    forks: int = 0
    """Forks that were found and left behind in a new epoch."""
    _lanes: dict[Stream, _Lane] = field(init=False)
    _trips: dict[bool, _Trip] = field(default_factory=dict)
    """The one request that is under way, and the urgent one."""
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

    def compose(self, hello: Hello, *, urgent: bool = False, bare: bool = False) -> tuple[Hello, list[Part]]:
        """The next request: `hello` with what this end has of each stream, and the most urgent parts.

        An urgent one tells of orders and events only, and has at most `MAX_URGENT` bytes. A `bare` one has no parts.
        """
        if self.is_round_done and not urgent:
            self._begin_round()
        trip = self._trips[urgent] = _Trip(self.outbox.epoch)
        room = _URGENT_BYTES if urgent else None
        reports = {}
        parts: list[Part] = []
        for stream in URGENT_STREAMS if urgent else STREAMS:
            lane = self._lanes[stream]
            probes = tuple(lane.search.probes()) if lane.search else ()
            reports[stream] = StreamReport(self._tail(stream), lane.next_seq - 1, probes)
            lane.trip = trip
            if not bare and not lane.search and (part := self._cut(stream, lane, trip, room)):
                parts.append(part)
                room = room - len(part.payload) if room is not None and isinstance(part, Frame) else room
        return replace(hello, store=self.outbox.name, epoch=self.outbox.epoch, streams=reports), parts

    def took(self, reply: Reply, *, urgent: bool = False) -> bool:
        """Learn from a reply; False if it brought nothing forward, so that the same would be sent again."""
        trip = self._trips.get(urgent)
        if trip is None or trip.epoch != self.outbox.epoch:  # of an epoch that was left meanwhile
            return True
        before = self._position()
        verdicts = {result.stream: result.verdict for result in reply.results}
        for stream, theirs in reply.streams.items():
            lane, state = self._lanes[stream], StreamState(theirs.next_seq, theirs.last_crc)
            if lane.trip is not trip:
                self._advance_late(stream, lane, state)
            elif lane.search:
                lane.search.learn(theirs.crcs)
            elif theirs.fork or self._is_other_history(stream, state):
                self._begin_search(stream, lane, state)
            else:
                self._advance(stream, lane, theirs.next_seq)
                self._judge(stream, lane, trip.sent.get(stream, 0), verdicts.get(stream))
        self._leave_fork()
        return self._position() != before

    def failed(self, *, urgent: bool = False) -> None:
        """The request brought no reply: ask for less next time, the line may be too slow for so much."""
        if trip := self._trips.get(urgent):
            for stream, sent in trip.sent.items():
                self._lanes[stream].limit = max(LEAST_RECORDS, sent // 2)

    def was_on_line(self, line_s: float, *, urgent: bool = False) -> None:
        """The last request and its reply took `line_s` on the way: keep what comes next from taking too long."""
        trip = self._trips.get(urgent)
        if trip is None or trip.epoch != self.outbox.epoch or line_s < SLOW_S / 2:
            return
        for stream, sent in trip.sent.items():
            lane, fits = self._lanes[stream], trip.limits[stream]
            if line_s > SLOW_S and sent > _LEAST_ON_SLOW:
                fits = max(_LEAST_ON_SLOW, int(sent * SLOW_S / line_s))
            lane.limit = min(lane.limit, fits)

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

    def _cut(self, stream: Stream, lane: _Lane, trip: _Trip, room: int | None) -> Part | None:
        """The next part of `stream`, if there is any, with a payload of at most `room` bytes."""
        left = self._tail(stream) - lane.next_seq + 1
        if left <= 0:
            return None
        limit = min(lane.limit, left, URGENT_RECORDS if room is not None else left)
        found = self.outbox.read(stream, lane.next_seq, limit)
        prev_crc = self.outbox.crc(stream, lane.next_seq - 1)
        if isinstance(found, Void):
            hi = min(found.hi, found.lo + left)
            trip.sent[stream], trip.limits[stream] = hi - found.lo, lane.limit
            return replace(found, hi=hi, prev_crc=prev_crc)
        while found:
            try:
                part = frame(stream, lane.next_seq, found, prev_crc, lane.codec)
                if room is not None and len(part.payload) > room:
                    raise TooLargeError(f"more than {room} bytes")
            except TooLargeError:
                found = found[: len(found) // 2]
                continue
            trip.sent[stream], trip.limits[stream] = len(found), lane.limit
            return part
        return None

    def _judge(self, stream: Stream, lane: _Lane, sent: int, verdict: Verdict | None) -> None:
        """After a success ask for more again; what is refused is sent in smaller and plainer pieces, then voided."""
        if verdict in (Verdict.APPLY, Verdict.DUPLICATE):
            lane.limit = min(MOST_RECORDS, lane.limit * 2)
            lane.codec = 1
        elif verdict is Verdict.REFUSED:
            if lane.codec == 1:
                lane.codec = 0
            elif sent > 1:
                lane.limit = sent // 2
            else:
                self.outbox.void(stream, lane.next_seq, lane.next_seq + 1, "refused")
                lane.limit, lane.codec = MOST_RECORDS, 1

    def _advance_late(self, stream: Stream, lane: _Lane, theirs: StreamState) -> None:
        """The reply to a request that knew less of this stream than one that was composed after it."""
        if not lane.search and theirs.next_seq > lane.next_seq and not self._is_other_history(stream, theirs):
            self._advance(stream, lane, theirs.next_seq)

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
