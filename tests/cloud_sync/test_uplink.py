from __future__ import annotations

import os
import random
from collections.abc import Iterable
from typing import Any

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

from .both_ends import Entry, MemoryCloud, MemoryOutbox

PHASES = [
    Phase.explicit,
    Phase.reuse,
    Phase.generate,
    Phase.target,
    *([Phase.shrink] if os.environ.get("SHRINK") else []),
]
HELLO = Hello("gw-1", "", "", "boot", 1, 2)
SENT: tuple[Stream, ...] = ("orders", "events", "readings")


class Life:
    """A card, the process that runs on it, and its boot."""

    def __init__(self, outbox: Any, boot: str) -> None:
        self.outbox = outbox
        self.boot = boot
        self.uplink = Uplink(outbox)

    def request(self, limit: int = 0, *, urgent: bool = False) -> bytes:
        for lane in self.uplink._lanes.values():
            lane.limit = limit or lane.limit
        return encode_request(*self.uplink.compose(HELLO, urgent=urgent))


class BothEnds(RuleBasedStateMachine):
    """Any mix of losses, doubles, delays, restarts, clones of clones and roll-backs, also of cards in use; then the
    line gets well.

    Urgent requests go at any time, also while another request is under way; either may be turned away (429).

    `new`, `copy`, `append`, `forget` and `values` say what a card is: here lists, elsewhere a real store.
    """

    MOST_LIVES = 4

    @initialize()
    def begin(self) -> None:
        self.made = 0
        self.boots = 0
        self.cloud = MemoryCloud()
        self.lives = [Life(self.new(), self.next_boot())]
        self.old_requests: list[bytes] = []
        self.under_way: list[tuple[Life, bool, bytes]] = []
        self.images: list[tuple[Any, str]] = []
        self.may_be_gone: set[int] = set()
        """Records that were evicted or rolled back: in the cloud once at most."""

    def new(self) -> Any:
        return MemoryOutbox("e1")

    def copy(self, outbox: Any) -> Any:
        return outbox.clone()

    def append(self, outbox: Any, stream: Stream, records: list[Record]) -> None:
        outbox.append(stream, records)

    def forget(self, outbox: Any, stream: Stream, seq: int) -> None:
        """The process dies; the hint on disk may be old."""
        outbox.hints[stream] = min(seq, outbox.hints[stream])

    def restarted(self, outbox: Any) -> Any:
        return outbox

    def values(self, outbox: Any) -> set[int]:
        """What is on the card."""
        entries = [entry for log in outbox.entries.values() for entry in log]
        return {entry.value for entry in entries if isinstance(entry, Record) and isinstance(entry.value, int)}

    def next_boot(self) -> str:
        self.boots += 1
        return f"b{self.boots}"

    @rule(stream=st.sampled_from(SENT), n=st.integers(1, 6), which=st.integers(0, 3))
    def take(self, stream: Stream, n: int, which: int) -> None:
        life = self.lives[which % len(self.lives)]
        self.append(life.outbox, stream, [self.record(stream, life.boot) for _ in range(n)])

    def record(self, stream: Stream, boot: str) -> Record:
        self.made += 1
        return Record(f"{stream}.x", self.made, "", boot, self.made * 7 % 13)  # in no order of times

    @rule(
        which=st.integers(0, 3),
        limit=st.integers(1, 5),
        fate=st.sampled_from(["well", "well", "lost", "no reply", "twice", "late", "turned away"]),
        urgent=st.booleans(),
    )
    def exchange(self, which: int, limit: int, fate: str, urgent: bool) -> None:
        life = self.lives[which % len(self.lives)]
        if self.is_under_way(life, urgent):
            return
        body = life.request(limit, urgent=urgent)
        if fate == "turned away":
            return
        if fate == "late":
            self.old_requests.append(body)
        if fate in ("lost", "late"):
            life.uplink.failed(urgent=urgent)
            return
        reply = self.cloud.handle(body)
        if fate == "twice":
            reply = self.cloud.handle(body)
        if fate == "no reply":
            life.uplink.failed(urgent=urgent)
        else:
            life.uplink.took(decode_reply(reply), urgent=urgent)

    def is_under_way(self, life: Life, urgent: bool) -> bool:
        return any(one is life and is_urgent == urgent for one, is_urgent, _ in self.under_way)

    @rule(which=st.integers(0, 3), limit=st.integers(1, 5), urgent=st.booleans())
    def set_out(self, which: int, limit: int, urgent: bool) -> None:
        """A request that takes long: others come and go meanwhile."""
        life = self.lives[which % len(self.lives)]
        if not self.is_under_way(life, urgent):
            self.under_way.append((life, urgent, life.request(limit, urgent=urgent)))

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 9), fate=st.sampled_from(["well", "well", "lost", "no reply", "turned away"]))
    def arrive(self, which: int, fate: str) -> None:
        life, urgent, body = self.under_way.pop(which % len(self.under_way))
        reply = self.cloud.handle(body) if fate in ("well", "no reply") else b""
        if fate == "well":
            life.uplink.took(decode_reply(reply), urgent=urgent)
        elif fate != "turned away":
            life.uplink.failed(urgent=urgent)

    def is_dead(self, life: Life) -> None:
        """What was under way may still arrive, and nobody hears the answer."""
        self.old_requests += [body for one, _, body in self.under_way if one is life]
        self.under_way = [one for one in self.under_way if one[0] is not life]

    @precondition(lambda self: self.old_requests)
    @rule(which=st.integers(0, 20))
    def a_late_request_arrives(self, which: int) -> None:
        self.cloud.handle(self.old_requests[which % len(self.old_requests)])

    @rule(which=st.integers(0, 3), hint=st.integers(0, 30), is_new_boot=st.booleans())
    def restart(self, which: int, hint: int, is_new_boot: bool) -> None:
        at = which % len(self.lives)
        life = self.lives[at]
        for stream in SENT:
            self.forget(life.outbox, stream, hint)
        self.is_dead(life)
        self.lives[at] = Life(self.restarted(life.outbox), self.next_boot() if is_new_boot else life.boot)

    @precondition(lambda self: len(self.lives) == 1 and not self.images)
    @rule(n=st.integers(1, 5), stream=st.sampled_from(SENT))
    def evict(self, n: int, stream: Stream) -> None:
        """The disk is full: the oldest records that are not known to be acknowledged go.

        Not while another card holds the same unsent records: where one has voided what another still has, their
        seqs cannot be compared any more, and the cloud gets what follows from both.
        """
        outbox = self.lives[0].outbox
        before = self.values(outbox)
        lo = outbox.acked(stream) + 1
        outbox.void(stream, lo, min(lo + n, outbox.tail(stream) + 1), "evicted")
        self.may_be_gone |= before - self.values(outbox)

    @rule(which=st.integers(0, 3))
    def make_image(self, which: int) -> None:
        """Also of a card in use."""
        life = self.lives[which % len(self.lives)]
        self.images.append((self.copy(life.outbox), life.boot))

    @precondition(lambda self: self.images)
    @rule(which=st.integers(0, 3), image=st.integers(0, 9), is_new_boot=st.booleans())
    def roll_back(self, which: int, image: int, is_new_boot: bool) -> None:
        """An old image is written to a card, perhaps for the third time; what came since is gone from this card."""
        at = which % len(self.lives)
        self.may_be_gone |= self.values(self.lives[at].outbox)
        self.is_dead(self.lives[at])
        outbox, boot = self.images[image % len(self.images)]
        self.lives[at] = Life(self.copy(outbox), self.next_boot() if is_new_boot else boot)

    @precondition(lambda self: len(self.lives) < self.MOST_LIVES)
    @rule(which=st.integers(0, 3), is_new_boot=st.booleans())
    def clone(self, which: int, is_new_boot: bool) -> None:
        """The card is copied, perhaps while in use, and runs in one machine more."""
        life = self.lives[which % len(self.lives)]
        self.lives.append(Life(self.copy(life.outbox), self.next_boot() if is_new_boot else life.boot))

    @invariant()
    def nothing_is_doubled(self) -> None:
        if hasattr(self, "cloud"):
            values = [entry.value for log in self.cloud.logs.values() for entry in log if isinstance(entry, Record)]
            assert len(values) == len(set(values))

    def teardown(self) -> None:
        if not hasattr(self, "cloud"):
            return
        for life in self.lives:
            self.is_dead(life)
        for body in self.old_requests:
            self.cloud.handle(body)
        for _ in range(2 * len(self.lives)):  # they may find their forks one after the other
            for life in self.lives:
                self._drain(life)
        if len(self.lives) == 1 and not self.images:
            assert self.lives[0].uplink.forks == 0, "nobody was cloned"
        stored = {entry.value for log in self.cloud.logs.values() for entry in log if isinstance(entry, Record)}
        wanted = set().union(*(self.values(life.outbox) for life in self.lives))
        assert wanted <= stored
        assert set(range(1, self.made + 1)) - stored <= self.may_be_gone
        self.nothing_is_doubled()

    def _drain(self, life: Life) -> None:
        for _ in range(300):
            if life.uplink.is_round_done and not any(map(life.uplink.backlog, STREAMS)):
                body = life.request()
                life.uplink.took(decode_reply(self.cloud.handle(body)))
                if life.uplink.is_round_done and not any(map(life.uplink.backlog, STREAMS)):
                    return
            life.uplink.took(decode_reply(self.cloud.handle(life.request())))
        raise AssertionError("it never came to an end")


class OneCard(BothEnds):
    """One card only, which evicts at any moment, also while an answer is on its way: each record is in the cloud
    once, or is named there as evicted, once.
    """

    MOST_LIVES = 1
    make_image = roll_back = clone = None  # type: ignore[assignment]  # rules that do not hold here

    @initialize()
    def begin(self) -> None:
        super().begin()
        self.answers: list[tuple[Life, bool, bytes]] = []

    def is_under_way(self, life: Life, urgent: bool) -> bool:
        is_coming = any(one is life and is_urgent == urgent for one, is_urgent, _ in self.answers)
        return is_coming or super().is_under_way(life, urgent)

    def is_dead(self, life: Life) -> None:
        super().is_dead(life)
        self.answers.clear()

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 9))
    def answer_sets_out(self, which: int) -> None:
        life, urgent, body = self.under_way.pop(which % len(self.under_way))
        self.answers.append((life, urgent, self.cloud.handle(body)))

    @precondition(lambda self: self.answers)
    @rule(which=st.integers(0, 9))
    def answer_arrives(self, which: int) -> None:
        life, urgent, reply = self.answers.pop(which % len(self.answers))
        life.uplink.took(decode_reply(reply), urgent=urgent)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "cloud"):
            entries = [entry for log in self.cloud.logs.values() for entry in log]
            assert entries.count("evicted") == self.made - sum(isinstance(entry, Record) for entry in entries)


TestOneCard = OneCard.TestCase
TestOneCard.settings = settings(max_examples=100, stateful_step_count=40, deadline=None, phases=PHASES)
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


def test_a_card_that_is_copied_while_it_leaves_an_epoch_doubles_nothing() -> None:
    """What came between the finding of the fork and the new epoch goes up in the new one, from card and copy."""
    outbox, cloud = MemoryOutbox("e"), MemoryCloud()
    outbox.append("readings", readings(3))
    other = Life(outbox.clone(), "other")
    outbox.append("readings", readings(3, 10))
    other.outbox.append("readings", readings(3, 20))
    card = Life(outbox, "boot")
    settle(other, cloud)
    while card.uplink.outbox.sealed() is None:
        card.uplink.took(decode_reply(cloud.handle(card.request())))
    outbox.append("events", readings(2, 30))
    copy = Life(outbox.clone(), "copy")
    settle(card, cloud)
    settle(copy, cloud)
    values = values_of(entry for log in cloud.logs.values() for entry in log)
    assert sorted(values) == [0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31]


def test_a_card_that_restarts_while_it_leaves_an_epoch_leaves_it() -> None:
    outbox, cloud = MemoryOutbox("e"), MemoryCloud()
    outbox.append("readings", readings(3))
    outbox.seal()
    outbox.append("readings", readings(3, 10))
    settle(Life(outbox, "boot"), cloud)
    assert values_of(cloud.logs["e", "readings"]) == [0, 1, 2]
    assert values_of(cloud.logs[outbox.epoch, "readings"]) == [10, 11, 12]


def values_of(entries: Iterable[Entry]) -> list[Any]:
    return [entry.value for entry in entries if isinstance(entry, Record)]


def settle(life: Life, cloud: MemoryCloud) -> None:
    """Exchange until there is nothing more to say."""
    for _ in range(100):
        forward = life.uplink.took(decode_reply(cloud.handle(life.request())))
        if not forward and life.uplink.is_all_sent:
            return
    raise AssertionError("it never came to an end")
