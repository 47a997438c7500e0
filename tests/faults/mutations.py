"""Mistakes that the harness must find: each is made in a copy of the source tree, the product has no switch.

A pattern that is not there exactly once is an error: the mutation no longer says what it means to say.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from .programs import CODE, ROOT


class Change(NamedTuple):
    """In `file`, `old` becomes `new`."""

    file: str
    old: str
    new: str


_BUS: Final = "edge/golmok_edge/gateway/bus.py"
_LOG: Final = "cloud-sync/golmok_cloud_sync/server/sqlite_log.py"
_BEGUN: Final = " " * 16 + "taken = [self._seen.begin(message, hash64)] if message.qos else []\n"
MUTATIONS: Final[Mapping[str, tuple[Change, ...]]] = {
    "ack-before-commit": (
        Change(
            _BUS,
            f"{_BEGUN}            self._way.put(",
            f"{_BEGUN}            self._mqtt.ack(message)\n            self._way.put(",
        ),
    ),
    "no-cas": (
        Change(
            _LOG,
            'where id = ? and next_seq = ? and last_crc = ?"',
            'where id = ? and (1 or next_seq = ? or last_crc = ?)"',
        ),
        Change(_LOG, "\ninsert into batch (", "\ninsert or ignore into batch ("),
    ),
    "no-fsync": (
        Change("edge/golmok_edge/store/store.py", '"synchronous = FULL"', '"synchronous = OFF"'),
    ),
    "ignore-crc": (
        Change(
            "cloud-sync/golmok_cloud_sync/protocol/frame.py",
            "return crc32(self.payload) == self.crc32",
            "return True",
        ),
    ),
    "no-dup-check": (Change(_BUS, "if message.dup and self._was_here(message, hash64):", "if False:"),),
}  # fmt: skip
SHOWN_BY: Final[Mapping[str, str]] = {
    "ack-before-commit": "kill-gateway",
    "no-cas": "cloud-overtaken",
    "no-fsync": "power-cut",
    "ignore-crc": "cloud-flip",
    "no-dup-check": "mqtt-swallow",
}
"""The kind of fault that does harm where the mistake was made."""


class MutationError(RuntimeError):
    """A mutation that cannot be made as it is written."""


def mutate(name: str, to: Path) -> Path:
    """Copy the product's source into the folder `to` and make the mistake there; gives the copy's root."""
    for folder in CODE:
        shutil.copytree(ROOT / folder, to / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for change in MUTATIONS[name]:
        file = to / change.file
        text = file.read_text(encoding="utf-8")
        if text.count(change.old) != 1:
            raise MutationError(
                f"{name}: {change.file} has {text.count(change.old)} times {change.old!r}; it must be there once"
            )
        file.write_text(text.replace(change.old, change.new), encoding="utf-8")
    return to
