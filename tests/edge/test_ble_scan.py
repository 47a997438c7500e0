"""`golmok-gateway ble scan`: what it prints can be pasted, and passes `check`."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from golmok_drivers.adverts.recognise import recognised
from golmok_edge.gateway import ble_scan, cli
from golmok_edge.settings import examine_closely
from tests.drivers.air import needs_dbus
from tests.drivers.frames import advert, press

AIR = """
[device.bell]
driver = "ble-button"
bus = "ble"
settings = { address = "38:39:8F:A1:0B:5E", key = "231d39c1d7cc1ab1aee224cd096db932" }
[device.terrace]
driver = "ruuvi"
bus = "ble"
settings = { address = "CB:B8:33:4C:88:4F" }
[device.case]
driver = "bthome"
bus = "ble"
settings = { address = "A4:C1:38:0B:5E:ED", channels = ["temperature", "door"] }
[device.bag]
driver = "ibeacon"
bus = "ble"
settings = { uuid = "f7826da6-4fa2-4e98-8024-bc5b71e0893e", minor = 7 }
"""


@needs_dbus
def test_each_block_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "air.toml").write_text(AIR)
    monkeypatch.chdir(tmp_path)
    assert ble_scan.run("sim+ble://air.toml", 3, lang="en") == 0
    said = capsys.readouterr().out
    found = {table["driver"]: table for table in tomllib.loads(said)["device"]}
    assert sorted(found) == ["ble-button", "bthome", "ibeacon", "ruuvi"]
    assert found["bthome"]["channels"] == ["temperature", "door"]
    assert (found["ibeacon"]["major"], found["ibeacon"]["minor"]) == (0, 7)
    assert "its key, from its maker's app" in said
    (tmp_path / "gateway.toml").write_text('[site]\ngateway = "gw-0001"\n' + said)
    examined = examine_closely(tmp_path / "gateway.toml")
    assert examined.settings is not None, examined.mistakes


@needs_dbus
def test_json_holds_all_that_was_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "air.toml").write_text(AIR)
    monkeypatch.chdir(tmp_path)
    assert ble_scan.run("sim+ble://air.toml", 2, json=True) == 0
    document = json.loads(capsys.readouterr().out)
    by_driver = {device["driver"]: device for device in document["devices"]}
    assert by_driver["ruuvi"]["says"]["temperature"] > 0
    assert by_driver["ble-button"]["wants_key"]


def test_without_a_radio_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    assert ble_scan.run("ble://hci0", 1) == 1
    assert "apt-get install bluez" in capsys.readouterr().err
    assert ble_scan.run("ble://hci0", 1, json=True) == 1
    assert "bluez" in json.loads(capsys.readouterr().out)["error"]


def test_what_nobody_reads_is_nobodys() -> None:
    assert recognised(advert(company={0x0006: b"Microsoft"})) is None
    assert recognised(advert(b"\x20\x01")) is None
    assert recognised(advert(company={0x004C: b"\x10\x05"})) is None
    keyed = recognised(advert(press(1), name="SBBT-002C"))
    assert keyed is not None
    assert (keyed.driver, keyed.name, keyed.wants_key) == ("ble-button", "ble-button-0b5e", True)


@needs_dbus
def test_devices_scan_hears_who_is_in_the_settings_and_who_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "air.toml").write_text(AIR + '[[device.tag.fault]]\nkind = "unplugged"\n')
    (tmp_path / "gateway.toml").write_text(
        '[site]\ngateway = "gw-0001"\n'
        '[[device]]\nname = "terrace"\ndriver = "ruuvi"\nbus = "sim+ble://air.toml"\naddress = "CB:B8:33:4C:88:4F"\n'
        '[[device]]\nname = "tag"\ndriver = "ibeacon"\nbus = "sim+ble://air.toml"\n'
        'uuid = "f7826da6-4fa2-4e98-8024-bc5b71e0893e"\nminor = 8\n'
    )
    cli.main(["devices", "scan", "--config", str(tmp_path / "gateway.toml"), "--listen", "3", "--json", "--twins"])
    document = json.loads(capsys.readouterr().out)
    known = {row["name"]: row for row in document["devices"]}
    assert (known["terrace"]["state"], known["terrace"]["values"]["rssi"] < 0) == ("good", True)
    assert (known["tag"]["state"], known["tag"]["reason"]) == ("bad", "silent")
    assert {"ble-button", "bthome", "ibeacon"} <= {find["driver"] for find in document["found"]}
    assert "A4:C1:38:0B:5E:ED" in document["blocks"]
