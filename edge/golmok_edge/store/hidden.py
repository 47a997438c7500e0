"""What SQLite does not show of a store: how its file and its log stand on the card, each for itself.

SQLite reads a page from the log where the log has it, so it does not see what became of that page in the file. And of
a log that it has in use it reads what it likes without its check sums, so it does not see that the next start would
pass over what stands behind something rotten. Both are looked at here, also while a gateway writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from golmok_cloud_sync.protocol.record import STREAMS, Stream

from . import rows
from .finds import Block, Finder, Void
from .layout import Layout
from .mark import read_mark
from .pagefile import PAGE_BYTES
from .pages import Pages, Row
from .wal import lost_commits

_BLOCK_COLUMNS: Final = 9
_SURELY_LOCAL: Final = PAGE_BYTES - 200


def gone_at_next_start(layout: Layout) -> Iterator[tuple[str, Stream | None]]:
    """What a start would not find, though it was committed: what to say, and of which stream."""
    mark = read_mark(layout.mark_file)
    if lost := lost_commits(layout.wal_file, layout.file):
        yield f"in the log {lost} commits lie behind something that cannot be read", None
    if mark is None:
        return
    ends = _ends(layout)
    for stream in STREAMS:
        if ends is not None and ends[stream] < mark.last[stream]:
            yield f"its end is gone: it had {mark.last[stream]}, and {ends[stream]} can be read at a start", stream


def rotten_behind_log(layout: Layout) -> list[int]:
    """Pages of the file that are not as they were written, while the log has them anew: nothing of them is lost."""
    with Pages(layout.file, layout.wal_file) as pages:
        behind = sorted(number for number in pages.log.newest if number <= pages.count)
        # Looked at twice: they may just have been written.
        return [number for number in behind if _is_rotten(pages, number) and _is_rotten(pages, number)]


def _is_rotten(pages: Pages, number: int) -> bool:
    """Whether a page is a leaf whose cells, or whose blocks, are none. What else it may have been nobody can tell."""
    page = pages.page(number)
    said = pages.rows(page, number)
    if not said.is_leaf:
        return False
    # Rows that go on in other pages are left out: those may serve others by now, as the log has them.
    blocks = [row for row in said.rows if len(row.columns) == _BLOCK_COLUMNS and _size(row) < _SURELY_LOCAL]
    finder = Finder()
    return not said.is_whole or not all(finder.is_block(row) for row in blocks)


def _size(row: Row) -> int:
    return sum(len(one) for one in row.columns if isinstance(one, bytes))


def _ends(layout: Layout) -> dict[Stream, int] | None:
    """Where each stream ends by what a start would read; None if that cannot be told just now."""
    finder, ends = Finder(), dict.fromkeys(STREAMS, 0)
    with Pages(layout.file, layout.wal_file) as pages:
        for frame in pages.log.frames:
            if not frame.follows:
                continue
            page = pages.frame(frame)
            for find in finder.finds(page, pages.rows(page, frame.page)):
                if isinstance(find, Block):
                    ends[find.stream] = max(ends[find.stream], find.first_seq + len(find.records) - 1)
                elif isinstance(find, Void):
                    ends[find.stream] = max(ends[find.stream], find.hi - 1)
    try:
        uri = f"{layout.file.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as db:
            return {stream: max(end, rows.last_seq(db, stream, rows.base(db, stream))) for stream, end in ends.items()}
    except (sqlite3.Error, ValueError, TypeError, OverflowError):
        return None  # it is just being carried over; else SQLite finds what is wrong
