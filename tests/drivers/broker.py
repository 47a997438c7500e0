"""A real Mosquitto for tests, on a free port, with the configuration that the gateway ships."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from golmok_drivers.buses.broker import broker_config, find_mosquitto
from golmok_edge.demo.broker import free_ports


def free_port() -> int:
    """A port that was free a moment ago."""
    return next(free_ports(1))


@contextmanager
def running_broker(folder: Path, port: int | None = None, extra: str = "") -> Iterator[int]:
    """Run Mosquitto, with `extra` lines of configuration; gives its port."""
    program = find_mosquitto()
    if program is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    port = port or free_port()
    config = folder / f"mosquitto-{port}.conf"
    config.write_text(broker_config(port) + extra)
    with subprocess.Popen([program, "-c", config], stderr=subprocess.DEVNULL) as process:
        try:
            _wait_until_it_listens(port, process)
            yield port
        finally:
            process.terminate()


def _wait_until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert process.poll() is None, "mosquitto ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError("mosquitto does not listen")
