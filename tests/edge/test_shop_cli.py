from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from golmok_edge.shop.cli import main
from tests.edge.shop_support import SETTINGS, START_S, ShopProcess, write_settings


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "golmok_edge.shop.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)


def test_help_says_what_it_is_for() -> None:
    helped = run("run", "--help")
    assert helped.returncode == 0
    for word in ("--config F", "--port N", "127.0.0.1:8480", "Exit codes"):
        assert word in helped.stdout


@pytest.mark.parametrize("port", ["-1", "65536", "x", "8480.0"])
def test_no_port_is_wrong_usage(tmp_path: Path, port: str) -> None:
    refused = run("run", "--config", str(write_settings(tmp_path)), f"--port={port}")
    assert refused.returncode == 2
    assert "is no port" in refused.stderr


def test_wrong_settings_are_said_with_their_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_settings(tmp_path, SETTINGS.replace("[cloud]", '[web]\nlisten = "0.0.0.0:8480"\n\n[cloud]'))
    assert main(["run", "--config", str(file)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{file}:9: web.listen: " in said.err
    assert len(said.err.splitlines()) == 1


def test_a_port_in_use_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["run", "--config", str(write_settings(tmp_path)), "--port", str(port)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"golmok-shop: cannot listen on 127.0.0.1 port {port}: Address already in use; ")
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_while_browsers_listen(tmp_path: Path, number: int) -> None:
    shop = ShopProcess(write_settings(tmp_path))
    with shop.client() as browser, browser.stream("GET", "/live") as live:
        lines = live.iter_lines()
        next(lines)
        asked_s = time.monotonic()
        assert shop.stop(number) == 0
        took_s = time.monotonic() - asked_s
        for _ in lines:  # the stream has an end, and is not torn off
            pass
    print(f"ended within {took_s:.2f} s")
    assert (tmp_path / "shop.err").read_text().count("\n") <= 1, "no trace, no noise"


def test_it_may_start_before_the_gateway_has_ever_run(tmp_path: Path) -> None:
    shop = ShopProcess(write_settings(tmp_path))
    with shop.client() as browser:
        assert browser.get("/").status_code == 200
    assert shop.stop() == 0
    assert not (tmp_path / "var").exists(), "the store is the gateway's to make"
