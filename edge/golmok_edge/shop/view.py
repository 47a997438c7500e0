"""From what the gateway said to what the owner reads: cards with values, and troubles with what to do about them.

Plain functions over plain data: no socket, no clock, no HTML. Times come in as ages in seconds, because the gateway's
clock may not be set yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from golmok_cloud_sync.web import TRUE, Language, quantity, states, unit
from golmok_edge.settings import Device, Limit
from golmok_edge.shop.heard import Said
from golmok_edge.web import digits, number, say

Level: TypeAlias = Literal["good", "warn", "bad"]
"""How bad it is."""

_DOUBT: Final[Mapping[object, Level]] = {"uncertain": "warn", "bad": "bad"}


class Value(NamedTuple):
    """One channel on a card, in words."""

    channel: str
    name: str
    text: str
    unit: str
    age_s: float | None
    level: Level
    note: str
    number: float | None
    """What the curve shows; None for what has no curve."""
    ts: str | None
    """RFC 3339; None while the time is not known."""


@dataclass(frozen=True)
class Curve:
    """How a channel's curve is drawn."""

    states: tuple[str, str] | None
    limits: tuple[float, ...]
    digits: int | None


class Slot(NamedTuple):
    """A channel of a device, whether it has said anything yet or not."""

    channel: str
    quantity: str
    unit: str
    limit: Limit | None


def title(device: Device) -> str:
    """What people call the device."""
    return device.title or device.name


def slots(device: Device, latest: Mapping[str, Said]) -> list[Slot]:
    """The channels of a device: those of its settings, then what it has said besides."""
    known = {f"{device.name}.{c.quantity}": c.unit for c in device.channels}
    besides = {c: str(said.row.get("unit") or "") for c, said in latest.items() if c.startswith(f"{device.name}.")}
    return [_slot(device, channel, code) for channel, code in (known | besides).items()]


def _slot(device: Device, channel: str, code: str) -> Slot:
    name = channel.partition(".")[2]
    return Slot(channel, name, code, device.limits.get(name))


def value(language: Language, slot: Slot, said: Said | None, now_s: float) -> Value:
    """What a channel says now."""
    row = said.row if said else {}
    raw = row.get("value")
    text, sign = words(language, slot, raw)
    level, note = _doubt(language, row)
    if level == "good" and is_outside(slot.limit, raw):
        level = "bad"
    age_s = said.age_s(now_s) if said else None
    curve = float(raw) if isinstance(raw, int | float) and level_of(row) != "bad" else None
    return Value(slot.channel, quantity(language, slot.quantity), text, sign, age_s, level, note, curve, row.get("ts"))


def words(language: Language, slot: Slot, raw: object) -> tuple[str, str]:
    """A value and its unit as people read them: ("4.1", "°C"), ("닫힘", "")."""
    match raw:
        case bool():
            return states(language, slot.quantity)[raw], ""
        case int() | float():
            return number(raw, slot.unit), unit(slot.unit)
        case None:
            return "–", ""
        case _:
            return str(raw)[:200], ""


def with_unit(language: Language, slot: Slot, raw: object) -> str:
    """A value in one text: 4.1 °C."""
    return " ".join(words(language, slot, raw)).strip()


def curve(language: Language, slot: Slot, said: Said | None) -> Curve | None:
    """How its curve is drawn; None for texts, which have none."""
    raw = said.row.get("value") if said else None
    if isinstance(raw, str):
        return None
    is_state = isinstance(raw, bool) or (raw is None and slot.quantity in TRUE)
    limits = (slot.limit.low, slot.limit.high) if slot.limit else ()
    return Curve(
        states(language, slot.quantity) if is_state else None,
        tuple(v for v in limits if v is not None),
        digits(slot.unit),
    )


def level_of(row: Mapping[str, object]) -> Level:
    """How far a value may be believed."""
    return _DOUBT.get(row.get("quality"), "good")


def is_outside(limit: Limit | None, raw: object) -> Literal["low", "high", ""]:
    """On which side of its limits a value is, if it is."""
    if limit is None or isinstance(raw, bool) or not isinstance(raw, int | float):
        return ""
    if limit.high is not None and raw > limit.high:
        return "high"
    return "low" if limit.low is not None and raw < limit.low else ""


def _doubt(language: Language, row: Mapping[str, object]) -> tuple[Level, str]:
    level = level_of(row)
    if row.get("value") is None:
        return level, say(language, "no_answer" if level == "bad" else "no_value")
    return level, {"good": "", "warn": say(language, "uncertain"), "bad": say(language, "not_trusted")}[level]
