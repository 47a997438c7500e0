"""Where a store lies on disk, who may write to it, and how it is made: the only module that knows the file names.

A store's file is made beside its place and renamed when it is whole, so there is no half-made store. The schema is
made and changed by `migrate.py` in a process of its own, because sqlite_utils costs 16 MB of memory that the
gateway would never give back.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from . import rows
from .errors import (
    StoreError,
    StoreLockedError,
    StoreTooNewError,
    StoreUnusableError,
    damaged,
    explained,
    explained_rows,
    refused,
)
from .mark import read_mark
from .pagefile import PAGE_BYTES
from .wal import lost_commits

FILE_NAME: Final = "store.db"
_WAL_MODE: Final = bytes((2, 2, 0, 64, 32, 32))
_HEADER: Final = b"SQLite format 3\0"


class Schema(NamedTuple):
    """Which module brings a file to which `user_version`."""

    module: str = "golmok_edge.store.migrate"
    version: int = 1


SCHEMA: Final = Schema()


@dataclass(frozen=True)
class Layout:
    """The files of the store in `folder`."""

    folder: Path

    @property
    def file(self) -> Path:
        """The SQLite file."""
        return self.folder / FILE_NAME

    @property
    def new_file(self) -> Path:
        """Where a new file is made."""
        return self.folder / f"{FILE_NAME}.new"

    @property
    def lock_file(self) -> Path:
        """Held by the one process that writes; holds its number."""
        return self.folder / f"{FILE_NAME}.lock"

    @property
    def epochs_file(self) -> Path:
        """The epochs once more, for the day on which they cannot be read in the file itself."""
        return self.folder / f"{FILE_NAME}.epochs"

    @property
    def own_files(self) -> list[Path]:
        """All that belongs to the store's file, in the order in which it is to be moved away.

        The log never without its file: what stands without a log passes for whole.
        """
        return [self.file, self.wal_file, self.folder / f"{FILE_NAME}-shm", self.epochs_file, self.mark_file]

    @property
    def mark_file(self) -> Path:
        """How far the store has come; see `mark.py`."""
        return mark_of(self.file)

    @property
    def wal_file(self) -> Path:
        """SQLite's write-ahead log."""
        return self.folder / f"{FILE_NAME}-wal"

    @property
    def ballast_file(self) -> Path:
        """Takes room to be given up on a full disk; see `ballast.py`."""
        return self.folder / f"{FILE_NAME}.ballast"

    def keep_epochs(self, text: str) -> None:
        """Write `epochs_file`, if it says something else. Raises OSError."""
        if self.epochs_file.exists() and self.epochs_file.read_text(errors="replace") == text:
            return
        beside = self.epochs_file.with_name(f"{self.epochs_file.name}.new")
        beside.write_text(text)
        sync_file(beside)
        beside.rename(self.epochs_file)
        sync_folder(self.folder)

    def make_folder(self) -> None:
        """Make the folder (and those above it), so that it outlives a power cut."""
        missing = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for folder in missing:
                sync_folder(folder.parent)
        except (FileExistsError, NotADirectoryError):
            raise StoreUnusableError(
                f"{self.folder}: a file stands where the store's folder should be. "
                "Set [store] path to a folder, or move that file away."
            ) from None
        except OSError as error:
            raise StoreUnusableError(
                f"{self.folder}: the store's folder cannot be made ({error.strerror}). "
                "Set [store] path to a folder that this user may write."
            ) from error

    def lock(self) -> int:
        """Take the writer's lock; the open descriptor holds it until it is closed or the process ends."""
        try:
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if error.errno == errno.EROFS:
                raise refused(self.file, error) from error
            raise StoreUnusableError(
                f"{self.lock_file}: cannot be written ({error.strerror}). "
                "Set [store] path to a folder that this user may write."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise StoreLockedError(
                f"{self.file}: process {holder} is writing to this store. "
                "Stop it first, or set another [store] path: each gateway needs a folder of its own."
            ) from None
        with contextlib.suppress(OSError):  # the number only helps a person; a full disk may refuse it
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return descriptor

    def prepare(self, schema: Schema) -> None:
        """See that a file of the right version stands there. Only with the lock held."""
        if not self.file.exists():
            self._make(schema)
            return
        self.look()
        if lost := lost_commits(self.wal_file, self.file):  # before SQLite opens it, and removes it
            raise damaged(self.wal_file, f"{lost} commits lie behind something that cannot be read")
        self._compare_with_mark(schema)
        version = self._version()
        if version > schema.version and self._steps() != version:
            raise damaged(self.file, f"it says that it is of version {version}, and is not")
        if version > schema.version:
            raise StoreTooNewError(
                f"{self.file}: written by a newer Golmok (version {version}, this one knows {schema.version}). "
                "Install the newer version again, or set another [store] path."
            )
        if version < schema.version:
            _migrate(schema, self.file)

    def _compare_with_mark(self, schema: Schema) -> None:
        """See that all is there that was, before SQLite is let at it: it removes a log that it cannot read."""
        mark = read_mark(self.mark_file)
        if mark is None:
            return
        uri = f"{self.file.absolute().as_uri()}?mode=ro"
        with explained_rows(self.file), contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version <= schema.version and (gone := rows.lacks(database, mark)):
                raise damaged(self.file, gone)

    def look(self) -> None:
        """Raise `StoreDamagedError` when the first bytes or the size show that this is no whole store."""
        if self.file.is_dir():
            raise damaged(self.file, "it is a folder")
        try:
            with self.file.open("rb") as file:
                header = file.read(100)
                size = os.fstat(file.fileno()).st_size
        except OSError as error:
            raise StoreUnusableError(
                f"{self.file}: cannot be read ({error.strerror}). Make it readable and writable for this user."
            ) from error
        # While there is a log, a kill may have come between carrying over the first page and the last ones.
        has_log = self.wal_file.exists() and self.wal_file.stat().st_size > 0
        wrong = _wrong(header, size, has_log=has_log)
        if wrong and not (has_log and self._is_whole_with_log()):
            raise damaged(self.file, wrong)

    def _is_whole_with_log(self) -> bool:
        """Whether the log holds what the file should begin with: a power cut tore the first page being carried over."""
        try:
            with contextlib.closing(sqlite3.connect(f"{self.file.absolute().as_uri()}?mode=ro", uri=True)) as database:
                database.execute("SELECT name FROM sqlite_master").fetchall()
                said = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "page_size")]
        except sqlite3.Error:
            return False
        return said == ["wal", PAGE_BYTES]

    def _version(self) -> int:
        with explained(self.file), contextlib.closing(sqlite3.connect(self.file)) as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            return int(version)

    def _steps(self) -> int:
        """How many steps of migration it has seen, by its own book."""
        with explained(self.file), contextlib.closing(sqlite3.connect(self.file)) as database:
            (count,) = database.execute("SELECT COUNT(*) FROM _sqlite_migrations").fetchone()
            return int(count)

    def _make(self, schema: Schema) -> None:
        if self.wal_file.exists() and self.wal_file.stat().st_size:
            raise damaged(self.file, "it is gone, but its log is still there")
        if (mark := read_mark(self.mark_file)) and any(mark.last.values()):
            raise damaged(self.file, f"it is gone, and had {sum(mark.last.values())} records")
        for leftover in self.folder.glob(f"{FILE_NAME}.new*"):
            leftover.unlink()
        _migrate(schema, self.new_file)
        sync_file(self.new_file)
        self.mark_file.unlink(missing_ok=True)
        self.new_file.rename(self.file)
        sync_folder(self.folder)


def mark_of(file: Path) -> Path:
    """Where it is said how far the store in `file` has come."""
    return file.with_name(f"{file.name}.mark")


def _wrong(header: bytes, size: int, *, has_log: bool) -> str | None:
    """What shows that a file with these first bytes is no whole store; None if nothing does."""
    if header[:16] != _HEADER or len(header) < 100:
        return "it does not begin like a store"
    if header[18:24] != _WAL_MODE or int.from_bytes(header[52:56], "big"):
        # With another mode SQLite would pass its log over, and the last commits with it.
        return "its first bytes are not as they were written"
    page = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    if page != PAGE_BYTES or (size < page * pages and not has_log):
        return f"it has {size} bytes and should have {page * pages}"
    return None


def sync_file(path: Path) -> None:
    """See that what was written to `path` is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def forget_cached(path: Path) -> None:
    """See that what is read of `path` next comes from the card, not from the kernel's memory, as far as that is had."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def sync_folder(path: Path) -> None:
    """See that the names in the folder `path` are on disk."""
    sync_file(path)


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put `content` in the place of what stands in `path`, whole or not at all. Raises OSError."""
    new = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file:  # noqa: PTH123  # made with its mode
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
        sync_folder(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def _migrate(schema: Schema, file: Path) -> None:
    done = subprocess.run([sys.executable, "-m", schema.module, str(file)], capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise StoreError(
            f"{file}: the store could not be brought to version {schema.version}: {said[-1] if said else 'no reason'}. "
            "Nothing was changed. See that there is room on the disk and that golmok[gateway] is installed."
        )
