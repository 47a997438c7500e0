"""The records of a store as lines that other programs read: JSON, or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from golmok_cloud_sync.protocol import Anchor, Anchors
from golmok_cloud_sync.protocol.record import STREAMS, Record

from .reader import Reader

COLUMNS: Final = ("stream", "seq", "ts", "channel", "value", "unit", "quality", "reason", "boot", "mono_ms")
_ANCHOR: Final = "clock.anchor"


def export(reader: Reader, target: Path, kind: str) -> int:
    """Write all records of the store to `target` as `kind`, jsonl or csv; how many. Raises OSError, `StoreError`."""
    write: Callable[[IO[str], Iterator[dict[str, Any]]], int] = _csv if kind == "csv" else _jsonl
    with target.open("w", encoding="utf-8", newline="") as out:
        return write(out, _rows(reader))


def _jsonl(out: IO[str], rows: Iterator[dict[str, Any]]) -> int:
    lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    return sum(1 for line in lines if out.write(line))


def _csv(out: IO[str], rows: Iterator[dict[str, Any]]) -> int:
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    return sum(1 for row in rows if writer.writerow(row))


def _rows(reader: Reader) -> Iterator[dict[str, Any]]:
    boots: dict[str, Anchors] = {}
    for found in reader.find(_ANCHOR, "events"):
        if anchor := _anchor(found.record):
            boots.setdefault(found.record.boot, Anchors()).add(anchor)
    for stream in STREAMS:
        for seq, record in reader.everything(stream):
            yield {
                "stream": stream,
                "seq": seq,
                "ts": _ts(record, boots),
                "channel": record.channel,
                "value": record.value,
                "unit": record.unit,
                "quality": record.quality,
                "reason": record.reason,
                "boot": record.boot,
                "mono_ms": record.mono_ms,
            }


def _anchor(record: Record) -> Anchor | None:
    try:
        said = json.loads(str(record.value))
        return Anchor(int(said["mono_ms"]), int(said["wall_ms"]), int(said["error_ms"]))
    except (ValueError, KeyError, TypeError):
        return None


def _ts(record: Record, boots: dict[str, Anchors]) -> str | None:
    """When it was, where that is known; never a guess."""
    wall_ms = record.wall_ms
    if wall_ms is None and record.waited_ms == 0 and record.boot in boots:
        wall_ms = boots[record.boot].wall_ms(record.mono_ms)
    if wall_ms is None:
        return None
    try:
        return datetime.fromtimestamp(wall_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None
