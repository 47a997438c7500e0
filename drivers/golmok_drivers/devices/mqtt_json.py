"""Anything that publishes JSON over MQTT: Tasmota, Shelly Gen2, Zigbee2MQTT, ESPHome, one's own sketch.

Payloads: https://tasmota.github.io/docs/MQTT/ (`tele/…/SENSOR`), https://shelly-api-docs.shelly.cloud/gen2/
(`…/events/rpc` NotifyStatus, `…/status/switch:0`), https://www.zigbee2mqtt.io/guide/usage/mqtt_topics_and_messages.html

A channel is a path into the payload: keys and list indices with dots between. A key may itself hold dots
(`a.b`); where that is ambiguous, quotes help (`"a.b".c`). Numbers come out exactly as `json.loads` gives them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from golmok_drivers.api import (
    Channel,
    DriverInfo,
    MessageDriver,
    OutOfRange,
    PayloadError,
    Publication,
    Quality,
    Reading,
    Settings,
    Value,
    World,
    check_filter,
    is_unit,
    nearest_unit,
)

MAX_BYTES: Final = 256 * 1024
MAX_TEXT_BYTES: Final = 65_536

Kind = Literal["auto", "boolean", "number", "text"]
Path = tuple[tuple[str, bool], ...]
"""Steps, each with whether it stood in quotes (and so is a whole key)."""

_STEP: Final = re.compile(r'"([^"]+)"|([^."]+)')
_QUANTITY: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_WORDS: Final = {
    "on": True, "off": False, "true": True, "false": False, "yes": True, "no": False,
    "open": True, "opened": True, "closed": False, "close": False, "1": True, "0": False,
}  # fmt: skip
_MISSING: Final = object()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_MS: Final = 1_577_836_800_000
"""2020: a device that says an earlier time has not heard of the time yet."""
_LATEST_MS: Final = 4_102_444_800_000


class JsonChannel(Settings):
    """Where a quantity stands in the payload, and what it is."""

    path: Annotated[
        str | None,
        msgspec.Meta(description="Keys with dots between; the quantity's name if left out.", examples=["ENERGY.Power"]),
    ] = None
    unit: Annotated[str, msgspec.Meta(description="A UCUM code; 1 for counts, states and texts.", examples=["W"])] = "1"
    type: Annotated[
        Kind,
        msgspec.Meta(
            description="auto takes the value as it is; boolean also reads ON/OFF, open/closed, 1/0; number also "
            "reads numbers in quotes; text makes a text of anything.",
            examples=["number"],
        ),
    ] = "auto"

    def __post_init__(self) -> None:
        if not is_unit(self.unit):
            near = nearest_unit(self.unit)
            raise ValueError(f"{self.unit!r} is no UCUM unit we know" + (f"; did you mean {near!r}?" if near else ""))
        if self.path:
            parse_path(self.path)


class MqttJsonSettings(Settings):
    """The topic, and what of its messages is taken."""

    topic: Annotated[
        str,
        msgspec.Meta(description="The topic, or a filter with + and #.", examples=["tele/plug1/SENSOR"]),
    ]
    channels: Annotated[
        dict[str, JsonChannel],
        msgspec.Meta(
            description="Quantity -> where it stands in the payload.",
            examples=[{"power": {"path": "ENERGY.Power", "unit": "W"}}],
        ),
    ]
    time: Annotated[
        str | None,
        msgspec.Meta(
            description="Path of the payload's own time: ISO 8601, or seconds or milliseconds since 1970.",
            examples=["Time"],
        ),
    ] = None
    expect_s: Annotated[float, msgspec.Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        check_filter(self.topic)
        if not self.channels:
            raise ValueError('write at least one channel, as in { power = { path = "ENERGY.Power", unit = "W" } }')
        for quantity in self.channels:
            if not _QUANTITY.fullmatch(quantity):
                raise ValueError(f"channel {quantity!r}: use a-z, 0-9, - and _, at most 32, a letter or digit first")
        if self.time:
            parse_path(self.time)


def parse_path(text: str) -> Path:
    """The steps of a path; raises ValueError."""
    steps: list[tuple[str, bool]] = []
    at = 0
    while at < len(text) or not steps:
        step = _STEP.match(text, at)
        if not step or (step.end() < len(text) and text[step.end()] != "."):
            raise ValueError(f'path {text!r}: write keys with dots between, as in ENERGY.Power or "a.b".c')
        steps.append((step[1] or step[2], step[1] is not None))
        at = step.end() + 1
        if at == len(text):
            raise ValueError(f"path {text!r} ends with a dot")
    return tuple(steps)


def find(node: Any, path: Path) -> Any:
    """What stands at `path`, or `_MISSING`. Steps may belong to one key that holds dots; short keys go first."""
    if not path:
        return node
    if isinstance(node, list):
        step = path[0][0]
        inside = step.isascii() and step.isdecimal() and len(step) < 7 and int(step) < len(node)
        return find(node[int(step)], path[1:]) if inside else _MISSING
    if not isinstance(node, dict):
        return _MISSING
    key = ""
    for count, (step, quoted) in enumerate(path, 1):
        if quoted and count > 1:
            break
        key = f"{key}.{step}" if count > 1 else step
        if key in node and (found := find(node[key], path[count:])) is not _MISSING:
            return found
        if quoted:
            break
    return _MISSING


def parse(payload: bytes) -> Any:
    """The JSON in `payload`; raises `PayloadError`. NaN and infinities are no JSON."""
    if len(payload) > MAX_BYTES:
        raise PayloadError(f"the payload has {len(payload)} bytes, more than {MAX_BYTES}")
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError(f"the payload is no JSON: {error} in {payload[:60]!r}") from None


def read_value(quantity: str, found: Any, kind: Kind, wall_ms: int | None = None) -> Reading:
    """A reading of what stood at the path; bad with reason parse or range where it is no such value."""
    value = _as(kind, found)
    if value is _MISSING:
        return Reading(quantity, None, "bad", PayloadError.reason, wall_ms)
    if _too_large(value):
        return Reading(quantity, None, "bad", OutOfRange.reason, wall_ms)
    return Reading(quantity, value, "good", "", wall_ms)


def read_time(found: Any, timezone: str) -> int | None:
    """Milliseconds since 1970 (UTC) of a payload's own time; None when it says no time one can believe."""
    ms: int | None = None
    if isinstance(found, str):
        ms = _iso_ms(found, timezone)
    elif isinstance(found, int | float) and not isinstance(found, bool):
        ms = round(found if abs(found) >= 1e11 else found * 1000)
    return ms if ms is not None and _EARLIEST_MS <= ms < _LATEST_MS else None


def _iso_ms(text: str, timezone: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(timezone))
    try:
        return (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
    except OverflowError:
        return None


def _as(kind: Kind, found: Any) -> Any:
    if found is None or not isinstance(found, str | int | float):
        return None if found is None else _MISSING
    return _READERS[kind](found)


def _as_boolean(found: str | int | float) -> Any:
    if isinstance(found, str):
        return _WORDS.get(found.strip().casefold(), _MISSING)
    return bool(found) if found in (0, 1) else _MISSING


def _as_number(found: str | int | float) -> Any:
    if isinstance(found, bool):
        return int(found)
    if not isinstance(found, str):
        return found
    try:
        number = float(found) if not re.fullmatch(r"\s*[+-]?[0-9]{1,19}\s*", found, re.ASCII) else int(found)
    except ValueError:
        return _MISSING
    return number if math.isfinite(number) else _MISSING


def _as_text(found: str | int | float) -> str:
    return found if isinstance(found, str) else msgspec.json.encode(found).decode()


_READERS: Final[dict[Kind, Callable[[Any], Any]]] = {
    "auto": lambda found: found,
    "boolean": _as_boolean,
    "number": _as_number,
    "text": _as_text,
}


def _too_large(value: Value) -> bool:
    if isinstance(value, str):
        return len(value.encode()) > MAX_TEXT_BYTES
    return isinstance(value, int) and not -(2**63) <= value < 2**63


class MqttJsonDriver(MessageDriver):
    """Decodes messages; the gateway subscribes and acknowledges."""

    api = 1
    info = DriverInfo(
        "mqtt-json",
        title="JSON over MQTT (Tasmota, Shelly, Zigbee2MQTT)",
        title_ko="MQTT JSON (Tasmota, Shelly, Zigbee2MQTT)",
        bus="mqtt",
        datasheet="https://tasmota.github.io/docs/MQTT/",
        note="No wire: the device and the gateway meet at the broker, on the shop's Wi-Fi.",
        examples=(
            {"topic": "tele/plug/SENSOR", "channels": {"power": {"path": "ENERGY.Power", "unit": "W"}, "on": {}}},
        ),
    )
    Settings = MqttJsonSettings

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """See `Driver.channels`."""
        return tuple(
            Channel(quantity, channel.unit, still_s=0.0) for quantity, channel in self.settings.channels.items()
        )

    @cached_property
    def _paths(self) -> tuple[tuple[str, Path, Kind], ...]:
        return tuple(
            (quantity, parse_path(quantity if channel.path is None else channel.path), channel.type)
            if channel.path != ""
            else (quantity, (), channel.type)
            for quantity, channel in self.settings.channels.items()
        )

    @cached_property
    def _time_path(self) -> Path | None:
        return parse_path(self.settings.time) if self.settings.time else None

    def topics(self) -> tuple[str, ...]:
        """See `MessageDriver.topics`."""
        return (self.settings.topic,)

    def decode(self, topic: str, payload: bytes) -> Sequence[Reading]:
        """See `MessageDriver.decode`. An unreadable time makes good readings uncertain."""
        document = parse(payload)
        wall_ms = None if self._time_path is None else read_time(find(document, self._time_path), self.timezone)
        readings = [
            read_value(quantity, found, kind, wall_ms)
            for quantity, path, kind in self._paths
            if (found := find(document, path)) is not _MISSING
        ]
        if self._time_path is None or wall_ms is not None:
            return readings
        return [_without_time(reading) for reading in readings]


def _without_time(reading: Reading) -> Reading:
    quality: Quality = "uncertain"
    return reading._replace(quality=quality, reason="time") if reading.quality == "good" else reading


class _Default(NamedTuple):
    """What a quantity plays when nobody wrote a scenario, and to how many decimals."""

    signal: dict[str, Any]
    decimals: int = 2


_SWITCH: Final = _Default({"kind": "cycle", "period_s": 60.0}, 0)
_DEFAULTS: Final[dict[str, _Default]] = {
    "temperature": _Default({"kind": "daily", "mean": 22.0, "swing": 3.0, "noise": 0.05}),
    "humidity": _Default({"kind": "daily", "mean": 48.0, "swing": 8.0, "peak_h": 4.0, "noise": 0.2}),
    "power": _Default({"kind": "cycle", "low": 12.0, "high": 450.0, "period_s": 180.0, "noise": 2.0}, 1),
    "voltage": _Default({"kind": "constant", "value": 221.0, "noise": 0.8}, 1),
    "current": _Default({"kind": "cycle", "low": 0.08, "high": 2.1, "period_s": 180.0, "noise": 0.01}, 3),
    "co2": _Default({"kind": "daily", "mean": 650.0, "swing": 180.0, "noise": 6.0}, 0),
    "light": _Default({"kind": "daily", "mean": 280.0, "swing": 240.0, "peak_h": 13.0, "noise": 3.0}, 1),
    "illuminance": _Default({"kind": "daily", "mean": 280.0, "swing": 240.0, "peak_h": 13.0, "noise": 3.0}, 1),
    "battery": _Default({"kind": "constant", "value": 87.0}, 0),
}
_SWITCHES: Final = frozenset({"open", "on", "motion", "occupancy", "occupied", "contact", "state", "output"})
_ANY: Final = _Default({"kind": "daily", "mean": 50.0, "swing": 10.0, "noise": 0.1})


class MqttJsonTwin:
    """Publishes payloads of the shape that the settings read, with what such a device sends besides."""

    api: ClassVar[int] = 1
    faults: ClassVar[dict[str, str]] = {"swapped": "silent", "stuck": "stuck"}
    unseen: ClassVar[dict[str, str]] = {
        "shorted": "it is a wire inside the device: only the device can know",
        "noisy": "nobody knows how the values of any device may go: write limits, or a rule `unusual`",
    }
    interval_s: float = 2.0

    def __init__(self, settings: MqttJsonSettings, world: World) -> None:
        self._settings = settings
        self._world = world
        self._topic = settings.topic.replace("+", "twin").replace("#", "twin")

    @classmethod
    def defaults(cls, settings: MqttJsonSettings) -> dict[str, dict[str, Any]]:
        """After the quantity's name."""
        return {quantity: _default(quantity, channel).signal for quantity, channel in settings.channels.items()}

    def publish(self) -> Publication | None:
        """See `MqttTwin.publish`."""
        if any(self._world.has(fault) for fault in ("unplugged", "nack", "timeout", "not-ready")):
            return None
        if self._world.has("garbage") or self._world.has("crc"):
            return Publication(self._topic, b'{"temperature": 21.')
        if self._world.has("swapped"):  # another make: nothing of it stands where ours has it
            return Publication(self._topic, b'{"Uptime":"0T00:10:00","Vcc":3.1}')
        document: Any = {}
        given = []
        for quantity, channel in self._settings.channels.items():
            sent, value = self._value(quantity, channel)
            document = (
                _put(document, parse_path(quantity if channel.path is None else channel.path), sent)
                if channel.path != ""
                else sent
            )
            given.append((quantity, value))
        return Publication(self._topic, msgspec.json.encode(self._dressed(document)), tuple(given))

    def _value(self, quantity: str, channel: JsonChannel) -> tuple[Any, Value]:
        """What stands in the payload, and what it means."""
        felt = self._world.feel(quantity)
        default = _default(quantity, channel)
        is_on = felt >= 0.5
        if channel.type == "boolean":
            return ("ON" if is_on else "OFF"), is_on
        if channel.type == "text":
            word = "ON" if is_on else "OFF"
            return word, word
        if default is _SWITCH and channel.type == "auto":
            return is_on, is_on
        number = round(felt, default.decimals) if default.decimals else round(felt)
        return number, number

    def _dressed(self, document: Any) -> Any:
        if not isinstance(document, dict):
            return document
        now = datetime.now(UTC)
        if self._settings.time:
            document = _put(document, parse_path(self._settings.time), now.isoformat(timespec="milliseconds"))
        dress: dict[str, Any] = {}
        if self._topic.startswith("tele/"):
            dress = {"Time": now.isoformat(timespec="seconds")}
        elif self._topic.endswith("/events/rpc"):
            dress = {"src": self._topic.partition("/")[0], "dst": "events", "method": "NotifyStatus"}
        elif self._topic.startswith("zigbee2mqtt/"):
            dress = {"linkquality": 120}
        return dress | document


def _default(quantity: str, channel: JsonChannel) -> _Default:
    if channel.type in ("boolean", "text") or quantity in _SWITCHES:
        return _SWITCH
    return _DEFAULTS.get(quantity, _ANY)


def _put(node: Any, path: Path, value: Any) -> Any:
    """`node` with `value` at `path`, with the objects and lists that are missing on the way."""
    if not path:
        return value
    (step, quoted), rest = path[0], path[1:]
    if step.isascii() and step.isdecimal() and not quoted and len(step) < 4:
        items = node if isinstance(node, list) else []
        items += [None] * (int(step) + 1 - len(items))
        items[int(step)] = _put(items[int(step)], rest, value)
        return items
    table = node if isinstance(node, dict) else {}
    table[step] = _put(table.get(step), rest, value)
    return table
