"""Writes `docs/settings.md` from the types: `python -m golmok_edge.settings.reference docs/settings.md`.

What a key means stands once, beside its type in `model` and in each driver, so that the page cannot say
something else than the check does.
"""

from __future__ import annotations

import inspect as python_inspect
import re
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import inspect

from golmok_drivers import catalogue
from golmok_drivers.api import Driver
from golmok_edge.settings.files import APPLICATIONS, SECTIONS
from golmok_edge.settings.kinds import bounds, example, plain, struct_type, told, toml, wanted
from golmok_edge.settings.language import Say
from golmok_edge.settings.messages import PHRASES, fill
from golmok_edge.settings.model import Budgets, Common, Limit
from golmok_edge.settings.rules import KINDS, Rule

EXAMPLE: Final = """\
[site]
gateway = "gw-0001"                     # unique in its tenant
name = "한옥카페"
timezone = "Asia/Seoul"

[store]
path = "var"                            # folder; relative to this file
commit_interval_s = 1.0
max_bytes = 2_000_000_000

[mqtt]                                  # the local bus; username and password_file are optional
host = "127.0.0.1"
port = 1883

[cloud]
url = "http://127.0.0.1:8400"
interval_s = 60                         # at most this long until new data are sent
token_file = "enrol.token"              # optional; certificate and key once enrolled

[[device]]
name = "fridge"
driver = "ds18b20"
bus = "w1://0"                          # or sim+w1://scenario.toml
address = "28-00000a1b2c3d"
interval_s = 10
limits = { temperature = { high = 8.0, for_s = 600 } }

[[device]]
name = "stall-plug"
driver = "mqtt-json"
topic = "tele/plug1/SENSOR"
channels = { power = { path = "ENERGY.Power", unit = "W" } }
expect_s = 300
"""

_HEAD: Final = """\
# The settings file

<!-- Made by `python -m golmok_edge.settings.reference docs/settings.md`; do not edit it by hand. -->

One TOML file a gateway, UTF-8, at most 1 MiB. `golmok-gateway check --config F` names file, line and remedy of
every mistake in one run, in Korean with `--lang ko`; `--json` gives the same to programs. Exit code 0: good, 2: not.

Required are `site.gateway`, and `name` and `driver` of each device. Names are 1 to 32 of `a-z`, `0-9` and `-`, the
first no `-`. Relative paths begin at the file's own folder. Units are UCUM codes (`Cel`, `%`, `W`, `lx`, `1`).

Warnings do not make a file wrong: a `token_file` that is not there yet (a cloud with open enrolment takes the gateway
without one), a secret that every user may read, a token sent unencrypted, a limit that can never be reached.
A `password_file` that is not there is a mistake: the broker would refuse the gateway.

```toml
{example}```
"""
_DEVICES: Final = """\
## `[[device]]`

One for each device, with two brackets on either side. These keys are common to all; the driver's own stand beside
them, in the same table. Two devices cannot have one name, nor one address (or pin) of one bus.
"""
_WHOLE: Final = re.compile(r"(?<![\w.])\d+(?![\w.])")
_LIMITS: Final = """\
### `limits`

`limits = { temperature = { high = 8.0, for_s = 600 } }`: for each quantity `low`, `high` or both, and `for_s`.
"""
_RULES: Final = """\
## `[[rule]]`

What is an alarm beyond the devices' `limits`; as many as wanted. Alarms are events, overtake telemetry, survive a
restart, and are listed by `golmok-gateway alarms list`. Only good values raise one; one that is not good leaves an
alarm as it is, and `silence` tells of what is missing. These keys are common to all kinds:
"""
_APPLICATIONS: Final = """\
## Sections of applications

An application registers its section by an entry point of the group `golmok.settings`: the name is the section's, the
object a `msgspec.Struct` (derive it from `golmok_edge.settings.Section`). Describe each key by
`Annotated[type, msgspec.Meta(description=…, examples=[…])]`; ranges, lengths and patterns stated there are checked,
paths are made absolute, and what `__post_init__` refuses by a `ValueError` is said with the line of the key it names.
A section that no installed application registers is a mistake.
"""


_COMMON: Final = (*SECTIONS.values(), Budgets, Common, Limit, Rule)
_BESIDE: Final = frozenset(Common.__struct_fields__)
"""Keys that a driver reads too are told of once, among the common ones."""


def page() -> str:
    """The whole page."""
    parts = [_HEAD.format(example=EXAMPLE)]
    for name, cls in SECTIONS.items():
        parts.append(f"## `[{name}]`\n\n{_said(cls)}\n\n{_table(cls)}")
        parts += [f"### `{key}`\n\n{_said(inner)}\n\n{_table(inner)}" for key, inner in inside(cls)]
    parts += [f"{_DEVICES}\n{_table(Common)}", f"{_LIMITS}\n{_table(Limit)}"]
    parts += [_driver(name) for name in catalogue.names(found=lambda group: ())]
    parts += [f"{_RULES}\n{_table(Rule)}", *map(_rule, KINDS)]
    for name, cls in own_applications().items():
        parts.append(f"## `[{name}]`\n\n{_said(cls)}\n\n{_rows(cls, frozenset())}")
        parts += [f"### `{key}`\n\n{_said(inner)}\n\n{_rows(inner, frozenset())}" for key, inner in inside(cls)]
    return "\n".join([*parts, _APPLICATIONS])


def own_applications() -> dict[str, type[msgspec.Struct]]:
    """The sections of the applications that come with the gateway."""
    ours = [entry for entry in entry_points(group=APPLICATIONS) if entry.module.startswith("golmok_edge.")]
    return {entry.name: entry.load() for entry in sorted(ours, key=lambda entry: entry.name)}


def _driver(name: str) -> str:
    driver: type[Driver] = catalogue.load(name)
    info = driver.info
    measures = ", ".join(f"`{channel.quantity}` ({channel.unit})" for channel in info.channels)
    about = [f"{info.title} · {info.title_ko}. Bus: {info.bus}.", f"Measures {measures}." if measures else ""]
    structs = [(f"### Driver `{name}`\n\n{' '.join(about).strip()} {_said(driver.Settings)}", driver.Settings)]
    structs += [(f"Each of `{key}`: {_said(cls)}", cls) for key, cls in inside(driver.Settings)]
    return "\n".join(f"{head}\n\n{_table(cls)}" for head, cls in structs)


def _rule(kind: str) -> str:
    cls = KINDS[kind]
    parts = [f'### `kind = "{kind}"`\n\n{_said(cls)}\n\n{_rows(cls, frozenset(Rule.__struct_fields__) - _own(cls))}']
    parts += [f"Each of `{key}`: {_said(inner)}\n\n{_rows(inner, frozenset())}" for key, inner in inside(cls)]
    return "\n".join(parts)


def _own(cls: type[msgspec.Struct]) -> frozenset[str]:
    """The keys that a kind of rule says itself, also where all have them."""
    return frozenset(python_inspect.get_annotations(cls))


def inside(cls: type[msgspec.Struct]) -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """The structs that stand in a table or list of this one."""
    for field in struct_type(cls).fields:
        kind = plain(field.type)
        item = plain(getattr(kind, "value_type", getattr(kind, "item_type", kind)))
        if isinstance(item, inspect.StructType):
            yield field.encode_name, item.cls


def _table(cls: type[msgspec.Struct]) -> str:
    return _rows(cls, frozenset() if cls in _COMMON else _BESIDE)


def _rows(cls: type[msgspec.Struct], without: frozenset[str]) -> str:
    rows: list[tuple[str, ...]] = [("key", "type", "default", "meaning", "example"), ("---",) * 5]
    rows += [_row(field) for field in struct_type(cls).fields if field.encode_name not in without]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(field: inspect.Field) -> tuple[str, ...]:
    limits = bounds(field.type)
    kind = _words(wanted(field.type)) + (
        f", {_words(limits)}" if limits and not hasattr(plain(field.type), "pattern") else ""
    )
    meaning = told(field.type).get("description", "")
    row = f"`{field.encode_name}`", kind, _default(field), _cell(meaning), f"`{_cell(example(field.type))}`"
    in_hex = field.encode_name == "address" and isinstance(plain(field.type), (inspect.LiteralType, inspect.IntType))
    return tuple(_WHOLE.sub(_hex, cell) for cell in row) if in_hex else row


def _hex(number: re.Match[str]) -> str:
    """Addresses of I2C are always written in hex."""
    return f"0x{int(number.group()):02x}"


def _default(field: inspect.Field) -> str:
    if field.required:
        return "**required**"
    value: Any = field.default if field.default is not msgspec.NODEFAULT else None
    return "–" if value is None else f"`{_cell(toml(value))}`"


def _words(say: Say) -> str:
    return _cell(fill(PHRASES[say.phrase][0], say.args, "en"))


def _said(cls: type) -> str:
    """The struct's docstring, as one paragraph."""
    return " ".join((python_inspect.getdoc(cls) or "").split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
