"""Reads the `[[rule]]`s of a file: each has the form of its kind and speaks of channels and devices that there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from golmok_edge.settings import locate
from golmok_edge.settings.language import Say
from golmok_edge.settings.mistakes import kind_of, nearest, shown
from golmok_edge.settings.model import Device
from golmok_edge.settings.rules import KINDS, AnyRule, KilnRule, LimitRule, MachineRule, RateRule, channels_of
from golmok_edge.settings.shape import Shape

SWITCHES: Final = ("relay", "buzzer", "light")
"""Only named in the remedy of a device that cannot be switched."""


class Rulebook:
    """Reads the rules of a file one after the other."""

    def __init__(self, shape: Shape, devices: Sequence[Device], *, is_whole: bool = True) -> None:
        """`is_whole`: all devices of the file could be read, so that a channel that is not there is a mistake."""
        self._shape, self._report, self._is_whole = shape, shape.report, is_whole
        self._devices = {device.name: device for device in devices}
        self._channels = {f"{d.name}.{c.quantity}" for d in devices for c in d.channels}
        self._names: dict[str, locate.Path] = {}

    def read(self, table: Any, path: locate.Path) -> AnyRule | None:
        """The rule, or None when mistakes were reported."""
        if not isinstance(table, dict):
            example = '[[rule]] and below it name = "fridge-warm"'
            self._report.add(
                path, "wrong-type", kind=kind_of(table), found=shown(table), wanted=Say("table"), example=example
            )
            return None
        cls = self._kind(table, path)
        rule: AnyRule | None = self._shape.make(cls, table, path) if cls else None
        if rule is None:
            return None
        self._judge_name(rule.name, path)
        for key, channel in channels_of(rule).items():
            self._judge_channel(channel, (*path, key))
        for index, output in enumerate(rule.outputs):
            self._judge_output(output, (*path, "outputs", index))
        self._judge_meaning(rule, path)
        return None if self._report.has_below(path) else rule

    def _kind(self, table: Mapping[str, Any], path: locate.Path) -> type[AnyRule] | None:
        kind = table.get("kind")
        if isinstance(kind, str) and kind in KINDS:
            return KINDS[kind]
        if kind is None:
            self._report.add((*path, "kind"), "missing-key", name="kind", example='kind = "limit"')
            return None
        near = nearest(kind, list(KINDS)) if isinstance(kind, str) else None
        self._report.add(
            (*path, "kind"),
            "choice",
            found=shown(kind),
            choices=", ".join(map(shown, KINDS)),
            example=f'kind = "{near or "limit"}"',
        )
        return None

    def _judge_name(self, name: str, path: locate.Path) -> None:
        if name in self._names:
            first = self._report.line((*self._names[name], "name"))
            self._report.add((*path, "name"), "rule-twice", found=shown(name), first=first)
        self._names.setdefault(name, path)

    def _judge_channel(self, channel: str, path: locate.Path) -> None:
        if channel in self._channels or not self._is_whole:
            return
        near = nearest(channel, self._channels)
        if near:
            self._report.add(path, "rule-channel-near", found=shown(channel), near=near)
        else:
            known = ", ".join(sorted(self._channels)) or "–"
            self._report.add(path, "rule-channel", found=shown(channel), known=known)

    def _judge_output(self, output: str, path: locate.Path) -> None:
        if output not in self._devices and self._is_whole:
            self._report.add(path, "rule-output", found=shown(output), drivers=", ".join(SWITCHES))

    def _judge_meaning(self, rule: AnyRule, path: locate.Path) -> None:
        match rule:
            case LimitRule(low=None, high=None):
                self._report.add((*path, "high"), "limit-empty", example="high = 8.0")
            case LimitRule(low=low, high=high) if low is not None and high is not None and low >= high:
                self._report.add((*path, "low"), "limit-order", low=shown(low), high=shown(high))
            case RateRule(rise_per_h=None, fall_per_h=None):
                self._report.add((*path, "rise_per_h"), "rule-empty", example="rise_per_h = 150")
            case KilnRule() if rule.most <= max(step.to for step in rule.profile):
                hottest = max(step.to for step in rule.profile)
                self._report.add((*path, "most"), "rule-kiln", found=shown(rule.most), hottest=shown(hottest))
            case MachineRule() if rule.running_above <= rule.idle_above:
                self._report.add((*path, "running_above"), "rule-machine", found=shown(rule.running_above))
            case MachineRule(vibration=None) if rule.vibration_high is not None:
                self._report.add((*path, "vibration_high"), "rule-empty", example='vibration = "motor.velocity"')
