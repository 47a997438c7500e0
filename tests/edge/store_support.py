"""What the tests of the store share: a store without the half second that a new file takes, and readings."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from golmok_cloud_sync.protocol import Record, Stream, Void, canonical
from golmok_edge.store import Layout, Reader, Store

ROOT = Path(__file__).parents[2]
BOOT = "8c3f0b6e5d2a4f19b7c1d0e9a8f76543"


@cache
def _empty_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty"
        subprocess.run([sys.executable, "-m", "golmok_edge.store.migrate", str(file)], check=True)
        return file.read_bytes()


def prepared(folder: Path) -> Path:
    """`folder` with the file of a store that was never opened."""
    folder.mkdir(parents=True, exist_ok=True)
    Layout(folder).file.write_bytes(_empty_file())
    return folder


def reading(value: float | str | bool | None, mono_ms: int = 0, channel: str = "fridge.temperature") -> Record:
    return Record(channel, value, "Cel", BOOT, mono_ms)


def some(count: int, first: int = 0) -> list[Record]:
    """Readings that can be told apart."""
    return [reading(at / 10, at * 100, f"device{at % 7}.value") for at in range(first, first + count)]


def drain(source: Store | Reader, stream: Stream, lo: int = 1, limit: int = 1_000) -> list[Record | Void]:
    """All that the stream gives from `lo` on: records, and voids as they come."""
    given: list[Record | Void] = []
    while found := source.read(stream, lo, limit):
        if isinstance(found, Void):
            assert found.lo == lo < found.hi
            given.append(found)
            lo = found.hi
        else:
            given += found
            lo += len(found)
    return given


def records(source: Store | Reader, stream: Stream = "readings", lo: int = 1) -> list[Record]:
    """All records of a stream that has no voids."""
    given = drain(source, stream, lo)
    assert not any(isinstance(one, Void) for one in given)
    return [one for one in given if isinstance(one, Record)]


def same(one: list[Record], other: list[Record]) -> bool:
    """Equal to the last bit: 1, 1.0 and True differ."""
    return list(map(canonical, one)) == list(map(canonical, other))


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def mount_tmpfs(folder: Path, options: str) -> Callable[[], None]:
    """A small file system of memory at `folder`; gives what takes it away. Skips the test without the right to."""
    if os.geteuid() != 0:
        pytest.skip("a small tmpfs needs root: a full disk was NOT tested")
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"tmpfs cannot be mounted here, a full disk was NOT tested: {done.stderr.strip()}")

    def unmount() -> None:
        subprocess.run(["umount", str(folder)], check=True)

    return unmount
