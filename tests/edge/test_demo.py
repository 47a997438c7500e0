from __future__ import annotations

import ast
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_edge.demo import tally as tally_module
from golmok_edge.demo.tally import Tally, made, tally
from golmok_edge.settings import load

COMMAND = [sys.executable, "-m", "golmok_edge.demo.cli"]
PAIRS = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2", "true"])), max_size=20)


@given(pairs=PAIRS)
def test_what_is_there_once_is_even(pairs: list[tuple[str, str]]) -> None:
    assert tally(pairs, reversed(pairs)) == Tally(len(pairs), len(pairs), 0, 0)


@given(pairs=PAIRS, extra=st.tuples(st.just("a"), st.just("1")))
def test_what_is_missing_or_too_often_is_counted(pairs: list[tuple[str, str]], extra: tuple[str, str]) -> None:
    assert tally([*pairs, extra], pairs)[2:] == (1, 0)
    assert tally(pairs, [*pairs, extra])[2:] == (0, 1)
    assert tally([*pairs, ("a", "1")], [*pairs, ("a", "9")])[2:] == (1, 1), "another value is lost and too much"


def test_a_ledger_is_read_by_device_and_quantity(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text('{"device": "door", "address": 17, "quantity": "open", "value": false}\n')
    assert list(made("gw", ledger)) == [("gw/door.open", "false")]


def test_the_tally_knows_nothing_of_what_it_judges() -> None:
    """It imports nothing of ours at all."""
    tree = ast.parse(Path(tally_module.__file__).read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in names if name.startswith("golmok")]


def test_the_shops_settings_are_good(tmp_path: Path) -> None:
    from golmok_edge.demo.shops import SHOPS, furnish

    for shop in SHOPS:
        page, cloud = "127.0.0.1:8480", "http://127.0.0.1:8400"
        path = furnish(shop, tmp_path / shop.gateway, broker_port=1883, cloud_url=cloud, page=page)
        settings = load(path)
        assert settings.site.gateway == shop.gateway
        assert len(settings.devices) == 4


@pytest.mark.timeout(150)
def test_what_the_sensors_gave_is_in_the_cloud_once() -> None:
    done = subprocess.run(
        [*COMMAND, "--headless", "--seconds", "8", "--json"], capture_output=True, text=True, timeout=140, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert result["made"] > 0
    assert result == {"made": result["made"], "stored": result["made"], "lost": 0, "doubled": 0}
    assert list(json.loads(done.stdout)) == ["made", "stored", "lost", "doubled"]


@pytest.mark.timeout(150)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_every_process_and_frees_every_port(number: int, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("wb") as out:
        demo = subprocess.Popen(COMMAND, stderr=out, env={**os.environ, "TMPDIR": str(tmp_path)})
    try:
        deadline = time.monotonic() + 90
        while "Ctrl-C ends it" not in said.read_text():
            assert demo.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.1)
        ports = [int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", said.read_text())]
        assert len(ports) == 3
        demo.send_signal(number)
        time.sleep(0.3)
        demo.send_signal(number)  # an impatient one
        assert demo.wait(60) == 0
    finally:
        demo.kill()
    assert not [line for line in _command_lines() if str(tmp_path) in line], "a process was left behind"
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert not list(tmp_path.glob("golmok-demo-*")), "its folder was left behind"


def _command_lines() -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_text())
        except OSError:  # it has just ended
            continue
    return lines
