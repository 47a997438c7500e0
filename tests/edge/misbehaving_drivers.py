"""Drivers of somebody else's that misbehave in every way we could think of, until a file says that they are well again.

It is copied into a distribution of its own (`misbehaving.py`) and found there by entry points, as those of others are.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from golmok_drivers.api import (
    BusNack,
    Channel,
    DriverInfo,
    EventDriver,
    MessageDriver,
    PolledDriver,
    Reading,
    Settings,
)

X = Channel("x", "Cel")
KEPT: list[Any] = []


class IllSettings(Settings):
    """Ill until that file is there."""

    well: str
    topic: str = "ill"


class OwnEndError(BaseException):
    """No Exception at all."""


def info(name: str, bus: str = "w1") -> DriverInfo:
    return DriverInfo(name, title=name, title_ko="", bus=bus, datasheet="", channels=(X,), interval_s=0.5)


def raises(error: Callable[[], BaseException]) -> Callable[[Any], Any]:
    def it(driver: Any) -> Any:
        raise error()

    return it


def gives(said: Callable[[], Any]) -> Callable[[Any], Any]:
    return lambda driver: said()


async def awaits_for_ever(driver: Any) -> Any:
    await asyncio.Event().wait()


async def ignores_cancelling(driver: Any) -> Any:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            KEPT.append(1)


def sleeps(driver: Any) -> Any:
    time.sleep(3600)


def spins(driver: Any) -> Any:
    while True:
        pass


def spins_in_c(driver: Any) -> Any:
    """The GIL is never let go."""
    return sum(range(10**15))


def recurses(driver: Any) -> Any:
    return recurses(driver)


async def cancels_itself(driver: Any) -> Any:
    task = asyncio.current_task()
    assert task
    task.cancel()
    await asyncio.sleep(1)


async def never_awaited() -> list[Reading]:
    return [Reading("x", 1.0)]


def for_ever() -> Any:
    while True:
        yield Reading("x", 1.0)


class Endless(list[Reading]):
    """A list that says it is short, and never ends."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, at: Any) -> Any:
        while True:
            time.sleep(1)


def leaks_memory(driver: Any) -> Any:
    KEPT.append(b"x" * 8_000_000)
    return [Reading("x", 1.0)]


def leaks_files(driver: Any) -> Any:
    KEPT.extend(Path(os.devnull).open() for _ in range(40))  # noqa: SIM115  # that is the point
    return [Reading("x", 1.0)]


def leaks_threads(driver: Any) -> Any:
    for _ in range(10):
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    return [Reading("x", 1.0)]


async def leaks_tasks(driver: Any) -> Any:
    KEPT.extend(asyncio.create_task(asyncio.sleep(3600)) for _ in range(200))
    return [Reading("x", 1.0)]


def takes_all_memory(driver: Any) -> Any:
    while True:
        KEPT.append(b"x" * 50_000_000)
        time.sleep(0.01)


def leaves_processes(driver: Any) -> Any:
    KEPT.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]))
    os._exit(3)


def kills_the_loop(driver: Any) -> Any:
    async def ends() -> None:
        raise SystemExit(4)

    KEPT.append(asyncio.get_running_loop().create_task(ends()))
    return [Reading("x", 1.0)]


def writes_into_the_line(driver: Any) -> Any:
    for fd in range(3, 20):
        try:
            os.write(fd, b"\xff" * 100)
        except OSError:
            continue
    return [Reading("x", 1.0)]


def closes_everything(driver: Any) -> Any:
    os.closerange(3, 100)
    return [Reading("x", 1.0)]


POLLED: dict[str, Callable[[Any], Any]] = {
    "awaits-for-ever": awaits_for_ever,
    "ignores-cancelling": ignores_cancelling,
    "sleeps": sleeps,
    "spins": spins,
    "spins-in-c": spins_in_c,
    "raises-key": raises(lambda: KeyError("oops")),
    "raises-exit": raises(lambda: SystemExit(0)),
    "raises-interrupt": raises(KeyboardInterrupt),
    "raises-own": raises(OwnEndError),
    "raises-cancelled": raises(asyncio.CancelledError),
    "raises-memory": raises(MemoryError),
    "raises-stop": raises(StopAsyncIteration),
    "raises-generator-exit": raises(GeneratorExit),
    "raises-nack": raises(lambda: BusNack("nobody")),
    "recurses": recurses,
    "cancels-itself": cancels_itself,
    "gives-none": gives(lambda: None),
    "gives-number": gives(lambda: 5),
    "gives-text": gives(lambda: "x"),
    "gives-pairs": gives(lambda: [("x", 1.0)]),
    "gives-nan": gives(lambda: [Reading("x", float("nan"))]),
    "gives-unknown": gives(lambda: [Reading("y", 1.0)]),
    "gives-object": gives(lambda: [Reading("x", object())]),  # type: ignore[arg-type]
    "gives-huge": gives(lambda: [Reading("x", 10**400)]),
    "gives-surrogate": gives(lambda: [Reading("x", "\ud800")]),
    "gives-million": gives(lambda: [Reading("x", 1.0)] * 1_000_000),
    "gives-thousands": gives(lambda: [Reading("x", 1.0)] * 3_000),
    "gives-coroutine": gives(never_awaited),
    "gives-generator": gives(for_ever),
    "gives-endless": gives(Endless),
    "leaks-memory": leaks_memory,
    "leaks-files": leaks_files,
    "leaks-threads": leaks_threads,
    "leaks-tasks": leaks_tasks,
    "takes-all-memory": takes_all_memory,
    "exits": gives(lambda: os._exit(3)),
    "crashes": gives(lambda: ctypes.string_at(0)),
    "leaves-processes": leaves_processes,
    "kills-the-loop": kills_the_loop,
    "writes-into-the-line": writes_into_the_line,
    "closes-everything": closes_everything,
}


class Ill(PolledDriver):
    """Does what its kind does."""

    api = 1
    Settings = IllSettings
    kind: ClassVar[str]

    @property
    def is_well(self) -> bool:
        return Path(self.settings.well).exists()

    async def sample(self) -> Sequence[Reading]:
        if self.is_well:
            return [Reading("x", 1.0)]
        said = POLLED[self.kind](self)
        if asyncio.iscoroutine(said) and self.kind != "gives-coroutine":
            said = await said
        return said  # type: ignore[no-any-return]


class IllAtOpen(Ill):
    """Does it when it is opened."""

    async def open(self, bus: Any) -> None:
        await super().sample()

    async def sample(self) -> Sequence[Reading]:
        return [Reading("x", 1.0)]


class IllAtClose(Ill):
    """Does it when it is closed; its device says nothing, so that it is."""

    async def sample(self) -> Sequence[Reading]:
        if self.is_well:
            return [Reading("x", 1.0)]
        raise BusNack("nobody")

    async def close(self) -> None:
        await super().sample()


class IllAtBirth(Ill):
    """Does it when it is made."""

    def __init__(self, settings: Any, *, timezone: str = "UTC") -> None:
        super().__init__(settings, timezone=timezone)
        if not self.is_well:
            POLLED[self.kind](self)


class NotAsync(Ill):
    """Its methods are no coroutines."""

    def sample(self) -> Any:
        return [Reading("x", 1.0)] if not self.is_well else never_awaited()


class IllSpeaker(EventDriver):
    """Does what its kind does, by itself."""

    api = 1
    Settings = IllSettings
    kind: ClassVar[str]

    def is_well(self) -> bool:
        return Path(self.settings.well).exists()

    async def events(self) -> AsyncIterator[Sequence[Reading]]:
        while self.is_well():
            yield [Reading("x", 1.0)]
            await asyncio.sleep(0.5)
        if self.kind == "floods":
            while not self.is_well():
                yield [Reading("x", 1.0)]
        elif self.kind == "floods-in-heaps":
            while not self.is_well():
                yield [Reading("x", 1.0)] * 4_000
        elif self.kind == "leaks-memory":
            while not self.is_well():
                yield leaks_memory(self)
                await asyncio.sleep(0.5)
        elif self.kind != "ends":
            yield POLLED[self.kind](self)


class IllListener(MessageDriver):
    """Does what its kind does, on each message."""

    api = 1
    Settings = IllSettings
    kind: ClassVar[str]

    def topics(self) -> tuple[str, ...]:
        return (self.settings.topic,)

    def decode(self, topic: str, payload: bytes) -> Sequence[Reading]:
        if Path(self.settings.well).exists():
            return [Reading("x", float(payload))]
        return POLLED[self.kind](self)  # type: ignore[no-any-return]


def place(name: str) -> str:
    """Where the driver's class stands in this module."""
    return f"Ill_{name.replace('-', '_')}"


def _make() -> dict[str, type[Any]]:
    made: dict[str, type[Any]] = {}

    def add(name: str, base: type[Any], kind: str, bus: str = "w1") -> None:
        made[name] = type(f"{base.__name__}_{kind}", (base,), {"info": info(name, bus), "kind": kind})

    for kind in POLLED:
        add(kind, Ill, kind)
    for kind in ("sleeps", "raises-key", "raises-exit", "exits", "ignores-cancelling"):
        add(f"open-{kind}", IllAtOpen, kind)
    for kind in ("sleeps", "raises-key", "raises-exit", "exits"):
        add(f"close-{kind}", IllAtClose, kind)
    for kind in ("sleeps", "raises-key", "raises-exit"):
        add(f"birth-{kind}", IllAtBirth, kind)
    add("not-async", NotAsync, "not-async")
    for kind in ("floods", "floods-in-heaps", "ends", "sleeps", "spins", "raises-exit", "gives-none", "leaks-memory"):
        add(f"speaker-{kind}", IllSpeaker, kind)
    for kind in ("sleeps", "spins", "raises-key", "raises-exit", "gives-none", "gives-million", "exits"):
        add(f"listener-{kind}", IllListener, kind, "mqtt")
    return made


DRIVERS = _make()
globals().update({place(name): kind for name, kind in DRIVERS.items()})
