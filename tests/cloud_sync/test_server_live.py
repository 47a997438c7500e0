"""Pages hear at once of what is new, and a gateway that is watched calls more often."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from golmok_cloud_sync.protocol import Record
from tests.cloud_sync.server_support import CloudProcess, Sender, anchor, readings, wait_until

Event = tuple[str, dict[str, Any]]


@contextmanager
def watch(cloud: CloudProcess, gateway: str | None) -> Iterator[Iterator[Event]]:
    parameters = {} if gateway is None else {"gateway": gateway}
    with cloud.client() as client, client.stream("GET", "/v1/live", params=parameters) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield _events(response)


def _events(response: httpx.Response) -> Iterator[Event]:
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_a_connection_begins_with_all_that_is_known_and_hears_what_is_new(cloud: CloudProcess, sender: Sender) -> None:
    sender.record("events", [anchor()])
    sender.record("readings", readings(10))
    sender.send_all()
    with watch(cloud, sender.gateway) as events:
        name, gateway = next(events)
        assert (name, gateway["gateway"], gateway["state"]) == ("gateway", sender.gateway, "online")
        expected = {
            "gateway": sender.gateway, "channel": "fridge.temperature", "ts": "2025-06-15T15:06:49.000Z",
            "value": 0.09, "unit": "Cel", "quality": "good", "reason": "",
        }  # fmt: skip
        assert next(events) == ("value", expected)
        sender.record("readings", readings(1, start=500))
        sender.sync([sender.frame("readings", 11, 12)])
        name, gateway = next(events)
        assert (name, gateway["pace_s"]) == ("gateway", 2)
        assert next(events) == ("value", {**expected, "value": 5.0, "ts": "2025-06-15T15:15:00.000Z"})


def test_live_values_are_heard_though_a_backlog_waits(cloud: CloudProcess, sender: Sender) -> None:
    sender.record("readings", readings(10))
    sender.sync()
    with watch(cloud, sender.gateway) as events:
        assert next(events)[0] == "gateway"
        sender.latest = [Record("plug.power", 12.5, "W", "boot", 10**9)]
        sender.sync()
        found = [next(events), next(events)]
        assert found[1][1]["value"] == 12.5


def test_who_is_watched_is_asked_to_call_often(cloud: CloudProcess, sender: Sender) -> None:
    other = Sender(sender.client)
    sender.sync()
    with watch(cloud, sender.gateway) as events:
        next(events)
        assert sender.sync().pace_s == 2
        assert other.sync().pace_s == 60
    wait_until(lambda: sender.sync().pace_s == 60, "nobody watches any more")


def test_all_gateways_can_be_watched_at_once(cloud: CloudProcess, sender: Sender) -> None:
    other = Sender(sender.client)
    with watch(cloud, None) as events:
        sender.sync()
        other.sync()
        heard: set[str] = set()
        while {sender.gateway, other.gateway} - heard:
            heard.add(next(events)[1]["gateway"])
        assert 2 <= sender.sync().pace_s <= 60
    wait_until(lambda: sender.sync().pace_s == 60, "nobody watches any more")
