"""A store whose readings have next to no room, and the cloud: each is there once, or named there as evicted."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

from golmok_cloud_sync.protocol import Record, Stream
from golmok_edge.store import Budgets, Store
from tests.cloud_sync.test_uplink import PHASES, OneCard

from .test_store_clones import StoredEnds

NARROW = Budgets(readings=1_500)
"""Some ten rows."""


class EvictingStore(OneCard, StoredEnds):
    """Evictions come by themselves, whenever something is taken."""

    def new(self) -> Any:
        return self.narrowed(super().new())

    def restarted(self, outbox: Store) -> Any:
        return self.narrowed(super().restarted(outbox))

    def narrowed(self, store: Store) -> Store:
        store.budgets = NARROW
        return store

    def append(self, outbox: Store, stream: Stream, records: list[Record]) -> None:
        before = self.values(outbox)
        for record in records:
            super().append(outbox, stream, [record])
        after = self.values(outbox)
        self.may_be_gone |= before - after
        self.may_be_gone |= {int(str(one.value)) for one in records} - after
        assert outbox.used_by("readings") <= NARROW.readings


TestEvictingStore = EvictingStore.TestCase
TestEvictingStore.settings = settings(max_examples=25, stateful_step_count=40, deadline=None, phases=PHASES)
