"""What was told of gaps, kept beside the store, so that it can be told again when the store has lost it.

A gap is told once, as an event. If that event rots before it is in the cloud, the void in its place says from when to
when events are missing, but not of which holes in the readings they told: those lie before it. The cloud takes what is
told twice for one.

One line an event, written when the event is on disk and never synced: a kill keeps it, and a power cut alone damages no
store.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from golmok_cloud_sync.protocol import Record
from golmok_cloud_sync.protocol.gaps import PREFIX, parse

FILE_NAME: Final = "gaps.said"
MOST: Final = 256
"""So many are told again at the most, the newest."""


class Said:
    """The file. Any thread may call; lines are whole."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE_NAME
        self._count = len(self._lines())

    def note(self, events: Iterable[Record]) -> None:
        """These are on disk."""
        told = filter(_can_be_told_again, events)
        lines = [json.dumps([event.channel, event.value], ensure_ascii=False) for event in told]
        if not lines:
            return
        with suppress(OSError):  # a full disk: then it is told once only
            if self._count + len(lines) > 2 * MOST:
                self._shorten()
            with self._file.open("a", encoding="utf-8") as file:
                file.write("".join(f"\n{line}" for line in lines))  # in front: what is torn spoils no other
            self._count += len(lines)

    def events(self, boot: str, mono_ms: int) -> list[Record]:
        """The last of them, in their order, to be told at this moment."""
        found = []
        for line in self._lines()[-MOST:]:
            with suppress(ValueError, TypeError):
                channel, value = json.loads(line)
                found.append(Record(str(channel), str(value), "", boot, mono_ms))
        return found

    def _lines(self) -> list[str]:
        """Each once, where it stands last."""
        try:
            lines = self._file.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return []
        return list(dict.fromkeys(filter(None, reversed(lines))))[::-1]

    def _shorten(self) -> None:
        lines = self._lines()[-MOST:]
        new = self._file.with_suffix(".said.new")
        new.write_text("\n".join(lines), encoding="utf-8")
        new.replace(self._file)
        self._count = len(lines)


def _can_be_told_again(event: Record) -> bool:
    """Not what is dated by the place where it stands."""
    if not event.channel.startswith(PREFIX):
        return False
    gap = parse(event)
    return gap.begin is not None and gap.epoch is None
