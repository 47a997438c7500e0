"""Stages one after another, each a command in a process of its own; what it says is what the page shows.

Stopping a job is SIGTERM to its command (a shell in the background has its children ignore Ctrl-C's): the lasers go
out, and starting it again goes on from there.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from golmok_edge.scan.progress import EVERY

_PROGRESS: Final = re.compile(r"^(?P<what>[a-z ]+): (?P<done>\d+) of (?P<total>\d+)(?:, (?P<left>.+) left)?")
_LEFT: Final = re.compile(r"(?:(\d+) h ?)?(?:(\d+) min ?)?(?:(\d+) s)?")


@dataclass(frozen=True)
class Stage:
    """One command: its name as `golmok-scan` has it, and what follows."""

    name: str
    arguments: tuple[str, ...]


@dataclass
class State:
    """What is to be seen of a job."""

    scan: str
    stages: list[str]
    stage: int = 0
    done: int = 0
    total: int = 0
    left_s: int | None = None
    asks: dict[str, str] = field(default_factory=dict)
    """What somebody is to do now, by language; empty: nothing."""
    error: str = ""
    troubles: list[dict[str, Any]] = field(default_factory=list)
    ended: str = ""
    """Empty while it runs; `done`, `failed` or `stopped`."""


class Job:
    """One at a time: whoever has the scanner has it alone."""

    def __init__(self, scan: str, stages: Sequence[Stage]) -> None:
        self.state = State(scan, [stage.name for stage in stages])
        self._stages = stages
        self._process: asyncio.subprocess.Process | None = None
        self._stopped = False
        self._task = asyncio.create_task(self._run())

    @property
    def runs(self) -> bool:
        """Whether it is not over yet."""
        return not self.state.ended

    def go_on(self) -> None:
        """The person has done what was asked for."""
        if self.state.asks and self._process is not None and self._process.stdin is not None:
            self.state.asks = {}
            self._process.stdin.write(b"\n")

    async def stop(self) -> None:
        """End it, and wait until it has ended."""
        self._stopped = True
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
        await self._task

    async def over(self) -> None:
        """Wait until it has ended by itself."""
        await self._task

    async def _run(self) -> None:
        for number, stage in enumerate(self._stages):
            self.state.stage, self.state.done, self.state.total, self.state.left_s = number, 0, 0, None
            if self._stopped or not await self._went_well(stage):
                break
        self.state.asks = {}
        self.state.ended = "stopped" if self._stopped else "failed" if self.state.error else "done"

    async def _went_well(self, stage: Stage) -> bool:
        command = [sys.executable, "-m", "golmok_edge.scan.cli", stage.name, *stage.arguments, "--json"]
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, EVERY: "1"}
        )
        if self._stopped:
            self._process.send_signal(signal.SIGTERM)
        assert self._process.stdout is not None
        out, said = await asyncio.gather(self._process.stdout.read(), self._listen(self._process))
        code = await self._process.wait()
        self._process = None
        found = _document(out)
        # Each stage tells again what those before it said.
        told = self.state.troubles
        told += [trouble for trouble in found.get("troubles", []) if trouble not in told]
        if code and not self._stopped:
            self.state.error = str(found.get("error") or said or f"golmok-scan {stage.name} ended with {code}")
        return not code

    async def _listen(self, process: asyncio.subprocess.Process) -> str:
        """Note what it says while it runs; the last line that was no progress."""
        assert process.stderr is not None
        last = ""
        async for line in process.stderr:
            text = line.decode("utf-8", "replace").strip()
            if asks := _document(text).get("asks"):
                self.state.asks = asks
            elif told := _PROGRESS.match(text):
                self.state.done, self.state.total = int(told["done"]), int(told["total"])
                self.state.left_s = seconds_of(told["left"])
            elif text:
                last = text
        return last


def seconds_of(left: str | None) -> int | None:
    """What `progress.told` said, as a number."""
    found = _LEFT.fullmatch(left or "-")
    return None if found is None else sum(int(n or 0) * s for n, s in zip(found.groups(), (3600, 60, 1), strict=True))


def _document(out: bytes | str) -> dict[str, Any]:
    try:
        found = json.loads(out)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
