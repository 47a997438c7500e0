"""A week without NTP and without a cloud, on a machine that is 30 ppm fast (18 s): in the end all is dated right."""

from __future__ import annotations

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
"""What the anchors at both ends and the way to the cloud may cost."""


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
            rows = until(lambda: dated(cloud), f"the cloud has the week; {gateway.said()[-500:]}")
            taken = monos(var)
    week = [(row, began_ms + true_ms(mono)) for row, mono in zip(rows, taken, strict=False) if mono < WEEK_MS]
    assert len(week) >= 5
    for row, truth in week:
        assert abs(ms(row["ts"]) - truth) <= ANCHOR_MS, "a steady drift costs nothing"
        assert ms(row.get("ts_min", row["ts"])) - ANCHOR_MS <= truth <= ms(row.get("ts_max", row["ts"])) + ANCHOR_MS
    widths = [ms(row["ts_max"]) - ms(row["ts_min"]) for row, _ in week if "ts_min" in row]
    assert 2_000 < max(widths) <= 2 * (15_120 + ANCHOR_MS), "so far from both ends it says what it may be wrong by"


def dated(cloud: Cloud) -> list[dict[str, Any]]:
    """All readings, once the cloud knows both ends of the week."""
    try:
        anchors = [row for row in cloud.rows("gw-0001", "events") if row["channel"] == "clock.anchor"]
        return list(cloud.rows("gw-0001")) if len(anchors) >= 2 else []
    except OSError:  # 404: it has not called yet
        return []
