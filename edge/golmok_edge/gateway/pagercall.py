"""`golmok-gateway pager call`: the running gateway makes a guest's pager buzz, and says whether it did.

Who orders pagers about in a program asks the gateway's unix socket as this command does (`ask`):
`{"do": "command", "device": "pager-1", "value": "17/2/300"}` is a ticket, how to buzz, and how long it is worth it.
"""

from __future__ import annotations

import json as json_text
import sys
from collections.abc import Callable
from typing import Any, Final

from golmok_edge.settings import Device, Language, Settings, language_of

PAGERS: Final = ("ble-pager",)
_WORDS: Final[dict[str, tuple[str, str]]] = {
    "done": ("{title}: ticket {ticket} buzzes", "{title}: {ticket}번 진동벨이 울립니다"),
    "failed": ("{title}: ticket {ticket} did not buzz: {why}", "{title}: {ticket}번 진동벨이 울리지 않았습니다: {why}"),
    "unknown": (
        "there is no pager {name!r} in {file}; there are: {known}",
        "{file}에 진동벨 {name!r}가 없습니다. 있는 것: {known}",
    ),
}


def run(
    settings: Settings,
    ask: Callable[[Settings, dict[str, Any]], dict[str, Any]],
    name: str,
    ticket: int,
    *,
    pattern: int | None = None,
    seconds: int | None = None,
    json: bool = False,
    lang: Language | None = None,
) -> int:
    """Page; 0 when it buzzes, 1 when it does not, 2 when there is no such pager."""
    language = lang or language_of()

    def end(what: str, code: int, **words: Any) -> int:
        text = _WORDS[what][language == "ko"].format(**words)
        if json:
            said = {"device": name, "ticket": ticket, "buzzes": not code, "detail": text}
            print(json_text.dumps(said, ensure_ascii=False))
        else:
            print(text, file=sys.stderr if code else sys.stdout)
        return code

    pagers = {device.name: device for device in settings.devices if device.driver in PAGERS}
    device = pagers.get(name)
    if device is None:
        return end("unknown", 2, name=name, file=settings.file, known=", ".join(sorted(pagers)) or "-")
    try:
        ask(settings, {"do": "command", "device": name, "value": _page(device, ticket, pattern, seconds)})
    except OSError as error:
        return end("failed", 1, title=device.title, ticket=ticket, why=error)
    return end("done", 0, title=device.title, ticket=ticket)


def _page(device: Device, ticket: int, pattern: int | None, seconds: int | None) -> str:
    """The page as a driver is told it; what is not said stands in the settings."""
    options: Any = device.options
    return f"{ticket}/{options.pattern if pattern is None else pattern}/{options.ttl_s if seconds is None else seconds}"
