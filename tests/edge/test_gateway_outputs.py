"""A running gateway switches outputs, names doubtful sensors in `status`, and counts on over a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from golmok_edge.gateway.cli import main
from golmok_edge.store.reader import Reader
from tests.edge.running import Gateway, until

SETTINGS = """
[site]
gateway = "gw-0001"
[store]
path = "var"
commit_interval_s = 0.1
[[device]]
name = "horn"
driver = "buzzer"
bus = "sim+gpio://scenario.toml"
pin = 24
[[device]]
name = "lamp"
driver = "relay"
bus = "sim+gpio://scenario.toml"
pin = 22
[[device]]
name = "lathe"
driver = "ads1115"
bus = "sim+i2c://scenario.toml"
interval_s = 0.2
[[device]]
name = "still"
driver = "sht4x"
bus = "sim+i2c://scenario.toml"
address = 0x44
interval_s = 0.2
still_s = 1.5
[[device]]
name = "other"
driver = "sht4x"
bus = "sim+i2c://scenario.toml"
address = 0x45
interval_s = 0.2
serial = "00c0ffee"
[[device]]
name = "loose"
driver = "sht4x"
bus = "sim+i2c://scenario.toml"
address = 0x46
interval_s = 0.1
"""
SCENARIO = """
[device.still]
fault = [{ kind = "stuck" }]
[device.loose]
fault = [{ kind = "noisy" }]
[device.lathe.signal.current]
kind = "constant"
value = 5.0
"""


def readings(folder: Path, channel: str) -> list[Any]:
    with Reader.open(folder / "var") as reader:
        return [found.record for found in reader.find(channel, "readings")]


def told(gateway: Gateway) -> dict[str, tuple[str, str]]:
    return {row["name"]: (row["state"], row["reason"]) for row in gateway.status().get("devices", ())}


def test_doubtful_sensors_are_named_outputs_do_what_they_are_told_and_hours_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scenario.toml").write_text(SCENARIO)
    config = str(tmp_path / "gateway.toml")
    with Gateway(tmp_path, SETTINGS, "--twins") as gateway:
        gateway.wait_ready()
        for device, value in (("lamp", "on"), ("horn", "beep"), ("lamp", "off")):
            assert main(["switch", "--config", config, device, value, "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["done"]["device"] == device
        for device, value, why in (
            ("horn", "symphony", "off, on, beep"),
            ("lathe", "on", "nothing that it could be told"),
            ("nobody", "on", "no device"),
        ):
            assert main(["switch", "--config", config, device, value]) == 1
            assert why in capsys.readouterr().err
        doubtful = {"still": ("uncertain", "stuck"), "other": ("uncertain", "swapped"), "loose": ("uncertain", "noisy")}
        until(lambda: told(gateway).items() >= doubtful.items(), f"all are named; it says {told(gateway)}")
        (other,) = (row for row in gateway.status()["devices"] if row["name"] == "other")
        assert "00c0ffee" in other["detail"]
        assert other["serial"] in other["detail"]
        assert gateway.end() == 0
    assert [record.value for record in readings(tmp_path, "lamp.on")] == [False, True, False]
    assert [record.value for record in readings(tmp_path, "horn.sound")][:2] == ["off", "beep"]
    stuck = [record for record in readings(tmp_path, "still.temperature") if record.reason == "stuck"]
    assert stuck
    assert all(record.quality == "uncertain" and record.value is not None for record in stuck)
    before = readings(tmp_path, "lathe.run-hours")[-1].value
    assert before > 0
    with Gateway(tmp_path, SETTINGS, "--twins") as gateway:
        gateway.wait_ready()
        until(lambda: told(gateway)["lathe"][0] == "good", "the lathe is read")
        assert gateway.end() == 0
    hours = [record.value for record in readings(tmp_path, "lathe.run-hours")]
    assert hours == sorted(hours), "they never go back"
    assert hours[-1] >= before


def test_nobody_is_switched_where_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gateway.toml").write_text(SETTINGS)
    (tmp_path / "scenario.toml").write_text("")
    assert main(["switch", "--config", str(tmp_path / "gateway.toml"), "lamp", "on"]) == 1
    assert "does not run" in capsys.readouterr().err
