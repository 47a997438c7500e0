"""For the tests of the shop: settings with one device of each kind, a gateway that is only a socket, a real shop."""

from __future__ import annotations

import json
import select
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import httpx

from golmok_edge.gateway.address import make_room, socket_path
from golmok_edge.settings import Settings, load
from golmok_edge.shop.heard import Said

START_S: Final = 60
SETTINGS: Final = """\
[site]
gateway = "gw-0001"
name = "한옥카페 <b>&amp;"
timezone = "Asia/Seoul"

[mqtt]

[cloud]
url = "http://127.0.0.1:8400"

[[device]]
name = "fridge"
title = "음료 냉장고"
driver = "ds18b20"
bus = "w1://0"
address = "28-00000a1b2c3d"
interval_s = 10
limits = { temperature = { low = 1.0, high = 8.0, for_s = 60 } }

[[device]]
name = "door"
driver = "contact"
bus = "gpio://"
pin = 17

[[device]]
name = "stall-plug"
title = "<img src=x onerror=alert(1)>"
driver = "mqtt-json"
topic = "tele/plug1/SENSOR"
channels = { power = { path = "ENERGY.Power", unit = "W" } }
expect_s = 300
"""
STATUS: Final[dict[str, Any]] = {
    "clock_known": True,
    "store": {"refusing": None, "set_aside": [], "last_evicted_s": None, "card_years": 8.7, "card": {"sure": True}},
    "mqtt": {"connected": True},
    "cloud": {"state": "connected", "reachable": True, "last_ok_s": 2.0},
    "backlog": {"readings": 12, "events": 0},
    "devices": [],
}
"""What the shop reads of the gateway's status document."""
ROWS: Final = {
    "fridge.temperature": {"value": 4.25, "unit": "Cel"},
    "door.open": {"value": False, "unit": "1"},
    "stall-plug.power": {"value": 1234, "unit": "W"},
}


def write_settings(folder: Path, text: str = SETTINGS) -> Path:
    file = folder / "golmok.toml"
    file.write_text(text, encoding="utf-8")
    return file


def settings(folder: Path, text: str = SETTINGS) -> Settings:
    return load(write_settings(folder, text))


def row(channel: str, **changes: Any) -> dict[str, Any]:
    """What the gateway says of a channel: a good value of just now."""
    usual = {
        "channel": channel,
        "quality": "good",
        "reason": "",
        "ts": "2026-03-01T00:30:00.000Z",
        "age_s": 0.0,
        "seq": 1,
    }
    return {**usual, **ROWS.get(channel, {"value": 1.5, "unit": "1"}), **changes}


def said(channel: str, heard_s: float = 0.0, **changes: Any) -> dict[str, Said]:
    """The same, as the shop has heard it."""
    return {channel: Said(row(channel, **changes), heard_s)}


class FakeGateway:
    """Answers on the gateway's socket as told; `say` tells a value to everybody who watches."""

    def __init__(self, store: Path) -> None:
        self.path = socket_path(store)
        self.rows = {channel: row(channel) for channel in ROWS}
        self.status = dict(STATUS)
        self.points: list[list[float]] = []
        self.asked: list[dict[str, Any]] = []
        self._watchers: list[SimpleQueue[bytes]] = []
        self._server: socketserver.ThreadingUnixStreamServer | None = None

    def start(self) -> None:
        make_room(self.path)
        gateway = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    for answer in gateway.answers(json.loads(line)):
                        if not answer:
                            return
                        self.wfile.write(answer)

        self._server = socketserver.ThreadingUnixStreamServer(str(self.path), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """As a process that dies: the socket's file stays behind."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        for watcher in self._watchers:
            watcher.put(b"")
        self._watchers.clear()

    def say(self, channel: str, **changes: Any) -> None:
        self.rows[channel] = row(channel, **changes)
        for watcher in self._watchers:
            watcher.put(_line(self.rows[channel]))

    def answers(self, question: dict[str, Any]) -> Iterator[bytes]:
        self.asked.append(question)
        match question["get"]:
            case "status":
                yield _line(self.status)
            case "latest":
                yield _line({"channels": list(self.rows.values())})
            case "history":
                yield _line({"channel": question["channel"], "unit": "Cel", "points": self.points, "gaps": []})
            case "watch":
                yield from self._watched()

    def _watched(self) -> Iterator[bytes]:
        mine: SimpleQueue[bytes] = SimpleQueue()
        self._watchers.append(mine)
        while True:
            yield mine.get()


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"


class ShopProcess:
    """`golmok-shop run` on a free port."""

    def __init__(self, config: Path) -> None:
        command = [sys.executable, "-m", "golmok_edge.shop.cli", "run", "--config", str(config), "--port", "0"]
        self._errors = (config.parent / "shop.err").open("a")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._errors, text=True)
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], START_S)
        line = self.process.stdout.readline() if ready else ""
        assert line.startswith("The owner's page: http://"), (config.parent / "shop.err").read_text()
        self.url = line.partition(": ")[2].strip().rstrip("/")

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self._errors.close()
        return self.process.wait(30)

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, **options)


@contextmanager
def running_shop(config: Path) -> Iterator[ShopProcess]:
    shop = ShopProcess(config)
    try:
        yield shop
    finally:
        shop.stop()
