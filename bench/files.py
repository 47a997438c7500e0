"""What a file on its way does to alarms on the same slow line, and what it costs on a fast one.

Real cloud, real sender. The slow line is shared, first come first served, as a shop's router does it
(`tests/cloud_sync/slow_link.py`). An alarm a half second, each timed from the request to its acknowledgement: with no
file, with a file as the product sends it, and with a file sent as fast as it goes, a MiB at a time.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from bench.server import cpu_s
from golmok_cloud_sync.client.files import MOST_PIECE, FileClient, Stint
from golmok_cloud_sync.protocol import Record
from golmok_edge.outgoing import Outgoing, Sender
from tests.cloud_sync.server_support import CloudProcess, wait_until
from tests.cloud_sync.server_support import Sender as Plain
from tests.cloud_sync.slow_link import SlowLink

BYTES_PER_S: Final = 60_000.0
ALARMS_S: Final = 25.0
_UNDER_WAY_S: Final = 8.0
LARGE: Final = 100_000_000


class Greedy(Stint):
    """Never rests, and sends all that a request may have."""

    def __init__(self) -> None:
        super().__init__(MOST_PIECE)

    def took(self, size: int, seconds: float) -> float:
        return 0.0

    def failed(self) -> None:
        pass


def measure() -> dict[str, Any]:
    """All of it."""
    with tempfile.TemporaryDirectory() as folder:
        cloud = CloudProcess(Path(folder) / "data")
        try:
            ways = {"no file": None, "as it is sent": Stint(), "as fast as it goes": Greedy()}
            alarms = {name: _alarms(cloud, Path(folder), name, stint) for name, stint in ways.items()}
            return {"slow line, bytes/s": BYTES_PER_S, "alarms, s": alarms, "fast line": _fast(cloud, Path(folder))}
        finally:
            cloud.kill()


@contextmanager
def _sending(folder: Path, url: str, gateway: str, size: int, stint: Stint | None) -> Iterator[Outgoing]:
    outgoing, file = Outgoing(folder / f"out-{gateway}"), folder / f"{gateway}.stl"
    if stint is None:
        yield outgoing
        return
    file.write_bytes(random.Random(gateway).randbytes(size))
    outgoing.put(gateway, [file])
    sender = Sender(outgoing, FileClient(url, gateway, answer_s=120.0), stint=stint)
    thread = threading.Thread(target=sender.run, daemon=True)
    thread.start()
    yield outgoing
    sender.close()
    thread.join()


def _alarms(cloud: CloudProcess, folder: Path, name: str, stint: Stint | None) -> dict[str, float]:
    link = SlowLink(int(cloud.url.rpartition(":")[2]), BYTES_PER_S)
    url, gateway = f"http://127.0.0.1:{link.port}", name.replace(" ", "-")
    lags: list[float] = []
    with httpx.Client(base_url=url, timeout=60) as client, _sending(folder, url, gateway, 30_000_000, stint):
        time.sleep(_UNDER_WAY_S if stint else 0.0)
        plain, up, began = Plain(client, gateway), link.carried_up, time.monotonic()
        while (number := len(lags) + 1) and time.monotonic() - began < ALARMS_S:
            plain.record("events", [Record("alarm.raised", number, "", "boot", number)])
            asked = time.monotonic()
            plain.sync([plain.frame("events", number, number + 1)])
            lags.append(time.monotonic() - asked)
            time.sleep(0.5)
        busy = (link.carried_up - up) / (time.monotonic() - began) / BYTES_PER_S
    link.close()
    return {"median": round(statistics.median(lags), 2), "worst": round(max(lags), 2), "line used": round(busy, 2)}


def _fast(cloud: CloudProcess, folder: Path) -> dict[str, float]:
    server_s, own_s = cpu_s(cloud.process.pid), time.process_time()
    with _sending(folder, cloud.url, "gw-fast", LARGE, Stint()) as outgoing:
        own_s, began = time.process_time(), time.monotonic()
        wait_until(lambda: not outgoing.waiting(), "it is there", 600)
        took_s = time.monotonic() - began
    return {
        "MB": LARGE / 1e6,
        "s": round(took_s, 2),
        "CPU-s of the sender": round(time.process_time() - own_s, 2),
        "CPU-s of the cloud": round(cpu_s(cloud.process.pid) - server_s, 2),
    }


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.files", description="Files beside alarms, and their cost.")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    asked = parser.parse_args()
    print(json.dumps(measure(), indent=None if asked.json else 2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
