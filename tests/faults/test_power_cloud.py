"""The cloud's data after power cuts: what a gateway was told is taken is there, and every token that was told works."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

import pytest

from .power.cloud_promises import CloudTold
from .power.cuts import ROOT, Cuts, mutated, run, survey

WORK: Final = "tests.faults.power.cloud_work"


def cuts_of_work(folder: Path, seed: int, steps: int, most: int, source: Path = ROOT) -> Cuts:
    live, journal = folder / "live", folder / "journal"
    live.mkdir()
    run(WORK, str(seed), str(steps), live, journal, source=source)
    cuts = survey(journal, CloudTold(), Random(seed), most, folder / "left")
    assert cuts.made == most
    return cuts


def test_what_was_acknowledged_is_there(quick_folder: Path) -> None:
    assert cuts_of_work(quick_folder, 1, 60, 700).broken == []


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", range(10, 14))
def test_what_was_acknowledged_is_there_after_many_cuts(quick_folder: Path, seed: int) -> None:
    assert cuts_of_work(quick_folder, seed, 150, 10_000).broken == []


LOG_PY: Final = "cloud-sync/golmok_cloud_sync/server/sqlite_log.py"
REGISTRY_PY: Final = "cloud-sync/golmok_cloud_sync/server/registry.py"
FOLDERS_PY: Final = "cloud-sync/golmok_cloud_sync/server/folders.py"


@pytest.mark.parametrize(
    ("file", "old", "new", "what"),
    [
        (LOG_PY, "synchronous = full", "synchronous = normal", "acknowledged"),
        (FOLDERS_PY, "sync_folder(made.parent)", "pass", "acknowledged"),
        (REGISTRY_PY, "synchronous = extra", "synchronous = off", "token"),
        (REGISTRY_PY, "synchronous = extra", "synchronous = full", "token"),
    ],
    ids=["the log syncs now and then", "the folder's name is not synced", "the registry never syncs", "nor its folder"],
)
def test_the_model_sees_a_cloud_that_breaks_its_promise(
    quick_folder: Path, file: str, old: str, new: str, what: str
) -> None:
    source = mutated(quick_folder / "source", file, old, new)
    assert any(what in one for one in cuts_of_work(quick_folder, 1, 60, 200, source).broken)
