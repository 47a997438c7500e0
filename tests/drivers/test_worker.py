from __future__ import annotations

import asyncio
import ctypes
import threading
import time

import pytest

from golmok_drivers.api import BusBackoff, BusClosed, BusNack, BusTimeout
from golmok_drivers.buses.worker import BusWorker
from tests.drivers.waiting import until


class HandClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def nack() -> bytes:
    raise BusNack("nobody")


async def test_results_and_errors_reach_their_caller() -> None:
    worker = BusWorker("test")
    assert await worker.run("a", lambda: 7, 1.0) == 7
    with pytest.raises(BusNack):
        await worker.run("a", nack, 1.0)
    assert await worker.run("a", lambda: 8, 1.0) == 8
    await worker.close()


async def test_transactions_never_overlap_and_do_not_block_the_loop() -> None:
    worker, running, most = BusWorker("test"), 0, 0

    def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.005)
        running -= 1

    await asyncio.gather(*(worker.run(device, work, 1.0) for device in range(10)))
    assert most == 1
    await worker.close()


async def test_a_machine_that_is_too_busy_to_begin_is_no_fault_of_the_device() -> None:
    worker = BusWorker("test")
    asking = asyncio.create_task(worker.run("a", lambda: "served", 0.1))
    await asyncio.sleep(0)
    ctypes.PyDLL(None).usleep(400_000)  # nobody else runs meanwhile, and the deadline passes
    assert await asking == "served"
    await worker.close()


async def test_a_hanging_device_delays_the_others_once_and_is_left_alone() -> None:
    clock, release = HandClock(), threading.Event()
    worker = BusWorker("test", clock)
    started = time.monotonic()
    hanging = asyncio.create_task(worker.run("bad", release.wait, 0.3))
    queued = asyncio.create_task(worker.run("bad", lambda: None, 0.3))
    assert await worker.run("good", lambda: "served", 0.3) == "served"
    assert time.monotonic() - started < 1.0
    with pytest.raises(BusTimeout):
        await hanging
    with pytest.raises(BusBackoff):
        await queued
    with pytest.raises(BusBackoff, match="still hangs"):
        await worker.run("bad", lambda: None, 0.3)
    release.set()
    await until(lambda: not worker._health["bad"].hanging)
    with pytest.raises(BusBackoff, match="tried again"):
        await worker.run("bad", lambda: None, 0.3)
    clock.now = 1.1
    assert await worker.run("bad", lambda: "back", 0.3) == "back"
    await worker.close()


async def test_pauses_double_while_it_keeps_hanging() -> None:
    clock = HandClock()
    worker = BusWorker("test", clock)
    pauses = []
    for _ in range(8):
        release = threading.Event()
        with pytest.raises(BusTimeout):
            await worker.run("bad", release.wait, 0.01)
        release.set()
        await until(lambda: not worker._health["bad"].hanging)
        pauses.append(worker._health["bad"].pause_s)
        clock.now += 100
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    await worker.close()


async def test_who_only_stood_behind_a_hanging_one_is_not_punished() -> None:
    """A kernel that serialises a bus makes the next device's call hang as well."""
    worker, wire = BusWorker("test"), threading.Lock()
    wire.acquire()

    def on_the_wire() -> str:
        with wire:
            return "ok"

    for device in ("bad", "good"):
        with pytest.raises(BusTimeout):
            await worker.run(device, on_the_wire, 0.05)
    wire.release()
    await until(lambda: "good" not in worker._health)
    assert await worker.run("good", on_the_wire, 1.0) == "ok"
    with pytest.raises(BusBackoff):
        await worker.run("bad", on_the_wire, 1.0)
    await worker.close()


async def test_cancelling_who_waits_or_runs_leaves_the_bus_usable() -> None:
    worker, release = BusWorker("test"), threading.Event()
    done: list[object] = []
    running = asyncio.create_task(worker.run("a", lambda: done.append(release.wait()), 5.0))
    waiting = asyncio.create_task(worker.run("b", lambda: done.append("never"), 5.0))
    await asyncio.sleep(0.01)
    for task in (running, waiting):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    release.set()
    assert await worker.run("c", lambda: 3, 5.0) == 3
    assert done == [True], "what ran is finished, what waited is forgotten"
    await worker.close()


async def test_closing_tells_everybody_and_may_be_done_twice() -> None:
    worker, release = BusWorker("test"), threading.Event()
    tasks = [asyncio.create_task(worker.run(device, release.wait, 5.0)) for device in range(3)]
    await asyncio.sleep(0)
    await worker.close()
    await worker.close()
    for task in tasks:
        with pytest.raises(BusClosed):
            await task
    with pytest.raises(BusClosed):
        await worker.run("a", lambda: None, 1.0)
    release.set()
