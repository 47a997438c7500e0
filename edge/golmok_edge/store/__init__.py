"""The store: a group-committed, packed outbox on SQLite, one for each process, in a folder of its own.

`Store` is the file, `GroupCommit` the thread that writes to it, `Reader` what pages and tools look with.
"""

from .errors import (
    StoreClosedError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    StoreTooNewError,
    StoreUnusableError,
    StoreWriteError,
)
from .group import Commit, GroupCommit, Item
from .history import Bucket, buckets, history, numbers
from .layout import Layout
from .reader import TRIMMED, Found, Reader
from .removal import Trimmed
from .rows import Epoch
from .store import Store
from .taken import WINDOW, Taken, message_hash

__all__ = [
    "TRIMMED",
    "WINDOW",
    "Bucket",
    "Commit",
    "Epoch",
    "Found",
    "GroupCommit",
    "Item",
    "Layout",
    "Reader",
    "Store",
    "StoreClosedError",
    "StoreDamagedError",
    "StoreError",
    "StoreFullError",
    "StoreLockedError",
    "StoreTooNewError",
    "StoreUnusableError",
    "StoreWriteError",
    "Taken",
    "Trimmed",
    "buckets",
    "history",
    "message_hash",
    "numbers",
]
