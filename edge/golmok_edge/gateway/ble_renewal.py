"""`golmok-gateway ble battery-changed`: an operator lets the counter of one call button begin anew, and waits for it.

The act is a line in the file of counters, which the running gateway looks into when it meets a counter that is too low.
Three presses within a minute then take the counter back; they call nobody.
"""

from __future__ import annotations

import json as json_text
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from golmok_drivers.adverts.keyed import name_of
from golmok_drivers.ble_keys import KeySettings, key_of
from golmok_edge.gateway.clock import SystemClock
from golmok_edge.gateway.counters import ALLOWED_S, CountersError, allow, is_renewed
from golmok_edge.settings import Device, Language, Settings, language_of

_LOOK_S: Final = 0.25
_WORDS: Final[dict[str, tuple[str, str]]] = {
    "press": (
        "{title}: press it three times within {seconds:g} s, a second apart. These presses call nobody.",
        "{title}: {seconds:g}초 안에 1초 간격으로 세 번 누르십시오. 이때의 누름은 호출이 되지 않습니다.",
    ),
    "done": (
        "{title}: its counter begins anew; it can be used.",
        "{title}: 카운터를 새로 시작했습니다. 이제 쓸 수 있습니다.",
    ),
    "nothing": (
        "{title}: three presses were not heard within {seconds:g} s. Does the gateway run, is the button near, is the "
        "key in the settings its own? If it works already, nothing is to be done. Else try again.",
        "{title}: {seconds:g}초 안에 세 번의 누름이 들리지 않았습니다. 게이트웨이가 실행 중인지, 버튼이 가까운지, "
        "설정의 키가 맞는지 보십시오. 이미 작동하면 할 일이 없습니다. 아니면 다시 하십시오.",
    ),
    "unknown": (
        "there is no device {name!r} with a Bluetooth key in {file}; there are: {known}",
        "{file}에 블루투스 키가 있는 장치 {name!r}가 없습니다. 있는 것: {known}",
    ),
    "never": (
        "no counter of {title} is kept yet: it needs no such act. Start the gateway, and press the button.",
        "{title}의 카운터가 아직 없습니다. 이 작업이 필요 없습니다. 게이트웨이를 켜고 버튼을 누르십시오.",
    ),
}


def run(
    settings: Settings,
    name: str,
    *,
    json: bool = False,
    lang: Language | None = None,
    within_s: float = ALLOWED_S,
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
) -> int:
    """Allow it and wait; 0 when the counter began anew, 1 when nobody pressed, 2 when there is no such device."""
    language = lang or language_of()

    def end(what: str, code: int, words: dict[str, Any]) -> int:
        text = _text(what, language, **words)
        if json:
            print(json_text.dumps({"device": name, "renewed": code == 0, "detail": text}, ensure_ascii=False))
        elif code:
            say(text)
        else:
            print(text)
        return code

    keyed = {device.name: device for device in settings.devices if _key(device)}
    device = keyed.get(name)
    if device is None:
        known = ", ".join(sorted(keyed)) or "-"
        return end("unknown", 2, {"name": name, "file": settings.file, "known": known})
    folder, called = settings.store.path, name_of(_address(device), _key(device))
    words = {"title": device.title, "seconds": within_s}
    try:
        allow(folder, called, SystemClock())
    except CountersError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return end("never", 1, words)
        say(str(error))
        return 1
    say(_text("press", language, **words))
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        time.sleep(_LOOK_S)
        if is_renewed(folder, called):
            return end("done", 0, words)
    return end("nothing", 1, words)


def _text(what: str, language: Language, **words: Any) -> str:
    return _WORDS[what][language == "ko"].format(**words)


def _key(device: Device) -> str:
    return (key_of(device.options) if isinstance(device.options, KeySettings) else None) or ""


def _address(device: Device) -> str:
    return str(getattr(device.options, "address", ""))
