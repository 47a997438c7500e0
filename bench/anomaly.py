"""Machine anomalies on a recording: how many labelled faults the rule `unusual` finds, beside a plain limit.

    python -m bench.anomaly [--recording FILE.csv --windows FILE.json] [--learn-h H] [--json]

Both detectors get the readings one after the other, as the gateway does, and learn from what lies before the first
labelled window only. A fault is found when an alarm is raised within its window; an alarm raised outside of all windows
is false. Lead is the time from the alarm to the middle of the window, where the fault itself is said to be. Without a
recording it makes one of its own: a machine with a daily cycle, a slow drift and three faults.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from golmok_cloud_sync.protocol.alarms import Alarm
from golmok_edge.rules import Engine, Seen, Terms, Watch
from golmok_edge.rules.simple import Limit
from golmok_edge.rules.unusual import Unusual

SHARED: Final = Path(__file__).parent.parent.parent / "shared" / "data" / "readings"
RECORDING, WINDOWS = SHARED / "machine_temperature.csv", SHARED / "machine_temperature.windows.json"
DAY_S: Final = 86_400.0
_CHANNEL: Final = "machine.temperature"


class Window(NamedTuple):
    """When a fault was, in seconds since 1970."""

    begin_s: float
    end_s: float

    @property
    def middle_s(self) -> float:
        return (self.begin_s + self.end_s) / 2


class Recording(NamedTuple):
    """Times (seconds since 1970, rising), values, and the labelled faults in their order."""

    times_s: Sequence[float]
    values: Sequence[float]
    windows: Sequence[Window]


def read(recording: Path, windows: Path) -> Recording:
    """A CSV with `timestamp` and `value`, and a JSON list of [begin, end]. Raises OSError, ValueError, KeyError."""
    with recording.open(newline="", encoding="utf-8") as file:
        rows = [(_seconds(row["timestamp"]), float(row["value"])) for row in csv.DictReader(file)]
    rows.sort(key=lambda row: row[0])
    pairs = json.loads(windows.read_text(encoding="utf-8"))
    faults = [Window(_seconds(begin), _seconds(end)) for begin, end in pairs]
    return Recording([at for at, _ in rows], [value for _, value in rows], sorted(faults))


def made(seed: int) -> Recording:
    """Six weeks of a machine, a value in five minutes: a daily cycle, wandering load, drift, and three faults."""
    chance = random.Random(seed)
    faults = [Window(day * DAY_S, (day + 2) * DAY_S) for day in (12.0, 23.0, 34.0)]
    times, values, load = [], [], 0.0
    for index in range(42 * 288):
        at = index * 300.0
        load = 0.98 * load + chance.gauss(0, 0.6)
        value = 80 + 6 * math.sin(2 * math.pi * at / DAY_S) + load + at / DAY_S * 0.1 + chance.gauss(0, 0.5)
        for sign, fault in zip((1, -1, -1), faults, strict=True):
            if fault.begin_s <= at < fault.end_s:  # it grows over half a day, and is mended at the end
                value += sign * 18 * min(1.0, (at - fault.begin_s) / (DAY_S / 2))
        times.append(at)
        values.append(value)
    return Recording(times, values, faults)


def raised(condition: Any, recording: Recording, *, for_s: float = 0.0) -> list[float]:
    """When alarms are raised, in seconds since 1970, as the recording goes by."""
    engine = Engine([Watch(Terms("rule", "", for_ms=round(for_s * 1000)), condition)], lambda rule, at_ms: f"{at_ms}")
    found: list[float] = []
    for at_s, value in zip(recording.times_s, recording.values, strict=True):
        steps: list[Alarm] = engine.see(Seen(_CHANNEL, value, True, round(at_s * 1000)))
        found += [at_s for step in steps if step.state == "raised"]
    return found


def judged(alarms_s: Iterable[float], recording: Recording, after_s: float) -> dict[str, Any]:
    """How these alarms, those after the learning, stand against the windows."""
    alarms = [at for at in alarms_s if at > after_s]
    leads: list[float | None] = []
    for window in recording.windows:
        inside = [at for at in alarms if window.begin_s <= at <= window.end_s]
        leads.append(round((window.middle_s - inside[0]) / 3600, 1) if inside else None)
    false = [at for at in alarms if not any(w.begin_s <= at <= w.end_s for w in recording.windows)]
    return {
        "windows": len(leads),
        "found": sum(lead is not None for lead in leads),
        "lead_h": leads,
        "false_alarms": len(false),
        "false_at": [datetime.fromtimestamp(at, UTC).isoformat() for at in false],
    }


def measure(recording: Recording, learn_h: float | None = None) -> dict[str, Any]:
    """Both detectors on a recording."""
    before_s = recording.windows[0].begin_s - recording.times_s[0] if recording.windows else 7 * DAY_S
    # Whole days, so that a daily cycle is learned whole; `learn_h` may shorten it, never reach into the first window.
    most_s = before_s // DAY_S * DAY_S or before_s
    learn_s = min(most_s, (learn_h or 168.0) * 3600)
    until_s = recording.times_s[0] + learn_s
    seen = [value for at, value in zip(recording.times_s, recording.values, strict=True) if at <= until_s]
    if len(seen) < 30:
        raise ValueError(f"only {len(seen)} readings before the first window: nothing can be learned")
    began = time.perf_counter()
    unusual = raised(Unusual(_CHANNEL, learn_ms=round(learn_s * 1000), margin=2.0, fresh_ms=None), recording)
    took_s = time.perf_counter() - began
    limits = {"limit_of_extremes": (min(seen), max(seen)), "limit_of_3_sigma": _three_sigma(seen)}
    plain = {
        name: judged(
            raised(Limit(_CHANNEL, low, high, hysteresis=(high - low) / 20, fresh_ms=None), recording, for_s=600),
            recording,
            until_s,
        )
        | {"low": round(low, 2), "high": round(high, 2)}
        for name, (low, high) in limits.items()
    }
    return {
        "readings": len(recording.values),
        "days": round((recording.times_s[-1] - recording.times_s[0]) / DAY_S, 1),
        "learned_h": round(learn_s / 3600, 1),
        "unusual": judged(unusual, recording, until_s) | {"us_per_reading": _us(took_s, recording)},
        **plain,
    }


def _three_sigma(values: Sequence[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    sigma = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    return mean - 3 * sigma, mean + 3 * sigma


def _us(took_s: float, recording: Recording) -> float:
    return round(1e6 * took_s / len(recording.values), 2)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def main(arguments: Sequence[str] | None = None) -> int:
    """The bench; the exit code."""
    parser = argparse.ArgumentParser("bench.anomaly", description=__doc__)
    parser.add_argument("--recording", type=Path, help="CSV with timestamp and value")
    parser.add_argument("--windows", type=Path, help="JSON list of [begin, end] of the labelled faults")
    parser.add_argument("--learn-h", type=float, help="learn so long; at most up to the first window")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    try:
        recording = _chosen(options.recording, options.windows)
        result = measure(recording, options.learn_h)
    except (OSError, ValueError, KeyError) as error:
        print(f"bench.anomaly: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(result, indent=2, allow_nan=False))
        return 0
    for name in ("unusual", "limit_of_extremes", "limit_of_3_sigma"):
        one = result[name]
        leads = ", ".join("missed" if lead is None else f"{lead:+.1f} h" for lead in one["lead_h"])
        print(f"{name:<18} {one['found']} of {one['windows']} found ({leads}), {one['false_alarms']} false alarms")
    return 0


def _chosen(recording: Path | None, windows: Path | None) -> Recording:
    if recording or windows:
        if not (recording and windows):
            raise ValueError("--recording and --windows go together")
        return read(recording, windows)
    if RECORDING.exists():
        return read(RECORDING, WINDOWS)
    print(f"bench.anomaly: {RECORDING} is not there; a recording is made", file=sys.stderr)
    return made(1)


if __name__ == "__main__":
    sys.exit(main())
