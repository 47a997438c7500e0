"""What a reading costs on the wire: payload bytes of frames of a seeded mix, beside what peers send for the same.

The mix of DESIGN: five temperatures (random walks in steps of 0.01), four vibrations (0.0001), two switches, each
sensor read every 10 s; once with jitter in its times, once on an exact grid. Live bytes: what goes out when a frame
holds only what came in 2 s or 60 s, and the whole request around it. Peers are encoded here with the fewest labels
they allow.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from golmok_cloud_sync.protocol import (
    Hello,
    Record,
    StreamReport,
    decode,
    decode_columns,
    encode,
    encode_request,
    frame,
)

BOOT: Final = "3f2c9b0e5d7a4c1e8f6b2a9d0c4e7f11"
START_MS: Final = 86_400_000
SEEDS: Final = (1, 2, 3, 4, 5)


def mix(count: int, seed: int, jitter_ms: float) -> list[Record]:
    """`count` readings in the order in which they are taken."""
    dice = random.Random(seed)
    rooms = [20 + dice.random() * 5 for _ in range(5)]
    motors = [1.0] * 4
    doors = [False] * 2
    due = [dice.expovariate(1 / 20_000) for _ in doors]
    taken: list[tuple[float, str, float | bool, str]] = []
    at = 0.0
    while len(taken) < count + 20:
        for i in range(5):
            rooms[i] += dice.gauss(0, 0.02)
            taken.append(
                (
                    at + i * 7 * bool(jitter_ms) + dice.gauss(0, jitter_ms),
                    f"room{i + 1}.temperature",
                    round(rooms[i], 2),
                    "Cel",
                )
            )
        for i in range(4):
            motors[i] = 1 + 0.8 * (motors[i] - 1) + dice.gauss(0, 0.02)
            taken.append(
                (
                    at + 50 + i * 7 * bool(jitter_ms) + dice.gauss(0, jitter_ms),
                    f"motor{i + 1}.vibration",
                    round(motors[i], 4),
                    "mm/s",
                )
            )
        for i in range(2):
            while due[i] < at + 10_000:
                doors[i] = not doors[i]
                taken.append((due[i], f"door{i + 1}.open", doors[i], ""))
                due[i] += dice.expovariate(1 / 20_000)
        at += 10_000
    taken.sort(key=lambda row: row[0])
    return [
        Record(channel, value, unit, BOOT, max(0, START_MS + round(ms))) for ms, channel, value, unit in taken[:count]
    ]


def line_protocol(records: Sequence[Record]) -> bytes:
    """InfluxDB's, with a device tag and a nanosecond time."""
    lines = []
    for record in records:
        device, _, quantity = record.channel.partition(".")
        value = str(record.value).lower() if isinstance(record.value, bool) else record.value
        lines.append(f"{quantity},device={device} value={value} {(1_790_000_000_000 + record.mono_ms) * 1_000_000}")
    return gzip.compress("\n".join(lines).encode(), 6)


def json_objects(records: Sequence[Record]) -> bytes:
    """A JSON array of objects with channel, value and time."""
    rows = [{"channel": r.channel, "value": r.value, "ts": 1_790_000_000_000 + r.mono_ms} for r in records]
    return gzip.compress(json.dumps(rows, separators=(",", ":")).encode(), 6)


ENCODINGS: Final[dict[str, Callable[[Sequence[Record]], bytes]]] = {
    "codec 1": lambda records: encode(records, 1),
    "codec 0": lambda records: encode(records, 0),
    "line protocol, gzip": line_protocol,
    "JSON objects, gzip": json_objects,
}


def bytes_per_reading(count: int, jitter_ms: float) -> dict[str, float]:
    """Of each encoding, over all seeds."""
    runs = [mix(count, seed, jitter_ms) for seed in SEEDS]
    return {
        name: round(sum(len(encoding(run)) for run in runs) / (count * len(runs)), 3)
        for name, encoding in ENCODINGS.items()
    }


def live(seconds: float) -> dict[str, float]:
    """A frame with what the mix brings in so long (1 reading a second), and the request that carries it."""
    count = max(1, round(seconds))
    run = mix(count, 1, 3.0)
    part = frame("readings", 1_000_000, run, 0)
    hello = Hello(
        "gw-0001", "gateway", "0123456789abcdef", BOOT, 1, 2, streams={"readings": StreamReport(1_000_000, 999_998)}
    )
    return {
        "readings": count,
        "payload_bytes": len(part.payload),
        "payload_bytes_per_reading": round(len(part.payload) / count, 1),
        "request_bytes": len(encode_request(hello, [part])),
    }


def microseconds(run: Callable[[], Any], rounds: int = 60) -> float:
    """CPU of the fastest of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time()
        run()
        best = min(best, time.process_time() - begin)
    return best * 1e6


def measure() -> dict[str, Any]:
    """All figures."""
    run = mix(1_000, 1, 3.0)
    payload = encode(run)
    return {
        "bytes_per_reading": {
            "1,000 readings, jitter 3 ms": bytes_per_reading(1_000, 3.0),
            "1,000 readings, exact grid": bytes_per_reading(1_000, 0.0),
            "4,000 readings, jitter 3 ms": bytes_per_reading(4_000, 3.0),
        },
        "live": {"2 s": live(2), "60 s": live(60)},
        "cpu_ns_per_reading": {
            "encode": round(microseconds(lambda: encode(run))),
            "verify (server)": round(microseconds(lambda: decode_columns(payload, 1, 1_000))),
            "decode": round(microseconds(lambda: decode(payload, 1, 1_000))),
            "json.dumps of the same": round(microseconds(lambda: json.dumps([record._asdict() for record in run]))),
        },
    }


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.wire", description="Bytes per reading on the wire.")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    figures = measure()
    if parser.parse_args().json:
        print(json.dumps(figures))
    else:
        print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
