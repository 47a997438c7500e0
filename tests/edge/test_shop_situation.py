from __future__ import annotations

from typing import Any

import pytest

from golmok_edge.shop.situation import Situation, situation
from tests.edge.shop_support import STATUS


def store(**changes: Any) -> dict[str, Any]:
    return {"store": STATUS["store"] | changes}


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({}, {}),
        ({"clock_known": False}, {"is_clock_known": False}),
        (store(refusing={"reason": "disk-full"}), {"is_disk_full": True}),
        (store(refusing={"reason": "budget"}), {"is_budget_full": True}),
        (store(refusing={"reason": "read-only"}), {"is_disk_broken": True}),
        (store(refusing={"reason": "error"}), {"is_disk_broken": True}),
        (store(set_aside=[{"recent": True}]), {"is_damaged": True}),
        (store(set_aside=[{"recent": False}]), {}),
        (store(last_evicted_s=60.0), {"is_evicting": True}),
        (store(last_evicted_s=4_000.0), {}),
        (store(card_years=None), {"card_years": None}),
        (store(card={"sure": False}), {"card_years": None}),
        ({"mqtt": {"connected": False}}, {"is_broker_up": False}),
        ({"mqtt": None}, {}),
        ({"cloud": None}, {"has_cloud": False, "is_cloud_up": None, "cloud_age_s": None}),
        (
            {"cloud": {"state": "starting", "reachable": False, "last_ok_s": None}},
            {"is_cloud_up": None, "cloud_age_s": None},
        ),
        (
            {"cloud": {"state": "unreachable", "reachable": False, "last_ok_s": 70.0}},
            {"is_cloud_up": False, "cloud_age_s": 70.0},
        ),
        ({"devices": [{"name": "fridge", "state": "bad", "reason": "hangs"}]}, {"culprits": {"fridge": "driver"}}),
        ({"devices": [{"name": "plug", "state": "bad", "reason": "floods"}]}, {"culprits": {"plug": "floods"}}),
        ({"devices": [{"name": "hall", "state": "bad", "reason": "nack"}]}, {}),
        ({"devices": [{"name": "hall", "state": "good", "reason": ""}]}, {}),
        ({"backlog": {"readings": 1200, "events": 34}}, {"backlog": 1234}),
    ],
)
def test_the_facts_an_owner_can_act_on(changes: dict[str, Any], facts: dict[str, Any]) -> None:
    usual = Situation(is_cloud_up=True, cloud_age_s=2.0, backlog=12, card_years=8.7)
    assert situation(STATUS | changes) == usual._replace(**facts)
