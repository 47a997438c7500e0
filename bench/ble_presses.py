"""Call buttons in a crowded air: how many presses are missed or doubled, and how long one takes to become an event.

`python -m bench.ble_presses --json`: 200 buttons with keys, 30 % of their frames lost (of each burst at least one
arrives), 4,000 adverts a second through a D-Bus daemon and an unmodified bleak, counters synced to disk before each
event. The time is from the first frame that was not lost to the event that the driver gives.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from bench import _ble_air as ble_air
from golmok_drivers.adverts.keyed import KeyedDevice
from golmok_drivers.buses.ble import BleRadio
from golmok_drivers.devices.ble_button import BleButtonDriver, BleButtonSettings
from golmok_drivers.radio import Counters
from golmok_drivers.twins.bluez import PrivateBus
from golmok_drivers.twins.bluez.daemon import SystemBus
from golmok_edge.gateway.clock import SystemClock
from golmok_edge.gateway.counters import CounterFile

SETTLE_S: Final = 1.0
NOTHING_MORE_S: Final = 10.0
TICK_S: Final = 0.01


async def measured(
    plan: ble_air.Plan, folder: Path, counters_of: Callable[[Path], Counters] | None = None
) -> dict[str, Any]:
    """Run it once; the figures."""
    bus = PrivateBus()
    system = SystemBus(bus.address)
    counters = counters_of(folder) if counters_of else CounterFile(folder, SystemClock())
    radio = BleRadio(("hci0",), counters)
    air = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bench._ble_air", bus.address, json.dumps(plan._asdict())),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    assert air.stdin is not None
    assert air.stdout is not None
    try:
        await air.stdout.readline()
        events: dict[str, list[float]] = {}
        drivers = [await _opened(radio, button) for button in range(plan.buttons)]
        tasks = [asyncio.create_task(_listen(driver, events)) for driver in drivers]
        began, stalls = time.process_time(), list[float]()
        watching = asyncio.create_task(_watch(stalls))
        air.stdin.write(b"go\n")
        sent = []
        while "adverts" not in (line := json.loads(await air.stdout.readline())):
            sent.append(line)
        behind_s = await _all_heard(radio, line["signals"])
        await asyncio.sleep(SETTLE_S)
        used = time.process_time() - began
        watching.cancel()
        for driver in drivers:
            await driver.close()
        await asyncio.gather(*tasks)
        await radio.close()
        air.stdin.write(b"end\n")
        await air.wait()
    finally:
        if air.returncode is None:
            air.kill()
            await air.wait()
        await radio.close()
        if isinstance(counters, CounterFile):
            counters.close()
        system.close()
        bus.close()
    return {
        **_compared(plan, sent, events),
        **_told(line),
        "heard": radio.heard,
        "behind_s": round(behind_s, 1),
        "cpu_s": round(used, 2),
        **_stood(stalls),
    }


async def _all_heard(radio: BleRadio, signals: int) -> float:
    """Wait until all that was sent has been read, or nothing more comes; how long that took, seconds.

    What a starved process has not read yet lies in the D-Bus daemon: it is late, not lost.
    """
    began_s = time.monotonic()
    before = -1
    while before < radio.heard < signals:
        before = radio.heard
        for _ in range(round(NOTHING_MORE_S / TICK_S)):
            await asyncio.sleep(TICK_S)
            if radio.heard >= signals:
                break
    return time.monotonic() - began_s


def _compared(plan: ble_air.Plan, sent: list[dict[str, Any]], events: dict[str, list[float]]) -> dict[str, Any]:
    devices = [KeyedDevice(ble_air.address(button), ble_air.key(button)) for button in range(plan.buttons)]
    late_ms, missed = [], 0
    doubled = sum(len(times) - 1 for times in events.values())
    for press in sent:
        times = events.pop(devices[press["button"]].event_id(press["counter"]), None)
        if times is None:
            missed += 1
        else:
            late_ms.append((times[0] - press["at_s"]) * 1000)
    late_ms.sort()
    return {
        "presses": len(sent),
        "missed": missed,
        "doubled": doubled,
        "of_nobody": len(events),
        "median_ms": round(statistics.median(late_ms), 2) if late_ms else None,
        "p99_ms": round(late_ms[int(len(late_ms) * 0.99)], 2) if late_ms else None,
        "worst_ms": round(late_ms[-1], 2) if late_ms else None,
    }


async def _watch(stalls: list[float]) -> None:
    """How late this very process is run: what a press takes longer than this is ours."""
    loop = asyncio.get_running_loop()
    while True:
        began_s = loop.time()
        await asyncio.sleep(TICK_S)
        stalls.append((loop.time() - began_s - TICK_S) * 1000)


def _stood(stalls: list[float]) -> dict[str, Any]:
    stalls.sort()
    return {"not_run_p99_ms": round(stalls[int(len(stalls) * 0.99)], 2), "not_run_worst_ms": round(stalls[-1], 2)}


def _told(line: dict[str, Any]) -> dict[str, Any]:
    return {
        "adverts": line["adverts"],
        "signals": line["signals"],
        "adverts_per_s": round(line["adverts"] / line["took_s"]),
        "took_s": round(line["took_s"], 1),
    }


async def _opened(radio: BleRadio, button: int) -> BleButtonDriver:
    driver = BleButtonDriver(BleButtonSettings(address=ble_air.address(button), key=ble_air.key(button)))
    await driver.open(radio)
    return driver


async def _listen(driver: BleButtonDriver, events: dict[str, list[float]]) -> None:
    async for readings in driver.events():
        for reading in readings:
            if reading.quantity == "call-id":
                events.setdefault(str(reading.value), []).append(time.monotonic())


def main() -> None:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--presses", type=int, default=10_000)
    parser.add_argument("--buttons", type=int, default=200)
    parser.add_argument("--rate", type=float, default=4_000, help="adverts a second that arrive")
    parser.add_argument("--loss", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    plan = ble_air.Plan(options.buttons, options.presses, options.rate, options.loss, options.seed)
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(measured(plan, Path(folder)))
    json.dump(result | {"load": round(os.getloadavg()[0], 1)}, sys.stdout, indent=None if options.json else 1)
    print()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
