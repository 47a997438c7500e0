"""`golmok-gateway gaps`: what is missing, asked of the gateway that runs, else read from its store."""

from __future__ import annotations

import json as json_text
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from golmok_cloud_sync.web import reason
from golmok_edge.gateway.clock import SystemClock
from golmok_edge.gateway.gaplist import Row, rows
from golmok_edge.gateway.timekeeper import ANCHOR, Timekeeper
from golmok_edge.settings import Language, Settings, language_of
from golmok_edge.store import Reader, StoreError

Ask = Callable[[Settings, dict[str, Any]], dict[str, Any]]

_WORDS: Final = {
    "none": {"ko": "빠진 것이 없습니다", "en": "nothing is missing"},
    "open": {"ko": "계속됨", "en": "goes on"},
    "unknown": {"ko": "시각 모름", "en": "time not known"},
    "lacks": {"ko": "{count}개 빠짐", "en": "{count} missing"},
    "all": {"ko": "게이트웨이 전체", "en": "the whole gateway"},
}


def run(
    settings: Settings,
    ask: Ask,
    channel: str | None,
    begin: str | None,
    end: str | None,
    *,
    json: bool = False,
    lang: Language | None = None,
) -> int:
    """Print it; the exit code."""
    zone = ZoneInfo(settings.site.timezone)
    try:
        from_ms, to_ms = _moment(begin, zone), _moment(end, zone)
    except ValueError as error:
        print(f"golmok-gateway: {error}; write it like 2026-05-01 or 2026-05-01T09:30", file=sys.stderr)
        return 2
    try:
        is_running, found = _found(settings, ask, channel, from_ms, to_ms)
    except StoreError as error:
        print(f"golmok-gateway: {error}", file=sys.stderr)
        return 1
    if json:
        document = {"gateway": settings.site.gateway, "running": is_running, "gaps": found}
        print(json_text.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print("\n".join(told(found, zone, lang or language_of())))
    return 0


def _found(
    settings: Settings, ask: Ask, channel: str | None, from_ms: int | None, to_ms: int | None
) -> tuple[bool, list[Row]]:
    asked = {"channel": channel, "from_ms": from_ms, "to_ms": to_ms}
    try:
        answer = ask(settings, {"get": "gaps", **{name: value for name, value in asked.items() if value is not None}})
        return True, answer["gaps"]
    except ConnectionError:
        with Reader.open(settings.store.path) as reader:
            time = Timekeeper(SystemClock(), (one.record for one in reader.find(ANCHOR, "events")))
            newest = reader.newest_first("events")
            return False, rows(newest, lambda at: time.moment_ms(*at), channel=channel, from_ms=from_ms, to_ms=to_ms)


def told(found: list[Row], zone: ZoneInfo, language: Language) -> list[str]:
    """The gaps for people, a line each."""
    if not found:
        return [_WORDS["none"][language]]
    return [_line(row, zone, language) for row in found]


def _line(row: Row, zone: ZoneInfo, language: Language) -> str:
    begin = _time(row["from_ms"], zone, _WORDS["unknown"][language])
    end = _time(row["to_ms"], zone, _WORDS["open" if row["open"] else "unknown"][language])
    why = reason(language, row["reason"])
    if row["detail"]:
        why += f" ({reason(language, row['detail'])})"
    channels = ", ".join(row["channels"]) or _WORDS["all"][language]
    counts = sorted({count for count in row["channels"].values() if count is not None})
    lacks = _WORDS["lacks"][language].format(count="/".join(map(str, counts))) if counts else ""
    return f"{begin} – {end}  {channels}  {why}  {lacks}".rstrip()


def _time(ms: int | None, zone: ZoneInfo, unknown: str) -> str:
    return unknown if ms is None else datetime.fromtimestamp(ms / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")


def _moment(text: str | None, zone: ZoneInfo) -> int | None:
    if text is None:
        return None
    when = datetime.fromisoformat(text)
    when = when if when.tzinfo else when.replace(tzinfo=zone)
    ms = round(when.astimezone(UTC).timestamp() * 1000)
    if ms < 0:
        raise ValueError(f"{text} lies before 1970")
    return ms
