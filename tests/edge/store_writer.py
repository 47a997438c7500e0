"""A process that stores numbered readings and prints each number once it was told that it is on disk.

`python -m tests.edge.store_writer FOLDER RATE FIRST`: readings FIRST, FIRST + 1 … in messages of 1 to 5, RATE a second,
until it is killed. Rate 0: 20 appends, one after the other, without a group.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from golmok_cloud_sync.protocol import Record
from golmok_edge.store import Commit, GroupCommit, Item, Store, Taken


def numbered(number: int) -> Record:
    return Record("writer.number", number, "", "boot", number)


def say(numbers: Sequence[object]) -> None:
    os.write(1, "".join(f"{number}\n" for number in numbers).encode())


def told(commit: Commit) -> None:
    say([record.value for item in commit.items for record in item.records])


def refused(items: Sequence[Item], error: Exception) -> None:
    sys.exit(f"refused: {error}")


def main() -> None:
    folder, rate, first = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    with Store.open(folder) as store:
        if not rate:
            for number in range(first, first + 20):
                store.append({"readings": [numbered(number)]})
                say([number])
            return
        with GroupCommit(store, told, refused, interval_s=0.02) as group:
            say(["ready"])
            began, made = time.monotonic(), first
            for message in count(1):
                size = message % 5 + 1
                taken = (Taken(0, message % 65_536, made),)
                group.put(Item("readings", [numbered(at) for at in range(made, made + size)], taken))
                made += size
                time.sleep(max(0.0, began + (made - first) / rate - time.monotonic()))


if __name__ == "__main__":
    main()
