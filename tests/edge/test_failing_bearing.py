"""A bearing that fails, from the blows in the twin's housing to an alarm on disk, while ISO 20816 sees nothing yet."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from golmok_cloud_sync.protocol.alarms import parse
from golmok_drivers.bearings import DAMAGED_DB, HEALTHY_KURTOSIS
from golmok_edge.gateway.cli import ask
from golmok_edge.settings import load
from golmok_edge.store import Reader
from tests.edge.running import Gateway, until

SETTINGS = f"""
[site]
gateway = "gw-1"
[store]
path = "var"
commit_interval_s = 0.05

[[device]]
name = "lathe"
driver = "lis3dh"
bus = "sim+spi://life.toml"
range_g = 8
interval_s = 0.3
bearing = {{ balls = 9, ratio = 0.203, speed_hz = 29.2 }}

[[device]]
name = "motor"
driver = "ads1115"
bus = "sim+i2c://life.toml"
interval_s = 0.5

[[rule]]
name = "lathe"
kind = "machine"
current = "motor.current"
idle_above = 0.2
running_above = 1.0
vibration = "lathe.bearing"
vibration_high = {DAMAGED_DB}
settle_s = 1.0
"""
LIFE = """
[device.motor.signal.current]
kind = "constant"
value = 4.0
[device.lathe.signal.velocity]
kind = "constant"
value = 0.9
[device.lathe.signal.speed]
kind = "constant"
value = 29.0                             # its motor slips a little
[device.lathe.signal.blow]
kind = "steps"
at = [[0, 0.0], [4, 4.0], [5, 8.0]]
"""
"""m/s2: a pit that grows. At 60 the shaft would have its play, and the velocity leave its zone."""


@pytest.mark.timeout(180)
def test_the_alarm_of_a_failing_bearing_comes_while_the_velocity_is_still_fit(tmp_path: Path) -> None:
    (tmp_path / "life.toml").write_text(LIFE)
    with Gateway(tmp_path, SETTINGS) as gateway:
        gateway.wait_ready()
        settings = load(gateway.config)
        (alarm,) = until(lambda: ask(settings, {"get": "alarms"})["alarms"], "an alarm")
        assert (alarm["what"], alarm["channel"]) == ("abnormal", "lathe.bearing")
        assert alarm["value"] > DAMAGED_DB
        until(lambda: _last(settings, "lathe.kurtosis") > HEALTHY_KURTOSIS, "its kurtosis says so, too")
        assert gateway.end() == 0
    with Reader.open(tmp_path / "var") as reader:
        raised = [one for found in reader.everything("events") if (one := parse(found.record))]
        said: dict[str, list[Any]] = defaultdict(list)
        for found in reader.everything("readings"):
            said[found.record.channel].append(found.record.value)
    assert [(one.state, one.what) for one in raised] == [("raised", "abnormal")]
    assert set(said["lathe.zone"]) <= {"A", "B"}, "fit for long, says ISO 20816-1"
    assert max(said["lathe.velocity"]) < 1.8
    assert max(said["lathe.bearing"][:3]) < DAMAGED_DB < max(said["lathe.bearing"])
    assert max(said["lathe.envelope"]) > 1.5 * said["lathe.envelope"][0]
    assert max(said["lathe.acceleration"]) > 1.1 * said["lathe.acceleration"][0]


def _last(settings: Any, channel: str) -> Any:
    rows = ask(settings, {"get": "latest"})["channels"]
    return next(row["value"] for row in rows if row["channel"] == channel)
