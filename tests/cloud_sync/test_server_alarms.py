"""Alarms in the cloud, through the real server: listed, told over kill -9, and of gateways that are silent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from golmok_cloud_sync.protocol import Record
from golmok_cloud_sync.protocol.alarms import Alarm, event
from tests.cloud_sync.server_support import CloudProcess, Sender, anchor, run_cli, wait_until
from tests.cloud_sync.test_notify import Browser, Receiver

ALARM = Alarm("a1", "fridge.temperature", "raised", "high", "warning", "fridge.temperature", "냉장고", 12.0, "Cel", 8.0)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as one:
        yield one
        one.shutdown()


def served(folder: Path, receiver: Receiver, *, more: str = "") -> CloudProcess:
    config = folder / "notify.toml"
    config.write_text(f'{more}\n[[webhook]]\nurl = "{receiver.url}"\n[push]\ncontact = "mailto:a@example.com"\n')
    return CloudProcess(folder / "cloud", "--open-enrolment", "--notify", str(config))


def told(receiver: Receiver) -> list[tuple[str, str]]:
    """Which steps came, each id once, in their order."""
    documents = {headers["golmok-notice"]: json.loads(body) for headers, body in receiver.posts if b"gateway" in body}
    return [(one["alarm"]["id"], one["alarm"]["state"]) for one in documents.values()]


def now_anchor() -> Record:
    return anchor(0, time.time_ns() // 1_000_000)


def send(sender: Sender, *events: Record) -> None:
    """These, behind all that was sent before."""
    first = len(sender.records.get("events", [])) + 1
    sender.record("events", events)
    reply = sender.sync([sender.frame("events", first, first + len(events))])
    assert reply.streams["events"].next_seq == first + len(events)


def say(sender: Sender, *alarms: Alarm, mono_ms: int = 100) -> None:
    send(sender, *(event(alarm, "boot", mono_ms) for alarm in alarms))


def test_alarms_are_listed_and_told_in_order_over_a_kill(tmp_path: Path, receiver: Receiver) -> None:
    cloud = served(tmp_path, receiver)
    try:
        with cloud.client() as client:
            sender = Sender(client)
            send(sender, now_anchor())
            receiver.answers = [503]  # the first time nobody is at home
            say(sender, ALARM)
            wait_until(lambda: bool(receiver.posts), "a first try")
        cloud.kill()
        cloud.start()
        with cloud.client() as client:
            wait_until(lambda: told(receiver) == [("a1", "raised")] and len(receiver.posts) >= 2, "the second try")
            sender.client = client
            (row,) = client.get("/v1/alarms").json()["alarms"]
            assert (row["gateway"], row["state"], row["value"]) == (sender.gateway, "raised", 12.0)
            assert row["text"]["ko"] == "냉장고 온도 12.0 °C: 8.00 °C보다 높음"
            assert row["ts"] is not None
            say(sender, ALARM._replace(state="acknowledged", is_acknowledged=True, by="민지"), mono_ms=200)
            say(sender, ALARM._replace(state="cleared"), mono_ms=300)
            wait_until(lambda: ("a1", "cleared") in told(receiver), "the end")
            assert client.get("/v1/alarms").json()["alarms"] == []
            (row,) = client.get(f"/v1/gateways/{sender.gateway}/alarms").json()["alarms"]
            assert row["state"] == "cleared"
        cloud.kill()
        cloud.start()
        with cloud.client() as client:
            time.sleep(2)
            assert client.get("/v1/alarms").json()["alarms"] == []
            assert client.get("/v1/alarms").json()["notices"]["waiting"] == 0
    finally:
        cloud.stop()
    states = [state for _, state in told(receiver)]
    assert states[0] == "raised"
    assert states[-1] == "cleared"
    ids = [headers["idempotency-key"] for headers, _ in receiver.posts]
    assert len(ids) - len(set(ids)) <= 2  # the one that was refused, and at most one whose answer a kill took along


def test_a_silent_gateway_is_an_alarm_until_it_calls(tmp_path: Path, receiver: Receiver) -> None:
    cloud = served(tmp_path, receiver, more="silent_after_s = 2")
    try:
        with cloud.client() as client:
            sender = Sender(client)
            sender.sync()
            wait_until(lambda: bool(client.get("/v1/alarms").json()["alarms"]), "the alarm")
            (row,) = client.get("/v1/alarms").json()["alarms"]
            assert (row["gateway"], row["what"], row["severity"]) == (sender.gateway, "gateway-silent", "critical")

            def is_over() -> bool:
                sender.sync()
                return not client.get("/v1/alarms").json()["alarms"]

            wait_until(is_over, "the end of the alarm")
            wait_until(lambda: [state for _, state in told(receiver)][:2] == ["raised", "cleared"], "both were told")
    finally:
        cloud.stop()


def test_what_a_gateway_no_longer_knows_at_its_start_is_over(tmp_path: Path, receiver: Receiver) -> None:
    cloud = served(tmp_path, receiver)
    try:
        with cloud.client() as client:
            sender = Sender(client)
            send(sender, now_anchor())
            say(sender, ALARM, ALARM._replace(id="a2", rule="oven"))
            wait_until(lambda: len(client.get("/v1/alarms").json()["alarms"]) == 2, "both")
            send(sender, Record("gateway.start", json.dumps({"open_alarms": ["a2"]}), "", "boot", 900))
            wait_until(lambda: len(client.get("/v1/alarms").json()["alarms"]) == 1, "one of them over")
            found = client.get(f"/v1/gateways/{sender.gateway}/alarms").json()["alarms"]
            assert [(row["id"], row["state"], row["by"]) for row in found] == [
                ("a2", "raised", ""),
                ("a1", "cleared", "restart"),
            ]
    finally:
        cloud.stop()


def test_a_browser_subscribes_and_is_told(tmp_path: Path, receiver: Receiver) -> None:
    cloud = served(tmp_path, receiver)
    try:
        with cloud.client() as client:
            assert len(client.get("/v1/push/key").json()["key"]) == 87
            browser = Browser(receiver.url.replace("/hook", "/push"))
            subscription: dict[str, Any] = {**browser.subscription, "expirationTime": None}
            assert client.post("/v1/push/subscriptions?language=en", json=subscription).status_code == 201
            assert client.post("/v1/push/subscriptions", json={"endpoint": "ftp://x"}).status_code == 400
            sender = Sender(client)
            send(sender, now_anchor())
            say(sender, ALARM)
            wait_until(lambda: any(b"gateway" not in body for _, body in receiver.posts), "the push")
            body = next(body for _, body in receiver.posts if b"gateway" not in body)
            assert browser.read(body)["title"].startswith("[Warning]")
            gone = client.delete("/v1/push/subscriptions", params={"endpoint": subscription["endpoint"]})
            assert gone.status_code == 204
    finally:
        cloud.stop()


def test_without_notify_alarms_are_listed_all_the_same(cloud_client: httpx.Client, sender: Sender) -> None:
    send(sender, now_anchor())
    say(sender, ALARM._replace(id="b1"))
    wait_until(lambda: bool(cloud_client.get(f"/v1/gateways/{sender.gateway}/alarms").json()["alarms"]), "the alarm")
    assert cloud_client.get("/v1/push/key").json() == {"key": None}
    assert cloud_client.get("/v1/gateways/nobody/alarms").status_code == 404


def test_wrong_notify_settings_are_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "notify.toml").write_text("[[webhook]]\n")
    done = run_cli("serve", "--data", str(tmp_path / "c"), "--notify", str(tmp_path / "notify.toml"))
    assert done.returncode == 2
    assert "url" in done.stderr


def test_what_somebody_has_seen_is_said_to_the_gateway_until_it_says_so_itself(
    tmp_path: Path, receiver: Receiver
) -> None:
    cloud = served(tmp_path, receiver)
    try:
        with cloud.client() as client:
            sender = Sender(client)
            send(sender, now_anchor())
            say(sender, ALARM)
            path = f"/v1/gateways/{sender.gateway}/alarms/a1/acknowledge"
            wait_until(lambda: client.post(path, json={"by": "김지훈"}).status_code == 202, "the alarm is known")
            for wrong in ({}, {"by": ""}, {"by": "x" * 101}, {"by": 1}):
                assert client.post(path, json=wrong).status_code == 422
            assert client.post(path.replace("a1", "a2"), json={"by": "x"}).status_code == 404
            command = {"do": "acknowledge", "alarm": "a1", "by": "김지훈"}
            assert list(sender.sync().commands) == [command]
        cloud.kill()
        cloud.start()
        with cloud.client() as client:
            sender.client = client
            wait_until(lambda: list(sender.sync().commands) == [command], "it is said again, over a kill")
            say(sender, ALARM._replace(state="acknowledged", by="김지훈", is_acknowledged=True), mono_ms=200)
            wait_until(lambda: not sender.sync().commands, "the gateway has heard it")
    finally:
        cloud.kill()


def test_a_gateway_that_is_silent_is_acknowledged_here(tmp_path: Path, receiver: Receiver) -> None:
    cloud = served(tmp_path, receiver, more="silent_after_s = 1")
    try:
        with cloud.client() as client:
            sender = Sender(client)
            sender.sync()
            wait_until(lambda: bool(client.get("/v1/alarms").json()["alarms"]), "the alarm")
            (row,) = client.get("/v1/alarms").json()["alarms"]
            path = f"/v1/gateways/{sender.gateway}/alarms/{row['id']}/acknowledge"
            told = client.post(path, json={"by": "운영자"}).json()
            assert (told["state"], told["by"], told["is_acknowledged"], told["seen_by"]) == (
                "acknowledged", "운영자", True, "",
            )  # fmt: skip
    finally:
        cloud.kill()
