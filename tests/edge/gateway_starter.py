"""Starts the real gateway with shorter deadlines: `python -m tests.edge.gateway_starter FILE [MOST_THREADS]`."""

from __future__ import annotations

import asyncio
import logging
import sys

from golmok_edge.gateway.burden import Limits, OverburdenedError
from golmok_edge.gateway.daemon import Gateway, serve
from golmok_edge.gateway.devices import Deadlines
from golmok_edge.gateway.ending import leave
from golmok_edge.settings import examine_closely

SHORT = Deadlines(answer_s=2.0, most_pause_s=4.0)


def main() -> None:
    logging.basicConfig(level="INFO", stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = examine_closely(sys.argv[1]).settings
    assert settings is not None

    async def until_signal() -> None:
        await serve(Gateway(settings, deadlines=SHORT, limits=limits))

    limits = Limits(threads=int(sys.argv[2]), every_s=0.5) if sys.argv[2:] else Limits()
    code = 0
    try:
        asyncio.Runner().run(until_signal())
    except OverburdenedError:
        code = 1
    leave(code)


if __name__ == "__main__":
    main()
