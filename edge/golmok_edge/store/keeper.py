"""The store of a folder, whatever becomes of its file: what is damaged is put aside, and the taking goes on.

Whoever uses the store does it through here. Damage is believed only when it is read twice, the second time from the
card itself: a passing error of the memory must not cost a good store. One rotten block is voided, with the reason
`quarantined`; anything else sets the whole file aside, and a new store with a new epoch stands in its place within
a moment. `aside.py` and `salvage.py` see to the old one.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from golmok_cloud_sync.protocol.frame import Void
from golmok_cloud_sync.protocol.record import Record, Stream

from .aside import About, Aside, asides, set_aside
from .errors import BlockDamagedError, StoreClosedError, StoreDamagedError, StoreError, StoreUnusableError
from .layout import Layout, forget_cached
from .messages import messages_of
from .reader import Reader
from .store import Store
from .taken import Taken

_Done = TypeVar("_Done")
_log = logging.getLogger(__name__)

MOST_BLOCKS: Final = 256
"""So many rotten blocks in one go are voided one by one; with more the file is set aside."""


class When(NamedTuple):
    """A moment, for the record."""

    wall_ms: int
    boot: str
    mono_ms: int


class Counts(msgspec.Struct):
    """What was found so far."""

    misreads: int = 0
    """Damage that was none when it was read again."""
    quarantined_blocks: int = 0
    set_aside: int = 0


class Keeper:
    """Holds the store. Any thread may call."""

    store: Store
    """The one that is in use now."""

    def __init__(
        self,
        folder: Path,
        open_store: Callable[[Path], Store],
        when: Callable[[], When],
        on_set_aside: Callable[[Aside], None] = lambda _: None,
        on_given_up: Callable[[Stream], None] = lambda _: None,
    ) -> None:
        """Open the store in `folder`; if it is damaged, in its place a new one. Raises `StoreError`.

        `on_given_up` is told the stream of each block that is voided alone.
        """
        self.counts = Counts()
        self._layout = Layout(folder)
        self._open_store, self._when = open_store, when
        self._on_set_aside, self._on_given_up = on_set_aside, on_given_up
        self._lock = threading.RLock()
        self._written = 0
        self._is_closed = False
        self._beside: Reader | None = None
        self._reading = threading.Lock()
        self.store = self._opened()

    def close(self) -> None:
        """Let go of the store."""
        with self._lock:
            self._is_closed = True
            self._close_beside()
            self.store.close()

    # --- what the gateway does with it

    def use(self, do: Callable[[Store], _Done], only: Store | None = None) -> _Done:
        """`do` something with the store, or with the one that takes its place; `only` with this one, or not at all."""
        store = only or self.store
        try:
            return do(store)
        except StoreDamagedError as error:
            _log.warning("read again, it may be a passing error: %s", error)
            first = error
        except StoreClosedError:
            with self._lock:
                if self._is_closed or self.store is store or only:
                    raise
            return self.use(do)
        with self._lock:
            if self.store is store:
                return self._use_again(do, store, only, first)
        if only:
            raise StoreClosedError(f"{self._layout.file}: it was set aside")
        return self.use(do)

    def append(self, batch: Mapping[Stream, Sequence[Record]], taken: Sequence[Taken] = ()) -> dict[Stream, range]:
        """See `Store.append`."""
        return self.use(lambda store: store.append(batch, taken))

    @property
    def bytes_written(self) -> int:
        """Bytes written to disk since the first store was made here, as far as that is known."""
        return self.store.bytes_written

    @property
    def broker_session(self) -> int:
        """See `Store.broker_session`."""
        return self.store.broker_session

    def start_broker_session(self) -> int:
        """See `Store.start_broker_session`."""
        return self.use(lambda store: store.start_broker_session())

    def taken_recently(self) -> list[tuple[int, int]]:
        """See `Store.taken_recently`."""
        return self.use(lambda store: store.taken_recently())

    def read_beside(self, do: Callable[[Reader], _Done]) -> _Done:
        """Read what pages ask for, with a reader of their own: nothing else waits for it."""

        def read(store: Store) -> _Done:
            with self._reading:
                if self._beside is None:
                    self._beside = store.new_reader()
                return do(self._beside)

        return self.use(read)

    def outbox(self) -> KeptOutbox:
        """What the uplink drains: of this store, until it is set aside."""
        with self._lock:  # not the old one, while it is being set aside
            return KeptOutbox(self, self.store)

    # --- damage

    def _use_again(
        self, do: Callable[[Store], _Done], store: Store, only: Store | None, first: StoreDamagedError
    ) -> _Done:
        """It seemed to be damaged. Look from the card, void what is rotten alone, set aside what is more."""
        seen, given_up = {_block(first)}, set[tuple[Stream, int] | None]()
        try:
            while True:
                try:
                    store.reread()
                    self._close_beside()
                    done = do(store)
                except BlockDamagedError as error:
                    if _block(error) not in seen:
                        seen.add(_block(error))
                        continue
                    if _block(error) in given_up or len(given_up) >= MOST_BLOCKS:
                        raise  # it is still there: its row is not where it should be
                    given_up.add(_block(error))
                    _log.error("rotten, given up: %s", error)
                    store.quarantine(error.stream, error.first_seq)
                    self.counts.quarantined_blocks += 1
                    self._on_given_up(error.stream)
                    seen.discard(_block(error))
                else:
                    self.counts.misreads += not given_up
                    return done
        except StoreDamagedError as error:
            self._set_aside(str(error), store)
        if only:
            raise StoreClosedError(f"{self._layout.file}: it was set aside")
        return self.use(do)

    def _opened(self) -> Store:
        try:
            return self._going_on(self._open_store(self._layout.folder))
        except StoreDamagedError as error:
            _log.warning("read again, it may be a passing error: %s", error)
        forget_cached(self._layout.file)
        try:
            store = self._going_on(self._open_store(self._layout.folder))
        except StoreDamagedError as error:
            return self._anew(str(error), None)
        self.counts.misreads += 1
        return store

    def _going_on(self, store: Store) -> Store:
        """One that knows nothing goes on from the one that was set aside last: a death came before it did."""
        last = asides(self._layout.folder)[-1:]
        if last and store.is_untouched:
            self._take_over(store, last[0])
        return store

    def _set_aside(self, why: str, store: Store) -> None:
        """Put a store's file aside while it is open, and go on in a new one."""
        known = store.known
        self._written = store.bytes_written
        self.store = self._anew(why, known, store)

    def _anew(self, why: str, known: dict[str, object] | None, store: Store | None = None) -> Store:
        aside = self._moved(why, known, store)
        fresh = self._open_store(self._layout.folder)
        if store:
            fresh.wear = store.wear
        self._take_over(fresh, aside, store.broker_session if store else None)
        return fresh

    def _take_over(self, fresh: Store, aside: Aside, session: int | None = None) -> None:
        """Let a new store know the broker's messages, in a session that is known or not; tell of the old one."""
        messages = messages_of(aside, session)
        fresh.adopt(messages.session, messages.taken, self._written)
        self.counts.set_aside += 1
        _log.error("the store was damaged and was set aside in %s: %s", aside.folder, aside.about.why)
        self._on_set_aside(aside)

    def _moved(self, why: str, known: dict[str, object] | None, store: Store | None) -> Aside:
        when = self._when()
        about = About(why=why, when_ms=when.wall_ms, boot=when.boot, mono_ms=when.mono_ms, known=known)
        # Renamed before it is let go of: SQLite then neither carries the log over nor removes it.
        lock = None if store else self._layout.lock()
        try:
            aside = set_aside(self._layout, about)
        except OSError as error:
            raise StoreUnusableError(
                f"{self._layout.folder}: the damaged file cannot be moved aside ({error.strerror}). "
                "Make room on the disk, or make the folder writable for this user."
            ) from error
        finally:
            if lock is not None:
                os.close(lock)
        if store:
            self._close_beside()
            with suppress(StoreError):
                store.abandon()
        return aside

    def _close_beside(self) -> None:
        with self._reading:
            if self._beside:
                self._beside.close()
            self._beside = None


def _block(error: StoreDamagedError) -> tuple[Stream, int] | None:
    return (error.stream, error.first_seq) if isinstance(error, BlockDamagedError) else None


class KeptOutbox:
    """The outbox of one store; see `golmok_cloud_sync.client.Outbox`. What it cannot read any more it does not hide."""

    def __init__(self, keeper: Keeper, store: Store) -> None:
        self._keeper, self._store = keeper, store

    @property
    def name(self) -> str:
        """The store's name."""
        return self._store.name

    @property
    def epoch(self) -> str:
        """The store's epoch."""
        return self._store.epoch

    def tail(self, stream: Stream) -> int:
        """See `Store.tail`."""
        return self._store.tail(stream)

    def acked(self, stream: Stream) -> int:
        """See `Store.acked`."""
        return self._store.acked(stream)

    def note_acked(self, stream: Stream, seq: int) -> None:
        """See `Store.note_acked`."""
        self._use(lambda store: store.note_acked(stream, seq))

    def read(self, stream: Stream, lo: int, limit: int) -> list[Record] | Void:
        """See `Store.read`."""
        return self._use(lambda store: store.read(stream, lo, limit))

    def crc(self, stream: Stream, seq: int) -> int | None:
        """See `Store.crc`."""
        return self._use(lambda store: store.crc(stream, seq))

    def void(self, stream: Stream, lo: int, hi: int, reason: str) -> None:
        """See `Store.void`."""
        self._use(lambda store: store.void(stream, lo, hi, reason))

    def seal(self) -> dict[Stream, int]:
        """See `Store.seal`."""
        return self._use(lambda store: store.seal())

    def sealed(self) -> dict[Stream, int] | None:
        """See `Store.sealed`."""
        return self._store.sealed()

    def new_epoch(self, bases: Mapping[Stream, int]) -> str:
        """See `Store.new_epoch`."""
        return self._use(lambda store: store.new_epoch(bases))

    def _use(self, do: Callable[[Store], _Done]) -> _Done:
        return self._keeper.use(do, only=self._store)
