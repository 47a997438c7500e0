"""`golmok_cloud_sync.client.courier` against a real, tiny HTTP server that answers as it is told."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from golmok_cloud_sync.client import Courier, Outbox, Pace, ServerTime, is_loopback
from golmok_cloud_sync.protocol import MAX_URGENT, Frame, Hello, Part, Record, decode_request

from .both_ends import MemoryCloud, MemoryOutbox

PATIENCE_S = 30.0
HELLO = Hello("gw-1", "", "", "boot", 0, 0)

Handler = BaseHTTPRequestHandler
Answer = Callable[[Handler, bytes], None]
"""Answers one request on its connection."""


def until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.005)
    return value


def status(code: int, body: Any = None, **headers: str) -> Answer:
    """A plain answer; `body` is sent as JSON."""

    def answer(handler: Handler, _: bytes) -> None:
        said = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(said)))
        handler.end_headers()
        handler.wfile.write(said)

    return answer


def cut(handler: Handler, _: bytes) -> None:
    """The connection ends in the middle of the answer."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{")
    handler.close_connection = True


@dataclass
class Asked:
    """What came in."""

    headers: Mapping[str, str]
    hello: Hello
    parts: list[Part]
    connection: int


@dataclass
class TinyServer:
    """Answers by the script, then as a cloud would."""

    script: deque[Answer] = field(default_factory=deque)
    cloud: MemoryCloud = field(default_factory=MemoryCloud)
    asked: list[Asked] = field(default_factory=list)
    pace_s: float = 0.1
    port: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        tiny = self

        class Request(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                tiny.answer(self, body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Request)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, handler: Handler, body: bytes) -> None:
        self.asked.append(Asked(dict(handler.headers), *decode_request(body), handler.client_address[1]))
        (self.script.popleft() if self.script else self.take)(handler, body)

    def take(self, handler: Handler, body: bytes) -> None:
        """As a cloud that has time."""
        with self.one_at_a_time:  # both lanes may bring the same
            reply = json.loads(self.cloud.handle(body))
        reply |= {"pace_s": self.pace_s, "server_ms": 1_700_000_000_000}
        status(200, reply)(handler, body)

    def black_hole(self, handler: Handler, _: bytes) -> None:
        """Never answers, until the test ends."""
        handler.close_connection = True
        self.released.wait(PATIENCE_S)

    def frames(self) -> list[Frame]:
        return [part for one in self.asked for part in one.parts if isinstance(part, Frame)]

    def values(self, stream: str = "readings") -> list[Any]:
        found = [log for (_, name), log in list(self.cloud.logs.items()) if name == stream]
        return [entry.value for log in found for entry in log if isinstance(entry, Record)]

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


class Machine:
    """The clocks of a machine that started a while ago."""

    def mono_ms(self) -> int:
        return 1_000_000 + round(time.monotonic() * 1000)

    def wall_ms(self) -> int:
        return 1_700_000_000_000


@pytest.fixture
def server() -> Iterator[TinyServer]:
    server = TinyServer()
    yield server
    server.close()


def outbox_with(readings: int) -> MemoryOutbox:
    outbox = MemoryOutbox("e1")
    outbox.entries["readings"] += [Record("a.b", at, "", "boot", at) for at in range(readings)]
    return outbox


@pytest.fixture
def start(server: TinyServer) -> Iterator[Callable[..., Courier]]:
    started: list[Courier] = []

    def start(outbox: Outbox, interval_s: float = 0.1, url: str = "", **options: Any) -> Courier:
        pace = Pace(interval_s, lambda low, high: min(high, low + 0.01))
        options = dict[str, Any](clock=Machine(), new_boot=False) | options
        courier = Courier(url or server.url, HELLO, lambda: outbox, pace=pace, **options)
        courier.start()
        started.append(courier)
        return courier

    yield start
    for courier in started:
        courier.close(0.2)


TROUBLES: dict[str, tuple[Answer, str, str]] = {
    "busy": (status(429, Retry_After="0"), "waiting", "HTTP 429"),
    "maintenance": (status(503, {"title": "back soon"}), "waiting", "back soon"),
    "not enrolled": (status(401, {"detail": "this token is unknown"}), "refused", "this token is unknown"),
    "forbidden": (status(403, [1, 2]), "refused", "HTTP 403"),
    "too large": (status(413), "unreachable", "HTTP 413"),
    "a bad gateway": (status(502, b"<html>"), "unreachable", "HTTP 502"),
    "moved": (status(301, Location="http://127.0.0.1:9/"), "unreachable", "HTTP 301"),
    "a captive portal": (status(200, b"<html>please log in</html>"), "unreachable", "ProtocolError"),
    "JSON of somebody else": (status(200, {"ok": True}), "unreachable", "ProtocolError"),
    "nested": (status(502, b"[" * 100_000), "unreachable", "HTTP 502"),
    "a flood": (status(200, b" " * (3 << 20)), "unreachable", "ProtocolError"),
    "cut": (cut, "unreachable", ""),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_it_survives_every_answer_and_says_what_was_wrong(
    trouble: str, server: TinyServer, start: Callable[..., Courier]
) -> None:
    answer, state, detail = TROUBLES[trouble]
    states: list[tuple[str, str]] = []

    def then_well(handler: Handler, body: bytes) -> None:
        states.append((courier.state.state, courier.state.detail))
        server.take(handler, body)

    server.script += [answer, then_well]
    courier = start(outbox_with(10))
    until(lambda: server.values() == list(range(10)), "all is there")
    assert states[0][0] == state
    assert detail in states[0][1]
    until(lambda: courier.state.state == "connected", "it is well again")
    assert (courier.state.failures, courier.state.detail) == (1, "")


def test_409_is_an_answer_of_the_protocol(server: TinyServer, start: Callable[..., Courier]) -> None:
    def has_some(handler: Handler, body: bytes) -> None:
        status(409, json.loads(server.cloud.handle(body)))(handler, body)

    server.script += [has_some, has_some]
    courier = start(outbox_with(10))
    until(lambda: server.values() == list(range(10)), "all is there")
    assert courier.state.failures == 0


def only_urgent(server: TinyServer, otherwise: Answer) -> Answer:
    """Takes urgent requests, and answers all others so."""

    def answer(handler: Handler, body: bytes) -> None:
        (server.take if handler.headers["Golmok-Lane"] == "urgent" else otherwise)(handler, body)

    return answer


def alarm(at: int = 5) -> Record:
    return Record("fridge.alarm", str(at), "", "boot", at)


def test_retry_after_is_heeded(server: TinyServer, start: Callable[..., Courier]) -> None:
    server.script += [status(429, Retry_After="1")]
    courier = start(outbox_with(1))
    until(lambda: courier.state.state == "waiting", "it was told to wait")
    told = time.monotonic()
    until(server.values, "it came at last")
    assert time.monotonic() - told > 0.9


def test_the_exact_time_is_in_the_problem_document(server: TinyServer, start: Callable[..., Courier]) -> None:
    server.script += [status(429, {"retry_after_s": 0.3, "detail": "full"}, Retry_After="3600")]
    courier = start(outbox_with(1))
    until(lambda: courier.state.state == "waiting", "it was told to wait")
    until(server.values, "it came soon")


@pytest.mark.parametrize("told", ["-5", "nan", "inf", "1e999", "soon", "", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_retry_after_that_is_no_time_is_none(told: str, server: TinyServer, start: Callable[..., Courier]) -> None:
    server.script += [status(429, {"retry_after_s": [1]}, Retry_After=told)]
    start(outbox_with(1))
    until(server.values, "it came")


def test_alarms_go_though_telemetry_is_told_to_wait_for_ever(server: TinyServer, start: Callable[..., Courier]) -> None:
    server.script += [only_urgent(server, status(429, Retry_After="3600"))] * 9
    outbox = outbox_with(10)
    courier = start(outbox)
    until(lambda: courier.state.state == "waiting", "it was told to wait")
    for n in range(1, 4):
        outbox.entries["events"].append(alarm(n))
        courier.wake()
        until(lambda n=n: len(server.values("events")) == n, "the alarm is there")  # type: ignore[misc]
    assert server.values() == []
    assert courier.state.state == "waiting"
    assert [part.stream for one in server.asked[1:] for part in one.parts] == ["events"] * 3


def test_an_alarm_overtakes_a_request_that_hangs(server: TinyServer, start: Callable[..., Courier]) -> None:
    server.script += [server.take, only_urgent(server, server.black_hole), only_urgent(server, server.black_hole)]
    outbox = outbox_with(10)
    courier = start(outbox)
    until(lambda: len(server.asked) == 2, "telemetry hangs")
    outbox.entries["orders"].append(alarm())
    courier.wake()
    until(lambda: server.values("orders") == ["5"], "the order is there")
    assert server.asked[1].connection != server.asked[2].connection
    assert server.values() == []


def test_an_alarm_that_is_told_to_wait_heeds_it(server: TinyServer, start: Callable[..., Courier]) -> None:
    outbox = outbox_with(1)
    server.pace_s = 3600
    courier = start(outbox, interval_s=3600)
    until(lambda: courier.state.backlog and not any(courier.state.backlog.values()), "all is there")
    server.script += [status(429, Retry_After="1")]
    outbox.entries["events"].append(alarm())
    told = time.monotonic()
    courier.wake()
    until(lambda: server.values("events"), "it came at last")
    assert time.monotonic() - told > 0.9


def test_orders_of_the_last_run_do_not_wait_for_the_spread_of_a_new_boot(server: TinyServer) -> None:
    outbox = outbox_with(10)
    outbox.entries["orders"].append(alarm())
    pace = Pace(60, lambda low, high: high)
    away = server.url.replace("127.0.0.1", "0.0.0.0")  # leads to this machine, but is no loopback address
    courier = Courier(away, HELLO, lambda: outbox, clock=Machine(), pace=pace, new_boot=True)
    courier.start()
    until(lambda: server.values("orders") == ["5"], "the order is there")
    assert server.values() == []
    courier.close(0)


def test_more_than_an_urgent_request_holds_goes_in_several(server: TinyServer, start: Callable[..., Courier]) -> None:
    dice = random.Random(1)
    outbox = outbox_with(1)
    server.pace_s = 3600
    courier = start(outbox, interval_s=3600)
    until(lambda: courier.state.backlog and not any(courier.state.backlog.values()), "all is there")
    count = len(server.asked)
    texts = [dice.randbytes(6_000).hex() for _ in range(40)]
    outbox.entries["orders"] += [Record("table.order", text, "", "boot", 5) for text in texts]
    courier.wake()
    until(lambda: server.values("orders") == texts, "they are all there")
    urgent = server.asked[count:]
    assert len(urgent) > 2
    assert all(one.headers["Golmok-Lane"] == "urgent" for one in urgent)
    assert all(int(one.headers["Content-Length"]) <= MAX_URGENT for one in urgent)


def test_an_order_too_large_for_an_urgent_request_goes_at_once_with_all_else(
    server: TinyServer, start: Callable[..., Courier]
) -> None:
    outbox = outbox_with(1)
    server.pace_s = 3600
    courier = start(outbox, interval_s=3600)
    until(lambda: courier.state.backlog and not any(courier.state.backlog.values()), "all is there")
    count = len(server.asked)
    text = random.Random(2).randbytes(65_536).translate(bytes(at % 128 for at in range(256))).decode()
    outbox.entries["orders"].append(Record("table.order", text, "", "boot", 5))
    courier.wake()
    until(lambda: server.values("orders") == [text], "it is there")
    assert [one.headers.get("Golmok-Lane") for one in server.asked[count:]] == [None]


def test_a_black_hole_is_given_up_by_the_end_and_the_thread_stays_behind(
    server: TinyServer, start: Callable[..., Courier]
) -> None:
    server.script += [server.black_hole] * 5
    courier = start(outbox_with(10))
    until(lambda: server.asked, "it asks")
    begun = time.monotonic()
    courier.close(0.3)
    assert time.monotonic() - begun < 5
    server.released.set()
    until(lambda: not courier.is_alive(), "the thread ends when the request does")
    assert len(server.asked) == 1, "what was left behind begins nothing new"


def test_nobody_listens(server: TinyServer, start: Callable[..., Courier]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        courier = start(outbox_with(3), url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        until(lambda: courier.state.failures > 3, "it tries again")
        assert courier.state.state == "unreachable"
        assert "refused" in courier.state.detail


def sizes_after(server: TinyServer, trouble: Answer, start: Callable[..., Courier]) -> list[int]:
    """How many records the frames had: the first meets the trouble."""
    server.script += [server.take, trouble]
    start(outbox_with(6_000))
    until(lambda: len(server.values()) == 6_000, "all is there")
    return [frame.count for frame in server.frames()]


def test_too_large_a_request_is_halved(server: TinyServer, start: Callable[..., Courier]) -> None:
    assert sizes_after(server, status(413), start)[:3] == [4000, 2000, 4000]


def test_a_cut_line_gets_smaller_frames(server: TinyServer, start: Callable[..., Courier]) -> None:
    assert sizes_after(server, cut, start)[:2] == [4000, 2000]


def test_a_line_too_slow_for_so_much_gets_smaller_frames(server: TinyServer, start: Callable[..., Courier]) -> None:
    server.script += [server.take, server.black_hole]
    start(outbox_with(6_000), answer_s=0.3)
    until(lambda: len(server.values()) == 6_000, "all is there")
    assert [frame.count for frame in server.frames()][:2] == [4000, 2000]


def test_being_told_to_come_later_makes_no_frame_smaller(server: TinyServer, start: Callable[..., Courier]) -> None:
    assert sizes_after(server, status(503), start)[:2] == [4000, 4000]


def test_being_told_that_it_comes_too_slowly_makes_frames_smaller(
    server: TinyServer, start: Callable[..., Courier]
) -> None:
    slow = status(429, {"reason": "slow", "retry_after_s": 0.01})
    assert sizes_after(server, slow, start)[:2] == [4000, 2000]


def test_an_outage_makes_no_frame_smaller(start: Callable[..., Courier]) -> None:
    """Nobody was there; that says nothing of the line. A fleet that comes back must not come in crumbs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        courier = start(outbox_with(4_000), url=f"http://127.0.0.1:{port}")
        until(lambda: courier.state.failures > 5, "the cloud is gone")
    server = TinyServer(port=port)
    until(server.values, "it is back")
    assert [frame.count for frame in server.frames()] == [4_000]
    server.close()


def test_the_first_request_reads_no_backlog(server: TinyServer, start: Callable[..., Courier]) -> None:
    """A gateway without a line to its cloud would read thousands of records at each try, for nothing."""
    outbox = BrokenOutbox("e1", entries=outbox_with(4_000).entries)

    def well(handler: Handler, body: bytes) -> None:
        outbox.broken = False
        server.take(handler, body)

    server.script += [status(503), status(503), well]
    courier = start(outbox)
    until(lambda: server.values() == list(range(4_000)), "all is there")
    assert courier.state.failures == 2, "it would have broken, had it read"


def test_wake_sends_at_once(server: TinyServer, start: Callable[..., Courier]) -> None:
    outbox = outbox_with(1)
    server.pace_s = 3600
    courier = start(outbox, interval_s=3600)
    until(lambda: courier.state.backlog and not any(courier.state.backlog.values()), "all is there")
    count = len(server.asked)
    outbox.entries["events"].append(Record("fridge.alarm", "{}", "", "boot", 5))
    courier.wake()
    until(lambda: server.values("events") == ["{}"], "the alarm is there")
    assert len(server.asked) == count + 1


def test_close_sends_the_rest(server: TinyServer, start: Callable[..., Courier]) -> None:
    outbox = outbox_with(1)
    server.pace_s = 3600
    courier = start(outbox, interval_s=3600)
    until(lambda: courier.state.backlog and not any(courier.state.backlog.values()), "all is there")
    outbox.entries["readings"] += [Record("a.b", at, "", "boot", at) for at in range(1, 9_000)]
    courier.close(PATIENCE_S)
    assert server.values() == list(range(9_000))
    assert not courier.is_alive()


def test_close_before_the_start_and_twice(server: TinyServer) -> None:
    outbox = outbox_with(1)
    courier = Courier(server.url, HELLO, lambda: outbox, clock=Machine(), pace=Pace(60), new_boot=False)
    courier.close()
    courier.start()
    courier.close()
    courier.close()
    assert not courier.is_alive()


def test_the_token_and_who_we_are(server: TinyServer, start: Callable[..., Courier]) -> None:
    start(outbox_with(1), token=lambda: "s3cret")
    until(server.values, "it is there")
    assert all(one.headers["Authorization"] == "Bearer s3cret" for one in server.asked)
    assert all(one.headers["Content-Type"] == "application/vnd.golmok.sync" for one in server.asked)
    assert server.asked[0].hello.gateway == "gw-1"


def test_without_a_token_no_authorization(server: TinyServer, start: Callable[..., Courier]) -> None:
    start(outbox_with(1))
    until(server.values, "it is there")
    assert not any("Authorization" in one.headers for one in server.asked)


def test_a_token_that_no_header_can_hold_breaks_nothing(server: TinyServer, start: Callable[..., Courier]) -> None:
    states: set[str] = set()
    is_known = threading.Event()
    tokens = iter(["two\nlines"] * 4)

    def token() -> str:
        assert is_known.wait(PATIENCE_S)
        states.add(courier.state.state)
        return next(tokens, "s3cret")

    courier = start(outbox_with(1), token=token)
    is_known.set()
    until(server.values, "with a right one it goes on")
    assert states <= {"starting", "broken", "connected"}
    assert courier.state.failures == 4


def test_one_connection_serves_many_requests(server: TinyServer, start: Callable[..., Courier]) -> None:
    start(outbox_with(1))
    until(lambda: len(server.asked) > 5, "some requests")
    assert len({one.connection for one in server.asked}) == 1


def test_the_latest_values_go_along_only_when_it_is_far_behind(
    server: TinyServer, start: Callable[..., Courier]
) -> None:
    newest = [Record("a.b", 9_999, "", "boot", 9_999)]
    start(outbox_with(10_000), latest=lambda: newest)
    until(lambda: len(server.values()) == 10_000, "all is there")
    until(lambda: len(server.asked) > 4, "and one more")
    assert [bool(one.hello.latest) for one in server.asked[:4]] == [True, True, True, False]
    assert server.asked[0].hello.latest == newest


def test_more_latest_values_than_a_request_holds(server: TinyServer, start: Callable[..., Courier]) -> None:
    texts = [Record(f"t{at}.x", "가" * 60_000, "", "boot", at) for at in range(100)]
    wide = [Record("ㅎ" * 80 + str(at), at, "kg" * 100, "boot", at, "bad", "왜" * 80) for at in range(3_000)]
    start(outbox_with(10_000), latest=lambda: [*texts, *wide])
    until(lambda: len(server.values()) == 10_000, "the server could read it all")
    assert 100 < len(server.asked[0].hello.latest) <= 1_000


class BrokenOutbox(MemoryOutbox):
    """The disk gives an error, for a while."""

    broken = True

    def read(self, stream: Any, lo: int, limit: int) -> Any:
        if self.broken:
            raise OSError("the disk is gone")
        return super().read(stream, lo, limit)


def test_an_error_of_the_store_ends_nothing(server: TinyServer, start: Callable[..., Courier]) -> None:
    outbox = BrokenOutbox("e1", entries=outbox_with(10).entries)
    courier = start(outbox)
    until(lambda: courier.state.state == "broken", "it says so")
    assert "the disk is gone" in courier.state.detail
    outbox.broken = False
    until(lambda: server.values() == list(range(10)), "it goes on")


def test_a_store_that_was_set_aside_does_not_wait_for_what_the_cloud_is_owed(server: TinyServer) -> None:
    """The cloud was away for long, the next failure of it would mean minutes; but this one is ours, and over."""
    outboxes = [BrokenOutbox("e0", entries=outbox_with(5).entries), outbox_with(10)]
    shares = [0.0]
    pace = Pace(0.1, lambda low, high: low + shares[0] * (high - low))
    for _ in range(8):
        pace.failed(0.0)
    shares[0] = 1.0
    courier = Courier(server.url, HELLO, lambda: outboxes.pop(0), clock=Machine(), pace=pace, new_boot=False)
    courier.start()
    until(lambda: server.values() == list(range(10)), "what is in the new store is there")
    until(lambda: courier.state.state == "connected", "it says so")
    courier.close(0)


def test_an_alarm_in_the_store_that_takes_the_place_of_another_goes_at_once(server: TinyServer) -> None:
    outboxes = [outbox_with(1)]
    server.pace_s = 3600
    courier = Courier(server.url, HELLO, lambda: outboxes[-1], clock=Machine(), pace=Pace(3600), new_boot=False)
    courier.start()
    until(lambda: courier.state.is_all_sent, "all is there")
    anew = MemoryOutbox("e2")
    outboxes.append(anew)
    courier.renew()
    anew.entries["events"].append(alarm())
    courier.wake()
    until(lambda: server.values("events") == ["5"], "the alarm is there")
    assert courier.state.failures == 0
    courier.close(0)


def test_the_time_of_the_server_lies_between_two_moments(server: TinyServer, start: Callable[..., Courier]) -> None:
    times: list[ServerTime] = []
    start(outbox_with(1), on_time=times.append)
    until(lambda: len(times) > 1, "replies came")
    assert all(one.server_ms == 1_700_000_000_000 for one in times)
    assert all(1_000_000 <= one.sent_mono_ms <= one.came_mono_ms for one in times)


def test_a_listener_that_breaks_ends_nothing(server: TinyServer, start: Callable[..., Courier]) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("a bug")

    courier = start(outbox_with(10), on_reply=broken)
    until(lambda: server.values() == list(range(10)), "all is there all the same")
    assert courier.state.failures > 0


@pytest.mark.parametrize(
    ("url", "is_so"),
    [
        ("http://127.0.0.1:8400", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:8400", True),
        ("http://localhost", True),
        ("https://cloud.example", False),
        ("http://10.0.0.1", False),
        ("http://localhost.example", False),
    ],
)
def test_is_loopback(url: str, is_so: bool) -> None:
    assert is_loopback(url) == is_so


def test_a_token_that_comes_later_is_used(server: TinyServer, start: Callable[..., Courier]) -> None:
    tokens = iter([None])
    courier = start(outbox_with(1), token=lambda: next(tokens, "now"))
    until(lambda: any("Authorization" in asked.headers for asked in server.asked), "the token is used")
    assert "Authorization" not in server.asked[0].headers
    assert courier.is_alive()
