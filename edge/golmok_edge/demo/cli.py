"""`golmok-demo`: a whole street in one command. A cloud, a café and a workshop, everything real but the sensors."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from golmok_edge.demo.broker import BrokerError
from golmok_edge.demo.stage import Stage, StageError
from golmok_edge.demo.tally import Tally, made, stored, tally

_DESCRIPTION: Final = """\
Starts the cloud, an MQTT broker for each shop, a café's and a workshop's gateway with simulated sensors, and their
pages, all on this machine on free ports, and prints the addresses. Ctrl-C ends every process.
"""
_EPILOG: Final = """\
examples:
  golmok-demo                                   look at the pages; Ctrl-C ends it
  golmok-demo --headless --seconds 30 --json    no pages; count what was made, and what arrived in the cloud

exit codes: 0 done, 1 something did not run or a value was lost or doubled, 2 wrong usage
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; gives the exit code."""
    args = _parser().parse_args(argv)
    for number in (signal.SIGINT, signal.SIGTERM):  # who starts it in the background may have it ignore the first
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="golmok-demo-") as folder:
        try:
            return _play(args, Path(folder))
        except (StageError, BrokerError, OSError) as error:
            print(f"golmok-demo: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            _say("Ended.")
            return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="golmok-demo",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--headless", action="store_true", help="without the shops' pages")
    parser.add_argument("--seconds", type=_seconds, metavar="N", help="end by itself after so long, and count")
    parser.add_argument("--json", action="store_true", help='print {"made","stored","lost","doubled"} and nothing else')
    parser.add_argument("--port", type=int, default=0, metavar="P", help="the cloud's port (default: a free one)")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is no length of time")
    return seconds


def _play(args: argparse.Namespace, folder: Path) -> int:
    _say("Starting the cloud and two shops …")
    with Stage(folder, with_pages=not args.headless, port=args.port) as stage:
        _say(f"\n  {stage.cloud_address}/   the operator's page: all gateways")
        for scene in stage.scenes:
            if scene.address:
                _say(f"  {scene.address}/   the owner's page: {scene.shop.title}")
        _say("\nCtrl-C ends it." if args.seconds is None else f"\nRuns for {args.seconds:g} s.")
        _wait(stage, args.seconds)
        if args.seconds is None:
            return 0
        _say("Draining …")
        stage.stop_gateways()
        return _report(_count(stage), as_json=args.json)


def _wait(stage: Stage, seconds: float | None) -> None:
    """Let it run; a progress bar where somebody looks."""
    began = time.monotonic()
    is_seen = seconds is not None and sys.stderr.isatty()
    while seconds is None or (left := seconds - (time.monotonic() - began)) > 0:
        stage.check()
        if is_seen and seconds is not None:
            done = round(30 * (seconds - left) / seconds)
            print(f"\r  [{'#' * done}{'.' * (30 - done)}] {left:4.0f} s left ", end="", file=sys.stderr, flush=True)
        time.sleep(0.5 if seconds is None else min(0.5, left))
    if is_seen:
        print(file=sys.stderr)


def _count(stage: Stage) -> Tally:
    ours: list[tuple[str, str]] = []
    theirs: list[tuple[str, str]] = []
    for scene in stage.scenes:
        ours += made(scene.shop.gateway, scene.ledger)
        theirs += stored(scene.shop.gateway, stage.cloud_address)
    return tally(ours, theirs)


def _report(result: Tally, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(result._asdict()))
    else:
        print(f"made {result.made}, stored {result.stored}, lost {result.lost}, doubled {result.doubled}")
    return 0 if result.is_even and result.made else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
