"""How far the store has come, once more beside it: so that a tail that is gone is missed.

SQLite passes over what it cannot read at the end of its log, because a power cut while writing looks the same. What
was committed there, and acknowledged, would be gone without a trace. So after each commit, and before anybody is told
of it, this small file says where each stream ends. It is written over in place and not synced: a kill leaves it exact,
and a power cut leaves it behind at most, never ahead, because the commit was synced before. It costs a page when the
kernel writes it back, about twice a minute.

Two places take turns, each with a check sum, so that a torn one leaves the other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import msgspec

from golmok_cloud_sync.protocol.record import STREAMS, Stream

_PLACE: Final = 512
"""A sector, which a card writes as a whole."""
_PLACES: Final = 2
_MOST_BOOT: Final = 64


class Mark(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Where a store stood. Seqs are those on disk."""

    number: int = 0
    """The n-th that was written."""
    epoch: str
    bases: Mapping[Stream, int]
    last: Mapping[Stream, int]
    """The last record of each stream."""
    acked: Mapping[Stream, int]
    session: int
    """The session with the broker."""
    boot: str
    """Of the newest record."""
    is_final: bool = False
    """The store was closed, and this was synced."""

    def is_exact(self, boot: str) -> bool:
        """Whether nothing can have been committed since it was written, as it is found in `boot`.

        A reboot may have been a power cut, which takes what was not synced.
        """
        return self.is_final or (bool(boot) and self.boot == boot)

    def known(self) -> dict[str, Any]:
        """As `Store.known` says it."""
        return {
            "epoch": self.epoch,
            "bases": dict(self.bases),
            "last": dict(self.last),
            "acked": dict(self.acked),
        }


_DECODER: Final = msgspec.json.Decoder(Mark)


class MarkFile:
    """The file, for who writes to the store."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None
        self._is_closed = False
        self._number = 0

    def read(self) -> Mark | None:
        """The newest that is there; None if there is none that could be read."""
        found = read_mark(self._file)
        self._number = found.number if found else 0
        return found

    def write(self, mark: Mark, *, sync: bool = False) -> bool:
        """Put it in the place of the older one. False where the disk refuses: then the log alone knows."""
        if self._is_closed:  # another store may stand there by now
            return False
        self._number += 1
        mark = msgspec.structs.replace(mark, number=self._number, boot=mark.boot[:_MOST_BOOT])
        text = msgspec.json.encode(mark)
        body = b"%08x %b" % (crc32(text), text)
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.pwrite(self._descriptor, body.ljust(_PLACE - 1) + b"\n", self._number % _PLACES * _PLACE)
            if sync:
                os.fdatasync(self._descriptor)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of it."""
        self._is_closed = True
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read_mark(file: Path) -> Mark | None:
    """The newest mark in `file`; None if there is none that could be read."""
    try:
        content = file.read_bytes()[: _PLACE * _PLACES]
    except OSError:
        return None
    places = (content[at : at + _PLACE] for at in range(0, len(content), _PLACE))
    return max(filter(None, map(_parsed, places)), key=lambda mark: mark.number, default=None)


def _parsed(place: bytes) -> Mark | None:
    check, _, text = place.rstrip().partition(b" ")
    with suppress(ValueError, msgspec.MsgspecError):
        if int(check, 16) == crc32(text):
            mark = _DECODER.decode(text)
            if all(set(seqs) == set(STREAMS) for seqs in (mark.bases, mark.last, mark.acked)):
                return mark
    return None
