"""`golmok_edge.gateway.publisher`: what the local bus is told, and what Home Assistant makes of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_cloud_sync.protocol import Record
from golmok_edge.gateway.live import Live, Newest
from golmok_edge.gateway.publisher import Publisher
from golmok_edge.gateway.timekeeper import Timekeeper

from .gateway_support import T0, HandClock, record


@dataclass
class Bus:
    """Keeps what was published."""

    told: list[tuple[str, bytes]] = field(default_factory=list)

    def publish(self, topic: str, payload: bytes) -> None:
        self.told.append((topic, payload))

    def documents(self, beginning: str = "") -> list[tuple[str, dict[str, Any]]]:
        return [(topic, json.loads(payload)) for topic, payload in self.told if topic.startswith(beginning)]

    def discovered(self) -> dict[str, dict[str, Any]]:
        return dict(self.documents("homeassistant/"))


def publisher(bus: Bus) -> Publisher:
    clock = HandClock(mono=9_000, wall=T0 + 9_000, kept=1)
    time = Timekeeper(clock)
    time.heed_kernel()
    return Publisher("gw-1", "한옥카페", bus.publish, Live(clock, time, {}).row)


def tell(mine: Publisher, *records: Record, expire_s: dict[str, float] | None = None) -> None:
    mine.committed({one.channel: Newest(seq, one) for seq, one in enumerate(records, 1)}, expire_s or {})


def test_each_value_has_a_topic_of_its_own() -> None:
    bus = Bus()
    tell(publisher(bus), record(value=4.5, mono_ms=1_000), record("door.open", True, unit=""))
    assert bus.documents("golmok/") == [
        (
            "golmok/gw-1/fridge/temperature",
            {"ts": "2023-11-14T22:13:21.000Z", "value": 4.5, "unit": "Cel", "quality": "good", "seq": 1},
        ),
        (
            "golmok/gw-1/door/open",
            {"ts": "2023-11-14T22:13:20.000Z", "value": True, "unit": "", "quality": "good", "seq": 2},
        ),
    ]


def test_home_assistant_discovers_each_channel_once() -> None:
    bus = Bus()
    mine = publisher(bus)
    for value in (4.5, 4.6):
        tell(mine, record(value=value), expire_s={"fridge.temperature": 25.0})
    (found,) = bus.documents("homeassistant/")
    assert found == (
        "homeassistant/sensor/gw-1_fridge_temperature/config",
        {
            "name": "fridge temperature",
            "unique_id": "golmok_gw-1_fridge_temperature",
            "object_id": "gw-1_fridge_temperature",
            "state_topic": "golmok/gw-1/fridge/temperature",
            "json_attributes_topic": "golmok/gw-1/fridge/temperature",
            "device": {"identifiers": ["golmok_gw-1"], "name": "한옥카페", "manufacturer": "Golmok"},
            "value_template": "{{ value_json.value }}",
            "unit_of_measurement": "°C",
            "state_class": "measurement",
            "device_class": "temperature",
            "expire_after": 25,
        },
    )
    assert bus.told[0][0].startswith("homeassistant/"), "before the first value"


def test_a_broker_that_was_started_anew_is_told_again() -> None:
    bus = Bus()
    mine = publisher(bus)
    tell(mine, record())
    mine.again()
    tell(mine, record())
    assert len(bus.documents("homeassistant/")) == 2


def test_a_switch_is_a_binary_sensor_that_is_unknown_while_it_has_no_value() -> None:
    bus = Bus()
    tell(publisher(bus), record("door.open", False, unit=""))
    (topic, config), *_ = bus.documents("homeassistant/")
    assert topic == "homeassistant/binary_sensor/gw-1_door_open/config"
    assert "'None' if value_json.value is none" in config["value_template"]
    assert "unit_of_measurement" not in config


def test_what_a_channel_is_is_told_with_its_first_value() -> None:
    """A door whose contact fails at the start must not become a number for ever."""
    bus = Bus()
    mine = publisher(bus)
    tell(mine, record("door.open", None, unit="", quality="bad", reason="bus"))
    assert bus.discovered() == {}
    tell(mine, record("door.open", True, unit=""))
    assert list(bus.discovered()) == ["homeassistant/binary_sensor/gw-1_door_open/config"]
    assert len(bus.documents("golmok/")) == 2


@pytest.mark.parametrize(
    ("unit", "shown", "kind", "state_class"),
    [
        ("Cel", "°C", "temperature", "measurement"),
        ("[degF]", "°F", "temperature", "measurement"),
        ("kW.h", "kWh", "energy", "total_increasing"),
        ("W.h", "Wh", "energy", "total_increasing"),
        ("W", "W", "power", "measurement"),
        ("[ppm]", "ppm", None, "measurement"),
        ("%", "%", None, "measurement"),
        ("", None, None, None),
    ],
)
def test_units_are_those_of_home_assistant(unit: str, shown: str | None, kind: str, state_class: str | None) -> None:
    bus = Bus()
    tell(publisher(bus), record("plug.x", 1, unit=unit))
    (config,) = bus.discovered().values()
    assert (config.get("unit_of_measurement"), config.get("device_class")) == (shown, kind)
    assert config.get("state_class") == state_class


@given(
    st.text(min_size=1, max_size=20),
    st.one_of(st.text(max_size=20), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)),
)
def test_no_quantity_reaches_another_topic(quantity: str, value: Any) -> None:
    bus = Bus()
    tell(publisher(bus), record(f"fridge.{quantity}", value))
    for topic, payload in bus.told:
        if topic.startswith("golmok/"):
            assert re.fullmatch(r"golmok/gw-1/fridge/[A-Za-z0-9_-]*", topic)
        else:
            assert re.fullmatch(r"homeassistant/(binary_)?sensor/[A-Za-z0-9_-]+/config", topic)
        assert json.loads(payload)
