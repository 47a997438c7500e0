"""A bearing that fails: when kurtosis and envelope say so, and when the vibration velocity of ISO 20816 does.

    python -m bench.bearing [--lives N] [--seed N] [--json]

Each life is another bearing of the twin (balls, speed, resonance, noise, damaged part drawn by the seed), captured
once an hour by a sensor of 8 bits at 5,376 samples a second while its damage grows. The rules are those of the gateway:
limits that must hold for three hours. The velocity is computed by another way than the product's (numpy's FFT).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from golmok_drivers.bearings import DAMAGED_DB, HEALTHY_KURTOSIS, Bearing, Envelope
from golmok_drivers.twins.bearing import STANDARD_G, Shaft, sensed
from golmok_edge.rules import Engine, Seen, Terms, Watch
from golmok_edge.rules.simple import Limit

RATE_HZ: Final = 5376.0
SAMPLES: Final = 4096
NORMAL_MM_S: Final = 1.8
"""Where zone C begins for machines up to 15 kW: no longer fit for long (ISO 20816-1, annex)."""
HOUR_MS: Final = 3_600_000
_DIGIT_G: Final = 0.064
"""8 g: blows that are large at the end must not be cut off."""
_CHANNELS: Final = {
    "kurtosis": ("motor.kurtosis", HEALTHY_KURTOSIS),
    "envelope": ("motor.bearing", DAMAGED_DB),
    "velocity": ("motor.velocity", NORMAL_MM_S),
}


class Capture(NamedTuple):
    """What is computed of one capture."""

    kurtosis: float
    envelope: float
    """dB."""
    velocity: float
    """mm/s, 10 to 1,000 Hz."""
    took_s: float


def velocity_mm_s(samples: Sequence[float], rate_hz: float = RATE_HZ) -> float:
    """The effective velocity from 10 to 1,000 Hz of accelerations in m/s2, by numpy's FFT."""
    values = np.asarray(samples, dtype=float)
    window = np.hanning(len(values))
    spectrum = np.fft.rfft((values - values.mean()) * window)
    hz = np.fft.rfftfreq(len(values), 1 / rate_hz)
    band = (hz >= 10) & (hz <= 1000)
    power = np.abs(spectrum[band]) ** 2 / (2 * np.pi * hz[band]) ** 2
    return float(1000 * np.sqrt(2 * power.sum() / (len(values) * (window**2).sum())))


def captured(shaft: Shaft, part: str, blow: float, seed: str) -> Capture:
    """One capture of that machine."""
    felt = shaft.acceleration(SAMPLES, RATE_HZ, part=part, blow=blow, seed=seed)  # type: ignore[arg-type]
    digits = sensed(felt, digit_g=_DIGIT_G, seed=seed)
    began = time.perf_counter()
    envelope = Envelope(digits, RATE_HZ)
    blows = shaft.bearing.blows_a_turn()
    db = max(envelope.line(name, turns * shaft.speed_hz).db for name, turns in blows.items())
    took_s = time.perf_counter() - began
    return Capture(envelope.kurtosis, db, velocity_mm_s([digit * _DIGIT_G * STANDARD_G for digit in digits]), took_s)


def life(seed: int, hours: int = 240) -> dict[str, Any]:
    """One bearing: sound for a quarter of its time, then a damage that grows by a constant factor an hour."""
    chance = random.Random(seed)
    balls = chance.choice((7, 8, 9, 12))
    shaft = Shaft(
        Bearing(balls, chance.uniform(0.18, 0.28)),
        speed_hz=chance.uniform(16, 50),
        velocity_mm_s=chance.uniform(0.3, 0.9),
        rings_hz=chance.uniform(1500, 2300),
        rings_s=chance.uniform(0.001, 0.0025),
        noise=chance.uniform(0.2, 0.6),
        slip=chance.uniform(0.005, 0.02),
    )
    part = chance.choice(("outer", "inner", "ball"))
    begins = hours // 4
    alarms: dict[str, int | None] = dict.fromkeys(_CHANNELS)
    watches = [
        Watch(Terms(name, "", for_ms=3 * HOUR_MS), Limit(channel, None, limit, fresh_ms=None))
        for name, (channel, limit) in _CHANNELS.items()
    ]
    engine = Engine(watches, lambda rule, at_ms: f"{rule} {at_ms}")
    at_state, took = 0.0, []
    for hour in range(hours):
        blow = 0.0 if hour < begins else 0.2 * (150 / 0.2) ** ((hour - begins) / (hours - begins - 1))
        one = captured(shaft, part, blow, f"{seed}/{hour}")
        took.append(one.took_s)
        for name, (channel, _) in _CHANNELS.items():
            for step in engine.see(Seen(channel, getattr(one, name), True, hour * HOUR_MS)):
                if step.state == "raised" and alarms[step.rule] is None:
                    alarms[step.rule] = hour
                    at_state = one.velocity if step.rule == "envelope" else at_state
    return {
        "seed": seed,
        "part": part,
        "damaged_h": begins,
        "alarm_h": alarms,
        "velocity_at_envelope_alarm_mm_s": round(at_state, 2),
        "ms_per_capture": round(1000 * statistics.median(took), 1),
    }


def measure(lives: int, seed: int) -> dict[str, Any]:
    """Several lives, and what they have in common."""
    found = []
    for at in range(lives):
        found.append(life(seed + at))
        print(f"bearing: {at + 1} of {lives} lives", file=sys.stderr)
    false = [
        one["seed"] for one in found for hour in one["alarm_h"].values() if hour is not None and hour < one["damaged_h"]
    ]
    leads = {
        name: [
            one["alarm_h"]["velocity"] - one["alarm_h"][name]
            for one in found
            if one["alarm_h"]["velocity"] is not None and one["alarm_h"][name] is not None
        ]
        for name in ("kurtosis", "envelope")
    }
    return {
        "lives": found,
        "false_alarms": len(false),
        "found_before_velocity": {
            name: sum(one["alarm_h"][name] is not None and _is_before(one, name) for one in found) for name in leads
        },
        "median_lead_h": {name: statistics.median(hours) if hours else None for name, hours in leads.items()},
    }


def _is_before(one: dict[str, Any], name: str) -> bool:
    velocity = one["alarm_h"]["velocity"]
    return velocity is None or bool(one["alarm_h"][name] < velocity)


def main(arguments: Sequence[str] | None = None) -> int:
    """The bench; the exit code."""
    parser = argparse.ArgumentParser("bench.bearing", description=__doc__)
    parser.add_argument("--lives", type=int, default=8, help="how many bearings (default 8)")
    parser.add_argument("--seed", type=int, default=1, help="of the first of them")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    result = measure(options.lives, options.seed)
    if options.json:
        print(json.dumps(result, indent=2, allow_nan=False))
        return 0
    for one in result["lives"]:
        then = f"velocity then {one['velocity_at_envelope_alarm_mm_s']} mm/s, {one['ms_per_capture']} ms a capture"
        print(
            f"seed {one['seed']:<3} {one['part']:<6} damaged at {one['damaged_h']} h, alarms {one['alarm_h']}, {then}"
        )
    print(f"before the velocity: {result['found_before_velocity']} of {len(result['lives'])}, "
          f"median lead {result['median_lead_h']} h, {result['false_alarms']} false alarms")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
