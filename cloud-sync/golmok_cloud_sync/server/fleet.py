"""What is known of each gateway now: when it last called, how much waits there, the newest value of each channel.

All of it is derived, from what gateways say of themselves and from the log, and may be thrown away: `Fleet.load`
builds it again from the last snapshot and the batches taken since. It lives in memory, changes only on the event
loop, and never delays an acknowledgement.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, get_args

import msgspec

from golmok_cloud_sync.protocol import CodecError, Hello, Record, decode_columns
from golmok_cloud_sync.server.dating import Dating, EventBook
from golmok_cloud_sync.server.log import BatchLog, EpochKey, Stored, StreamKey
from golmok_cloud_sync.server.models import GatewayDetail, GatewayStatus, LatestValue, State, StoreStatus, StreamStatus
from golmok_cloud_sync.server.times import show
from golmok_cloud_sync.server.verify import newest

PACE_S: Final = 60.0
"""How often a gateway is asked to call when nobody watches."""
WATCHED_PACE_S: Final = 2.0
"""How often while somebody does."""
_LATE_FACTOR: Final = 2.5
_LATE_LEAST_S: Final = 90.0
_FLEET_SYNCS_PER_S: Final = 50.0
"""What watching the whole fleet may cost."""
_SNAPSHOT: Final = "fleet"
_CHUNK: Final = 256


class Reported(msgspec.Struct):
    """A stream as its gateway last told of it, and how far it has come here."""

    tail: int = 0
    acked: int = 0
    next_seq: int = 1

    @property
    def backlog(self) -> int:
        return max(0, self.tail - self.next_seq + 1)


class StoreNow(msgspec.Struct):
    """One store of a gateway, in its present epoch."""

    store: str
    epoch: str
    boot: str = ""
    software: str = ""
    settings_version: str = ""
    contact_ms: int | None = None
    streams: dict[str, Reported] = {}

    @property
    def backlog(self) -> int:
        return sum(stream.backlog for stream in self.streams.values())


class GatewayNow(msgspec.Struct):
    """A gateway as it is known now."""

    gateway: str
    stores: dict[str, StoreNow] = {}
    latest: dict[str, Record] = {}
    title: str = ""
    timezone: str = ""
    pace_s: float = PACE_S

    @property
    def contact_ms(self) -> int | None:
        return max((s.contact_ms for s in self.stores.values() if s.contact_ms is not None), default=None)

    def state(self, now_ms: int) -> State:
        contact_ms = self.contact_ms
        if contact_ms is None:
            return "never"
        patience_s = max(_LATE_LEAST_S, _LATE_FACTOR * self.pace_s)
        # A contact that lies ahead was before this server's own clock was set back: it tells as little as an old one.
        return "online" if abs(now_ms - contact_ms) <= patience_s * 1000 else "late"

    def forget_brought(self) -> None:
        """Earlier stores of which all that was saved is here: they have nothing more to tell."""
        done = [name for name, one in self.stores.items() if name != one.store and not one.backlog]
        for name in done:
            del self.stores[name]

    def learn(self, records: Iterable[Record], boot: str) -> list[Record]:
        """Take newer values in; which of them are news. `boot` is the one the gateway runs in."""
        news = []
        for record in records:
            known = self.latest.get(record.channel)
            if known is None or _follows(record, known, boot):
                if known != record:
                    news.append(record)
                self.latest[record.channel] = record
        return news


def _follows(record: Record, known: Record, boot: str) -> bool:
    """Whether `record` is newer than `known`: what comes from a backlog must not hide what is live."""
    if record.boot == known.boot:
        return record.mono_ms >= known.mono_ms
    return known.boot != boot


class Fleet:
    """All gateways."""

    def __init__(self) -> None:
        self._gateways: dict[str, GatewayNow] = {}
        self._books: dict[str, EventBook] = {}
        self._upto_id = 0
        self._seen_id = 0
        self.on_events: Callable[[str], None] = lambda gateway: None
        """Called when events of a gateway were logged."""

    # --- taking in ----------------------------------------------------------------------------------------------

    def heard(self, hello: Hello, now_ms: int) -> GatewayNow:
        """A gateway has called."""
        now = self.know(hello.gateway)
        key = EpochKey(hello.gateway, hello.store, hello.epoch)
        if hello.earlier:
            now.stores.setdefault(_beside(key), StoreNow(key.store, key.epoch, streams={}))
        else:
            now.forget_brought()
        store = self._store(now, key)
        store.boot, store.software, store.settings_version = hello.boot, hello.software, hello.settings_version
        store.contact_ms = now_ms
        now.title = hello.title or now.title
        now.timezone = hello.timezone or now.timezone
        for name, report in hello.streams.items():
            stream = store.streams.setdefault(name, Reported())
            stream.tail, stream.acked = report.tail, report.acked
        return now

    def taken(self, key: StreamKey, next_seq: int, records: Iterable[Record], boot: str) -> list[Record]:
        """A part was logged; which of its values are news."""
        now = self.know(key.gateway)
        stream = self._store(now, key.of_epoch).streams.setdefault(key.stream, Reported())
        stream.next_seq = max(stream.next_seq, next_seq)
        stream.tail = max(stream.tail, next_seq - 1)
        if key.stream == "events":
            self.on_events(key.gateway)
        return now.learn(records, boot) if key.stream == "readings" else []

    def know(self, gateway: str) -> GatewayNow:
        """The gateway, also if it was never heard of."""
        now = self._gateways.get(gateway)
        if now is None:
            now = self._gateways[gateway] = GatewayNow(gateway)
        return now

    def get(self, gateway: str) -> GatewayNow | None:
        """The gateway, if it is known."""
        return self._gateways.get(gateway)

    def names(self) -> list[str]:
        """All gateways, in order."""
        return sorted(self._gateways)

    def states(self) -> dict[str, int]:
        """How many gateways are online, late, or were never heard of."""
        now_ms = time.time_ns() // 1_000_000
        states = Counter(now.state(now_ms) for now in self._gateways.values())
        return {state: states[state] for state in get_args(State)}

    def book(self, gateway: str) -> EventBook:
        """The clock anchors of a gateway."""
        return self._books.setdefault(gateway, EventBook(gateway))

    def fleet_pace_s(self) -> float:
        """The pace of every gateway while somebody watches them all."""
        return min(PACE_S, max(WATCHED_PACE_S, len(self._gateways) / _FLEET_SYNCS_PER_S))

    @staticmethod
    def _store(now: GatewayNow, key: EpochKey) -> StoreNow:
        store = now.stores.get(_beside(key)) or now.stores.get(key.store)
        if store is None or store.epoch != key.epoch:
            store = now.stores[key.store] = StoreNow(key.store, key.epoch, streams={})
        return store

    # --- keeping and building again -----------------------------------------------------------------------------

    def save(self, log: BatchLog) -> None:
        """Keep a snapshot. It counts as made when the last one was: to derive a batch twice does no harm."""
        self._upto_id, self._seen_id = self._seen_id, log.last_id()
        log.save_derived(_SNAPSHOT, self._upto_id, msgspec.json.encode(list(self._gateways.values())))

    def load(self, log: BatchLog) -> int:
        """Build everything from the last snapshot and the batches since; how many those were."""
        found = log.load_derived(_SNAPSHOT)
        if found is not None:
            self._upto_id = self._seen_id = found[0]
            for now in msgspec.json.decode(found[1], type=list[GatewayNow]):
                self._gateways[now.gateway] = now
        for gateway in log.gateways():
            self.know(gateway)
        derived = 0
        while batches := log.taken_after(self._upto_id, _CHUNK):
            for key, batch in batches:
                self._derive(key, batch)
            self._upto_id = self._seen_id = batches[-1][1].id
            derived += len(batches)
        return derived

    def _derive(self, key: StreamKey, batch: Stored) -> None:
        records: list[Record] = []
        if key.stream == "readings" and batch.codec is not None:
            try:
                records = newest(decode_columns(batch.payload, batch.codec, batch.next_seq - batch.first_seq))
            except CodecError:
                records = []  # `dating.records` says so whenever it is read
        store = self._store(self.know(key.gateway), key.of_epoch)
        store.contact_ms = max(store.contact_ms or 0, batch.received_ms)
        self.taken(key, batch.next_seq, records, store.boot)

    # --- telling ------------------------------------------------------------------------------------------------

    def status(self, now: GatewayNow) -> GatewayStatus:
        """A gateway at a glance."""
        return GatewayStatus(**self._status(now))

    def detail(self, now: GatewayNow, dating: Dating) -> GatewayDetail:
        """All that is known of a gateway."""
        return GatewayDetail(
            **self._status(now),
            stores=[_store_status(store) for _, store in sorted(now.stores.items())],
            latest=[latest_value(record, dating) for _, record in sorted(now.latest.items())],
        )

    def _status(self, now: GatewayNow) -> dict[str, Any]:
        stores = sorted(now.stores.values(), key=lambda s: s.contact_ms or 0)
        newest_store = stores[-1] if stores else StoreNow("", "")
        return {
            "gateway": now.gateway,
            "title": now.title,
            "timezone": now.timezone or None,
            "state": now.state(time.time_ns() // 1_000_000),
            "last_contact": show(now.contact_ms),
            "pace_s": now.pace_s,
            "backlog": sum(store.backlog for store in stores),
            "channels": len(now.latest),
            "version": newest_store.software,
            "settings_version": newest_store.settings_version or None,
        }


def latest_value(record: Record, dating: Dating) -> LatestValue:
    """A channel's newest value as pages read it."""
    return LatestValue(
        channel=record.channel,
        value=record.value,
        unit=record.unit,
        quality=record.quality,
        reason=record.reason,
        ts=show(dating.date(record).ms),
    )


def _beside(key: EpochKey) -> str:
    """The name of an earlier store that is brought beside the present one; no store has a line break in its name."""
    return f"{key.store}\n{key.epoch}"


def _store_status(store: StoreNow) -> StoreStatus:
    streams: Mapping[str, Reported] = store.streams
    return StoreStatus(
        store=store.store,
        epoch=store.epoch,
        version=store.software,
        settings_version=store.settings_version or None,
        last_contact=show(store.contact_ms),
        streams={
            name: StreamStatus(next_seq=s.next_seq, tail=s.tail, backlog=s.backlog) for name, s in streams.items()
        },
    )
