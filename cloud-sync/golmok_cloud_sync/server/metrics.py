"""What the server counts, as Prometheus reads it (text format 0.0.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

REASONS: Final = ("full", "gateway", "slow")
"""Why a request is turned away: no room; another one of its store is under way; its body came too slowly."""
MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Queue:
    """Requests that were let in and are not answered yet."""

    requests: int = 0
    bytes: int = 0
    age_s: float = 0.0
    """How long the oldest has waited for its turn."""
    turned_away: Mapping[str, int] = field(default_factory=dict)
    """Since the start, by reason."""


@dataclass
class Metrics:
    """Counters of the sync endpoint, since the start of the process."""

    requests: Counter[int] = field(default_factory=Counter)
    """Requests by HTTP status."""
    parts: Counter[str] = field(default_factory=Counter)
    """Parts by what became of them."""
    records: Counter[str] = field(default_factory=Counter)
    """Records taken, by stream."""
    bytes: int = 0
    """Bytes of request bodies."""
    urgent: int = 0
    """Requests that went before others."""
    queue: Queue = field(default_factory=Queue)
    """What is under way now."""


def _lines(name: str, kind: str, help_text: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"
    for labels, value in values.items():
        yield f"{name}{labels} {value}\n"


def _labelled(label: str, values: Mapping[str, int] | Mapping[int, int]) -> dict[str, float]:
    return {f'{{{label}="{key}"}}': value for key, value in sorted(values.items())}


def render(metrics: Metrics, states: Mapping[str, int], watchers: int, commits: int, failures: int) -> str:
    """The document at `/metrics`."""
    turned_away = {reason: metrics.queue.turned_away.get(reason, 0) for reason in REASONS}
    rows: list[tuple[str, str, str, Mapping[str, float]]] = [
        ("golmok_sync_requests_total", "counter", "Sync requests by status.", _labelled("status", metrics.requests)),
        ("golmok_sync_parts_total", "counter", "Frames and voids by verdict.", _labelled("verdict", metrics.parts)),
        ("golmok_records_total", "counter", "Records taken.", _labelled("stream", metrics.records)),
        ("golmok_sync_bytes_total", "counter", "Bytes of request bodies.", {"": metrics.bytes}),
        ("golmok_commits_total", "counter", "Transactions of the log.", {"": commits}),
        ("golmok_commit_failures_total", "counter", "Transactions that failed.", {"": failures}),
        ("golmok_queue_requests", "gauge", "Requests that wait for their answer.", {"": metrics.queue.requests}),
        ("golmok_queue_bytes", "gauge", "What they take of the memory.", {"": metrics.queue.bytes}),
        ("golmok_queue_age_seconds", "gauge", "How long the oldest waits for its turn.", {"": metrics.queue.age_s}),
        ("golmok_turned_away_total", "counter", "Requests answered 429.", _labelled("reason", turned_away)),
        ("golmok_urgent_requests_total", "counter", "Requests that went before others.", {"": metrics.urgent}),
        ("golmok_gateways", "gauge", "Gateways by state.", _labelled("state", states)),
        ("golmok_watchers", "gauge", "Pages that watch live.", {"": watchers}),
    ]  # fmt: skip
    return "".join(line for row in rows for line in _lines(*row))
