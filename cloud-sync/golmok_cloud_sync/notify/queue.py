"""What waits to be sent on which channel, and when it is tried. Decides only; whoever holds it sends and remembers.

A channel sends in order, one at a time, so that nobody hears of an alarm's end before the alarm. What fails is tried
again after twice the time, with full jitter; what will never be taken, or has failed for too long, is let go and
counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from golmok_cloud_sync.notify.notice import Notice
from golmok_cloud_sync.protocol.alarms import Alarm

LEAST_PAUSE_MS: Final = 5_000
MOST_PAUSE_MS: Final = 600_000
MOST_ATTEMPTS: Final = 30
"""About four hours."""
MOST_WAITING: Final = 1_000
"""For each channel; beyond it the oldest is let go."""


class Sending(NamedTuple):
    """A notice on its way over one channel."""

    channel: str
    notice: Notice
    attempts: int = 0
    due_ms: int = 0


class Queue:
    """All that waits."""

    def __init__(self, chance: Callable[[], float]) -> None:
        """`chance` gives numbers from 0 to 1."""
        self._chance = chance
        self._waiting: dict[str, list[Sending]] = {}
        self.dropped = 0
        """Notices that were let go."""
        self.sent = 0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, notice: Notice, channels: Iterable[str], now_ms: int) -> None:
        """One more. What waits already is not added again."""
        for channel in channels:
            waiting = self._waiting.setdefault(channel, [])
            if all(one.notice.id != notice.id for one in waiting):
                waiting.append(Sending(channel, notice, 0, now_ms))
            if len(waiting) > MOST_WAITING:
                del waiting[0]
                self.dropped += 1

    def due(self, now_ms: int, channels: Iterable[str]) -> list[Sending]:
        """The first of each of these channels, where it is time."""
        firsts = (self._waiting[channel][0] for channel in channels if self._waiting.get(channel))
        return [one for one in firsts if one.due_ms <= now_ms]

    def next_ms(self) -> int | None:
        """When the next is due."""
        return min((waiting[0].due_ms for waiting in self._waiting.values() if waiting), default=None)

    def went(self, sending: Sending) -> None:
        """It was taken."""
        if self._remove(sending):
            self.sent += 1

    def failed(self, sending: Sending, now_ms: int, *, is_final: bool) -> bool:
        """It was not; whether it is tried again."""
        if is_final or sending.attempts + 1 >= MOST_ATTEMPTS:
            self.dropped += self._remove(sending)
            return False
        pause_ms = min(MOST_PAUSE_MS, LEAST_PAUSE_MS << min(sending.attempts, 20))
        waiting = self._waiting.get(sending.channel, [])
        if waiting and waiting[0].notice.id == sending.notice.id:
            due_ms = now_ms + round(pause_ms * (0.1 + 0.9 * self._chance()))
            waiting[0] = sending._replace(attempts=sending.attempts + 1, due_ms=due_ms)
        return True

    def memory(self) -> list[list[Any]]:
        """What to remember over a restart: plain JSON."""
        return [[one.channel, list(one.notice), one.attempts] for waiting in self._waiting.values() for one in waiting]

    def recall(self, memory: Iterable[Any], now_ms: int) -> None:
        """What was remembered; raises ValueError, TypeError when it cannot be understood."""
        for channel, (gateway, site, alarm, at_ms, timezone), attempts in memory:
            notice = Notice(gateway, site, Alarm(*alarm), at_ms, timezone)
            self._waiting.setdefault(channel, []).append(Sending(channel, notice, attempts, now_ms))

    def _remove(self, sending: Sending) -> bool:
        waiting = self._waiting.get(sending.channel, [])
        kept = [one for one in waiting if one.notice.id != sending.notice.id]
        self._waiting[sending.channel] = kept
        return len(kept) < len(waiting)
