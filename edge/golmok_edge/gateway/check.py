"""`golmok-gateway check`: what is wrong with a settings file, or what was understood of it.

`read` is also how `run` and the other commands get their settings, so that a wrong file gives the same lines
whoever reads it.
"""

from __future__ import annotations

import json as json_text
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from golmok_drivers.units import quantity_name, unit_sign
from golmok_edge.settings import Device, Examination, Language, Settings, examine_closely, language_of

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "good": ("the settings are good", "설정에 문제가 없습니다"),
    "site": ("site", "장소"),
    "store": ("store", "저장소"),
    "mqtt": ("local bus", "로컬 버스"),
    "cloud": ("cloud", "클라우드"),
    "web": ("owner's page", "주인 화면"),
    "device": ("device", "장치"),
    "driver": ("driver", "드라이버"),
    "bus": ("bus", "버스"),
    "pace": ("every", "주기"),
    "measures": ("measures", "재는 것"),
    "none": ("none", "없음"),
}


def run(path: str | Path, json: bool = False, *, lang: Language | None = None) -> int:
    """Check the file and say what was found: 0 when it is good, 2 when it has mistakes."""
    language = lang or language_of()
    examination = examine_closely(path)
    if json:
        print(json_text.dumps(document(examination, language), indent=2, allow_nan=False))
    else:
        _complain(examination, language)
        if examination.settings is not None:
            _say(summary(examination.settings, language), sys.stdout)
    return 2 if examination.settings is None else 0


def read(path: str | Path, *, lang: Language | None = None) -> Settings | None:
    """The settings of that file; None when it has mistakes, which then stand on stderr (exit with 2)."""
    examination = examine_closely(path)
    _complain(examination, lang or language_of())
    return examination.settings


def document(examination: Examination, language: Language = "en") -> dict[str, Any]:
    """What `--json` prints."""
    settings, mistakes, warnings = examination
    return {
        "ok": settings is not None,
        "mistakes": [mistake.document(language) for mistake in mistakes],
        "warnings": [warning.document(language) for warning in warnings],
        "understood": None if settings is None else _understood(settings),
    }


def summary(settings: Settings, language: Language = "en") -> list[str]:
    """The lines that say what was understood."""
    word = {name: texts[language == "ko"] for name, texts in _WORDS.items()}
    site, store, mqtt, cloud = settings.site, settings.store, settings.mqtt, settings.cloud
    sections = [
        (word["site"], f"{site.gateway} ({site.title}), {site.timezone}"),
        (word["store"], f"{store.path}, {store.commit_interval_s:g} s, {store.max_bytes / 1e6:,.0f} MB"),
        (word["mqtt"], f"{mqtt.host}:{mqtt.port}" if mqtt else word["none"]),
        (word["cloud"], f"{cloud.url}, {cloud.interval_s:g} s" if cloud else word["none"]),
        (word["web"], f"http://{settings.web.listen}/"),
        *((name, type(section).__name__) for name, section in settings.applications.items()),
    ]
    head = [word[name] for name in ("device", "driver", "bus", "pace", "measures")]
    devices = [_row(device, language) for device in settings.devices]
    return [f"{settings.file}: {word['good']}", "", *_table(sections), "", *_table([head, *devices])]


def _row(device: Device, language: Language) -> list[str]:
    signs = ((quantity_name(channel.quantity, language), unit_sign(channel.unit)) for channel in device.channels)
    measures = ", ".join(f"{name} {sign}".strip() for name, sign in signs)
    pace = f"{device.interval_s:g} s" if device.interval_s is not None else "-"
    return [device.name, device.driver, device.bus or "mqtt", pace, measures]


def _understood(settings: Settings) -> dict[str, Any]:
    cloud, mqtt = settings.cloud, settings.mqtt
    return {
        "version": settings.version,
        "gateway": settings.site.gateway,
        "name": settings.site.title,
        "timezone": settings.site.timezone,
        "store": str(settings.store.path),
        "mqtt": f"{mqtt.host}:{mqtt.port}" if mqtt else None,
        "cloud": cloud.url if cloud else None,
        "web": settings.web.listen,
        "applications": list(settings.applications),
        "devices": [
            {
                "name": device.name,
                "driver": device.driver,
                "bus": device.bus,
                "interval_s": device.interval_s,
                "expect_s": device.expect_s,
                "channels": [
                    {"channel": f"{device.name}.{channel.quantity}", "unit": channel.unit}
                    for channel in device.channels
                ],
            }
            for device in settings.devices
        ],
    }


def _complain(examination: Examination, language: Language) -> None:
    lines = [warning.sentence(language, warning=True) for warning in examination.warnings]
    lines += [mistake.sentence(language) for mistake in examination.mistakes]
    _say(lines, sys.stderr)


def _say(lines: Iterable[str], stream: TextIO) -> None:
    """Print, also to a terminal that cannot show every sign."""
    encoding = stream.encoding or "utf-8"
    for line in lines:
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns under each other; Korean letters are two wide."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
