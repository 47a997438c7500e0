"""Runs the rules of a gateway: feeds them what was committed, tells what they decide, remembers it over restarts.

What counts as told is what is on disk. The file beside the store is written only when nothing is on its way there, and
what was committed since is read again from the store at the next start; so a kill at any moment raises no alarm twice
and loses no end of one. What was decided and did not reach the disk is decided again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

import msgspec

from golmok_cloud_sync.protocol import Record, Stream
from golmok_cloud_sync.protocol.alarms import PREFIX, Alarm, event, parse
from golmok_cloud_sync.protocol.gaps import Moment
from golmok_edge.gateway.clock import Clock
from golmok_edge.gateway.live import rfc3339
from golmok_edge.gateway.timekeeper import Timekeeper
from golmok_edge.rules import Engine, NoSuchAlarmError, Seen, engine_of
from golmok_edge.settings import Settings
from golmok_edge.store import Commit
from golmok_edge.store.layout import replace_file

_log = logging.getLogger(__name__)

FILE_NAME: Final = "rules.json"
MACHINE: Final = "machine.state"
"""The event that tells of a machine's new state."""
MOST_BLOCKS: Final = 2_000
MOST_WAITED_MS: Final = 60_000
"""A value that lay at the broker for longer tells of the past: it is stored, and judged by nobody."""
_LONGEST_NAME: Final = 100
SAVE_EVERY_MS: Final = 600_000
"""What is learned is remembered so often; what is told, at once."""


class History(Protocol):
    """What is read of the store at the start: a `golmok_edge.store.Reader`."""

    def recent(self, stream: Stream, after: Moment | None, most_blocks: int) -> Iterator[Record]:
        """What was committed from then on (and some before it), at most so many commits."""


class Kept(msgspec.Struct):
    """All that is remembered."""

    at: Moment
    alarms: list[Alarm]
    """Those that were open, and some that are over."""
    told: dict[str, Moment]
    """When each was last told."""
    rules: dict[str, Any]


_DECODER: Final = msgspec.json.Decoder(Kept)


class AlarmKeeper:
    """The rules in a running gateway. Any thread may call."""

    def __init__(self, settings: Settings, clock: Clock, time: Timekeeper, put: Callable[[Record], None]) -> None:
        """`put` hands an event to the store."""
        self._clock, self._time, self._put = clock, time, put
        self._file = settings.store.path / FILE_NAME
        self._lock = threading.Lock()
        self.engine: Engine = engine_of(settings.devices, settings.rules, self._new_id)
        self._channels = self.engine.channels
        self._slack_ms = round(1000 * (settings.store.commit_interval_s + 1))
        """So long a reading may be on its way to the disk: time goes on for the rules when it has come."""
        self._told: dict[str, Moment] = {}
        self._on_the_way: Counter[Record] = Counter()
        self._has_news, self._saved_ms = False, 0
        self.on_switch: Callable[[frozenset[str]], None] = lambda wanted: None
        """Called, in any thread, when other outputs than before are to be on."""
        self._switched_on: frozenset[str] = frozenset()
        self._ended: list[Alarm] = []

    def recover(self, reader: History) -> None:
        """Learn from file and store what was told before."""
        kept = _read(self._file.read_bytes()) if self._file.exists() else None
        alarms = list(kept.alarms) if kept else []
        self._told = dict(kept.told) if kept else {}
        for record in reader.recent("events", kept.at if kept else None, MOST_BLOCKS):
            if alarm := parse(record):
                alarms.append(alarm)
                self._told[alarm.id] = Moment(record.boot, record.mono_ms)
        with self._lock:
            ended = self.engine.take(alarms)
            for name in self.engine.recall(kept.rules if kept else {}):
                _log.warning("rule %s begins anew: what it remembered is of other settings", name)
            self._ended = ended

    def start_fields(self) -> dict[str, Any]:
        """What the event of a start says of alarms: those that are still open. The cloud ends all others."""
        with self._lock:
            return {"open_alarms": [alarm.id for alarm in (*self.engine.open, *self._ended)]}

    def begin(self) -> None:
        """From now on events can be put. Tells what was found at the start."""
        with self._lock:
            self._tell(self._ended)
            self.engine.pass_time(self._clock.mono_ms() - self._slack_ms)

    @property
    def outputs(self) -> frozenset[str]:
        """All that rules may switch."""
        return frozenset[str]().union(*(watch.terms.outputs for watch in self.engine.watches.values()))

    # --- what happens

    def committed(self, commit: Commit) -> None:
        """These are on disk. Called in the store's thread."""
        with self._lock:
            for record in commit.records.get("events", ()):
                if record in self._on_the_way:
                    self._on_the_way[record] -= 1
                    self._on_the_way = +self._on_the_way
            steps: list[Alarm] = []
            for record in commit.records.get("readings", ()):
                if record.channel in self._channels and _is_live(record):
                    seen = Seen(record.channel, record.value, record.quality == "good", record.mono_ms)
                    steps += self.engine.see(seen)
            self._tell(steps)

    def tick(self) -> None:
        """Time has passed."""
        with self._lock:
            self._tell(self.engine.pass_time(self._clock.mono_ms() - self._slack_ms))

    def acknowledge(self, which: str, by: str) -> dict[str, Any]:
        """Somebody has seen the alarm of that id or rule; how it stands. Raises `NoSuchAlarmError`."""
        with self._lock:
            steps = self.engine.acknowledge(which, by)
            self._tell(steps)
            alarm = next(alarm for alarm in self.engine.open if which in (alarm.id, alarm.rule))
            return self._row(alarm) | {"changed": bool(steps)}

    def heed(self, commands: Iterable[Mapping[str, Any]]) -> None:
        """What the cloud says: alarms that somebody has seen there. It says so until it hears that we know. Any thread.

        What cannot be understood is of a newer cloud, and passed by.
        """
        for command in commands:
            which, by = command.get("alarm"), command.get("by")
            if command.get("do") == "acknowledge" and isinstance(which, str) and isinstance(by, str):
                with suppress(NoSuchAlarmError):  # it is over meanwhile
                    self.acknowledge(which, by[:_LONGEST_NAME])

    def rows(self) -> list[dict[str, Any]]:
        """The open alarms, the newest first, and then those that are over."""
        with self._lock:
            alarms = [*self.engine.recent, *sorted(self.engine.open, key=self._order)]
            return [self._row(alarm) for alarm in reversed(alarms)]

    def learning(self) -> dict[str, float]:
        """How far the rules are that learn what is usual, 0 to 1."""
        with self._lock:
            conditions = ((name, watch.condition) for name, watch in self.engine.watches.items())
            return {
                name: round(done, 3) for name, one in conditions if (done := getattr(one, "learned", None)) is not None
            }

    def save(self, *, at_the_end: bool = False) -> None:
        """Remember all this, if there is news and all that was told is on disk."""
        with self._lock:
            now_ms = self._clock.mono_ms()
            is_due = self._has_news or at_the_end or now_ms - self._saved_ms >= SAVE_EVERY_MS
            if not self.engine or not is_due or self._on_the_way:
                return
            alarms = [*self.engine.recent, *self.engine.open]
            told = {alarm.id: self._told[alarm.id] for alarm in alarms if alarm.id in self._told}
            kept = Kept(Moment(self._clock.boot, now_ms), alarms, told, self.engine.memory())
            self._has_news, self._saved_ms = False, now_ms
        try:
            replace_file(self._file, msgspec.json.encode(kept))
        except OSError as error:  # the next start reads more of the store; what was learned since is learned again
            _log.warning("%s cannot be written: %s", self._file, error)

    # --- inside

    def _new_id(self, rule: str, at_ms: int) -> str:
        named = f"{self._clock.boot} {at_ms} {rule}".encode()
        return hashlib.blake2s(named, digest_size=5).hexdigest()

    def _tell(self, steps: Iterable[Alarm]) -> None:
        boot, mono_ms = self._clock.boot, self._clock.mono_ms()
        for alarm in steps:
            _log.warning("alarm %s %s: %s %s", alarm.id, alarm.state, alarm.rule, alarm.what)
            self._say(event(alarm, boot, mono_ms))
            self._told[alarm.id] = Moment(boot, mono_ms)
        for change in self.engine.changes():
            said = {"rule": change.rule, "before": change.before, "now": change.now, "ran_s": change.ran_ms // 1000}
            self._say(Record(MACHINE, json.dumps(said, ensure_ascii=False), "", boot, mono_ms))
        if (wanted := self.engine.switched_on) != self._switched_on:
            self._switched_on = wanted
            self.on_switch(wanted)

    def _say(self, record: Record) -> None:
        self._on_the_way[record] += 1
        self._has_news = True
        self._put(record)

    def _order(self, alarm: Alarm) -> tuple[bool, int]:
        told = self._told.get(alarm.id)
        return (False, 0) if told is None else (told.boot == self._clock.boot, told.mono_ms)

    def _row(self, alarm: Alarm) -> dict[str, Any]:
        told = self._told.get(alarm.id)
        return {**alarm._asdict(), "ts": None if told is None else rfc3339(self._time.moment_ms(*told))}


def alarms_in(events: Iterable[Record]) -> Iterator[tuple[Alarm, Record]]:
    """The last word on each alarm among these events, which come the newest first."""
    known: set[str] = set()
    for record in events:
        if record.channel.startswith(PREFIX) and (alarm := parse(record)) and alarm.id not in known:
            known.add(alarm.id)
            yield alarm, record


def _is_live(record: Record) -> bool:
    return record.waited_ms is not None and record.waited_ms <= MOST_WAITED_MS


def _read(content: bytes) -> Kept | None:
    try:
        return _DECODER.decode(content)
    except msgspec.DecodeError:
        return None
