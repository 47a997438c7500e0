"""One MQTT 5 connection that loses nothing: the only file that knows paho.

The session never expires and starts where it stopped; messages are QoS 1 and acknowledged by the owner, one by
one, after he has stored them. An acknowledgement belongs to the connection on which its message came: after a
reconnect the broker delivers again what was not acknowledged, under the same packet id, and a late
acknowledgement of the first delivery would free the id, so that the one of the second delivery would then
acknowledge a stranger that got the id in between. So `ack` of a former connection does nothing.

A message that several subscriptions match comes once for each of them (Mosquitto: always, to a client of MQTT 5),
also for one of an earlier run that the session still has. So each subscription has an id, made from its filter,
and each message says for which it came.

Callbacks come from paho's thread and must not block it for long.
"""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from golmok_drivers.errors import BusError

if TYPE_CHECKING:
    from paho.mqtt.client import ConnectFlags, MQTTMessage
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

log = logging.getLogger(__name__)

RECEIVE_MAXIMUM: Final = 4096
"""Messages on their way to us at once. Without it: 34 messages/s and silent drops, measured."""
NEVER: Final = 0xFFFFFFFF
"""Session expiry interval that stands for never."""
_IDS: Final = 268_435_455
"""As many subscription ids as there are (MQTT 5, 3.8.2.1.2)."""


class Message(NamedTuple):
    """A message as it came. `connection` counts connections; with `packet_id` it names the delivery.

    `subscriptions` are the ids of those for which it came (see `subscription_id`); none: the broker knows no ids.
    """

    topic: str
    payload: bytes
    packet_id: int
    dup: bool
    retain: bool
    qos: int
    connection: int
    subscriptions: tuple[int, ...] = ()


def subscription_id(topic: str) -> int:
    """The id of the subscription to the filter `topic`, the same in every run."""
    return zlib.crc32(topic.encode()) % _IDS + 1


def _nothing(*_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """What the owner wants to hear, each called in paho's thread.

    `on_connect(session_present)`, `on_subscribed(topics)` when the broker has granted them (what was published
    before, in a new session, is not ours), `on_disconnect(why)`, `on_message(message)`, and `on_refused(why)`
    when the broker refuses the connection or a subscription.
    """

    on_connect: Callable[[bool], None] = _nothing
    on_subscribed: Callable[[tuple[str, ...]], None] = _nothing
    on_disconnect: Callable[[str], None] = _nothing
    on_message: Callable[[Message], None] = _nothing
    on_refused: Callable[[str], None] = _nothing


class Mqtt:
    """A connection to a broker, kept up (again after 1 s, doubling to 30 s) until `close`."""

    def __init__(
        self,
        client_id: str,
        callbacks: Callbacks,
        *,
        username: str | None = None,
        password: str | None = None,
        keep_session: bool = True,
        receive_maximum: int = RECEIVE_MAXIMUM,
        keepalive_s: int = 30,
    ) -> None:
        """`keep_session` False is for who only publishes: the broker forgets him when he goes."""
        from paho.mqtt.client import Client, MQTTv5
        from paho.mqtt.enums import CallbackAPIVersion

        self._callbacks = callbacks
        self._keep_session = keep_session
        self._receive_maximum = receive_maximum
        self._keepalive_s = keepalive_s
        self._lock = threading.Lock()
        self._connection = 0
        self._connected = False
        self._has_ids = True
        self._topics: dict[str, None] = {}
        self._left: dict[str, None] = {}
        """Unsubscribed; the broker's session may not know it yet."""
        self._asked: dict[int, str] = {}
        self._answered_early: dict[int, list[ReasonCode]] = {}
        self._deliveries: dict[int, Future[None]] = {}
        self._early: dict[int, ReasonCode] = {}
        client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTv5, manual_ack=True)
        client.max_inflight_messages_set(1000)
        client.reconnect_delay_set(1, 30)
        if username is not None:
            client.username_pw_set(username, password)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        self._client = client

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted us and the connection stands."""
        return self._connected

    def connect(self, host: str, port: int) -> None:
        """Start connecting, in a thread, and keep at it; `on_connect` tells when it is done."""
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's typing ends here
        properties.ReceiveMaximum = self._receive_maximum
        if self._keep_session:
            properties.SessionExpiryInterval = NEVER
        self._client.connect_async(
            host, port, self._keepalive_s, clean_start=not self._keep_session, properties=properties
        )
        self._client.loop_start()

    def close(self) -> None:
        """Send what is queued, say goodbye, end the thread. The session stays with the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe with QoS 1, now and again after each reconnect. Retained messages come only the first time."""
        with self._lock:
            self._topics |= dict.fromkeys(topics)
            for topic in topics:
                self._left.pop(topic, None)
        if self._connected:
            self._ask(tuple(topics))

    def subscribe_once(self, topic: str) -> None:
        """Subscribe in the session that stands, if one does, and not again in the next."""
        if self._connected:
            self._ask((topic,))

    def unsubscribe(self, topics: Sequence[str]) -> None:
        """Hear no more of these, until they are subscribed again. What is under way already still comes."""
        with self._lock:
            for topic in topics:
                self._topics.pop(topic, None)
                self._left[topic] = None
        if self._connected:
            self._client.unsubscribe(list(topics))

    def ack(self, message: Message) -> bool:
        """Tell the broker that `message` is stored. False: its connection is over, it will come again."""
        with self._lock:
            if not self._connected or message.connection != self._connection:
                return False
            if message.qos:
                self._client.ack(message.packet_id, message.qos)
            return True

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> Future[None]:
        """Publish; the future is done when the broker has it (QoS 1) or it was sent (QoS 0).

        QoS 1 waits for a connection and survives a reconnect, but what was published while there was none may
        be overtaken by what is published afterwards: who publishes a state says it again in `on_connect`. QoS 0
        without a connection fails at once.
        """
        info = self._client.publish(topic, payload, qos, retain)
        delivery: Future[None] = Future()
        if not qos and info.rc:
            delivery.set_exception(BusError(f"mqtt: not sent to {topic}: there is no connection"))
            return delivery
        with self._lock:
            reason = self._early.pop(info.mid, None)
            if reason is None:
                self._deliveries[info.mid] = delivery
        if reason is not None:
            _settle(delivery, reason)
        return delivery

    def _ask(self, topics: tuple[str, ...]) -> None:
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties
        from paho.mqtt.subscribeoptions import SubscribeOptions

        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        for topic in topics:
            properties = Properties(PacketTypes.SUBSCRIBE)  # type: ignore[no-untyped-call]  # paho's typing ends here
            if self._has_ids:
                properties.SubscriptionIdentifier = subscription_id(topic)
            _, mid = self._client.subscribe([(topic, options)], properties=properties)
            if mid is None:
                continue
            with self._lock:  # the answer may be here before paho has told us its number
                reasons = self._answered_early.pop(mid, None)
                if reasons is None:
                    self._asked[mid] = topic
            if reasons is not None:
                self._answered(topic, reasons)

    def _on_connect(
        self, client: Any, userdata: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._callbacks.on_refused(f"the broker refuses the connection: {reason}")
            return
        with self._lock:
            self._connection += 1
            self._connected = True
            self._has_ids = bool(getattr(properties, "SubscriptionIdentifierAvailable", True))
            topics, left = tuple(self._topics), list(self._left)
        self._ask(topics)
        if left:
            self._client.unsubscribe(left)
        self._callbacks.on_connect(bool(flags.session_present))

    def _on_disconnect(
        self, client: Any, userdata: Any, flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        with self._lock:  # before paho forgets what it had queued: no acknowledgement slips to the next connection
            was_connected, self._connected = self._connected, False
        if was_connected:
            self._callbacks.on_disconnect(str(reason))

    def _on_message(self, client: Any, userdata: Any, message: MQTTMessage) -> None:
        self._callbacks.on_message(
            Message(
                message.topic,
                bytes(message.payload),
                message.mid,
                bool(message.dup),
                bool(message.retain),
                message.qos,
                self._connection,
                tuple(getattr(message.properties, "SubscriptionIdentifier", ())),
            )
        )

    def _on_subscribe(
        self, client: Any, userdata: Any, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        with self._lock:
            topic = self._asked.pop(mid, None)
            if topic is None:
                self._answered_early[mid] = reasons
        if topic is not None:
            self._answered(topic, reasons)

    def _answered(self, topic: str, reasons: list[ReasonCode]) -> None:
        if reasons[0].is_failure:
            self._callbacks.on_refused(f"the broker refuses the subscription to {topic}: {reasons[0]}")
        else:
            self._callbacks.on_subscribed((topic,))

    def _on_publish(
        self, client: Any, userdata: Any, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        # May run before publish() has returned the id, and paho holds its own lock here: never wait for publish().
        with self._lock:
            delivery = self._deliveries.pop(mid, None)
            if delivery is None:
                self._early[mid] = reason
        if delivery is not None:
            _settle(delivery, reason)


def _settle(delivery: Future[None], reason: ReasonCode) -> None:
    if not delivery.set_running_or_notify_cancel():
        return
    if reason.is_failure:
        delivery.set_exception(BusError(f"mqtt: the broker refuses the message: {reason}"))
    else:
        delivery.set_result(None)
