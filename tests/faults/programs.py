"""The programs under test as processes: started as a shop starts them, killed as a power cut kills them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from golmok_drivers.buses.broker import broker_config
from golmok_edge.demo.broker import free_ports

from .line import HOST, until
from .power import tracer

ROOT = Path(__file__).parents[2]
CODE = ("edge", "drivers", "cloud-sync", "vision", "provisioning")
"""The folders that hold the product's packages."""
DEADLINE_S = 60.0


class ProgramError(RuntimeError):
    """A program does not do what it must; the message says what it said."""


class Program:
    """One process, again and again."""

    def __init__(self, command: Sequence[str], log: Path, code: Path = ROOT) -> None:
        """`code` is the root of the source tree that it runs."""
        self.command, self.log, self.code = list(command), log, code
        self.process: subprocess.Popen[bytes] | None = None
        self._watched: tuple[Path, Path] | None = None

    def watch(self, folder: Path | None, journal: Path | None) -> None:
        """From the next start on, note in `journal` what is done to the files of `folder`; None: no more."""
        self._watched = (folder, journal) if folder and journal else None

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> Self:
        """Start the process; it may not be ready yet."""
        with self.log.open("ab") as said:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=ROOT, env=self._environment()
            )
        return self

    def kill(self) -> None:
        """kill -9."""
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and kill -9 if that is not heeded."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def said(self) -> str:
        """The end of what it said."""
        return self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""

    def _environment(self) -> Mapping[str, str]:
        path = os.pathsep.join(str(self.code / folder) for folder in CODE)
        own = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
        return {**os.environ, **own, **(tracer.environment(*self._watched, path) if self._watched else {})}


def answers(port: int) -> bool:
    """Whether anybody listens there."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


class Broker(Program):
    """Mosquitto as a gateway's is configured, on a port that stays its own."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.port = next(free_ports(1))
        configuration = folder / "mosquitto.conf"
        configuration.write_text(broker_config(self.port, address=HOST))
        super().__init__([str(program), "-c", str(configuration)], folder / "mosquitto.log")

    def start(self) -> Self:
        """Returns when it listens."""
        super().start()
        if not until(lambda: answers(self.port) or not self.is_running, DEADLINE_S) or not self.is_running:
            raise ProgramError(f"Mosquitto does not run: {self.said()}")
        return self


class Cloud(Program):
    """golmok-cloud on a port that stays its own."""

    def __init__(self, folder: Path, code: Path) -> None:
        self.port = next(free_ports(1))
        self.url = f"http://{HOST}:{self.port}"
        command = [sys.executable, "-m", "golmok_cloud_sync.server.cli", "serve", "--data", str(folder / "cloud")]
        super().__init__([*command, "--listen", f"{HOST}:{self.port}", "--open-enrolment"], folder / "cloud.log", code)

    def wait(self) -> Self:
        """Until it listens."""
        if not until(lambda: answers(self.port), DEADLINE_S):
            raise ProgramError(f"golmok-cloud does not answer within {DEADLINE_S:g} s: {self.said()}")
        return self
