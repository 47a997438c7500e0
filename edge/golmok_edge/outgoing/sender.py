"""Sends what lies in the folder, one file after the other, through whatever happens to the line.

All files of a parcel are announced before the first byte goes: the cloud then knows what is still to come. Whoever
was stopped announces them again, and is told where each goes on.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from golmok_cloud_sync.client import Pace
from golmok_cloud_sync.client.files import AskAgainError, FileClient, Place, Stint, TurnedAwayError
from golmok_cloud_sync.client.line import LineError
from golmok_edge.outgoing.spool import Item, Outgoing, Parcel, State

LOOKS_S: Final = 2.0
"""How often whoever does not send looks whether there is something, or whether he may."""
SAYS_S: Final = 2.0
"""How often it is written down how far a file is."""
MOST_WAIT_S: Final = 30.0
"""Somebody may stand there and wait: no more than this after the Internet is back."""
MOST_DAMAGED: Final = 3
CODES: Final[Mapping[int, str]] = {
    401: "refused", 403: "refused", 404: "no-files", 405: "no-files", 408: "offline", 429: "busy", 502: "offline",
    503: "busy", 504: "offline", 507: "full",
}  # fmt: skip
_TOO_LARGE, _NO_ROOM = 413, 507
_OF_ONE: Final = frozenset({_TOO_LARGE, _NO_ROOM})
"""What is said of one file; another may still have room."""
_log = logging.getLogger(__name__)


class _GoneError(Exception):
    """A file that is to be sent is not there, or not all of it."""


class Sender:
    """Brings `outgoing` to the cloud by `client`, at the pace of `pace`."""

    def __init__(
        self,
        outgoing: Outgoing,
        client: FileClient,
        pace: Pace | None = None,
        *,
        stint: Stint | None = None,
        says_s: float = SAYS_S,
    ) -> None:
        self._outgoing, self._client, self._says_s = outgoing, client, says_s
        self._pace = pace or Pace(LOOKS_S, most_wait_s=MOST_WAIT_S)
        self._stint = stint or Stint()
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._best: dict[str, int] = {}
        """The furthest that a file ever came, by its SHA-256."""
        self._damaged: dict[str, int] = {}
        """How often it arrived damaged since."""
        self._said = (State(), 0.0)

    def wake(self) -> None:
        """Somebody asks: try now, whatever was waited for."""
        self._woken.set()

    def close(self) -> None:
        """End it; what is under way goes on when somebody sends again. Any thread may call."""
        self._closing.set()
        self._woken.set()

    def run(self) -> None:
        """Send, as soon as there is something and nobody else does, until `close`."""
        complaint = ""
        while not self._closing.is_set():
            try:
                with self._outgoing.turn() as is_mine:
                    if is_mine:
                        self._outgoing.tidy()
                        self._send_all()
            except Exception as error:  # noqa: BLE001  # it must live on: nobody else sends while the page runs
                if repr(error) != complaint:
                    _log.exception("sending files failed")
                complaint = repr(error)
            self._rest(LOOKS_S)
        self._client.close()

    def _send_all(self) -> None:
        while not self._closing.is_set() and (waiting := self._outgoing.waiting()):
            if (wait_s := self._pace.wait_s(time.monotonic())) > 0 and not self._rest(min(wait_s, LOOKS_S)):
                continue
            self._try(waiting[0])

    def _rest(self, seconds: float) -> bool:
        """Whether somebody woke us meanwhile."""
        is_woken = not self._closing.is_set() and self._woken.wait(seconds)
        self._woken.clear()
        return is_woken

    def _try(self, parcel: Parcel) -> None:
        try:
            self._bring(parcel)
        except LineError as error:
            self._stint.failed()
            self._failed(parcel, "offline", str(error))
        except TurnedAwayError as error:
            self._failed(parcel, CODES.get(error.status, "error"), str(error), error.retry_after_s)
        except AskAgainError as error:
            _log.warning("%s: %s", parcel.group, error)
            self._pace.failed(time.monotonic())
        except OSError as error:  # a full disk, a token that may not be read: it may be over the next time
            self._failed(parcel, "here", str(error))
        else:
            self._pace.succeeded(time.monotonic(), LOOKS_S, more=True)

    def _failed(self, parcel: Parcel, code: str, detail: str, retry_after_s: float = 0.0) -> None:
        self._pace.failed(time.monotonic(), retry_after_s)
        before = self._said[0]
        if before.code != code:
            _log.warning("%s: %s", code, detail)
        done = before.done if before.parcel == parcel.key else 0
        self._say(State(code, detail[:300], parcel.key, done))

    def _bring(self, parcel: Parcel) -> None:
        places, refusal = [], None
        for item in parcel.items:
            try:
                if item.waits:
                    places.append((item, self._client.announce(parcel.head(item))))
            except TurnedAwayError as error:
                if error.status not in _OF_ONE:
                    raise
                if error.status == _TOO_LARGE:
                    self._outgoing.failed(parcel, item, "too-large")
                else:
                    refusal = error
        for item, place in places:
            if not self._closing.is_set():
                self._bring_file(parcel, item, place)
        if refusal is not None:
            raise refusal

    def _bring_file(self, parcel: Parcel, item: Item, place: Place) -> None:
        try:
            if place.offset < item.size:
                self._push_all(parcel, item, place)
        except AskAgainError as error:
            if error.was_damaged and self._is_hopeless(item):
                self._outgoing.failed(parcel, item, "damaged")
            raise
        except _GoneError:
            self._outgoing.failed(parcel, item, "gone")
            return
        if not self._closing.is_set():
            self._outgoing.sent(parcel, item)

    def _push_all(self, parcel: Parcel, item: Item, place: Place) -> None:
        with _opened(self._outgoing.file(parcel, item)) as file:
            while place.offset < item.size and not self._closing.is_set():
                self._say(State(parcel=parcel.key, done=place.offset))
                piece = os.pread(file.fileno(), min(self._stint.size, item.size - place.offset), place.offset)
                if not piece:
                    raise _GoneError("it has become shorter")
                began_s = time.monotonic()
                place = self._client.push(place, piece)
                if place.offset > self._best.get(item.sha256, 0):
                    self._best[item.sha256], self._damaged[item.sha256] = place.offset, 0
                self._closing.wait(self._stint.took(len(piece), time.monotonic() - began_s))

    def _is_hopeless(self, item: Item) -> bool:
        """Whether it arrives damaged again and again, and comes no further."""
        self._damaged[item.sha256] = self._damaged.get(item.sha256, 0) + 1
        return self._damaged[item.sha256] >= MOST_DAMAGED

    def _say(self, state: State) -> None:
        before, when_s = self._said
        now_s = time.monotonic()
        if state != before and (
            now_s - when_s > self._says_s or (state.parcel, state.code) != (before.parcel, before.code)
        ):
            self._outgoing.say(state)
            self._said = state, now_s


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except (FileNotFoundError, PermissionError) as error:
        raise _GoneError(str(error)) from error
