"""The store: a group-committed, packed outbox on SQLite, one for each process, in a folder of its own.

`Store` is the file, `GroupCommit` the thread that writes to it, `Reader` what pages and tools look with.
"""

from .aside import BUSY, Aside, asides, make_room, start_salvage
from .budget import CALM, LANES, Budgets, Lane, WhenFull, is_calm
from .errors import (
    BlockDamagedError,
    StoreClosedError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    StoreOverBudgetError,
    StoreReadOnlyError,
    StoreTooNewError,
    StoreUnusableError,
    StoreWriteError,
)
from .group import Commit, GroupCommit, Item, Refusal
from .history import Bucket, buckets, history, numbers
from .keeper import Keeper, KeptOutbox, When
from .layout import Layout
from .reader import TRIMMED, Found, Reader
from .removal import EVICTED, Trimmed
from .rows import Epoch
from .store import Store
from .taken import WINDOW, Taken, message_hash
from .wear import Card, card_of

__all__ = [
    "BUSY",
    "CALM",
    "EVICTED",
    "LANES",
    "TRIMMED",
    "WINDOW",
    "Aside",
    "BlockDamagedError",
    "Bucket",
    "Budgets",
    "Card",
    "Commit",
    "Epoch",
    "Found",
    "GroupCommit",
    "Item",
    "Keeper",
    "KeptOutbox",
    "Lane",
    "Layout",
    "Reader",
    "Refusal",
    "Store",
    "StoreClosedError",
    "StoreDamagedError",
    "StoreError",
    "StoreFullError",
    "StoreLockedError",
    "StoreOverBudgetError",
    "StoreReadOnlyError",
    "StoreTooNewError",
    "StoreUnusableError",
    "StoreWriteError",
    "Taken",
    "Trimmed",
    "When",
    "WhenFull",
    "asides",
    "buckets",
    "card_of",
    "history",
    "is_calm",
    "make_room",
    "message_hash",
    "numbers",
    "start_salvage",
]
