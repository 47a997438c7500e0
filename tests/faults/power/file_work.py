"""A traced process that takes files as the cloud does, and marks what it acknowledged.

`python -m tests.faults.power.file_work SEED STEPS FOLDER JOURNAL`
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from random import Random

from golmok_cloud_sync.protocol.tus import FileHead
from golmok_cloud_sync.server.file_store import FileStore
from tests.faults.power import tracer
from tests.faults.power.file_promises import DATA, GATEWAY, LIMITS, content_of
from tests.faults.power.promises import say


def work(folder: Path, trace: tracer.Trace, chance: Random, steps: int) -> None:
    """So many pieces of a few files at a time."""
    store, under_way = FileStore(folder / DATA, LIMITS), dict[int, FileHead]()
    for step in range(steps):
        if len(under_way) < 3:
            seed = 1_000 + step
            content = content_of(seed, chance.choice((1, 4_096, chance.randrange(1, 60_000))))
            head = FileHead(f"{seed}.stl", len(content), hashlib.sha256(content).hexdigest(), "scan")
            store.announce(GATEWAY, head)
            trace.mark(say("announced", seed, head))
            under_way[seed] = head
        seed, head = chance.choice(list(under_way.items()))
        upload = store.find(GATEWAY, head.id)
        assert upload is not None
        piece = content_of(seed, head.size)[upload.offset :][: chance.randrange(1, 30_000)]
        offset = store.append(upload, upload.offset, piece)
        if offset < head.size and chance.random() < 0.1:
            store.take_back(upload, upload.offset)
            offset = upload.offset
        after = store.find(GATEWAY, head.id)
        assert after is not None
        trace.mark(say("offset", seed, offset))
        if after.is_here:
            trace.mark(say("shown", seed, None))
            del under_way[seed]


def main() -> None:
    """See the module."""
    seed, steps, folder, journal = sys.argv[1:]
    trace = tracer.install(Path(folder), Path(journal))
    work(Path(folder), trace, Random(seed), int(steps))


if __name__ == "__main__":
    main()
