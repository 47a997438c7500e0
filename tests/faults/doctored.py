"""A small street that never was: what was noted of it and what its cloud holds, all in order, for tests to doctor."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from .cloud_api import GapLine, Row
from .notes import Boot, Delivery, Given, Key, Message, Notes
from .oracle import VERDICTS, Case, Judgement, Verdict, judge
from .sources import QUANTITIES, values
from .stalls import Stalls

BEGAN = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
LIMITS = {"flow": 6.0, "timed": 6.0, "room": 5.5}


class Doctored:
    """Ten messages of each of two devices, a second apart, and ten values of a wired part."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.boot = self.notes.booted("first")
        self.boot.knows = True
        self.rows: list[Row] = []
        self.gaps: list[GapLine] = []
        self.stalls = Stalls(is_watching=False)
        for n in range(10):
            self.say("flow", n, BEGAN + n)
            self.say("timed", n, BEGAN + n, stated_ms=int((BEGAN + n - 3600) * 1000))
            self.give(20.0 + n, BEGAN + n)

    def say(self, device: str, n: int, at: float, stated_ms: int | None = None) -> Message:
        """A message that was delivered at once, taken, and has arrived."""
        message = Message(Key(device, n), values(n), stated_ms, at, at + 0.001, at + 0.5)
        message.deliveries.append(Delivery(at + 0.002, True, self.boot))
        self.notes.said(message)
        for quantity, value in message.values.items():
            ts = at + 0.003 if stated_ms is None else stated_ms / 1000
            self._add(f"{device}.{quantity}", value, QUANTITIES[quantity], ts)
        return message

    def give(self, value: float, at: float) -> None:
        """A value of the wired part that has arrived."""
        self.notes.given.append(Given("room.temperature", value, at, self.boot))
        self._add("room.temperature", value, "Cel", at)

    def at(self, channel: str, n: int) -> int:
        """Where the record of the n-th value of a channel stands."""
        return [place for place, row in enumerate(self.rows) if row.channel == channel][n]

    def change(self, channel: str, n: int, **what: Any) -> None:
        """Doctor a record."""
        place = self.at(channel, n)
        self.rows[place] = replace(self.rows[place], **what)

    def drop(self, device: str, numbers: range) -> None:
        """Take out what some messages said, as if it had never had a number."""
        places = {self.at(f"{device}.{quantity}", n) for quantity in QUANTITIES for n in numbers}
        self.rows = [row for place, row in enumerate(self.rows) if place not in places]
        self.rows = [replace(row, seq=seq) for seq, row in enumerate(self.rows, 1)]

    def message(self, device: str, n: int) -> Message:
        """What was noted of a message."""
        return self.notes.messages[Key(device, n)]

    def gap(self, reason: str, channel: str | None, begin: float | None, end: float | None, **more: Any) -> None:
        """Name a gap."""
        self.gaps.append(GapLine(reason, channel, more.pop("counts", {}), begin, end, **more))

    def new_boot(self) -> Boot:
        """The machine starts anew."""
        self.boot = self.notes.booted("next")
        return self.boot

    def judged(self) -> Judgement:
        """What the oracle says."""
        return judge(
            Case(
                gateway="gw",
                lives=[self.notes],
                limits=LIMITS,
                began_at=BEGAN,
                ended_at=BEGAN + 10,
                rows=self.rows,
                gaps=self.gaps,
                stalls=self.stalls,
            )
        )

    def verdicts(self) -> dict[Verdict, int]:
        """How much of what was found."""
        done = self.judged()
        return {name: total for name in VERDICTS if (total := done.total(name))}

    def _add(self, channel: str, value: Any, unit: str, ts: float | None) -> None:
        self.rows.append(
            Row("gateway", "e1", len(self.rows) + 1, channel, value, "" if unit == "1" else unit, "good", ts)
        )
