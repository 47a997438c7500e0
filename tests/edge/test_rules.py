"""The kinds of rules, each against readings and the time that passes: what is raised, when, and when it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from golmok_cloud_sync.protocol.alarms import Alarm
from golmok_edge.rules import Condition, Engine, NoSuchAlarmError, Seen, Terms, Watch
from golmok_edge.rules.kiln import Kiln, Step
from golmok_edge.rules.machine import Bounds, Machine
from golmok_edge.rules.rate import Rate
from golmok_edge.rules.simple import Left, Limit, Silence

S, MIN, H = 1000, 60_000, 3_600_000
C = "fridge.temperature"


def engine(condition: Condition, *, for_ms: int = 0, escalate_ms: int | None = None) -> Engine:
    terms = Terms("rule", "냉장고", for_ms=for_ms, escalate_ms=escalate_ms, outputs=frozenset({"horn"}))
    return Engine([Watch(terms, condition)], lambda rule, at_ms: f"{rule}-{at_ms}")


def play(
    rules: Engine,
    until_ms: int,
    value: Callable[[int], object],
    *,
    every_ms: int = 10 * S,
    begin_ms: int = 0,
    good: bool = True,
) -> list[tuple[int, Alarm]]:
    """A reading at the pace of a sensor, a look at the clock in between; the steps and when they came."""
    steps: list[tuple[int, Alarm]] = []
    for at in range(begin_ms, until_ms, S if until_ms - begin_ms <= 20 * MIN else 10 * S):
        steps += [(at, step) for step in rules.pass_time(at)]
        if (at - begin_ms) % every_ms == 0 and (said := value(at)) is not None:
            steps += [(at, step) for step in rules.see(Seen(C, said, good, at))]  # type: ignore[arg-type]
    return steps


def told(steps: Iterable[tuple[int, Alarm]]) -> list[tuple[int, str, str]]:
    return [(at // S, step.state, step.what) for at, step in steps]


# --- limits


def test_a_limit_is_an_alarm_when_it_lasts_and_over_when_it_is_back_by_the_hysteresis() -> None:
    rules = engine(Limit(C, None, 8.0, hysteresis=1.0, fresh_ms=25 * S), for_ms=600 * S)
    steps = play(rules, 20 * MIN, lambda at: 9.0)
    assert told(steps) == [(600, "raised", "high")]
    assert (steps[0][1].value, steps[0][1].limit, steps[0][1].title) == (9.0, 8.0, "냉장고")
    assert play(rules, 30 * MIN, lambda at: 7.5, begin_ms=20 * MIN) == []  # back, but not by one degree
    assert told(play(rules, 31 * MIN, lambda at: 6.9, begin_ms=30 * MIN)) == [(1800, "cleared", "high")]


def test_one_right_value_begins_the_count_anew() -> None:
    rules = engine(Limit(C, None, 8.0, fresh_ms=25 * S), for_ms=600 * S)
    assert play(rules, H, lambda at: 7.0 if at % (9 * MIN) == 0 else 9.0) == []


def test_near_the_limit_is_no_reason_for_a_new_alarm() -> None:
    rules = engine(Limit(C, None, 8.0, hysteresis=1.0, fresh_ms=25 * S), for_ms=600 * S)
    assert play(rules, H, lambda at: 9.0 if at % (9 * MIN) == 0 else 7.5) == []


@pytest.mark.parametrize("value", [99.0, -99.0, None, "hot", float("nan")])
def test_what_is_not_good_raises_no_limit_alarm(value: object) -> None:
    rules = engine(Limit(C, 0.0, 8.0, fresh_ms=25 * S))
    assert play(rules, H, lambda at: value if isinstance(value, float) else value or 99.0, good=False) == []


def test_time_in_which_nothing_was_known_does_not_count() -> None:
    rules = engine(Limit(C, None, 8.0, fresh_ms=25 * S), for_ms=600 * S)
    play(rules, 5 * MIN, lambda at: 9.0)
    assert play(rules, 60 * MIN, lambda at: None, begin_ms=5 * MIN) == []  # the sensor is gone
    raised = told(play(rules, 70 * MIN, lambda at: 9.0, begin_ms=60 * MIN))
    assert [(state, what) for _, state, what in raised] == [("raised", "high")]
    assert 3600 + 260 <= raised[0][0] <= 3600 + 300


def test_an_alarm_is_not_over_because_the_sensor_died() -> None:
    rules = engine(Limit(C, None, 8.0, fresh_ms=25 * S))
    assert told(play(rules, MIN, lambda at: 9.0)) == [(0, "raised", "high")]
    assert play(rules, 2 * H, lambda at: 4.0, begin_ms=MIN, good=False) == []
    assert len(rules.open) == 1


def test_silence_is_an_alarm_also_when_only_bad_values_come() -> None:
    rules = engine(Silence(C, 900 * S))
    play(rules, MIN, lambda at: 4.0)
    assert told(play(rules, H, lambda at: 4.0, begin_ms=MIN, good=False)) == [(950, "raised", "silent")]
    assert told(play(rules, H + MIN, lambda at: 4.0, begin_ms=H)) == [(3600, "cleared", "silent")]


def test_a_door_that_is_left_open_is_an_alarm_though_it_says_nothing_more() -> None:
    rules = engine(Left(C, state=True, fresh_ms=None), for_ms=120 * S)
    assert play(rules, 10 * MIN, lambda at: at % (2 * MIN) < MIN, every_ms=MIN) == []  # in time, each time
    rules.see(Seen(C, True, True, 10 * MIN))
    assert told(play(rules, 20 * MIN, lambda at: None, begin_ms=10 * MIN)) == [(720, "raised", "left")]
    assert [step.state for step in rules.see(Seen(C, False, True, 20 * MIN))] == ["cleared"]


# --- slopes


@pytest.mark.parametrize(("per_h", "expected"), [(140, []), (160, ["rising"]), (-100, []), (-140, ["falling"])])
def test_a_slope_is_what_the_straight_line_says(per_h: float, expected: list[str]) -> None:
    rules = engine(Rate(C, 150, 120, over_ms=10 * MIN, fresh_ms=25 * S))
    steps = play(rules, H, lambda at: 500 + per_h * at / H + (1.0 if at // (10 * S) % 2 else -1.0))
    assert [step.what for _, step in steps] == expected


def test_a_jump_of_the_sensor_is_no_slope_for_long() -> None:
    rules = engine(Rate(C, 150, None, over_ms=10 * MIN, fresh_ms=25 * S), for_ms=15 * MIN)
    assert play(rules, 2 * H, lambda at: 20.0 if at < H else 40.0) == []


# --- kilns

STEPS = (Step(600, 100), Step(1240, 150, 15 * MIN), Step(900, 200))


def kiln() -> Kiln:
    return Kiln(C, STEPS, tolerance=25, most=1280, begin=60, fresh_ms=75 * S)


def firing(at: int, *, lag: float = 0.0, hold_h: float = 0.25) -> float:
    """What a kiln does that keeps to the curve: from 20 °C to 600 at 100, to 1240 at 150, 15 min, then down at 200."""
    h = at / H
    first, second = 5.8, 5.8 + 640 / 150
    if h < first:
        return 20 + 100 * h - lag
    if h < second:
        return 600 + 150 * (h - first) - lag
    if h < second + hold_h:
        return 1240.0 - lag
    return max(20.0, 1240 - 200 * (h - second - hold_h))


def test_a_firing_that_keeps_to_its_curve_is_quiet_and_ends() -> None:
    condition = kiln()
    rules = engine(condition, for_ms=120 * S)
    assert play(rules, 18 * H, firing, every_ms=30 * S) == []
    assert condition.stage == "idle"


def test_a_kiln_that_stops_heating_is_behind_its_curve() -> None:
    rules = engine(kiln(), for_ms=120 * S)
    steps = play(rules, 8 * H, lambda at: min(firing(at), 700.0), every_ms=10 * S)
    (at, alarm), *_ = steps
    assert alarm.what == "below-curve"
    assert 6.46 * H < at < 6.8 * H  # 25 degrees at 150 an hour are 10 minutes


def test_a_kiln_that_runs_away_is_above_its_curve_and_then_too_hot_at_once() -> None:
    rules = engine(kiln(), for_ms=120 * S)
    steps = play(rules, 8 * H, lambda at: firing(at) if at < 3 * H else 320 + 400 * (at - 3 * H) / H, every_ms=10 * S)
    assert [(step.state, step.what, step.severity) for _, step in steps] == [
        ("raised", "above-curve", "warning"),
        ("escalated", "too-hot", "critical"),
    ]
    assert abs(steps[1][0] - (3 * H + 960 / 400 * H)) <= 10 * S


def test_too_hot_is_told_also_when_nothing_is_fired() -> None:
    rules = engine(kiln(), for_ms=120 * S)
    rules.see(Seen(C, 30.0, True, 0))
    assert [(step.what, step.severity) for step in rules.see(Seen(C, 1300.0, True, S))] == [("too-hot", "critical")]


def test_a_gateway_that_starts_in_the_middle_of_a_firing_joins_it() -> None:
    rules = engine(kiln(), for_ms=120 * S)
    assert play(rules, 18 * H, firing, every_ms=30 * S, begin_ms=7 * H) == []


def test_a_kiln_is_waited_for_at_the_end_of_a_ramp() -> None:
    condition = kiln()
    rules = engine(condition, for_ms=120 * S)
    assert play(rules, 10 * H, lambda at: firing(at, lag=20, hold_h=0.5), every_ms=30 * S) == []
    assert condition.stage == "ramp"
    assert play(rules, 11 * H, lambda at: firing(at, lag=20, hold_h=0.5), every_ms=30 * S, begin_ms=10 * H) == []
    assert condition.target is not None
    assert condition.target < 1200  # it was held, and cools at its pace


# --- machines

CURRENT, SHAKING = "motor.current", "motor.velocity"


def machine() -> Machine:
    return Machine(CURRENT, SHAKING, Bounds(0.2, 1.5, 6.0, 4.5), settle_ms=5 * S, fresh_ms=None)


def test_a_machine_is_off_idle_running_and_abnormal() -> None:
    condition = machine()
    rules = engine(condition)
    for second in range(80):
        rules.see(Seen(CURRENT, (0.0, 0.8, 3.0, 3.0)[second // 20], True, second * S))
        rules.see(Seen(SHAKING, 9.0 if second < 20 or second >= 60 else 1.0, True, second * S))
    assert [(change.before, change.now) for change in rules.changes()] == [
        (None, "off"),
        ("off", "idle"),
        ("idle", "running"),
        ("running", "abnormal"),
    ]
    (alarm,) = rules.open
    assert (alarm.what, alarm.channel, alarm.value, alarm.limit) == ("abnormal", SHAKING, 9.0, 4.5)
    assert abs(condition.ran_ms - 35 * S) <= S


def test_a_starting_current_is_not_abnormal() -> None:
    rules = engine(machine())
    values = [0.0] * 10 + [12.0] * 3 + [3.0] * 20
    steps = [step for second, value in enumerate(values) for step in rules.see(Seen(CURRENT, value, True, second * S))]
    assert steps == []
    assert [change.now for change in rules.changes()] == ["off", "running"]


# --- the alarm itself


def test_nobody_acknowledges_and_it_is_told_again() -> None:
    rules = engine(Limit(C, None, 8.0, fresh_ms=None), escalate_ms=1800 * S)
    steps = play(rules, 2 * H, lambda at: 9.0)
    assert told(steps) == [(0, "raised", "high"), (1800, "escalated", "high")]
    assert steps[0][1].id == steps[1][1].id


def test_acknowledged_it_is_quiet_and_its_outputs_are_off() -> None:
    rules = engine(Limit(C, None, 8.0, fresh_ms=None), escalate_ms=1800 * S)
    assert rules.switched_on == frozenset()
    ((_, raised),) = play(rules, MIN, lambda at: 9.0)
    assert rules.switched_on == {"horn"}
    (step,) = rules.acknowledge(raised.id, "민지")
    assert (step.state, step.by, step.is_acknowledged) == ("acknowledged", "민지", True)
    assert rules.switched_on == frozenset()
    assert rules.acknowledge("rule", "민지") == []  # again, and by the name of the rule
    assert play(rules, 2 * H, lambda at: 9.0, begin_ms=MIN) == []
    ((_, cleared),) = play(rules, 2 * H + MIN, lambda at: 4.0, begin_ms=2 * H)
    assert (cleared.state, cleared.is_acknowledged) == ("cleared", True)


def test_who_acknowledges_what_is_not_there_is_told_what_is() -> None:
    rules = engine(Limit(C, None, 8.0, fresh_ms=None))
    rules.see(Seen(C, 9.0, True, 7))
    with pytest.raises(NoSuchAlarmError, match="rule-7"):
        rules.acknowledge("rule-8", "")


def test_an_alarm_of_a_rule_that_is_gone_is_over() -> None:
    before = Alarm("old-1", "old", "raised", "high")
    (step,) = engine(Silence(C, S)).take([before])
    assert (step.id, step.state, step.by) == ("old-1", "cleared", "rule-gone")
