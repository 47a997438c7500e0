"""A week without NTP and without a cloud, on a machine that is 30 ppm fast (18 s): in the end all is dated right."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from golmok_edge.store import Layout, Reader

from .hurried_gateway import HURRY_S, WEEK_MS, true_ms
from .running import Cloud, Program, until

SETTINGS = """\
[site]
gateway = "gw-0001"
timezone = "Asia/Seoul"

[store]
path = "var"
commit_interval_s = 0.2

[cloud]
url = "{cloud}"
interval_s = 1

[[device]]
name = "fridge"
driver = "ds18b20"
bus = "w1://0"
address = "28-00000a1b2c3d"
interval_s = 1
"""
ANCHOR_MS = 200
"""What the anchors at both ends and the way to the cloud may cost, where they do not say themselves that it is more."""


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


def monos(folder: Path) -> list[int]:
    """The boot clock of each reading, in the order of their seqs."""
    with Reader.open(folder) as reader:
        return [found.record.mono_ms for found in reader.find("fridge.temperature", "readings")]


def test_a_week_of_drift_costs_no_more_than_the_anchors_allow(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    config, var = tmp_path / "gateway.toml", tmp_path / "var"
    config.write_text(SETTINGS.format(cloud=cloud.url))
    with Program("tests.edge.hurried_gateway", [str(config)], tmp_path / "gw.log") as gateway:
        assert gateway.process is not None
        assert gateway.process.stdout is not None
        began_ms = int(gateway.process.stdout.readline())
        until(Layout(var).file.exists, f"there is a store; {gateway.said()[-500:]}")
        until(lambda: monos(var)[-1:] > [WEEK_MS], f"the week is over; {gateway.said()[-500:]}", HURRY_S * 10)
        with cloud:
            rows, error_ms = until(lambda: dated(cloud), f"the cloud has the week; {gateway.said()[-500:]}")
            taken = monos(var)
    allowed_ms = max(ANCHOR_MS, error_ms)
    week = [(row, began_ms + true_ms(mono)) for row, mono in zip(rows, taken, strict=False) if mono < WEEK_MS]
    assert len(week) >= 5
    for row, truth in week:
        assert abs(ms(row["ts"]) - truth) <= allowed_ms, "a steady drift costs nothing"
        assert ms(row.get("ts_min", row["ts"])) - allowed_ms <= truth <= ms(row.get("ts_max", row["ts"])) + allowed_ms
    widths = [ms(row["ts_max"]) - ms(row["ts_min"]) for row, _ in week if "ts_min" in row]
    assert 2_000 < max(widths) <= 2 * (15_120 + allowed_ms), "so far from both ends it says what it may be wrong by"


def dated(cloud: Cloud) -> tuple[list[dict[str, Any]], int] | None:
    """All readings and what the worst anchor may be wrong by, once the cloud knows both ends of the week."""
    try:
        anchors = [row for row in cloud.rows("gw-0001", "events") if row["channel"] == "clock.anchor"]
        worst_ms = max((json.loads(row["value"])["error_ms"] for row in anchors), default=0)
        return (list(cloud.rows("gw-0001")), worst_ms) if len(anchors) >= 2 else None
    except OSError:  # 404: it has not called yet
        return None
