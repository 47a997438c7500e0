"""What the harness saw with its own eyes: the evidence that the oracle judges by. Times are this machine's own.

A message is known by its device and its number `n`, which it carries.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

Value: TypeAlias = bool | int | float | str | None

WRITES_WITHIN_S = 2.0
"""Within this time a gateway that was told the time has it on its disk."""
LOOKS_WITHIN_S = 12.0
"""Within this time a gateway has noticed that somebody keeps its machine's clock."""


class Key(NamedTuple):
    """Names a message."""

    device: str
    n: int


@dataclass(slots=True)
class Boot:
    """One boot of the machine that a gateway runs on."""

    name: str
    knows: bool = False
    """Somebody told it the time, and it lived long enough after that to write it down."""
    told_at: float | None = None
    """When the process that runs was told first."""
    is_kept: bool = False
    """Somebody keeps the machine's own clock: it is looked at now and then, and the cloud's word counts no more."""


class Delivery(NamedTuple):
    """The broker's message reached the gateway's end of the line."""

    at: float
    is_fresh: bool
    """It came after the gateway's own marker: it had not waited at the broker."""
    boot: Boot


@dataclass(slots=True)
class Message:
    """What a source said, and what became of it."""

    key: Key
    values: Mapping[str, Value]
    """By channel, in the order in which they are stored."""
    stated_ms: int | None
    """The time that it carries itself."""
    sent_at: float
    accepted_at: float | None = None
    """When the broker took it from the source."""
    taken_at: float | None = None
    """When the gateway said that it has it."""
    may_be_lost_with_broker: bool = False
    """The broker had it, or may have, and died before the gateway had taken it."""
    deliveries: list[Delivery] = field(default_factory=list)


class Given(NamedTuple):
    """A value that a simulated part gave over its bus."""

    channel: str
    value: Value
    at: float
    boot: Boot


class Notes:
    """The notebook of one gateway. Any thread may write."""

    def __init__(self) -> None:
        self.messages: dict[Key, Message] = {}
        self.given: list[Given] = []
        self.boots: list[Boot] = []
        self.count: Counter[str] = Counter()
        self._broker_knows_nobody = False
        self.lock = threading.Lock()

    def said(self, message: Message) -> None:
        """A source is about to send it."""
        with self.lock:
            message.may_be_lost_with_broker = self._broker_knows_nobody
            self.messages[message.key] = message

    def accepted(self, key: Key) -> None:
        """The broker took it."""
        with self.lock:
            self.messages[key].accepted_at = time.time()

    def delivered(self, key: Key, *, is_fresh: bool, is_again: bool) -> None:
        """The broker's message was handed to the gateway."""
        with self.lock:
            if message := self.messages.get(key):
                message.deliveries.append(Delivery(time.time(), is_fresh, self.boots[-1]))
                self.count["again" if is_again else "delivered"] += 1

    def took(self, key: Key) -> None:
        """The gateway said that it has it; said so, whether or not the broker heard."""
        with self.lock:
            message = self.messages.get(key)
            if message and message.taken_at is None:
                message.taken_at = time.time()
                self.count["taken"] += 1

    def broker_died(self) -> None:
        """What it had and the gateway had not is lost, or may be; so is what it hears until the gateway is back."""
        with self.lock:
            self._broker_knows_nobody = True
            for message in self.messages.values():
                if message.taken_at is None:
                    message.may_be_lost_with_broker = True

    def subscribed(self) -> None:
        """The broker delivers to the gateway."""
        with self.lock:
            self._broker_knows_nobody = False

    def gave(self, channel: str, value: Value) -> None:
        """A simulated part gave a value."""
        with self.lock:
            self.given.append(Given(channel, value, time.time(), self.boots[-1]))
            self.count["given"] += 1

    def booted(self, name: str) -> Boot:
        """The machine starts."""
        with self.lock:
            self.boots.append(Boot(name))
            return self.boots[-1]

    def told_time(self) -> None:
        """The cloud, or who keeps the clock, told the gateway the time."""
        boot = self.boots[-1]
        if boot.told_at is None:
            boot.told_at = time.time()

    def kept(self) -> None:
        """From now on somebody keeps the clock."""
        self.boots[-1].is_kept, self.boots[-1].told_at = True, time.time()

    def ended(self) -> None:
        """The gateway's process ends, or is about to be judged."""
        boot = self.boots[-1]
        within_s = LOOKS_WITHIN_S if boot.is_kept else WRITES_WITHIN_S
        boot.knows |= boot.told_at is not None and time.time() - boot.told_at > within_s
        boot.told_at = None

    def open_messages(self) -> int:
        """How many were delivered and not yet taken."""
        with self.lock:
            return sum(1 for one in self.messages.values() if one.deliveries and one.taken_at is None)
