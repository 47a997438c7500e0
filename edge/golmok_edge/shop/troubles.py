"""What is wrong and what to do about it, in the words of somebody who runs a shop.

First what holds now is found (`find`), without a word of any language; how long it has held is remembered outside
(`Diary`), once for all browsers; then each is told (`tell`). While the gateway is down nothing else can be known, so
nothing else is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from golmok_cloud_sync.protocol.alarms import SEVERITIES, Alarm
from golmok_cloud_sync.web import Language, quantity
from golmok_cloud_sync.web.alarms import sentence
from golmok_edge.settings import Device, normal_silence_s
from golmok_edge.shop.heard import Said
from golmok_edge.shop.situation import Situation
from golmok_edge.shop.view import Level, Slot, is_outside, level_of, slots, title, with_unit
from golmok_edge.web import TEXTS, duration, say

FIRST_VALUE_S: Final = 30.0
"""How long a device may take until its first value, after the gateway came up."""
CLOUD_PATIENCE_S: Final = 60.0
"""How long the cloud may be out of reach before it is worth a word: a router restarts in less."""
LEAST_CARD_YEARS: Final = 1.0
"""An SD card that lasts less is worth a word."""

_LEVELS: Final[Mapping[str, Level]] = {
    "down": "bad",
    "broken": "bad",
    "disk": "bad",
    "budget": "bad",
    "rule": "bad",
    "high": "bad",
    "low": "bad",
    "driver": "warn",
    "floods": "warn",
    "shorted": "warn",
    "cut": "warn",
    "other": "warn",
    "garbled": "warn",
    "unplugged": "warn",
    "silent": "warn",
    "never": "warn",
    "stuck": "warn",
    "noisy": "warn",
    "bad": "warn",
    "broker": "warn",
    "cloud": "warn",
    "cloud_never": "warn",
    "damage": "warn",
    "evicting": "warn",
    "clock": "warn",
    "card": "warn",
}
"""Every kind of trouble with its level, the most pressing first: the page tells them in this order."""

_FAULTS: Final[Mapping[object, str]] = {
    "shorted": "shorted",
    "open-circuit": "cut",
    "wrong-part": "other",
    "swapped": "other",
    "crc": "garbled",
    "unplugged": "unplugged",
    "nack": "unplugged",
    "stuck": "stuck",
    "noisy": "noisy",
}
"""The reason of a reading -> what is wrong with its sensor, where an owner can do something about it."""
_PATIENCE_S: Final = 5.0


class Finding(NamedTuple):
    """Something that holds now."""

    kind: str
    device: Device | None = None
    slot: Slot | None = None
    raw: object = None
    alarm: Alarm | None = None
    age_s: float | None = None
    """For how long, where the data say it themselves."""
    patience_s: float = 0.0
    """It is a trouble only when it has held so long."""

    @property
    def key(self) -> str:
        """The same for as long as it is the same trouble."""
        if self.alarm:
            return f"{self.kind} {self.alarm.id}"
        return f"{self.kind} {self.slot.channel if self.slot else self.device.name if self.device else ''}"


class Trouble(NamedTuple):
    """A trouble in words."""

    level: Level
    what: str
    todo: str
    alarm: str
    """What is said aloud: the same for as long as it lasts, so that it is said once."""
    id: str = ""
    """Of the alarm, where it is one that nobody has acknowledged."""


@dataclass
class Diary:
    """Since when each thing that holds now has held."""

    _since_s: dict[str, float] = field(default_factory=dict)

    def lasting(self, findings: Sequence[Finding], now_s: float) -> list[tuple[Finding, float]]:
        """Those of `findings` that have outlasted the patience for them, each with how long it has held."""
        self._since_s = {f.key: self._since_s.get(f.key, now_s) for f in findings}
        ages = [(f, now_s - self._since_s[f.key] if f.age_s is None else f.age_s) for f in findings]
        return [(f, age_s) for f, age_s in ages if age_s >= f.patience_s]


def find(
    devices: Iterable[Device],
    now: Situation | None,
    latest: Mapping[str, Said],
    now_s: float,
    down_s: float | None,
) -> list[Finding]:
    """Everything that holds now, the most pressing first; `now` is None while the gateway does not answer."""
    if now is None:
        return [Finding("down", age_s=down_s, patience_s=1.0)]
    alarms = sorted(now.alarms, key=lambda alarm: (alarm.is_acknowledged, -SEVERITIES.index(alarm.severity)))
    found = [*_of_the_gateway(now), *(Finding("rule", alarm=alarm) for alarm in alarms)]
    told = frozenset(alarm.channel for alarm in now.alarms)
    for device in devices:
        culprit = now.culprits.get(device.name)
        ours = [Finding(culprit, device, patience_s=_PATIENCE_S)] if culprit else _of_a_device(device, latest, now_s)
        found += [finding for finding in ours if not _is_told(finding, told)]
    return sorted(found, key=lambda f: list(_LEVELS).index(f.kind))


def _is_told(finding: Finding, alarmed: frozenset[str]) -> bool:
    """Whether an alarm says it already."""
    if finding.slot is not None:
        return finding.slot.channel in alarmed
    if finding.kind not in ("silent", "unplugged") or finding.device is None:
        return False
    return any(f"{finding.device.name}.{channel.quantity}" in alarmed for channel in finding.device.channels)


def _of_the_gateway(now: Situation) -> list[Finding]:
    cloud = Finding("cloud", age_s=now.cloud_age_s, patience_s=CLOUD_PATIENCE_S)
    if now.cloud_age_s is None:
        cloud = Finding("cloud_never", patience_s=CLOUD_PATIENCE_S)
    holds = [
        (Finding("broken"), now.is_disk_broken),
        (Finding("disk"), now.is_disk_full),
        (Finding("budget"), now.is_budget_full),
        (Finding("damage"), now.is_damaged),
        (Finding("evicting"), now.is_evicting),
        (Finding("card", raw=now.card_years), now.card_years is not None and now.card_years < LEAST_CARD_YEARS),
        (Finding("broker", patience_s=10.0), not now.is_broker_up),
        (Finding("clock"), not now.is_clock_known),
        (cloud, now.has_cloud and now.is_cloud_up is False),
    ]
    return [finding for finding, is_so in holds if is_so]


def _of_a_device(device: Device, latest: Mapping[str, Said], now_s: float) -> list[Finding]:
    normal_s = normal_silence_s(device)
    said = [(slot, latest[slot.channel]) for slot in slots(device, latest) if slot.channel in latest]
    if not said:
        return [] if normal_s is None else [Finding("never", device, patience_s=max(normal_s, FIRST_VALUE_S))]
    fault = next((kind for kind in _LEVELS if kind in {_fault(s) for _, s in said}), "")
    if fault:
        is_away = fault == "unplugged" and normal_s is not None
        return [Finding(fault, device, patience_s=(normal_s or 0.0) if is_away else _PATIENCE_S)]
    if normal_s is not None and all(_is_dead(s) for _, s in said):
        return [Finding("silent", device, patience_s=normal_s)]
    silent_s = min((age for _, s in said if (age := s.age_s(now_s)) is not None), default=None)
    if normal_s is not None and silent_s is not None and silent_s > normal_s:
        return [Finding("silent", device, age_s=silent_s)]
    return [finding for slot, s in said for finding in _of_a_value(device, slot, s)]


def _fault(said: Said) -> str:
    """What the gateway says is wrong with the sensor; empty where it is nothing that an owner could mend."""
    return "" if level_of(said.row) == "good" else _FAULTS.get(said.row.get("reason"), "")


def _is_dead(said: Said) -> bool:
    """Whether the gateway says that the device did not answer it: a bad value that is none."""
    return level_of(said.row) == "bad" and said.row.get("value") is None


def _of_a_value(device: Device, slot: Slot, said: Said) -> list[Finding]:
    raw = said.row.get("value")
    if level_of(said.row) == "bad":
        return [Finding("bad", device, slot, raw, patience_s=_PATIENCE_S)]
    side = is_outside(slot.limit, raw)
    return [Finding(side, device, slot, raw, patience_s=slot.limit.for_s)] if side and slot.limit else []


def tell(language: Language, finding: Finding, lasting_s: float, backlog: int) -> Trouble:
    """A finding in words."""
    if finding.alarm is not None:
        return _of_an_alarm(language, finding.alarm)
    names = {"duration": duration(language, lasting_s), "count": f"{backlog:,}"}
    if finding.kind == "card" and isinstance(finding.raw, float | int):
        names["months"] = str(max(1, round(finding.raw * 12)))
    if finding.device is not None:
        names["device"] = title(finding.device)
    if finding.slot is not None:
        names |= _of_the_slot(language, finding, finding.slot)
    keys = (finding.kind, _remedy(finding), f"{finding.kind}_alarm")
    what, todo, alarm = (say(language, key if key in TEXTS else finding.kind, **names) for key in keys)
    return Trouble(_LEVELS[finding.kind], what, todo, alarm if _LEVELS[finding.kind] == "bad" else "")


def _of_an_alarm(language: Language, alarm: Alarm) -> Trouble:
    what = sentence(language, alarm)
    if alarm.is_acknowledged:
        return Trouble("warn", what, say(language, "rule_seen", by=alarm.by or "–"), "")
    level: Level = "warn" if alarm.severity == "notice" else "bad"
    particular = f"rule_{alarm.what}_do"
    todo = say(language, particular if particular in TEXTS else "rule_do")
    return Trouble(level, what, todo, what, alarm.id)


def _of_the_slot(language: Language, finding: Finding, slot: Slot) -> dict[str, str]:
    limit = getattr(slot.limit, finding.kind, None)
    return {
        "quantity": quantity(language, slot.quantity),
        "value": with_unit(language, slot, finding.raw),
        "limit": with_unit(language, slot, limit),
    }


def _remedy(finding: Finding) -> str:
    """The most particular remedy there is: for this quantity, for devices on the radio, else for the kind."""
    particular = ""
    if finding.slot is not None:
        particular = f"{finding.kind}_{finding.slot.quantity}_do"
    elif finding.device is not None and finding.device.bus is None:
        particular = f"{finding.kind}_mqtt_do"
    general = "cloud_do" if finding.kind == "cloud_never" else f"{finding.kind}_do"
    return particular if particular in TEXTS else general
