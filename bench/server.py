"""What a reading costs the cloud, from HTTP to the disk: CPU of the server process, beside PostgreSQL's COPY.

`python -m bench.server --json`. A second process prebuilds every request and sends them over keep-alive
connections, each one gateway that waits for its acknowledgement before it sends the next batch; the server's user
and system time is read from /proc before and after. The peer is a server-side binary COPY of the same number of
rows into a table with a primary key, its CPU that of all PostgreSQL processes: it has no HTTP, no decoding and no
network, so it is a bound for whoever writes a row for each reading. Both run in turns, for the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from golmok_cloud_sync.protocol import (
    CONTENT_TYPE,
    Frame,
    Hello,
    Record,
    Stream,
    StreamReport,
    encode_request,
    frame,
    record_crc,
)

CONNECTIONS: Final = 64
BOOT: Final = "8c3f0b6e5d2a4f19b7c1d0e9a8f76543"
TICKS: Final = os.sysconf("SC_CLK_TCK")
ROUNDS: Final = 3


def readings(count: int, seed: int = 1) -> list[Record]:
    """The mix of DESIGN section 10: 5 temperature walks of .01, 4 vibrations, 2 switches; 3 ms of jitter."""
    chance = random.Random(seed)
    temperature = [20.0 + i for i in range(5)]
    events: list[tuple[int, Record]] = []
    for tick in range(count // 9 + 2):
        for i in range(9):
            now = 60_000 + 10_000 * tick + 900 * i + chance.randint(-3, 3)
            if i < 5:
                temperature[i] = round(temperature[i] + chance.gauss(0, 0.02), 2)
                events.append((now, Record(f"room-{i}.temperature", temperature[i], "Cel", BOOT, now)))
            else:
                value = round(abs(chance.gauss(2, 0.1)), 4)
                events.append((now, Record(f"motor-{i}.vibration", value, "mm/s", BOOT, now)))
    for i in range(2):
        now, is_open = 60_000, False
        while now < events[-1][0]:
            now += int(chance.expovariate(1 / 20_000)) + 1
            is_open = not is_open
            events.append((now, Record(f"door-{i}.open", is_open, "", BOOT, now)))
    events.sort(key=lambda event: event[0])
    return [record for _, record in events[:count]]


# --- the generator, a process of its own ----------------------------------------------------------------------------


def requests(gateway: str, frames: Sequence[Frame], latest: Sequence[Record], address: str) -> list[bytes]:
    """Whole HTTP requests, each with one frame; or with none, a first contact."""
    made = []
    for parts in [[part] for part in frames] or [[]]:
        streams: dict[Stream, StreamReport] = {part.stream: StreamReport(part.hi - 1, part.lo - 1) for part in parts}
        hello = Hello(gateway, "gateway", "0123456789abcdef", BOOT, 10**9, 10**12, "v1", "0.1", streams, latest)
        body = encode_request(hello, parts)
        head = f"POST /v1/sync HTTP/1.1\r\nHost: {address}\r\nContent-Type: {CONTENT_TYPE}\r\n"
        made.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return made


async def send(address: str, bodies: Sequence[bytes], waits: list[float]) -> None:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for body in bodies:
        began = time.perf_counter()
        writer.write(body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"the server said {head[:40]!r}")
        waits.append(time.perf_counter() - began)
    writer.close()


async def together(address: str, plans: Sequence[Sequence[bytes]], waits: list[float]) -> None:
    await asyncio.gather(*(send(address, plan, waits) for plan in plans))


def generate(address: str, batch: int, batches: int, name: str) -> None:
    """Prebuild, say that it is ready, wait for a line, send, report."""
    records = readings(batch * batches)
    crcs = [0, *(record_crc(records[at - 1]) for at in range(batch, len(records), batch))]
    frames = [frame("readings", 1 + batch * i, records[batch * i : batch * (i + 1)], crcs[i]) for i in range(batches)]
    latest = list({record.channel: record for record in records}.values())
    plans = [requests(f"gw-{name}-{i:03d}", frames, latest, address) for i in range(CONNECTIONS)]
    hellos = [requests(f"gw-{name}-{i:03d}", [], latest, address) for i in range(CONNECTIONS)]
    asyncio.run(together(address, hellos, []))
    print(json.dumps({"payload": sum(len(f.payload) for f in frames) / len(records)}), flush=True)
    sys.stdin.readline()
    waits: list[float] = []
    cpu, began = time.process_time(), time.perf_counter()
    asyncio.run(together(address, plans, waits))
    took = time.perf_counter() - began
    waits.sort()
    result = {
        "seconds": took,
        "busy": (time.process_time() - cpu) / took,
        "p50_ms": 1000 * waits[len(waits) // 2],
        "p99_ms": 1000 * waits[len(waits) * 99 // 100],
    }
    print(json.dumps(result), flush=True)


# --- the server -------------------------------------------------------------------------------------------------------


@contextmanager
def server(folder: Path) -> Iterator[tuple[int, str]]:
    """A server's process id and address."""
    options = ["--data", str(folder), "--listen", "127.0.0.1:0", "--open-enrolment"]
    with subprocess.Popen(
        [sys.executable, "-m", "golmok_cloud_sync.server.cli", "serve", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.pid, process.stdout.readline().partition("http://")[2].strip()
        finally:
            process.terminate()


def cpu_s(pid: int, *, with_children: bool = False) -> float:
    """User and system time of a process (and of its children that have ended)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if with_children else 13])) / TICKS


def ingest(pid: int, address: str, batch: int, batches: int, name: str) -> dict[str, Any]:
    """Send `batches` batches over each connection; what that cost the server."""
    arguments = [address, str(batch), str(batches), name]
    with subprocess.Popen(
        [sys.executable, "-m", "bench.server", "--generate", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as generator:  # fmt: skip
        assert generator.stdin is not None
        assert generator.stdout is not None
        prepared = json.loads(generator.stdout.readline())
        before = cpu_s(pid)
        generator.stdin.write("go\n")
        generator.stdin.flush()
        result = json.loads(generator.stdout.readline())
        spent = cpu_s(pid) - before
    count = batch * batches * CONNECTIONS
    return {
        "readings": count,
        "cpu_ns_per_reading": spent / count * 1e9,
        "cpu_us_per_request": spent / (batches * CONNECTIONS) * 1e6,
        "readings_per_s": count / result["seconds"],
        "requests_per_s": batches * CONNECTIONS / result["seconds"],
        "p50_ms": result["p50_ms"],
        "p99_ms": result["p99_ms"],
        "generator_busy": result["busy"],
        "payload_bytes_per_reading": prepared["payload"],
    }


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def postgres_folder() -> Path | None:
    """Where PostgreSQL's programs are, if it is installed."""
    for initdb in (shutil.which("initdb"), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")))):
        if initdb is not None:
            return Path(initdb).resolve().parent
    return None


def as_postgres(*command: str | Path) -> list[str]:
    """PostgreSQL refuses to run as root."""
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    return [*user, *map(str, command)]


def rows(path: Path, count: int, device: int) -> None:
    """`count` rows in PostgreSQL's binary form: device int4, seq int8, ts timestamptz, metric int2, value float8."""
    chance = random.Random(device)
    with path.open("wb") as file:
        file.write(b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0))
        for seq in range(count):
            file.write(
                struct.pack(">hiiiqiqihid", 5, 4, device + seq % CONNECTIONS, 8, seq, 8, seq * 10**6, 2, seq % 11, 8,
                            round(chance.gauss(20, 1), 2))
            )  # fmt: skip
        file.write(struct.pack(">h", -1))
    path.chmod(0o644)


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[int, Path]]:
    """A PostgreSQL of our own in `folder`: the postmaster's process id and the folder of its programs."""
    programs = postgres_folder()
    assert programs is not None
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    data = folder / "data"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(as_postgres(programs / "initdb", "-D", data, "-A", "trust"), check=True, cwd=folder, **quiet)  # type: ignore[call-overload]
    options: list[str | Path] = [
        "-k",
        folder,
        "-c",
        "listen_addresses=",
        "-c",
        "max_wal_size=4GB",
        "-c",
        "client_min_messages=warning",
    ]
    with subprocess.Popen(as_postgres(programs / "postgres", "-D", data, *options), cwd=folder, **quiet) as postmaster:  # type: ignore[call-overload]
        try:
            end = time.monotonic() + 30
            while subprocess.run(as_postgres(programs / "pg_isready", "-h", folder), check=False, **quiet).returncode:  # type: ignore[call-overload]
                assert time.monotonic() < end, "PostgreSQL did not start"
            yield postmaster.pid, programs
        finally:
            postmaster.terminate()


def copy(folder: Path, pid: int, programs: Path, count: int, device: int) -> dict[str, float]:
    """COPY `count` rows in one transaction into the keyed table; what that cost all of PostgreSQL."""
    rows(folder / "rows", count, device)
    columns = "device int, seq bigint, ts timestamptz, metric smallint, value double precision"
    create = f"create table if not exists reading ({columns}, primary key (device, seq))"
    psql = as_postgres(programs / "psql", "-qh", folder, "-d", "postgres", "-c", "set client_min_messages = error")
    subprocess.run([*psql, "-c", create], check=True, cwd=folder)
    before, began = _cluster_s(pid), time.perf_counter()
    subprocess.run([*psql, "-c", f"copy reading from '{folder / 'rows'}' (format binary)"], check=True, cwd=folder)
    took = time.perf_counter() - began
    return {"cpu_ns_per_row": (_cluster_s(pid) - before) / count * 1e9, "rows_per_s": count / took}


def _cluster_s(pid: int) -> float:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_s(pid, with_children=True) + sum(map(cpu_s, map(int, children)))


# --- all of it --------------------------------------------------------------------------------------------------------


def middle(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The median of each figure."""
    return {key: round(statistics.median(run[key] for run in runs), 2) for key in runs[0]}


def measure(folder: Path, share: int) -> dict[str, Any]:
    thousand, fifty, copied = [], [], []
    with ExitStack() as running:
        pid, address = running.enter_context(server(folder / "cloud"))
        peer = running.enter_context(postgres(folder / "postgres")) if postgres_folder() is not None else None
        ingest(pid, address, 1_000, 2, "warm")
        for i in range(ROUNDS):
            thousand.append(ingest(pid, address, 1_000, max(2, 20 // share), f"t{i}"))
            if peer is not None:
                copied.append(copy(folder / "postgres", *peer, 1_000_000 // share, 1_000 * i))
            fifty.append(ingest(pid, address, 50, max(2, 40 // share), f"f{i}"))
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    result: dict[str, Any] = {
        "batches_of_1000": middle(thousand),
        "batches_of_50": middle(fifty),
        "connections": CONNECTIONS,
        "server_resident_mb": round(resident / 1e6, 1),
    }
    if copied:
        result["postgresql_copy_keyed"] = middle(copied)
        ratio = result["postgresql_copy_keyed"]["cpu_ns_per_row"] / result["batches_of_1000"]["cpu_ns_per_reading"]
        result["times_cheaper_than_copy"] = round(ratio, 2)
    return result


def main() -> None:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder if not given")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--generate", nargs=4, metavar=("ADDRESS", "BATCH", "BATCHES", "NAME"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.generate is not None:
        address, batch, batches, name = options.generate
        generate(address, int(batch), int(batches), name)
        return
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="golmok-bench-") as name:
        Path(name).chmod(0o755)
        result = measure(Path(name), 10 if options.quick else 1)
    json.dump(result, sys.stdout, indent=None if options.json else 1)
    print()


if __name__ == "__main__":
    main()
