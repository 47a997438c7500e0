"""The whole gateway with a backlog: memory, and how fast a day's readings reach the cloud while live ones go on.

Real processes: golmok-gateway with MQTT, I2C, 1-wire and GPIO devices (twins at the other end, in the same process),
a real Mosquitto, golmok-cloud. First a store with a million readings (then two) and no cloud: resident memory. Then
864,000 readings, a day at 10 a second, and the cloud comes up.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.request import urlopen

from golmok_cloud_sync.protocol import Record
from golmok_edge.demo.broker import Broker, free_ports
from golmok_edge.demo.stage import Program
from golmok_edge.gateway.cli import ask
from golmok_edge.gateway.clock import SystemClock
from golmok_edge.settings import load
from golmok_edge.store import Store

MILLION: Final = 1_000_000
DAY: Final = 864_000
BLOCK: Final = 10  # readings of a commit of 1 s at 10/s

SETTINGS: Final = """
[site]
gateway = "gw-bench"

[store]
path = "var"

[mqtt]
port = {broker}

[cloud]
url = "http://127.0.0.1:{cloud}"
interval_s = 2

[[device]]
name = "hall"
driver = "sht4x"
bus = "i2c://1"
interval_s = 1

[[device]]
name = "fridge"
driver = "ds18b20"
bus = "w1://0"
address = "28-00000a1b2c3d"
interval_s = 1

[[device]]
name = "door"
driver = "contact"
bus = "gpio://"
pin = 17

[[device]]
name = "plug"
driver = "mqtt-json"
topic = "tele/plug/SENSOR"
channels = {{ power = {{ path = "ENERGY.Power", unit = "W" }} }}
"""


def fill(folder: Path, count: int) -> None:
    """Put `count` readings behind what is in the store, in blocks as a gateway makes them."""
    dice = random.Random(count)
    boot, now = SystemClock().boot, SystemClock().mono_ms()
    values = [20.0] * 10
    with Store.open(folder, name="gateway") as store:
        store._db.execute("PRAGMA synchronous = OFF")  # only to get it there soon
        for i in range(0, count, BLOCK):
            batch = []
            for k in range(BLOCK):
                values[k] = round(values[k] + dice.gauss(0, 0.03), 2)
                mono_ms = max(0, now - (count - i) * 100 + k * 3)
                batch.append(Record(f"sensor{k}.temperature", values[k], "Cel", boot, mono_ms))
            store.append({"readings": batch})


def resident_mb(pid: int) -> float:
    """VmRSS."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024, 1)


def spread(values: list[float]) -> dict[str, float] | None:
    """Their middle and their end."""
    return {"median": round(median(values), 2), "most": round(max(values), 2)} if values else None


def until(condition: Callable[[], Any], deadline_s: float) -> Any:
    """Wait for it."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {deadline_s:g} s")
        time.sleep(0.1)
    return value


class Bench:
    """A gateway in a folder, its broker, and a cloud that may come later."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder = folder
        self.port = next(free_ports(1))
        self.config = folder / "gateway.toml"
        self.config.write_text(SETTINGS.format(broker=broker.port, cloud=self.port))
        self.settings = load(self.config)

    def gateway(self) -> Program:
        return Program("golmok-gateway", ["run", "--config", str(self.config), "--twins"], self.folder / "gw.log")

    def cloud(self) -> Program:
        arguments = ["serve", "--data", str(self.folder / "cloud"), "--listen", f"127.0.0.1:{self.port}"]
        program = Program("golmok-cloud", [*arguments, "--open-enrolment"], self.folder / "cloud.log")
        program.address()
        return program

    def status(self) -> dict[str, Any]:
        try:
            return ask(self.settings, {"get": "status"})
        except OSError:
            return {"ready": False}

    def memory(self, settle_s: float) -> float:
        """Of a gateway that has run for a while with what is in the store."""
        gateway = self.gateway()
        try:
            until(lambda: self.status()["ready"], 60)
            time.sleep(settle_s)
            return resident_mb(gateway.pid)
        finally:
            gateway.stop()
            gateway.wait(20)

    def newest_s(self) -> float | None:
        """When the newest value of the hall that the cloud knows was taken, seconds since 1970."""
        with urlopen(f"http://127.0.0.1:{self.port}/v1/gateways/gw-bench", timeout=10) as reply:
            document = json.load(reply)
        newest = [row["ts"] for row in document.get("latest", []) if row["channel"] == "hall.temperature" and row["ts"]]
        return datetime.fromisoformat(newest[0]).timestamp() if newest else None

    def drain(self) -> dict[str, Any]:
        """The cloud comes up with a backlog waiting."""
        gateway, cloud = self.gateway(), None
        ages: list[float] = []
        lags: dict[float, float] = {}  # of each value that was seen: how long after it was taken
        peak = 0.0
        try:
            until(lambda: self.status()["ready"], 60)
            cloud = self.cloud()
            begin = time.monotonic()
            behind = self.status()["backlog"]["readings"]
            while sum(self.status()["backlog"].values()) > 50:
                peak = max(peak, resident_mb(gateway.pid))
                if (newest_s := self.newest_s()) is not None:
                    ages.append(time.time() - newest_s)
                    lags.setdefault(newest_s, ages[-1])
                time.sleep(0.05)
            seconds = time.monotonic() - begin
        finally:
            gateway.stop()
            gateway.wait(20)
            if cloud:
                cloud.stop()
                cloud.wait(20)
        return {
            "readings": behind,
            "seconds": round(seconds, 1),
            "readings_per_s": round(behind / seconds),
            "gateway_peak_mb": peak,
            "live_lag_s": spread(list(lags.values())),
            "live_age_s": spread(ages),
        }


def measure() -> dict[str, Any]:
    """All figures."""
    memory: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="golmok-bench-") as name:
        root = Path(name)
        with Broker.start(root / "bus") as broker:
            (root / "memory").mkdir()
            bench = Bench(root / "memory", broker)
            memory["empty store"] = bench.memory(15)
            for million in (1, 2):
                fill(root / "memory" / "var", MILLION)
                memory[f"{million} M readings behind"] = bench.memory(15)
            (root / "drain").mkdir()
            bench = Bench(root / "drain", broker)
            fill(root / "drain" / "var", DAY)
            return {"resident_mb": memory, "drain": bench.drain()}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description="Memory and drain of a backlog.")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    args = parser.parse_args()
    figures = measure()
    print(json.dumps(figures) if args.json else json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
