"""What a cloud had promised gateways and people by a moment, and whether its folder still holds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from golmok_cloud_sync.protocol import StreamState
from golmok_cloud_sync.server.log import Batch, Span, StreamKey
from golmok_cloud_sync.server.registry import Holder, Registry
from golmok_cloud_sync.server.sqlite_log import SqliteBatchLog

from .promises import BrokenPromiseError

DATA: Final = "cloud/data"
"""The cloud's folder in the traced one."""


def batch_of(said: list[Any]) -> Batch:
    """The batch that a mark names."""
    key, *rest, span, payload = said
    return Batch(StreamKey(*key), *rest, None if span is None else Span(*span), payload)  # type: ignore[call-arg]


@dataclass(slots=True)
class CloudTold:
    """The batches and tokens that were handed over, and how many of them were acknowledged."""

    put: dict[StreamKey, list[Batch]] = field(default_factory=dict)
    acked: dict[StreamKey, int] = field(default_factory=dict)
    tokens: dict[str, str | None] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    enrolled: set[str] = field(default_factory=set)
    is_replacing: set[str] = field(default_factory=set)
    """Gateways that are getting a new token: the old one may be gone already."""

    def hear(self, mark: bytes) -> None:
        """Take in one mark."""
        kind, *said = msgspec.msgpack.decode(mark)
        getattr(self, f"_{kind}")(*said)

    def _put(self, batches: list[list[Any]]) -> None:
        for batch in map(batch_of, batches):
            self.put.setdefault(batch.key, []).append(batch)

    def _taken(self, batches: list[list[Any]]) -> None:
        for batch in map(batch_of, batches):
            self.acked[batch.key] = max(self.acked.get(batch.key, 1), batch.next_seq)

    def _asks(self, gateway: str | None) -> None:
        if gateway is not None:
            self.is_replacing.add(gateway)

    def _token(self, token: str, gateway: str | None) -> None:
        if gateway is not None:
            self.replaced |= {old for old, its in self.tokens.items() if its == gateway}
            self.is_replacing.discard(gateway)
            self.enrolled.add(gateway)
        self.tokens[token] = gateway

    def _enrolled(self, gateway: str) -> None:
        self.enrolled.add(gateway)

    def check(self, folder: Path, *, thorough: bool) -> None:
        """Open the log and the registry, compare, and use them."""
        try:
            self._check_log(folder / DATA)
            self._check_registry(folder / DATA)
            if thorough:
                self._check_log(folder / DATA, skip=1)
        except BrokenPromiseError:
            raise
        except Exception as error:
            raise BrokenPromiseError(f"the cloud's data do not work: {error!r}") from error

    def _check_log(self, folder: Path, skip: int = 0) -> None:
        log = SqliteBatchLog(folder)
        try:
            for key, put in self.put.items():
                position = (log.next_seq(key.of_epoch) or {}).get(key.stream, StreamState())
                acked = self.acked.get(key, 1)
                _say(position.next_seq >= acked, f"{key.stream}: up to {acked} acknowledged, {position.next_seq} there")
                info = [info for info in log.streams(key.gateway) if info.key == key]
                there = log.read(info[0].id, 1, 10_000) if info else []
                own = [one for one in there if one.payload != b"after"]
                _say([_shown(one) for one in own] == [_shown(one) for one in put[: len(own)]], f"{key}: other batches")
                _say(not there or there[-1].next_seq == position.next_seq, f"{key}: the position is not the last batch")
                after = Batch(key, position.next_seq, position.next_seq + 1, 1, 5, None, 6, Span("b", 1, 1), b"after")
                _say(log.append([after], 1)[0].taken, f"{key}: nothing more is taken")
        finally:
            log.close()

    def _check_registry(self, folder: Path) -> None:
        registry = Registry(folder)
        try:
            for token, gateway in self.tokens.items():
                holder = registry.holder(token)
                if token in self.replaced:
                    _say(holder is None, f"a replaced token of {gateway} works again")
                elif gateway is None or gateway not in self.is_replacing:
                    _say(holder == Holder(gateway), f"a token of {gateway} does not work any more")
            _say(self.enrolled <= registry.gateways(), "a gateway that was enrolled is not known any more")
            token = registry.make_token("after-the-cut")
            _say(registry.holder(token) == Holder("after-the-cut"), "a new token does not work")
        finally:
            registry.close()


def _shown(one: Any) -> tuple[object, ...]:
    return one.first_seq, one.next_seq, one.codec, one.crc32, one.last_crc, one.span, one.payload


def _say(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise BrokenPromiseError(otherwise)
