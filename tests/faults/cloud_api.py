"""What anybody gets from the cloud over HTTP, as plain rows."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from typing import Any, Final
from urllib.request import urlopen

_PAGE: Final = 50_000
_PATIENCE_S: Final = 60.0
_NEXT: Final = re.compile(r'<(?:http://[^/]*)?([^>]*)>; rel="next"')


@dataclass(frozen=True, slots=True)
class Row:
    """A record as the cloud shows it. Times are seconds since 1970, None where the cloud says null."""

    store: str
    epoch: str
    seq: int
    channel: str
    value: Any
    unit: str
    quality: str
    ts: float | None
    ts_min: float | None = None
    ts_max: float | None = None


@dataclass(frozen=True, slots=True)
class GapLine:
    """A line of the gap ledger."""

    reason: str
    channel: str | None
    counts: dict[str, int | None]
    begin: float | None
    end: float | None
    store: str = ""
    epoch: str = ""
    stream: str = "events"
    seq: int = 0
    seq_end: int = 0

    def is_of(self, channel: str) -> bool:
        """Whether it tells of that channel."""
        return self.channel == channel or channel in self.counts or (self.channel is None and not self.counts)


def readings(url: str, gateway: str) -> list[Row]:
    """All readings of a gateway, in the order in which the cloud gives them."""
    return [_row(line) for line in _lines(url, f"/v1/gateways/{gateway}/readings?limit={_PAGE}")]


def gaps(url: str, gateway: str) -> list[GapLine]:
    """The gap ledger of a gateway."""
    return [_gap(line) for line in _lines(url, f"/v1/gateways/{gateway}/gaps?limit={_PAGE}")]


def _lines(url: str, path: str | None) -> Iterator[dict[str, Any]]:
    while path:
        body, link = _page(url + path)
        yield from map(json.loads, filter(None, body.split(b"\n")))
        found = _NEXT.search(link)
        path = found[1] if found else None


def _page(url: str) -> tuple[bytes, str]:
    """A page and its `Link`. A fault of another shop may end the cloud just now: then it is asked again."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with urlopen(url, timeout=60) as reply:
                return reply.read(), reply.headers.get("Link") or ""
        except (OSError, HTTPException):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def _row(line: dict[str, Any]) -> Row:
    return Row(
        line["store"], line["epoch"], line["seq"], line["channel"], line["value"], line["unit"], line["quality"],
        _time(line["ts"]), _time(line.get("ts_min")), _time(line.get("ts_max")),
    )  # fmt: skip


def _gap(line: dict[str, Any]) -> GapLine:
    return GapLine(
        line["reason"], line["channel"], line["counts"] or {}, _time(line["from"]), _time(line["to"]),
        line["store"], line["epoch"], line["stream"], line["seq"], line["seq_end"],
    )  # fmt: skip


def _time(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
