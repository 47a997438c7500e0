"""What the sensors gave against what the cloud has, value by value.

Knows nothing of store, client or server: one side are the ledgers that the twins wrote at the far end of the
buses, the other is what anybody gets from the cloud over HTTP.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.request import Request, urlopen

PAGE = 50_000


class Tally(NamedTuple):
    """How many values were made at the sources, are in the cloud, are missing there, and are there too often."""

    made: int
    stored: int
    lost: int
    doubled: int

    @property
    def is_even(self) -> bool:
        """Whether everything is there once."""
        return not (self.lost or self.doubled)


def tally(made: Iterable[tuple[str, str]], stored: Iterable[tuple[str, str]]) -> Tally:
    """Compare (channel, value) pairs by how often each occurs."""
    ours, theirs = Counter(made), Counter(stored)
    lost, doubled = (ours - theirs).total(), (theirs - ours).total()
    return Tally(ours.total(), theirs.total(), lost, doubled)


def made(gateway: str, ledger: Path) -> Iterator[tuple[str, str]]:
    """The values in a ledger of twins."""
    with ledger.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield f"{gateway}/{row['device']}.{row['quantity']}", json.dumps(row["value"])


def stored(gateway: str, cloud: str) -> Iterator[tuple[str, str]]:
    """The good values of a gateway in the cloud at that address, through its HTTP API."""
    url: str | None = f"{cloud}/v1/gateways/{gateway}/readings?limit={PAGE}"
    while url:
        with urlopen(Request(url, headers={"Accept": "application/jsonl"}), timeout=60) as reply:  # noqa: S310  # ours
            for line in reply:
                row = json.loads(line)
                if row["value"] is not None:
                    yield f"{gateway}/{row['channel']}", json.dumps(row["value"])
            url = _next(reply.headers.get("Link"), cloud)


def _next(link: str | None, cloud: str) -> str | None:
    """The address in `Link: <…>; rel="next"` (RFC 8288)."""
    if not link or 'rel="next"' not in link:
        return None
    address = link[link.index("<") + 1 : link.index(">")]
    return address if address.startswith("http") else cloud + address
