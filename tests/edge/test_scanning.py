"""`golmok-gateway devices scan`, on twins: who is there, how each is, and blocks that can be pasted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from golmok_drivers.guess import guess
from golmok_drivers.scan import present_buses
from golmok_edge.gateway.cli import main

HEAD = '[site]\ngateway = "gw-scan"\n[store]\npath = "var"\n'
DEVICES = """
[[device]]
name = "{name}"
driver = "{driver}"
bus = "{bus}"
{more}
"""
WHAT_IS_WRONG = [  # name, driver, bus, settings, fault, state and reason that are named
    ("air-well", "sht4x", "i2c://1", "address = 0x44", "", "good", ""),
    ("air-noisy", "sht4x", "i2c://1", "address = 0x45", "noisy", "uncertain", "noisy"),
    ("air-stuck", "sht4x", "i2c://1", "address = 0x46", "stuck", "uncertain", "stuck"),
    ("air-away", "sht4x", "i2c://2", "address = 0x44", "unplugged", "bad", "nack"),
    ("air-other", "sht4x", "i2c://2", 'address = 0x45\nserial = "00c0ffee"', "", "uncertain", "swapped"),
    ("amps-short", "ads1115", "i2c://1", "address = 0x48", "shorted", "bad", "shorted"),
    ("amps-open", "ads1115", "i2c://1", "address = 0x49", "open-circuit", "bad", "open-circuit"),
    ("amps-other", "ads1115", "i2c://1", "address = 0x4a", "swapped", "bad", "wrong-part"),
    ("amps-stuck", "ads1115", "i2c://1", "address = 0x4b", "stuck", "uncertain", "stuck"),
    ("probe-short", "ds18b20", "w1://0", 'address = "28-0000000000a1"', "shorted", "bad", "shorted"),
    ("probe-noisy", "ds18b20", "w1://0", 'address = "28-0000000000a2"', "noisy", "uncertain", "noisy"),
    ("probe-other", "ds18b20", "w1://0", 'address = "28-0000000000a3"', "swapped", "bad", "swapped"),
    ("kiln-open", "max31856", "spi://0", "select = 0", "open-circuit", "bad", "open-circuit"),
    ("kiln-short", "max31856", "spi://0", "select = 1", "shorted", "bad", "shorted"),
    ("kiln-other", "max31856", "spi://1", "select = 0", "swapped", "bad", "wrong-part"),
    ("kiln-away", "max31856", "spi://1", "select = 1", "unplugged", "bad", "unplugged"),
    ("lathe-other", "lis3dh", "spi://2", "select = 0", "swapped", "bad", "wrong-part"),
    ("lathe-stuck", "lis3dh", "spi://2", "select = 1", "stuck", "uncertain", "stuck"),
    ("mains-away", "pzem004t", "uart://ttyUSB0", "address = 1", "unplugged", "bad", "unplugged"),
    ("mains-stuck", "pzem004t", "uart://ttyUSB0", "address = 2", "stuck", "uncertain", "stuck"),
    ("mains-other", "pzem004t", "uart://ttyUSB0", "address = 3", "swapped", "bad", "wrong-part"),
]


def shop(folder: Path, devices: str, scenario: str = "") -> Path:
    """A settings file whose buses all play that scenario."""
    (folder / "scenario.toml").write_text(scenario)
    path = folder / "gateway.toml"
    path.write_text(HEAD + devices)
    return path


def scanned(path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, Any]:
    code = main(["devices", "scan", "--config", str(path), "--twins", "--json", *more])
    return code, json.loads(capsys.readouterr().out)


def test_what_is_wrong_with_a_sensor_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    devices, scenario = "", ""
    for name, driver, bus, more, fault, _, _ in WHAT_IS_WRONG:
        number = sum(ord(letter) for letter in bus)  # a scenario for each bus, so that they are different buses
        (tmp_path / f"{number}.toml").touch()
        kind = bus.partition("://")[0]
        devices += DEVICES.format(name=name, driver=driver, bus=f"sim+{kind}://{number}.toml", more=more)
        if fault:
            scenario = f'[device.{name}]\nfault = [{{ kind = "{fault}" }}]\n'
            with (tmp_path / f"{number}.toml").open("a") as file:
                file.write(scenario)
    code, found = scanned(shop(tmp_path, devices), capsys)
    assert code == 1
    seen = {row["name"]: (row["state"], row["reason"]) for row in found["devices"]}
    assert seen == {name: (state, reason) for name, *_, state, reason in WHAT_IS_WRONG}
    assert all(row["detail"] for row in found["devices"] if row["state"] != "good")


def test_what_is_new_is_printed_as_blocks_that_pass_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strangers = [
        ("sht4x", "i2c", "address = 0x46"), ("ads1115", "i2c", "address = 0x48"), ("max31856", "spi", "select = 0"),
        ("lis3dh", "spi", "select = 1"), ("pzem004t", "uart", "address = 3"),
        ("ds18b20", "w1", 'address = "28-0123456789ab"'),
        ("mqtt-json", "mqtt", 'topic = "tele/x/SENSOR"\nchannels = { power = { path = "ENERGY.Power", unit = "W" } }'),
    ]  # fmt: skip
    scenario = "".join(
        f'[device.new-{driver}]\ndriver = "{driver}"\nbus = "{bus}"\n[device.new-{driver}.settings]\n{more}\n'
        for driver, bus, more in strangers
    )
    known = DEVICES.format(name="room", driver="sht4x", bus="sim+i2c://scenario.toml", more="address = 0x44")
    path = shop(tmp_path, known, scenario)
    code, found = scanned(path, capsys)
    assert code == 0
    assert [row["name"] for row in found["devices"]] == ["room"]
    whole = tmp_path / "whole.toml"
    whole.write_text(path.read_text() + found["blocks"].replace('bus = "spi://0"', 'bus = "sim+spi://scenario.toml"'))
    assert {find["driver"] for find in found["found"]} <= {driver for driver, *_ in strangers}
    assert main(["check", "--config", str(whole)]) == 0
    assert main(["devices", "scan", "--config", str(path), "--twins"]) == 0
    assert "[[device]]" in capsys.readouterr().out


def test_a_part_that_nobody_knows_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = (
        '[device.it]\ndriver = "ads1115"\nbus = "i2c"\nfault = [{ kind = "swapped" }]\nsettings = { address = 0x48 }\n'
    )
    known = DEVICES.format(name="room", driver="sht4x", bus="sim+i2c://scenario.toml", more="address = 0x44")
    code, found = scanned(shop(tmp_path, known, scenario), capsys)
    (find,) = found["found"]
    assert (find["driver"], find["state"], find["reason"]) == ("", "bad", "wrong-part")
    assert "ads1115" in find["detail"]
    assert code == 0
    assert found["blocks"] == ""


def test_one_at_another_number_is_another_of_its_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A meter that was changed for one with another Modbus number; of two that are away nobody can tell which."""
    meters = "".join(
        DEVICES.format(name=name, driver="pzem004t", bus=f"sim+uart://{file}", more=f"address = {number}")
        for name, file, number in (("one", "a.toml", 1), ("two", "b.toml", 1), ("three", "b.toml", 2))
    )
    away = '[device.{}]\nfault = [{{ kind = "unplugged" }}]\n'
    new = '[device.{}]\ndriver = "pzem004t"\nbus = "uart"\n[device.{}.settings]\naddress = 4\n'
    (tmp_path / "a.toml").write_text(away.format("one") + new.format("new-a", "new-a"))
    (tmp_path / "b.toml").write_text(away.format("two") + away.format("three"))
    _, found = scanned(shop(tmp_path, meters), capsys, "--numbers", "1-5")
    rows = {row["name"]: row for row in found["devices"]}
    assert (rows["one"]["reason"], "4" in rows["one"]["detail"]) == ("swapped", True)
    assert {rows[name]["reason"] for name in ("two", "three")} == {"unplugged"}


def test_wrong_usage_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "scan", "--twins"]) == 2
    assert main(["devices", "scan", "--numbers", "0-999"]) == 2
    path = shop(tmp_path, "nonsense")
    assert main(["devices", "scan", "--config", str(path)]) == 2
    assert "--config" in capsys.readouterr().err


def test_the_buses_of_a_machine_are_found(tmp_path: Path) -> None:
    for name in ("dev/i2c-1", "dev/i2c-20", "dev/spidev0.0", "dev/spidev0.1", "dev/ttyUSB0", "dev/null"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "sys/bus/w1/devices/w1_bus_master1").mkdir(parents=True)
    assert present_buses(tmp_path) == ["i2c://1", "i2c://20", "spi://0", "uart://ttyUSB0", "w1://1"]
    (tmp_path / "dev/serial/by-id").mkdir(parents=True)
    (tmp_path / "dev/serial/by-id/usb-A").touch()
    assert "uart:///dev/serial/by-id/usb-A" in present_buses(tmp_path)


@pytest.mark.parametrize(
    ("payload", "channels"),
    [
        (b'{"ENERGY": {"Power": 12, "Voltage": 220}}', {"power": "W", "voltage": "V"}),
        (b'{"temperature": 21.5, "battery": 90, "seen": 7}', {"temperature": "Cel", "battery": "%", "seen": "1"}),
        (b'{"contact": true, "a.b": {"co2": 417}}', {"contact": "1", "co2": "[ppm]"}),
        (b"[1]", None),
        (b"text", None),
        (b'{"Time": "2026"}', None),
        (b'{"\xed\x95\x9c": 1}', None),
        (b"{" * 9999, None),
    ],
)
def test_settings_are_guessed_from_a_message(payload: bytes, channels: dict[str, str] | None) -> None:
    options = guess("a/b", payload)
    if channels is None:
        assert options is None
    else:
        assert options is not None
        assert {name: table.get("unit", "1") for name, table in options["channels"].items()} == channels
