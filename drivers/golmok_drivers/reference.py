"""Writes `docs/drivers.md` from what the drivers say: `python -m golmok_drivers.reference docs/drivers.md`.

What a part measures, how it is wired and what is seen of its faults stands once, in its file, so that the page cannot
say something else than the driver does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from golmok_drivers import catalogue
from golmok_drivers.api import Channel, Driver, unit_sign
from golmok_drivers.buses.url import EXAMPLES

_HEAD: Final = """\
# What can be connected

<!-- Made by `python -m golmok_drivers.reference docs/drivers.md`; do not edit it by hand. -->

Each driver is one file of `drivers/golmok_drivers/devices`; its keys are in [settings.md](settings.md). How to write
another: [write-a-driver.md](write-a-driver.md). `golmok-gateway devices scan` finds what is wired and prints the block
to paste. Pins are those of a Raspberry Pi; switch it off before you wire. More than 3.3 V at a GPIO pin destroys it.

None of this was tried on a real part yet: drivers are checked on their twins, and against the libraries of others on
the same twins.
"""
_BUSES: Final = """\
## Buses

| URL | the other end |
| --- | --- |
{rows}
| `sim+i2c://scenario.toml` | twins, for any of these (`golmok_drivers.twins.scenario` has the file's keys) |
| `record+i2c://1?to=trace.jsonl` | the same bus, and all that is said on it written down; for any of these |
| `replay+i2c://trace.jsonl` | a trace: each device is asked the same in the same order, and answers the same |
| `record+mqtt://?to=trace.jsonl` | what is on MQTT needs no bus; this writes down what its driver hears |
| `replay+mqtt://trace.jsonl` | and this reads them again, at their pace and without a broker |

A serial line may have `?baud=19200&parity=E`; 9600 and no parity if left out. A trace is never written over
(`trace-2.jsonl` …), and ends at 100 MB. I2C, SPI, 1-wire and the serial port are switched
on by `sudo raspi-config`.

## What is seen when a sensor fails

The reason stands with the reading, in `status` and in `devices scan`. Those of the bus hold for each part on it.

| bus | unplugged | wrong bytes | it hangs | a wire of the bus is shorted |
| --- | --- | --- | --- | --- |
| i2c | `nack` | `crc` | `timeout` | `shorted`, everybody on it |
| spi | `unplugged` | `crc` | `timeout` | `unplugged`, everybody on it |
| uart | `unplugged` | `crc` | `timeout` | `unplugged`, everybody on it |
| w1 | `unplugged` | `crc` | `timeout` | `shorted` |
| gpio | by kind | – | – | by kind |
| mqtt | `silent` | `parse` | `silent` | `silent` |

Kind by kind (Bluetooth devices tell more of themselves, or are `silent`):

{faults}
`noisy` and `stuck` (uncertain) are told by how the values go; noise within fifteen values. Stuck is what does not
change at all for so long: {still}; of `mqtt-json` only what the settings say.
`still_s` in the settings says otherwise. A part of the same kind with another number is `swapped` if the settings name
its `serial` (uncertain) or its 1-wire id (bad); another part is `wrong-part`. At another Modbus number it is
`unplugged` in `status`, and `swapped` in `devices scan`, which asks the other numbers.

What no driver can see, and why:

{unseen}
`expect_s` makes a device that speaks by itself `silent` after so long; a rule `silent` makes an alarm of it.
"""


def page() -> str:
    """The whole page."""
    drivers = [(name, catalogue.load(name)) for name in catalogue.names(found=lambda group: ())]
    rows = "\n".join(f"| `{url}` | {_WHAT[kind]} |" for kind, url in EXAMPLES.items())
    overview = _table(
        ("driver", "what it is", "bus", "measures"),
        [(f"[`{name}`](#{name})", kind.info.title, kind.info.bus, _measures(kind)) for name, kind in drivers],
    )
    still = "; ".join(filter(None, (_watched(name, kind) for name, kind in drivers)))
    wired = [(name, kind) for name, kind in drivers if kind.info.bus != "ble"]
    faults = _table(
        ("driver", *FAULTS),
        [(f"`{name}`", *(_seen(seen_as(name, fault)) for fault in FAULTS)) for name, _ in wired],
    )
    unseen = "".join(
        f"- `{name}`: {'; '.join(f'{fault} ({why})' for fault, why in reasons.items())}.\n"
        for name, _ in wired
        if (reasons := getattr(catalogue.twin(name), "unseen", {}))
    )
    tail = _BUSES.format(rows=rows, still=still, faults=faults, unseen=unseen)
    return "\n".join([_HEAD, overview, *(_driver(name, kind) for name, kind in drivers), tail])


FAULTS: Final = ("unplugged", "shorted", "noisy", "stuck", "swapped")
"""What becomes of a sensor in a shop."""
_OF_THE_BUS: Final[Mapping[str, Mapping[str, str]]] = {
    "i2c": {"unplugged": "nack", "shorted": "shorted"},
    "spi": {"unplugged": "unplugged", "shorted": "unplugged"},
    "uart": {"unplugged": "unplugged", "shorted": "unplugged"},
    "w1": {"unplugged": "unplugged"},
    "gpio": {},
    "mqtt": {"unplugged": "silent"},
}


def seen_as(name: str, fault: str) -> str:
    """The reason by which a fault of that driver's device is seen in `status`; empty where nothing could see it."""
    kind, twin = catalogue.load(name), catalogue.twin(name)
    watched = {
        "noisy": "noisy" if any(channel.noise for channel in kind.info.channels) else "",
        "stuck": "stuck" if any(channel.still_s for channel in kind.info.channels) else "",
    }
    told = {**_OF_THE_BUS[kind.info.bus], **watched, **getattr(twin, "faults", {})}
    told |= {"swapped": "swapped"} if kind.info.has_serial else {}
    return "" if fault in getattr(twin, "unseen", {}) else told.get(fault, "")


def _seen(reason: str) -> str:
    return f"`{reason}`" if reason else "–"


_WHAT: Final[Mapping[str, str]] = {
    "i2c": "`/dev/i2c-1`",
    "spi": "`/dev/spidev0.0` and `0.1`; `apt install python3-spidev`",
    "uart": "`/dev/ttyUSB0`: an RS-485 or TTL adapter; better its name below `/dev/serial/by-id`",
    "w1": "`/sys/bus/w1/devices`",
    "gpio": "the board's pins; `apt install python3-lgpio`",
    "ble": "Bluetooth radios, `ble://hci0,hci1` several together; `apt install bluez`",
}


def _driver(name: str, kind: type[Driver]) -> str:
    info = kind.info
    parts = [f"## {name}", f"{info.title} · {info.title_ko}. Bus: {info.bus}. [Data sheet]({info.datasheet})."]
    if info.channels:
        parts.append(_table(_COLUMNS, [_row(channel) for channel in info.channels]).rstrip())
    if info.wiring:
        parts.append(_table(("part", "to"), info.wiring).rstrip())
    parts += [info.note] if info.note else []
    faults = {fault: reason for fault, reason in getattr(catalogue.twin(name), "faults", {}).items() if reason}
    if faults:
        told = ", ".join(f"{_FAULTS.get(fault, fault)}: `{reason}`" for fault, reason in sorted(faults.items()))
        parts.append(f"Its own faults: {told}.")
    parts += [f"```toml device\n{_block(name, kind)}```"] if info.examples else []
    return "\n\n".join(parts) + "\n"


_FAULTS: Final[Mapping[str, str]] = {
    "open-circuit": "wire broken",
    "shorted": "wire shorted",
    "swapped": "another part",
    "not-ready": "no measurement",
    "reset": "it restarted",
    "stuck": "it does not move",
    "noisy": "it scatters",
}
_COLUMNS: Final = ("quantity", "unit", "from", "to", "step", "error")


def _row(channel: Channel) -> tuple[str, ...]:
    figures = (channel.low, channel.high, channel.resolution, channel.accuracy)
    sign = unit_sign(channel.unit)
    unit = f"`{channel.unit}`" + (f" ({sign})" if sign and sign != channel.unit else "")
    return f"`{channel.quantity}`", unit, *("–" if figure is None else f"{figure:g}" for figure in figures)


def _measures(kind: type[Driver]) -> str:
    return ", ".join(channel.quantity for channel in kind.info.channels) or "whatever its settings name"


def _watched(name: str, kind: type[Driver]) -> str:
    still = next((channel for channel in kind.info.channels if channel.still_s), None)
    return f"{still.quantity} of `{name}` {_duration(still.still_s or 0.0)}" if still else ""


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"


def _block(name: str, kind: type[Driver]) -> str:
    bus = EXAMPLES.get(kind.info.bus)
    lines = ["[[device]]", f'name = "my-{name}"', f'driver = "{name}"', *([f'bus = "{bus}"'] if bus else [])]
    example = kind.info.examples[0]
    lines += [f"{key} = {_toml(key, value, kind.info.bus)}" for key, value in example.items()]
    return "\n".join(lines) + "\n"


def _toml(key: str, value: Any, bus: str) -> str:
    if key == "address" and bus == "i2c":
        return f"0x{value:02x}"
    if isinstance(value, dict):
        inside = ", ".join(f"{name} = {_toml(name, item, bus)}" for name, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return json.dumps(value, ensure_ascii=False)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
