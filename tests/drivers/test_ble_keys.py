"""A Bluetooth device's key: in the settings or in a file of its own, which nobody else may read."""

from __future__ import annotations

from pathlib import Path

import pytest

from golmok_drivers.api import DriverError
from golmok_drivers.ble_keys import key_of
from golmok_drivers.devices.ble_button import BleButtonSettings
from golmok_drivers.devices.bthome import BthomeSettings
from tests.drivers.frames import ADDRESS, KEY


def button(file: Path) -> BleButtonSettings:
    return BleButtonSettings(address=ADDRESS, key_file=file)


def test_a_key_stands_in_the_settings_or_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "bell.key"
    file.touch(0o600)
    file.write_text(f"{KEY}\n")
    assert key_of(button(file)) == key_of(BleButtonSettings(address=ADDRESS, key=KEY)) == KEY
    assert key_of(BthomeSettings(address=ADDRESS)) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o601])
def test_a_file_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "bell.key"
    file.write_text(KEY)
    file.chmod(mode)
    with pytest.raises(DriverError, match=f"mode {mode:04o}.*chmod 600"):
        key_of(button(file))


@pytest.mark.parametrize("content", ["", KEY[:-1], f"{KEY}{KEY}", f"{KEY}\n{KEY}", "키" * 16, "x" * 1_000])
def test_a_file_without_a_key_is_refused_and_what_it_holds_is_not_told(tmp_path: Path, content: str) -> None:
    file = tmp_path / "bell.key"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(DriverError, match="32 hexadecimal digits") as refused:
        key_of(button(file))
    assert not content or content not in str(refused.value)


def test_no_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="No such file"):
        key_of(button(tmp_path / "bell.key"))
    with pytest.raises(DriverError, match="Is a directory"):
        key_of(button(tmp_path))


def test_one_key_is_enough_and_a_button_needs_one() -> None:
    with pytest.raises(ValueError, match="not both"):
        BleButtonSettings(address=ADDRESS, key=KEY, key_file=Path("bell.key"))
    with pytest.raises(ValueError, match="a key is needed"):
        BleButtonSettings(address=ADDRESS)
