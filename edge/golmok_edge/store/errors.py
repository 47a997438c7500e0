"""What can go wrong with a store, each with what a person can do about it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


class StoreFullError(StoreError, OSError):
    """There is no room for more; nothing of the refused batch was stored."""


class StoreWriteError(StoreError, OSError):
    """The disk refused a write or a sync; nothing of the refused batch was stored."""


class StoreClosedError(StoreError, ValueError):
    """The store was closed."""


_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNUSABLE = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})


def damaged(path: Path, what: str) -> StoreDamagedError:
    """The error for a file that is damaged in the way `what` says."""
    return StoreDamagedError(
        f"{path}: {what}. The file is damaged. Move its folder aside (do not delete it: much of it can be read) "
        "and start again: a new store is made at once."
    )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about `path` into ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(path, error) from error


def explain(path: Path, error: sqlite3.Error) -> StoreError:
    """SQLite's `error` about `path` as one of ours, with a remedy."""
    # The low byte is the primary code; absent where the module itself raised (a closed connection).
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
    if code in _DAMAGED:
        return damaged(path, str(error))
    if code in _UNUSABLE:
        return StoreUnusableError(f"{path}: {error}. Make the folder and the file readable and writable for this user.")
    if code == sqlite3.SQLITE_FULL:
        return StoreFullError(
            f"{path}: no room is left on the disk. Make room there, or lower [store] max_bytes; "
            "capture goes on by itself as soon as there is room."
        )
    if code == sqlite3.SQLITE_MISUSE:
        return StoreClosedError(f"{path}: {error}. The store was closed.")
    return StoreWriteError(f"{path}: {error}. Look at the disk's health (dmesg); the store goes on when it answers.")
