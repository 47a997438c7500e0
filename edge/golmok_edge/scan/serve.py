"""`golmok-scan serve`: the scan page. `golmok-scan pin`: who may sign in there."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from golmok_edge.scan.capture import add_equipment, equipment
from golmok_edge.scan.command import Command

if TYPE_CHECKING:
    from golmok_edge.scan.page.app import Desk
    from golmok_edge.scan.sending import Sending
    from golmok_edge.scan.settings import Scan

AFTER_CAPTURE: Final = ("reconstruct", "measure", "report")
"""Stages that follow on a capture, those of them that there are."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_equipment(parser)
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="where scans are kept, instead of that in the settings"
    )
    parser.add_argument("--port", type=int, metavar="N", help="instead of that in the settings; 0: any that is free")
    parser.add_argument("--pin-file", type=Path, metavar="FILE", help="instead of that in the settings")


def _run(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_edge.settings.sections import is_loopback
    from golmok_vision.scan import OrderError

    settings, _ = equipment(args)
    host, _, port = settings.listen.rpartition(":")
    host = host.strip("[]")
    if settings.certificate is None and not is_loopback(host):
        raise OrderError(
            f"[scan] listen = {settings.listen!r} is reached from other machines: set certificate and key, as a PIN "
            f"must not cross the network in the clear, or listen on 127.0.0.1"
        )
    with _bound(host, int(port) if args.port is None else args.port) as listener:
        scheme = "http" if settings.certificate is None else "https"
        print(f"The scan page: {scheme}://{host}:{listener.getsockname()[1]}/", file=sys.stderr, flush=True)
        asyncio.run(_serve(settings, _desk_maker(args, settings), listener))
    return {}


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=64)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}; is it served already?"
        ) from None
    listener.setblocking(False)
    return listener


def _desk_maker(args: argparse.Namespace, settings: Scan) -> Any:
    from golmok_edge.scan.cli import COMMANDS
    from golmok_edge.scan.hardware import opened
    from golmok_edge.scan.page.app import Desk
    from golmok_edge.scan.page.live import Live
    from golmok_edge.scan.page.scans import Scans

    scans = Scans(args.folder or settings.folder)
    scans.folder.mkdir(parents=True, exist_ok=True)
    _, twins = equipment(args)

    def make() -> Desk:
        live = Live(settings, lambda: opened(settings, twins, scans.folder / "live.wire"))
        desk = Desk(
            args.pin_file or settings.pin_file, scans, live, _passed_on(args), viewer_folder(), _sending(args.config)
        )
        desk.lasers = len(settings.laser_pins)
        if not settings.board.length_mm and not settings.plate_mm:
            desk.board = settings.board
        desk.stages = tuple(stage for stage in AFTER_CAPTURE if any(c.name == stage for c in COMMANDS))
        return desk

    return make


def _sending(config: Path | None) -> Sending | None:
    from golmok_edge.scan.sending import Sending
    from golmok_edge.settings import load

    settings = None if config is None else load(config)
    return Sending(settings) if settings is not None and settings.cloud is not None else None


def viewer_folder() -> Path:
    """Where `scripts/setup` puts three.js."""
    return Path(sys.prefix) / "share" / "golmok" / "viewer" / "node_modules" / "three"


def _passed_on(args: argparse.Namespace) -> tuple[str, ...]:
    """Which scanner, as `capture` is told."""
    told: list[str] = []
    for name in ("config", "mesh", "seed", "size", "scale", "finish"):
        if getattr(args, name) is not None:
            told += [f"--{name}", str(getattr(args, name))]
    for fault in args.fault:
        told += ["--fault", fault]
    return (*told, *(["--twins"] if args.twins else []), *(["--no-home"] if args.no_home else []))


async def _serve(settings: Scan, make: Any, listener: socket.socket) -> None:
    import uvicorn

    from golmok_edge.scan.page.app import make_app

    desk: Desk = make()
    if desk.sending is not None:
        desk.sending.start()
    secure = settings.certificate is not None
    config = uvicorn.Config(
        make_app(desk, secure=secure),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
    )
    try:
        await uvicorn.Server(config).serve(sockets=[listener])
    finally:
        if desk.job is not None and desk.job.runs:
            await desk.job.stop()
        await desk.live.close()
        if desk.sending is not None:
            await asyncio.to_thread(desk.sending.close)


COMMAND: Final = Command("serve", "serve the scan page", _arguments, _run, lambda found: "")


def _pin_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="the gateway's settings with a section [scan]")
    parser.add_argument("--pin-file", type=Path, metavar="FILE", help="instead of that in the settings")


def _set_pin(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_edge.scan.page.pins import Pin, PinError
    from golmok_vision.scan import OrderError

    file = args.pin_file
    if file is None:
        settings, _ = equipment(argparse.Namespace(config=args.config, twins=False, mesh=Path("-"), seed=0, size=0.0,
                                                   scale=1.0, finish="plain", fault=[], no_home=False))  # fmt: skip
        file = settings.pin_file
    try:
        Pin.of(_asked_twice()).write(file)
    except PinError as error:
        raise OrderError(str(error)) from None
    return {"file": str(file)}


def _asked_twice() -> str:
    """From the keyboard unseen and twice; from a pipe its first line. Never from the command line: `ps` shows that."""
    from golmok_vision.scan import OrderError

    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("PIN: ")
    if getpass.getpass("once more: ") != first:
        raise OrderError("the two were not the same: nothing was changed")
    return first


PIN_COMMAND: Final = Command(
    "pin", "set the PIN that signs in to the scan page", _pin_arguments, _set_pin, lambda found: f"set: {found['file']}"
)
