"""`golmok_edge.gateway.inbox`: what messages become, and that a redelivered one is known."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from golmok_drivers.api import PayloadError, Reading
from golmok_drivers.buses.mqtt import Message, subscription_id
from golmok_edge.gateway.clock import Instant
from golmok_edge.gateway.inbox import Inbox, Listener, Seen
from golmok_edge.store import WINDOW, Taken, message_hash

from .gateway_support import BOOT, listener, message

AT = Instant(BOOT, 5_000)
KEYS = st.tuples(st.integers(1, 3), st.sampled_from([message_hash("a", b"0"), message_hash("a", b"1")]))
"""Few packet ids and few payloads, so that they meet again."""


class Deliveries(RuleBasedStateMachine):
    """Any order of new, redelivered, stored and forgotten messages, against the plainest book of them."""

    @initialize(stored=st.lists(KEYS, max_size=8, unique_by=lambda key: key[0]).map(sorted))
    def begin(self, stored: list[tuple[int, int]]) -> None:
        self.session = 7
        self.seen = Seen(self.session, stored)
        self.on_disk = set(stored)
        self.waiting: dict[tuple[int, int], list[int]] = {}
        self.connection = 0
        self.old: list[Taken] = []

    def arrives(self, key: tuple[int, int], dup: bool) -> Message:
        self.connection += 1  # names the delivery
        return message(packet_id=key[0], dup=dup, connection=self.connection)

    @rule(key=KEYS)
    def a_new_message(self, key: tuple[int, int]) -> None:
        """The broker uses an id again only when we have acknowledged what had it."""
        if any(waits[0] == key[0] for waits in self.waiting):
            return
        taken = self.seen.begin(self.arrives(key, dup=False), key[1])
        assert taken == Taken(self.session, *key)
        self.on_disk.discard(key)
        self.waiting[key] = [self.connection]

    @rule(key=KEYS)
    def a_redelivered_message(self, key: tuple[int, int]) -> None:
        again = self.seen.again(self.arrives(key, dup=True), key[1])
        if key in self.waiting:
            assert again is None
            self.waiting[key].append(self.connection)
        else:
            assert again is (key in self.on_disk)

    @rule(key=KEYS)
    def it_is_stored(self, key: tuple[int, int]) -> None:
        deliveries = self.seen.stored(Taken(self.session, *key))
        assert [one.connection for one in deliveries] == self.waiting.pop(key, [])
        if deliveries:
            self.on_disk.add(key)

    @rule()
    def the_broker_forgets_us(self) -> None:
        self.old += [Taken(self.session, *key) for key in self.waiting]
        self.seen.forget()
        self.session += 1
        self.on_disk.clear()
        self.waiting.clear()

    @rule()
    def something_of_a_former_session_is_stored(self) -> None:
        """It may have the id and the words of one that is on its way now."""
        for taken in self.old:
            assert self.seen.stored(taken) == ()
        self.old.clear()

    @rule(key=KEYS)
    def a_foreign_message(self, key: tuple[int, int]) -> None:
        if any(waits[0] == key[0] for waits in self.waiting):
            return
        self.seen.pass_by(self.arrives(key, dup=False), key[1])
        self.on_disk.add(key)

    @invariant()
    def its_size_is_that_of_the_book(self) -> None:
        if hasattr(self, "seen"):
            assert len(self.seen) == len(self.on_disk | set(self.waiting))


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_what_is_stored_of_a_former_session_acknowledges_nothing_of_this_one() -> None:
    """It has the same id and the same words, and the new one is not on disk yet."""
    seen = Seen(1)
    former = seen.begin(message(packet_id=5), 9)
    seen.forget()
    taken = seen.begin(message(packet_id=5), 9)
    assert seen.stored(former) == ()
    assert len(seen.stored(taken)) == 1


def test_the_window_is_as_wide_as_half_the_packet_ids() -> None:
    seen = Seen(1)
    for packet_id in range(1, WINDOW + 101):
        seen.stored(seen.begin(message(packet_id=packet_id), 9))
    assert len(seen) == WINDOW
    assert seen.again(message(packet_id=100, dup=True), 9) is False
    assert seen.again(message(packet_id=101, dup=True), 9) is True


def test_an_id_used_again_is_another_message_though_it_says_the_same() -> None:
    seen = Seen(1, [(5, 9)])
    seen.begin(message(packet_id=5, connection=2), 9)
    assert seen.again(message(packet_id=5, dup=True, connection=3), 9) is None, "it is not stored yet"
    assert [one.connection for one in seen.stored(Taken(1, 5, 9))] == [2, 3]


def test_what_is_kept_of_a_message_is_not_what_it_says() -> None:
    seen = Seen(1)
    taken = seen.begin(message(topic="t" * 1000, payload=b"x" * 1000), 9)
    assert [(one.topic, one.payload, one.packet_id) for one in seen.stored(taken)] == [("", b"", 1)]


def test_messages_of_which_nothing_was_stored_use_up_ids_too() -> None:
    """Else one of 65,535 messages ago would pass for a new one with the same id and words."""
    far, near = [(1, 9), (2, 9)], [(40_000, 9), (40_001, 9), (40_003, 9)]
    seen = Seen(1, [*far, *near])
    assert seen.again(message(packet_id=2, dup=True), 9) is False
    assert seen.again(message(packet_id=40_000, dup=True), 9) is True


@pytest.mark.parametrize("bit", [3, 13, 14, 15])
def test_a_rotten_id_makes_nobody_forget_the_others(bit: int) -> None:
    stored = [(1_000 + at, at) for at in range(20)]
    stored[10] = (stored[10][0] ^ 1 << bit, 10)
    assert len(Seen(1, stored)) == 20


@pytest.mark.parametrize("bits", [[1 << 3], [1 << 70], [1 << 16, 1 << 40, 1 << 79], [1 << 15]])
def test_a_message_is_known_though_what_was_kept_of_it_has_rotted(bits: list[int]) -> None:
    stored = [(1_000 + at, message_hash("a", b"%d" % at)) for at in range(20)]
    (packet_id, hash64), entry = stored[10], stored[10][0] | stored[10][1] << 16
    for bit in bits:
        entry ^= bit
    stored[10] = entry & 0xFFFF, entry >> 16
    assert Seen(1, stored).again(message(packet_id=packet_id, dup=True), hash64) is True


def test_a_message_of_the_same_words_is_another_one() -> None:
    stored = [(1_000 + at, 9) for at in range(20) if at != 10]
    assert Seen(1, stored).again(message(packet_id=1_010, dup=True), 9) is False


def test_ids_that_wrap_and_stand_in_disorder_are_still_near() -> None:
    """What the disk refused is stored behind what came later."""
    stored = [(65_530, 9), (65_535, 9), (4, 9), (65_000, 9), (65_001, 9), (5, 9)]
    seen = Seen(1, stored)
    assert len(seen) == 6


def said(inbox: Inbox, one: Message, waited_ms: int | None = 0) -> list[tuple[str, object, str, str]]:
    return [(r.channel, r.value, r.quality, r.reason) for r in inbox.records(one, AT, waited_ms)]


def test_channels_come_in_the_order_of_the_settings_device_by_device() -> None:
    inbox = Inbox([listener("two", "t/+"), listener("one", "t/1"), listener("other", "u/#")])
    assert [channel for channel, *_ in said(inbox, message("t/1", b"a=1 b=2"))] == ["two.a", "two.b", "one.a", "one.b"]
    assert [channel for channel, *_ in said(inbox, message("u/x/y", b"a=1"))] == ["other.a"]
    assert inbox.topics == ["t/+", "t/1", "u/#"]


def test_a_device_hears_a_message_once_though_two_of_its_topics_match() -> None:
    inbox = Inbox([listener("one", "t/+", "t/#")])
    assert len(said(inbox, message("t/1"))) == 1


def test_of_copies_for_several_subscriptions_each_goes_to_its_own_device() -> None:
    inbox = Inbox([listener("all", "t/#"), listener("one", "t/1"), listener("same", "t/1")])
    copies = [message("t/1", subscriptions=(subscription_id(topic),)) for topic in ("t/#", "t/1")]
    assert [[channel for channel, *_ in said(inbox, copy)] for copy in copies] == [["all.a"], ["one.a", "same.a"]]
    both = message("t/1", subscriptions=(subscription_id("t/#"), subscription_id("t/1")))
    assert len(said(inbox, both)) == 3, "a broker may also send one copy for all"


def test_a_subscription_of_former_settings_says_nothing() -> None:
    inbox = Inbox([listener("one", "t/1")])
    assert said(inbox, message("t/1", subscriptions=(subscription_id("t/#"),))) == []
    assert inbox.counts.foreign == 1


def cannot_be_read(_: bytes) -> Sequence[Reading]:
    raise PayloadError("no JSON")


def breaks(_: bytes) -> Sequence[Reading]:
    raise KeyError("temperature")


def breaks_the_rules(_: bytes) -> Sequence[Reading]:
    return [Reading("x" * 300, 1.0)]


def test_a_bad_payload_is_a_bad_reading_of_each_channel() -> None:
    inbox = Inbox([listener("one", "t/1", odd=cannot_be_read), listener("two", "t/1")])
    assert said(inbox, message()) == [
        ("one.a", None, "bad", "parse"),
        ("one.b", None, "bad", "parse"),
        ("two.a", 1.0, "good", ""),
    ]
    assert (inbox.counts.bad, inbox.counts.messages, inbox.counts.foreign) == (1, 1, 0)


def test_a_driver_that_breaks_takes_no_other_along() -> None:
    broken: list[Listener] = [listener("one", "t/1", odd=breaks), listener("odd", "t/1", odd=breaks_the_rules)]
    inbox = Inbox([*broken, listener("two", "t/1")])
    assert said(inbox, message()) == [
        ("one.a", None, "bad", "raises"),
        ("one.b", None, "bad", "raises"),
        ("odd.a", None, "bad", "nonsense"),
        ("odd.b", None, "bad", "nonsense"),
        ("two.a", 1.0, "good", ""),
    ]


def test_a_message_that_says_nothing_of_ours_is_foreign() -> None:
    inbox = Inbox([listener("one", "t/+")])
    assert said(inbox, message("t/1", b"")) == []
    assert said(inbox, message("u/1")) == []
    assert (inbox.counts.messages, inbox.counts.foreign) == (2, 2)


def test_how_long_it_waited_stays_with_its_records() -> None:
    inbox = Inbox([listener("one", "t/1", odd=lambda _: [Reading("a", 1), Reading("b", 2, wall_ms=1_700_000_000_000)])])
    assert [(r.waited_ms, r.wall_ms) for r in inbox.records(message(), AT, None)] == [
        (None, None),
        (None, 1_700_000_000_000),
    ]


def test_a_flood_of_topics_does_not_fill_the_memory() -> None:
    inbox = Inbox([listener("one", "t/#")])
    tracemalloc.start()
    for number in range(10_000):
        inbox.records(message(f"t/{number}/{'x' * 2_000 if number % 2 else ''}"), AT, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
