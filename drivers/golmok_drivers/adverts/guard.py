"""Whether a frame of a device that has a key may be believed: no radio, no clock, no disk here.

An encrypted BTHome frame ends with a counter. Whoever recorded it can send it again, and BlueZ itself hands old service
data on again with whatever a device sends later. So a frame is believed once, if its counter is above the last one
that was; the same counter again is the rest of its burst, and a lower one is a replay. One that leaps is not believed
either: nobody presses a button a million times unheard.

A new battery makes some devices count from the beginning. Then an operator says so, and somebody presses the button
three times within a minute: only that takes the counter back. See `docs/decisions/0008-call-buttons.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

WINDOW: Final = 1 << 20
"""How far a counter may leap."""
SAME_PRESS_S: Final = 30.0
"""A packet id that comes again within this time is the same press, whatever its counter is."""
PRESSES_TO_RENEW: Final = 3
RENEW_WITHIN_S: Final = 60.0


class Verdict(Enum):
    """What a counter says of its frame; the value is the word for people."""

    FRESH = "fresh"
    SAME = "repeated"
    """Of the same burst, or stale: nothing new, and nothing wrong."""
    LOW = "replay"
    FAR = "jump"


def judge(counter: int, last: int | None) -> Verdict:
    """The verdict on `counter`, given the highest that was ever accepted (None: a device that was never heard)."""
    if last is None:
        return Verdict.FRESH
    if counter == last:
        return Verdict.SAME
    if counter < last:
        return Verdict.LOW
    return Verdict.FRESH if counter < last + WINDOW else Verdict.FAR


class Presses:
    """Tells a new press from one that is sent again under a new counter, by its packet id."""

    def __init__(self) -> None:
        self._last: tuple[int, Sequence[object]] | None = None
        self._at_s = 0.0

    def is_new(self, packet_id: int | None, events: Sequence[object], at_s: float) -> bool:
        """Whether these events were not told yet; without a packet id each fresh counter is a press of its own."""
        if packet_id is None:
            return True
        said = packet_id, tuple(events)
        if said == self._last and at_s - self._at_s < SAME_PRESS_S:
            return False
        self._last, self._at_s = said, at_s
        return True


class Ceremony:
    """Three presses within a minute, one counter above the other."""

    def __init__(self) -> None:
        self._presses: list[tuple[int, float]] = []

    def press(self, counter: int, at_s: float) -> bool:
        """Note a press that an operator is waiting for; whether it was the third."""
        recent = [one for one in self._presses if at_s - one[1] < RENEW_WITHIN_S]
        if recent and counter < recent[-1][0]:
            recent = []  # it must have begun before the battery was changed
        if not recent or counter > recent[-1][0]:
            recent.append((counter, at_s))
        self._presses = recent
        if len(recent) < PRESSES_TO_RENEW:
            return False
        self._presses = []
        return True
