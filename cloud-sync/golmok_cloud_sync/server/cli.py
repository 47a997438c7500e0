"""`golmok-cloud`: serves the cloud, and makes the tokens that gateways and readers show."""

from __future__ import annotations

import argparse
import ipaddress
import json
import logging
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from golmok_cloud_sync.notify import Config, ConfigError, channels_of, read_config
from golmok_cloud_sync.server.file_store import FileStore, Limits
from golmok_cloud_sync.server.log import LogError
from golmok_cloud_sync.server.registry import FILE, NAME, Registry, RegistryError
from golmok_cloud_sync.server.sqlite_log import SqliteBatchLog


class UsageError(ValueError):
    """Wrong usage; the message says what to do."""


class FailedError(RuntimeError):
    """What was asked for failed; the message says why."""


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except UsageError as error:
        print(f"golmok-cloud: {error}", file=sys.stderr)
        return 2
    except FailedError as error:
        print(f"golmok-cloud: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "golmok-cloud",
        description="The cloud of Golmok: takes what gateways send, keeps it, and gives it back as pages and data.",
        epilog="Exit codes: 0 done, 1 it failed, 2 wrong usage.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="run the server",
        description="Runs the server in the foreground until SIGTERM or SIGINT. The first line on stdout says where "
        "it listens. TLS is a reverse proxy's work; the tokens go in clear over plain HTTP.",
    )
    place = serve.add_mutually_exclusive_group(required=True)
    place.add_argument("--data", type=Path, metavar="DIR", help="keep everything in this folder (made if missing)")
    place.add_argument("--database", metavar="URL", help="keep it in PostgreSQL (not in this release)")
    serve.add_argument(
        "--listen", metavar="HOST:PORT", default="127.0.0.1:8400", help="default %(default)s; port 0: a free one"
    )
    serve.add_argument(
        "--open-enrolment",
        action="store_true",
        help="for trying it out: gateways and readers need no token; only where --listen is a loopback address",
    )
    serve.add_argument(
        "--queue-bytes",
        type=int,
        metavar="N",
        help="what requests that wait for their answer may take of the memory; beyond that gateways are told to come "
        "again (429); default a sixteenth of the memory, 32 to 256 MiB",
    )
    serve.add_argument(
        "--files-bytes",
        type=int,
        metavar="N",
        help="what the files (models, reports) of one gateway may take on the disk; default 10 GiB, 1 GiB a file",
    )
    serve.add_argument(
        "--notify",
        type=Path,
        metavar="FILE",
        help="who is told of alarms, and how: a TOML file with [[email]], [[webhook]], [push]; see docs/operator.md",
    )
    serve.set_defaults(run=_serve)
    token = commands.add_parser(
        "token",
        help="make a token",
        description="Makes a token and prints it; only its hash is kept, so it is told only now. A gateway's new "
        "token replaces the one it had. A server that runs knows it within a second.",
    )
    token.add_argument("--data", type=Path, metavar="DIR", required=True, help="the server's folder")
    whose = token.add_mutually_exclusive_group(required=True)
    whose.add_argument("--gateway", metavar="NAME", help="lets this gateway sync, as itself only")
    whose.add_argument("--reader", action="store_true", help="lets its holder read everything")
    token.add_argument("--json", action="store_true", help="print one JSON document")
    token.set_defaults(run=_token)
    files = commands.add_parser(
        "files",
        help="list the files that gateways sent, and delete them",
        description="Lists the files that are here, whole; --delete takes one away for good. The server may run.",
    )
    files.add_argument("--data", type=Path, metavar="DIR", required=True, help="the server's folder")
    files.add_argument("--gateway", metavar="NAME", help="only those of this gateway")
    files.add_argument("--delete", metavar="ID", help="delete this one")
    files.add_argument("--json", action="store_true", help="print one JSON document")
    files.set_defaults(run=_list_files)
    return parser


# --- serve ------------------------------------------------------------------------------------------------------


def _serve(options: argparse.Namespace) -> int:
    address = _address(options.listen)
    if options.database is not None:
        raise UsageError("--database: PostgreSQL is not in this release; use --data DIR")
    if options.open_enrolment and not _is_loopback(address.host):
        raise UsageError(
            f"--open-enrolment would let anybody at {options.listen} in; listen on 127.0.0.1, or leave it out and "
            "make tokens with: golmok-cloud token"
        )
    if options.queue_bytes is not None and options.queue_bytes < 1:
        raise UsageError("--queue-bytes: give a number of bytes, such as 67108864, or leave it out")
    if options.files_bytes is not None and options.files_bytes < 1:
        raise UsageError("--files-bytes: give a number of bytes, such as 10737418240, or leave it out")
    notify = _notify(options.notify)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    _make_folder(options.data)
    listener = _listener(address)
    with listener:
        try:
            registry = Registry(options.data)
            log = SqliteBatchLog(options.data)
            files = _files(options.data, options.files_bytes)
        except (LogError, RegistryError) as error:
            raise FailedError(str(error)) from error
        from golmok_cloud_sync.server import room
        from golmok_cloud_sync.server.serving import serve  # the web framework takes a second to load

        host, port = listener.getsockname()[:2]
        where = f"[{host}]" if ":" in host else host
        print(f"golmok-cloud listens on http://{where}:{port}", flush=True)
        limits = room.Limits.of(options.queue_bytes) if options.queue_bytes else room.Limits.of_memory()
        try:
            serve(log, registry, files, listener, is_open=options.open_enrolment, limits=limits, notify=notify)
        except ConfigError as error:
            raise UsageError(f"--notify: {error}") from error
    return 0


def _notify(file: Path | None) -> Config | None:
    if file is None:
        return None
    try:
        config = read_config(file)
        channels_of(config)
    except ConfigError as error:
        raise UsageError(f"--notify: {error}") from error
    return config


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--data: {folder} cannot be made: {error.strerror}; name another folder") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"--data: {folder} cannot be written; name another folder, or let this user write there")


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"--listen: {text!r} is no address; write HOST:PORT, such as 127.0.0.1:8400")
    return Address(host, int(port))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listener(address: Address) -> socket.socket:
    """Listening already, so that whoever reads the first line can connect."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise FailedError(f"--listen: {address.host} is no address of this machine ({error.strerror})") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise FailedError(
            f"cannot listen on {address.host}:{address.port}: {error.strerror}; name another with --listen HOST:PORT"
        ) from error
    return listener


# --- token ------------------------------------------------------------------------------------------------------


def _token(options: argparse.Namespace) -> int:
    if options.gateway is not None and NAME.fullmatch(options.gateway) is None:
        raise UsageError(f"--gateway: {options.gateway!r} is no name; use a-z, 0-9 and -, at most 32 characters")
    _make_folder(options.data)
    if not (options.data / FILE).exists():
        print(f"note: there was no cloud in {options.data} yet; one begins there with this token", file=sys.stderr)
    try:
        registry = Registry(options.data)
        token = registry.make_token(options.gateway)
        registry.close()
    except RegistryError as error:
        raise FailedError(str(error)) from error
    whose = {"gateway": options.gateway} if options.gateway is not None else {"reader": True}
    print(json.dumps({"token": token, **whose}) if options.json else token)
    return 0


# --- files ------------------------------------------------------------------------------------------------------


def _files(folder: Path, gateway_bytes: int | None = None) -> FileStore:
    try:
        return FileStore(folder, Limits() if gateway_bytes is None else Limits(gateway_bytes=gateway_bytes))
    except OSError as error:
        raise FailedError(f"{folder} cannot be used: {error.strerror}; name a folder with --data") from error


def _list_files(options: argparse.Namespace) -> int:
    if not options.data.is_dir():
        raise UsageError(f"--data: there is no folder {options.data}")
    store = _files(options.data)
    gateways = store.gateways() if options.gateway is None else [options.gateway]
    found = [one for gateway in gateways for one in store.all(gateway) if one.is_here]
    if options.delete is not None:
        found = [one for one in found if one.id == options.delete]
        if not found:
            raise FailedError(f"there is no file {options.delete}: the same command without --delete lists them")
        for one in found:
            store.drop(one)
    rows = [{"gateway": one.gateway, "id": one.id, **asdict(one.head)} for one in found]
    print(json.dumps({"files": rows}, ensure_ascii=False) if options.json else "\n".join(map(_row, rows)))
    return 0


def _row(row: Mapping[str, Any]) -> str:
    return "{gateway}  {id}  {size:>12,}  {group}  {name}".format_map(row)


if __name__ == "__main__":
    raise SystemExit(main())
