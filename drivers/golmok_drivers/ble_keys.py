"""The settings that Bluetooth devices have in common: where they are, and their key.

A key may stand in the settings, or in a file of its own that nobody but the gateway's user may read: settings are
looked at, copied and sent around, keys are not.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Annotated, ClassVar, Final

import msgspec

from golmok_drivers.api import Settings
from golmok_drivers.errors import KeyFileError

ADDRESS_PATTERN: Final = r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$"
KEY_PATTERN: Final = r"^[0-9A-Fa-f]{32}$"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LONGEST: Final = 256
"""Bytes of a file that may hold a key."""


class AddressSettings(Settings):
    """Which device it is."""

    address: Annotated[
        str,
        msgspec.Meta(
            pattern=ADDRESS_PATTERN,
            description="Its address: printed on it, or shown by `golmok-gateway ble scan`.",
            examples=["38:39:8F:A1:0B:5E"],
        ),
    ]


class KeySettings(AddressSettings):
    """Which device it is, and its key."""

    must_have_key: ClassVar[bool] = True

    key: Annotated[
        Annotated[str, msgspec.Meta(pattern=KEY_PATTERN)] | None,
        msgspec.Meta(
            description="Its key, 32 hexadecimal digits; its maker's app shows it when encryption is switched on.",
            examples=["231d39c1d7cc1ab1aee224cd096db932"],
        ),
    ] = None
    key_file: Annotated[
        Path | None,
        msgspec.Meta(
            description="A file with the key on its only line, instead of `key`; nobody but the gateway's user may "
            "read it (chmod 600).",
            examples=["bell.key"],
        ),
    ] = None

    def __post_init__(self) -> None:
        """One key, in one place."""
        if self.key is not None and self.key_file is not None:
            raise ValueError("write key or key_file, not both")
        if self.must_have_key and self.key is None and self.key_file is None:
            raise ValueError('a key is needed: key = "32 hexadecimal digits", or key_file = "bell.key"')


def key_of(settings: KeySettings) -> str | None:
    """The key, 32 hexadecimal digits, from wherever it stands. Raises `KeyFileError`."""
    return settings.key if settings.key_file is None else _read(settings.key_file)


def needed_key_of(settings: KeySettings) -> str:
    """The key of a device that must have one. Raises `KeyFileError`."""
    key = key_of(settings)
    assert key is not None, "settings without a key were let through"
    return key


def _read(file: Path) -> str:
    try:
        with file.open("rb") as lines:
            mode = os.fstat(lines.fileno()).st_mode
            text = lines.read(_LONGEST).decode("ascii", "replace").strip() if stat.S_ISREG(mode) else ""
    except OSError as error:
        raise KeyFileError(f"{file}: {error.strerror}") from error
    if mode & _OTHERS:
        raise KeyFileError(f"{file} can be read by others (mode {stat.S_IMODE(mode):04o}): chmod 600 {file}")
    if not re.fullmatch(KEY_PATTERN, text):
        raise KeyFileError(f"{file} does not hold 32 hexadecimal digits on its only line")
    return text
