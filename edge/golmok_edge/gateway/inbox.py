"""What a message from the local bus becomes, and whether it was here before. Decides only; `bus.py` does the I/O.

The broker delivers a message until it is acknowledged, and we acknowledge after the commit. So a message may come
twice: after our death, or after a lost connection. It then bears the flag DUP and its old packet id, and is known by
(packet id, hash of topic and payload) among the last messages of this session with the broker.

What comes before our own marker, after a reconnect, had waited at the broker: when it was sent is known only if
the payload says so.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from golmok_cloud_sync.protocol import Record
from golmok_drivers.api import MessageDriver, PayloadError, failed, topic_matches
from golmok_drivers.buses.mqtt import Message
from golmok_edge.gateway.clock import Instant
from golmok_edge.gateway.convert import records_of, units_of
from golmok_edge.settings import Device
from golmok_edge.store import WINDOW, Taken, message_hash

_MOST_ROUTES: Final = 10_000
"""Topics whose devices are remembered; a sensor that invents topics must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A device on the local bus."""

    device: Device
    driver: MessageDriver
    units: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", dict(units_of(self.device)))


@dataclass(slots=True)
class Counts:
    """What came in."""

    messages: int = 0
    duplicates: int = 0
    bad: int = 0
    foreign: int = 0
    """Messages that said nothing of any of our channels."""


class Seen:
    """The last messages of this session with the broker: stored, or on their way to the disk."""

    def __init__(self, stored: Iterable[tuple[int, int]] = ()) -> None:
        """`stored` are (packet id, hash), the oldest first."""
        self._keys: OrderedDict[tuple[int, int], list[Message] | None] = OrderedDict((key, None) for key in stored)

    def begin(self, message: Message, hash64: int) -> None:
        """`message` is on its way to the disk."""
        key = (message.packet_id, hash64)
        self._keys[key] = [message]
        self._keys.move_to_end(key)
        while len(self._keys) > WINDOW:
            self._keys.popitem(last=False)

    def again(self, message: Message, hash64: int) -> bool | None:
        """A redelivered message: True if it is stored, None if it is on its way (and will be), False if new."""
        key = (message.packet_id, hash64)
        if key not in self._keys:
            return False
        waiting = self._keys[key]
        if waiting is None:
            return True
        waiting.append(message)
        return None

    def stored(self, taken: Taken) -> Sequence[Message]:
        """It is on disk: gives the deliveries to acknowledge."""
        key = (taken.packet_id, taken.hash64)
        waiting = self._keys.get(key)
        if waiting is None:
            return ()
        self._keys[key] = None
        return waiting

    def forget(self) -> None:
        """The broker has forgotten us: packet ids begin anew."""
        self._keys.clear()


class Inbox:
    """The devices that speak over the local bus, and what their messages say."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self.counts = Counts()
        self._filters = [(pattern, one) for one in listeners for pattern in one.driver.topics()]
        self._routes: dict[str, list[Listener]] = {}

    @property
    def topics(self) -> list[str]:
        """The topic filters to subscribe to."""
        return list(dict.fromkeys(pattern for pattern, _ in self._filters))

    def records(self, message: Message, at: Instant, waited_ms: int | None) -> list[Record]:
        """All that the message says, device by device, each device's channels in the order of its settings."""
        records: list[Record] = []
        for one in self._route(message.topic):
            try:
                readings = one.driver.decode(message.topic, message.payload)
            except PayloadError as error:
                self.counts.bad += 1
                readings = failed(one.driver.channels, error)
            records += records_of(one.device, one.units, readings, at, waited_ms)
        self.counts.messages += 1
        self.counts.foreign += not records
        return records

    def _route(self, topic: str) -> list[Listener]:
        route = self._routes.get(topic)
        if route is None:
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            unique = {one.device.name: one for pattern, one in self._filters if topic_matches(pattern, topic)}
            route = self._routes[topic] = list(unique.values())
        return route


def taken_of(message: Message, session: int) -> Taken:
    """What is kept of a message with its records."""
    return Taken(session, message.packet_id, message_hash(message.topic, message.payload))
