"""A real server process and a plain sender, for the tests of the cloud. The sender shares no code with the client."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import httpx

from golmok_cloud_sync.protocol import (
    CONTENT_TYPE,
    Hello,
    Part,
    Record,
    Reply,
    Stream,
    StreamReport,
    decode_reply,
    encode_request,
    frame,
    record_crc,
)

START_S: Final = 60
WALL_MS: Final = 1_750_000_000_000
_numbers = itertools.count(1)


class CloudProcess:
    """`golmok-cloud serve` on a free port."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self._options = options or ("--open-enrolment",)
        self.url = ""
        self.process: subprocess.Popen[str]
        self.start()

    def start(self, listen: str = "127.0.0.1:0") -> None:
        where = ["--data", str(self.folder), "--listen", listen]
        with (self.folder.parent / "cloud.err").open("a") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "golmok_cloud_sync.server.cli", "serve", *where, *self._options],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.url = _first_line(self.process).removeprefix("golmok-cloud listens on ").strip()
        assert self.url, (self.folder.parent / "cloud.err").read_text()

    def restart(self) -> None:
        """On the same port, as a service would."""
        self.start(self.url.removeprefix("http://"))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)


def run_cli(*arguments: str, timeout_s: float = START_S) -> subprocess.CompletedProcess[str]:
    """`golmok-cloud` with these arguments, until it ends."""
    command = [sys.executable, "-m", "golmok_cloud_sync.server.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, env=dict(os.environ))


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_S)
    return process.stdout.readline() if ready else ""


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float = 30) -> None:
    """Return as soon as `condition` holds; fail when it does not within `deadline_s`."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"waited {deadline_s} s in vain until {what}"
        time.sleep(0.02)


def readings(count: int, *, start: int = 0, boot: str = "boot", channel: str = "fridge.temperature") -> list[Record]:
    """A reading a second, every value another."""
    return [Record(channel, (start + i) / 100, "Cel", boot, 1000 * (start + i)) for i in range(count)]


def anchor(mono_ms: int = 0, wall_ms: int = WALL_MS, boot: str = "boot") -> Record:
    value = json.dumps({"mono_ms": mono_ms, "wall_ms": wall_ms, "error_ms": 5})
    return Record("clock.anchor", value, "", boot, mono_ms)


@dataclass
class Sender:
    """One store of a gateway that nobody has ever heard of, with everything it ever recorded."""

    client: httpx.Client
    gateway: str = ""
    store: str = "gateway"
    epoch: str = field(default_factory=lambda: secrets.token_hex(8))
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": CONTENT_TYPE})
    records: dict[Stream, list[Record]] = field(default_factory=dict)
    latest: Sequence[Record] = ()
    timezone: str = ""

    def __post_init__(self) -> None:
        self.gateway = self.gateway or f"gw-{next(_numbers):05d}-{secrets.token_hex(3)}"

    @property
    def path(self) -> str:
        return f"/v1/gateways/{self.gateway}"

    def record(self, stream: Stream, records: Sequence[Record]) -> None:
        self.records.setdefault(stream, []).extend(records)

    def frame(self, stream: Stream, lo: int, hi: int, codec: int = 1) -> Part:
        """Records `lo` to `hi - 1`."""
        mine = self.records[stream]
        prev_crc = record_crc(mine[lo - 2]) if lo > 1 else 0
        return frame(stream, lo, mine[lo - 1 : hi - 1], prev_crc, codec)

    def body(self, parts: Sequence[Part] = (), **reports: StreamReport) -> bytes:
        streams: dict[Any, StreamReport] = {
            stream: StreamReport(tail=len(mine)) for stream, mine in self.records.items()
        }
        streams.update(reports)
        hello = Hello(self.gateway, self.store, self.epoch, "boot", 10**9, WALL_MS, "v1", "0.1", streams, self.latest)
        hello = replace(hello, timezone=self.timezone)
        return encode_request(hello, parts)

    def post(self, parts: Sequence[Part] = (), **reports: StreamReport) -> httpx.Response:
        return self.client.post("/v1/sync", content=self.body(parts, **reports), headers=self.headers)

    def sync(self, parts: Sequence[Part] = (), **reports: StreamReport) -> Reply:
        response = self.post(parts, **reports)
        assert response.status_code in (200, 409), response.text
        return decode_reply(response.content)

    def send_all(self) -> None:
        """Everything, in frames of 500, one request each."""
        for stream, mine in self.records.items():
            for lo in range(1, len(mine) + 1, 500):
                self.sync([self.frame(stream, lo, min(lo + 500, len(mine) + 1))])

    def query(self, what: str, **parameters: str | int) -> list[dict[str, Any]]:
        """Every page of `what`, until no link leads on."""
        lines: list[dict[str, Any]] = []
        response = self.client.get(f"{self.path}/{what}", params=parameters)
        while True:
            assert response.status_code == 200, response.text
            lines += [json.loads(line) for line in response.text.splitlines()]
            if "next" not in response.links:
                return lines
            response = self.client.get(response.links["next"]["url"])
