"""A fleet comes back after an outage: every gateway at once, with a backlog each, and orders meanwhile.

A real `golmok-cloud` with its log on disk, and simulated gateways in this process: each has its own connections (one
for all, one for orders), its own place in its streams, and the product's own `Pace`; the bytes are the product's own.
Orders come by a clock of their own, whether the one before is through or not. Afterwards all is compared with what
the cloud holds: counts and CRCs of every gateway, the values of some.

A second run kills the server in the middle of it and starts it again.

Generator and server have a core each, where there are two: else one measures the other. Who else was busy on the
machine meanwhile is told with the figures (`others_busy`, in cores); a run on a busy machine says little of waits.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import uvloop

from bench.server import BOOT, cpu_s, readings
from golmok_cloud_sync.client import Pace
from golmok_cloud_sync.protocol import (
    CONTENT_TYPE,
    LANE_HEADER,
    URGENT,
    Hello,
    Record,
    Stream,
    StreamReport,
    encode_request,
    frame,
    record_crc,
)

GATEWAYS: Final = 2_000
BATCHES: Final = 20
BATCH: Final = 1_000
KINDS: Final = 16
"""Different backlogs; a gateway has one of them, and its neighbour another."""
ORDERS_PER_S: Final = 50.0
ORDERING_SHARE: Final = 0.1
"""Of the gateways."""
COMPARED: Final = 20
"""Gateways of which every value is compared."""
MOST_BUSY: Final = 0.7
"""A generator that has less time than this to itself measures itself."""
NAME: Final = "gw-storm-00000"
EPOCH: Final = "00000000aaaaaaaa"
CORES: Final = sorted(os.sched_getaffinity(0))
LATE_S: Final = 3.0
PATIENCE_S: Final = 600.0
ANSWER_S: Final = 30.0
_NEXT_SEQ: Final = {
    stream: re.compile(rb'"%s": ?\{"next_seq": ?(\d+), ?"last_crc": ?(\d+)' % stream.encode())
    for stream in ("readings", "orders")
}
_HELD: Final = """
select s.stream, e.gateway, s.next_seq, s.last_crc,
       (select sum(b.next_seq - b.first_seq) from batch b where b.stream_id = s.id)
from stream_state s join epoch e on e.id = s.epoch_id
"""
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_TOLD: Final = re.compile(rb'"retry_after_s": ?([0-9.]+)')


# --- the backlog ------------------------------------------------------------------------------------------------------


@dataclass
class Backlog:
    """What gateways of one kind have to send: whole requests for a placeholder's name, and the CRC at the end."""

    records: list[Record]
    requests: list[bytes]
    hello: bytes
    last_crc: int


def http(body: bytes, *, urgent: bool = False) -> bytes:
    lane = f"{LANE_HEADER}: {URGENT}\r\n" if urgent else ""
    head = f"POST /v1/sync HTTP/1.1\r\nHost: cloud\r\nContent-Type: {CONTENT_TYPE}\r\n{lane}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def hello(streams: dict[Stream, StreamReport], latest: Sequence[Record] = ()) -> Hello:
    return Hello(NAME, "gateway", EPOCH, BOOT, 10**9, 10**12, "v1", "0.1", streams, latest)


def backlog(kind: int, batches: int) -> Backlog:
    records = readings(BATCH * batches, seed=kind)
    latest = list({record.channel: record for record in records}.values())
    requests, crc = [], 0
    for i in range(batches):
        mine = records[BATCH * i : BATCH * (i + 1)]
        part = frame("readings", 1 + BATCH * i, mine, crc)
        crc = record_crc(mine[-1])
        report = StreamReport(len(records), BATCH * i)
        rest = latest if report.backlog > 4 * BATCH else ()
        requests.append(http(encode_request(hello({"readings": report}, rest), [part])))
    first = http(encode_request(hello({"readings": StreamReport(len(records))}, latest)))
    return Backlog(records, requests, first, crc)


# --- a gateway --------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What the generator saw."""

    waits: dict[str, list[float]] = field(default_factory=lambda: {"readings": [], "orders": [], "told": []})
    statuses: Counter[int] = field(default_factory=Counter)
    urgent_statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    connects: Counter[int] = field(default_factory=Counter)
    late: Counter[int] = field(default_factory=Counter)
    """Second of the storm in which an answer came that took longer than `LATE_S`, and how many."""
    done: int = 0
    acked: int = 0


class Lane(asyncio.Protocol):
    """One connection and the one request under way on it."""

    def __init__(self, storm: Storm, name: str, *, urgent: bool, seed: int) -> None:
        self.storm, self.name, self.urgent = storm, name, urgent
        pace = Pace(60.0, random.Random(seed).uniform)
        self.pace = pace.for_urgent() if urgent else pace
        self.next_seq, self.last_crc = 1, 0
        self.transport: asyncio.Transport | None = None
        self.got = b""
        self.sent_s = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self.is_waiting = self.is_connecting = False

    def request(self) -> bytes | None:
        """What to send next, for the placeholder; None if there is nothing."""
        raise NotImplementedError

    def answered(self, status: int, body: bytes, took_s: float) -> None:
        """Learn from a reply."""
        raise NotImplementedError

    # --- sending

    def go(self) -> None:
        """Send as soon as the pace lets us."""
        if self.is_waiting or self.is_connecting:
            return
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        wait_s = self.pace.wait_s(time.monotonic())
        if wait_s > 0:
            self.timer = self.storm.loop.call_later(wait_s, self._wake)
        elif self.transport is None:
            self.is_connecting = True
            self.storm.start(self._connect())
        else:
            self._send(self.transport)

    def _wake(self) -> None:
        self.timer = None
        self.go()

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(5):
                await self.storm.loop.create_connection(lambda: self, "127.0.0.1", self.storm.port)
        except (OSError, TimeoutError):
            self.is_connecting = False
            self.storm.tally.broken += 1
            self.pace.failed(time.monotonic())
            self.go()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP has no other
        self.transport, self.is_connecting, self.got = transport, False, b""
        self.storm.tally.connects[int(time.monotonic())] += 1
        self._send(transport)

    def _send(self, transport: asyncio.Transport) -> None:
        request = self.request()
        if request is None:
            return
        self.is_waiting, self.sent_s = True, time.monotonic()
        transport.write(request.replace(NAME.encode(), self.name.encode()))
        self.timer = self.storm.loop.call_later(ANSWER_S, self._hangs)

    def _hangs(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    # --- receiving

    def data_received(self, data: bytes) -> None:
        self.got += data
        head, found, body = self.got.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        if not found or length is None or len(body) < int(length[1]):
            return
        self.got = b""
        self._settle()
        status, now_s = int(head[9:12]), time.monotonic()
        took_s = now_s - self.sent_s
        (self.storm.tally.urgent_statuses if self.urgent else self.storm.tally.statuses)[status] += 1
        if b"connection: close" in head.lower() and self.transport is not None:
            self.transport.abort()
        if status in (200, 409):
            self.answered(status, body, took_s)
            self.pace.succeeded(now_s, 60.0, more=True)
        else:
            self.storm.tally.waits["told"].append(took_s)
            told = _TOLD.search(body)
            self.pace.failed(now_s, float(told[1]) if told else 1.0)
        self.go()

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self.is_waiting:
            self._settle()
            self.storm.tally.broken += 1
            self.pace.failed(time.monotonic())
            self.go()

    def _settle(self) -> None:
        self.is_waiting = False
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def learn(self, stream: str, body: bytes) -> None:
        if found := _NEXT_SEQ[stream].search(body):
            self.next_seq, self.last_crc = int(found[1]), int(found[2])

    def close(self) -> None:
        self._settle()
        if self.transport is not None:
            self.transport.abort()


class Telemetry(Lane):
    """Sends the backlog, a batch at a time."""

    def __init__(self, storm: Storm, number: int) -> None:
        super().__init__(storm, f"gw-storm-{number:05d}", urgent=False, seed=2 * number)
        self.backlog = storm.backlogs[number % KINDS]
        self.has_met = False
        self.only_meets = True
        """Before the outage it only calls."""

    @property
    def is_done(self) -> bool:
        return self.next_seq > BATCH * len(self.backlog.requests)

    def request(self) -> bytes | None:
        if not self.has_met:
            return self.backlog.hello
        return None if self.is_done or self.only_meets else self.backlog.requests[(self.next_seq - 1) // BATCH]

    def answered(self, status: int, body: bytes, took_s: float) -> None:
        before = self.next_seq
        self.learn("readings", body)
        if self.has_met:
            self.storm.tally.waits["readings"].append(took_s)
            if took_s > LATE_S:
                self.storm.tally.late[int(time.monotonic() - self.storm.began_s)] += 1
        self.has_met = True
        self.storm.tally.acked += self.next_seq - before
        if self.is_done and before < self.next_seq:
            self.storm.tally.done += 1
            if self.storm.tally.done == len(self.storm.fleet):
                self.storm.drained.set()


class Orders(Lane):
    """Sends orders as they come; those that came while a request was under way go together in the next one."""

    def __init__(self, storm: Storm, number: int) -> None:
        super().__init__(storm, f"gw-storm-{number:05d}", urgent=True, seed=2 * number + 1)
        self.records: list[Record] = []
        self.due_s: list[float] = []

    def order(self, due_s: float) -> None:
        at = len(self.records) + 1
        text = json.dumps({"table": at % 12, "items": [["아메리카노", 2], ["녹차", 1]], "id": f"{self.name}-{at}"})
        self.records.append(Record("table.order", text, "", BOOT, 10**6 + at))
        self.due_s.append(due_s)
        self.go()

    def request(self) -> bytes | None:
        lo = self.next_seq
        if lo > len(self.records):
            return None
        crc = record_crc(self.records[lo - 2]) if lo > 1 else 0
        part = frame("orders", lo, self.records[lo - 1 : lo + 99], crc)
        return http(encode_request(hello({"orders": StreamReport(len(self.records), lo - 1)}), [part]), urgent=True)

    def answered(self, status: int, body: bytes, took_s: float) -> None:
        before, now_s = self.next_seq, time.monotonic()
        self.learn("orders", body)
        self.storm.tally.waits["orders"] += [now_s - due_s for due_s in self.due_s[before - 1 : self.next_seq - 1]]


# --- the storm --------------------------------------------------------------------------------------------------------


@dataclass
class Storm:
    """The fleet against one server."""

    port: int
    gateways: int
    backlogs: list[Backlog]
    orders_per_s: float
    tally: Tally = field(default_factory=Tally)
    fleet: list[Telemetry] = field(default_factory=list)
    ordering: list[Orders] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)
    began_s: float = 0.0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.fleet = [Telemetry(self, number) for number in range(self.gateways)]
        count = max(1, int(self.gateways * ORDERING_SHARE))
        self.ordering = [Orders(self, number * self.gateways // count) for number in range(count)]

    def start(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def meet(self) -> None:
        """Everybody calls once, some at a time, before the outage."""
        self.loop, self.drained = asyncio.get_running_loop(), asyncio.Event()
        for first in range(0, self.gateways, 50):
            some = self.fleet[first : first + 50]
            for gateway in some:
                gateway.pace.start(time.monotonic(), new_boot=False, loopback=True)
                gateway.go()
            await until(lambda some=some: all(one.has_met for one in some))
        for gateway in self.fleet:
            gateway.close()
            gateway.only_meets = gateway.has_met = False
        await asyncio.sleep(0.1)
        self.tally = Tally()

    async def run(self, middle: Any = None) -> dict[str, Any]:
        """All at once; until everything is in the cloud."""
        self.loop, self.drained = asyncio.get_running_loop(), asyncio.Event()
        for lane in [*self.fleet, *self.ordering]:
            lane.pace = Pace(60.0, lane.pace.uniform).for_urgent() if lane.urgent else Pace(60.0, lane.pace.uniform)
        self.start(self._order())
        self.start(self._look())
        happening = self.loop.create_task(middle(self)) if middle is not None else None
        cpu, began_s = time.process_time(), time.monotonic()
        self.began_s = began_s
        for gateway in self.fleet:
            gateway.go()
        await asyncio.wait_for(self.drained.wait(), PATIENCE_S)
        took_s = time.monotonic() - began_s
        busy = (time.process_time() - cpu) / took_s
        for task in list(self._tasks):
            task.cancel()
        if happening is not None:
            await happening
        await until(lambda: all(len(one.records) < one.next_seq for one in self.ordering))
        return self._report(took_s, busy)

    async def _order(self) -> None:
        """By a clock that does not care how the cloud is."""
        dice, due_s = random.Random(7), time.monotonic()
        while True:
            due_s += dice.expovariate(self.orders_per_s)
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            dice.choice(self.ordering).order(due_s)

    async def _look(self) -> None:
        """Somebody looks at pages meanwhile, and asks for readings."""
        name = self.fleet[self.gateways // 2].name
        for n in range(10**6):
            await asyncio.sleep(0.4)
            began_s = time.monotonic()
            path = ("/", f"/v1/gateways/{name}", f"/v1/gateways/{name}/readings?limit=100", "/v1/load")[n % 4]
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                async with asyncio.timeout(10):
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.write(f"GET {path} HTTP/1.1\r\nHost: cloud\r\nConnection: close\r\n\r\n".encode())
                    await reader.read()
                    writer.close()
                self.pages.append(time.monotonic() - began_s)

    def _report(self, took_s: float, busy: float) -> dict[str, Any]:
        tally = self.tally
        return {
            "drained_s": round(took_s, 2),
            "readings_per_s": round(tally.acked / took_s),
            "requests_per_s": round(sum(tally.statuses.values()) / took_s),
            "orders": spread(tally.waits["orders"]),
            "others": spread(tally.waits["readings"]),
            "late_at_s": dict(sorted(tally.late.items())),
            "until_told_to_wait": spread(tally.waits["told"]),
            "pages": spread(self.pages),
            "statuses": {str(status): n for status, n in sorted(tally.statuses.items())},
            "urgent_statuses": {str(status): n for status, n in sorted(tally.urgent_statuses.items())},
            "connections_broken": tally.broken,
            "peak_connects_per_s": max(tally.connects.values(), default=0),
            "generator_busy": round(busy, 3),
        }


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # what it waits for is spread over all gateways
            await asyncio.sleep(0.02)


def spread(waits: Sequence[float]) -> dict[str, float]:
    if not waits:
        return {"count": 0}
    sizes = sorted(waits)
    ms = {"p50_ms": sizes[len(sizes) // 2], "p99_ms": sizes[len(sizes) * 99 // 100], "max_ms": sizes[-1]}
    return {"count": len(sizes), **{key: round(1000 * value, 1) for key, value in ms.items()}}


# --- the server -------------------------------------------------------------------------------------------------------


class Server:
    """A real one, that can be killed and started again on its port."""

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self.folder, self.options, self.port = folder, options, 0
        self.cpu_s = self.down_s = 0.0
        self.resident_mb: list[float] = []
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "golmok_cloud_sync.server.cli", "serve", "--data", str(self.folder),
             "--listen", f"127.0.0.1:{self.port}", "--open-enrolment", *self.options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        if len(CORES) > 1:
            os.sched_setaffinity(self.process.pid, CORES[1:])
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rpartition(":")[2])
        self.get("/healthz")  # it listens at once, and answers when it has loaded

    def kill(self) -> None:
        self._note()
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self._note()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def _note(self) -> None:
        self.cpu_s += cpu_s(self.process.pid)
        (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text(), re.MULTILINE)
        self.resident_mb.append(int(peak) * 1024 / 1e6)

    async def kill_in_the_middle(self, storm: Storm) -> None:
        goal = storm.gateways * len(storm.backlogs[0].requests) * BATCH // 3
        await until(lambda: storm.tally.acked > goal)
        began_s = time.monotonic()
        await asyncio.get_running_loop().run_in_executor(None, self.kill)
        await asyncio.get_running_loop().run_in_executor(None, self.start)
        self.down_s = time.monotonic() - began_s

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:  # ours
            return str(answer.read().decode())


def machine_cpu_s() -> float:
    """Seconds that all cores have worked, for whomever (proc(5), /proc/stat: all but idle and iowait)."""
    fields = list(map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]))
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def waited_s(pid: int) -> float:
    """Seconds that the threads of a process wanted a core that others had (/proc/PID/task/*/schedstat)."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[1]) for file in files) / 1e9


def judge(server: Server, storm: Storm) -> dict[str, int]:
    """What the cloud holds against what was sent: of every gateway how much and the last CRC, of some every value.

    The first is read from the log's file, where a record that is there twice counts twice.
    """
    lost = doubled = wrong = 0
    sent: list[tuple[str, str, list[Record]]] = [("orders", one.name, one.records) for one in storm.ordering]
    sent += [("readings", one.name, one.backlog.records) for one in storm.fleet]
    with closing(sqlite3.connect(server.folder / "log.db")) as db:
        found = {(stream, name): row for stream, name, *row in db.execute(_HELD)}
    for stream, name, records in sent:
        next_seq, last_crc, held = found.get((stream, name), (1, 0, 0))
        lost += max(0, len(records) + 1 - next_seq)
        doubled += max(0, (held or 0) - len(records))
        wrong += last_crc != (record_crc(records[-1]) if records else 0)
    compared = sent[: len(storm.ordering) : max(1, len(storm.ordering) // COMPARED)]
    for stream, name, records in [*compared, *sent[len(storm.ordering) :: max(1, len(storm.fleet) // COMPARED)]]:
        held_now = list(lines(server, f"/v1/gateways/{name}/{stream}?limit=100000")) if records else []
        wanted = [(seq, record.channel, record.value) for seq, record in enumerate(records, 1)]
        counted = Counter(held_now)
        lost += len(set(wanted) - counted.keys())
        doubled += sum(counted.values()) - len(counted)
        wrong += len(counted.keys() - set(wanted)) + (held_now != wanted)
    return {"records": sum(len(records) for *_, records in sent), "lost": lost, "doubled": doubled, "wrong": wrong}


def lines(server: Server, path: str) -> Iterator[tuple[int, str, Any]]:
    for line in server.get(path).splitlines():
        row = json.loads(line)
        yield row["seq"], row["channel"], row["value"]


def measure(folder: Path, gateways: int, batches: int, options: Sequence[str], *, kill: bool) -> dict[str, Any]:
    backlogs = [backlog(kind, batches) for kind in range(KINDS)]
    server = Server(folder, options)
    try:
        return against(server, gateways, backlogs, kill=kill)
    finally:
        server.process.kill()


def against(server: Server, gateways: int, backlogs: list[Backlog], *, kill: bool) -> dict[str, Any]:
    """One storm and what is to be said of it."""
    storm = Storm(server.port, gateways, backlogs, ORDERS_PER_S)
    gc.freeze()

    os.sched_setaffinity(0, CORES[:1])

    async def work() -> dict[str, Any]:
        await storm.meet()
        server.kill()  # the outage: what the server knew by heart is gone
        server.start()
        before = cpu_s(server.process.pid)
        server.cpu_s = -before
        server.resident_mb.clear()
        machine_s, own_s, own_wait_s = machine_cpu_s(), time.process_time(), waited_s(os.getpid())
        wait_s, began_s = waited_s(server.process.pid), time.monotonic()
        told = await storm.run(server.kill_in_the_middle if kill else None)
        took_s, its_s = time.monotonic() - began_s, server.cpu_s + cpu_s(server.process.pid)
        others_s = machine_cpu_s() - machine_s - (time.process_time() - own_s) - its_s
        return told | {
            "generator_waited": round((waited_s(os.getpid()) - own_wait_s) / took_s, 3),
            "server_waited": None if kill else round((waited_s(server.process.pid) - wait_s) / took_s, 3),
            "others_busy": round(others_s / took_s, 2),
        }

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(work())
    text = server.get("/metrics")
    os.sched_setaffinity(0, CORES)
    result["turned_away"] = dict(re.findall(r'^golmok_turned_away_total\{reason="(\w+)"\} (\d+)', text, re.MULTILINE))
    result |= judge(server, storm)
    server.stop()
    spent = server.cpu_s
    result["server_cpu_s"] = round(spent, 2)
    result["server_busy"] = round(spent / result["drained_s"], 2)
    result["server_peak_resident_mb"] = round(max(server.resident_mb), 1)
    if kill:
        result["server_down_s"] = round(server.down_s, 2)
    return result


def main() -> None:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder if not given")
    parser.add_argument("--quick", action="store_true", help="200 gateways with 5 batches each")
    parser.add_argument("--gateways", type=int, default=GATEWAYS)
    parser.add_argument("--batches", type=int, default=BATCHES)
    parser.add_argument("--queue-bytes", type=int, help="the server's --queue-bytes")
    parser.add_argument("--only", choices=["storm", "killed"], help="one of the two runs")
    options = parser.parse_args()
    gateways, batches = (200, 5) if options.quick else (options.gateways, options.batches)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * gateways + 256)), hard))
    given = ["--queue-bytes", str(options.queue_bytes)] if options.queue_bytes else []
    result: dict[str, Any] = {"gateways": gateways, "batches": batches, "readings_per_batch": BATCH}
    for name in [options.only] if options.only else ["storm", "killed"]:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="golmok-storm-") as folder:
            print(f"storm: {name}", file=sys.stderr, flush=True)
            result[name] = measure(Path(folder) / "cloud", gateways, batches, given, kill=name == "killed")
            print(f"storm: {name}: {json.dumps(result[name])}", file=sys.stderr, flush=True)
    runs = [result[name] for name in ("storm", "killed") if name in result]
    result["void"] = any(run["generator_busy"] >= MOST_BUSY for run in runs)
    json.dump(result, sys.stdout, indent=None if options.json else 1)
    print()
    if result["void"]:
        print("void: the generator was too busy to measure anything but itself", file=sys.stderr)
    if result["void"] or any(run["lost"] or run["doubled"] or run["wrong"] for run in runs):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
