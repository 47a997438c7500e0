"""The threads that speak with the cloud: HTTP around `Uplink` and `Pace`.

One sends all there is, at the pace that was agreed. A second one, with a connection of its own, sends orders and
alarms as soon as they are there: they wait neither behind a large request on a slow line, nor behind one that hangs,
nor for what a busy cloud has told telemetry. Nothing they do can hold up the taking of readings.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final, Protocol
from urllib.parse import urlsplit

from golmok_cloud_sync.protocol import (
    CONTENT_TYPE,
    LANE_HEADER,
    STREAMS,
    URGENT,
    URGENT_STREAMS,
    Hello,
    Part,
    ProtocolError,
    Record,
    Reply,
    Stream,
    decode_reply,
    encode_request,
)
from golmok_cloud_sync.protocol.sync import MAX_HEAD, MAX_LATEST

from .answers import document_of, problem_of, retry_after_s
from .line import Answer, Line, LineError, NobodyThereError
from .outbox import Outbox
from .pace import Pace
from .uplink import MOST_RECORDS, Uplink

_log = logging.getLogger(__name__)

CONNECT_S: Final = 5.0
ANSWER_S: Final = 30.0
"""A request that is under way so long is given up; the next one is half as large."""
URGENT_ANSWER_S: Final = 10.0
"""The same for an urgent request, which is small."""
IDLE_S: Final = 30.0
"""A connection that was silent for so long may be dead without either end knowing: orders take a new one."""
BROKEN_MOST_S: Final = 10.0
"""After an error of ours the next try comes at once, then after 1, 2, 4 s, and never later than this: the cloud has
done nothing, so what it is owed does not count here."""
_HELD: Final = re.compile(r"\bheld;dur=([0-9.]{1,12})")
_ANSWERS: Final = frozenset({200, 409})
_GRACE_S: Final = 0.5
_LONGEST_TEXT: Final = 200


class Moment(Protocol):
    """A clock that does not stop in sleep and is not set (CLOCK_BOOTTIME), and the wall's."""

    def mono_ms(self) -> int:
        """Milliseconds since the machine started."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970 by the machine's own clock, right or wrong."""


@dataclass(frozen=True, slots=True)
class ServerTime:
    """It was `server_ms` at the cloud somewhere between two moments of the gateway's monotonic clock."""

    server_ms: int
    sent_mono_ms: int
    came_mono_ms: int


@dataclass(slots=True)
class CourierState:
    """What `status` and the pages tell of the way to the cloud."""

    state: str = "starting"
    """starting, connected, waiting (told to come later), unreachable, refused (not enrolled or forbidden), broken
    (an error of ours: see the log)."""
    detail: str = ""
    requests: int = 0
    failures: int = 0
    sent_bytes: int = 0
    last_success_mono_ms: int | None = None
    pace_s: float = 0.0
    backlog: Mapping[Stream, int] | None = None
    forks: int = 0
    is_all_sent: bool = False
    """Whether the cloud has said that it has all."""


class Courier(threading.Thread):
    """Sends what the store holds, at the pace that was agreed, until `close`."""

    def __init__(
        self,
        url: str,
        hello: Hello,
        open_outbox: Callable[[], Outbox],
        *,
        clock: Moment,
        pace: Pace,
        new_boot: bool,
        token: Callable[[], str | None] = lambda: None,
        answer_s: float = ANSWER_S,
        latest: Callable[[], Sequence[Record]] = tuple,
        on_time: Callable[[ServerTime], None] = lambda _: None,
        on_reply: Callable[[Reply], None] = lambda _: None,
    ) -> None:
        """`open_outbox` is called in one of the threads; the callbacks run there too and must be quick."""
        super().__init__(name="uplink", daemon=True)
        self.state = CourierState(pace_s=pace.interval_s)
        self._url, self._hello, self._open_outbox = url.rstrip("/") + "/v1/sync", hello, open_outbox
        self._clock, self._pace, self._new_boot = clock, pace, new_boot
        self._token = token
        self._latest, self._on_time, self._on_reply = latest, on_time, on_reply
        self._answer_s = answer_s
        self._urgent_pace = pace.for_urgent()
        self._lock = threading.RLock()
        """Holds what both threads use: the uplink and the state. Never held while something is on the line."""
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._is_hurried = False
        """Something urgent waits that does not fit into an urgent request."""
        self._has_met = False
        self._closing = self._is_left = False
        self._last_s = 0.0
        self._uplink: Uplink | None = None
        self._is_outdated = False
        """There is another outbox now."""
        self._breaks = {False: 0, True: 0}
        """Errors of ours one after the other, in either thread (True: the urgent one)."""
        self._broken_until_s = {False: 0.0, True: 0.0}
        self._before_break = ("starting", "")

    def wake(self) -> None:
        """Orders or alarms are in the store: send them now."""
        self._urgent.set()

    def renew(self) -> None:
        """The outbox is another one now: ask for it, and bring what is in it. Any thread may call; it never waits."""
        self._is_outdated = self._is_hurried = True
        self._wake.set()
        self._urgent.set()

    def close(self, last_s: float = 5.0) -> None:
        """Send what is in the store as long as the cloud takes it, for `last_s` seconds at most, and stop.

        A request that hangs is left behind: its thread ends with it, or with the process.
        """
        self._last_s = last_s
        self._closing = True
        self._wake.set()
        self._urgent.set()
        if self.is_alive():
            self.join(last_s + _GRACE_S)
            self._is_left = True

    def run(self) -> None:
        self._pace.start(self._now_s(), new_boot=self._new_boot, loopback=is_loopback(self._url))
        threading.Thread(target=self._run_urgent, name="urgent uplink", daemon=True).start()
        line = Line(self._url)
        while not self._closing:
            now_s = self._now_s()
            wait_s = max(self._pace.wait_s(now_s, hurry=self._is_hurried), self._broken_until_s[False] - now_s)
            if wait_s > 0:
                self._wake.wait(wait_s)
                self._wake.clear()
                continue
            self._is_hurried = False
            self._turn(line, self._answer_s)
        until_s = self._now_s() + self._last_s
        while (left_s := until_s - self._now_s()) > 0 and not self._is_left:
            if not self._turn(line, left_s):
                break
        line.close()

    def _turn(self, line: Line, answer_s: float) -> bool:
        """One exchange; whether it brought anything forward and more is to be sent."""
        try:
            uplink = self._opened()
            return self._exchange(line, uplink, answer_s) and not uplink.is_all_sent
        except Exception as error:  # noqa: BLE001  # this thread must live on; the next turn begins from what is stored
            self._broke(error, urgent=False)
            return False

    def _run_urgent(self) -> None:
        line, used_s = Line(self._url), self._now_s()
        waits = self._has_orders()  # of the last run; alarms of then go with all else
        while not self._closing:
            now_s = self._now_s()
            wait_s = max(self._urgent_pace.wait_s(now_s), self._broken_until_s[True] - now_s) if waits else None
            if wait_s is None or wait_s > 0:
                self._urgent.wait(wait_s)
                waits = waits or self._urgent.is_set()
                self._urgent.clear()
                continue
            if self._now_s() - used_s > IDLE_S:
                line.close()
            waits = self._urgent_turn(line)
            used_s = self._now_s()
        line.close()

    def _has_orders(self) -> bool:
        try:
            with self._lock:
                return self._opened().backlog("orders") > 0
        except Exception as error:  # noqa: BLE001  # as in `_turn`
            self._broke(error, urgent=True)
            return True

    def _urgent_turn(self, line: Line) -> bool:
        """One urgent exchange, if there is anything for one; whether more is to be sent."""
        try:
            uplink = self._opened()
            with self._lock:
                hello, parts = uplink.compose(self._now(), urgent=True)
            if parts:
                self._post(line, uplink, hello, parts, min(URGENT_ANSWER_S, self._answer_s), urgent=True)
            elif any(map(uplink.backlog, URGENT_STREAMS)):
                self._is_hurried = True
                self._wake.set()
                return False
            return any(map(uplink.backlog, URGENT_STREAMS))
        except Exception as error:  # noqa: BLE001  # as in `_turn`
            self._broke(error, urgent=True)
            return True

    def _opened(self) -> Uplink:
        with self._lock:
            if self._is_outdated:
                self._is_outdated, self._uplink = False, None
            if self._uplink is None:
                self._uplink = Uplink(self._open_outbox())
                if self.state.state == "broken":
                    self.state.state, self.state.detail = self._before_break
            return self._uplink

    def _broke(self, error: Exception, *, urgent: bool) -> None:
        """An error of ours: begin anew from what is stored. The cloud's pace has nothing to do with it."""
        if self._is_left:
            return
        with self._lock:
            self._uplink = None
            if self._is_outdated:
                _log.info("the outbox was another one meanwhile: %s", error)
                return
            _log.error("the way to the cloud broke", exc_info=error)
            self._breaks[urgent] += 1
            wait_s = min(BROKEN_MOST_S, 2.0 ** (self._breaks[urgent] - 2)) if self._breaks[urgent] > 1 else 0.0
            self._broken_until_s[urgent] = self._now_s() + wait_s
            if self.state.state != "broken":
                self._before_break = self.state.state, self.state.detail
            self._say_failed("broken", f"{type(error).__name__}: {error}")
            self._is_hurried = True
            self._wake.set()

    def _now(self) -> Hello:
        return replace(self._hello, mono_ms=self._clock.mono_ms(), wall_ms=self._clock.wall_ms())

    def _exchange(self, line: Line, uplink: Uplink, answer_s: float) -> bool:
        """One request and what follows from its reply; whether it brought anything forward."""
        with self._lock:
            latest = _fitting(self._latest()) if uplink.backlog("readings") > MOST_RECORDS else ()
            # The first request is small: its reply tells the time exactly, and what the cloud has.
            hello, parts = uplink.compose(replace(self._now(), latest=latest), bare=not self._has_met)
        return self._post(line, uplink, hello, parts, answer_s)

    def _post(
        self, line: Line, uplink: Uplink, hello: Hello, parts: list[Part], answer_s: float, *, urgent: bool = False
    ) -> bool:
        body = encode_request(hello, parts)
        pace = self._urgent_pace if urgent else self._pace
        self.state.requests += 1
        sent_ms = self._clock.mono_ms()
        try:
            answer = line.post(body, self._headers(urgent=urgent), min(CONNECT_S, answer_s), answer_s)
            came_ms = self._clock.mono_ms()
            reply = decode_reply(answer.body) if answer.status in _ANSWERS else None
        except (LineError, ProtocolError) as error:
            detail = str(error) if isinstance(error, LineError) else f"{type(error).__name__}: {error}"
            with self._lock:
                if not isinstance(error, NobodyThereError):
                    uplink.failed(urgent=urgent)
                self._failed("unreachable", detail, pace)
            return False
        with self._lock:
            if reply is None:
                self._turned_away(uplink, answer, pace)
                return False
            if uplink is not self._uplink or self._is_left:  # it broke meanwhile, or nobody is there any more
                return False
            self.state.sent_bytes += len(body)
            self.state.last_success_mono_ms = came_ms
            server_time = ServerTime(reply.server_ms, sent_ms, came_ms)
            forward = self._learn(uplink, reply, server_time, urgent=urgent)
            if (held_s := _held_s(answer)) is not None:
                uplink.was_on_line((came_ms - sent_ms) / 1000 - held_s, urgent=urgent)
        return forward

    def _learn(self, uplink: Uplink, reply: Reply, server_time: ServerTime, *, urgent: bool) -> bool:
        forward = uplink.took(reply, urgent=urgent)
        if urgent:
            self._connected(uplink, also_if_waiting=False)
            is_done = forward or not any(map(uplink.backlog, URGENT_STREAMS))
            pace, more = self._urgent_pace, True
        else:
            forward = forward or not self._has_met
            self._has_met = True
            self.state.pace_s = min(self._pace.interval_s, reply.pace_s)
            self._connected(uplink)
            is_done = forward or uplink.is_round_done
            pace, more = self._pace, not uplink.is_round_done
        self._on_time(server_time)
        self._on_reply(reply)
        if is_done:
            pace.succeeded(self._now_s(), reply.pace_s, reply.retry_after_s, more=more)
        else:
            pace.failed(self._now_s(), reply.retry_after_s)
        self._breaks[urgent] = 0
        return forward

    def _headers(self, *, urgent: bool) -> dict[str, str]:
        headers = {"Content-Type": CONTENT_TYPE}
        if urgent:
            headers[LANE_HEADER] = URGENT
        if token := self._token():  # asked each time: it may come, or be another, while we run
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _turned_away(self, uplink: Uplink, answer: Answer, pace: Pace) -> None:
        """A status that is no answer of this protocol: too busy, not enrolled, or something in between that broke."""
        status = answer.status
        detail = f"HTTP {status}: {problem_of(answer)}"
        if status in (401, 403):
            self._failed("refused", detail, pace)
        elif status in (429, 503):
            if (document_of(answer) or {}).get("reason") == "slow":  # it has no room for so much on so slow a line
                uplink.failed(urgent=pace is self._urgent_pace)
            self._failed("waiting", detail, pace, retry_after_s(answer))
        else:
            uplink.failed(urgent=pace is self._urgent_pace)
            self._failed("unreachable", detail, pace)

    def _failed(self, state: str, detail: str, pace: Pace, retry_after_s: float = 0.0) -> None:
        pace.failed(self._now_s(), retry_after_s)
        self._say_failed(state, detail)

    def _say_failed(self, state: str, detail: str) -> None:
        self.state.failures += 1
        if self.state.state != state:
            _log.warning("cloud %s: %s", state, detail)
        self.state.state, self.state.detail = state, detail

    def _connected(self, uplink: Uplink, *, also_if_waiting: bool = True) -> None:
        self.state.forks = uplink.forks
        self.state.is_all_sent = uplink.is_all_sent
        self.state.backlog = {stream: uplink.backlog(stream) for stream in STREAMS}
        if self.state.state == "waiting" and not also_if_waiting:  # telemetry was told to wait; this was not telemetry
            return
        if self.state.state != "connected":
            _log.info("cloud connected")
        self.state.state, self.state.detail = "connected", ""

    def _now_s(self) -> float:
        return self._clock.mono_ms() / 1000


def is_loopback(url: str) -> bool:
    """Whether `url` names this machine itself."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fitting(latest: Sequence[Record]) -> list[Record]:
    """As many of them as a request has room for; long texts are nothing to be had at a glance."""
    short = [record for record in latest if not isinstance(record.value, str) or len(record.value) <= _LONGEST_TEXT]
    sizes = accumulate(200 + 4 * sum(map(len, (one.channel, one.unit, one.reason, str(one.value)))) for one in short)
    return [record for record, size in zip(short[:MAX_LATEST], sizes, strict=False) if size <= MAX_HEAD // 2]


def _held_s(answer: Answer) -> float | None:
    """How long the server worked on it: the rest of the time it was on the line (W3C Server-Timing)."""
    found = _HELD.search(answer.headers.get("Server-Timing", ""))
    try:
        return float(found[1]) / 1000 if found else None
    except ValueError:
        return None
