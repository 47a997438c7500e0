"""How the gateway is, out of its status document: the few facts that an owner can do something about."""

from __future__ import annotations

from typing import Any, NamedTuple

from golmok_edge.shop.link import Row


class Situation(NamedTuple):
    """What the status says; None where it does not say."""

    is_clock_known: bool = True
    is_broker_up: bool = True
    is_disk_full: bool = False
    has_cloud: bool = True
    is_cloud_up: bool | None = None
    cloud_age_s: float | None = None
    """How long ago the cloud last took something; None if it never did."""
    backlog: int = 0


def situation(status: Row) -> Situation:
    """The facts in a status document."""
    cloud: dict[str, Any] = status.get("cloud") or {}
    return Situation(
        is_clock_known=status.get("clock_known", True),
        is_broker_up=(status.get("mqtt") or {}).get("connected", True),
        is_disk_full=status.get("disk_full", False),
        has_cloud=bool(cloud),
        is_cloud_up=cloud.get("reachable"),
        cloud_age_s=cloud.get("last_ok_s"),
        backlog=sum((status.get("backlog") or {}).values()),
    )
