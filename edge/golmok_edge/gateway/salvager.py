"""Sees to the stores that were set aside: has them salvaged, and brings what was saved to the cloud.

A store's salvage is a process of its own; the way to the cloud is a second courier beside the present one. All that
has to outlive us stands in the folders themselves, so nothing is done twice, whenever we end.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from golmok_cloud_sync.client import Courier
from golmok_edge.gateway.lostends import told
from golmok_edge.store import BUSY, Aside, Store, StoreError, asides, make_room

_log = logging.getLogger(__name__)

EVERY_S: Final = 2.0
_AGAIN_S: Final = 60.0
_RECENT_MS: Final = 7 * 86_400_000
"""So long the owner is told of it."""
_SPARE_BYTES: Final = 32 << 20


@dataclass
class _Way:
    """What was saved of a store, on its way to the cloud."""

    store: Store
    courier: Courier

    def close(self) -> None:
        self.courier.close(0.0)
        self.store.close()


@dataclass
class Salvager:
    """All that was set aside in the store's `folder`. `step` does what there is to do, and is called now and then."""

    folder: Path
    open_store: Callable[[Path], Store]
    open_courier: Callable[[Store], Courier] | None
    """None: there is no cloud, and what was saved stays here."""
    put_event: Callable[[str, Mapping[str, Any]], None]
    start: Callable[[Path], subprocess.Popen[bytes]]
    on_events_lost: Callable[[], None] = lambda: None
    """Events were destroyed: what they told is to be told again."""
    channels: Sequence[str] = ()
    """Those of the settings: each may have lost something with a store whose end cannot be read."""
    known: list[Aside] = field(default_factory=list)
    _salvaging: tuple[Path, subprocess.Popen[bytes]] | None = None
    _ways: dict[Path, _Way] = field(default_factory=dict)
    _wait_until: float = 0.0
    _is_closed: bool = False

    def step(self) -> None:
        """Do what is to be done next, without waiting for it."""
        if self._is_closed:
            return
        make_room(self.folder)
        self.known = asides(self.folder)
        for one in self.known:
            if one.about.state in ("done", "kept"):
                self._tell(one)
            elif one.salvaged.exists():
                self._bring(one)
            elif self._salvaging is None and time.monotonic() >= self._wait_until:
                self._begin(one)
        self._heed_process()

    def close(self) -> None:
        """Leave everything as it is: the next start goes on from there."""
        self._is_closed = True
        if self._salvaging:
            process = self._salvaging[1]
            process.kill()
            process.communicate()
        for way in self._ways.values():
            way.close()

    def document(self) -> dict[str, Any]:
        """What `status` says of it."""
        rows = [row_of(one) for one in self.known]
        return {"set_aside": rows, "salvaging": any(row["state"] in ("waiting", "salvaging") for row in rows)}

    def _begin(self, aside: Aside) -> None:
        if not _has_room(aside):
            _log.warning("%s: there is no room on the disk to salvage it", aside.folder)
            self._wait_until = time.monotonic() + _AGAIN_S
            return
        self._salvaging = aside.folder, self.start(aside.folder)

    def _heed_process(self) -> None:
        if self._salvaging is None:
            return
        folder, process = self._salvaging
        if process.poll() is None:
            return
        self._salvaging = None
        _, said = process.communicate()
        if process.returncode == BUSY:
            return  # one that an earlier life of ours began: it does the same, and will be done soon
        if process.returncode:
            self._wait_until = time.monotonic() + _AGAIN_S
            _log.error("%s: the salvage stopped: %s", folder, said.decode(errors="replace").strip()[-300:])

    def _bring(self, aside: Aside) -> None:
        self._tell(aside)
        if self.open_courier is None:
            aside.say(state="done")
            return
        way = self._ways.get(aside.folder)
        try:
            if way is None:
                store = self.open_store(aside.salvaged)
                way = self._ways[aside.folder] = _Way(store, self.open_courier(store))
                way.courier.start()
        except StoreError as error:
            _log.error("%s: what was saved cannot be read, it is salvaged again: %s", aside.folder, error)
            self._drop(aside)
            return
        if way.courier.state.is_all_sent:
            self._ways.pop(aside.folder).close()
            aside.say(state="done")
            aside.forget_copy()
            _log.info("%s: all that could be read of it is in the cloud", aside.folder)
        elif way.courier.state.state == "broken":
            self._drop(aside)

    def _drop(self, aside: Aside) -> None:
        """The copy is damaged too: make another."""
        if way := self._ways.pop(aside.folder, None):
            way.close()
        aside.forget_copy()
        aside.say(state="waiting", done_pages=0)
        self._wait_until = time.monotonic() + _AGAIN_S

    def _tell(self, aside: Aside) -> None:
        """Say once, in the cloud too, what could be read, and from when to when something may be missing."""
        about = aside.about
        if about.told:
            return
        self.put_event(
            "store.salvaged",
            {
                "folder": aside.folder.name,
                "epoch": about.epoch,
                "records": about.records,
                "lost": about.lost,
                "end_known": about.end_known,
            },
        )
        for value in told(about, self.channels):
            self.put_event("gap.quarantined", value)
        if about.lost.get("events") or not about.end_known or not about.epoch:
            self.on_events_lost()
        aside.say(told=True, ends={})


def _has_room(aside: Aside) -> bool:
    needed = sum(path.stat().st_size for path in (aside.file, aside.wal_file) if path.is_file())
    return shutil.disk_usage(aside.folder).free > needed + _SPARE_BYTES


def row_of(aside: Aside) -> dict[str, Any]:
    """A store that was set aside, as `status` tells it."""
    about = aside.about
    when = datetime.fromtimestamp(about.when_ms / 1000, UTC).isoformat(timespec="seconds") if about.when_ms else None
    return {
        "file": str(aside.folder),
        "recent": abs(time.time() * 1000 - about.when_ms) < _RECENT_MS,
        "when": when,
        "why": about.why,
        "state": about.state,
        "epoch": about.epoch,
        "progress": round(about.done_pages / about.pages, 3) if about.pages else 0.0,
        "salvaged": about.records,
        "lost": sum(about.lost.values()) if about.state in ("sending", "done", "kept") else None,
        "end_known": about.end_known,
    }


def set_aside_event(aside: Aside) -> dict[str, Any]:
    """What the cloud is told when a store is set aside."""
    about = aside.about
    epoch = (about.known or {}).get("epoch", "")
    return {"folder": aside.folder.name, "why": about.why, "epoch": epoch}
