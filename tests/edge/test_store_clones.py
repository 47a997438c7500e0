"""Cards that are cloned and rolled back at any moment, with real stores: each record reaches the cloud once."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings

from golmok_cloud_sync.protocol import STREAMS, Record, Stream
from golmok_edge.store import Layout, Store, rows
from tests.cloud_sync.test_uplink import PHASES, SENT, BothEnds

from .store_support import prepared, some


class StoredEnds(BothEnds):
    """The machine of `test_uplink`, where each card is a store's file."""

    def new(self) -> Any:
        self.folder = Path(tempfile.mkdtemp(prefix="golmok-clones-"))
        self.opened: list[Store] = []
        first = Store.open(prepared(self.folder / "0"))
        self.opened.append(first)
        return self.copy(first)  # all that follow have its epoch

    def copy(self, outbox: Store) -> Any:
        """Of a store in use: its file and its log, as they are now."""
        folder = self.folder / str(len(self.opened))
        folder.mkdir()
        for file in self.file(outbox).parent.glob("store.db*"):
            if file.suffix in (".db", ".db-wal"):
                shutil.copy(file, folder / file.name)
        self.opened.append(Store.open(folder))
        return self.opened[-1]

    def file(self, outbox: Store) -> Path:
        return Layout(self.folder / str(self.opened.index(outbox))).file

    def append(self, outbox: Store, stream: Stream, records: list[Record]) -> None:
        outbox.append({stream: records})

    def forget(self, outbox: Store, stream: Stream, seq: int) -> None:
        outbox.note_acked(stream, min(seq, outbox.acked(stream)))

    def restarted(self, outbox: Store) -> Any:
        at = self.opened.index(outbox)
        outbox.close()
        self.opened[at] = Store.open(self.folder / str(at))
        return self.opened[at]

    def values(self, outbox: Store) -> set[int]:
        """Without those that are void: a block keeps their bytes while others of it are not."""
        found: set[int] = set()
        for stream in SENT:
            for one in outbox.reader.find(f"{stream}.x", stream):
                at = one.seq + outbox._bases[stream]
                if isinstance(one.record.value, int) and rows.void_at(outbox._db, stream, at) is None:
                    found.add(one.record.value)
        return found

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            if hasattr(self, "folder"):
                for store in self.opened:
                    store.close()
                shutil.rmtree(self.folder)


TestStoredEnds = StoredEnds.TestCase
TestStoredEnds.settings = settings(max_examples=25, stateful_step_count=30, deadline=None, phases=PHASES)


def copies(folder: Path, count: int) -> list[Store]:
    """Stores in folders of their own that all are what the one in `folder` is."""
    made = []
    for at in range(count):
        copy = folder.parent / f"{folder.name}-{at}"
        copy.mkdir()
        shutil.copy(Layout(folder).file, copy)
        made.append(Store.open(copy))
    return made


def test_copies_that_share_unsent_records_come_to_the_same_epoch(tmp_path: Path) -> None:
    with Store.open(prepared(tmp_path / "card")) as store:
        store.append({"readings": some(5)})
        before = store.epoch
    one, two = copies(tmp_path / "card", 2)
    with one, two:
        # What each has taken since is not asked, whatever its stream and its time.
        two.append({"events": [some(1)[0]._replace(boot="another", mono_ms=0)]})
        epochs = [
            one.new_epoch({"readings": 3}),
            two.new_epoch({"readings": 3, "events": 0}),
        ]
        assert epochs[0] == epochs[1] != before


def test_copies_that_share_nothing_unsent_go_apart(tmp_path: Path) -> None:
    with Store.open(prepared(tmp_path / "card")) as store:
        store.append({"readings": some(5)})
    one, two, three = copies(tmp_path / "card", 3)
    with one, two, three:
        one.append({"readings": [some(1)[0]._replace(boot="one")]})
        two.append({"readings": [some(1)[0]._replace(boot="two")]})
        assert len({store.new_epoch({"readings": 5}) for store in (one, two, three)}) == 3


def test_a_sealed_epoch_stays_as_it_was_sealed(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "card")
    with Store.open(folder) as store:
        store.append({"readings": some(5)})
        assert store.sealed() is None
        sealed = store.seal()
        store.append({"readings": some(5), "events": some(1)})
        assert store.seal() == store.sealed() == sealed == {"orders": 0, "events": 0, "files": 0, "readings": 5}
    with Store.open(folder) as store:
        assert store.sealed() == sealed
        store.new_epoch({"readings": 2, "events": 0})
        assert store.sealed() is None
        assert store.seal()["readings"] == 8
    with Store.open(folder) as store:
        assert store.seal()["readings"] == 8


def test_an_epoch_that_the_store_had_before_is_passed_over(tmp_path: Path) -> None:
    """A copy goes to the epoch that follows; so does the store, whose book of epochs was made to hold it already."""
    folder = prepared(tmp_path / "card")
    with Store.open(folder) as store:
        store.append({"readings": some(5)})
    one, two = copies(folder, 2)
    with one, two:
        follows = one.new_epoch({"readings": 3})
        held = rows.Epoch(follows, dict.fromkeys(STREAMS, 0))
        bases = json.dumps({**held.bases, "check": held.check})
        two._db.execute("INSERT INTO epoch (id, epoch, bases) VALUES (0, ?, ?)", (follows, bases))
        assert two.new_epoch({"readings": 3}) not in (follows, "")
