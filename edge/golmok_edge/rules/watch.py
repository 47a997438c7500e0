"""One rule at work: its condition, and the alarm, which goes the same way for every kind.

    calm ── seen wrong for `for_ms` ──► raised ── seen right for `clear_for_ms` ──► cleared
                                          │ acknowledged: quiet from now on
                                          └ not within `escalate_ms`: escalated

Time counts only while something is known: a sensor that says nothing neither raises an alarm nor ends one. All state is
how long something has lasted, never since when, so that it means the same after a restart and in another boot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from golmok_cloud_sync.protocol.alarms import Alarm, Severity
from golmok_edge.rules.condition import Condition, Look, Memory, Seen

GONE: Final = "rule-gone"
"""Why an alarm is over whose rule is no longer in the settings."""


class Terms(NamedTuple):
    """What a rule says of its alarm, whatever its kind. Times in milliseconds."""

    name: str
    title: str
    severity: Severity = "warning"
    unit: str = ""
    for_ms: int = 0
    clear_for_ms: int = 0
    escalate_ms: int | None = None
    outputs: frozenset[str] = frozenset()


class Watch:
    """A rule, its condition and its alarm, if it has one now."""

    def __init__(self, terms: Terms, condition: Condition) -> None:
        self.terms, self.condition = terms, condition
        self.alarm: Alarm | None = None
        """The one that is open."""
        self._look = condition.look()
        self._wrong_ms = self._right_ms = self._waiting_ms = 0

    @property
    def pending_ms(self) -> int | None:
        """For how long it was seen wrong, where that is not yet an alarm."""
        return self._wrong_ms if self.alarm is None and self._look.state == "wrong" else None

    def see(self, seen: Seen, new_id: Callable[[], str]) -> list[Alarm]:
        """A reading of one of its channels; the steps that the alarm takes."""
        self.condition.see(seen)
        return self._judged(new_id)

    def pass_time(self, for_ms: int, new_id: Callable[[], str]) -> list[Alarm]:
        """So much time has passed; the steps that the alarm takes."""
        if self._look.state == "wrong":
            self._wrong_ms += for_ms
        elif self._look.state == "right":
            self._right_ms += for_ms
        if self.alarm and not self.alarm.is_acknowledged and self.alarm.state != "escalated":
            self._waiting_ms += for_ms
        self.condition.pass_time(for_ms)
        return self._judged(new_id)

    def acknowledge(self, by: str) -> Alarm | None:
        """Somebody has seen it; None if there is nothing to acknowledge."""
        if self.alarm is None or self.alarm.is_acknowledged:
            return None
        self.alarm = self.alarm._replace(state="acknowledged", is_acknowledged=True, by=by)
        return self.alarm

    def take(self, alarm: Alarm) -> None:
        """What was told of it before, the newest last."""
        self.alarm = alarm if alarm.is_open else None
        self._wrong_ms = self._right_ms = self._waiting_ms = 0

    def memory(self) -> Memory:
        """What to remember over a restart, beside the alarm itself."""
        return {
            "wrong_ms": self._wrong_ms,
            "right_ms": self._right_ms,
            "waiting_ms": self._waiting_ms,
            "condition": self.condition.memory(),
        }

    def recall(self, memory: Memory) -> None:
        """What was remembered; raises ValueError, KeyError or TypeError when it cannot be understood."""
        self.condition.recall(memory["condition"])
        self._wrong_ms, self._right_ms = int(memory["wrong_ms"]), int(memory["right_ms"])
        self._waiting_ms = int(memory["waiting_ms"])
        self._look = self.condition.look()

    def _judged(self, new_id: Callable[[], str]) -> list[Alarm]:
        self._look = look = self.condition.look()
        if look.state != "right":
            self._right_ms = 0
        if look.state in ("right", "between"):
            self._wrong_ms = 0
        return self._of_none(look, new_id) if self.alarm is None else self._of_one(self.alarm, look)

    def _of_none(self, look: Look, new_id: Callable[[], str]) -> list[Alarm]:
        if look.state != "wrong" or not (look.at_once or self._wrong_ms >= self.terms.for_ms):
            return []
        self._waiting_ms = 0
        self.alarm = self._told(look, new_id())
        return [self.alarm]

    def _of_one(self, alarm: Alarm, look: Look) -> list[Alarm]:
        if look.state == "right" and self._right_ms >= self.terms.clear_for_ms:
            self.alarm = None
            return [alarm._replace(state="cleared", by="")]
        if look.state == "wrong" and look.at_once and alarm.what != look.what:
            worse = self._told(look, alarm.id)._replace(state="escalated")
        elif self._is_overdue(alarm):
            worse = alarm._replace(state="escalated")
        else:
            return []
        self.alarm = worse
        return [worse]

    def _is_overdue(self, alarm: Alarm) -> bool:
        limit_ms = self.terms.escalate_ms
        return limit_ms is not None and alarm.state == "raised" and self._waiting_ms >= limit_ms

    def _told(self, look: Look, id_: str) -> Alarm:
        terms = self.terms
        return Alarm(
            id_,
            terms.name,
            "raised",
            look.what,
            "critical" if look.at_once else terms.severity,
            look.channel or self.condition.channels[0],
            terms.title,
            look.value,
            terms.unit,
            look.limit,
        )
