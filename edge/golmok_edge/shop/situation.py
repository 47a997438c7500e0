"""How the gateway is, out of its status document: the few facts that an owner can do something about."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from golmok_cloud_sync.protocol.alarms import Alarm
from golmok_edge.shop.link import Row

_CULPRITS: Final = {"hangs": "driver", "raises": "driver", "leaks": "driver", "nonsense": "driver", "floods": "floods"}
"""The gateway's reason -> what is wrong, for the owner: the program that reads a device, or the device itself."""


class Situation(NamedTuple):
    """What the status says."""

    is_clock_known: bool = True
    is_broker_up: bool = True
    is_disk_full: bool = False
    is_budget_full: bool = False
    """The disk has room, but what waits for the cloud has all that it may have."""
    is_disk_broken: bool = False
    """The disk refuses to write."""
    is_damaged: bool = False
    """A store was found damaged and set aside not long ago."""
    is_evicting: bool = False
    """The oldest unsent readings make room for new ones."""
    card_years: float | None = None
    """How long a new card lasts at this rate; None while that cannot be said."""
    has_cloud: bool = True
    is_cloud_up: bool | None = None
    """None until it was first tried."""
    cloud_age_s: float | None = None
    """How long ago the cloud last took something; None if it never did."""
    backlog: int = 0
    culprits: Mapping[str, str] = MappingProxyType({})
    """Device -> `driver` or `floods`, for those that the gateway lets rest so that the others are not held up."""
    alarms: tuple[Alarm, ...] = ()
    """Those that stand."""


_EVICTING_S: Final = 3_600.0


def situation(status: Row) -> Situation:
    """The facts in a status document."""
    cloud: dict[str, Any] = status["cloud"] or {}
    store: dict[str, Any] = status["store"]
    refused: str = (store["refusing"] or {}).get("reason", "")
    evicted_s: float | None = store["last_evicted_s"]
    return Situation(
        is_clock_known=status["clock_known"],
        is_broker_up=status["mqtt"] is None or status["mqtt"]["connected"],
        is_disk_full=refused == "disk-full",
        is_budget_full=refused == "budget",
        is_disk_broken=refused in ("read-only", "error"),
        is_damaged=any(one["recent"] for one in store["set_aside"]),
        is_evicting=evicted_s is not None and evicted_s < _EVICTING_S,
        card_years=store["card_years"] if store["card"]["sure"] else None,
        has_cloud=bool(cloud),
        is_cloud_up=None if cloud.get("state") == "starting" else cloud.get("reachable"),
        cloud_age_s=cloud.get("last_ok_s"),
        backlog=sum(status["backlog"].values()),
        culprits={
            row["name"]: _CULPRITS[row["reason"]]
            for row in status["devices"]
            if row["state"] == "bad" and row["reason"] in _CULPRITS
        },
        alarms=tuple(Alarm(**{name: row[name] for name in Alarm._fields}) for row in status.get("alarms", ())),
    )
