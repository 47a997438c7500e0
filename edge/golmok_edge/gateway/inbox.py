"""What a message from the local bus becomes, and whether it was here before. Decides only; `bus.py` does the I/O.

The broker delivers a message until it is acknowledged, and we acknowledge after the commit. So a message may come
twice: after our death, or after a lost connection. It then bears the flag DUP and its old packet id, and is known by
(packet id, hash of topic and payload) among the last messages of this session with the broker.

What comes before our own marker, after a reconnect, had waited at the broker: when it was sent is known only if
the payload says so.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from golmok_cloud_sync.protocol import Record
from golmok_drivers.api import DriverError, MessageDriver, failed, topic_matches
from golmok_drivers.buses.mqtt import RECEIVE_MAXIMUM, Message, subscription_id
from golmok_drivers.errors import DriverRaises
from golmok_drivers.sound import sound
from golmok_drivers.watch import Watch
from golmok_edge.gateway.clock import Instant
from golmok_edge.gateway.convert import records_of, units_of
from golmok_edge.gateway.decoding import Said
from golmok_edge.settings import Device
from golmok_edge.store import WINDOW, Taken

_log = logging.getLogger(__name__)

_MOST_ROUTES: Final = 1_000
"""Topics whose devices are remembered; a sensor that invents topics must not fill the memory."""
_LONGEST_REMEMBERED: Final = 256
_PACKET_IDS: Final = 65_535
_FEW_BITS: Final = 12
_DISORDER: Final = 2 * RECEIVE_MAXIMUM
"""Packet ids may step back by so many: what the disk refused is stored behind what came after it."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A device on the local bus."""

    device: Device
    driver: MessageDriver
    units: dict[str, str] = field(init=False)
    quantities: frozenset[str] = field(init=False)
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", dict(units_of(self.device)))
        object.__setattr__(self, "quantities", frozenset(channel.quantity for channel in self.device.channels))
        object.__setattr__(self, "watch", Watch(self.device.channels, self.device.still_s))


@dataclass(slots=True)
class Counts:
    """What came in."""

    messages: int = 0
    duplicates: int = 0
    bad: int = 0
    foreign: int = 0
    """Messages that said nothing of any of our channels."""


class Seen:
    """The last messages of one session with the broker: stored, or on their way to the disk."""

    def __init__(self, session: int, stored: Iterable[tuple[int, int]] = ()) -> None:
        """`stored` are (packet id, hash) of those of `session` that are on disk, the oldest first."""
        self.session = session
        # None: stored. The deliveries that wait for the commit are kept without what they say.
        near = _near(list(stored))
        self._keys: OrderedDict[tuple[int, int], list[Message] | None] = OrderedDict.fromkeys(near)
        self._read = near[: -_DISORDER - 1 : -1]
        """The newest of those that were read from the card, the newest first: only these can come again."""

    def __len__(self) -> int:
        return len(self._keys)

    def begin(self, message: Message, hash64: int) -> Taken:
        """`message` is on its way to the disk."""
        self._note(message, hash64, [message._replace(topic="", payload=b"")])
        return Taken(self.session, message.packet_id, hash64)

    def pass_by(self, message: Message, hash64: int) -> None:
        """Nothing of `message` is to be stored. It used up a packet id all the same, so it counts."""
        self._note(message, hash64, None)

    def again(self, message: Message, hash64: int) -> bool | None:
        """A redelivered message: True if it is stored, None if it is on its way (and will be), False if new."""
        key = (message.packet_id, hash64)
        if key not in self._keys:
            return self._is_rotten(*key)
        waiting = self._keys[key]
        if waiting is None:
            return True
        waiting.append(message._replace(topic="", payload=b""))
        return None

    def _is_rotten(self, packet_id: int, hash64: int) -> bool:
        """Whether it is stored, and what was kept to know it by has rotted on the card: a few of its 80 bits.

        The hash of another message differs in half of its bits.
        """
        for at, (its_id, its_hash) in enumerate(self._read):
            if its_id == packet_id and (its_hash ^ hash64).bit_count() <= _FEW_BITS:
                return True
            if its_hash == hash64 and 0 < at < len(self._read) - 1:
                after, before = self._read[at - 1][0], self._read[at + 1][0]
                if _is_between(before, packet_id, after) and not _is_between(before, its_id, after):
                    return True
        return False

    def stored(self, taken: Taken) -> Sequence[Message]:
        """It is on disk: gives the deliveries to acknowledge."""
        key = (taken.packet_id, taken.hash64)
        waiting = self._keys.get(key) if taken.session == self.session else None
        if waiting is None:
            return ()
        self._keys[key] = None
        return waiting

    def forget(self) -> None:
        """The broker has forgotten us: a new session, in which packet ids begin anew."""
        self.session += 1
        self._keys.clear()
        self._read = []

    def _note(self, message: Message, hash64: int, waiting: list[Message] | None) -> None:
        key = (message.packet_id, hash64)
        self._keys[key] = waiting
        self._keys.move_to_end(key)
        while len(self._keys) > WINDOW:
            self._keys.popitem(last=False)


class Inbox:
    """The devices that speak over the local bus, and what their messages say."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self.counts = Counts()
        self.corrected: Callable[[Sequence[Record]], Sequence[Record]] = lambda records: records
        """What makes of readings what they are when their calibration is heeded."""
        self._listeners = tuple(listeners)
        self._filters: list[tuple[str, Listener]] = []
        self._routes: dict[tuple[str, tuple[int, ...]], list[Listener]] = {}
        self.learn()

    @property
    def topics(self) -> list[str]:
        """The topic filters to subscribe to."""
        return list(dict.fromkeys(pattern for pattern, _ in self._filters))

    def learn(self) -> None:
        """Ask the drivers anew what they want to hear."""
        self._filters = [(pattern, one) for one in self._listeners for pattern in one.driver.topics()]
        self._routes.clear()

    def route(self, message: Message) -> list[Listener]:
        """Whom the message is for."""
        return self._route(message.topic, message.subscriptions)

    def records(self, message: Message, at: Instant, waited_ms: int | None) -> list[Record]:
        """All that the message says, device by device, each device's channels in the order of its settings."""
        records: list[Record] = []
        for one in self.route(message):
            records += self.records_of(one, decode(one.driver, message, one.quantities), at, waited_ms)
        self.heard(records)
        return records

    def records_of(self, one: Listener, said: Said, at: Instant, waited_ms: int | None) -> Sequence[Record]:
        """What one device said, as it is stored."""
        if said.error is None:
            readings = one.watch.look(said.readings, at.mono_ms / 1000)
            return self.corrected(records_of(one.device, one.units, readings, at, waited_ms))
        self.counts.bad += 1
        return records_of(one.device, one.units, failed(one.device.channels, said.error), at, waited_ms)

    def heard(self, records: Sequence[Record]) -> None:
        """A message that became these."""
        self.counts.messages += 1
        self.counts.foreign += not records

    def _route(self, topic: str, subscriptions: tuple[int, ...]) -> list[Listener]:
        key = (topic, subscriptions)
        route = self._routes.get(key)
        if route is None:
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            unique = {one.device.name: one for pattern, one in self._filters if _is_for(pattern, topic, subscriptions)}
            route = list(unique.values())
            if len(topic) <= _LONGEST_REMEMBERED:
                self._routes[key] = route
        return route


def decode(driver: MessageDriver, message: Message, quantities: frozenset[str]) -> Said:
    """What a driver in our own process makes of a message."""
    try:
        return Said(sound(driver.decode(message.topic, message.payload), quantities))
    except DriverError as error:
        return Said((), error)
    except BaseException as error:  # noqa: BLE001  # a driver of anybody's must not end the local bus
        _log.exception("a driver broke on a message of %s", message.topic)
        return Said((), DriverRaises(f"{type(error).__name__}: {error}"))


def _is_for(pattern: str, topic: str, subscriptions: tuple[int, ...]) -> bool:
    """Whether it came for this subscription, and not for another that its topic matches, too."""
    return topic_matches(pattern, topic) and (not subscriptions or subscription_id(pattern) in subscriptions)


def _near(stored: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those at the end that lie less than `WINDOW` packet ids back.

    Packet ids count up, also for messages of which nothing was stored. What lies further back than the ids reach
    would pass for another message with the same words. One id that fits between none of its neighbours is rotten (it
    has no check sum), and tells nothing of the others.
    """
    back, after = 0, stored[-1][0] if stored else 0
    for at in range(len(stored) - 2, -1, -1):
        own, before = stored[at][0], stored[max(0, at - 1)][0]
        step = _steps(own, after)
        if _steps(before, own) + step >= _PACKET_IDS > _DISORDER > _steps(before, after):
            continue
        back, after = back + step, own
        if back >= WINDOW:
            return stored[at + 1 :]
    return stored


def _is_between(before: int, packet_id: int, after: int) -> bool:
    return 0 < (packet_id - before) % _PACKET_IDS < (after - before) % _PACKET_IDS < _DISORDER


def _steps(begin: int, end: int) -> int:
    """From one packet id to the other; none where they only stand in another order."""
    step = (end - begin) % _PACKET_IDS
    return step if step < _PACKET_IDS - _DISORDER else 0
