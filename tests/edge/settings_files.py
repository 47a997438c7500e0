"""Settings files for the tests: a good one to start from, and how to get at its lines."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from golmok_edge.settings import Examination, examine_closely

DESIGN = """\
[site]
gateway = "gw-0001"                     # unique in its tenant
name = "한옥카페"
timezone = "Asia/Seoul"

[store]
path = "var"                            # folder; relative to this file
commit_interval_s = 1.0
max_bytes = 2_000_000_000

[mqtt]                                  # the local bus; username and password_file are optional
host = "127.0.0.1"
port = 1883

[cloud]
url = "http://127.0.0.1:8400"
interval_s = 60                         # at most this long until new data are sent
token_file = "enrol.token"              # optional; certificate and key once enrolled

[[device]]
name = "fridge"
driver = "ds18b20"
bus = "w1://0"                          # or sim+w1://scenario.toml
address = "28-00000a1b2c3d"
interval_s = 10
limits = { temperature = { high = 8.0, for_s = 600 } }

[[device]]
name = "stall-plug"
driver = "mqtt-json"
topic = "tele/plug1/SENSOR"
channels = { power = { path = "ENERGY.Power", unit = "W" } }
expect_s = 300
"""
"""The example of DESIGN section 9, to the letter."""

SHT4X = """\

[[device]]
name = "room"
driver = "sht4x"
bus = "i2c://1"
address = 0x44
"""
CONTACT = """\

[[device]]
name = "door"
driver = "contact"
bus = "gpio://"
pin = 17
"""


def changed(old: str, new: str, text: str = DESIGN + SHT4X + CONTACT) -> str:
    """The good file with one thing changed; `old` must be in it."""
    assert old in text
    return text.replace(old, new, 1)


def line_of(part: str, text: str) -> int:
    """The line on which `part` first stands."""
    return text[: text.index(part)].count("\n") + 1


def examined(folder: Path, text: str | bytes) -> Examination:
    """What is found in a file with that text."""
    file = folder / "gateway.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return examine_closely(file)


@contextmanager
def as_nobody() -> Iterator[None]:
    """For root, to whom every file is open: be somebody else for a while."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(before)


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """A folder that everybody may look into, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        yield folder
