"""Our store beside raw SQLite and the storages of the ThingsBoard gateway, in one run on one disk.

`python -m bench.peers --json`. The peer is fetched from PyPI into an environment of its own (`build/peers`), and driven
through the classes that its gateway uses: a source is told "taken" when `put` has returned True. Each measurement is a
process of its own. Ours is told after the commit; raw SQLite (write-ahead log, FULL, a commit a second) likewise.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
PEER: Final = "thingsboard-gateway==3.8.5"
OURS: Final = ("golmok", "raw")
KINDS: Final = (*OURS, "thingsboard-sqlite", "thingsboard-file")
RATES: Final = (1.0, 10.0, 100.0)
KILL_RATES: Final = (10.0, 100.0, 1_000.0, 5_000.0)
START_S: Final = 30.0


class Environments:
    """The two Pythons."""

    def __init__(self, folder: Path) -> None:
        self._peer = folder / "bin" / "python"
        if not self._peer.exists():
            print(f"peers: installing {PEER}", file=sys.stderr)
            venv.create(folder, with_pip=True, clear=True)
            subprocess.run([self._peer, "-m", "pip", "install", "-qq", PEER], check=True, stdout=sys.stderr)

    def command(self, kind: str, action: str, *arguments: object) -> list[str]:
        """What starts `bench._storages` for this kind."""
        python = sys.executable if kind in OURS else str(self._peer)
        return [python, "-m", "bench._storages", kind, action, *map(str, arguments)]

    def ask(self, kind: str, action: str, *arguments: object) -> Any:
        """Its answer."""
        done = subprocess.run(
            self.command(kind, action, *arguments), cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"peers: {kind} {action} failed:\n{done.stderr[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])


def killed(python: Environments, kind: str, folder: Path, per_s: float, after_s: float) -> tuple[int, int]:
    """kill -9 some time after the first acknowledgement: how many were acknowledged, how many of them are gone."""
    process = subprocess.Popen(
        python.command(kind, "acks", folder, per_s), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    chunks: list[bytes] = []
    first = threading.Event()

    def read() -> None:
        while chunk := process.stdout.read1(1 << 16):  # type: ignore[union-attr]
            chunks.append(chunk)
            first.set()

    reader = threading.Thread(target=read)
    reader.start()
    if not first.wait(START_S):
        process.kill()
        raise SystemExit(f"peers: {kind} acknowledged nothing within {START_S:g} s")
    time.sleep(after_s)
    process.kill()
    process.wait()
    reader.join()
    whole = b"".join(chunks).rpartition(b"\n")[0]  # a number that was cut was not told
    told = set(map(int, whole.split()))
    kept = set(python.ask(kind, "left", folder)["numbers"])
    return len(told), len(told - kept)


def plan_of(trials: int, seed: int) -> list[tuple[float, float]]:
    """Rates, and moments of the kill."""
    dice = random.Random(seed)
    return [(KILL_RATES[trial % len(KILL_RATES)], dice.uniform(0.2, 2.2)) for trial in range(trials)]


def told(results: Sequence[tuple[int, int]]) -> dict[str, int]:
    """Of trials, each with what was acknowledged and what of it is gone."""
    losses = [lost for _, lost in results]
    acked = sum(acked for acked, _ in results)
    return {"trials": len(results), "acked": acked, "trials_with_loss": sum(map(bool, losses)), "lost": sum(losses)}


def kills(python: Environments, folder: Path, trials: int, seed: int) -> dict[str, dict[str, int]]:
    """`trials` kills of each storage; the moments are drawn once, so that all get the same."""

    def of(kind: str) -> dict[str, int]:
        plan = enumerate(plan_of(trials, seed))
        return told([killed(python, kind, folder / f"kill-{kind}-{trial}", *one) for trial, one in plan])

    with ThreadPoolExecutor(len(KINDS)) as threads:
        return dict(zip(KINDS, threads.map(of, KINDS), strict=True))


def many_kills(python: Environments, folder: Path, trials: int, seed: int) -> dict[str, int]:
    """Of ours alone, a few at a time."""

    def one(job: tuple[int, tuple[float, float]]) -> tuple[int, int]:
        return killed(python, "golmok", folder / f"many-{job[0]}", *job[1])

    with ThreadPoolExecutor(4) as threads:
        return told(list(threads.map(one, enumerate(plan_of(trials, seed)))))


def steady(python: Environments, folder: Path, seconds: float) -> dict[str, dict[str, float]]:
    """All storages at all rates, side by side: they mostly wait."""
    jobs = [(kind, per_s) for kind in KINDS for per_s in RATES]
    with ThreadPoolExecutor(len(jobs)) as threads:
        done = threads.map(
            lambda job: python.ask(job[0], "rate", folder / f"rate-{job[0]}-{job[1]}", job[1], seconds), jobs
        )
        table: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
        for (kind, per_s), result in zip(jobs, done, strict=True):
            table[kind][f"{per_s:g}/s"] = result["bytes_per_reading"]
    return table


def main() -> None:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder if not given")
    parser.add_argument("--count", type=int, default=100_000, help="readings of the backlog (default 100,000)")
    parser.add_argument("--seconds", type=float, default=60.0, help="at each steady rate (default 60)")
    parser.add_argument("--trials", type=int, default=20, help="kill -9 of each storage (default 20)")
    parser.add_argument("--own-trials", type=int, default=200, help="kill -9 of ours alone (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    options = parser.parse_args()
    python = Environments(ROOT / "build" / "peers")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="golmok-bench-") as name:
        folder = Path(name)
        result = {
            "peer": PEER,
            "backlog": {kind: python.ask(kind, "backlog", folder / f"backlog-{kind}", options.count) for kind in KINDS},
            "bytes_per_reading": steady(python, folder, options.seconds),
            "kill": kills(python, folder, options.trials, options.seed),
            "kill_of_ours": many_kills(python, folder, options.own_trials, options.seed + 1),
            "import": {
                "golmok": python.ask("golmok", "weight", "golmok_edge.gateway.daemon"),
                "thingsboard": python.ask(
                    "thingsboard-sqlite", "weight", "thingsboard_gateway.gateway.tb_gateway_service"
                ),
            },
        }
    json.dump(result, sys.stdout, indent=None if options.json else 1)
    print()


if __name__ == "__main__":
    main()
