"""The real programs as a shop runs them, to be started, killed and asked from tests."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

from golmok_edge.demo.broker import free_ports

DEADLINE_S = 60.0


def until(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """Wait for something to become true; its value."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.05)
    return value


class Program:
    """One of the programs."""

    def __init__(self, module: str, arguments: list[str], log: Path) -> None:
        self.module, self.arguments, self.log = module, arguments, log
        self.environment: dict[str, str] = {}
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        with self.log.open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.environment},
            )
        return self

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self, timeout_s: float = 20.0) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(timeout_s)
        finally:
            self.process.kill()

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def __enter__(self) -> Self:
        return self.start() if self.process is None else self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.end()


class Cloud(Program):
    """golmok-cloud on a port that stays its own over restarts."""

    def __init__(self, folder: Path) -> None:
        self.port = next(free_ports(1))
        self.url = f"http://127.0.0.1:{self.port}"
        arguments = ["serve", "--data", str(folder / "cloud"), "--listen", f"127.0.0.1:{self.port}", "--open-enrolment"]
        super().__init__("golmok_cloud_sync.server.cli", arguments, folder / "cloud.log")

    def start(self) -> Self:
        super().start()
        until(self._is_up, f"the cloud answers; it said {self.said()[-500:]}")
        return self

    def get(self, path: str, **headers: str) -> Any:
        with urlopen(Request(self.url + path, headers=headers), timeout=30) as reply:
            return json.loads(reply.read())

    def rows(self, gateway: str, what: str = "readings", limit: int = 20_000) -> Iterator[dict[str, Any]]:
        """All records of a gateway, page by page."""
        path: str | None = f"/v1/gateways/{gateway}/{what}?limit={limit}"
        while path:
            with urlopen(self.url + path, timeout=60) as reply:
                yield from map(json.loads, reply)
                link = reply.headers.get("Link") or ""
            found = re.search(r'<(?:http://[^/]*)?([^>]*)>; rel="next"', link)
            path = found[1] if found else None

    def _is_up(self) -> bool:
        try:
            with urlopen(self.url + "/healthz", timeout=1) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False


class Gateway(Program):
    """golmok-gateway with the settings given, in a folder of its own."""

    def __init__(self, folder: Path, settings: str, *options: str, name: str = "gw-0001") -> None:
        folder.mkdir(exist_ok=True)
        self.name, self.folder, self.config = name, folder, folder / "gateway.toml"
        self.config.write_text(settings, encoding="utf-8")
        super().__init__("golmok_edge.gateway.cli", ["run", "--config", str(self.config), *options], folder / "gw.log")

    def status(self) -> dict[str, Any]:
        """What `status --json` says."""
        from golmok_edge.gateway.cli import ask
        from golmok_edge.settings import load

        try:
            return ask(load(self.config), {"get": "status"})
        except OSError as error:
            return {"running": False, "ready": False, "detail": str(error)}

    def wait_ready(self) -> Self:
        until(lambda: self.status()["ready"], f"the gateway is ready; it said {self.said()[-800:]}")
        return self

    def wait_synced(self) -> None:
        """Until nothing waits for its commit, and all that is stored is in the cloud."""
        until(lambda: self.status().get("store", {}).get("waiting") == 0, f"committed; it said {self.said()[-800:]}")
        until(lambda: sum(self.status().get("backlog", {"": 1}).values()) == 0, f"synced; it said {self.said()[-800:]}")
