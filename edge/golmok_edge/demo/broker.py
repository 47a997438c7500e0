"""The local bus of a laptop: finds Mosquitto, or unpacks Debian's package beside it, and runs it on a free port.

On a real gateway systemd starts Mosquitto; here a demo or a test does. Nothing of this knows what travels on the bus.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from golmok_drivers.buses.broker import broker_config
from golmok_edge.demo import debian

HOST = "127.0.0.1"
TO_GET_IT = (
    "Mosquitto, the MQTT broker, is missing: install it (Debian: 'sudo apt install mosquitto', macOS: 'brew install "
    "mosquitto')"
)
_SBIN = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")  # where it lies, and PATH of a common user seldom leads
_APT = debian.run_tool if debian.is_here() else None
_START_WITHIN_S = 10.0
_STOP_WITHIN_S = 5.0
_PORTS_TO_TRY = 5
_LOWEST_PORT, _HIGHEST_PORT = 10_000, 32_768
_given: set[int] = set()

_RUNNING = re.compile(r"mosquitto version \S+ running")  # it says so only where log_type information is asked for


class BrokerError(RuntimeError):
    """The broker cannot be had or does not run; the message says what to do."""


@dataclass(frozen=True)
class Mosquitto:
    """The program, and the folders of the libraries that came with it (none where Debian installed it)."""

    program: Path
    libraries: tuple[Path, ...] = ()

    def environment(self) -> dict[str, str]:
        """The environment to start it in."""
        if not self.libraries:
            return dict(os.environ)
        before = os.environ.get("LD_LIBRARY_PATH")
        folders = [str(folder) for folder in self.libraries] + ([before] if before else [])
        return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(folders)}

    def version(self) -> str:
        """What it calls itself ("2.0.11"); BrokerError where it does not start, a library missing, say."""
        command = [str(self.program), "-h"]  # exits 3 after the help, so the code tells nothing
        try:
            said = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)
        except OSError as error:
            raise BrokerError(f"{self.program} does not start: {error.strerror}") from error
        if found := re.match(r"mosquitto version (\S+)", said.stdout):
            return found[1]
        raise BrokerError(f"{self.program} does not start: {(said.stderr or said.stdout).strip()[-200:]}")


def home_of_unpacked() -> Path | None:
    """Where a package may be unpacked: the virtual environment we run in; None outside of one."""
    return Path(sys.prefix) / "mosquitto" if sys.prefix != sys.base_prefix else None


def find(search: str | None = None, home: Path | None = None) -> Mosquitto | None:
    """Mosquitto of this machine, first on PATH (`search` in its place), then as unpacked in `home` earlier."""
    if search is None:
        search = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SBIN])
    if installed := shutil.which("mosquitto", path=search):
        return Mosquitto(Path(installed))
    unpacked = home / "usr" / "sbin" / "mosquitto" if home else None
    return Mosquitto(unpacked, _libraries(home)) if home and unpacked and unpacked.is_file() else None


def provide(
    search: str | None = None,
    home: Path | None = None,
    run: debian.Run | None = _APT,
) -> Mosquitto:
    """Mosquitto by any means that need no administrator: found, or unpacked into `home` (the virtual environment).

    `run` None stands for a machine that is no Debian.
    """
    home = home or home_of_unpacked()
    if found := find(search, home):
        return found
    if run is None or home is None:
        raise BrokerError(TO_GET_IT)
    try:
        return _unpack(home, run)
    except (debian.UnpackError, OSError) as error:
        raise BrokerError(f"{TO_GET_IT}; unpacking Debian's package into {home} did not work: {error}") from error


def _unpack(home: Path, run: debian.Run) -> Mosquitto:
    """Unpack beside `home`, try it, and only then rename: `home` is whole or not there."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".mosquitto-") as scratch:
        archives, root = Path(scratch) / "archives", Path(scratch) / "root"
        archives.mkdir()
        debian.unpack("mosquitto", root, archives, run)
        Mosquitto(root / "usr" / "sbin" / "mosquitto", _libraries(root)).version()
        with contextlib.suppress(OSError):  # another process was faster: its copy is as good
            root.rename(home)
    if found := find("", home):
        return found
    raise BrokerError(f"{TO_GET_IT}; {home} is in the way: remove it")


def _libraries(root: Path) -> tuple[Path, ...]:
    return tuple(sorted({library.parent for library in root.glob("**/*.so*")}))


class Broker:
    """A Mosquitto that runs, on loopback, until `close` (or the end of the `with`)."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self._process = process
        self.host = HOST
        self.port = port
        self.log = log

    @classmethod
    def start(cls, folder: Path, port: int | None = None, mosquitto: Mosquitto | None = None) -> Self:
        """Start it with its configuration and log in `folder`; on a free port unless `port` names one."""
        mosquitto = mosquitto or provide()
        folder.mkdir(parents=True, exist_ok=True)
        ports = [port] if port is not None else list(free_ports(_PORTS_TO_TRY))
        for chosen in ports:
            broker = cls._launch(mosquitto, folder, chosen)
            if broker._is_up():
                return broker
            broker.close()
        raise BrokerError(f"Mosquitto did not start on port {ports[-1]}: {broker._last_word()}")

    @classmethod
    def _launch(cls, mosquitto: Mosquitto, folder: Path, port: int) -> Self:
        configuration, log = folder / "mosquitto.conf", folder / "mosquitto.log"
        configuration.write_text(broker_config(port, address=HOST) + "log_type information\n", encoding="utf-8")
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [str(mosquitto.program), "-c", str(configuration)],
                env=mosquitto.environment(),
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                process_group=0,  # Ctrl-C is for us: the bus goes last, after those who still send on it
            )
        return cls(process, port, log)

    def _is_up(self) -> bool:
        """Wait for its own word. A connection proves little: whoever had the port before us takes one as well."""
        deadline = time.monotonic() + _START_WITHIN_S
        while self._process.poll() is None and time.monotonic() < deadline:
            if _RUNNING.search(self._said()):
                return True
            time.sleep(0.01)
        return False

    def _said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _last_word(self) -> str:
        return (self._said().splitlines() or ["it said nothing"])[-1]

    @property
    def pid(self) -> int:
        """Of the running process, for whoever wants to see it die."""
        return self._process.pid

    def kill(self) -> None:
        """End it as a power cut would: what it held is lost."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End it, within seconds whatever it does; the port is free afterwards. More than once does no harm."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def free_ports(count: int) -> Iterator[int]:
    """Ports that were free a moment ago, none twice; another process may take one, so there is more than one.

    They lie below those that the kernel gives to outgoing connections. Else a program that is ended and started again
    may find its port taken by one of these, and whoever asks there meanwhile may reach himself (TCP allows it).
    """
    for _ in range(count):
        while True:
            port = _LOWEST_PORT + secrets.randbelow(_HIGHEST_PORT - _LOWEST_PORT)
            if port not in _given and _is_free(port):
                break
        _given.add(port)
        yield port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
