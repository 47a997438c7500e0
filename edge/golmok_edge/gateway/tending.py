"""`golmok-gateway store verify | salvage`: a technician's look at the store, and what can be saved of a damaged one.

The gateway does all of this by itself; these are for whoever wants to know, or has a card in his hand.
"""

from __future__ import annotations

import json as json_text
import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from golmok_edge.gateway.salvager import row_of
from golmok_edge.settings import Language, Settings, language_of
from golmok_edge.store import Aside, Layout, Reader, StoreDamagedError, StoreError, StoreLockedError, asides
from golmok_edge.store.aside import About, read_aside, set_aside
from golmok_edge.store.export import export
from golmok_edge.store.salvage import Salvage
from golmok_edge.store.verify import Report, verify

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "whole": ("whole", "이상 없음"),
    "damaged": ("DAMAGED", "손상됨"),
    "absent": ("there is no store yet", "아직 저장소가 없습니다"),
    "records": ("{records:,} records in {blocks:,} blocks", "기록 {records:,}개, 블록 {blocks:,}개"),
    "void": ("void: {voids}", "영영 오지 않음: {voids}"),
    "at": ("{stream} {first} to {last}: {what}", "{stream} {first}~{last}: {what}"),
    "of": ("{stream}: {what}", "{stream}: {what}"),
    "more": ("and {count} more", "그리고 {count}곳 더"),
    "todo_running": (
        "The gateway runs. It reads what is damaged again, gives up single blocks and sets the file aside if that is\n"
        "not enough, all by itself; nothing is to be done but to think of a new card.",
        "게이트웨이가 실행 중입니다. 손상된 곳을 다시 읽고, 읽을 수 없는 블록만 포기하며, 그래도 안 되면\n"
        "파일을 따로 두고 새로 시작합니다. 모두 저절로 하니 카드 교체만 생각해 보세요.",
    ),
    "todo_stopped": (
        "Start the gateway: it sets the file aside, saves what can be read and goes on. Or do it by hand: "
        "golmok-gateway store salvage --config {config}",
        "게이트웨이를 시작하세요. 파일을 따로 두고 읽을 수 있는 것을 살린 뒤 이어 갑니다. 손으로 하려면: "
        "golmok-gateway store salvage --config {config}",
    ),
    "todo_covered": (
        "Nothing is lost: the gateway carries the log over into the file, which writes these pages anew. But think of\n"
        "a new card.",
        "잃은 것은 없습니다. 게이트웨이가 로그를 파일로 옮기면서 이 페이지들을 새로 씁니다. 그래도 카드 교체를\n"
        "생각해 보세요.",
    ),
    "running": (
        "The gateway runs and salvages by itself; see: golmok-gateway status --config {config}. To do it by hand,\n"
        "stop it first, or name a file with --from.",
        "게이트웨이가 실행 중이고 저절로 살립니다: golmok-gateway status --config {config}\n"
        "손으로 하려면 먼저 멈추거나 --from 으로 파일을 지정하세요.",
    ),
    "nothing": ("Nothing is damaged, nothing was set aside.", "손상된 것도, 따로 둔 것도 없습니다."),
    "saved": ("{folder}: {records:,} records saved, {lost} lost", "{folder}: 기록 {records:,}개 살림, {lost}개 잃음"),
    "end_unknown": (
        "where it ended cannot be read: what was taken last may be missing",
        "어디까지 있었는지 읽을 수 없습니다. 마지막에 받은 것이 빠졌을 수 있습니다",
    ),
    "sent": ("{folder}: its readings are in the cloud", "{folder}: 기록이 클라우드에 있습니다"),
    "clean": ("  clean store  {path}", "  깨끗한 저장소  {path}"),
    "exported": ("  {count:,} lines   {path}", "  {count:,}줄   {path}"),
    "then": (
        "Start the gateway: it brings this to the cloud and lets the copy go. The damaged file was not changed.",
        "게이트웨이를 시작하면 이것을 클라우드로 보내고 사본을 지웁니다. 손상된 파일은 건드리지 않았습니다.",
    ),
    "reading": ("reading", "읽는 중"),
    "left": ("about {seconds:.0f} s left", "약 {seconds:.0f}초 남음"),
    "no_file": ("{path}: there is no store's file", "{path}: 저장소 파일이 없습니다"),
}
_MOST_SHOWN: Final = 10


class Words:
    """The texts in one language."""

    def __init__(self, language: Language | None) -> None:
        self._at = 1 if (language or language_of()) == "ko" else 0

    def __call__(self, key: str, **values: object) -> str:
        return _WORDS[key][self._at].format(**values)


class Progress:
    """How far something has come, on stderr, once a second."""

    def __init__(self, words: Words) -> None:
        self._words, self._began, self._told = words, time.monotonic(), 0.0
        self._is_done = False

    def __call__(self, share: float) -> None:
        now = time.monotonic()
        if self._is_done or (now - self._told < 1.0 and share < 1.0):
            return
        self._told, self._is_done = now, share >= 1.0
        spent = now - self._began
        left = self._words("left", seconds=spent / share - spent) if 0.02 < share < 1.0 and spent > 1 else ""
        print(f"{self._words('reading')} {share:4.0%} {left}".rstrip(), file=sys.stderr)


# --- verify


def run_verify(settings: Settings, *, json: bool = False, lang: Language | None = None) -> int:
    """Read the whole store; 0 if it is whole, 1 if not."""
    words, folder = Words(lang), settings.store.path
    layout = Layout(folder)
    if not _is_there(layout):
        report = Report(str(layout.file), whole=True)
        lines = [f"{layout.file}: {words('absent')}"]
    else:
        report = verify(folder, Progress(words))
        lines = list(_told(report, words, is_running=_is_running(layout), config=settings.file))
    if json:
        print(json_text.dumps(msgspec.to_builtins(report), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print("\n".join(lines))
    return 0 if report.whole else 1


def _told(report: Report, words: Words, *, is_running: bool, config: Path) -> Sequence[str]:
    lines = [f"{report.file}: {words('whole' if report.whole else 'damaged')}"]
    for name, stream in report.streams.items():
        said = words("records", records=stream.records, blocks=stream.blocks)
        if stream.voids:
            voids = ", ".join(f"{reason} {count:,}" for reason, count in sorted(stream.voids.items()))
            said = f"{said}; {words('void', voids=voids)}"
        lines.append(f"  {name:<9} {said}")
    for fault in report.faults[:_MOST_SHOWN]:
        key = "at" if fault.first is not None else "of"
        said = words(
            key, **{**msgspec.to_builtins(fault), "last": fault.last if fault.last is not None else fault.first}
        )
        lines.append(f"  ! {said if fault.stream else fault.what}")
    if len(report.faults) > _MOST_SHOWN:
        lines.append(f"  ! {words('more', count=len(report.faults) - _MOST_SHOWN)}")
    lines += [f"  ! {fault.what}" for fault in report.covered[:_MOST_SHOWN]]
    if report.covered and not report.faults:
        lines.append(words("todo_covered"))
    if report.faults:
        lines.append(words("todo_running" if is_running else "todo_stopped", config=config))
    return lines


def _is_there(layout: Layout) -> bool:
    """Whether there is a store, or at least what is left of one."""
    return os.path.lexists(layout.file) or (layout.wal_file.exists() and layout.wal_file.stat().st_size > 0)


def _is_running(layout: Layout) -> bool:
    """Whether some process writes to the store."""
    if not layout.lock_file.exists():
        return False
    try:
        os.close(layout.lock())
    except StoreLockedError:
        return True
    except StoreError:
        return False
    return False


# --- salvage


def run_salvage(
    settings: Settings,
    *,
    source: Path | None = None,
    target: Path | None = None,
    kind: str | None = None,
    json: bool = False,
    lang: Language | None = None,
) -> int:
    """Save what can be read: of what was set aside and of the store itself, or of the file `source`."""
    words = Words(lang)
    try:
        work = [_foreign(source, target)] if source else _own(settings)
    except FileNotFoundError as error:
        print(words("no_file", path=error.filename), file=sys.stderr)
        return 1
    except StoreLockedError:
        print(words("running", config=settings.file), file=sys.stderr)
        return 1
    try:
        rows = [_save(aside, kind, target, words, quiet=json) for aside in work]
    except (StoreError, OSError, sqlite3.Error) as error:
        print(f"golmok-gateway: {error}", file=sys.stderr)
        return 1
    if json:
        print(json_text.dumps({"salvaged": rows}, indent=2, ensure_ascii=False, allow_nan=False))
    elif not rows:
        print(words("nothing"))
    elif not source:
        print(words("then"))
    return 0


def _foreign(source: Path, target: Path | None) -> Aside:
    """A file that somebody brought, or the folder that it lies in; the copy is made in `target`, never beside it."""
    file = source / Layout(source).file.name if source.is_dir() and not (source / "about.json").exists() else source
    if source.is_dir() and (source / "about.json").exists():
        file = Layout(source).file
    if not os.path.lexists(file) and not file.with_name(f"{file.name}-wal").exists():
        raise FileNotFoundError(2, "no such file", str(file))
    folder = (target or Path("salvage")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if file.resolve().is_relative_to(folder.resolve()):
        folder = folder / "copy"
        folder.mkdir(exist_ok=True)
    return read_aside(folder)._replace(source=file.absolute())


def _own(settings: Settings) -> list[Aside]:
    """What was set aside here; the store itself too, if it is damaged. Raises `StoreLockedError` while it is used."""
    layout = Layout(settings.store.path)
    if not layout.folder.exists():
        return []
    lock = layout.lock()
    try:
        if _is_there(layout):
            try:
                is_whole = os.path.lexists(layout.file) and not verify(layout.folder).faults
            except StoreDamagedError:
                is_whole = False
            if not is_whole:
                set_aside(
                    layout, About(why="by hand: golmok-gateway store salvage", when_ms=time.time_ns() // 1_000_000)
                )
    finally:
        os.close(lock)
    return asides(layout.folder)


def _save(aside: Aside, kind: str | None, target: Path | None, words: Words, *, quiet: bool) -> dict[str, Any]:
    progress = Progress(words)
    if aside.about.state != "done":
        done = Salvage(aside).run(lambda now: progress(now.about.done_pages / max(1, now.about.pages)))
        aside = read_aside(done.folder)._replace(source=aside.source)
    row = row_of(aside)
    lines = [words("sent", folder=aside.folder)]
    if aside.salvaged.exists():
        lines = [words("saved", folder=aside.folder, records=aside.about.records, lost=f"{row['lost'] or 0:,}")]
        if not aside.about.end_known:
            lines.append(f"  {words('end_unknown')}")
        row["store"] = str(Layout(aside.salvaged).file)
        lines.append(words("clean", path=row["store"]))
        if kind:
            path = (target or aside.folder) / f"records.{kind}"
            path.parent.mkdir(parents=True, exist_ok=True)
            with Reader.open(aside.salvaged) as reader:
                row |= {"export": str(path), "exported": export(reader, path, kind)}
            lines.append(words("exported", count=row["exported"], path=path))
    if not quiet:
        print("\n".join(lines))
    return row
