"""`scripts/faults`: breaks a small street in every way it knows, and says what became of the readings."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from golmok_edge.demo.broker import BrokerError, provide

from .disk import SmallDisk
from .faults_of_power import why_not
from .guard import Guard
from .life import RECORDS, STUCK, Life, Outcome
from .mutations import MUTATIONS, SHOWN_BY, MutationError, mutate
from .oracle import VERDICTS, Finding
from .plan import KINDS, LIFE, draw
from .programs import ROOT

_EPILOG: Final = """\
A run starts the real golmok-gateway, golmok-cloud and Mosquitto: three shops on one cloud, with devices that say
numbers, texts and truth values at some thirty messages a second, and a simulated part on I2C. Proxies stand in both
lines of each gateway. Faults strike while all of it moves; every 25 faults the street is judged and a new one begins.

Every record that a device was told "taken" (the gateway acknowledged it to its broker), and every one that the broker
still has to deliver, must be in the cloud once, in order, with its value, type, unit and time; every hole must be in
the gap ledger. The judge shares no code with the product: tests/faults/oracle.py.

examples:
  scripts/faults --faults 25                     half a minute
  scripts/faults --seed 7 --faults 1000 --json   half an hour, a report for programs
  scripts/faults --seed 7 --faults 25 --life 3   only the fourth life of the run with that seed
  scripts/faults --mutate no-cas                 a copy of the source with a mistake: it must be found
  scripts/faults --kind mqtt-swallow --faults 25 one kind of fault again and again
  scripts/faults --list                          the kinds of faults and the mutations

exit codes: 0 nothing lost, doubled or wrong, no hole without a name; 1 something was found; 2 wrong usage
"""
_SETTLE_S: Final = 60.0
_SETTLE_SHORT_S: Final = 25.0
_MOST_TOLD: Final = 6
"""Findings of each verdict that are told in full."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; gives the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.list:
        print(_listing())
        return 0
    guard = Guard()
    try:
        mosquitto = provide().program
        with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
            code = mutate(args.mutate, Path(folder)) if args.mutate else ROOT
            outcome, skipped = run(args, mosquitto, code)
    except (BrokerError, MutationError) as error:
        print(f"faults: {error}", file=sys.stderr)
        return 2
    finally:
        guard.close()
    report = _report(args, outcome, skipped)
    print(json.dumps(report, indent=2, ensure_ascii=False) if args.json else _told(report))
    return 1 if outcome.findings else 0


def run(args: argparse.Namespace, mosquitto: Path, code: Path) -> tuple[Outcome, dict[str, str]]:
    """All lives of a run; and which kinds were left out, and why."""
    began = time.monotonic()
    skipped = _cannot()
    for kind, why in skipped.items():
        print(f"faults: SKIPPED: {kind}: {why}", file=sys.stderr)
    outcome, left = Outcome(), args.faults
    plans = draw(args.seed, frozenset(skipped), SHOWN_BY.get(args.mutate, ""))
    for number, plan in enumerate(islice(plans, args.life or 0, None), args.life or 0):
        if args.kind:
            plan = [args.kind] * LIFE
            skipped.pop(args.kind, None)
        seed = f"{args.seed}-{number}"
        life = Life(
            seed,
            plan[:left],
            mosquitto,
            code,
            lambda text, seed=seed: print(f"{seed} {text}", file=sys.stderr, flush=True),  # type: ignore[misc]
            is_short=bool(args.mutate) and not args.to_the_end,
            settle_s=_SETTLE_SHORT_S if args.mutate else _SETTLE_S,
            keep=args.keep and args.keep / seed,
        )
        outcome.add(life.run())
        left -= len(plan[:left])
        is_found = any(one.verdict in RECORDS for one in outcome.findings)
        if left <= 0 or (is_found and args.mutate and not args.to_the_end):
            break
    outcome.seconds = time.monotonic() - began
    return outcome, skipped


def _cannot() -> dict[str, str]:
    """Kinds of faults that cannot be made here, and why."""
    why = why_not()
    skipped = {name: kind.why_not for name, kind in KINDS.items() if kind.why_not}
    skipped |= {"power-cut": why} if why else {}
    with tempfile.TemporaryDirectory(prefix="disk-") as folder:
        if disk := SmallDisk.mount(Path(folder)):
            disk.unmount()
            return skipped
    why = "a small disk needs root, to mount a tmpfs"
    return skipped | {name: why for name, kind in KINDS.items() if kind.where == "disk"}


def _report(args: argparse.Namespace, outcome: Outcome, skipped: dict[str, str]) -> dict[str, Any]:
    total: Counter[str] = Counter()
    for finding in outcome.findings:
        total[finding.verdict] += finding.records
    return {
        "faults": {name: outcome.faults[name] for name in KINDS},
        "records": sum(outcome.records.values()),
        **{verdict: total[verdict] for verdict in VERDICTS},
        "quarantined": outcome.quarantined,
        "happened": sum(outcome.faults.values()),
        "missed": dict(outcome.missed),
        "skipped": skipped,
        "seed": args.seed,
        "mutate": args.mutate,
        "lives": outcome.lives,
        "seconds": round(outcome.seconds, 1),
        "findings": [f"{one.verdict}: {one.text}" for verdict in VERDICTS for one in _first(outcome, verdict)],
        "found_in": dict(Counter(" ".join(one.text.split()[:2]).rstrip(":") for one in outcome.findings)),
        "again": f"scripts/faults --seed {args.seed} --faults {LIFE} --life N for a finding that begins {args.seed}-N",
    }


def _first(outcome: Outcome, verdict: str) -> list[Finding]:
    """Some findings of a verdict, before all others those that kept everything else from being judged."""
    found = [one for one in outcome.findings if one.verdict == verdict]
    return sorted(found, key=lambda one: not one.text.startswith(STUCK))[:_MOST_TOLD]


def _told(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [f"{report['happened']} faults in {report['seconds']:.0f} s, seed {report['seed']}"]
    lines += [f"  {count:5} {name}" for name, count in report["faults"].items() if count]
    lines += [f"  {count:5} {name}: did not come about" for name, count in report["missed"].items()]
    lines += [f"      - {name}: SKIPPED, {why}" for name, why in report["skipped"].items()]
    lines.append(f"{report['records']:,} records compared, {report['quarantined']:,} destroyed and counted as such:")
    lines.append(", ".join(f"{report[verdict]} {verdict.replace('_', ' ')}" for verdict in VERDICTS))
    lines += [f"  {text}" for text in report["findings"]]
    if report["findings"]:
        lines.append(f"again: {report['again']}")
    return "\n".join(lines)


def _listing() -> str:
    width = max(map(len, KINDS))
    rows = [f"  {name:<{width}}  {(kind.strike.__doc__ or '').splitlines()[0]}" for name, kind in KINDS.items()]
    return "\n".join(["faults:", *rows, "mutations:", *(f"  {name}" for name in MUTATIONS)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/faults",
        description="Breaks gateways, their lines, disks and clocks while they work, and compares what the cloud has "
        "with what they took.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed gives the same plan (1)")
    parser.add_argument("--faults", type=_positive, default=LIFE, metavar="N", help=f"how many ({LIFE})")
    parser.add_argument("--mutate", choices=list(MUTATIONS), metavar="NAME", help="make a mistake first: see --list")
    parser.add_argument("--kind", choices=list(KINDS), metavar="KIND", help="only this kind of fault: see --list")
    parser.add_argument("--life", type=int, metavar="N", help="begin with life N of the seed's plan (from 0)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep logs, stores and the cloud's data there")
    parser.add_argument("--to-the-end", action="store_true", help="with --mutate: do not stop at the first finding")
    parser.add_argument("--json", action="store_true", help="print one JSON document; progress goes to stderr")
    parser.add_argument("--list", action="store_true", help="list the kinds of faults and the mutations, and end")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number
