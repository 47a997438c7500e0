"""Killed at any moment, the store opens at once, and what a source was told to be on disk is there, once."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from golmok_edge.store import Store, StoreLockedError

from .store_support import ROOT, prepared, records


def start(folder: Path, rate: int, first: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.edge.store_writer", str(folder), str(rate), str(first)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("rate", "trials"), [(50, 2), (1_000, 3), (5_000, 3)])
def test_nothing_acknowledged_is_lost_or_doubled_by_kill(tmp_path: Path, rate: int, trials: int) -> None:
    folder = prepared(tmp_path)
    chance = random.Random(rate)
    stored: list[object] = []
    for _ in range(trials):
        with start(folder, rate, len(stored)) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.05, 0.6))
            writer.kill()
            told = writer.stdout.read()
        acknowledged = [int(line) for line in told.splitlines(keepends=True) if line.endswith("\n")]
        with Store.open(folder) as store:
            before, stored = len(stored), [record.value for record in records(store)]
            firsts = [hash64 for _, hash64 in store.taken_recently()]
        assert stored == list(range(len(stored)))  # each once and in order
        assert acknowledged == stored[before : before + len(acknowledged)]
        # A message is there with all its records or not at all: the next one begins where the last one ended.
        sizes = [b - a for a, b in pairwise([*firsts, len(stored)])]
        assert not stored or (firsts[0] == 0 and set(sizes) <= {1, 2, 3, 4, 5})
    assert stored


def test_a_second_process_is_refused_by_name(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    with start(folder, 100, 0) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(StoreLockedError, match=rf"process {writer.pid} .*Stop it first") as caught:
            Store.open(folder)
        assert isinstance(caught.value, BlockingIOError)
        writer.kill()
    Store.open(folder).close()


def test_a_store_is_opened_once_in_a_process_too(tmp_path: Path) -> None:
    with Store.open(prepared(tmp_path)), pytest.raises(StoreLockedError):
        Store.open(tmp_path)


def test_every_acknowledgement_follows_a_sync(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: that each commit is synced was NOT tested")
    trace = tmp_path / "trace"
    prepared(tmp_path / "var")
    watched = [strace, "-f", "-o", str(trace), "-e", "trace=fsync,fdatasync,write", "-e", "signal=none"]
    writer = [sys.executable, "-m", "tests.edge.store_writer", str(tmp_path / "var"), "0", "0"]
    done = subprocess.run([*watched, *writer], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"strace may not trace here, that each commit is synced was NOT tested: {done.stderr.strip()}")
    calls = re.findall(r"(fsync|fdatasync|write)\((\d+)", trace.read_text())
    synced = False
    acknowledgements = 0
    for call, descriptor in calls:
        if call != "write":
            synced = True
        elif descriptor == "1":
            assert synced, f"acknowledgement {acknowledgements} was given before a sync"
            acknowledgements += 1
            synced = False
    assert acknowledgements == 20
