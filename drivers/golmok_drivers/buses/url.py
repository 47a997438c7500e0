"""Bus URLs taken apart. Nothing is opened here, so that the settings check can use it anywhere.

`i2c://1`, `spi://0`, `uart://ttyUSB0?baud=9600`, `w1://0`, `gpio://` are the machine's own; `sim+i2c://scenario.toml`
has twins at the other end, `replay+i2c://trace.jsonl` a trace. `record+` before any of them writes a trace of all that
is said: `record+i2c://1?to=trace.jsonl`. What is on MQTT has no bus, but can be recorded and replayed
(`record+mqtt://?to=trace.jsonl`, `replay+mqtt://trace.jsonl`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from golmok_drivers.errors import BusUrlError

EXAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "i2c": "i2c://1",
        "spi": "spi://0",
        "uart": "uart://ttyUSB0",
        "w1": "w1://0",
        "gpio": "gpio://",
        "ble": "ble://hci0",
    }
)
"""Kind of bus -> an example of its URL."""
KINDS: Final = tuple(EXAMPLES)
"""The buses that have a URL."""

_ADAPTERS: Final = re.compile(r"(hci\d{1,2}(,hci\d{1,2})*)?")
_PORT: Final = re.compile(r"[A-Za-z][\w.:-]*|/dev/[\w./:+-]+", re.ASCII)
_SPEEDS: Final = frozenset({1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400})
_OPTIONS: Final[Mapping[str, frozenset[str]]] = MappingProxyType({"uart": frozenset({"baud", "parity"})})


class BusUrl(NamedTuple):
    """A bus URL taken apart.

    `where` is the bus number or port, or the path of the scenario when `simulated`, of the trace when `replayed`.
    `options` are those of the bus itself; `record_to` is the file that a trace is written to, if any.
    """

    kind: str
    where: str
    simulated: bool
    replayed: bool = False
    options: tuple[tuple[str, str], ...] = ()
    record_to: str = ""

    @property
    def plain(self) -> BusUrl:
        """The same bus without its recording."""
        return self._replace(record_to="")


def parse_bus_url(url: str) -> BusUrl:
    """Take `url` apart; raises `BusUrlError` that says what to write instead."""
    scheme, separator, rest = url.partition("://")
    where, _, query = rest.partition("?")
    recorded = scheme.startswith("record+")
    scheme = scheme.removeprefix("record+")
    prefix = next((prefix for prefix in ("sim+", "replay+") if scheme.startswith(prefix)), "")
    kind = scheme.removeprefix(prefix)
    if kind not in KINDS and not (kind == "mqtt" and (prefix == "replay+" or (recorded and not prefix))):
        raise BusUrlError(_unknown(url, kind, prefix))
    if not separator:
        raise BusUrlError(f"{url!r} is no bus URL; write {_example(kind, prefix)!r}")
    options = dict(parse_qsl(query, keep_blank_values=True))
    record_to = options.pop("to", "")
    _judge_recording(url, recorded, record_to, kind, prefix)
    _judge_where(url, where, kind, prefix)
    _judge_options(url, options, () if prefix else _OPTIONS.get(kind, ()))
    return BusUrl(kind, where, prefix == "sim+", prefix == "replay+", tuple(sorted(options.items())), record_to)


def _judge_recording(url: str, recorded: bool, record_to: str, kind: str, prefix: str) -> None:
    if recorded and not record_to.endswith(".jsonl"):
        example = f"record+{_example(kind, prefix)}?to=trace.jsonl"
        example = _example(kind, prefix) if kind == "mqtt" else example
        raise BusUrlError(f"{url!r}: a recorded bus says where to, a file .jsonl; write {example!r}")
    if record_to and not recorded:
        raise BusUrlError(f"{url!r}: only a recorded bus has a ?to=; write 'record+{url}'")


def _judge_where(url: str, where: str, kind: str, prefix: str) -> None:
    if prefix == "sim+":
        if where and not where.endswith(".toml"):
            raise BusUrlError(
                f"{url!r}: a simulated bus wants a scenario file (.toml); write {_example(kind, prefix)!r}"
            )
    elif prefix == "replay+":
        if not where.endswith(".jsonl"):
            raise BusUrlError(f"{url!r}: a replayed bus wants a trace (.jsonl); write {_example(kind, prefix)!r}")
    elif kind == "mqtt":
        if where:
            raise BusUrlError(f"{url!r}: [mqtt] says where the broker is; write {_example(kind, prefix)!r}")
    elif kind == "gpio":
        if where:
            raise BusUrlError(f"{url!r}: the board's pins are one bus without a number; write 'gpio://'")
    elif kind == "ble":
        if not _ADAPTERS.fullmatch(where):
            raise BusUrlError(f"{url!r}: Bluetooth radios are hci0, hci1 …; write 'ble://hci0' or 'ble://hci0,hci1'")
    elif kind == "uart":
        if not _PORT.fullmatch(where) or ".." in where:
            raise BusUrlError(f"{url!r}: a serial line has a port, a name below /dev; write {EXAMPLES[kind]!r}")
    elif not (where.isascii() and where.isdecimal() and len(where) <= 3):
        raise BusUrlError(f"{url!r}: a {kind} bus has a number; write {EXAMPLES[kind]!r}")


def _judge_options(url: str, options: Mapping[str, str], known: frozenset[str] | tuple[()]) -> None:
    for key, value in options.items():
        if key not in known:
            raise BusUrlError(
                f"{url!r}: this bus has no {key!r}" + (f"; it has {', '.join(sorted(known))}" * bool(known))
            )
        if key == "baud" and not (value.isascii() and value.isdecimal() and int(value) in _SPEEDS):
            raise BusUrlError(f"{url!r}: baud is one of {', '.join(map(str, sorted(_SPEEDS)))}")
        if key == "parity" and value not in ("N", "E", "O"):
            raise BusUrlError(f"{url!r}: parity is N (none), E (even) or O (odd)")


def _example(kind: str, prefix: str) -> str:
    if kind == "mqtt" and not prefix:
        return "record+mqtt://?to=trace.jsonl"
    return {"sim+": f"sim+{kind}://scenario.toml", "replay+": f"replay+{kind}://trace.jsonl"}.get(
        prefix, EXAMPLES.get(kind, "")
    )


def _unknown(url: str, kind: str, prefix: str) -> str:
    if kind == "mqtt":
        return f"{url!r}: a device on MQTT needs no bus; leave the key out and set [mqtt] host"
    from difflib import get_close_matches  # only who wrote something wrong needs it

    near = get_close_matches(kind, KINDS, n=1, cutoff=0.4)
    hint = repr(_example(near[0], prefix)) if near else " or ".join(EXAMPLES.values())
    return f"{url!r} names no bus we know; write {hint}"
