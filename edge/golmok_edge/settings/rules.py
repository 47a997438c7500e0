"""What a `[[rule]]` says: when something is an alarm, how grave it is, and what is switched on then.

One Struct a kind; `KINDS` is the table. What a rule makes of readings is `golmok_edge.rules`' business.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

from golmok_edge.settings.model import DAY_S, Name, Section, Text

Severity: TypeAlias = Literal["notice", "warning", "critical"]
Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=31 * DAY_S)]
Above: TypeAlias = Annotated[float, Meta(gt=0)]


class Rule(Section, frozen=True, kw_only=True):
    """What every kind of rule may say."""

    name: Annotated[Name, Meta(description="The rule's name, unique in the file.", examples=["fridge-warm"])]
    title: Annotated[
        str,
        Meta(max_length=200, description="What people call it; the device's title if empty.", examples=["음료 냉장고"]),
    ] = ""
    severity: Annotated[
        Severity, Meta(description="How grave it is: who is told and how loudly.", examples=["critical"])
    ] = "warning"
    for_s: Annotated[Seconds, Meta(description="An alarm only when it was seen so for so long.", examples=[600])] = 0.0
    clear_for_s: Annotated[
        Seconds, Meta(description="The alarm is over only when all was well for so long.", examples=[60])
    ] = 0.0
    escalate_s: Annotated[
        Annotated[float, Meta(gt=0, le=31 * DAY_S)] | None,
        Meta(description="Told again, more urgently, when nobody has acknowledged it for so long.", examples=[1800]),
    ] = None
    outputs: Annotated[
        tuple[Name, ...],
        Meta(
            description="Devices (relay, buzzer) that are switched on until the alarm is acknowledged or over. They "
            "need neither Internet nor cloud.",
            examples=[["horn"]],
        ),
    ] = ()


Channel: TypeAlias = Annotated[
    Text, Meta(description="What is watched: `device.quantity`.", examples=["fridge.temperature"])
]


class LimitRule(Rule, frozen=True, kw_only=True):
    """A value outside low … high. Values that are not good raise nothing: for those there is `silence`."""

    channel: Channel
    kind: Annotated[Literal["limit"], Meta(description="This kind.", examples=["limit"])] = "limit"
    low: Annotated[float | None, Meta(description="Alarm below this.", examples=[2])] = None
    high: Annotated[float | None, Meta(description="Alarm above this.", examples=[8.0])] = None
    hysteresis: Annotated[
        float,
        Meta(ge=0, description="It is over only when the value is back by so much.", examples=[0.5]),
    ] = 0.0


class RateRule(Rule, frozen=True, kw_only=True):
    """A value that rises or falls too fast, by a straight line through what was seen in `over_s`."""

    channel: Channel
    kind: Annotated[Literal["rate"], Meta(description="This kind.", examples=["rate"])] = "rate"
    rise_per_h: Annotated[
        Above | None, Meta(description="Alarm when it rises faster, in its unit an hour.", examples=[150])
    ] = None
    fall_per_h: Annotated[Above | None, Meta(description="Alarm when it falls faster.", examples=[120])] = None
    over_s: Annotated[
        float, Meta(ge=1, le=DAY_S, description="The time over which the slope is taken.", examples=[600])
    ] = 600.0


class SilenceRule(Rule, frozen=True, kw_only=True):
    """A channel from which nothing good came for `for_s`: the sensor is dead, bad or gone."""

    channel: Channel
    for_s: Annotated[
        Annotated[float, Meta(gt=0, le=31 * DAY_S)],
        Meta(description="An alarm when nothing good came for so long.", examples=[900]),
    ] = 900.0
    kind: Annotated[Literal["silence"], Meta(description="This kind.", examples=["silence"])] = "silence"


class LeftRule(Rule, frozen=True, kw_only=True):
    """A state that lasts: a door left open, a light left on."""

    channel: Channel
    for_s: Annotated[Seconds, Meta(description="An alarm when it lasts so long.", examples=[120])] = 120.0
    kind: Annotated[Literal["left"], Meta(description="This kind.", examples=["left"])] = "left"
    state: Annotated[bool, Meta(description="The state that must not last: true is open, on.", examples=[True])] = True


class Step(Section, frozen=True, kw_only=True):
    """A step of a firing: to a temperature at a pace, then held."""

    to: Annotated[float, Meta(description="The temperature at its end, in the channel's unit.", examples=[600])]
    per_h: Annotated[
        Above | None,
        Meta(description="How fast, in that unit an hour; left out: as fast as the kiln can.", examples=[100]),
    ] = None
    hold_min: Annotated[float, Meta(ge=0, le=10_000, description="Minutes held there.", examples=[15])] = 0.0


class KilnRule(Rule, frozen=True, kw_only=True):
    """A firing that leaves the band around its curve, and a kiln that is too hot at any time.

    The firing begins by itself when the kiln passes `begin`. A ramp moves on by time; who is behind at its end is
    waited for, as kiln controllers do, and a hold counts from when the kiln is there.
    """

    channel: Channel
    profile: Annotated[
        tuple[Step, ...],
        Meta(
            min_length=1,
            max_length=50,
            description="The steps of the firing.",
            examples=[[{"to": 600, "per_h": 100}, {"to": 1240, "per_h": 150, "hold_min": 15}]],
        ),
    ]
    most: Annotated[float, Meta(description="Too hot, whatever the curve says: an alarm at once.", examples=[1280])]
    for_s: Annotated[Seconds, Meta(description="Outside the band for so long is an alarm.", examples=[120])] = 120.0
    severity: Annotated[
        Severity, Meta(description="How grave it is; too hot is always critical.", examples=["warning"])
    ] = "warning"
    kind: Annotated[Literal["kiln"], Meta(description="This kind.", examples=["kiln"])] = "kiln"
    tolerance: Annotated[
        float, Meta(gt=0, description="Half the band around the curve, in the channel's unit.", examples=[25])
    ] = 25.0
    begin: Annotated[float, Meta(description="A kiln warmer than this is being fired.", examples=[60])] = 60.0


class MachineRule(Rule, frozen=True, kw_only=True):
    """Whether a machine is off, idle, running or abnormal, from its current (or power) and its vibration.

    Each change of state is an event `machine.state`; abnormal is an alarm.
    """

    current: Annotated[
        Text, Meta(description="The channel of its current or power: `device.quantity`.", examples=["motor.current"])
    ]
    idle_above: Annotated[float, Meta(description="It is switched on above this.", examples=[0.2])]
    running_above: Annotated[float, Meta(description="It works above this.", examples=[1.5])]
    current_high: Annotated[float | None, Meta(description="Abnormal above this.", examples=[6.0])] = None
    vibration: Annotated[
        Text | None, Meta(description="The channel of its vibration, if there is one.", examples=["motor.velocity"])
    ] = None
    vibration_high: Annotated[float | None, Meta(description="Abnormal above this.", examples=[4.5])] = None
    settle_s: Annotated[Seconds, Meta(description="A state counts when it has lasted so long.", examples=[5])] = 5.0
    kind: Annotated[Literal["machine"], Meta(description="This kind.", examples=["machine"])] = "machine"


class UnusualRule(Rule, frozen=True, kw_only=True):
    """A value that is not as it used to be: it learns for `learn_h` what is normal, and says when that is left.

    It looks for what lasts, not for single values; what it has learned moves on slowly with the machine.
    """

    channel: Channel
    kind: Annotated[Literal["unusual"], Meta(description="This kind.", examples=["unusual"])] = "unusual"
    learn_h: Annotated[
        float, Meta(ge=0.01, le=31 * 24, description="How long it learns before it says anything.", examples=[168])
    ] = 168.0
    margin: Annotated[
        float,
        Meta(ge=1, le=20, description="How much worse than the worst while it learned. Less is earlier.", examples=[2]),
    ] = 2.0


AnyRule: TypeAlias = LimitRule | RateRule | SilenceRule | LeftRule | KilnRule | MachineRule | UnusualRule

KINDS: Final[dict[str, type[AnyRule]]] = {
    "limit": LimitRule,
    "rate": RateRule,
    "silence": SilenceRule,
    "left": LeftRule,
    "kiln": KilnRule,
    "machine": MachineRule,
    "unusual": UnusualRule,
}


def channels_of(rule: AnyRule) -> dict[str, str]:
    """The channels that a rule watches, by the key that names each."""
    if isinstance(rule, MachineRule):
        both = {"current": rule.current, "vibration": rule.vibration}
        return {key: channel for key, channel in both.items() if channel is not None}
    return {"channel": rule.channel}
