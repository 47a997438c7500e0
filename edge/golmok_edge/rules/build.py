"""From the settings to the rules at work: each `[[rule]]`, and what a device's `limits` imply.

A limit is only as good as its sensor, so each has a second rule beside it: that nothing good comes any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from golmok_drivers.api import Channel
from golmok_edge.rules.condition import Condition
from golmok_edge.rules.engine import Engine
from golmok_edge.rules.kiln import Kiln, Step
from golmok_edge.rules.machine import Bounds, Machine
from golmok_edge.rules.rate import Rate
from golmok_edge.rules.simple import Left, Limit, Silence
from golmok_edge.rules.unusual import Unusual
from golmok_edge.rules.watch import Terms, Watch
from golmok_edge.settings import Device, normal_silence_s
from golmok_edge.settings.model import Limit as DeviceLimit
from golmok_edge.settings.rules import (
    AnyRule,
    KilnRule,
    LeftRule,
    LimitRule,
    MachineRule,
    RateRule,
    SilenceRule,
    UnusualRule,
    channels_of,
)

LEAST_SILENT_S: Final = 600.0
SILENCES: Final = 3
"""So many times its longest normal silence, and a channel with a limit is silent."""
BLIND_KILN_S: Final = 120.0
"""A kiln that is fired and not seen for so long."""
_HOUR_MS: Final = 3_600_000


class _Sources:
    """The channels there are."""

    def __init__(self, devices: Iterable[Device]) -> None:
        self._found: dict[str, tuple[Device, Channel]] = {
            f"{device.name}.{channel.quantity}": (device, channel) for device in devices for channel in device.channels
        }

    def title(self, channel: str) -> str:
        return self._found[channel][0].title if channel in self._found else channel

    def unit(self, channel: str) -> str:
        unit = self._found[channel][1].unit if channel in self._found else ""
        return "" if unit == "1" else unit

    def resolution(self, channel: str) -> float:
        return (self._found[channel][1].resolution if channel in self._found else None) or 0.0

    def fresh_ms(self, channel: str) -> int | None:
        silence_s = normal_silence_s(self._found[channel][0]) if channel in self._found else None
        return None if silence_s is None else _ms(silence_s)


def engine_of(devices: Iterable[Device], rules: Iterable[AnyRule], new_id: Callable[[str, int], str]) -> Engine:
    """All rules of these settings; see `Engine` for `new_id`."""
    devices = tuple(devices)
    sources = _Sources(devices)
    watches = [watch for device in devices for watch in _of_limits(device, sources)]
    for rule in rules:
        watches.append(Watch(_terms(rule, sources), _condition(rule, sources)))
        if isinstance(rule, KilnRule):
            blind = Terms(f"{rule.name}.silent", rule.title or sources.title(rule.channel), "critical")
            watches.append(Watch(blind, Silence(rule.channel, _ms(BLIND_KILN_S))))
    return Engine(watches, new_id)


def _of_limits(device: Device, sources: _Sources) -> Iterator[Watch]:
    for quantity, limit in device.limits.items():
        channel = f"{device.name}.{quantity}"
        terms = Terms(
            channel,
            device.title,
            unit=sources.unit(channel),
            for_ms=_ms(limit.for_s),
            outputs=frozenset(limit.outputs),
        )
        fresh_ms = sources.fresh_ms(channel)
        condition = Limit(channel, limit.low, limit.high, hysteresis=limit.hysteresis, fresh_ms=fresh_ms)
        yield Watch(terms, condition)
        if (silent_ms := _silent_ms(limit, fresh_ms)) is not None:
            yield Watch(terms._replace(name=f"{channel}.silent", unit="s", for_ms=0), Silence(channel, silent_ms))


def _silent_ms(limit: DeviceLimit, fresh_ms: int | None) -> int | None:
    if limit.silent_s is not None:
        return _ms(limit.silent_s)
    return None if fresh_ms is None else max(_ms(LEAST_SILENT_S), SILENCES * fresh_ms)


def _terms(rule: AnyRule, sources: _Sources) -> Terms:
    channel = next(iter(channels_of(rule).values()))
    return Terms(
        rule.name,
        rule.title or sources.title(channel),
        rule.severity,
        _unit(rule, sources.unit(channel)),
        0 if isinstance(rule, SilenceRule) else _ms(rule.for_s),
        _ms(rule.clear_for_s),
        None if rule.escalate_s is None else _ms(rule.escalate_s),
        frozenset(rule.outputs),
    )


def _unit(rule: AnyRule, unit: str) -> str:
    """The unit of what the alarm tells."""
    match rule:
        case SilenceRule():
            return "s"
        case RateRule():
            return f"{unit}/h" if unit else "/h"
        case MachineRule():
            return ""  # of one or the other of its channels
    return unit


def _condition(rule: AnyRule, sources: _Sources) -> Condition:
    return _MAKERS[type(rule)](rule, sources)


def _limit(rule: LimitRule, sources: _Sources) -> Condition:
    fresh_ms = sources.fresh_ms(rule.channel)
    return Limit(rule.channel, rule.low, rule.high, hysteresis=rule.hysteresis, fresh_ms=fresh_ms)


def _rate(rule: RateRule, sources: _Sources) -> Condition:
    fresh_ms, over_ms = sources.fresh_ms(rule.channel), _ms(rule.over_s)
    return Rate(rule.channel, rule.rise_per_h, rule.fall_per_h, over_ms=over_ms, fresh_ms=fresh_ms)


def _silence(rule: SilenceRule, sources: _Sources) -> Condition:
    return Silence(rule.channel, _ms(rule.for_s))


def _left(rule: LeftRule, sources: _Sources) -> Condition:
    return Left(rule.channel, rule.state, fresh_ms=sources.fresh_ms(rule.channel))


def _kiln(rule: KilnRule, sources: _Sources) -> Condition:
    steps = [Step(step.to, step.per_h, round(step.hold_min * 60_000)) for step in rule.profile]
    fresh_ms = sources.fresh_ms(rule.channel)
    return Kiln(rule.channel, steps, tolerance=rule.tolerance, most=rule.most, begin=rule.begin, fresh_ms=fresh_ms)


def _machine(rule: MachineRule, sources: _Sources) -> Condition:
    bounds = Bounds(rule.idle_above, rule.running_above, rule.current_high, rule.vibration_high)
    fresh_ms = sources.fresh_ms(rule.current)
    return Machine(rule.current, rule.vibration, bounds, settle_ms=_ms(rule.settle_s), fresh_ms=fresh_ms)


def _unusual(rule: UnusualRule, sources: _Sources) -> Condition:
    channel, learn_ms = rule.channel, round(rule.learn_h * _HOUR_MS)
    return Unusual(
        channel,
        learn_ms=learn_ms,
        margin=rule.margin,
        least_scale=sources.resolution(channel),
        fresh_ms=sources.fresh_ms(channel),
    )


_MAKERS: Final[Mapping[type, Callable[..., Condition]]] = {
    LimitRule: _limit,
    RateRule: _rate,
    SilenceRule: _silence,
    LeftRule: _left,
    KilnRule: _kiln,
    MachineRule: _machine,
    UnusualRule: _unusual,
}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
