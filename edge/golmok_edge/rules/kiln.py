"""A firing watched against its curve: outside the band, behind at the end of a ramp, too hot at any time.

The gateway does not fire the kiln; its controller does. So the curve is followed as controllers follow it: a ramp goes
on by time; at its end the kiln is waited for (holdback), and a hold counts only from when it is there. Who is waited
for longer than the rule's `for_s` is behind: a heating element may have failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from golmok_edge.rules.condition import RIGHT, UNKNOWN, Fresh, Look, Memory, Seen, number

_HOUR_MS: Final = 3_600_000
IDLE, RAMP, HOLD, DONE = "idle", "ramp", "hold", "done"
"""Cold; on the way to a step's temperature; held there; cooling by itself after the last step."""
_STAGES: Final = (IDLE, RAMP, HOLD, DONE)


class Step(NamedTuple):
    """To `to`, at `per_h` (None: as fast as the kiln can), held for `hold_ms`."""

    to: float
    per_h: float | None = None
    hold_ms: int = 0


class Kiln:
    """One kiln and the firing it is meant to make."""

    def __init__(
        self, channel: str, steps: Sequence[Step], *, tolerance: float, most: float, begin: float, fresh_ms: int | None
    ) -> None:
        self.channels = (channel,)
        self._steps, self._tolerance, self._most, self._begin = tuple(steps), tolerance, most, begin
        self._fresh = Fresh(fresh_ms)
        self._last: float | None = None
        self.stage, self._step, self._target, self._held_ms = IDLE, 0, 0.0, 0
        self._is_recalled = False

    @property
    def target(self) -> float | None:
        """Where the curve is now; None while nothing is fired."""
        return self._target if self.stage in (RAMP, HOLD) else None

    def see(self, seen: Seen) -> None:
        """See `Condition`."""
        self._last = value = number(seen)
        self._fresh.touch()
        if value is None:
            return
        if self.stage == IDLE and value > self._begin:
            self._join(value)
        elif self.stage == DONE and value <= self._begin:
            self.stage = IDLE
        elif self._is_recalled and self.stage == RAMP:
            self._target = value  # what the curve did while nobody counted is what the kiln did
        self._is_recalled = False
        self._go_on(value)

    def pass_time(self, for_ms: int) -> None:
        """See `Condition`. While nothing is known of the kiln the curve waits."""
        self._fresh.pass_time(for_ms)
        if self._last is None or self._fresh.is_stale:
            return
        if self.stage == RAMP:
            step = self._steps[self._step]
            way = step.to - self._target
            most = abs(way) if step.per_h is None else step.per_h * for_ms / _HOUR_MS
            self._target = step.to if most >= abs(way) else self._target + (most if way > 0 else -most)
        elif self.stage == HOLD:
            self._held_ms += for_ms
        self._go_on(self._last)

    def look(self) -> Look:
        """See `Condition`."""
        value = self._last
        if value is None or self._fresh.is_stale:
            return UNKNOWN
        if value > self._most:
            return Look("wrong", "too-hot", value, self._most, at_once=True)
        if self.stage not in (RAMP, HOLD):
            return RIGHT
        off = value - self._target
        if abs(off) <= self._tolerance or self._may_be_behind(off):
            return RIGHT
        return Look("wrong", "above-curve" if off > 0 else "below-curve", value, round(self._target, 1))

    def memory(self) -> Memory:
        """See `Condition`."""
        return {"stage": self.stage, "step": self._step, "target": self._target, "held_ms": self._held_ms}

    def recall(self, memory: Memory) -> None:
        """See `Condition`."""
        stage, step = str(memory["stage"]), int(memory["step"])
        if stage not in _STAGES or not 0 <= step < len(self._steps):
            raise ValueError("it is of another firing")
        self.stage, self._step, self._is_recalled = stage, step, True
        self._target, self._held_ms = float(memory["target"]), int(memory["held_ms"])

    def _join(self, value: float) -> None:
        """The firing begins; or it goes on already, at the first step that is still ahead."""
        ahead = [at for at, step in enumerate(self._steps) if step.to > value]
        self.stage, self._step, self._target, self._held_ms = (
            (RAMP if ahead else DONE),
            ahead[0] if ahead else 0,
            value,
            0,
        )

    def _go_on(self, value: float) -> None:
        """Over to the next step where this one is done."""
        step = self._steps[self._step]
        if self.stage == RAMP and self._target == step.to and abs(value - step.to) <= self._tolerance:
            self.stage, self._held_ms = HOLD, 0
        if self.stage == HOLD and self._held_ms >= step.hold_ms:
            is_last = self._step + 1 == len(self._steps)
            self.stage, self._step = (DONE, self._step) if is_last else (RAMP, self._step + 1)

    def _may_be_behind(self, off: float) -> bool:
        """On the way to a step that has no pace nobody is late; overshooting it is wrong all the same."""
        step = self._steps[self._step]
        if self.stage != RAMP or step.per_h is not None:
            return False
        before = self._steps[self._step - 1].to if self._step else self._begin
        return off < 0 if step.to >= before else off > 0
