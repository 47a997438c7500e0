"""What a simulated shop plays, as a TOML file. Everything is optional:

```toml
seed = 7                                   # same seed, same day

[device.fridge]                            # the device's name in the settings
fault = [
  { kind = "crc", start_s = 30, duration_s = 10 },                  # seconds since the beginning
  { kind = "unplugged", start_s = 60, duration_s = 20, every_s = 300 },
]
[device.fridge.signal.temperature]
kind = "fridge"                            # constant steps daily cycle door fridge csv: see signals.py
setpoint = 4.0
door = "fridge-door"                       # warms when that device's door is open
lag_s = 30                                 # any kind may have lag_s and noise
noise = 0.02

[device.room.signal.humidity]
kind = "csv"
file = "room.csv"                          # beside the scenario file
column = "Humidity"
interval_s = 1.0

[device.plug]
interval_s = 5                             # MQTT only: how often it publishes

[device.stranger]                          # a device that is on the bus but not in the settings
driver = "sht4x"
bus = "i2c"
settings = { address = 0x45 }
```

Faults: `nack` (no answer), `crc` (a bit flips on the way), `timeout` (the transaction hangs), `stuck` (the value
does not move any more), `reset` (the part restarted), `unplugged`, `not-ready` (there, but no measurement),
`garbage` (other bytes), `range` (a value beyond what the part can measure), `bounce` (a contact's edges bounce),
`slow` (it answers late, but not too late), `bus-stuck` (it holds the whole I2C bus), `open-circuit` (the sensor's
wire, where there is one between it and the part), `shorted` (that wire touches ground, else one of the bus),
`noisy` (its values scatter), `swapped` (another part, or another of the same kind).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from golmok_drivers.errors import ScenarioError
from golmok_drivers.twins.signals import Signal

FaultKind: TypeAlias = Literal[
    "nack",
    "crc",
    "timeout",
    "stuck",
    "reset",
    "unplugged",
    "not-ready",
    "garbage",
    "range",
    "bounce",
    "slow",
    "bus-stuck",
    "open-circuit",
    "shorted",
    "noisy",
    "swapped",
]
FAULTS: Final[tuple[str, ...]] = get_args(FaultKind)


class Fault(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A fault that acts from `start_s` for `duration_s`, again every `every_s`."""

    kind: FaultKind
    start_s: float = 0.0
    duration_s: float = 1e9
    every_s: float | None = None

    def began(self, since_s: float) -> float | None:
        """When it began, if it acts now; both in seconds since the beginning."""
        into = since_s - self.start_s
        if into < 0:
            return None
        if self.every_s:
            into %= self.every_s
        return since_s - into if into < self.duration_s else None


class Part(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What one device plays."""

    signal: dict[str, Signal] = {}
    fault: tuple[Fault, ...] = ()
    interval_s: float | None = None
    driver: str | None = None
    bus: str | None = None
    settings: dict[str, Any] = {}


class Scenario(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A scenario file; `base` is the folder it lies in."""

    seed: int = 1
    device: dict[str, Part] = {}
    base: Path = Path()


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file; raises `ScenarioError` with the file, the key and what is wrong."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError(f"{path}: {error}") from error
    return parse_scenario(table | {"base": str(path.parent)}, str(path))


def parse_scenario(table: dict[str, Any], origin: str) -> Scenario:
    """A scenario from its table; raises `ScenarioError`."""
    try:
        return msgspec.convert(table, Scenario, dec_hook=lambda kind, text: kind(text))
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{origin}: {error}{_hint(str(error))}") from error


def parse_signal(table: dict[str, Any], origin: str) -> Signal:
    """One signal from its table; raises `ScenarioError`."""
    try:
        return msgspec.convert(table, Signal)  # type: ignore[no-any-return]  # a union is no type to mypy
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{origin}: {error}{_hint(str(error))}") from error


def _hint(message: str) -> str:
    from difflib import get_close_matches  # here: who makes no mistake need not hold it in memory

    wrong = message.partition("'")[2].partition("'")[0]
    kinds = [get_args_tag(kind) for kind in get_args(Signal)]
    for known in (kinds, list(FAULTS)):
        near = get_close_matches(wrong, known, n=1, cutoff=0.6)
        if near:
            return f"; did you mean {near[0]!r}?"
    return ""


def get_args_tag(kind: Any) -> str:
    """The word that names a kind of signal in a table."""
    return str(kind.__struct_config__.tag)
