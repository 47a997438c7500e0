"""Nothing of a run outlives it: not a program, not a mounted disk, not a folder, however the run ends.

A run has a guard, a small process that only waits for the end of a pipe. When the run is over, or is killed (also by
kill -9, when nothing in it can clean up any more), the guard kills every process that bears the run's mark in its
environment, unmounts the run's disks and removes its folder. Should the guard be killed too, the next run does it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final

ROOT: Final = Path(__file__).parents[2]
MARK: Final = "GOLMOK_FAULTS_RUN"
"""In the environment of all that a run starts, and in the names of its disks and of its folder."""
_PREFIX: Final = "golmok-faults-"
_DEADLINE_S: Final = 10.0


class Guard:
    """Watches over this process, which is a run from now on, until `close`. Not in more than one thread."""

    def __init__(self) -> None:
        clean_up_after_the_dead()
        self.run = f"{os.getpid()}-{_started(os.getpid())}"
        self.folder = Path(tempfile.gettempdir()) / (_PREFIX + self.run)
        self.folder.mkdir(mode=0o700)
        command = [sys.executable, "-m", "tests.faults.guard", self.run, str(self.folder)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True)
        os.environ[MARK] = self.run
        os.environ["TMPDIR"] = tempfile.tempdir = str(self.folder)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._end)

    def close(self) -> None:
        """End what is left of the run; returns when nothing is."""
        self._process.communicate()
        del os.environ[MARK], os.environ["TMPDIR"]
        tempfile.tempdir = None

    def _end(self, number: int, frame: FrameType | None) -> None:
        """At once: what hangs cannot hold it up."""
        try:
            print(f"faults: ended by {signal.Signals(number).name}", file=sys.stderr, flush=True)
            self._process.communicate()
        finally:
            os._exit(128 + number)


def mark() -> str:
    """How a disk of this run is named."""
    return _PREFIX + os.environ.get(MARK, "")


def clean_up_after_the_dead() -> None:
    """What earlier runs left, whose guard was killed with them."""
    runs = {run for _, run in _processes()} | {run for run, _ in _disks()}
    runs |= {path.name.removeprefix(_PREFIX) for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*")}
    for run in runs:
        if not _is_alive(run):
            clean_up(run, Path(tempfile.gettempdir()) / (_PREFIX + run))


def clean_up(run: str, folder: Path) -> None:
    """End all of a run but its own process, unmount its disks, remove its folder."""
    until = time.monotonic() + _DEADLINE_S
    while (found := [pid for pid, its in _processes() if its == run]) and time.monotonic() < until:
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)
    for its, where in _disks():
        if its == run:
            subprocess.run(["umount", "--lazy", where], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)


def _is_alive(run: str) -> bool:
    pid, _, started = run.partition("-")
    return pid.isdigit() and _started(int(pid)) == started


def _started(pid: int) -> str:
    """When a process was started: a number is given again, but not twice at the same time (proc(5), field 22)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _processes() -> Iterator[tuple[int, str]]:
    """Processes that bear a run's mark, and the run."""
    wanted = f"{MARK}=".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # gone, or somebody else's
            continue
        for word in words:
            if word.startswith(wanted) and int(entry.name) != os.getpid():
                yield int(entry.name), word.removeprefix(wanted).decode(errors="replace")


def _disks() -> Iterator[tuple[str, str]]:
    """Runs and where their disks are mounted, the innermost first."""
    try:
        lines = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return
    for line in reversed(lines):
        source, where, kind, *_ = line.split(" ")
        if kind == "tmpfs" and source.startswith(_PREFIX):
            yield source.removeprefix(_PREFIX), where.replace("\\040", " ")


def main(run: str, folder: str) -> None:
    """Wait for the end of the run, and clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    clean_up(run, Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
