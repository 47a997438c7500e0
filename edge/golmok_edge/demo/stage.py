"""The processes of the demo: the real programs, on free ports, in a folder that goes with them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import Final, NamedTuple, Self

from golmok_edge.demo.broker import HOST, Broker, free_ports
from golmok_edge.demo.shops import SHOPS, Shop, furnish

START_S: Final = 30.0
STOP_S: Final = 15.0
"""A gateway commits, acknowledges and sends what it has before it goes."""
_ADDRESS: Final = re.compile(r"http://\S+")


class StageError(RuntimeError):
    """Something of the demo does not run; the message says what, and its last words."""


class Program:
    """One of our programs, started from this environment."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name, self.log = name, log
        command = [sys.executable, "-m", _MODULES[name], *arguments]
        with log.open("ab") as said:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                process_group=0,  # Ctrl-C is for us: we end them in their order
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self._lines: Queue[str | None] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it is still there."""
        return self._process.poll() is None

    def address(self) -> str:
        """The address that it prints first. Raises `StageError`."""
        deadline = time.monotonic() + START_S
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except Empty:
                break
            if line is None:
                break
            if found := _ADDRESS.search(line):
                return found[0].rstrip("/")
        raise StageError(f"{self.name} did not start: {self.last_word()}")

    def last_word(self) -> str:
        """The end of what it said."""
        return (self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"])[-1]

    def stop(self) -> None:
        """Ask it to end."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float) -> None:
        """Wait for its end; kill it when it takes too long."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)


_MODULES: Final = {
    "golmok-cloud": "golmok_cloud_sync.server.cli",
    "golmok-gateway": "golmok_edge.gateway.cli",
    "golmok-shop": "golmok_edge.shop.cli",
}


class Scene(NamedTuple):
    """A shop that runs."""

    shop: Shop
    gateway: Program
    ledger: Path
    page: Program | None
    address: str


class Stage:
    """The whole show: a cloud, a broker for each shop, their gateways and pages. Ends all of it at the end."""

    def __init__(self, folder: Path, *, with_pages: bool, port: int = 0) -> None:
        """`port` is the cloud's; 0 takes a free one."""
        self._folder, self._with_pages, self._port = folder, with_pages, port
        self._brokers: list[Broker] = []
        self.cloud: Program | None = None
        self.cloud_address = ""
        self.scenes: list[Scene] = []

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def stop_gateways(self) -> None:
        """End the gateways, so that all they took is in the cloud."""
        for scene in self.scenes:
            scene.gateway.stop()
        for scene in self.scenes:
            scene.gateway.wait(STOP_S)

    def check(self) -> None:
        """Raise `StageError` if a program has died."""
        for program in self._programs():
            if not program.is_running:
                raise StageError(f"{program.name} has ended: {program.last_word()}")

    def close(self) -> None:
        """End every process; every port is free afterwards. Who presses Ctrl-C again must wait for it all the same."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
        self.stop_gateways()
        rest = self._programs()
        for program in rest:
            program.stop()
        for program in rest:
            program.wait(STOP_S)
        for broker in self._brokers:
            broker.close()

    def _build(self) -> None:
        """Start all at once, then wait for each to say that it is there."""
        port = self._port or next(free_ports(1))
        self.cloud_address = f"http://{HOST}:{port}"
        self.cloud = Program(
            "golmok-cloud",
            ["serve", "--data", str(self._folder / "cloud"), "--listen", f"{HOST}:{port}", "--open-enrolment"],
            self._folder / "cloud.log",
        )
        for shop in SHOPS:
            self.scenes.append(self._open(shop))
        self.cloud.address()
        self.scenes = [scene._replace(address=scene.page.address() if scene.page else "") for scene in self.scenes]

    def _open(self, shop: Shop) -> Scene:
        folder = self._folder / shop.gateway
        broker = Broker.start(self._folder / f"{shop.gateway}-bus")
        self._brokers.append(broker)
        page_port = next(free_ports(1))
        settings = furnish(
            shop, folder, broker_port=broker.port, cloud_url=self.cloud_address, page=f"{HOST}:{page_port}"
        )
        ledger = folder / "ledger.jsonl"
        gateway = Program(
            "golmok-gateway",
            ["run", "--config", str(settings), "--twins", "--ledger", str(ledger)],
            folder / "gateway.log",
        )
        page = (
            Program("golmok-shop", ["run", "--config", str(settings)], folder / "shop.log")
            if self._with_pages
            else None
        )
        return Scene(shop, gateway, ledger, page, "")

    def _programs(self) -> list[Program]:
        pages = [scene.page for scene in self.scenes if scene.page]
        return [*(scene.gateway for scene in self.scenes), *pages, *([self.cloud] if self.cloud else [])]
