"""The local bus: takes what devices say over MQTT, and tells everybody on it what the gateway has read.

A message is acknowledged after the commit that holds all its records, never before. If the disk refuses it, it
stays with the broker and is tried again.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Final

from golmok_cloud_sync.protocol import Record, Void
from golmok_drivers.buses.mqtt import Callbacks, Message, Mqtt
from golmok_edge.gateway.clock import Clock, Instant
from golmok_edge.gateway.inbox import Counts, Inbox, Listener, Seen, taken_of
from golmok_edge.settings import Mqtt as MqttSettings
from golmok_edge.store import Commit, Item, Store, Taken

_log = logging.getLogger(__name__)

AGAIN_S: Final = 2.0
"""After a refused commit its messages are put again so much later; those that come meanwhile wait behind them."""
_MESSAGE: Final = object()
"""Tags the items that came in a message."""


class LocalBus:
    """The gateway's one connection to the broker."""

    def __init__(
        self,
        gateway: str,
        settings: MqttSettings,
        listeners: Sequence[Listener],
        *,
        store: Store,
        put: Callable[..., None],
        clock: Clock,
    ) -> None:
        self.inbox = Inbox(listeners)
        self.is_caught_up = False
        """All that had waited at the broker has come; whoever publishes now is heard at once."""
        self.refused = ""
        self._settings, self._store, self._put, self._clock = settings, store, put, clock
        self._marker_topic = f"golmok/{gateway}/marker"
        self._marker = b""
        self._seen = Seen(store.taken_recently())
        self._lock = threading.Lock()
        self._last_heard = _last_record(store)
        self._is_taking = True
        self._held: list[Item] = []
        self._timer: threading.Timer | None = None
        password = settings.password_file.read_text().strip() if settings.password_file else None
        self._mqtt = Mqtt(
            f"golmok-{gateway}",
            Callbacks(
                on_connect=self._on_connect,
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
    def counts(self) -> Counts:
        """What came in so far."""
        return self.inbox.counts

    def open(self) -> None:
        """Connect, and stay so."""
        self._mqtt.subscribe([*self.inbox.topics, self._marker_topic])
        self._mqtt.connect(self._settings.host, self._settings.port)

    def catch_up(self) -> None:
        """Send the marker again: `is_caught_up` when all that the broker has for us until now has come."""
        self.is_caught_up = False
        self._send_marker()

    def stop_taking(self) -> None:
        """Let what comes from now on stay with the broker; what was taken is still acknowledged."""
        self._is_taking = False

    def close(self) -> None:
        """Say goodbye; the broker keeps for us what comes meanwhile."""
        with self._lock:
            if self._timer:
                self._timer.cancel()
        self._mqtt.close()

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish, retained, if there is a connection: the next value is not far."""
        if self._mqtt.is_connected:
            self._mqtt.publish(topic, payload, qos=0, retain=True)

    def committed(self, commit: Commit) -> None:
        """Acknowledge the messages whose records are on disk. Called in the store's thread."""
        with self._lock:
            deliveries = [
                message for item in commit.items for taken in item.taken for message in self._seen.stored(taken)
            ]
        for message in deliveries:
            self._mqtt.ack(message)

    def refuse(self, items: Sequence[Item]) -> None:
        """The disk took none of them: they stay with the broker, and are tried again. Called in the store's thread."""
        again = [item for item in items if item.tag is _MESSAGE]
        with self._lock:
            self._held[:0] = again
            if self._held and self._timer is None:
                self._timer = threading.Timer(AGAIN_S, self._put_again)
                self._timer.daemon = True
                self._timer.start()

    def _put_again(self) -> None:
        with self._lock:
            items, self._held, self._timer = self._held, [], None
            self._put(*items)

    # --- paho's thread

    def _on_connect(self, session_present: bool) -> None:
        self.refused = ""
        if not session_present:
            self._begin_session()
        self._send_marker()
        _log.info("local bus connected, session %s", "kept" if session_present else "new")

    def _send_marker(self) -> None:
        self._marker = secrets.token_hex(8).encode()
        self._mqtt.publish(self._marker_topic, self._marker, qos=1)

    def _begin_session(self) -> None:
        """The broker does not know us. If it did before, what it had for us is lost: a gap."""
        had = self._store.broker_session
        self._store.start_broker_session()
        with self._lock:
            self._seen.forget()
        if had:
            mono_ms = self._clock.mono_ms()
            value = json.dumps({"reason": "broker", "from_mono_ms": self._heard_in_this_boot(), "to_mono_ms": mono_ms})
            self._put(Item("events", [Record("gap.broker", value, "", self._clock.boot, mono_ms)]))

    def _on_disconnect(self, why: str) -> None:
        self.is_caught_up = False
        self._last_heard = Instant(self._clock.boot, self._clock.mono_ms())
        _log.warning("local bus lost: %s", why)

    def _on_refused(self, why: str) -> None:
        if why != self.refused:
            _log.error("%s", why)
        self.refused = why

    def _on_message(self, message: Message) -> None:
        if not self._is_taking:
            return
        if message.topic == self._marker_topic:
            self._mqtt.ack(message)
            if message.payload == self._marker:
                self.is_caught_up = True
            return
        taken = taken_of(message, self._store.broker_session)
        if message.dup and self._was_here(message, taken):
            return
        at = Instant(self._clock.boot, self._clock.mono_ms())
        records = self.inbox.records(message, at, self._waited_ms(message, at))
        if not records:
            self._mqtt.ack(message)
            return
        with self._lock:
            if message.qos:
                self._seen.begin(message, taken.hash64)
            item = Item("readings", records, [taken] if message.qos else [], None, _MESSAGE)
            if self._held:
                self._held.append(item)
            else:
                self._put(item)

    def _was_here(self, message: Message, taken: Taken) -> bool:
        with self._lock:
            again = self._seen.again(message, taken.hash64)
        if again is False:
            return False
        self.counts.duplicates += 1
        if again:
            self._mqtt.ack(message)
        return True

    def _waited_ms(self, message: Message, at: Instant) -> int | None:
        """How long the message may have waited at the broker; None if nobody knows."""
        if message.retain:
            return None
        if self.is_caught_up:
            return 0
        heard = self._heard_in_this_boot()
        return None if heard is None else max(1, at.mono_ms - heard)

    def _heard_in_this_boot(self) -> int | None:
        heard = self._last_heard
        return heard.mono_ms if heard and heard.boot == self._clock.boot else None


def _last_record(store: Store) -> Instant | None:
    """When the last reading was taken that is on disk."""
    tail = store.tail("readings")
    found = store.read("readings", tail, 1) if tail else []
    return None if isinstance(found, Void) or not found else Instant(found[0].boot, found[0].mono_ms)
