"""What a store had promised by a moment, and whether a folder still holds it: the oracle of the power cuts.

It shares no code with the store: lists of records as bytes (1, 1.0 and true differ), in the order in which the traced
program was told that they are on disk. Seqs here are those on disk (1, 2, ... through all epochs).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from golmok_cloud_sync.protocol import STREAMS, Record, Stream, Void
from golmok_edge.store import Store, Taken

STORE: Final = "var"
"""The store's folder in the traced one."""

Batch = Mapping[Stream, Sequence[Record]]


class BrokenPromiseError(AssertionError):
    """Something that was acknowledged is lost, doubled or other than it was; or the store does not open."""


@dataclass(slots=True)
class _Unit:
    """What was handed over at once: stored entirely, or not at all."""

    batch: dict[Stream, list[bytes]]
    taken: list[tuple[int, int]]


@dataclass(slots=True)
class Told:
    """What the program was told. `say` makes a mark of it, `hear` takes one in."""

    entries: dict[Stream, list[bytes]] = field(default_factory=lambda: {s: [] for s in STREAMS})
    channels: set[tuple[Stream, str]] = field(default_factory=set)
    voids: dict[Stream, dict[int, str]] = field(default_factory=lambda: {s: {} for s in STREAMS})
    maybe_void: dict[Stream, dict[int, str]] = field(default_factory=lambda: {s: {} for s in STREAMS})
    trimmed: dict[Stream, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    bases: dict[Stream, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    acked: dict[Stream, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    most_acked: dict[Stream, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    epoch: str = ""
    epochs: set[str] = field(default_factory=set)
    next_bases: dict[Stream, int] | None = None
    session: int = 0
    is_session_due: bool = False
    taken: list[tuple[int, int]] = field(default_factory=list)
    units: list[_Unit] = field(default_factory=list)

    def hear(self, mark: bytes) -> None:
        """Take in one mark."""
        kind, *said = msgspec.msgpack.decode(mark)
        getattr(self, f"_{kind}")(*said)

    def _opened(self, epoch: str, session: int, acked: dict[Stream, int]) -> None:
        if self.epoch not in ("", epoch) or (self.epoch and session != self.session):
            raise BrokenPromiseError("the program itself met another epoch or session after a restart")
        self.epoch, self.session, self.acked = epoch, session, acked
        self.epochs.add(epoch)

    def _put(self, batch: dict[Stream, list[list[Any]]], taken: list[tuple[int, int]]) -> None:
        """These are handed over; nothing is promised yet."""
        records = {stream: [Record(*one) for one in many] for stream, many in batch.items()}
        self.channels |= {(stream, one.channel) for stream, many in records.items() for one in many}
        self.units.append(_Unit({s: list(map(same, many)) for s, many in records.items()}, list(map(_pair, taken))))

    def _stored(self, batch: dict[Stream, list[list[Any]]], taken: list[tuple[int, int]]) -> None:
        """Now they are promised, in this order."""
        new = {stream: [same(Record(*one)) for one in many] for stream, many in batch.items()}
        self._promise(new, list(map(_pair, taken)))

    def _promise(self, new: dict[Stream, list[bytes]], taken: list[tuple[int, int]]) -> None:
        for stream, many in new.items():
            self.entries[stream] += many
        self.taken += taken
        stored = {stream: set(many) for stream, many in new.items()}
        self.units = [
            unit for unit in self.units if not all(set(many) <= stored.get(s, set()) for s, many in unit.batch.items())
        ]

    def _void(self, stream: Stream, lo: int, hi: int, reason: str) -> None:
        for at in range(max(lo, self.acked[stream] + 1), hi):
            if at not in self.voids[stream]:
                self.maybe_void[stream][at] = reason

    def _voided(self, stream: Stream) -> None:
        self.voids[stream] |= self.maybe_void[stream]
        self.maybe_void[stream] = {}

    def _noted(self, stream: Stream, seq: int) -> None:
        self.acked[stream] = seq
        self.most_acked[stream] = max(seq, self.most_acked[stream])

    def _trim(self) -> None:
        for stream in STREAMS:
            self.trimmed[stream] = max(self.trimmed[stream], self.acked[stream])

    def _epoch(self, bases: dict[Stream, int]) -> None:
        self.next_bases = bases

    def _began(self, epoch: str) -> None:
        assert self.next_bases is not None
        self.epoch, self.bases, self.next_bases = epoch, self.next_bases, None
        self.epochs.add(epoch)
        self.acked = dict(self.bases)
        for stream, base in self.bases.items():
            self.most_acked[stream] = max(base, self.most_acked[stream])

    def _session(self) -> None:
        self.is_session_due = True

    def _sessioned(self, session: int) -> None:
        self.session, self.is_session_due, self.taken = session, False, []

    # --- against what is there

    def check(self, folder: Path, *, thorough: bool) -> None:
        """Open the store in `folder`, compare, and use it. `thorough`: earlier epochs as well, and after a restart."""
        after = self.found(folder, use=True, earlier=thorough)
        if thorough:
            after.found(folder)

    def found(self, folder: Path, *, use: bool = False, earlier: bool = True) -> Told:
        """Open the store in `folder` and compare; gives what it holds, which from now on is the promise."""
        now = copy.deepcopy(self)
        try:
            with Store.open(folder / STORE) as store:
                now._find_epoch(store)
                now._find_records(store)
                if earlier:
                    for stream in STREAMS:
                        now._find_earlier(store, stream)
                now._find_messages(store)
                now.acked = {stream: store.acked(stream) + now.bases[stream] for stream in STREAMS}
                for stream, acked in now.acked.items():
                    _say(acked <= now.most_acked[stream], f"{stream}: {acked} acknowledged, which nobody had said")
                if use:
                    _works(store, now)
        except BrokenPromiseError:
            raise
        except Exception as error:
            raise BrokenPromiseError(f"the store does not work: {error!r}") from error
        return now

    def _find_epoch(self, store: Store) -> None:
        if self.next_bases is not None and store.epoch not in self.epochs:
            self._began(store.epoch)
        self.next_bases = None
        _say(self.epoch in ("", store.epoch), f"epoch {self.epoch} was begun, {store.epoch} is there")
        self.epochs.add(store.epoch)  # "" stays: this very open may have begun it

    def _find_records(self, store: Store) -> None:
        more: dict[Stream, list[bytes]] = {}
        for stream in STREAMS:
            base, known = self.bases[stream], len(self.entries[stream])
            tail = store.tail(stream) + base
            _say(tail >= known, f"{stream}: {known} were acknowledged, {tail} are there")
            at, new = base + 1, []
            while at <= tail:
                found = store.read(stream, at - base, 500)
                _say(bool(found), f"{stream} {at} is not given")
                if isinstance(found, Void):
                    self._may_be_void(stream, range(at, found.hi + base), found.reason)
                    at = found.hi + base
                    continue
                for record in found:
                    if at <= known:
                        self._is_as_told(stream, at, same(record))
                    else:
                        new.append(same(record))
                    at += 1
            if new:
                more[stream] = new
        self._come_in_wholes(more)

    def _find_earlier(self, store: Store, stream: Stream) -> None:
        """Records of earlier epochs are only history, but they are there."""
        if (base := self.bases[stream]) == 0:
            return
        there: set[int] = set()
        for _, channel in (one for one in self.channels if one[0] == stream):
            for seq, record in store.reader.find(channel, stream):
                if (at := seq + base) <= base:
                    self._is_as_told(stream, at, same(record), or_void=True)
                    there.add(at)
        for at in range(1, base + 1):
            is_void = at in self.voids[stream] or at in self.maybe_void[stream] or at < self.trimmed[stream]
            _say(at in there or is_void, f"{stream} {at} of an earlier epoch is gone")

    def _is_as_told(self, stream: Stream, at: int, found: bytes, *, or_void: bool = False) -> None:
        _say(self.entries[stream][at - 1] == found, f"{stream} {at} is another record than was acknowledged")
        _say(or_void or at not in self.voids[stream], f"{stream} {at} was void and is there again")

    def _may_be_void(self, stream: Stream, seqs: range, reason: str) -> None:
        for at in seqs:
            known = self.voids[stream].get(at) or self.maybe_void[stream].get(at)
            is_trimmed = reason == "trimmed" and at < self.trimmed[stream]
            _say(reason == known or is_trimmed, f"{stream} {at} is void ({reason}), though it was {known or 'stored'}")
            if known and not is_trimmed:
                self.voids[stream][at] = known

    def _come_in_wholes(self, more: dict[Stream, list[bytes]]) -> None:
        """What is there beyond the promise was handed over, and each unit of it is there entirely, once."""
        places = {(s, body): place for s, many in more.items() for place, body in enumerate(many)}
        _say(len(places) == sum(map(len, more.values())), "records are there twice")
        taken: list[tuple[int, int]] = []
        for unit in self.units:
            wanted = [(s, body) for s, many in unit.batch.items() for body in many]
            there = [one for one in wanted if one in places]
            _say(len(there) in (0, len(wanted)), f"of {len(wanted)} records handed over at once {len(there)} are there")
            order = [places.pop(one) for one in there]
            if there:
                taken += unit.taken
                _say(len(unit.batch) > 1 or order == sorted(order), "the records of one source are in another order")
        _say(not places, f"{len(places)} records are there that nobody had handed over")
        self.units = []
        self._promise(more, taken)

    def _find_messages(self, store: Store) -> None:
        if self.is_session_due and store.broker_session == self.session + 1:
            self._sessioned(store.broker_session)
        self.is_session_due = False
        _say(not self.session or store.broker_session == self.session, "the session with the broker is another one")
        self.session = store.broker_session
        _say(store.taken_recently() == self.taken, "the messages taken from the broker are not those that were told")
        for stream in STREAMS:
            self.maybe_void[stream] = {
                at: why for at, why in self.maybe_void[stream].items() if at in self.voids[stream]
            }


same: Final = msgspec.msgpack.encode
"""A record as bytes, equal exactly where the records are."""


def say(kind: str, *said: object) -> bytes:
    """A mark for `Told.hear`."""
    return msgspec.msgpack.encode((kind, *said))


def _works(store: Store, told: Told) -> None:
    """It stores, gives back, deletes and goes on; `told` learns what was done."""
    for stream in STREAMS:
        record = Record("after.cut", len(told.entries[stream]), "", "after", len(told.entries[stream]))
        last = store.append({stream: [record]}, [Taken(store.broker_session, 1, len(told.taken))])[stream][-1]
        _say(store.read(stream, last, 9) == [record], f"{stream}: what is appended after the cut is not given back")
        told.channels.add((stream, record.channel))
        told.entries[stream].append(same(record))
        told.taken.append((1, len(told.taken)))
    told._trim()
    store.trim(0)


def _pair(taken: Sequence[int]) -> tuple[int, int]:
    packet_id, hash64 = taken
    return packet_id, hash64


def _say(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise BrokenPromiseError(otherwise)
