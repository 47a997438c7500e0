"""Writes a distribution of somebody else's with drivers that behave as badly as they can."""

from __future__ import annotations

from pathlib import Path

_MODULE = """
import asyncio, threading, time
from golmok_drivers.api import Channel, DriverInfo, PolledDriver, Reading


class Bad(PolledDriver):
    api = 1

    async def sample(self):
        return [Reading("x", 1.0)]


def named(name, **how):
    x = Channel("x", "Cel")
    info = DriverInfo(name, title=name, title_ko="", bus="w1", datasheet="", channels=(x,), interval_s=1)
    return type(name.title(), (Bad,), {"info": info, **how})


async def stubborn(self):
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass


async def blocks(self):
    time.sleep(3600)


async def in_threads(self):
    for _ in range(100):
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
    await asyncio.to_thread(time.sleep, 3600)


Stubborn = named("stubborn", sample=stubborn, close=stubborn)
Blocks = named("blocks", sample=blocks)
Threads = named("threads", sample=in_threads)
"""

_METADATA = "Metadata-Version: 2.1\nName: bad-drivers\nVersion: 1\n"
_POINTS = (
    "[golmok.drivers]\nstubborn = bad_drivers:Stubborn\nblocks = bad_drivers:Blocks\nthreads = bad_drivers:Threads\n"
)


def write_distribution(folder: Path) -> Path:
    """The folder to put on PYTHONPATH."""
    (folder / "bad_drivers-1.dist-info").mkdir(parents=True)
    (folder / "bad_drivers.py").write_text(_MODULE)
    (folder / "bad_drivers-1.dist-info" / "METADATA").write_text(_METADATA)
    (folder / "bad_drivers-1.dist-info" / "entry_points.txt").write_text(_POINTS)
    return folder
