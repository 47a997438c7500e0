"""`golmok-gateway alarms`: what is wrong now and what was, and that somebody has seen it."""

from __future__ import annotations

import getpass
import json as json_text
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo

from golmok_cloud_sync.protocol.alarms import Alarm
from golmok_cloud_sync.web.alarms import STATES, heading, sentence
from golmok_edge.gateway.alarms import alarms_in
from golmok_edge.gateway.clock import SystemClock
from golmok_edge.gateway.live import rfc3339
from golmok_edge.gateway.timekeeper import ANCHOR, Timekeeper
from golmok_edge.settings import Language, Settings, language_of
from golmok_edge.store import Reader, StoreError

Ask = Callable[[Settings, dict[str, Any]], dict[str, Any]]

MOST_EVENTS: Final = 20_000
"""So far back is looked in the store of a gateway that does not run."""
_WORDS: Final = {
    "none": {"ko": "열려 있는 경보가 없습니다", "en": "there is no open alarm"},
    "unknown": {"ko": "시각 모름", "en": "time not known"},
    "done": {"ko": "확인했습니다", "en": "acknowledged"},
    "before": {"ko": "이미 확인한 경보입니다", "en": "it was acknowledged before"},
}


def run_list(settings: Settings, ask: Ask, *, everything: bool, json: bool, lang: Language | None = None) -> int:
    """Print the alarms, the open ones or all that are known; the exit code."""
    try:
        is_running, rows = _found(settings, ask)
    except StoreError as error:
        print(f"golmok-gateway: {error}", file=sys.stderr)
        return 1
    rows = [row for row in rows if everything or row["state"] != "cleared"]
    if json:
        document = {"gateway": settings.site.gateway, "running": is_running, "alarms": rows}
        print(json_text.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print("\n".join(told(rows, ZoneInfo(settings.site.timezone), lang or language_of())))
    return 0


def run_acknowledge(
    settings: Settings, ask: Ask, which: str, by: str | None, *, json: bool, lang: Language | None = None
) -> int:
    """Acknowledge one; the exit code."""
    language = lang or language_of()
    try:
        row = ask(settings, {"do": "acknowledge", "alarm": which, "by": by or getpass.getuser()})["alarm"]
    except OSError as error:
        if json:
            print(json_text.dumps({"done": False, "detail": str(error)}, ensure_ascii=False))
        print(f"golmok-gateway: {error}", file=sys.stderr)
        return 1
    if json:
        print(json_text.dumps({"done": True, "alarm": row}, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print(f"{row['id']}  {_WORDS['done' if row['changed'] else 'before'][language]}")
    return 0


def told(rows: Iterable[dict[str, Any]], zone: ZoneInfo, language: Language) -> list[str]:
    """The alarms for people, a line each."""
    return [_line(row, zone, language) for row in rows] or [_WORDS["none"][language]]


def _line(row: dict[str, Any], zone: ZoneInfo, language: Language) -> str:
    alarm = Alarm(**{name: row[name] for name in Alarm._fields})
    when = _WORDS["unknown"][language]
    if row["ts"]:
        when = datetime.fromisoformat(row["ts"]).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    state = STATES[alarm.state][language] + (f" ({alarm.by})" if alarm.by else "")
    words = [alarm.id, when, heading(language, alarm._replace(state="raised")), state, sentence(language, alarm)]
    return "  ".join(words)


def _found(settings: Settings, ask: Ask) -> tuple[bool, list[dict[str, Any]]]:
    try:
        return True, ask(settings, {"get": "alarms"})["alarms"]
    except ConnectionError:
        with Reader.open(settings.store.path) as reader:
            time = Timekeeper(SystemClock(), (one.record for one in reader.find(ANCHOR, "events")))
            newest = list(alarms_in(islice(reader.newest_first("events"), MOST_EVENTS)))
        rows = [a._asdict() | {"ts": rfc3339(time.moment_ms(one.boot, one.mono_ms))} for a, one in newest]
        return False, sorted(rows, key=lambda row: row["state"] == "cleared")
