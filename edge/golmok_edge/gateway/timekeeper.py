"""Keeps the clock anchors of this boot: when the monotonic clock stood at a number, what time it was.

An anchor is an event in the store, so that readings can be dated by it long after, here and in the cloud. They
come from the kernel's clock while somebody keeps that, else from the cloud's replies. A new one is written when
there is none, when the last is old, and when it says something else than the others or says it more exactly.

An anchor that may be wrong by more than a second is none: what it dates would have no right time. Over a link so slow
that a reply takes two seconds, the time stays unknown until a quicker exchange or NTP tells it; what was taken until
then is dated by that.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from golmok_cloud_sync.protocol import Anchor, Anchors, Record
from golmok_cloud_sync.protocol.clock import DRIFT, RIGHT_MS, contradict
from golmok_edge.gateway.clock import Clock

ANCHOR: Final = "clock.anchor"
EVERY_MS: Final = 3_600_000
"""A boot's clock drifts by 50 ppm at most: 180 ms in this time."""
SLACK_MS: Final = 100
"""Anchors that differ by less, beyond their errors, say the same; one more exact by less is not worth its bytes."""
EARLIEST_MS: Final = 1_577_836_800_000
"""2020: before this there was no Golmok. A clock that says so was never set, whoever claims to keep it."""


class Timekeeper:
    """Dates what was taken, as far as that is known. Any thread may call."""

    def __init__(self, clock: Clock, events: Iterable[Record] = ()) -> None:
        """`events` are the anchors that are in the store already."""
        self._clock = clock
        self._lock = threading.Lock()
        self._boots: dict[str, Anchors] = {}
        self._agreed: Anchor | None = None  # the last that said nothing new, and was not written
        for record in events:
            if anchor := anchor_of(record):
                self._boots.setdefault(record.boot, Anchors()).add(anchor)

    @property
    def is_known(self) -> bool:
        """Whether the time of day is known in this boot."""
        return bool(self._anchors(self._clock.boot).known)

    def wall_ms(self, record: Record) -> int | None:
        """The time of a record, milliseconds since 1970 (UTC); None if it is not known."""
        if record.wall_ms is not None:
            return record.wall_ms
        if record.waited_ms != 0:
            return None
        return self.moment_ms(record.boot, record.mono_ms)

    def moment_ms(self, boot: str, mono_ms: int) -> int | None:
        """The time of a moment of that boot; None if it is not known."""
        return self._anchors(boot).wall_ms(mono_ms)

    def now_ms(self) -> int | None:
        """The time of day, not as the machine's clock has it but as the anchors do; None if it is not known."""
        return self._anchors(self._clock.boot).wall_ms(self._clock.mono_ms())

    def mono_ms(self, boot: str, wall_ms: int) -> int | None:
        """When in that boot it was `wall_ms`; None if no anchor of it is known."""
        return self._anchors(boot).mono_ms(wall_ms)

    def monos_between(self, boot: str, from_ms: int, to_ms: int) -> tuple[int, int] | None:
        """From when to when in that boot it may have been a time from one to the other; None if that is not known."""
        return self._anchors(boot).monos_between(from_ms, to_ms)

    def heed_kernel(self) -> list[Record]:
        """Anchors from the machine's own clock, if somebody keeps it and it says something new."""
        error_ms = self._clock.kept_within_ms()
        if error_ms is None:
            return []
        # Whatever held this process up between the looks at the clocks is an error too.
        before_ms, wall_ms, after_ms = self._clock.mono_ms(), self._clock.wall_ms(), self._clock.mono_ms()
        half = (after_ms - before_ms + 1) // 2
        return self._heed(Anchor(before_ms + half, wall_ms, error_ms + half))

    def heed_server(self, server_ms: int, sent_mono_ms: int, came_mono_ms: int) -> list[Record]:
        """Anchors from a reply, if nobody keeps the machine's own clock: two that differ would take turns.

        It was `server_ms` there at some moment between sending and coming back.
        """
        error_ms = self._clock.kept_within_ms()
        if error_ms is not None and (error_ms <= RIGHT_MS or self._is_right()):
            return []
        half = (came_mono_ms - sent_mono_ms + 1) // 2
        return self._heed(Anchor(sent_mono_ms + half, server_ms, half + 1))

    def _is_right(self) -> bool:
        """Whether the time is known well enough now."""
        bounds = self._anchors(self._clock.boot).bounds(self._clock.mono_ms())
        return bounds is not None and bounds[1] - bounds[0] <= 2 * RIGHT_MS

    def _heed(self, anchor: Anchor) -> list[Record]:
        if anchor.error_ms > RIGHT_MS or anchor.wall_ms < EARLIEST_MS:
            return []
        with self._lock:
            anchors, last = self._anchors(self._clock.boot), self._agreed
            if not is_news(anchors, anchor):
                self._agreed = anchor
                return []
            # A clock was set since the last look: until then the time was as it had been, and that is written too.
            is_set = last is not None and contradict(last, anchor) and last.mono_ms < anchor.mono_ms
            new = [last, anchor] if last and is_set else [anchor]
            for one in new:
                anchors.add(one)
            self._agreed = None
        return [Record(ANCHOR, json.dumps(one._asdict()), "", self._clock.boot, one.mono_ms) for one in new]

    def _anchors(self, boot: str) -> Anchors:
        return self._boots.setdefault(boot, Anchors())


def day_of_now(time: Timekeeper, timezone: str) -> str | None:
    """Which day it is in that zone, 2026-11-22; None while the time of day is not known."""
    now_ms = time.now_ms()
    if now_ms is None:
        return None
    try:
        return datetime.fromtimestamp(now_ms / 1000, ZoneInfo(timezone)).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return None  # outside the years 1 to 9999


def is_news(anchors: Anchors, anchor: Anchor) -> bool:
    """Whether `anchor` tells more than `anchors` do."""
    last, expected_ms = anchors.last, anchors.wall_ms(anchor.mono_ms)
    if last is None or expected_ms is None:
        return True
    apart_ms = abs(anchor.mono_ms - last.mono_ms)
    error_ms = last.error_ms + apart_ms // DRIFT
    is_other = abs(anchor.wall_ms - expected_ms) > error_ms + anchor.error_ms + SLACK_MS
    is_better = anchor.error_ms + SLACK_MS < last.error_ms
    return is_other or is_better or apart_ms >= EVERY_MS


def anchor_of(record: Record) -> Anchor | None:
    """The anchor that an event states; None if it is no anchor."""
    if record.channel != ANCHOR or not isinstance(record.value, str):
        return None
    try:
        fields: Mapping[str, Any] = json.loads(record.value)
        return Anchor(int(fields["mono_ms"]), int(fields["wall_ms"]), int(fields["error_ms"]))
    except (ValueError, KeyError, TypeError):
        return None
