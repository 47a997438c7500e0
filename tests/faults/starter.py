"""`python -m tests.faults.starter CONFIG MACHINE LEDGER`: the real gateway with the clocks of an invented machine.

What `golmok-gateway run` does, but for the clock: the product has no switch for that.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from golmok_drivers.api import DriverError
from golmok_edge.gateway.daemon import Gateway, serve
from golmok_edge.gateway.ending import leave
from golmok_edge.settings import load
from golmok_edge.store import StoreError

from .machine import FileClock


def main(config: Path, machine: Path, ledger: Path) -> int:
    """Run until SIGTERM."""
    logging.basicConfig(level="INFO", stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    async def run() -> None:
        await serve(Gateway(load(config), ledger=ledger, clock=FileClock(machine)))

    code = 0
    try:
        asyncio.Runner().run(run())
    except (StoreError, DriverError, OSError) as error:
        print(f"starter: {error}", file=sys.stderr)
        code = 1
    return leave(code)


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
