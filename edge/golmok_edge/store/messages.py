"""The broker's messages that a damaged file tells of, so that those that come again are known.

Nothing is taken meanwhile, so it is done in a moment: long before the salvage, which believes the same.
"""

from __future__ import annotations

import sqlite3
import struct
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from itertools import chain, groupby
from typing import Final, NamedTuple, TypeGuard

from golmok_cloud_sync.protocol.record import Stream

from . import rows
from .aside import Aside
from .finds import Block, Find, Finder, Kept
from .mark import read_mark
from .pages import Pages
from .taken import WINDOW, is_of, recent, session_of

_SEARCH_S: Final = 3.0
"""Of the processor: on a busy machine that is long, ..."""
_LONGEST_S: Final = 8.0
"""... but never so long that nothing is taken for 10 s."""
_SEARCH_PAGES: Final = 4_000


class Messages(NamedTuple):
    """The session with the broker, and the last messages that were taken in it, the oldest first."""

    session: int
    taken: list[tuple[int, int]]


class _Limit:
    """How long to search."""

    def __init__(self) -> None:
        self._until, self._cpu_until = time.monotonic() + _LONGEST_S, time.thread_time() + _SEARCH_S

    @property
    def is_over(self) -> bool:
        """Whether it was long enough."""
        return time.monotonic() > self._until or time.thread_time() > self._cpu_until


def messages_of(aside: Aside, session: int | None = None) -> Messages:
    """The last messages that a damaged file still tells of, so that those that come again are known.

    Through SQLite as far as that goes, then from the log and the last pages, for so long at most: nothing is taken
    meanwhile. What it does not find would be stored twice if the broker brought it again. `session` is the broker's,
    if it is known.
    """
    limit = _Limit()
    packed, hint = _through_sqlite(aside, limit)
    for found_in, blob in _from_pages(aside, limit):
        packed.setdefault(blob, found_in)
    if session is None:
        session = _session(aside, hint, packed)
    newest_first = sorted(packed, key=lambda blob: packed[blob], reverse=True)
    return Messages(session, recent([blob for blob in newest_first if is_of(blob, session)], session))


def _session(aside: Aside, hint: int, packed: Iterable[bytes]) -> int:
    """The last one. One block alone may say anything: its messages have no check sum."""
    mark = read_mark(aside.mark_file)
    if mark and mark.is_exact(aside.about.boot):
        return mark.session
    said = Counter(map(session_of, packed)).items()
    return max([hint, mark.session if mark else 0, *(one for one, times in said if times > 1)]) or max(
        (one for one, _ in said), default=0
    )


def _through_sqlite(aside: Aside, limit: _Limit) -> tuple[dict[bytes, int], int]:
    packed: dict[bytes, int] = {}
    session = count = 0
    try:
        uri = f"{aside.file.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
            db.set_progress_handler(lambda: limit.is_over, 10_000)
            db.execute("PRAGMA cell_size_check = ON")
            session = int(rows.hints(db).get("session", 0))
            state = rows.load_state(db)
            for taken_by_then, blob in rows.taken_back(db, state.ends):
                packed.setdefault(blob, taken_by_then)
                count += len(blob) // 10
                if count > WINDOW or session_of(blob) < session or limit.is_over:
                    break
    except (sqlite3.Error, ValueError, TypeError, OverflowError, struct.error, OSError):
        pass  # what was found until then
    return packed, session


def _from_pages(aside: Aside, limit: _Limit) -> list[tuple[int, bytes]]:
    """As they were found; with how many had been taken by then."""
    found = list[Block | Kept]()
    most, finder = most_of_rest(aside), Finder()
    with suppress(OSError), Pages(aside.file, aside.wal_file) as pages:
        last = range(pages.count, max(0, pages.count - _SEARCH_PAGES), -1)
        newest = ((frame.page, pages.frame(frame)) for frame in reversed(pages.log.frames))
        for number, page in chain(newest, ((n, pages.page(n)) for n in last)):
            if limit.is_over:
                break
            finds = finder.finds(page, pages.rows(page, number))
            found += [one for one in finds if isinstance(one, Block | Kept)]
        for frame in reversed(pages.log.rest):
            if limit.is_over:
                break
            page = pages.frame(frame)
            finds = finder.finds(page, pages.rows(page, frame.page, is_of_rest=True))
            found += [one for one in finds if is_of_use(one, most)]
    return list(_counted(found))


def _counted(found: Iterable[Block | Kept]) -> Iterator[tuple[int, bytes]]:
    """Where a row is in pieces its count is gone: then it is that of the block before."""
    for _, ones in groupby(sorted(found, key=_place), key=lambda one: one.stream):
        count = 0
        for one in ones:
            count = max(count, one.messages)
            if one.taken:
                yield one.messages or count, one.taken


def _place(one: Block | Kept) -> tuple[str, int]:
    return one.stream, one.first_seq


def most_of_rest(aside: Aside) -> Mapping[Stream, int] | None:
    """How far a block in the rest of a log may reach; None if nobody knows: then each is taken.

    What lies beyond was not committed, so nobody was told of it, and whoever said it says it again.
    """
    known, is_sure = aside.known()
    return known["last"] if is_sure else None


def is_of_use(find: Find, most: Mapping[Stream, int] | None) -> TypeGuard[Block]:
    """Whether a find in the rest of a log may be believed: blocks alone have a check sum of their own."""
    return isinstance(find, Block) and (most is None or find.first_seq + len(find.records) - 1 <= most[find.stream])
