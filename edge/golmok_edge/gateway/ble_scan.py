"""`golmok-gateway ble scan`: what is heard, and the `[[device]]` block to paste for each that we can read."""

from __future__ import annotations

import asyncio
import json as json_text
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from golmok_drivers import catalogue
from golmok_drivers.adverts.driver import AdvertDriver
from golmok_drivers.adverts.recognise import Recognised, recognised
from golmok_drivers.api import Advert, Driver, DriverError
from golmok_drivers.buses import open_bus
from golmok_drivers.radio import ForgetfulCounters
from golmok_drivers.scan import Find
from golmok_drivers.twins import Simulation
from golmok_edge.settings import Device, Language, language_of
from golmok_edge.settings.kinds import toml

_LOOK_S: Final = 1.0
_WORDS: Final[dict[str, tuple[str, str]]] = {
    "listening": (
        "listening on {bus}, {left:.0f} s left, {count} devices",
        "{bus} 듣는 중, {left:.0f}초 남음, 장치 {count}개",
    ),
    "none": ("nothing was heard on {bus} in {seconds:g} s", "{bus}에서 {seconds:g}초 동안 아무것도 들리지 않았습니다"),
    "key": ("its key, from its maker's app", "제조사 앱에 나오는 키"),
    "others": ("{count} others that nobody here reads", "그 밖에 읽을 수 없는 장치 {count}개"),
}


async def in_range(
    url: str,
    seconds: float,
    base: Path,
    on_look: Callable[[float, int], None] = lambda left_s, count: None,
    simulation: Simulation | None = None,
) -> list[Advert]:
    """The last advert of each device that was heard in that time, the strongest first. Raises `DriverError`.

    iBeacons change their addresses as they like; each number is one device.
    """
    bus = open_bus(url, base=base, simulation=simulation, counters=ForgetfulCounters)
    heard: dict[object, Advert] = {}
    try:
        ear = await bus.listen()
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            for advert in await ear.heard(min(left_s, _LOOK_S)):
                before = heard.get(who := _who(advert))
                if before is None or before.receiver == advert.receiver or before.rssi <= advert.rssi:
                    heard[who] = advert
            on_look(max(0.0, end_s - time.monotonic()), len(heard))
    finally:
        await bus.close()
    return sorted(heard.values(), key=lambda advert: -advert.rssi)


async def examined(
    url: str, devices: Sequence[Device], seconds: float, base: Path, simulation: Simulation | None
) -> tuple[list[dict[str, Any]], list[Find]]:
    """How the settings' devices on that radio are, and who else is there that can be read. Raises `DriverError`."""
    adverts = await in_range(url, seconds, base, simulation=simulation)
    drivers = {device.name: catalogue.load(device.driver)(device.options) for device in devices}
    rows = [
        _how(device, [advert for advert in adverts if _is_from(drivers[device.name], advert)]) for device in devices
    ]
    others = [one for one in adverts if not any(_is_from(driver, one) for driver in drivers.values())]
    found = [
        Find(url, what.driver, what.settings, advert.name, what.settings.get("address", ""), values=what.says)
        for advert in others
        if (what := recognised(advert)) is not None
    ]
    return rows, found


def present_radios(root: Path = Path("/")) -> list[str]:
    """The URLs of this machine's radios."""
    return [
        f"ble://{path.name}" for path in sorted((root / "sys/class/bluetooth").glob("hci*")) if ":" not in path.name
    ]


def _how(device: Device, heard: Sequence[Advert]) -> dict[str, Any]:
    """One row of a scan."""
    row: dict[str, Any] = {"name": device.name, "driver": device.driver, "bus": device.bus}
    if not heard:
        detail = "not heard: is it near, and its battery full? A button may speak only when it is pressed"
        return row | {"part": "", "serial": "", "state": "bad", "reason": "silent", "detail": detail, "values": {}}
    what = recognised(heard[0])
    values = {"rssi": heard[0].rssi} | (what.says if what else {})
    told = {"part": heard[0].name, "serial": heard[0].address, "state": "good", "reason": "", "detail": ""}
    return row | told | {"values": values}


def _is_from(driver: Driver, advert: Advert) -> bool:
    """Whether the device of that driver sent it."""
    if not isinstance(driver, AdvertDriver):
        return False
    hears = driver.hears
    is_heard = (
        advert.address == hears["address"].upper()
        if "address" in hears
        else hears["company"] in advert.manufacturer_data
    )
    return bool(is_heard and driver.is_of_it(advert))


def block(advert: Advert, what: Recognised, bus: str, comment: str = "") -> str:
    """The `[[device]]` to paste."""
    lines = ["[[device]]", f'name = "{what.name}"', f'driver = "{what.driver}"', f'bus = "{bus}"']
    for key, value in what.settings.items():
        note = f"  # {comment}" if key == "key" and comment else ""
        lines.append(f"{key} = {toml(value)}{note}")
    return "\n".join(lines)


def run(url: str, seconds: float, *, json: bool = False, lang: Language | None = None) -> int:
    """Listen and print; 0, or 1 when there is no radio to listen with."""
    language = lang or language_of()

    def look(left_s: float, count: int) -> None:
        if sys.stderr.isatty():
            said = _text("listening", language, bus=url, left=left_s, count=count)
            print(f"\r{said}   ", end="" if left_s else "\n", file=sys.stderr, flush=True)

    try:
        adverts = asyncio.run(in_range(url, seconds, Path.cwd(), look))
    except DriverError as error:
        print(
            json_text.dumps({"error": str(error)}) if json else f"golmok-gateway: {error}",
            file=None if json else sys.stderr,
        )
        return 1
    if json:
        devices = [_document(advert, url) for advert in adverts]
        print(json_text.dumps({"bus": url, "devices": devices}, ensure_ascii=False, allow_nan=False))
    elif not adverts:
        print(_text("none", language, bus=url, seconds=seconds))
    else:
        print("\n".join(_told(adverts, url, language)))
    return 0


def _told(adverts: list[Advert], url: str, language: Language) -> Iterator[str]:
    others = 0
    for advert in adverts:
        what = recognised(advert)
        if what is None:
            others += 1
            continue
        says = ", ".join(f"{name} {value}" for name, value in what.says.items())
        yield f"# {advert.address}  {advert.rssi} dBm  {advert.name}  {says}".rstrip()
        yield block(advert, what, url, _text("key", language))
        yield ""
    if others:
        yield f"# {_text('others', language, count=others)}"


def _document(advert: Advert, url: str) -> dict[str, Any]:
    what = recognised(advert)
    told = {"address": advert.address, "name": advert.name, "rssi": advert.rssi, "receiver": advert.receiver}
    told |= {
        "service_data": {f"{uuid:04x}": data.hex() for uuid, data in advert.service_data.items()},
        "manufacturer_data": {f"{company:04x}": data.hex() for company, data in advert.manufacturer_data.items()},
    }
    if what is None:
        return told | {"driver": None}
    return told | {
        "driver": what.driver,
        "wants_key": what.wants_key,
        "says": what.says,
        "block": block(advert, what, url),
    }


def _who(advert: Advert) -> object:
    what = recognised(advert)
    return tuple(what.settings.values()) if what is not None and what.driver == "ibeacon" else advert.address


def _text(what: str, language: Language, **words: Any) -> str:
    return _WORDS[what][language == "ko"].format(**words)
