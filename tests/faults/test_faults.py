"""The harness itself: it finds nothing in the product, and each mistake that is made in a copy of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .life import STUCK
from .mutations import MUTATIONS, SHOWN_BY, MutationError, mutate
from .plan import KINDS, LIFE
from .programs import ROOT

BROKEN = {
    "ack-before-commit": {"lost"},
    "no-cas": {"lost", "doubled"},
    "no-fsync": {"lost"},
    "ignore-crc": {"wrong", "lost"},  # a wrong letter in a channel's name takes its records from it
    "no-dup-check": {"doubled"},
}
"""What each mutation breaks."""


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.faults", "--json", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "is missing: install it" in done.stderr:
        pytest.skip(f"NO fault was made: {done.stderr.strip()}")
    assert done.stdout, done.stderr[-3_000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, report


def test_every_mutation_says_what_it_breaks() -> None:
    assert BROKEN.keys() == MUTATIONS.keys() == SHOWN_BY.keys()
    assert all(KINDS[kind].is_core for kind in SHOWN_BY.values())


@pytest.mark.timeout(300)
def test_twenty_five_faults_break_nothing() -> None:
    code, report = run("--faults", str(LIFE))
    assert (report["lost"], report["doubled"], report["wrong"], report["unnamed_gaps"]) == (0, 0, 0, 0), report
    assert code == 0
    assert report["happened"] + sum(report["missed"].values()) == LIFE
    assert report["happened"] >= LIFE - 2, report["missed"]
    assert report["records"] > 3_000
    core = {name for name, kind in KINDS.items() if kind.is_core and name not in report["skipped"]}
    assert core <= {name for name, count in report["faults"].items() if count}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_is_found(name: str) -> None:
    code, report = run("--faults", str(LIFE), "--mutate", name)
    if name == "no-fsync" and "power-cut" in report["skipped"]:
        pytest.skip(f"no-fsync was NOT tried: {report['skipped']['power-cut']}")
    assert code == 1
    # A shop that got stuck was not judged: that is no proof that the mistake was seen.
    seen = {text.partition(":")[0] for text in report["findings"] if STUCK not in text}
    assert seen & BROKEN[name], report


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_changes_a_copy(name: str, tmp_path: Path) -> None:
    mutate(name, tmp_path)
    for change in MUTATIONS[name]:
        assert change.old in (ROOT / change.file).read_text(encoding="utf-8")
        assert change.new in (tmp_path / change.file).read_text(encoding="utf-8")


def test_a_mutation_that_no_longer_applies_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (change,) = MUTATIONS["ignore-crc"]
    monkeypatch.setitem(MUTATIONS, "ignore-crc", (change._replace(old="what nobody writes"),))
    with pytest.raises(MutationError, match="has 0 times 'what nobody writes'"):
        mutate("ignore-crc", tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_thousand_faults_break_nothing(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = run("--faults", "1000", "--seed", str(seed))
    with capsys.disabled():
        print(f"\n{json.dumps(report, ensure_ascii=False)}")
    assert (report["lost"], report["doubled"], report["wrong"], report["unnamed_gaps"]) == (0, 0, 0, 0), report
    assert code == 0
    assert report["happened"] >= 980
    assert [name for name, count in report["faults"].items() if not count and name not in report["skipped"]] == []
