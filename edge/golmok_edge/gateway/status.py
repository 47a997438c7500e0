"""How the gateway is: the document that `golmok-gateway status --json` prints and the pages read."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from golmok_cloud_sync.client import CourierState
from golmok_cloud_sync.protocol import STREAMS
from golmok_edge import __version__
from golmok_edge.gateway.bus import LocalBus
from golmok_edge.gateway.clock import Clock
from golmok_edge.gateway.health import DeviceState
from golmok_edge.gateway.live import Live, rfc3339
from golmok_edge.gateway.timekeeper import Timekeeper
from golmok_edge.settings import Device, Settings, normal_silence_s
from golmok_edge.store import (
    LANES,
    GroupCommit,
    Lane,
    Refusal,
    Store,
    StoreFullError,
    StoreOverBudgetError,
    StoreReadOnlyError,
    card_of,
)
from golmok_edge.store.wear import AMPLIFICATION, CYCLES

SOFTWARE: Final = f"golmok-gateway {__version__}"
RATE_OVER_S: Final = 60.0
_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (StoreOverBudgetError, "budget"),
    (StoreFullError, "disk-full"),
    (StoreReadOnlyError, "read-only"),
)


class Parts(NamedTuple):
    """What the status is told from."""

    settings: Settings
    clock: Clock
    time: Timekeeper
    store: Store
    group: GroupCommit
    live: Live
    bus: LocalBus | None
    cloud: CourierState | None
    devices: Mapping[str, DeviceState]
    """Those that are not on the local bus."""
    damage: Mapping[str, Any]
    """Stores that were set aside, and blocks that were given up."""
    gaps: list[dict[str, Any]]
    """What is missing just now, and why."""


@dataclass(slots=True)
class Rate:
    """How many a second, over the last minute."""

    clock: Callable[[], float] = time.monotonic
    _counts: deque[tuple[float, int]] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, count: int) -> None:
        """So many more, now."""
        self._forget()
        self._counts.append((self.clock(), count))

    def per_s(self) -> float:
        """The rate now."""
        now_s = self._forget()
        if not self._counts:
            return 0.0
        return round(sum(count for _, count in self._counts) / max(1.0, now_s - self._counts[0][0]), 2)

    def _forget(self) -> float:
        now_s = self.clock()
        while self._counts and self._counts[0][0] < now_s - RATE_OVER_S:
            self._counts.popleft()
        return now_s


def document(parts: Parts, *, is_ready: bool, readings_per_s: float, used_bytes: int) -> dict[str, Any]:
    """The whole status. `used_bytes` is brought, since to ask the store for it is to wait for a commit under way."""
    settings, store = parts.settings, parts.store
    refusing = _refusing(parts)
    return {
        "gateway": settings.site.gateway,
        "name": settings.site.title,
        "software": SOFTWARE,
        "settings_version": settings.version,
        "running": True,
        "ready": is_ready,
        "clock_known": parts.time.is_known,
        "boot": parts.clock.boot,
        "disk_full": refusing is not None and refusing["reason"] in ("disk-full", "budget"),
        "refused": refusing["detail"] if refusing else "",
        "rates": {"readings_per_s": readings_per_s},
        "backlog": {stream: store.tail(stream) - store.acked(stream) for stream in STREAMS},
        "bytes_written": store.bytes_written,
        "store": _store(parts, used_bytes) | {"refusing": refusing, **parts.damage},
        "mqtt": _mqtt(parts.bus) if parts.bus else None,
        "cloud": _cloud(parts, parts.cloud) if parts.cloud else None,
        "devices": _devices(parts),
        "gaps": parts.gaps,
    }


def _store(parts: Parts, used_bytes: int) -> dict[str, Any]:
    store, group = parts.store, parts.group
    return {
        "path": str(parts.settings.store.path),
        "epoch": store.epoch,
        "tail": {stream: store.tail(stream) for stream in STREAMS},
        "used_bytes": used_bytes,
        "max_bytes": parts.settings.store.max_bytes,
        "waiting": group.waiting,
        "commits": group.counts.commits,
        "records": group.counts.records,
        "when_full": store.budgets.when_full,
        "budgets": {
            stream: {"used_bytes": store.used_by(stream), "max_bytes": parts.settings.store.shares.get(stream)}
            for stream in STREAMS
        },
        "evicted_records": store.evicted,
        "last_evicted_s": None if store.evicted_s is None else round(store.evicted_s, 1),
        **_wear(parts),
        "refused_records": group.counts.refused_records,
        "last_commit_s": round(group.counts.last_commit_s, 4),
    }


def _wear(parts: Parts) -> dict[str, Any]:
    """What the card takes, and how long it lasts so. `card` says on what that stands."""
    wear = parts.store.wear
    card = card_of(parts.settings.store.path, parts.settings.store.card_endurance_bytes)
    return {
        "written_today": wear.today,
        "bytes_per_day": wear.per_day,
        "card_years": card.years(wear.per_day),
        "card": {
            "size_bytes": card.size_bytes,
            "endurance_bytes": card.endurance_bytes,
            "assumed": f"size x {CYCLES:,} cycles / {AMPLIFICATION}" if card.is_assumed else "",
            "sure": wear.is_sure,
        },
    }


def _refusing(parts: Parts) -> dict[str, Any] | None:
    """What is not taken now, since when and why: the most urgent lane's reason; None if all is."""
    refusals: dict[Lane, Refusal] = dict(parts.group.refusals)
    lanes = [lane for lane in LANES if lane in refusals]
    if not lanes:
        return None
    for_s = max(parts.group.refused_s(lane) or 0.0 for lane in lanes)
    now_ms, error = parts.time.now_ms(), refusals[lanes[0]].error
    return {
        "lanes": lanes,
        "reason": next((reason for kind, reason in _REASONS if isinstance(error, kind)), "error"),
        "detail": str(error),
        "for_s": round(for_s, 1),
        "since": None if now_ms is None else rfc3339(now_ms - round(for_s * 1000)),
        "records": sum(refusals[lane].records for lane in lanes),
    }


def _mqtt(bus: LocalBus) -> dict[str, Any]:
    counts = bus.counts
    return {
        "connected": bus.is_connected,
        "caught_up": bus.is_caught_up,
        "detail": bus.trouble,
        "messages": counts.messages,
        "duplicates": counts.duplicates,
        "bad": counts.bad,
        "foreign": counts.foreign,
        "held": bus.held,
    }


def _cloud(parts: Parts, state: CourierState) -> dict[str, Any]:
    assert parts.settings.cloud is not None
    last = state.last_success_mono_ms
    return {
        "url": parts.settings.cloud.url,
        "state": state.state,
        "reachable": state.state == "connected",
        "detail": state.detail,
        "last_ok_s": None if last is None else round((parts.clock.mono_ms() - last) / 1000, 1),
        "requests": state.requests,
        "failures": state.failures,
        "sent_bytes": state.sent_bytes,
        "pace_s": state.pace_s,
        "forks": state.forks,
    }


def _devices(parts: Parts) -> list[dict[str, Any]]:
    said = _said(parts.live)
    rows = []
    for device in parts.settings.devices:
        channels = said.get(device.name, [])
        age_s = min((row["age_s"] for row in channels if row["age_s"] is not None), default=None)
        row = {"name": device.name, "driver": device.driver, "bus": device.bus or "mqtt", "age_s": age_s}
        state = parts.devices.get(device.name)
        flood = parts.bus.floods.states.get(device.name) if parts.bus else None
        if flood and flood.state == "bad":
            state = flood
        told = _told(parts, state) if state else _on_the_bus(channels)
        rows.append(row | told | (_SILENT if _is_silent(device, age_s) and told["state"] != "bad" else {}))
    return rows


_SILENT: Final[dict[str, str]] = {"state": "bad", "reason": "silent", "detail": ""}


def _is_silent(device: Device, age_s: float | None) -> bool:
    """Whether one that speaks by itself has been silent for longer than it ever is."""
    silence_s = None if device.interval_s is not None else normal_silence_s(device)
    return silence_s is not None and age_s is not None and age_s > silence_s


def _told(parts: Parts, state: DeviceState) -> dict[str, Any]:
    again = state.next_attempt_mono_ms
    return {
        "state": state.state,
        "reason": state.reason,
        "detail": state.detail,
        "part": state.part,
        "serial": state.serial,
        "readings": state.readings,
        "failures": state.failures,
        "restarts": state.restarts,
        "since_s": _ago_s(parts, state.since_mono_ms),
        "next_attempt_s": None if again is None else max(0.0, (again - parts.clock.mono_ms()) / 1000),
        "left_behind": state.left_behind,
        "last_trouble": _last_trouble(parts, state),
    }


def _last_trouble(parts: Parts, state: DeviceState) -> dict[str, Any] | None:
    if state.last_trouble is None:
        return None
    reason, detail, mono_ms = state.last_trouble
    return {"reason": reason, "detail": detail, "ago_s": _ago_s(parts, mono_ms)}


def _ago_s(parts: Parts, mono_ms: int | None) -> float | None:
    return None if mono_ms is None else max(0.0, (parts.clock.mono_ms() - mono_ms) / 1000)


def _on_the_bus(channels: list[dict[str, Any]]) -> dict[str, Any]:
    for state in ("bad", "uncertain"):
        if reason := next((row["reason"] or "error" for row in channels if row["quality"] == state), ""):
            return {"state": state, "reason": reason, "detail": ""}
    return {"state": "good" if channels else "starting", "reason": "", "detail": ""}


def _said(live: Live) -> dict[str, list[dict[str, Any]]]:
    """The newest value of each channel, by device."""
    said: dict[str, list[dict[str, Any]]] = {}
    for row in live.rows():
        said.setdefault(row["channel"].partition(".")[0], []).append(row)
    return said
