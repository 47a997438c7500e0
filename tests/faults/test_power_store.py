"""The store after power cuts: nothing that was acknowledged is lost, in any state that a cut may leave behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import pytest

from tests.edge.store_support import prepared

from .power.cuts import ROOT, Cuts, mutated, run, survey
from .power.journal import Write, read
from .power.promises import STORE, Told

WORK: Final = "tests.faults.power.store_work"


def cuts_of_work(folder: Path, seed: int, steps: int, most: int, source: Path = ROOT, kind: str = "mixed") -> Cuts:
    prepared(folder / "live" / STORE)
    run(WORK, kind, str(seed), str(steps), folder / "live", folder / "journal", source=source)
    cuts = survey(folder / "journal", Told(), Random(seed), most, folder / "left")
    assert cuts.made == most
    return cuts


@pytest.mark.parametrize(("seed", "steps", "most"), [(1, 60, 400), (2, 60, 400), (3, 250, 400)])
def test_what_was_acknowledged_is_there(quick_folder: Path, seed: int, steps: int, most: int) -> None:
    assert cuts_of_work(quick_folder, seed, steps, most).broken == []


def test_it_is_there_when_the_log_is_carried_over_and_begun_anew(quick_folder: Path) -> None:
    cuts = cuts_of_work(quick_folder, 6, 50, 200, kind="large")
    assert cuts.broken == []
    writes = [(e.path, e.offset) for e in read(quick_folder / "journal") if isinstance(e, Write)]
    starts = [at for at, (path, offset) in enumerate(writes) if path.endswith("-wal") and offset == 0]
    assert len(starts) > 1, "the log was begun anew without a restart"
    assert any(path.endswith(".db") for path, _ in writes[: starts[-1]])


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", range(100, 104))
def test_it_is_there_after_many_cuts_of_a_large_store(quick_folder: Path, seed: int) -> None:
    assert cuts_of_work(quick_folder, seed, 120, 3_000, kind="large").broken == []


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", range(100, 108))
def test_what_was_acknowledged_is_there_after_many_cuts(quick_folder: Path, seed: int) -> None:
    assert cuts_of_work(quick_folder, seed, 300, 6_000).broken == []


class Left(NamedTuple):
    """A state after a cut, in a folder that is to be gone on with, and what it holds."""

    folder: Path
    told: Told


def test_it_is_there_after_cuts_during_the_recovery_from_cuts(quick_folder: Path) -> None:
    assert again_and_again(quick_folder, Random(4), width=6, most=60, lives=3) == []


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", [11, 12])
def test_it_is_there_after_many_cuts_during_recoveries(quick_folder: Path, seed: int) -> None:
    assert again_and_again(quick_folder, Random(seed), width=20, most=400, lives=6) == []


def again_and_again(folder: Path, random: Random, *, width: int, most: int, lives: int) -> list[str]:
    """Cut the power of several stores, go on with some of what is left, cut it again, and so on."""
    prepared(folder / "0-0" / STORE)
    lefts, broken = [Left(folder / "0-0", Told())], []
    for life in range(1, lives + 1):
        journals = [left.folder.with_suffix(".journal") for left in lefts]
        paths = [path for left, journal in zip(lefts, journals, strict=True) for path in (left.folder, journal)]
        run(WORK, "mixed", str(random.randrange(1_000)), "40" if life == 1 else "6", *paths)
        next_lefts: list[Left] = []
        for left, journal in zip(lefts, journals, strict=True):
            keep = keeping(left.told, folder, next_lefts, f"{life}")
            places = random.sample(range(most), -(-width // len(lefts)))
            broken += survey(journal, left.told, random, most, folder / "left", keep=dict.fromkeys(places, keep)).broken
        lefts = next_lefts
    assert lefts
    return broken


def keeping(told: Told, folder: Path, kept: list[Left], name: str) -> Callable[[Path], None]:
    """Puts a state aside in `kept`, once it is known what it holds."""

    def keep(state: Path) -> None:
        seen = shutil.copytree(state, folder / "seen")
        one = Left(shutil.copytree(state, folder / f"{name}-{len(kept)}"), told.found(seen))
        shutil.rmtree(seen)
        kept.append(one)

    return keep


def test_a_store_that_is_just_being_made_is_there_or_made_again(quick_folder: Path) -> None:
    assert cuts_of_making(quick_folder, most=25).broken == []


def cuts_of_making(folder: Path, most: int, source: Path = ROOT, last: int | None = None) -> Cuts:
    live, journal = folder / "live", folder / "journal"
    live.mkdir()
    run(WORK, "mixed", "5", "1", live, journal, traced=(live, journal), source=source)
    return survey(journal, Told(), Random(5), most, folder / "left", last=last)


STORE_PY: Final = "edge/golmok_edge/store/store.py"
APPEND: Final = "ranges = self._store.append("


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (STORE_PY, '"synchronous = FULL"', '"synchronous = OFF"'),
        (STORE_PY, '"synchronous = FULL"', '"synchronous = NORMAL"'),
        (
            "edge/golmok_edge/store/group.py",
            APPEND,
            "self._on_commit(Commit(items, records, {}, 0)); self._on_commit = lambda commit: None; " + APPEND,
        ),
    ],
    ids=["never syncs", "syncs now and then", "acknowledges before the commit"],
)
def test_the_model_sees_a_store_that_breaks_its_promise(quick_folder: Path, file: str, old: str, new: str) -> None:
    source = mutated(quick_folder / "source", file, old, new)
    broken = cuts_of_work(quick_folder, 1, 60, 150, source).broken
    assert any("were acknowledged" in one for one in broken)


def test_the_model_sees_a_folder_whose_name_was_not_synced(quick_folder: Path) -> None:
    source = mutated(quick_folder / "source", "edge/golmok_edge/store/layout.py", "sync_folder(folder.parent)", "pass")
    assert cuts_of_making(quick_folder, 8, source, last=4).broken
