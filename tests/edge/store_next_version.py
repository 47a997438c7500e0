"""A version of the store that does not exist yet: today's steps and one more."""

from __future__ import annotations

import sys
from pathlib import Path

from sqlite_utils import Database

from golmok_edge.store.migrate import migrate, steps


@steps(name="9999 one more table")
def _next(db: Database) -> None:
    db.table("added_by_the_next_version").create({"id": int})


if __name__ == "__main__":
    migrate(Path(sys.argv[1]), steps)
