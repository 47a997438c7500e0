"""`golmok-gateway run` and `status` as a person or systemd uses them: real processes, exit codes, words."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from golmok_edge.gateway.address import socket_path
from golmok_edge.store import Store

from .blocking_driver import write_distribution
from .running import Gateway, until

SETTINGS = """
[site]
gateway = "gw-0001"
name = "한옥카페"
[store]
path = "var"
commit_interval_s = 0.2
"""
FRIDGE = """
[[device]]
name = "fridge"
driver = "ds18b20"
bus = "sim+w1://"
address = "28-00000a1b2c3d"
interval_s = 0.2
"""
BAD = """
[[device]]
name = "{driver}"
driver = "{driver}"
bus = "w1://7"
"""


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "golmok_edge.gateway.cli", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, env=None)


def config(folder: Path, text: str = SETTINGS) -> Path:
    file = folder / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    return file


def tail(gateway: Gateway) -> int:
    return int(gateway.status()["store"]["tail"]["readings"])


def asked(path: Path) -> Any:
    """The status, without the settings: its drivers are not ours."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(60)
        line.connect(str(path))
        line.sendall(b'{"get": "status"}\n')
        return json.loads(line.makefile().readline())


def test_status_of_one_that_does_not_run(tmp_path: Path) -> None:
    done = command("status", "--config", config(tmp_path))
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith("gw-0001: it does not run")
    assert done.stdout.endswith("; start it: golmok-gateway run --config FILE\n")
    done = command("status", "--config", config(tmp_path), "--json")
    assert (done.returncode, done.stderr) == (1, "")
    document = json.loads(done.stdout)
    assert (document["gateway"], document["running"], document["ready"]) == ("gw-0001", False, False)


def test_status_of_one_that_was_killed(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "gw", SETTINGS).start().wait_ready()
    gateway.kill()
    done = command("status", "--config", gateway.config)
    assert (done.returncode, "it does not run" in done.stdout) == (1, True)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n", b'{"error": "too many ask at once"}\n'])
def test_status_of_something_that_is_no_gateway(tmp_path: Path, said: bytes) -> None:
    file = config(tmp_path)
    path = socket_path(tmp_path / "var")
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        line = [sys.executable, "-m", "golmok_edge.gateway.cli", "status", "--config", str(file), "--json"]
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asking:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(said)
            connection.close()
            stdout, stderr = asking.communicate(timeout=60)
    assert (asking.returncode, stderr, json.loads(stdout)["running"]) == (1, b"", False)


@pytest.mark.parametrize("verb", [["run"], ["status"], ["status", "--json"]])
def test_a_wrong_file_is_two_and_every_mistake(tmp_path: Path, verb: list[str]) -> None:
    file = config(tmp_path, '[site]\ngateway = "Gw 1"\ntimezone = "Asia/Soul"\n[mqtt]\nport = 99999\n')
    done = command(*verb, "--config", file)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if str(file) in line]
    assert len(lines) == 3, done.stderr
    if "--json" in verb:
        assert len(json.loads(done.stdout)["mistakes"]) == 3
    else:
        assert done.stdout == ""


def test_a_second_one_on_the_same_store_is_refused_in_a_line(tmp_path: Path) -> None:
    with Gateway(tmp_path / "gw", SETTINGS + FRIDGE) as gateway:
        gateway.wait_ready()
        done = command("run", "--config", gateway.config)
        assert done.returncode == 1
        complaints = [line for line in done.stderr.splitlines() if line.startswith("golmok-gateway: ")]
        assert len(complaints) == 1
        assert "Traceback" not in done.stderr
        stored = tail(gateway)
        until(lambda: tail(gateway) > stored, "the first one goes on, and can be asked")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_with_all_committed(tmp_path: Path, number: signal.Signals) -> None:
    with Gateway(tmp_path / "gw", SETTINGS + FRIDGE) as gateway:
        gateway.wait_ready()
        until(lambda: tail(gateway) > 3, "readings")
        stored = tail(gateway)
        assert gateway.process is not None
        gateway.process.send_signal(number)
        assert gateway.process.wait(20) == 0
    assert not socket_path(gateway.folder / "var").exists()
    assert "Traceback" not in gateway.said()
    with Store.open(gateway.folder / "var") as store:
        assert store.tail("readings") >= stored
        events = [found.record.channel for found in store.reader.find("gateway.stop", "events")]
        assert events == ["gateway.stop"]


def test_it_can_be_told_to_end_while_it_starts(tmp_path: Path) -> None:
    with Gateway(tmp_path / "gw", SETTINGS + FRIDGE) as gateway:
        until((gateway.folder / "var").exists, "it has begun")
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(30) in (0, -signal.SIGTERM)
    assert "Traceback" not in gateway.said()


@pytest.mark.parametrize("where", ["apart = true", "apart = false"])
@pytest.mark.parametrize("driver", ["stubborn", "threads", "blocks"])
def test_no_driver_keeps_it_from_ending(tmp_path: Path, driver: str, where: str) -> None:
    """One that ignores being cancelled, one whose threads never end, one that blocks the whole process."""
    settings = SETTINGS + FRIDGE + BAD.format(driver=driver) + where
    gateway = Gateway(tmp_path / "gw", settings)
    folders = [str(write_distribution(tmp_path / "site")), os.environ.get("PYTHONPATH", "")]
    gateway.environment["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    with gateway:
        path = socket_path(gateway.folder / "var")
        until(path.exists, f"it runs; it said {gateway.said()[-500:]}")
        until(lambda: asked(path)["store"]["tail"]["readings"] > 3, "the others are read all the same")
        begun = time.monotonic()
        assert gateway.end(30) == 0, gateway.said()[-2000:]
        assert time.monotonic() - begun < 20
    assert not path.exists()
    with Store.open(gateway.folder / "var") as store:
        assert store.tail("readings") >= 4


def test_without_broker_and_cloud_it_runs_and_says_what_is_missing(tmp_path: Path) -> None:
    with socket.socket() as broker, socket.socket() as cloud:
        broker.bind(("127.0.0.1", 0))
        cloud.bind(("127.0.0.1", 0))
        bus = f'[mqtt]\nport = {broker.getsockname()[1]}\n[cloud]\nurl = "http://127.0.0.1:{cloud.getsockname()[1]}"\n'
        with Gateway(tmp_path / "gw", SETTINGS + bus + FRIDGE) as gateway:
            until(lambda: gateway.status()["running"], f"it runs; it said {gateway.said()[-500:]}")
            until(lambda: tail(gateway) > 3, "it reads its sensors")
            status = until(lambda: (s := gateway.status())["cloud"]["failures"] and s, "it has tried")
            assert (status["ready"], status["mqtt"]["connected"]) == (False, False)
            assert f"127.0.0.1:{broker.getsockname()[1]}" in status["mqtt"]["detail"]
            assert (status["cloud"]["state"], "refused" in status["cloud"]["detail"]) == ("unreachable", True)
            said = command("status", "--config", gateway.config)
            assert said.returncode == 0
            assert "NOT CONNECTED" in said.stdout
            assert "unreachable" in said.stdout
            begun = time.monotonic()
            assert gateway.end() == 0
            assert time.monotonic() - begun < 15


def test_the_end_does_not_wait_for_who_does_not_answer(tmp_path: Path) -> None:
    """A broker and a cloud that take connections and say nothing."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        port = silent.getsockname()[1]
        bus = f'[mqtt]\nport = {port}\n[cloud]\nurl = "http://127.0.0.1:{port}"\n'
        with Gateway(tmp_path / "gw", SETTINGS + bus + FRIDGE) as gateway:
            until(lambda: gateway.status()["running"] and tail(gateway) > 3, "it reads its sensors")
            begun = time.monotonic()
            assert gateway.end(60) == 0
            assert time.monotonic() - begun < 20
    assert not socket_path(gateway.folder / "var").exists()
