"""The cloud's files after power cuts: every offset that was told is on disk, and what is shown is whole."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

import pytest

from .power.cuts import ROOT, Cuts, mutated, run, survey
from .power.file_promises import FilesTold

WORK: Final = "tests.faults.power.file_work"
STORE_PY: Final = "cloud-sync/golmok_cloud_sync/server/file_store.py"


def cuts_of_work(folder: Path, seed: int, steps: int, most: int, source: Path = ROOT) -> Cuts:
    live, journal = folder / "live", folder / "journal"
    live.mkdir()
    run(WORK, str(seed), str(steps), live, journal, source=source)
    cuts = survey(journal, FilesTold(), Random(seed), most, folder / "left")
    assert cuts.made == most
    return cuts


def test_what_was_acknowledged_is_there(quick_folder: Path) -> None:
    assert cuts_of_work(quick_folder, 1, 40, 80).broken == []


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", range(10, 12))
def test_what_was_acknowledged_is_there_after_many_cuts(quick_folder: Path, seed: int) -> None:
    assert cuts_of_work(quick_folder, seed, 80, 600).broken == []


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("os.fsync(file.fileno())", "pass", "bytes"),
        ("        part.replace(self.path(upload))\n        sync_folder(part.parent)",
         "        part.replace(self.path(upload))", "shown is gone"),
    ],
    ids=["bytes are not synced", "the name of what is shown is not synced"],
)  # fmt: skip
def test_the_model_sees_a_store_that_breaks_its_promise(quick_folder: Path, old: str, new: str, what: str) -> None:
    source = mutated(quick_folder / "source", STORE_PY, old, new)
    assert any(what in one for one in cuts_of_work(quick_folder, 1, 40, 60, source).broken)
