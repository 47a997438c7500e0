"""A run that is killed, in whatever way, leaves no process, no mounted disk and no folder behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .guard import MARK, ROOT

RUN = """
import subprocess, sys, tempfile, time
from pathlib import Path
from tests.faults.disk import SmallDisk
from tests.faults.guard import Guard
guard = Guard()
folder = Path(tempfile.mkdtemp())
SmallDisk.mount(folder / "disk")
(folder / "file").write_text("something")
deaf = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"]
for _ in range(2):
    subprocess.Popen(["sh", "-c", '"$@" & "$@"', "sh", *deaf])
print(guard.run, guard._process.pid, flush=True)
time.sleep(float(sys.argv[1]))
guard.close()
"""


class Run:
    """A process that does what a run of the harness does."""

    def __init__(self, temporary: Path, lives_s: float = 600) -> None:
        self._command = [sys.executable, "-c", RUN, str(lives_s)]
        self._temporary = temporary
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(temporary)}
        )
        assert self.process.stdout is not None
        self.name, guard = self.process.stdout.readline().split()
        self.guard = int(guard)
        until(lambda: len(self.left()) >= 4, "its programs run")

    def left(self) -> list[str]:
        """What there is of it."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/environ"):
            try:
                found += [str(entry)] * (f"{MARK}={self.name}".encode() in entry.read_bytes().split(b"\0"))
            except OSError:
                continue
        found += [line for line in Path("/proc/mounts").read_text().splitlines() if self.name in line]
        return found + list(map(str, self._temporary.glob(f"*{self.name}*")))


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.02)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path)
    yield run
    run.process.kill()
    run.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_all_of_it_at_once(run: Run, number: signal.Signals) -> None:
    run.process.send_signal(number)
    assert run.process.wait(60) == 128 + number
    assert run.left() == []


def test_a_run_that_is_killed_is_cleaned_up_by_its_guard(run: Run) -> None:
    run.process.kill()
    until(lambda: run.left() == [], "nothing is left")


def test_a_run_that_was_killed_with_its_guard_is_cleaned_up_by_the_next(run: Run, tmp_path: Path) -> None:
    os.kill(run.guard, signal.SIGKILL)
    run.process.kill()
    run.process.wait()
    assert len(run.left()) >= 5
    other = Run(tmp_path, lives_s=0.5)
    assert run.left() == []
    assert other.process.wait(60) == 0
    assert other.left() == []


def test_another_run_that_lives_is_left_alone(run: Run, tmp_path: Path) -> None:
    other = Run(tmp_path, lives_s=0.0)
    other.process.wait(60)
    assert len(run.left()) >= 5
