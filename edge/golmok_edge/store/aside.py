"""Damaged files that were set aside: where they lie, what is known of them, and what has become of them.

`<store>/damaged-<n>/` holds the file, its log and `about.json`, which says why, when, and what was known by heart when
it happened. `salvaged/` in it is a store of its own, made of all that could be read; it goes when the cloud has it.
Setting aside is a few renames, whatever the size. A death in between is mended at the next start: the log follows
its file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from .layout import FILE_NAME, Layout, mark_of, sync_file, sync_folder
from .mark import read_mark

BUSY: Final = 4
"""The exit code of a salvage where another one is at it."""
KEEP: Final = 3
"""So many damaged files are kept at most, once what could be read of them is in the cloud."""
_NAME: Final = re.compile(r"damaged-(\d{1,6})")
_ABOUT: Final = "about.json"
_SALVAGED: Final = "salvaged"


class End(NamedTuple):
    """When a channel's last reading was that survived."""

    seq: int
    boot: str
    mono_ms: int
    wall_ms: int | None = None
    """As its source states it."""


class About(msgspec.Struct, omit_defaults=True):
    """What is known of a damaged file and of its salvage."""

    why: str = ""
    when_ms: int = 0
    """By the machine's own clock."""
    boot: str = ""
    mono_ms: int = 0
    epoch: str = ""
    known: dict[str, Any] | None = None
    """`Store.known` when it was set aside while running."""
    state: str = "waiting"
    """waiting, salvaging, sending, done; `kept`: nobody knows its epoch, so only a person can make use of it."""
    done_pages: int = 0
    pages: int = 0
    records: int = 0
    """Records that were read."""
    lost: dict[str, int] = {}
    """Records of each stream that were not, as far as known that there were any."""
    end_known: bool = False
    """Whether it is known where the streams ended."""
    ends: dict[str, dict[str, End]] = {}
    """Where it is not known, or readings are gone there: the last of each channel that was read and can be dated."""
    first: tuple[str, int] | None = None
    """Boot and time of the first record that was read."""
    told: bool = False
    """Whether the cloud is told what was read and what was not."""
    last_boot: str = ""
    last_mono_ms: int = 0
    """The last record that was read."""


class Aside(NamedTuple):
    """A damaged file, in a folder of its own."""

    folder: Path
    about: About
    source: Path | None = None
    """Where the damaged file lies, if it is not in `folder`."""

    @property
    def number(self) -> int:
        """It is the n-th of its store."""
        return number_of(self.folder) or 0

    @property
    def file(self) -> Path:
        """The damaged file."""
        return self.source or self.folder / FILE_NAME

    @property
    def wal_file(self) -> Path:
        """Its log."""
        return self.file.with_name(f"{self.file.name}-wal")

    @property
    def epochs_file(self) -> Path:
        """Its epochs."""
        return self.file.with_name(f"{self.file.name}.epochs")

    @property
    def mark_file(self) -> Path:
        """How far it had come."""
        return mark_of(self.file)

    def known(self) -> tuple[Mapping[str, Any], bool]:
        """What is known of it beside its pages, as `Store.known` says it, and whether it is sure that it had no more.

        Nothing if it was neither in use when it was set aside, nor has a mark.
        """
        if self.about.known:
            return self.about.known, True
        mark = read_mark(self.mark_file)
        return (mark.known(), mark.is_exact(self.about.boot)) if mark else ({}, False)

    @property
    def salvaged(self) -> Path:
        """The folder of the clean copy."""
        return self.folder / _SALVAGED

    @property
    def partly(self) -> Path:
        """The folder of the clean copy while it is made."""
        return self.folder / f"{_SALVAGED}.part"

    def say(self, **news: Any) -> Aside:
        """Write down what has become of it."""
        about = msgspec.structs.replace(self.about, **news)
        write_about(self.folder, about)
        return self._replace(about=about)

    def forget_copy(self) -> None:
        """The cloud has it all: the clean copy goes."""
        for folder in (self.salvaged, self.partly):
            shutil.rmtree(folder, ignore_errors=True)

    def bytes(self) -> int:
        """What it takes on disk."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def number_of(folder: Path) -> int | None:
    """The n of `damaged-<n>`; None for other folders."""
    found = _NAME.fullmatch(folder.name)
    return int(found[1]) if found else None


def asides(folder: Path) -> list[Aside]:
    """All that was set aside in the store's `folder`, the oldest first."""
    found = [one for one in folder.glob("damaged-*") if number_of(one) is not None and one.is_dir()]
    return [read_aside(one) for one in sorted(found, key=lambda one: number_of(one) or 0)]


def read_aside(folder: Path) -> Aside:
    """What was set aside in `folder`; a technician may have put it there, with nothing said about it."""
    try:
        return Aside(folder, msgspec.json.decode((folder / _ABOUT).read_bytes(), type=About))
    except (OSError, msgspec.MsgspecError):
        return Aside(folder, About())


def write_about(folder: Path, about: About) -> None:
    """Keep it, whole or not at all. Raises OSError."""
    beside = folder / f"{_ABOUT}.new"
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(about), indent=1))
    sync_file(beside)
    beside.rename(folder / _ABOUT)
    sync_folder(folder)


def set_aside(layout: Layout, about: About) -> Aside:
    """Move the files of `layout` into a folder of their own. Only with the lock held. Raises OSError."""
    known = asides(layout.folder)
    last = known[-1] if known else None
    if last and _is_half_moved(layout, last):
        folder, about = last.folder, last.about  # a death came between the two
    else:
        folder = layout.folder / f"damaged-{(last.number if last else 0) + 1}"
        folder.mkdir()
        try:
            write_about(folder, about)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)  # nothing lies there, and the next attempt makes one anew
            raise
    for path in layout.own_files:
        if os.path.lexists(path):
            path.rename(folder / path.name)
    sync_folder(folder)
    sync_folder(layout.folder)
    return Aside(folder, about)


def _is_half_moved(layout: Layout, last: Aside) -> bool:
    """Whether the file was moved, and what belongs to it was not yet."""
    left = [path for path in layout.own_files if os.path.lexists(path)]
    return (
        layout.file not in left and last.file.exists() and not any((last.folder / path.name).exists() for path in left)
    )


def make_room(folder: Path, keep: int = KEEP) -> list[Path]:
    """Delete the oldest of those whose readable part is in the cloud, but for the newest `keep`; which."""
    done = [one for one in asides(folder) if one.about.state == "done"]
    gone = done[: max(0, len(done) - keep)]
    for one in gone:
        shutil.rmtree(one.folder, ignore_errors=True)
    return [one.folder for one in gone]


def start_salvage(folder: Path) -> subprocess.Popen[bytes]:
    """Salvage what lies in `folder` in a process of its own, gently; see `salvage.py`."""
    return subprocess.Popen(
        [sys.executable, "-m", "golmok_edge.store.salvage", str(folder), "--gently"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
