"""The local bus: takes what devices say over MQTT, and tells everybody on it what the gateway has read.

A message is acknowledged after the commit that holds all its records, never before. If the disk refuses it, it
stays with the broker and is tried again.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, auto
from typing import Final, Protocol

from golmok_cloud_sync.protocol import Record
from golmok_cloud_sync.protocol.gaps import BROKER
from golmok_drivers.buses.mqtt import RECEIVE_MAXIMUM, Callbacks, Message, Mqtt
from golmok_edge.gateway.again import Again, in_a_thread
from golmok_edge.gateway.clock import Clock, Instant
from golmok_edge.gateway.decoding import Decoder, Said, Together
from golmok_edge.gateway.flood import Flood, Floods
from golmok_edge.gateway.inbox import Counts, Inbox, Listener, Seen, decode
from golmok_edge.settings import Mqtt as MqttSettings
from golmok_edge.store import Commit, Found, Item, StoreError, Taken, message_hash

_log = logging.getLogger(__name__)

STALLED: Final = RECEIVE_MAXIMUM * 3 // 4
"""With so many messages that the disk refuses the broker will soon have more for us than it may send."""
GOODBYE_S: Final = 1.0
"""How long the end waits for the last acknowledgements to leave; what they leave behind comes again and is known."""


class _Seal(Enum):
    """What is known of the subscription that only a session has whose beginning is on disk, with the gap before it.

    Without it a process that dies between hearing that the broker does not know us and telling that gap would leave a
    session that the next one takes for the old one.
    """

    UNKNOWN = auto()
    WAITING = auto()
    """The session is new, and the gap before it not yet at its end."""
    DUE = auto()
    """To be set as soon as all such gaps are on disk."""
    ASKED = auto()
    SET = auto()


class Sessions(Protocol):
    """What a store knows of the broker's sessions."""

    @property
    def broker_session(self) -> int:
        """See `Store.broker_session`."""

    def start_broker_session(self) -> int:
        """See `Store.start_broker_session`."""

    def taken_recently(self) -> list[tuple[int, int]]:
        """See `Store.taken_recently`."""


class Absence(Protocol):
    """Who notes when the bus was away: it may be why nothing was heard of a device."""

    def bus_lost(self) -> None:
        """It is away from now on."""

    def bus_back(self) -> None:
        """It is there again."""

    def bus_forgot_us(self, since_mono_ms: int | None) -> None:
        """What it had for us since it was last heard is lost; None: since before this boot."""

    def has_told(self, reason: str) -> bool:
        """Whether all that was found of gaps with this reason is on disk."""

    def unheard(self, devices: Sequence[str]) -> None:
        """These are not heard from now on: one of them floods."""

    def heard_again(self, devices: Sequence[str]) -> None:
        """They are heard again."""


class LocalBus:
    """The gateway's one connection to the broker."""

    def __init__(
        self,
        gateway: str,
        settings: MqttSettings,
        listeners: Sequence[Listener],
        *,
        store: Sessions,
        latest: Mapping[str, Found],
        put: Callable[[Sequence[Item]], bool],
        absence: Absence,
        clock: Clock,
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        """`latest` are the newest readings in `store`, to which `put` leads.

        `on_open` is called after each connecting, in another thread.
        """
        self.inbox = Inbox(listeners)
        self.floods = Floods(listeners, clock)
        self.is_caught_up = False
        """All that had waited at the broker has come; whoever publishes now is heard at once."""
        self._settings, self._store, self._absence, self._clock = settings, store, absence, clock
        self._on_open = on_open
        self._marker_topic = f"golmok/{gateway}/marker"
        self._marker = self._echo = b""
        self._seal_topic = f"golmok/{gateway}/session"
        self._seal = _Seal.UNKNOWN
        self._seen = Seen(store.broker_session, store.taken_recently())
        self._lock = threading.Lock()
        self._noting = threading.Lock()
        self._heard_mono_ms = _heard_mono_ms(latest, listeners, clock.boot)
        self._is_taking = True
        self._put = put
        self._way = Again(self._to_the_store)
        self._is_forgotten = False
        """The broker did not know us, and may not have heard yet what we want to hear."""
        self._is_stalled = False
        """The disk refuses so much that the broker may not send us all that it has: what comes later had waited."""
        self._trouble = f"nobody has answered at {settings.host}:{settings.port} yet"
        password = settings.password_file.read_text().strip() if settings.password_file else None
        self._mqtt = Mqtt(
            f"golmok-{gateway}",
            Callbacks(
                on_connect=self._on_connect,
                on_subscribed=self._on_subscribed,
                on_disconnect=self._on_disconnect,
                on_message=self._on_message,
                on_refused=self._on_refused,
            ),
            username=settings.username,
            password=password,
        )

    @property
    def is_connected(self) -> bool:
        """Whether the connection to the broker stands."""
        return self._mqtt.is_connected

    @property
    def trouble(self) -> str:
        """What is wrong with the connection; empty if nothing is."""
        return self._trouble

    @property
    def counts(self) -> Counts:
        """What came in so far."""
        return self.inbox.counts

    @property
    def held(self) -> int:
        """Messages that the disk has refused, and those that wait behind them."""
        return len(self._way)

    def open(self) -> None:
        """Connect, and stay so."""
        self._absence.bus_lost()  # until it answers
        self._mqtt.subscribe([*self.inbox.topics, self._marker_topic])
        self._mqtt.connect(self._settings.host, self._settings.port)

    def catch_up(self) -> None:
        """Send the marker again: `is_caught_up` when all that the broker has for us until now has come."""
        self.is_caught_up = False
        self._send_marker()

    def stop_taking(self) -> None:
        """Let what comes from now on stay with the broker; what was taken is still acknowledged."""
        self._is_taking = False
        self._way.close()

    def close(self) -> None:
        """Say goodbye; the broker keeps for us what comes meanwhile. A broker that hangs is not waited for."""
        goodbye = threading.Thread(target=self._mqtt.close, daemon=True)
        goodbye.start()
        goodbye.join(GOODBYE_S)

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish, retained, if there is a connection: after the next connecting all is said again."""
        if self._mqtt.is_connected:
            self._mqtt.publish(topic, payload, qos=0, retain=True)

    def publish_once(self, topic: str, payload: bytes) -> None:
        """Publish to those who listen now, if there is a connection: who comes later shall not take it for new."""
        if self._mqtt.is_connected:
            self._mqtt.publish(topic, payload, qos=0)

    def committed(self, commit: Commit) -> None:
        """Acknowledge the messages whose records are on disk. Called in the store's thread."""
        taken = [taken for item in commit.items for taken in item.taken]
        self._acknowledge(taken)
        if self._is_stalled and taken:
            self._is_stalled = False
            self._send_marker()

    def gaps_committed(self) -> None:
        """Gaps may be on disk that were not before. Called in the store's thread."""
        if self._seal is _Seal.DUE and self._absence.has_told(BROKER):
            self._seal = _Seal.ASKED
            self._mqtt.subscribe_once(self._seal_topic)

    def learn(self) -> None:
        """A driver has said at last what it wants to hear."""
        self.inbox.learn()
        self._mqtt.subscribe(self.inbox.topics)

    def _acknowledge(self, all_taken: Iterable[Taken]) -> None:
        with self._lock:
            deliveries = [message for taken in all_taken for message in self._seen.stored(taken)]
        for message in deliveries:
            self._mqtt.ack(message)

    def refuse(self, items: Sequence[Item]) -> None:
        """The disk took none of them: they stay with the broker, and are tried again. Called in the store's thread."""
        self._way.refused(items)

    # --- paho's thread; an exception would end it, and with it the local bus

    def _on_connect(self, session_present: bool) -> None:
        self._trouble = ""
        self._absence.bus_back()
        if not session_present:
            self._seal = _Seal.WAITING
            self._begin_session()
        elif self._seal is _Seal.UNKNOWN:
            self._mqtt.publish(self._seal_topic, b"", qos=1)
        self._send_marker()
        _log.info("local bus connected, session %s", "kept" if session_present else "new")
        self._on_open()

    def _send_marker(self) -> None:
        self._marker = secrets.token_hex(8).encode()
        self._mqtt.publish(self._marker_topic, self._marker, qos=1)

    def _begin_session(self) -> None:
        """The broker does not know us. If it did before, what it had for us is lost: a gap."""
        with self._lock:
            had = self._seen.session
            self._seen.forget()
        self._way.change(lambda item: item._replace(taken=()))  # it will not bring them again
        self._is_session_noted()
        if had:
            self._is_forgotten = True
            self._absence.bus_forgot_us(self._heard_mono_ms)

    def _is_session_noted(self) -> bool:
        """Whether the store knows the session too: its messages must never be compared with those of another."""
        try:
            with self._noting:
                while self._store.broker_session < self._seen.session:
                    self._store.start_broker_session()
        except StoreError as error:
            _log.error("what the local bus says must wait: %s", error)
            return False
        return True

    def _to_the_store(self, items: Sequence[Item]) -> bool:
        return self._is_session_noted() and self._put(items)

    def _on_disconnect(self, why: str) -> None:
        self.floods.echo_came()
        self.is_caught_up = False
        self._absence.bus_lost()
        self._trouble = f"lost: {why}"
        _log.warning("local bus lost: %s", why)

    def _on_subscribed(self, topics: tuple[str, ...]) -> None:
        if self._seal_topic in topics:
            self._seal = _Seal.SET

    def _on_refused(self, why: str) -> None:
        if why != self._trouble:
            _log.error("%s", why)
        self._trouble = why

    def _on_message(self, message: Message) -> None:
        if not self._is_taking:
            return
        if message.topic == self._marker_topic:
            self._mqtt.ack(message)
            if message.payload == self._echo:
                self.floods.echo_came()
            if message.payload == self._marker and not self._is_stalled:
                # Until it knew what we want to hear it kept nothing for us. And a session without a seal is one that
                # a process of ours began which died before it could say so.
                if self._is_forgotten or (self._seal is _Seal.UNKNOWN and self._seen.session):
                    self._is_forgotten = False
                    self._absence.bus_forgot_us(self._heard_mono_ms)
                if self._seal is not _Seal.SET:
                    self._seal = _Seal.DUE
                    self.gaps_committed()
                self.is_caught_up = True
                self._heard_mono_ms = self._clock.mono_ms()
            return
        if message.topic == self._seal_topic:
            self._mqtt.ack(message)
            self._seal = _Seal.SET
            return
        hash64 = message_hash(message.topic, message.payload)
        if message.dup and self._was_here(message, hash64):
            return
        mono_ms = self._clock.mono_ms()
        self._take(message, hash64, mono_ms)
        if self.held >= STALLED and not self._is_stalled:
            self._is_stalled, self.is_caught_up = True, False
        if self.is_caught_up and message.qos:
            self._heard_mono_ms = mono_ms

    def _take(self, message: Message, hash64: int, mono_ms: int) -> None:
        at, waited_ms = Instant(self._clock.boot, mono_ms), self._waited_ms(message, mono_ms)
        route = self.inbox.route(message)
        if not message.qos and self.floods.is_resting(route):
            return  # nobody was told that it is taken, and the gap is; the others wait behind it
        count = len(route)
        if any(isinstance(one.driver, Decoder) for one in route):
            self._take_later(message, hash64, route, at, waited_ms)
        else:
            records = self.inbox.records(message, at, waited_ms)
            self._put_or_pass_by(message, hash64, records)
            count = len(records)
        if self.is_caught_up and not message.retain and not message.dup:
            self._mind_floods(route, max(1, count // max(1, len(route))))

    def _put_or_pass_by(self, message: Message, hash64: int, records: Sequence[Record]) -> None:
        if records:
            with self._lock:
                taken = [self._seen.begin(message, hash64)] if message.qos else []
            self._way.put(Item("readings", records, taken))
        else:
            if message.qos:
                with self._lock:
                    self._seen.pass_by(message, hash64)
            self._mqtt.ack(message)

    def _mind_floods(self, route: Sequence[Listener], readings: int) -> None:
        now_s = time.monotonic()
        for one in route:
            if flood := self.floods.heard(one, readings, now_s):
                self._stop_hearing(flood)
        if self.floods.echo_is_due(now_s):
            self._echo = secrets.token_hex(8).encode()
            self._mqtt.publish(self._marker_topic, self._echo, qos=1)

    def _stop_hearing(self, flood: Flood) -> None:
        """Of the one that floods; after a while it is heard again."""
        self._mqtt.unsubscribe(flood.topics)
        self._absence.unheard(flood.devices)
        in_a_thread(flood.pause_s, lambda: self._hear_again(flood))

    def _hear_again(self, flood: Flood) -> None:
        if self._is_taking:
            self.floods.over(flood, time.monotonic())
            self._mqtt.subscribe(flood.topics)
            self._absence.heard_again(flood.devices)

    def _take_later(
        self, message: Message, hash64: int, route: Sequence[Listener], at: Instant, waited_ms: int | None
    ) -> None:
        """At least one of its drivers has a process of its own: it is stored when all have said what it means."""
        with self._lock:
            taken = [self._seen.begin(message, hash64)] if message.qos else []

        def together(said: Sequence[Said]) -> None:
            records = [
                record
                for one, what in zip(route, said, strict=True)
                for record in self.inbox.records_of(one, what, at, waited_ms)
            ]
            self.inbox.heard(records)
            if records:
                self._way.put(Item("readings", records, taken))
            else:
                self._acknowledge(taken)

        waiting = Together(len(route), together)
        for place, one in enumerate(route):
            if isinstance(one.driver, Decoder):
                one.driver.ask(message.topic, message.payload, waiting.hearing(place))
            else:
                waiting.hearing(place)(decode(one.driver, message, one.quantities))

    def _was_here(self, message: Message, hash64: int) -> bool:
        with self._lock:
            again = self._seen.again(message, hash64)
        if again is False:
            return False
        self.counts.duplicates += 1
        if again:
            self._mqtt.ack(message)
        return True

    def _waited_ms(self, message: Message, mono_ms: int) -> int | None:
        """How long the message may have waited at the broker; None if nobody knows."""
        if message.retain:
            return None
        if self.is_caught_up:
            return 0
        return None if self._heard_mono_ms is None else max(1, mono_ms - self._heard_mono_ms)


def _heard_mono_ms(latest: Mapping[str, Found], listeners: Sequence[Listener], boot: str) -> int | None:
    """When in this boot the last message was published at the earliest of those that are on disk.

    The broker brings them in order: what it still has for us is younger.
    """
    devices = {one.device.name for one in listeners}
    mine = [found for channel, found in latest.items() if channel.partition(".")[0] in devices]
    last = max(mine, default=None, key=lambda found: found.seq)
    if last is None or last.record.boot != boot or last.record.waited_ms is None:
        return None
    return last.record.mono_ms - last.record.waited_ms
