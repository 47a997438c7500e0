"""`golmok_edge.gateway.notify`: what systemd hears, on a real datagram socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .running import Gateway

SETTINGS = """
[site]
gateway = "gw-0001"
[store]
path = "var"
"""

SAY = "from golmok_edge.gateway.notify import notify; notify({state!r})"
ASK = "from golmok_edge.gateway.notify import watchdog_s; print(watchdog_s())"


@contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    """Hears what systemd would."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("\0" + address[1:] if address.startswith("@") else address)
        heard.settimeout(30)
        yield heard


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NOTIFY", "WATCHDOG"))}
    return subprocess.run([sys.executable, "-c", code], env=env | environment, capture_output=True, text=True)


@pytest.mark.parametrize("kind", ["a path", "an abstract address"])
def test_a_state_is_one_datagram(tmp_path: Path, kind: str) -> None:
    address = str(tmp_path / "notify") if kind == "a path" else f"@golmok-test-{os.getpid()}"
    with manager(address) as heard:
        assert run(SAY.format(state="READY=1"), NOTIFY_SOCKET=address).returncode == 0
        assert heard.recv(100) == b"READY=1"


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}):
        done = run(SAY.format(state="READY=1"), **environment)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, "None"),
        ({"WATCHDOG_USEC": "30000000"}, "30.0"),
        ({"WATCHDOG_USEC": "0"}, "None"),
        ({"WATCHDOG_USEC": "soon"}, "None"),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, "None"),
    ],
)
def test_how_often_the_watchdog_wants_to_hear(environment: dict[str, str], seconds: str) -> None:
    assert run(ASK, **environment).stdout.strip() == seconds


def supervised(folder: Path, watchdog_usec: int) -> Gateway:
    """A gateway that systemd has started, with `manager` in its place."""
    gateway = Gateway(folder / "gw", SETTINGS)
    gateway.environment |= {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": str(watchdog_usec)}
    return gateway.start()


def test_a_gateway_says_that_it_is_ready_alive_and_stopping(tmp_path: Path) -> None:
    with manager(str(tmp_path / "notify")) as heard, supervised(tmp_path, 400_000) as gateway:
        states = {heard.recv(100) for _ in range(4)}
        assert states == {b"READY=1", b"WATCHDOG=1"}
        assert gateway.end() == 0
        while (last := heard.recv(100)) == b"WATCHDOG=1":
            pass
        assert last == b"STOPPING=1"


def test_a_manager_that_goes_and_comes_takes_no_gateway_along(tmp_path: Path) -> None:
    with manager(str(tmp_path / "notify")) as heard, supervised(tmp_path, 20_000) as gateway:
        while heard.recv(100) != b"READY=1":
            pass
        heard.close()
        gateway.wait_ready()
        (tmp_path / "notify").unlink()
        gateway.wait_ready()
        with manager(str(tmp_path / "notify")) as again:
            assert again.recv(100) == b"WATCHDOG=1"
        assert gateway.end() == 0
    assert "Traceback" not in gateway.said()
