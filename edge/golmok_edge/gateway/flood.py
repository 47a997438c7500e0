"""Which device on the local bus says so much that the others are not heard. Decides only; `bus.py` does the I/O.

Two signs: a device has said more than it may for long; or what the gateway sends to itself comes back late, so that
the broker's queue to us is long, and one device has filled it for a second or more: what was held back somewhere and
comes at once is no flood. A device that floods is not heard for a while: its
topics are unsubscribed, since a broker cannot be slowed down for one of them. That is a gap with the reason `flood`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from golmok_drivers.errors import DriverFloods
from golmok_edge.gateway.clock import Clock
from golmok_edge.gateway.health import Allowance, DeviceState, Pauses
from golmok_edge.gateway.inbox import Listener

BURST_S: Final = 10.0
"""A device on the local bus may say at once what it may say in so many seconds: it may have been out of reach."""
LATE_S: Final = 0.15
"""So late may come what we send to ourselves."""
ECHO_EVERY_S: Final = 0.05
BUSY: Final = 20
"""Only when so many messages have come since the last."""
_SHARE: Final = 0.5
"""A device fills the queue if it says at least this part of what it may for long, while the queue is long."""
SUSTAINED_S: Final = 1.0
"""Only who has said more than it may for so long makes others wait: what a line or a broker held back is no flood."""
LEAST_PAUSE_S: Final = 1.0
MOST_PAUSE_S: Final = 60.0


class Flood:
    """One device that is not heard for a while, with those that share its topics."""

    def __init__(self, culprit: Listener, victims: Sequence[Listener], topics: Sequence[str], pause_s: float) -> None:
        self.culprit, self.victims, self.topics, self.pause_s = culprit, tuple(victims), tuple(topics), pause_s

    @property
    def devices(self) -> list[str]:
        """The names of all that are not heard."""
        return [one.device.name for one in self.victims]


class Floods:
    """Counts what each device says. Belongs to one thread, but for `states`."""

    def __init__(self, listeners: Iterable[Listener], clock: Clock) -> None:
        self._listeners = {one.device.name: one for one in listeners}
        self._clock = clock
        self.states = {name: DeviceState("good") for name in self._listeners}
        """How each is; `bad` while it is not heard, and until it has behaved again."""
        self._allowances: dict[str, Allowance] = {}
        self._pauses = {name: Pauses(LEAST_PAUSE_S, MOST_PAUSE_S) for name in self._listeners}
        self._heard_since_s: dict[str, float] = {}
        self._paused: set[str] = set()
        self._since_echo: Counter[str] = Counter()
        self._echo_s: float | None = None
        self._echoed_s = 0.0
        self._since_quiet: dict[str, tuple[float, int]] = {}
        """Since when each may have been saying more than it may for long, and how much it has said since."""

    def echo_is_due(self, now_s: float) -> bool:
        """Whether to send something to ourselves now; `echo_came` tells that it is back."""
        if self._echo_s is not None or now_s - self._echoed_s < ECHO_EVERY_S:
            return False
        is_busy = self._since_echo.total() >= BUSY
        self._since_echo.clear()
        self._echoed_s = now_s
        self._echo_s = now_s if is_busy else None
        return is_busy

    def echo_came(self) -> None:
        """What was sent is back, or will never be."""
        self._echo_s = None

    def is_resting(self, route: Sequence[Listener]) -> bool:
        """Whether nobody is to be heard to whom a message leads."""
        return bool(self._paused) and bool(route) and all(one.device.name in self._paused for one in route)

    def heard(self, one: Listener, readings: int, now_s: float) -> Flood | None:
        """A device said so much: whether it floods."""
        name = one.device.name
        if name in self._paused:
            return None  # what was on its way already
        self._since_echo[name] += readings
        is_sustained = self._is_sustained(one, readings, now_s)
        allowance = self._allowances.get(name)
        if allowance is None:
            allowance = self._allowances[name] = Allowance(one.device.most_per_s, BURST_S)
        state = self.states[name]
        if state.state == "bad" and now_s - self._heard_since_s.get(name, now_s) > LEAST_PAUSE_S:
            state.tell(name, "good", "", "", self._clock.mono_ms())
        if allowance.take(readings, now_s) > 0:
            return self._flood(one, f"it said more than {one.device.most_per_s:g} readings a second", now_s)
        if self._echo_s is not None and (late_s := now_s - self._echo_s) > LATE_S:
            top, count = self._since_echo.most_common(1)[0]
            if is_sustained and top == name and count >= _SHARE * one.device.most_per_s * late_s:
                return self._flood(one, f"it said {count} readings in {late_s:.1f} s, and others had to wait", now_s)
        return None

    def over(self, flood: Flood, now_s: float) -> None:
        """It is heard again."""
        for one in flood.victims:
            self._paused.discard(one.device.name)
            self.states[one.device.name].next_attempt_mono_ms = None
            self._heard_since_s[one.device.name] = now_s
            self._allowances.pop(one.device.name, None)
            self._since_quiet.pop(one.device.name, None)

    def _is_sustained(self, one: Listener, readings: int, now_s: float) -> bool:
        """Whether it has said more than it may for long for a while, and not only much at once."""
        since_s, count = self._since_quiet.get(one.device.name, (now_s, 0))
        lasted_s = now_s - since_s
        if lasted_s >= SUSTAINED_S and count < one.device.most_per_s * lasted_s:
            since_s, count, lasted_s = now_s, 0, 0.0
        self._since_quiet[one.device.name] = since_s, count + readings
        return lasted_s >= SUSTAINED_S

    def _flood(self, one: Listener, how: str, now_s: float) -> Flood:
        name, mono_ms = one.device.name, self._clock.mono_ms()
        lived_s = now_s - self._heard_since_s.get(name, now_s - MOST_PAUSE_S)
        error = DriverFloods(how)
        pause_s = self._pauses[name].after(error, was_good=True, lived_s=lived_s)
        topics = one.driver.topics()
        victims = [other for other in self._listeners.values() if not set(topics).isdisjoint(other.driver.topics())]
        for other in victims:
            state = self.states[other.device.name]
            detail = how if other is one else f"it shares a topic with {name}, which floods"
            state.went_wrong(other.device.name, DriverFloods(detail), mono_ms)
            state.restarts += 1
            state.next_attempt_mono_ms = mono_ms + round(pause_s * 1000)
            self._paused.add(other.device.name)
        self._echo_s = None
        self._since_echo.clear()
        return Flood(one, victims, topics, pause_s)
