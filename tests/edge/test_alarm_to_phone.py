"""From a warm fridge to a phone and back: real gateway, cloud, mail server, webhook and push service, as in a shop.

Told by all three ways; told again while nobody has seen it; acknowledged at the cloud, which the gateway hears with its
next call; and over when the fridge is cold again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from golmok_cloud_sync.protocol.alarms import parse
from golmok_edge.gateway.cli import ask
from golmok_edge.settings import load
from golmok_edge.store import Reader
from tests.cloud_sync.test_notify import Browser, Mailbox, Receiver, mailbox, receiver
from tests.edge.running import Cloud, Gateway, until

__all__ = ["mailbox", "receiver"]  # fixtures

SETTINGS = """
[site]
gateway = "gw-1"
name = "한옥카페"
[store]
path = "var"
commit_interval_s = 0.05
[cloud]
url = "{url}"
interval_s = 0.5

[[device]]
name = "fridge"
title = "음료 냉장고"
driver = "ds18b20"
bus = "sim+w1://day.toml"
address = "28-00000a1b2c3d"
interval_s = 0.2

[[rule]]
name = "fridge-warm"
kind = "limit"
channel = "fridge.temperature"
high = 8.0
for_s = 0.5
hysteresis = 1.0
escalate_s = 1.0
"""
DAY = '[device.fridge.signal.temperature]\nkind = "constant"\nvalue = {celsius}\n'
NOTIFY = """
[[email]]
host = "127.0.0.1"
port = {port}
security = "none"
from = "golmok@example.com"
to = ["owner@example.com"]
[[webhook]]
url = "{hook}"
[push]
contact = "mailto:a@example.com"
"""


def steps(receiver: Receiver) -> list[str]:
    """What the webhook heard, in its order."""
    return [json.loads(body)["alarm"]["state"] for _, body in receiver.posts if b'"alarm"' in body]


@pytest.mark.timeout(240)
def test_an_alarm_reaches_a_phone_is_seen_there_and_ends(
    tmp_path: Path, mailbox: tuple[Mailbox, int], receiver: Receiver
) -> None:
    box, port = mailbox
    (tmp_path / "notify.toml").write_text(NOTIFY.format(port=port, hook=receiver.url))
    cloud = Cloud(tmp_path)
    cloud.arguments += ["--notify", str(tmp_path / "notify.toml")]
    (tmp_path / "day.toml").write_text(DAY.format(celsius=12.0))
    settings = SETTINGS.format(url=cloud.url)
    with cloud.start(), httpx.Client(base_url=cloud.url) as client:
        browser = Browser(receiver.url.replace("/hook", "/push"))
        assert client.post("/v1/push/subscriptions?language=ko", json=browser.subscription).status_code == 201

        def alarm() -> dict[str, Any] | None:
            found = client.get("/v1/gateways/gw-1/alarms")
            rows = found.json()["alarms"] if found.status_code == 200 else []
            return rows[0] if rows else None

        with Gateway(tmp_path, settings, name="gw-1") as gateway:
            until(lambda: "escalated" in steps(receiver), "it is told, and told again since nobody has seen it")
            until(lambda: len(box.mails) >= 2, "by mail, too")
            row = until(alarm, "it is listed")
            unknown = client.post("/v1/gateways/gw-1/alarms/nothing/acknowledge", json={"by": "김지훈"})
            assert unknown.status_code == 404
            seen = client.post(f"/v1/gateways/gw-1/alarms/{row['id']}/acknowledge", json={"by": "김지훈"})
            assert (seen.status_code, seen.json()["seen_by"]) == (202, "김지훈")
            until(lambda: (alarm() or {}).get("is_acknowledged"), "the gateway has heard it, and says so")
            assert (alarm() or {})["seen_by"] == "", "nothing waits for it any more"
            (here,) = ask(load(gateway.config), {"get": "alarms"})["alarms"]
            assert (here["state"], here["by"]) == ("acknowledged", "김지훈")
            assert gateway.end() == 0
        (tmp_path / "day.toml").write_text(DAY.format(celsius=4.0))
        with Gateway(tmp_path, settings, name="gw-1") as gateway:
            until(lambda: "cleared" in steps(receiver), "it is over")
            until(lambda: len(box.mails) >= 4, "the mail that it is over")
            assert gateway.end() == 0
        pushed = [body for _, body in receiver.posts if b'"alarm"' not in body]
    assert steps(receiver) == ["raised", "escalated", "acknowledged", "cleared"]
    subjects = [str(mail["Subject"]) for mail in box.mails]
    assert len(subjects) == 4
    assert all("한옥카페" in subject for subject in subjects)
    assert {mail["To"] for mail in box.mails} == {"owner@example.com"}
    assert len(pushed) == 4
    assert "음료 냉장고" in str(browser.read(pushed[0]))
    with Reader.open(tmp_path / "var") as reader:
        told = [one.state for found in reader.everything("events") if (one := parse(found.record))]
    assert told == ["raised", "escalated", "acknowledged", "cleared"]
