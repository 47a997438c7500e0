"""All rules of a gateway at work: readings and the passing of time in, steps of alarms out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, NamedTuple

from golmok_cloud_sync.protocol.alarms import Alarm
from golmok_edge.rules.condition import Memory, Seen
from golmok_edge.rules.machine import Machine
from golmok_edge.rules.watch import GONE, Watch

MOST_RECENT: Final = 50
"""Alarms that are over and still listed."""


class NoSuchAlarmError(LookupError):
    """There is no open alarm of that id or rule; the message says what there is."""


class Change(NamedTuple):
    """A machine has gone from one state to another."""

    rule: str
    before: str | None
    now: str
    ran_ms: int


class Engine:
    """The rules. Time is milliseconds of a clock that never falls while this object lives."""

    def __init__(self, watches: Iterable[Watch], new_id: Callable[[str, int], str]) -> None:
        """`new_id` gives an alarm of that rule raised at that time a name that no other has."""
        self.watches = {watch.terms.name: watch for watch in watches}
        self._new_id = new_id
        self._by_channel: dict[str, list[Watch]] = {}
        for watch in self.watches.values():
            for channel in watch.condition.channels:
                self._by_channel.setdefault(channel, []).append(watch)
        self.recent: deque[Alarm] = deque(maxlen=MOST_RECENT)
        """Those that are over, the newest last."""
        self._at_ms: dict[str, int] = {}
        """Until when each rule has counted time: that of a busy channel is not counted for all the others each time."""

    def __bool__(self) -> bool:
        return bool(self.watches)

    @property
    def channels(self) -> frozenset[str]:
        """What is watched."""
        return frozenset(self._by_channel)

    @property
    def open(self) -> list[Alarm]:
        """The alarms that stand."""
        return [watch.alarm for watch in self.watches.values() if watch.alarm]

    @property
    def switched_on(self) -> frozenset[str]:
        """The outputs that are to be on: those of alarms that nobody has acknowledged."""
        return frozenset[str]().union(
            *(w.terms.outputs for w in self.watches.values() if w.alarm and not w.alarm.is_acknowledged)
        )

    def see(self, seen: Seen) -> list[Alarm]:
        """A reading; the steps it leads to."""
        steps = []
        for watch in self._by_channel.get(seen.channel, ()):
            steps += self._brought(watch, seen.at_ms)
            steps += watch.see(seen, partial(self._new_id, watch.terms.name, seen.at_ms))
        return self._noted(steps)

    def pass_time(self, at_ms: int) -> list[Alarm]:
        """It is `at_ms` now; the steps that this leads to. A time that is over already changes nothing."""
        return self._noted([step for watch in self.watches.values() for step in self._brought(watch, at_ms)])

    def acknowledge(self, which: str, by: str) -> list[Alarm]:
        """Somebody has seen the alarm of that id or rule. Nothing, if it was acknowledged before."""
        for watch in self.watches.values():
            if watch.alarm and which in (watch.alarm.id, watch.terms.name):
                step = watch.acknowledge(by)
                return [step] if step else []
        known = ", ".join(alarm.id for alarm in self.open) or "none"
        raise NoSuchAlarmError(f"there is no open alarm {which!r:.60}; open are: {known}")

    def changes(self) -> list[Change]:
        """What machines have done since this was last asked."""
        return [
            Change(watch.terms.name, before, now, watch.condition.ran_ms)
            for watch in self.watches.values()
            if isinstance(watch.condition, Machine)
            for before, now in watch.condition.changes()
        ]

    # --- over a restart

    def memory(self) -> dict[str, Memory]:
        """What to remember of each rule, beside the alarms that were told."""
        return {name: watch.memory() for name, watch in self.watches.items()}

    def recall(self, memory: dict[str, Any]) -> list[str]:
        """What was remembered. The rules whose memory could not be understood begin anew; their names."""
        strange = []
        for name, watch in self.watches.items():
            if name in memory:
                try:
                    watch.recall(memory[name])
                except (ValueError, KeyError, TypeError, AttributeError):
                    strange.append(name)
        return strange

    def take(self, alarms: Iterable[Alarm]) -> list[Alarm]:
        """What was told before, in its order. Gives the steps that end the alarms of rules that are gone."""
        newest: dict[str, Alarm] = {}
        for alarm in alarms:
            newest.pop(alarm.id, None)
            newest[alarm.id] = alarm
        ended = []
        for alarm in newest.values():
            watch = self.watches.get(alarm.rule)
            if not alarm.is_open:
                self.recent.append(alarm)
            elif watch is None:
                ended.append(alarm._replace(state="cleared", by=GONE))
            if watch is not None and (alarm.is_open or (watch.alarm and watch.alarm.id == alarm.id)):
                watch.take(alarm)
        return self._noted(ended)

    def _brought(self, watch: Watch, at_ms: int) -> list[Alarm]:
        name = watch.terms.name
        for_ms = at_ms - self._at_ms.setdefault(name, at_ms)
        if for_ms <= 0:
            return []
        self._at_ms[name] = at_ms
        return watch.pass_time(for_ms, partial(self._new_id, name, at_ms))

    def _noted(self, steps: list[Alarm]) -> list[Alarm]:
        self.recent.extend(alarm for alarm in steps if not alarm.is_open)
        return steps
