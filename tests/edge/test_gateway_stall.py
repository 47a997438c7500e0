"""`golmok_edge.gateway.stall`: a driver in our own process that blocks the loop is interrupted, and goes elsewhere."""

from __future__ import annotations

import asyncio
import itertools
import select
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from golmok_cloud_sync.protocol import Record
from golmok_drivers.api import Channel, DriverInfo, PolledDriver, Reading
from golmok_edge.gateway.devices import DeviceTask
from golmok_edge.gateway.stall import Stall

from .gateway_support import HandClock, device, until


class Blocking(PolledDriver):
    """Does it once; then, or elsewhere, it is a thermometer."""

    api = 1
    info = DriverInfo("blocking", title="", title_ko="", bus="fake", datasheet="", channels=(Channel("x", "Cel"),))

    def __init__(self, block: Callable[[], Any] | None) -> None:
        super().__init__(None)
        self.block = block

    async def sample(self) -> Sequence[Reading]:
        if self.block:
            self.block()
        return [Reading("x", 1.0)]


def sleeps() -> None:
    time.sleep(3600)


def spins() -> None:
    for _ in itertools.count():
        pass


def waits_for_a_file() -> None:
    select.select([], [], [])


def takes_a_moment() -> None:
    time.sleep(0.03)


def swallows() -> None:
    """Does not even give up when it is interrupted, the first times."""
    for _ in range(2):
        try:
            time.sleep(3600)
        except Exception:  # noqa: BLE001  # as drivers do
            continue


@pytest.mark.parametrize("block", [sleeps, spins, waits_for_a_file, swallows])
async def test_one_that_blocks_is_interrupted_and_goes_elsewhere(block: Callable[[], Any]) -> None:
    records: list[Record] = []
    task = DeviceTask(
        device("one", "x", interval_s=0.05),
        Blocking(block),
        lambda _: None,
        HandClock(),
        records.extend,
        elsewhere=lambda: Blocking(None),
    )
    with Stall(asyncio.get_running_loop(), stall_s=0.3):
        running = asyncio.create_task(task.run())
        await until(lambda: task.state.state == "good")
        running.cancel()
        await asyncio.wait([running])
    assert records[0].quality == "good" or (records[0].quality, records[0].reason) == ("bad", "hangs")
    assert (task.state.restarts, records[-1].value) == (1 if block is not swallows else task.state.restarts, 1.0)


async def test_one_that_happens_to_run_when_the_loop_is_late_is_not_interrupted() -> None:
    """Forty drivers that take a moment each, in one round of the loop: it is late, and each is innocent."""
    records: list[Record] = []
    tasks = [
        DeviceTask(device(f"d{at}", "x", interval_s=0.05), Blocking(takes_a_moment), lambda _: None, HandClock(),
                   records.extend)
        for at in range(40)
    ]  # fmt: skip
    with Stall(asyncio.get_running_loop(), stall_s=0.3):
        running = [asyncio.create_task(task.run()) for task in tasks]
        await until(lambda: len(records) > 100)
        for one in running:
            one.cancel()
        await asyncio.wait(running)
    assert {record.quality for record in records} == {"good"}
    assert {task.state.restarts for task in tasks} == {0}


async def test_what_is_no_drivers_is_not_interrupted() -> None:
    with Stall(asyncio.get_running_loop(), stall_s=0.1):
        await asyncio.sleep(0.05)
        time.sleep(0.5)  # noqa: ASYNC251  # that is the point
        await asyncio.sleep(0.05)
