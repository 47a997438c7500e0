"""`golmok-gateway devices list`: what can be connected, and what each measures."""

from __future__ import annotations

import json as json_text
from typing import Any

from golmok_drivers import catalogue
from golmok_drivers.api import Driver, quantity_name, unit_sign
from golmok_edge.settings import Language, language_of


def run(*, json: bool = False, lang: Language | None = None) -> int:
    """Print it; the exit code."""
    drivers = [catalogue.load(name) for name in catalogue.names()]
    if json:
        print(json_text.dumps([_document(driver) for driver in drivers], indent=2, ensure_ascii=False))
        return 0
    language = lang or language_of()
    width = max(len(driver.info.name) for driver in drivers)
    for driver in drivers:
        info = driver.info
        print(f"{info.name:<{width}}  {info.title_ko if language == 'ko' else info.title}")
        print(f"{'':<{width}}  {_measures(driver, language)}  ({info.bus}; {info.datasheet})")
    return 0


def _measures(driver: type[Driver], language: Language) -> str:
    if not driver.info.channels:
        return "설정에 적은 것" if language == "ko" else "whatever its settings name"
    parts = (f"{quantity_name(c.quantity, language)} {unit_sign(c.unit)}".strip() for c in driver.info.channels)
    return ", ".join(parts)


def _document(driver: type[Driver]) -> dict[str, Any]:
    info = driver.info
    return {
        "name": info.name,
        "title": info.title,
        "title_ko": info.title_ko,
        "bus": info.bus,
        "datasheet": info.datasheet,
        "interval_s": info.interval_s,
        "channels": [
            {
                "quantity": channel.quantity,
                "unit": channel.unit,
                "low": channel.low,
                "high": channel.high,
                "resolution": channel.resolution,
                "accuracy": channel.accuracy,
            }
            for channel in info.channels
        ],
    }
