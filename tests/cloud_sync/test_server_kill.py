"""The server is killed (-9) between requests and in the middle of a storm of them: nothing acknowledged is lost."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import httpx

from golmok_cloud_sync.protocol import Verdict
from tests.cloud_sync.server_support import CloudProcess, Sender, anchor, readings, wait_until

STORES = 4
RECORDS = 1_500
KILLS = 3


def test_killed_between_requests_it_goes_on_where_it_was(tmp_path: Path) -> None:
    cloud = CloudProcess(tmp_path / "data")
    with cloud.client() as client:
        sender = Sender(client)
        sender.record("readings", readings(60))
        sender.record("events", [anchor()])
        sender.sync([sender.frame("readings", 1, 21), sender.frame("events", 1, 2)])
        before = sender.client.get(sender.path).json()
        cloud.kill()
        cloud.restart()
        after = sender.client.get(sender.path).json()
        assert (after["latest"], after["channels"]) == (before["latest"], 1)
        assert after["stores"][0]["streams"]["readings"]["next_seq"] == 21
        assert after["last_contact"] is not None
        assert sender.sync().streams["readings"].next_seq == 21
        again = sender.sync([sender.frame("readings", 1, 21), sender.frame("readings", 21, 61)])
        assert [r.verdict for r in again.results] == [Verdict.DUPLICATE, Verdict.APPLY]
        assert [line["value"] for line in sender.query("readings")] == [r.value for r in readings(60)]
    cloud.kill()


def test_killed_in_a_storm_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    """Each store sends as fast as it can, cutting anew after every failure; some requests are sent twice at once."""
    cloud = CloudProcess(tmp_path / "data")
    acked = [1] * STORES
    is_up = threading.Event()
    is_up.set()
    failures = [0] * STORES
    senders = [_storm_sender(i) for i in range(STORES)]
    threads = [
        threading.Thread(target=_storm, args=(cloud, is_up, sender, acked, failures, i), daemon=True)
        for i, sender in enumerate(senders)
    ]
    for thread in threads:
        thread.start()
    for kill in range(1, KILLS + 1):
        goal = STORES * RECORDS * kill // (KILLS + 2)
        wait_until(lambda goal=goal: sum(acked) > goal, f"{goal} are acknowledged", 60)  # type: ignore[misc]
        is_up.clear()
        cloud.kill()
        promised = list(acked)
        cloud.restart()
        is_up.set()
        with cloud.client() as client:
            for sender, least in zip(senders, promised, strict=True):
                assert _with(sender, client).sync().streams["readings"].next_seq >= least
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert sum(failures) >= KILLS
    with cloud.client() as client:
        for sender in senders:
            found = [line["value"] for line in _with(sender, client).query("readings")]
            assert found == [r.value for r in sender.records["readings"]]
    cloud.kill()


def _storm_sender(i: int) -> Sender:
    sender = Sender(httpx.Client(), f"gw-storm-{i}")
    sender.record("readings", readings(RECORDS, start=i * RECORDS))
    return sender


def _with(sender: Sender, client: httpx.Client) -> Sender:
    return Sender(client, sender.gateway, sender.store, sender.epoch, records=sender.records)


def _storm(
    cloud: CloudProcess, is_up: threading.Event, sender: Sender, acked: list[int], failures: list[int], i: int
) -> None:
    random_ = random.Random(i)
    while acked[i] <= RECORDS:
        try:
            with cloud.client() as client:
                mine = _with(sender, client)
                while acked[i] <= RECORDS:
                    hi = min(acked[i] + random_.randint(1, 40), RECORDS + 1)
                    parts = [mine.frame("readings", acked[i], hi)]
                    if random_.random() < 0.1:
                        parts.append(parts[0])
                    reply = mine.sync(parts)
                    acked[i] = max(acked[i], reply.streams["readings"].next_seq)
        except httpx.TransportError:
            failures[i] += 1
            is_up.wait(60)
