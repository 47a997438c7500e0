"""`golmok-shop`: starts the shop's web server and ends it again."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvicorn

from golmok_edge.gateway.address import socket_path
from golmok_edge.settings import Settings, SettingsError, load
from golmok_edge.shop.app import make_app
from golmok_edge.shop.heard import Heard
from golmok_edge.shop.link import Link
from golmok_edge.shop.page import Page
from golmok_edge.shop.troubles import Diary

DONE: Final = 0
FAILED: Final = 1
WRONG: Final = 2

_DESCRIPTION: Final = "The pages on the gateway itself: what every sensor says, what is wrong and what to do."
_RUN: Final = """\
Serves the owner's page on the address that stands under [web] listen in the settings (127.0.0.1:8480 if none does).
It needs no Internet, and it may be started before the gateway: the page says when golmok-gateway is not running and
goes on by itself when it is. It must run as the same user, as it reads the gateway's socket in the store's folder.
It only reads; without a login it listens on this machine only."""
_EPILOG: Final = "Exit codes: 0 done, 1 it could not be started, 2 wrong usage or settings."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        settings = load(asked.config)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return WRONG
    host, port = settings.web.host, settings.web.port if asked.port is None else asked.port
    try:
        listener = _bind(host, port)
    except OSError as error:
        print(_why(host, port, error), file=sys.stderr)
        return FAILED
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="golmok-shop: %(message)s")
    print(f"The owner's page: {_address(listener)}", flush=True)
    asyncio.run(_serve(settings, listener))
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="golmok-shop", description=_DESCRIPTION, epilog=_EPILOG)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="serve the pages until SIGTERM or Ctrl-C", description=_RUN, epilog=_EPILOG,
                              formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    run.add_argument("--config", type=Path, required=True, metavar="F", help="the gateway's settings file (TOML)")
    run.add_argument("--port", type=_port, metavar="N", help="instead of that in the settings; 0: any that is free")
    return parser


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text) <= 65_535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r:.20} is no port; ports go from 0 to 65535")


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=128)
    listener.setblocking(False)
    return listener


def _why(host: str, port: int, error: OSError) -> str:
    return (
        f"golmok-shop: cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}; "
        "end the program that listens there (is golmok-shop running already?) or change [web] listen"
    )


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class _Server(uvicorn.Server):
    """Ends by SIGTERM or Ctrl-C with exit code 0, and lets the browsers go first: their connections have no end."""

    def __init__(self, config: uvicorn.Config, heard: Heard) -> None:
        super().__init__(config)
        self._heard = heard

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        yield

    def _end(self) -> None:
        self._heard.close()
        self.should_exit = True


async def _serve(settings: Settings, listener: socket.socket) -> None:
    link = Link(socket_path(settings.store.path))
    heard = Heard(link)
    page = Page(settings, heard, Diary())
    config = uvicorn.Config(
        make_app(settings, link, page),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    async with asyncio.TaskGroup() as tasks:  # if one of them fails, the process fails, and systemd starts it again
        background = [tasks.create_task(heard.run()), tasks.create_task(page.keep_diary())]
        await _Server(config, heard).serve(sockets=[listener])
        for task in background:
            task.cancel()


if __name__ == "__main__":
    sys.exit(main())
