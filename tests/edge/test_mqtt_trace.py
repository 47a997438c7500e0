"""A device on MQTT, recorded in one shop and replayed in another that has no broker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from golmok_edge.store import Reader
from tests.drivers.broker import running_broker
from tests.edge.running import Gateway, until

HEAD = '[site]\ngateway = "gw-1"\n[store]\npath = "var"\ncommit_interval_s = 0.05\n'
PLUG = """
[[device]]
name = "plug"
driver = "mqtt-json"
bus = "{bus}"
topic = "tele/plug/SENSOR"
channels = {{ power = {{ path = "ENERGY.Power", unit = "W" }}, on = {{}} }}
"""


def stored(folder: Path) -> list[Any]:
    with Reader.open(folder / "var") as reader:
        return [(one.record.channel, one.record.value) for one in reader.everything("readings")]


@pytest.mark.timeout(180)
def test_what_one_shop_recorded_another_without_a_broker_replays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with running_broker(tmp_path) as port:
        settings = HEAD + f"[mqtt]\nport = {port}\n" + PLUG.format(bus="record+mqtt://?to=trace.jsonl")
        with Gateway(tmp_path / "there", settings, "--twins") as gateway:
            gateway.wait_ready()
            until(lambda: len(stored(tmp_path / "there")) >= 4, "two messages are stored")
    trace = (tmp_path / "there" / "trace.jsonl").read_text()
    assert '"bus": "mqtt"' in trace
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "trace.jsonl").write_text(trace)
    with Gateway(tmp_path / "here", HEAD + PLUG.format(bus="replay+mqtt://trace.jsonl")) as gateway:
        gateway.wait_ready()
        until(lambda: len(stored(tmp_path / "here")) >= 4, "they are stored again")
        assert gateway.status()["mqtt"] is None
        assert gateway.status()["devices"][0]["bus"] == "replay+mqtt://trace.jsonl"
    assert stored(tmp_path / "here")[:4] == stored(tmp_path / "there")[:4]
