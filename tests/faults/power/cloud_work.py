"""A traced process that takes batches and makes tokens as the cloud does, and marks what it acknowledged.

`python -m tests.faults.power.cloud_work SEED STEPS FOLDER JOURNAL`
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from random import Random

from golmok_cloud_sync.server.committer import Committer
from golmok_cloud_sync.server.log import Batch, Span, StreamKey
from golmok_cloud_sync.server.registry import Registry
from golmok_cloud_sync.server.sqlite_log import SqliteBatchLog
from tests.faults.power import tracer
from tests.faults.power.cloud_promises import DATA
from tests.faults.power.promises import say


class Work:
    """A cloud's data at work."""

    def __init__(self, folder: Path, trace: tracer.Trace, random: Random) -> None:
        self._folder = folder / DATA
        self._trace = trace
        self._random = random
        self._next: dict[StreamKey, int] = {}

    async def do(self, steps: int) -> None:
        """So many things, as chance has it, in a few lives of the server."""
        for life in range(3):
            log, registry = SqliteBatchLog(self._folder), Registry(self._folder)
            committer = Committer(log)
            for _ in range(steps // 3):
                if self._random.random() < 0.75:
                    keys = self._random.sample(range(6), self._random.randint(1, 4))
                    await asyncio.gather(
                        *(self._send(committer, StreamKey(f"gw-{at}", "s", "e", "readings")) for at in keys)
                    )
                else:
                    self._admit(registry, life)
            committer.close()
            log.close()
            registry.close()

    async def _send(self, committer: Committer, key: StreamKey) -> None:
        batches = [self._batch(key) for _ in range(self._random.randint(1, 3))]
        self._trace.mark(say("put", batches))
        done = await committer.append(batches, [key.of_epoch])
        assert all(one.taken for one in done)
        self._trace.mark(say("taken", batches))

    def _batch(self, key: StreamKey) -> Batch:
        lo = self._next.get(key, 1)
        hi = self._next[key] = lo + self._random.randint(1, 500)
        crc = 0 if lo == 1 else lo - 1
        if self._random.random() < 0.1:
            return Batch(key, lo, hi, None, 7, crc, hi - 1, None, b'{"reason":"evicted"}')
        return Batch(
            key, lo, hi, 1, 7, crc, hi - 1, Span("b", lo, hi), self._random.randbytes(self._random.randint(9, 9_000))
        )

    def _admit(self, registry: Registry, life: int) -> None:
        gateway = self._random.choice((None, "gw-1", "gw-2", f"gw-{life}x"))
        if gateway is not None and self._random.random() < 0.3:
            registry.enrol(gateway)
            self._trace.mark(say("enrolled", gateway))
            return
        self._trace.mark(say("asks", gateway))
        self._trace.mark(say("token", registry.make_token(gateway), gateway))


def main() -> None:
    """See the module."""
    seed, steps, folder, journal = sys.argv[1:]
    trace = tracer.install(Path(folder), Path(journal))
    asyncio.run(Work(Path(folder), trace, Random(seed)).do(int(steps)))


if __name__ == "__main__":
    main()
