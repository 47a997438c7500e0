"""Which alarms stand, over all gateways: derived from events `alarm.*`, and from gateways that do not call any more.

A gateway that starts says which of its alarms are open; what else was open of it is over: a card that was made anew
remembers none. Reads the log by streams of events only, from where it was, so that telemetry costs nothing here.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from threading import RLock
from typing import Any, Final, NamedTuple

from golmok_cloud_sync.protocol import Record
from golmok_cloud_sync.protocol.alarms import PREFIX, Alarm, parse
from golmok_cloud_sync.protocol.gaps import START
from golmok_cloud_sync.server.dating import Dating, records
from golmok_cloud_sync.server.fleet import GatewayNow
from golmok_cloud_sync.server.log import BatchLog

SILENT: Final = "gateway-silent"
"""The rule by which the cloud itself raises an alarm."""
FORGOTTEN: Final = "restart"
"""Why an alarm is over that its gateway no longer knows."""
MOST_RECENT: Final = 200
_CHUNK: Final = 64


class Told(NamedTuple):
    """An alarm as it was last told, and when; a moment of a boot, dated when it is read, or the cloud's own time."""

    gateway: str
    alarm: Alarm
    boot: str = ""
    mono_ms: int = 0
    wall_ms: int | None = None

    def at_ms(self, dating: Dating) -> int | None:
        """When it was told; None if that is not known."""
        if self.wall_ms is not None:
            return self.wall_ms
        return dating.date(Record(PREFIX, None, "", self.boot, self.mono_ms)).ms


class AlarmBook:
    """All alarms of all gateways. Any thread may look; one at a time may `read` and `see`."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._next: dict[int, int] = {}
        """Of each stream of events: the seq that is read next."""
        self._open: dict[str, dict[str, Told]] = {}
        self._recent: deque[Told] = deque(maxlen=MOST_RECENT)
        self._seen: dict[str, dict[str, str]] = {}
        """Gateway -> alarm -> who says here that he has seen it, until the gateway says so itself."""

    def open(self, gateway: str | None = None) -> list[Told]:
        """Those that stand, of one gateway or all."""
        with self._lock:
            ours = self._open.values() if gateway is None else [self._open.get(gateway, {})]
            return [told for alarms in ours for told in alarms.values()]

    def over(self) -> list[Told]:
        """The last ones that are over, the newest first."""
        with self._lock:
            return list(reversed(self._recent))

    def acknowledge(self, gateway: str, which: str, by: str) -> Told | None:
        """Somebody has seen that alarm; None where there is no such alarm open.

        It is the gateway's own word that counts: it is asked at its next calls (`commands`) until it has said it. Only
        what the cloud itself has raised is acknowledged at once.
        """
        with self._lock:
            told = self._open.get(gateway, {}).get(which)
            if told is None or told.alarm.is_acknowledged:
                return told
            if told.alarm.rule == SILENT:
                return self._note(
                    told._replace(alarm=told.alarm._replace(state="acknowledged", by=by, is_acknowledged=True))
                )
            self._seen.setdefault(gateway, {})[which] = by
            return told

    def seen_by(self, told: Told) -> str:
        """Who has said here that he has seen it, while its gateway does not know."""
        with self._lock:
            return self._seen.get(told.gateway, {}).get(told.alarm.id, "")

    def commands(self, gateway: str) -> list[dict[str, str]]:
        """What that gateway is to be told: of the alarms that somebody has seen. Once it has heard that, no more."""
        with self._lock:
            return [
                {"do": "acknowledge", "alarm": which, "by": by} for which, by in self._seen.get(gateway, {}).items()
            ]

    def read(self, log: BatchLog, gateway: str) -> list[Told]:
        """Read on; how each alarm of which there is news stands now. Reads the log: not on the event loop."""
        news: dict[str, Told] = {}
        for info in log.streams(gateway, "events"):
            while self._next.get(info.id, 1) < info.position.next_seq:
                batches = log.read(info.id, self._next.get(info.id, 1), _CHUNK)
                if not batches:
                    break
                for batch in batches:
                    for told in self._take(gateway, records(batch)):
                        news[told.alarm.id] = told
                self._next[info.id] = batches[-1].next_seq
        return list(news.values())

    def see(self, now: GatewayNow, since_ms: int, now_ms: int, silent_after_s: float) -> list[Told]:
        """Whether a gateway still calls. Nobody is silent before this server has listened for long enough itself."""
        contact_ms = now.contact_ms
        if contact_ms is None:
            return []
        open_now = next((t for t in self.open(now.gateway) if t.alarm.rule == SILENT), None)
        is_silent = now_ms - max(contact_ms, since_ms) > silent_after_s * 1000
        if is_silent and open_now is None:
            id_ = f"silent-{contact_ms}"
            alarm = Alarm(
                id_, SILENT, "raised", SILENT, "critical", title=now.title or now.gateway, limit=silent_after_s
            )
            return [self._note(Told(now.gateway, alarm, wall_ms=now_ms))]
        if open_now is not None and now_ms - contact_ms <= silent_after_s * 1000:
            alarm = open_now.alarm._replace(state="cleared")
            return [self._note(Told(now.gateway, alarm, wall_ms=now_ms))]
        return []

    def memory(self) -> dict[str, Any]:
        """What to keep: plain JSON."""
        every = [*self.open(), *reversed(self.over())]
        return {
            "next": {str(stream): seq for stream, seq in self._next.items()},
            "alarms": [[t.gateway, list(t.alarm), t.boot, t.mono_ms, t.wall_ms] for t in every],
            "seen": self._seen,
        }

    def recall(self, memory: dict[str, Any]) -> None:
        """What was kept; raises ValueError, TypeError, KeyError when it cannot be understood."""
        self._next = {int(stream): int(seq) for stream, seq in memory["next"].items()}
        for gateway, alarm, boot, mono_ms, wall_ms in memory["alarms"]:
            self._note(Told(gateway, Alarm(*alarm), boot, mono_ms, wall_ms))
        self._seen = {name: dict(seen) for name, seen in memory.get("seen", {}).items()}

    def forget(self) -> None:
        """All of it: it is derived anew."""
        with self._lock:
            self._next, self._open, self._seen = {}, {}, {}
            self._recent.clear()

    def _take(self, gateway: str, events: Iterable[Record]) -> Iterator[Told]:
        for event in events:
            if event.channel == START:
                yield from self._started(gateway, event)
            elif alarm := parse(event):
                if alarm.is_open and any(t.gateway == gateway and t.alarm.id == alarm.id for t in self.over()):
                    continue  # an earlier store that is brought late
                yield self._note(Told(gateway, alarm, event.boot, event.mono_ms))

    def _started(self, gateway: str, start: Record) -> Iterator[Told]:
        known = _open_alarms(start)
        for told in self.open(gateway) if known is not None else ():
            if told.alarm.rule != SILENT and told.alarm.id not in (known or ()):
                over = told.alarm._replace(state="cleared", by=FORGOTTEN)
                yield self._note(Told(gateway, over, start.boot, start.mono_ms))

    def _note(self, told: Told) -> Told:
        with self._lock:
            ours = self._open.setdefault(told.gateway, {})
            if told.alarm.is_acknowledged or not told.alarm.is_open:
                self._seen.get(told.gateway, {}).pop(told.alarm.id, None)
            if told.alarm.is_open:
                ours[told.alarm.id] = told
            else:
                ours.pop(told.alarm.id, None)
                self._recent.append(told)
        return told


def _open_alarms(start: Record) -> list[str] | None:
    """Which alarms a gateway says are open at its start; None if it does not say."""
    try:
        said = json.loads(start.value) if isinstance(start.value, str) else {}
    except (ValueError, RecursionError):
        return None
    found = said.get("open_alarms") if isinstance(said, dict) else None
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else None
