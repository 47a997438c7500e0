"""`golmok-gateway`: run it, check its settings, ask how it is."""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from golmok_edge.gateway import check
from golmok_edge.gateway.address import socket_path
from golmok_edge.settings import Settings

_EPILOG: Final = """\
examples:
  golmok-gateway check --config gateway.toml      is the file right? every mistake, with what to do
  golmok-gateway run --config gateway.toml        run in the foreground, until Ctrl-C
  golmok-gateway run --config gateway.toml --twins     the same with simulated sensors: no hardware needed
  golmok-gateway status --config gateway.toml     how is the one that runs?
  golmok-gateway store verify --config gateway.toml    is every record that it keeps whole?
  golmok-gateway gaps --config gateway.toml       what is missing, from when to when, and why
  golmok-gateway alarms list --config gateway.toml     what is wrong now?
  golmok-gateway calibrate fridge --config gateway.toml     hold a sensor against a reference
  golmok-gateway devices list                     what can be connected?

exit codes: 0 done, 1 what was asked for failed, 2 wrong usage or settings
"""
_BLE_EPILOG: Final = """\
a line: {"servicedatauuid": "fcd2", "servicedata": "4002ca0903bf13"}
    or: {"manufacturerdata": "99040512fc5394c37c0004fffc040cac364200cdcbb8334c884f"}
        (the company's id first, its low byte first)
also:   "key" (32 digits) and "address" of the sender, for an encrypted BTHome device
"""
_ASK_S: Final = 5.0
_COMMAND_S: Final = 70.0
"""A pager is called three times before it counts as away."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; gives the exit code."""
    args = _parser().parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="golmok-gateway",
        description="Reads the sensors of a shop, keeps every reading on this machine, brings it to the cloud.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run in the foreground", description="Run in the foreground until Ctrl-C.")
    _config(run)
    run.add_argument("--twins", action="store_true", help="put the simulated other end on every bus")
    run.add_argument("--ledger", type=Path, metavar="FILE", help="where twins write down each value that they gave")
    run.add_argument(
        "--log-level", default="info", choices=["debug", "info", "warning", "error"], help="how much to say"
    )
    run.set_defaults(run=_run)
    examine = commands.add_parser(
        "check", help="look for mistakes in a settings file", description="Say what is wrong."
    )
    _config(examine)
    examine.add_argument("--json", action="store_true", help="print one JSON document")
    examine.add_argument("--lang", choices=["en", "ko"], help="language of the messages")
    examine.set_defaults(run=lambda args: check.run(args.config, args.json, lang=args.lang))
    status = commands.add_parser("status", help="how the running gateway is", description="Ask the running gateway.")
    _config(status)
    status.add_argument("--json", action="store_true", help="print one JSON document")
    status.set_defaults(run=_status)
    _add_store(commands.add_parser("store", help="is the store whole? what can be saved?", description="The store."))
    missing = commands.add_parser("gaps", help="what is missing, and why", description="What is missing, and why.")
    _config(missing)
    missing.add_argument("--channel", metavar="C", help="only of this channel (device.quantity)")
    missing.add_argument("--from", dest="begin", metavar="T", help="from this time on: 2026-05-01 or 2026-05-01T09:30")
    missing.add_argument("--to", dest="end", metavar="T", help="before this time")
    missing.add_argument("--json", action="store_true", help="print one JSON document")
    missing.add_argument("--lang", choices=["en", "ko"], help="language of the list")
    missing.set_defaults(run=_gaps)
    _add_calibrate(
        commands.add_parser(
            "calibrate",
            help="hold a sensor against a reference",
            description="Calibrate a sensor: asks what the reference says, shows how well the curve fits, and writes "
            "it beside the settings. The gateway that runs takes it up within a second. --undo takes it back.",
        )
    )
    _add_alarms(commands.add_parser("alarms", help="what is wrong now; somebody has seen it", description="Alarms."))
    switch = commands.add_parser(
        "switch",
        help="switch a relay or a buzzer of the running gateway",
        description="Tell an output what to do: on, off, or what its driver knows (a buzzer: beep, alarm, call).",
    )
    _config(switch)
    switch.add_argument("device", metavar="DEVICE", help="its name in the settings")
    switch.add_argument("value", metavar="VALUE", help="on, off, …")
    switch.add_argument("--json", action="store_true", help="print one JSON document")
    switch.set_defaults(run=_switch)
    _add_pager(commands.add_parser("pager", help="make a guest's pager buzz", description="Guests' pagers."))
    devices = commands.add_parser("devices", help="what can be connected", description="What can be connected.")
    devices_commands = devices.add_subparsers(required=True, metavar="COMMAND")
    known = devices_commands.add_parser("list", help="the drivers", description="The drivers, and what each measures.")
    known.add_argument("--json", action="store_true", help="print one JSON document")
    known.add_argument("--lang", choices=["en", "ko"], help="language of the list")
    known.set_defaults(run=_list_devices)
    _add_scan(devices_commands)
    _add_ble(commands.add_parser("ble", help="what Bluetooth adverts say", description="Bluetooth."))
    return parser


def _add_pager(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    call = commands.add_parser(
        "call",
        help="a ticket is ready",
        description="Make a pager buzz for a ticket: waits until it answers, or was tried three times.",
    )
    _config(call)
    call.add_argument("device", metavar="DEVICE", help="the pager's name in the settings")
    call.add_argument("ticket", metavar="TICKET", type=int, help="the ticket's number, 0 to 65535")
    call.add_argument("--pattern", type=int, metavar="N", help="how it buzzes, 0 to 255; else as the settings say")
    call.add_argument("--seconds", type=int, metavar="S", help="how long it is worth a buzz; else as the settings say")
    call.add_argument("--json", action="store_true", help="print one JSON document")
    call.add_argument("--lang", choices=["en", "ko"], help="language of the answer")
    call.set_defaults(run=_call_pager)


def _call_pager(args: argparse.Namespace) -> int:
    from golmok_edge.gateway import pagercall

    settings = check.read(args.config)
    if settings is None:
        return check.run(args.config, json=True) if args.json else 2
    page = {"pattern": args.pattern, "seconds": args.seconds}
    return pagercall.run(settings, _command, args.device, args.ticket, **page, json=args.json, lang=args.lang)


def _add_alarms(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listed = commands.add_parser("list", help="the open alarms", description="The open alarms, the newest first.")
    listed.add_argument("--all", action="store_true", help="those that are over, too")
    seen = commands.add_parser(
        "acknowledge",
        help="somebody has seen it",
        description="Acknowledge an alarm: its outputs go off, and it is not told again.",
    )
    seen.add_argument("alarm", metavar="ID", help="the alarm's id, or the name of its rule")
    seen.add_argument("--by", metavar="NAME", help="who; this user if left out")
    for command in (listed, seen):
        _config(command)
        command.add_argument("--json", action="store_true", help="print one JSON document")
        command.add_argument("--lang", choices=["en", "ko"], help="language of the list")
    listed.set_defaults(run=_alarms)
    seen.set_defaults(run=_acknowledge)


def _alarms(args: argparse.Namespace) -> int:
    from golmok_edge.gateway import alarmlist

    settings = check.read(args.config)
    if settings is None:
        return check.run(args.config, json=True) if args.json else 2
    return alarmlist.run_list(settings, ask, everything=args.all, json=args.json, lang=args.lang)


def _acknowledge(args: argparse.Namespace) -> int:
    from golmok_edge.gateway import alarmlist

    settings = check.read(args.config)
    if settings is None:
        return check.run(args.config, json=True) if args.json else 2
    return alarmlist.run_acknowledge(settings, ask, args.alarm, args.by, json=args.json, lang=args.lang)


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("device", metavar="DEVICE", help="the device's name")
    _config(parser)
    parser.add_argument("--quantity", metavar="Q", help="which, if it measures several")
    parser.add_argument(
        "--reference", metavar="V", type=float, action="append", default=[], help="what the reference says now"
    )
    parser.add_argument(
        "--point", metavar="M=R", type=_point, action="append", default=[], help="measured before: sensor=reference"
    )
    parser.add_argument("--kind", choices=["offset", "two-point", "polynomial"], help="the curve; by the points")
    parser.add_argument("--degree", type=int, choices=[1, 2, 3], default=2, help="of a polynomial; default 2")
    parser.add_argument("--valid-days", type=int, default=365, metavar="N", help="how long it holds; default 365")
    parser.add_argument("--by", metavar="NAME", help="who; this user if left out")
    parser.add_argument("--note", default="", metavar="TEXT", help="such as the number of the certificate")
    parser.add_argument("--undo", action="store_true", help="take it back: the sensor is uncalibrated again")
    parser.add_argument("--show", action="store_true", help="what is in force")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--lang", choices=["en", "ko"], help="language of the questions")
    parser.set_defaults(run=_calibrate)


def _point(text: str) -> tuple[float, float]:
    measured, equals, reference = text.partition("=")
    try:
        return float(measured if equals else "?"), float(reference)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is no point; write it like 4.2=4.0") from None


def _calibrate(args: argparse.Namespace) -> int:
    from golmok_edge.gateway import calibrate
    from golmok_edge.settings.calibration import Point

    settings = check.read(args.config)
    if settings is None:
        return check.run(args.config, json=True) if args.json else 2
    wish = calibrate.Wish(
        device=args.device,
        quantity=args.quantity,
        references=args.reference,
        points=[Point(*pair) for pair in args.point],
        kind=args.kind,
        degree=args.degree,
        valid_days=args.valid_days,
        by=args.by,
        note=args.note,
        undo=args.undo,
        show=args.show,
        json=args.json,
    )
    return calibrate.run(settings, ask, wish, lang=args.lang)


def _add_scan(commands: Any) -> None:
    scan = commands.add_parser(
        "scan",
        help="what is wired here, and how it is",
        description="Look on every bus for what is wired to it, say how it is, and print the [[device]] blocks of what "
        "the settings lack. Stop the gateway first: two that ask one bus disturb each other.",
    )
    scan.add_argument("--config", type=Path, metavar="FILE", help="the settings file: its buses and devices, too")
    scan.add_argument("--twins", action="store_true", help="scan the simulated other ends of the settings' buses")
    scan.add_argument("--listen", type=float, default=5.0, metavar="S", help="seconds to listen to the broker (5)")
    scan.add_argument(
        "--numbers", default="", metavar="A-B", help="Modbus numbers to ask; 1-8 and 248 if left out (1-247: all)"
    )
    scan.add_argument("--json", action="store_true", help="print one JSON document")
    scan.set_defaults(run=_scan)


def _scan(args: argparse.Namespace) -> int:
    from golmok_drivers.api import DriverError
    from golmok_drivers.scan import UART_NUMBERS
    from golmok_edge.gateway import scanning

    if args.twins and args.config is None:
        print("golmok-gateway: --twins wants --config FILE, whose devices are simulated", file=sys.stderr)
        return 2
    settings = check.read(args.config) if args.config else None
    if args.config and settings is None:
        return check.run(args.config, json=True) if args.json else 2
    numbers = _numbers(args.numbers) if args.numbers else UART_NUMBERS
    if not numbers:
        print("golmok-gateway: --numbers wants a range within 1 to 248, such as 1-247", file=sys.stderr)
        return 2
    try:
        return scanning.run(settings, twins=args.twins, json=args.json, listen_s=args.listen, numbers=numbers)
    except DriverError as error:
        print(f"golmok-gateway: {error}", file=sys.stderr)
        return 1


def _numbers(text: str) -> range:
    first, _, last = text.partition("-")
    if not (first.isascii() and first.isdecimal() and (last or first).isascii() and (last or first).isdecimal()):
        return range(0)
    found = range(int(first), int(last or first) + 1)
    return found if found and found[0] >= 1 and found[-1] <= 248 else range(0)


def _add_store(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    verify = commands.add_parser(
        "verify",
        help="read every record; also while it runs",
        description="Read the whole store: check sums, order, SQLite's own check. Exit 1 if something is damaged.",
    )
    salvage = commands.add_parser(
        "salvage",
        help="save what can be read of a damaged store",
        description="Make a clean store of what can be read. The damaged file is never changed. Goes on where it was "
        "interrupted.",
    )
    for command in (verify, salvage):
        _config(command)
        command.add_argument("--json", action="store_true", help="print one JSON document")
        command.add_argument("--lang", choices=["en", "ko"], help="language of the messages")
    salvage.add_argument("--from", dest="source", type=Path, metavar="PATH", help="a store's file, or its folder")
    salvage.add_argument("--to", dest="target", type=Path, metavar="FOLDER", help="where the clean store is made")
    salvage.add_argument("--export", choices=["jsonl", "csv"], help="write the records as lines, too")
    verify.set_defaults(run=_verify)
    salvage.set_defaults(run=_salvage)


def _verify(args: argparse.Namespace) -> int:
    from golmok_edge.gateway import tending

    settings = check.read(args.config)
    return 2 if settings is None else tending.run_verify(settings, json=args.json, lang=args.lang)


def _salvage(args: argparse.Namespace) -> int:
    from golmok_edge.gateway import tending

    settings = check.read(args.config)
    if settings is None:
        return 2
    return tending.run_salvage(
        settings, source=args.source, target=args.target, kind=args.export, json=args.json, lang=args.lang
    )


def _add_ble(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    decode = commands.add_parser(
        "decode",
        help="read adverts: BTHome v2, RuuviTag, iBeacon",
        description="Say what adverts mean: a line of JSON in, an answer out. Each line stands alone.",
        epilog=_BLE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    decode.add_argument("source", type=Path, metavar="FILE", help="lines of JSON; - reads standard input")
    decode.add_argument("--json", action="store_true", help="answer in lines of JSON")
    decode.set_defaults(run=_decode_adverts)
    scan = commands.add_parser(
        "scan",
        help="what is heard, with the settings to paste",
        description="Listen for a while: each device that can be read with the [[device]] block to paste.",
    )
    scan.add_argument("--bus", default="ble://", metavar="URL", help="the radio: ble://hci0, or a simulated one")
    scan.add_argument("--seconds", type=_seconds, default=10.0, metavar="S", help="how long to listen (10)")
    scan.add_argument("--json", action="store_true", help="print one JSON document")
    scan.add_argument("--lang", choices=["en", "ko"], help="language of the list")
    scan.set_defaults(run=_scan_adverts)
    renew = commands.add_parser(
        "battery-changed",
        help="let a call button count from the beginning, after its battery was changed",
        description="Some call buttons count from the beginning after their battery was changed, and are refused then. "
        "This lets one of them in again: press it three times within a minute.",
    )
    renew.add_argument("device", metavar="DEVICE", help="the device's name in the settings")
    _config(renew)
    renew.add_argument("--json", action="store_true", help="print one JSON document")
    renew.add_argument("--lang", choices=["en", "ko"], help="language of the messages")
    renew.set_defaults(run=_renew)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 600:
        raise ValueError(text)
    return seconds


def _scan_adverts(args: argparse.Namespace) -> int:
    from golmok_edge.gateway import ble_scan

    return ble_scan.run(args.bus, args.seconds, json=args.json, lang=args.lang)


def _renew(args: argparse.Namespace) -> int:
    from golmok_edge.gateway import ble_renewal

    settings = check.read(args.config)
    return 2 if settings is None else ble_renewal.run(settings, args.device, json=args.json, lang=args.lang)


def _config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the settings file (TOML)")


def _list_devices(args: argparse.Namespace) -> int:
    from golmok_edge.gateway import listing  # here, as below: the gateway itself must stay small

    return listing.run(json=args.json, lang=args.lang)


def _decode_adverts(args: argparse.Namespace) -> int:
    from golmok_edge.gateway import ble

    return ble.run(args.source, as_json=args.json)


def _run(args: argparse.Namespace) -> int:
    settings = check.read(args.config)
    if settings is None:
        return 2
    logging.basicConfig(
        level=args.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    import asyncio

    from golmok_drivers.api import DriverError
    from golmok_edge.gateway.burden import OverburdenedError
    from golmok_edge.gateway.daemon import Gateway, serve
    from golmok_edge.gateway.ending import leave
    from golmok_edge.store import StoreError

    async def until_signal() -> None:
        await serve(Gateway(settings, twins=args.twins, ledger=args.ledger))

    code = 0
    try:
        asyncio.Runner().run(until_signal())
    except (StoreError, DriverError, OSError, OverburdenedError) as error:
        print(f"golmok-gateway: {error}", file=sys.stderr)
        code = 1
    return leave(code)  # a driver's tasks and threads may still hang


def _status(args: argparse.Namespace) -> int:
    settings = check.read(args.config)
    if settings is None:
        return check.run(args.config, json=True) if args.json else 2
    try:
        status = ask(settings, {"get": "status"})
    except OSError as error:
        status = {"gateway": settings.site.gateway, "running": False, "ready": False, "detail": str(error)}
    if args.json:
        print(json.dumps(status, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print("\n".join(_told(status)))
    return 0 if status["running"] else 1


def _gaps(args: argparse.Namespace) -> int:
    from golmok_edge.gateway import missing

    settings = check.read(args.config)
    if settings is None:
        return check.run(args.config, json=True) if args.json else 2
    return missing.run(settings, ask, args.channel, args.begin, args.end, json=args.json, lang=args.lang)


def _switch(args: argparse.Namespace) -> int:
    settings = check.read(args.config)
    if settings is None:
        return check.run(args.config, json=True) if args.json else 2
    value = {"on": True, "off": False}.get(args.value, args.value)
    try:
        said = _command(settings, {"do": "command", "device": args.device, "value": value})
    except OSError as error:
        if args.json:
            print(json.dumps({"error": str(error)}, ensure_ascii=False))
        else:
            print(f"golmok-gateway: {args.device}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(said, ensure_ascii=False) if args.json else f"{args.device}: {args.value}")
    return 0


def _command(settings: Settings, question: dict[str, Any]) -> dict[str, Any]:
    return ask(settings, question, within_s=_COMMAND_S)


def ask(settings: Settings, question: dict[str, Any], *, within_s: float = _ASK_S) -> dict[str, Any]:
    """One answer of the running gateway. Raises OSError when it does not run."""
    path = socket_path(settings.store.path)
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(within_s)
        try:
            line.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            raise ConnectionRefusedError(
                f"it does not run, nobody listens at {path}; start it: golmok-gateway run --config FILE"
            ) from None
        line.sendall(json.dumps(question).encode() + b"\n")
        with line.makefile("rb") as answers:
            said = answers.readline()
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError:
        raise ConnectionResetError("it closed the line without an answer") from None
    if "error" in answer:
        raise ConnectionRefusedError(f"it refuses to answer: {answer['error']}")
    return answer


def _told(status: dict[str, Any]) -> list[str]:
    """The status for people."""
    if not status["running"]:
        return [f"{status['gateway']}: {status['detail']}"]
    cloud, mqtt = status["cloud"], status["mqtt"]
    lines = [
        f"{status['gateway']} ({status['name']}): {'ready' if status['ready'] else 'not ready yet'}",
        f"  readings   {status['rates']['readings_per_s']:g}/s, {status['store']['tail']['readings']:,} in all, "
        f"{status['bytes_written'] / 1e6:,.1f} MB written",
        f"  clock      {'known' if status['clock_known'] else 'not known yet: readings are dated later'}",
    ]
    lines.append(f"  wear       {_wear(status['store'])}")
    if refusing := status["store"]["refusing"]:
        title = "DISK FULL" if status["disk_full"] else "REFUSED"
        lines.append(
            f"  {title:<10} for {refusing['for_s']:,.0f} s, {refusing['records']:,} records: {refusing['detail']}"
        )
    lines += [
        f"  SET ASIDE  {one['file']}: {one['state']}, {one['salvaged']:,} saved, {one['lost'] or 0:,} lost"
        for one in status["store"]["set_aside"]
    ]
    if mqtt:
        lines.append(f"  local bus  {'connected' if mqtt['connected'] else 'NOT CONNECTED ' + mqtt['detail']}")
    if cloud:
        waiting = sum(status["backlog"].values())
        lines.append(f"  cloud      {cloud['state']} {cloud['detail']}, {waiting:,} waiting".replace(" ,", ","))
    lines += [f"  ALARM      {row['id']}  {row['rule']} {row['what']} ({row['state']})" for row in status["alarms"]]
    width = max((len(row["name"]) for row in status["devices"]), default=0)
    for row in status["devices"]:
        age = "" if row["age_s"] is None else f"{row['age_s']:.0f} s ago"
        lines.append(
            f"  {row['name']:<{width}}  {row['state']:<8} {row['reason']:<12} {age:<10} {row['detail']}".rstrip()
        )
    return lines


def _wear(store: dict[str, Any]) -> str:
    said = f"{store['written_today'] / 1e6:,.1f} MB today"
    if store["card_years"] is None:
        return said
    card = store["card"]
    why = f"assumed: {card['assumed']}" if card["assumed"] else "as set"
    return (
        f"{said}, about {store['bytes_per_day'] / 1e6:,.0f} MB a day: a card lasts about {store['card_years']:g} years "
        f"({card['endurance_bytes'] / 1e12:,.1f} TB, {why})"
    )


if __name__ == "__main__":
    sys.exit(main())
