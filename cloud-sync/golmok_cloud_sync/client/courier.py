"""The thread that speaks with the cloud: HTTP around `Uplink` and `Pace`.

It owns its connection and its own reader of the store. Nothing it does can hold up the taking of readings.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final, Protocol
from urllib.parse import urlsplit

from golmok_cloud_sync.protocol import (
    CONTENT_TYPE,
    STREAMS,
    Hello,
    ProtocolError,
    Record,
    Reply,
    Stream,
    decode_reply,
    encode_request,
)
from golmok_cloud_sync.protocol.sync import MAX_HEAD, MAX_LATEST

from .line import Answer, Line, LineError, NobodyThereError
from .outbox import Outbox
from .pace import Pace
from .uplink import MOST_RECORDS, Uplink

_log = logging.getLogger(__name__)

URGENT: Final[tuple[Stream, ...]] = ("orders", "events")
CONNECT_S: Final = 5.0
ANSWER_S: Final = 30.0
"""A request that is under way so long is given up; the next one is half as large."""
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
        """`open_outbox` is called in the thread itself; the callbacks run there too and must be quick."""
        super().__init__(name="uplink", daemon=True)
        self.state = CourierState(pace_s=pace.interval_s)
        self._url, self._hello, self._open_outbox = url.rstrip("/") + "/v1/sync", hello, open_outbox
        self._clock, self._pace, self._new_boot = clock, pace, new_boot
        self._token = token
        self._latest, self._on_time, self._on_reply = latest, on_time, on_reply
        self._answer_s = answer_s
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._has_met = False
        self._closing = self._is_left = False
        self._last_s = 0.0
        self._uplink: Uplink | None = None

    def wake(self) -> None:
        """Orders or alarms are in the store: send them now."""
        self._urgent.set()
        self._wake.set()

    def close(self, last_s: float = 5.0) -> None:
        """Send what is in the store as long as the cloud takes it, for `last_s` seconds at most, and stop.

        A request that hangs is left behind: its thread ends with it, or with the process.
        """
        self._last_s = last_s
        self._closing = True
        self._wake.set()
        if self.is_alive():
            self.join(last_s + _GRACE_S)
            self._is_left = True

    def run(self) -> None:
        self._pace.start(self._now_s(), new_boot=self._new_boot, loopback=is_loopback(self._url))
        line = Line(self._url)
        while not self._closing:
            wait_s = self._pace.wait_s(self._now_s(), urgent=self._urgent.is_set())
            if wait_s > 0:
                self._wake.wait(wait_s)
                self._wake.clear()
                continue
            self._urgent.clear()
            self._turn(line, self._answer_s)
        until_s = self._now_s() + self._last_s
        while (left_s := until_s - self._now_s()) > 0 and not self._is_left:
            if not self._turn(line, left_s):
                break
        line.close()

    def _turn(self, line: Line, answer_s: float) -> bool:
        """One exchange; whether it brought anything forward and more is to be sent."""
        try:
            if self._uplink is None:
                self._uplink = Uplink(self._open_outbox())
            return self._exchange(line, self._uplink, answer_s) and not self._uplink.is_all_sent
        except Exception as error:  # noqa: BLE001  # this thread must live on; the next turn begins from what is stored
            if not self._is_left:
                _log.exception("the way to the cloud broke")
                self._uplink = None
                self._failed("broken", f"{type(error).__name__}: {error}")
            return False

    def _exchange(self, line: Line, uplink: Uplink, answer_s: float) -> bool:
        """One request and what follows from its reply; whether it brought anything forward."""
        sent_ms = self._clock.mono_ms()
        latest = _fitting(self._latest()) if uplink.backlog("readings") > MOST_RECORDS else ()
        hello = replace(self._hello, mono_ms=sent_ms, wall_ms=self._clock.wall_ms(), latest=latest)
        hello, parts = uplink.compose(hello)
        if not self._has_met:
            parts = []  # the first request is small: its reply tells the time exactly, and what the cloud has
        body = encode_request(hello, parts)
        self.state.requests += 1
        try:
            answer = line.post(body, self._headers(), min(CONNECT_S, answer_s), answer_s)
            if answer.status not in _ANSWERS:
                self._turned_away(uplink, answer)
                return False
            reply = decode_reply(answer.body)
        except (LineError, ProtocolError) as error:
            if not isinstance(error, NobodyThereError):
                uplink.failed()
            detail = str(error) if isinstance(error, LineError) else f"{type(error).__name__}: {error}"
            self._failed("unreachable", detail)
            return False
        came_ms = self._clock.mono_ms()
        forward = uplink.took(reply) or not self._has_met
        self._has_met = True
        self.state.sent_bytes += len(body)
        self.state.last_success_mono_ms = came_ms
        self.state.pace_s = min(self._pace.interval_s, reply.pace_s)
        self._connected(uplink)
        self._on_time(ServerTime(reply.server_ms, sent_ms, came_ms))
        self._on_reply(reply)
        if uplink.is_round_done or forward:
            more = not uplink.is_round_done
            self._pace.succeeded(self._now_s(), reply.pace_s, reply.retry_after_s, more=more)
        else:
            self._pace.failed(self._now_s(), reply.retry_after_s)
        return forward

    def _headers(self) -> dict[str, str]:
        token = self._token()  # asked each time: it may come, or be another, while we run
        return {"Content-Type": CONTENT_TYPE, **({"Authorization": f"Bearer {token}"} if token else {})}

    def _turned_away(self, uplink: Uplink, answer: Answer) -> None:
        """A status that is no answer of this protocol: too busy, not enrolled, or something in between that broke."""
        status = answer.status
        detail = f"HTTP {status}: {_problem(answer)}"
        if status in (401, 403):
            self._failed("refused", detail)
        elif status in (429, 503):
            self._failed("waiting", detail, _retry_after_s(answer))
        else:
            uplink.failed()
            self._failed("unreachable", detail)

    def _failed(self, state: str, detail: str, retry_after_s: float = 0.0) -> None:
        self._pace.failed(self._now_s(), retry_after_s)
        self.state.failures += 1
        if self.state.state != state:
            _log.warning("cloud %s: %s", state, detail)
        self.state.state, self.state.detail = state, detail

    def _connected(self, uplink: Uplink) -> None:
        if self.state.state != "connected":
            _log.info("cloud connected")
        self.state.state, self.state.detail, self.state.forks = "connected", "", uplink.forks
        self.state.backlog = {stream: uplink.backlog(stream) for stream in STREAMS}

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


def _problem(answer: Answer) -> str:
    """What the server says is wrong (RFC 9457), else the status' own words."""
    try:
        problem = json.loads(answer.body)
        return str(problem.get("detail") or problem.get("title"))[:300]
    except (ValueError, AttributeError, RecursionError):
        return answer.reason


def _retry_after_s(answer: Answer) -> float:
    """Seconds that the server asks to wait (RFC 9110, 10.2.3; the form with a date is not used here)."""
    try:
        return max(0.0, float(answer.headers.get("Retry-After", "0")))
    except ValueError:
        return 0.0
