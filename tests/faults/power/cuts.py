"""Runs a traced program, cuts its power again and again, and looks at what is left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Final, Protocol

import pytest

from . import tracer
from .disk import at_start, states
from .journal import read
from .promises import BrokenPromiseError

ROOT: Final = Path(__file__).parents[3]


def run(module: str, *arguments: str | Path, traced: tuple[Path, Path] | None = None, source: Path = ROOT) -> None:
    """Run `python -m module`, with the product's code of `source`; `traced`: with all that it starts."""
    path = os.pathsep.join([*(str(source / folder) for folder in ("edge", "drivers", "cloud-sync")), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path} | (tracer.environment(*traced, path) if traced else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and "HookError" in done.stderr:
        pytest.skip(f"power cuts were NOT tested: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr[-3_000:]


def mutated(folder: Path, file: str, old: str, new: str) -> Path:
    """A copy of the product's code in `folder` in which `old`, found once in `file`, is `new`."""
    for part in ("edge", "drivers", "cloud-sync"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    body = (folder / file).read_text()
    assert body.count(old) == 1, f"{file} has changed: what is to be broken there stands {body.count(old)} times"
    (folder / file).write_text(body.replace(old, new))
    return folder


class Promises(Protocol):
    """What a program was told, and how to see whether a folder holds it."""

    def hear(self, mark: bytes) -> None:
        """Take in what the program said."""

    def check(self, folder: Path, *, thorough: bool) -> None:
        """Raise if what was promised is not in `folder`."""


@dataclass(slots=True)
class Cuts:
    """What became of power cuts."""

    made: int = 0
    broken: list[str] = field(default_factory=list)
    """What was not as promised, and where."""


def survey(
    journal: Path,
    promises: Promises,
    random: Random,
    most: int,
    folder: Path,
    *,
    keep: Mapping[int, Callable[[Path], None]] = MappingProxyType({}),
    last: int | None = None,
) -> Cuts:
    """Cut the power `most` times, at all places of `journal` (if there are more places: at some), and look each time.

    The states are built in `folder`; `keep[n]` is called with it before the n-th one is looked at, which changes it.
    `last`: only at so many places, the last ones.
    """
    entries = read(journal)
    cuts, heard = Cuts(), 0
    times = _times(len(entries) - at_start(entries) + 1, most, random, last)
    for at, disk in enumerate(states(entries)):
        for mark in disk.marks[heard:]:
            promises.hear(mark)
        heard = len(disk.marks)
        for _ in range(times[at]):
            disk.outcome(random).write(folder)
            keep.get(cuts.made, _nothing)(folder)
            cuts.made += 1
            try:
                promises.check(folder, thorough=cuts.made % 5 == 0)
            except BrokenPromiseError as error:
                cuts.broken.append(f"after {at} operations: {error}")
    return cuts


def _times(places: int, most: int, random: Random, last: int | None) -> list[int]:
    """How often the power is cut at each place."""
    open_ = min(places, last or places)
    whole, rest = divmod(most, open_)
    more = set(random.sample(range(places - open_, places), rest))
    return [(place >= places - open_) * whole + (place in more) for place in range(places)]


def _nothing(folder: Path) -> None:
    """Not kept."""
