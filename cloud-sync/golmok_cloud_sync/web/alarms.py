# ruff: noqa: E501  # a row of the table is a line
"""What an alarm says to people: one sentence, the same on pages, in lists and in what is sent to a telephone."""

from __future__ import annotations

from typing import Final

from golmok_cloud_sync.protocol.alarms import Alarm
from golmok_cloud_sync.web.language import Language
from golmok_cloud_sync.web.words import quantity, states, table, unit

_WHATS: Final = table("""
    high             | {name} {value}: {limit}보다 높음                 | {name} {value}: above {limit}
    low              | {name} {value}: {limit}보다 낮음                 | {name} {value}: below {limit}
    rising           | {name} 너무 빨리 오름: {value}                   | {name} rises too fast: {value}
    falling          | {name} 너무 빨리 내림: {value}                   | {name} falls too fast: {value}
    silent           | {name} 믿을 수 있는 값이 {limit} 동안 오지 않음  | {name}: nothing to be trusted came for {limit}
    left             | {name} {value} 상태로 너무 오래 있음             | {name} left {value} for too long
    too-hot          | {name} 너무 뜨거움: {value} (한계 {limit})       | {name} is too hot: {value} (limit {limit})
    above-curve      | {name} {value}: 소성 곡선({limit})보다 높음      | {name} {value}: above its curve ({limit})
    below-curve      | {name} {value}: 소성 곡선({limit})보다 낮음      | {name} {value}: below its curve ({limit})
    abnormal         | {name} {value}: 평소와 다르게 움직임 (한계 {limit}) | {name} {value}: it runs abnormally (limit {limit})
    unusually-high   | {name} {value}: 평소({limit})보다 오래 높음      | {name} {value}: higher than usual ({limit}) for long
    unusually-low    | {name} {value}: 평소({limit})보다 오래 낮음      | {name} {value}: lower than usual ({limit}) for long
    gateway-silent   | {name} 게이트웨이가 {limit} 동안 연락이 없음     | {name}: the gateway has not called for {limit}
    *                | {name}: {what}                                   | {name}: {what}
""")
STATES: Final = table("""
    raised        | 경보          | Alarm
    escalated     | 다시 알림     | Alarm, again
    acknowledged  | 확인함        | Acknowledged
    cleared       | 해제          | Over
""")
_SEVERITIES: Final = table("""
    notice        | 알림          | Notice
    warning       | 주의          | Warning
    critical      | 위험          | Critical
""")
_SPANS: Final = ((86_400, "일", "d"), (3_600, "시간", "h"), (60, "분", "min"), (1, "초", "s"))


def sentence(language: Language, alarm: Alarm) -> str:
    """What is wrong."""
    row = _WHATS.get(alarm.what, _WHATS["*"])
    in_seconds = alarm.what in ("silent", "gateway-silent")
    limit = _span(language, alarm.limit) if in_seconds else _shown(language, alarm, alarm.limit)
    values = {"name": _name(language, alarm), "value": _shown(language, alarm, alarm.value), "limit": limit}
    return " ".join(row[language].format(what=alarm.what, **values).split())


def heading(language: Language, alarm: Alarm) -> str:
    """How it stands, for a subject line: `주의`, `해제`, `다시 알림`."""
    words = _SEVERITIES[alarm.severity] if alarm.state == "raised" else STATES[alarm.state]
    return words[language]


def _name(language: Language, alarm: Alarm) -> str:
    """The thing and what was measured of it; a rule's own name where nothing else is known."""
    title, (_, _, name) = alarm.title or alarm.rule, alarm.channel.partition(".")
    return f"{title} {quantity(language, name)}".strip()


def _shown(language: Language, alarm: Alarm, value: object) -> str:
    if isinstance(value, bool):
        return states(language, alarm.channel.partition(".")[2])[value].lower()
    if isinstance(value, int | float):
        code, slash, per = alarm.unit.partition("/")
        sign = unit(alarm.unit) if unit(alarm.unit) != alarm.unit or not slash else f"{unit(code)}{slash}{per}"
        return f"{value:,.{0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2}f} {sign}".strip()
    return "–" if value is None else str(value)


def _span(language: Language, seconds: float | None) -> str:
    if seconds is None:
        return "–"
    length, korean, english = next((row for row in _SPANS if seconds >= 2 * row[0]), _SPANS[-1])
    return f"{round(seconds / length)}{korean}" if language == "ko" else f"{round(seconds / length)} {english}"
