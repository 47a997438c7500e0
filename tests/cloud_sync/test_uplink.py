from __future__ import annotations

import os
import random

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from golmok_cloud_sync.client.uplink import Uplink
from golmok_cloud_sync.protocol import (
    STREAMS,
    Hello,
    PartResult,
    Record,
    Reply,
    Stream,
    StreamReply,
    Verdict,
    Void,
    decode_reply,
    decode_request,
    encode_request,
)
from golmok_cloud_sync.protocol.cas import ForkSearch, StreamState

from .both_ends import MemoryCloud, MemoryOutbox

PHASES = [
    Phase.explicit,
    Phase.reuse,
    Phase.generate,
    Phase.target,
    *([Phase.shrink] if os.environ.get("SHRINK") else []),
]
HELLO = Hello("gw-1", "", "", "boot", 1, 2)
SENT: tuple[Stream, ...] = ("events", "readings")


class Branch:
    """A card and the process that runs on it."""

    def __init__(self, outbox: MemoryOutbox) -> None:
        self.outbox = outbox
        self.uplink = Uplink(outbox)

    def request(self) -> bytes:
        return encode_request(*self.uplink.compose(HELLO))


class BothEnds(RuleBasedStateMachine):
    """Any mix of losses, doubles, delays, restarts and evictions, with clones or roll-backs; then the line gets well.

    A card is cloned once, or rolled back once: two lives that hold the same unsent records and have both lost the
    old epoch cannot know of each other, and the cloud gets those from each.
    """

    @initialize()
    def begin(self) -> None:
        self.made = 0
        self.cloud = MemoryCloud()
        self.branches = [Branch(MemoryOutbox("e1"))]
        self.old_requests: list[bytes] = []
        self.backups: list[MemoryOutbox] = []
        self.rolled_back = False
        self.may_be_gone: set[int] = set()
        """Records that were evicted or rolled back: in the cloud once at most."""

    @rule(stream=st.sampled_from(SENT), n=st.integers(1, 6), which=st.integers(0, 3))
    def append(self, stream: Stream, n: int, which: int) -> None:
        branch = self.branches[which % len(self.branches)]
        for _ in range(n):
            self.made += 1
            branch.outbox.entries[stream].append(Record(f"{stream}.x", self.made, "", "b", self.made))

    @rule(
        which=st.integers(0, 3),
        limit=st.integers(1, 5),
        fate=st.sampled_from(["well", "well", "lost", "no reply", "twice", "late"]),
    )
    def exchange(self, which: int, limit: int, fate: str) -> None:
        branch = self.branches[which % len(self.branches)]
        for lane in branch.uplink._lanes.values():
            lane.limit = limit
        body = branch.request()
        if fate == "late":
            self.old_requests.append(body)
        if fate in ("lost", "late"):
            branch.uplink.failed()
            return
        reply = self.cloud.handle(body)
        if fate == "twice":
            reply = self.cloud.handle(body)
        if fate == "no reply":
            branch.uplink.failed()
        else:
            branch.uplink.took(decode_reply(reply))

    @precondition(lambda self: self.old_requests)
    @rule(which=st.integers(0, 20))
    def a_late_request_arrives(self, which: int) -> None:
        self.cloud.handle(self.old_requests[which % len(self.old_requests)])

    @rule(which=st.integers(0, 3), hint=st.integers(0, 30))
    def restart(self, which: int, hint: int) -> None:
        """The process dies; the hint on disk may be old."""
        branch = self.branches[which % len(self.branches)]
        for stream in SENT:
            branch.outbox.hints[stream] = min(hint, branch.outbox.hints[stream])
        branch.uplink = Uplink(branch.outbox)

    @precondition(lambda self: len(self.branches) == 1 and not self.backups)
    @rule(which=st.integers(0, 3), n=st.integers(1, 5), stream=st.sampled_from(SENT))
    def evict(self, which: int, n: int, stream: Stream) -> None:
        """The disk is full: the oldest records that are not known to be acknowledged go.

        Not while another card holds the same unsent records: where one voids what two others still have, those
        two cannot know of each other, and the cloud gets it from both.
        """
        outbox = self.branches[which % len(self.branches)].outbox
        lo = outbox.acked(stream) + 1
        hi = min(lo + n, outbox.tail(stream) + 1)
        for at in range(outbox.bases[stream] + lo - 1, outbox.bases[stream] + hi - 1):
            entry = outbox.entries[stream][at]
            if isinstance(entry, Record):
                assert isinstance(entry.value, int)
                self.may_be_gone.add(entry.value)
        outbox.void(stream, lo, hi, "evicted")

    @precondition(lambda self: len(self.branches) == 1)
    @rule(which=st.integers(0, 3))
    def back_up(self, which: int) -> None:
        self.backups.append(self.branches[which % len(self.branches)].outbox.clone())

    @precondition(lambda self: self.backups and not self.rolled_back)
    @rule(which=st.integers(0, 3), backup=st.integers(0, 9))
    def roll_back(self, which: int, backup: int) -> None:
        """An old image of the card is written back; what came since is gone from this card."""
        self.rolled_back = True
        at = which % len(self.branches)
        self.may_be_gone |= self._on(self.branches[at].outbox)
        self.branches[at] = Branch(self.backups[backup % len(self.backups)].clone())

    @precondition(lambda self: len(self.branches) < 2 and not self.backups)
    @rule(which=st.integers(0, 3))
    def clone(self, which: int) -> None:
        """The card is copied and runs in two machines."""
        self.branches.append(Branch(self.branches[which % len(self.branches)].outbox.clone()))

    @invariant()
    def nothing_is_doubled(self) -> None:
        if hasattr(self, "cloud"):
            values = [entry.value for log in self.cloud.logs.values() for entry in log if isinstance(entry, Record)]
            assert len(values) == len(set(values))

    def teardown(self) -> None:
        if not hasattr(self, "cloud"):
            return
        for _ in range(3):  # clones may find their forks one after the other
            for branch in self.branches:
                self._drain(branch)
        stored = {entry.value for log in self.cloud.logs.values() for entry in log if isinstance(entry, Record)}
        wanted = set().union(*(self._on(branch.outbox) for branch in self.branches))
        assert wanted <= stored
        assert set(range(1, self.made + 1)) - stored <= self.may_be_gone
        self.nothing_is_doubled()

    def _drain(self, branch: Branch) -> None:
        for _ in range(300):
            if branch.uplink.is_round_done and not any(map(branch.uplink.backlog, STREAMS)):
                body = branch.request()
                branch.uplink.took(decode_reply(self.cloud.handle(body)))
                if branch.uplink.is_round_done and not any(map(branch.uplink.backlog, STREAMS)):
                    return
            branch.uplink.took(decode_reply(self.cloud.handle(branch.request())))
        raise AssertionError("it never came to an end")

    @staticmethod
    def _on(outbox: MemoryOutbox) -> set[int]:
        entries = [entry for log in outbox.entries.values() for entry in log]
        return {entry.value for entry in entries if isinstance(entry, Record) and isinstance(entry.value, int)}


TestBothEnds = BothEnds.TestCase
TestBothEnds.settings = settings(max_examples=200, stateful_step_count=30, deadline=None, phases=PHASES)


def readings(n: int, start: int = 0) -> list[Record]:
    return [Record("a.b", start + i, "", "boot", start + i) for i in range(n)]


def test_a_slow_line_gets_smaller_frames() -> None:
    outbox = MemoryOutbox("e")
    outbox.entries["readings"] += readings(10_000)
    uplink = Uplink(outbox)
    sizes = []
    for _ in range(3):
        _, parts = uplink.compose(HELLO)
        sizes.append(parts[0].hi - parts[0].lo)
        uplink.failed()
    assert sizes == [4_000, 2_000, 1_000]


def test_orders_and_events_stand_before_readings() -> None:
    outbox = MemoryOutbox("e")
    for stream in reversed(STREAMS):
        outbox.entries[stream] += readings(1)
    _, parts = Uplink(outbox).compose(HELLO)
    assert [part.stream for part in parts] == list(STREAMS)


def test_what_is_refused_is_sent_plainer_and_smaller_and_at_last_voided() -> None:
    """A record that no server takes must not stop those behind it."""
    outbox = MemoryOutbox("e")
    outbox.entries["readings"] += readings(8)
    uplink, cloud = Uplink(outbox), MemoryCloud()
    poison = 3
    for _ in range(60):
        body = encode_request(*uplink.compose(HELLO))
        _, parts = decode_request(body)
        part = next((p for p in parts), None)
        if part is None:
            break
        if not isinstance(part, Void) and part.lo <= poison < part.hi:
            state = decode_reply(cloud.handle(encode_request(uplink.compose(HELLO)[0], []))).streams
            uplink.took(Reply(0, state, [PartResult("readings", Verdict.REFUSED)]))
        else:
            uplink.took(decode_reply(cloud.handle(body)))
    log = cloud.logs["e", "readings"]
    assert [entry.value if isinstance(entry, Record) else entry for entry in log] == [0, 1, "refused", 3, 4, 5, 6, 7]


def test_a_round_ends_though_new_records_keep_coming() -> None:
    outbox = MemoryOutbox("e")
    outbox.entries["readings"] += readings(5)
    uplink, cloud = Uplink(outbox), MemoryCloud()
    body = encode_request(*uplink.compose(HELLO))
    outbox.entries["readings"] += readings(5, 5)
    assert uplink.took(decode_reply(cloud.handle(body)))
    assert uplink.is_round_done
    assert uplink.backlog("readings") == 5


def test_no_progress_is_told() -> None:
    outbox = MemoryOutbox("e")
    outbox.entries["readings"] += readings(5)
    uplink = Uplink(outbox)
    uplink.compose(HELLO)
    assert not uplink.took(Reply(0, {"readings": StreamReply(1, 0)}, [PartResult("readings", Verdict.BUSY)]))


def test_the_last_common_record_is_found_exactly() -> None:
    """Against every length of common history, in few rounds also where it is long."""
    dice = random.Random(4)
    for common in [0, 1, 2, 255, 256, 257, 70_000, *(dice.randrange(100_000) for _ in range(20))]:
        mine = {seq: seq if seq <= common else -seq for seq in range(1, 100_001)}
        theirs = StreamState(100_001, 100_000 if common >= 100_000 else 7)
        search = ForkSearch.begin(mine.get, 100_000, theirs)
        rounds = 0
        while probes := search.probes():
            assert len(probes) <= 256
            search.learn({seq: seq for seq in probes})
            rounds += 1
        assert (search.common, rounds <= 4) == (common, True)
