"""What can go wrong with a store, each with what a person can do about it."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from golmok_cloud_sync.protocol.record import Stream


class StoreError(Exception):
    """The root of all errors of a store; the message says what to do."""


class StoreUnusableError(StoreError, OSError):
    """The store's folder or file cannot be made, read or written."""


class StoreLockedError(StoreError, BlockingIOError):
    """Another process has this store open for writing."""


class StoreTooNewError(StoreError, ValueError):
    """A newer Golmok has written this store."""


class StoreDamagedError(StoreError, ValueError):
    """The store's file is not, or no longer, one that can be trusted."""


class BlockDamagedError(StoreDamagedError):
    """A block cannot be read; the file around it may be whole."""

    def __init__(self, message: str, stream: Stream, first_seq: int) -> None:
        super().__init__(message)
        self.stream = stream
        self.first_seq = first_seq
        """On disk."""


class StoreFullError(StoreError, OSError):
    """There is no room for more; nothing of the refused batch was stored."""


class StoreOverBudgetError(StoreFullError):
    """A stream has all the room that the settings let it have; nothing of the refused batch was stored."""


class StoreWriteError(StoreError, OSError):
    """The disk refused a write or a sync; nothing of the refused batch was stored."""


class StoreReadOnlyError(StoreWriteError):
    """The disk may only be read; nothing of the refused batch was stored."""


class StoreClosedError(StoreError, ValueError):
    """The store was closed."""


_PROBE_BYTES: Final = 64 << 10
_NAMED: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_REMEDY = (
    "The gateway puts a damaged file aside by itself and goes on in a new one; by hand: "
    "golmok-gateway store verify --config FILE."
)
_DAMAGED = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        # Our statements are right and our keys are new, so these are the file's doing too: a table is gone, or a row
        # stands where none can.
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_TOOBIG,
    }
)
_DAMAGED_TOO = frozenset({sqlite3.SQLITE_IOERR_SHORT_READ})


class OddRowError(ValueError):
    """A row that says what was never written to it."""


_ODD_ROWS = (OddRowError, TypeError, OverflowError, json.JSONDecodeError, UnicodeDecodeError)
"""What comes of rows that hold what was never written to them."""
_UNUSABLE = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})


def damaged(path: Path, what: str) -> StoreDamagedError:
    """The error for a file that is damaged in the way `what` says."""
    return StoreDamagedError(f"{path}: {what}. The file is damaged. {_REMEDY}")


def damaged_block(path: Path, stream: Stream, first_seq: int, what: str) -> BlockDamagedError:
    """The error for one block of a file."""
    return BlockDamagedError(f"{path}: {stream} from {first_seq} on: {what}. {_REMEDY}", stream, first_seq)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about `path` into ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(path, error) from error


@contextmanager
def explained_rows(path: Path) -> Iterator[None]:
    """The same, where rows of `path` are read: those that hold what nobody wrote are damage."""
    try:
        with explained(path):
            yield
    except _ODD_ROWS as error:
        raise damaged(path, f"a row holds what cannot be ({error})") from error


def explain(path: Path, error: sqlite3.Error) -> StoreError:
    """SQLite's `error` about `path` as one of ours, with a remedy."""
    # The low byte is the primary code; absent where the module itself raised (a closed connection).
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
    undecodable = isinstance(error, sqlite3.OperationalError) and "decode to UTF-8" in str(error)
    if code in _DAMAGED or undecodable or getattr(error, "sqlite_errorcode", 0) in _DAMAGED_TOO:
        return damaged(path, str(error))
    if code == sqlite3.SQLITE_FULL:
        return full(path)
    if code == sqlite3.SQLITE_IOERR or code in _UNUSABLE:
        why = refusal(path.parent)  # SQLite says only "disk I/O error"
        if why and (code == sqlite3.SQLITE_IOERR or why.errno in _NAMED):
            return refused(path, why)
    if code in _UNUSABLE:
        return StoreUnusableError(f"{path}: {error}. Make the folder and the file readable and writable for this user.")
    if code == sqlite3.SQLITE_MISUSE:
        return StoreClosedError(f"{path}: {error}. The store was closed.")
    return StoreWriteError(f"{path}: {error}. Look at the disk's health (dmesg); the store goes on when it answers.")


def refused(path: Path, why: OSError) -> StoreError:
    """The error for a disk that answers `why` to a write."""
    if why.errno in (errno.ENOSPC, errno.EDQUOT):
        return full(path, has_quota=why.errno == errno.EDQUOT)
    if why.errno == errno.EROFS:
        return StoreReadOnlyError(
            f"{path}: the disk has become read-only, as the system makes it when it finds faults. Look at dmesg, save "
            "what is on it, replace the SD card; capture goes on by itself once it can be written again."
        )
    return StoreWriteError(
        f"{path}: the disk refuses to write ({why.strerror}). Look at its health (dmesg): an SD card that does so is "
        "worn out or badly seated; capture goes on by itself when the disk answers."
    )


def full(path: Path, *, has_quota: bool = False) -> StoreFullError:
    """The error for a disk, or a user's share of it, that has no room."""
    where = "in this user's quota of the disk" if has_quota else "on the disk"
    return StoreFullError(
        f"{path}: no room is left {where}. Make room there, or lower [store] max_bytes; "
        "capture goes on by itself as soon as there is room."
    )


def refusal(folder: Path) -> OSError | None:
    """Why nothing can be written in `folder`; None if something can."""
    probe = folder / "store.db.probe"
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            left = _PROBE_BYTES
            while left:  # a disk with some room takes some, and refuses the rest
                left -= os.write(descriptor, bytes(left))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        return error
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return None
