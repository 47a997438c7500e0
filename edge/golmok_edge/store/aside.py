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
import sqlite3
import struct
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from . import rows
from .finds import Block, Finder, Kept
from .layout import FILE_NAME, Layout, sync_file, sync_folder
from .pages import Pages
from .taken import WINDOW, recent, session_of

KEEP: Final = 3
"""So many damaged files are kept at most, once what could be read of them is in the cloud."""
_NAME: Final = re.compile(r"damaged-(\d{1,6})")
_ABOUT: Final = "about.json"
_SALVAGED: Final = "salvaged"
_SEARCH_S: Final = 3.0
_SEARCH_PAGES: Final = 4_000


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
    """Where it is not known: of readings and events, the last of each channel that was read and can be dated."""
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
    if last and not os.path.lexists(layout.file) and last.file.exists() and not last.wal_file.exists():
        folder, about = last.folder, last.about  # a death came between the two
    else:
        folder = layout.folder / f"damaged-{(last.number if last else 0) + 1}"
        folder.mkdir()
        write_about(folder, about)
    for path in layout.own_files:
        if os.path.lexists(path):
            path.rename(folder / path.name)
    sync_folder(folder)
    sync_folder(layout.folder)
    return Aside(folder, about)


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


# --- the broker's messages


class Messages(NamedTuple):
    """The session with the broker, and the last messages that were taken in it, the oldest first."""

    session: int
    taken: list[tuple[int, int]]


def messages_of(aside: Aside, longest_s: float = _SEARCH_S) -> Messages:
    """The last messages that a damaged file still tells of, so that those that come again are known.

    Through SQLite as far as that goes, then from the log and the last pages, for so long at most: nothing is taken
    meanwhile. What it does not find would be stored twice if the broker brought it again.
    """
    until = time.monotonic() + longest_s
    packed, session = _through_sqlite(aside, until)
    for found_in, blob in _from_pages(aside, until):
        packed.setdefault(blob, found_in)
    session = max([session, *map(session_of, packed)])
    newest_first = sorted(packed, key=lambda blob: packed[blob], reverse=True)
    return Messages(session, recent([blob for blob in newest_first if session_of(blob) == session], session))


def _through_sqlite(aside: Aside, until: float) -> tuple[dict[bytes, int], int]:
    packed: dict[bytes, int] = {}
    session = count = 0
    try:
        uri = f"{aside.file.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
            db.set_progress_handler(lambda: time.monotonic() > until, 10_000)
            db.execute("PRAGMA cell_size_check = ON")
            session = int(rows.hints(db).get("session", 0))
            state = rows.load_state(db)
            for at, blob in enumerate(rows.taken_back(db, state.ends)):
                packed.setdefault(blob, 2**60 - at)
                count += len(blob) // 10
                if count > WINDOW or session_of(blob) < session or time.monotonic() > until:
                    break
    except (sqlite3.Error, ValueError, TypeError, OverflowError, struct.error, OSError):
        pass  # what was found until then
    return {blob: at for blob, at in packed.items() if len(blob) >= 18 and len(blob) % 10 == 8}, session


def _from_pages(aside: Aside, until: float) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    finder = Finder()
    with suppress(OSError), Pages(aside.file, aside.wal_file) as pages:
        newest = [(frame.page, pages.frame(frame)) for frame in reversed(pages.frames)]
        last = range(pages.count, max(0, pages.count - _SEARCH_PAGES), -1)
        for number, page in (*newest, *((n, pages.page(n)) for n in last)):
            if time.monotonic() > until:
                break
            finds = finder.finds(page, pages.rows(page, number))
            found += [(one.messages, one.taken) for one in finds if isinstance(one, Block | Kept) and one.taken]
    return found
