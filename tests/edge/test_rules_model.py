"""Any readings, any restarts: an alarm is raised once, cleared once, and told the same whether or not we were killed.

The disk is modelled as a list of what was committed, and the file as the last memory that was written: a kill loses
what was decided and not committed, and may lose what the file was to say.
"""

from __future__ import annotations

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from golmok_cloud_sync.protocol import Record
from golmok_cloud_sync.protocol.alarms import Alarm, event, parse
from golmok_edge.rules import Engine, Seen, Terms, Watch
from golmok_edge.rules.simple import Limit, Silence

C = "fridge.temperature"
BOOT = "b" * 32


def make() -> Engine:
    numbers = iter(range(10**9))
    return Engine(
        [
            Watch(
                Terms("warm", "냉장고", for_ms=60_000, clear_for_ms=30_000, escalate_ms=300_000),
                Limit(C, None, 8.0, hysteresis=1.0, fresh_ms=25_000),
            ),
            Watch(Terms("silent", "냉장고"), Silence(C, 120_000)),
        ],
        lambda rule, at_ms: f"{rule}-{at_ms}-{next(numbers)}",
    )


class Alarms(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.at_ms = 0
        self.engine = make()
        self.disk: list[Record] = []
        self.waiting: list[Alarm] = []
        self.file = "{}"
        self.truth: float | None = None

    @rule(seconds=st.integers(1, 90))
    def time_passes(self, seconds: int) -> None:
        for _ in range(0, seconds, 5):
            self.at_ms += 5000
            self.waiting += self.engine.pass_time(self.at_ms)

    @rule(value=st.sampled_from([4.0, 7.5, 9.0]), count=st.integers(1, 12))
    def good(self, value: float, count: int) -> None:
        for _ in range(count):
            self.at_ms += 10_000
            self.waiting += self.engine.see(Seen(C, value, True, self.at_ms))

    @rule(count=st.integers(1, 12))
    def bad_raises_no_limit(self, count: int) -> None:
        for _ in range(count):
            self.at_ms += 10_000
            self.waiting += self.engine.pass_time(self.at_ms)  # what is still fresh may raise or end one
            before = {alarm.id for alarm in self.engine.open if alarm.rule == "warm"}
            steps = self.engine.see(Seen(C, 99.0, False, self.at_ms))
            assert not [step for step in steps if step.rule == "warm" and step.state == "raised"]
            assert before <= {alarm.id for alarm in self.engine.open}  # nor does it end one
            self.waiting += steps

    @rule()
    def acknowledge(self) -> None:
        for alarm in self.engine.open:
            self.waiting += self.engine.acknowledge(alarm.id, "somebody")

    @rule()
    def commit(self) -> None:
        self.disk += [event(alarm, BOOT, self.at_ms) for alarm in self.waiting]
        self.waiting = []

    @rule()
    def save(self) -> None:
        if not self.waiting:  # only what is on disk may be remembered as told
            self.file = json.dumps(self.engine.memory())

    @rule(off_s=st.integers(0, 3_600))
    def killed(self, off_s: int) -> None:
        self.at_ms += off_s * 1000
        self.waiting = []
        self.engine = make()
        told = [alarm for record in self.disk if (alarm := parse(record))]
        assert self.engine.take(told) == []
        assert self.engine.recall(json.loads(self.file)) == []

    @invariant()
    def what_was_told_makes_sense(self) -> None:
        told = [alarm for record in getattr(self, "disk", []) if (alarm := parse(record))] + getattr(
            self, "waiting", []
        )
        open_now: dict[str, Alarm] = {}
        for alarm in told:
            before = open_now.get(alarm.rule)
            if alarm.state == "raised":
                assert before is None, "raised twice"
            else:
                assert before is not None, "a step of an alarm that was never raised"
                assert before.id == alarm.id, "a step of another alarm"
                assert not (alarm.state == "escalated" and before.is_acknowledged)
            open_now[alarm.rule] = alarm
            if not alarm.is_open:
                del open_now[alarm.rule]
        if hasattr(self, "engine"):
            assert {a.id for a in open_now.values()} == {a.id for a in self.engine.open}, "a lost raise or clear"


Alarms.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestAlarms = Alarms.TestCase
