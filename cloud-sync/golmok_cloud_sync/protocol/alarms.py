"""Alarms: how each of their steps is told, so that gateway, cloud and pages mean the same by it.

An alarm is told by events `alarm.<state>` of the stream `events`; they overtake telemetry. Each says all there is to
say of it, so that the newest event of an alarm is enough to know it, and a reader that missed some is put right by the
next. `id` is one alarm's from raised to cleared; `rule` what raised it: a rule has at most one alarm that is not
cleared. `what` is the code of a sentence, whose words are `golmok_cloud_sync.web`'s business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import isfinite
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from .record import Record

State: TypeAlias = Literal["raised", "acknowledged", "escalated", "cleared"]
Severity: TypeAlias = Literal["notice", "warning", "critical"]

PREFIX: Final = "alarm."
STATES: Final[tuple[State, ...]] = get_args(State)
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
_LONGEST: Final = 200


class Alarm(NamedTuple):
    """One alarm as it stands after a step."""

    id: str
    rule: str
    state: State
    what: str
    """The code of what is wrong: `high`, `low`, `silent` …"""
    severity: Severity = "warning"
    channel: str = ""
    title: str = ""
    """What people call the thing: the device's title, or the rule's own."""
    value: bool | float | str | None = None
    """What was seen when it was raised."""
    unit: str = ""
    limit: float | None = None
    by: str = ""
    """Who acknowledged it, or why it was cleared if not because all is well."""
    is_acknowledged: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it still stands."""
        return self.state != "cleared"


_FIELDS: Final = tuple(name for name in Alarm._fields if name != "state")


def event(alarm: Alarm, boot: str, mono_ms: int) -> Record:
    """The event that tells the step to `alarm.state` at a moment."""
    said = {name: getattr(alarm, name) for name in _FIELDS}
    shortest = {name: value for name, value in said.items() if value is not None and value != ""}
    return Record(PREFIX + alarm.state, json.dumps(shortest, ensure_ascii=False, allow_nan=False), "", boot, mono_ms)


def parse(record: Record) -> Alarm | None:
    """The alarm that an event tells of; None if it is of something else, or not to be understood."""
    state = record.channel.removeprefix(PREFIX)
    if not record.channel.startswith(PREFIX) or state not in STATES or not isinstance(record.value, str):
        return None
    try:
        said: Any = json.loads(record.value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or not _text(said.get("id")) or not _text(said.get("rule")):
        return None
    severity = said.get("severity")
    return Alarm(
        id=_text(said["id"]),
        rule=_text(said["rule"]),
        state=state,
        what=_text(said.get("what")),
        severity=severity if severity in SEVERITIES else "warning",
        channel=_text(said.get("channel")),
        title=_text(said.get("title")),
        value=_value(said.get("value")),
        unit=_text(said.get("unit")),
        limit=_number(said.get("limit")),
        by=_text(said.get("by")),
        is_acknowledged=said.get("is_acknowledged") is True,
    )


def newest(records: Iterable[Record]) -> dict[str, Alarm]:
    """The last word on each alarm, by its id, in the order in which they were first heard of."""
    found: dict[str, Alarm] = {}
    for record in records:
        if alarm := parse(record):
            found[alarm.id] = alarm
    return found


def _text(value: object) -> str:
    return value[:_LONGEST].encode(errors="replace").decode() if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) else None


def _value(value: object) -> bool | float | str | None:
    return value if isinstance(value, bool) else _text(value) if isinstance(value, str) else _number(value)
