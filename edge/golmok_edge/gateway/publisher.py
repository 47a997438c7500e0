"""Tells the local bus what the gateway has read: a retained topic for each channel, and Home Assistant's discovery."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from golmok_cloud_sync.protocol import Record
from golmok_drivers.units import unit_sign
from golmok_edge.gateway.live import Newest


class Publisher:
    """Tells the local bus each channel's newest value after a commit, and Home Assistant what there is."""

    def __init__(
        self,
        gateway: str,
        title: str,
        publish: Callable[[str, bytes], None],
        row: Callable[[Newest], dict[str, Any]],
        publish_once: Callable[[str, bytes], None] | None = None,
    ) -> None:
        """`publish` keeps what it publishes for those who come later, `publish_once` does not."""
        self._gateway, self._title, self._publish, self._row = gateway, title, publish, row
        self._publish_once = publish_once or publish
        self._announced: set[str] = set()

    def committed(self, newest: Mapping[str, Newest], expire_s: Mapping[str, float]) -> None:
        """`expire_s`: after how long without a value a channel is to be taken as gone."""
        for channel, one in newest.items():
            if channel not in self._announced and one.record.value is not None:  # else what it is is not known yet
                self._announced.add(channel)
                self._announce(channel, one.record, expire_s.get(channel))
            self._publish(self._topic(channel), self._said(one))

    def happened(self, event: Newest) -> None:
        """Something happened at a device: a button was pressed. Nobody hears of it twice."""
        self._publish_once(self._topic(event.record.channel), self._said(event))

    def _said(self, one: Newest) -> bytes:
        row = self._row(one)
        fields = {key: row[key] for key in ("ts", "value", "unit", "quality", "seq")}
        return json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()

    def again(self) -> None:
        """The broker may have forgotten what it was told."""
        self._announced.clear()

    def _topic(self, channel: str) -> str:
        device, _, quantity = channel.partition(".")
        return f"golmok/{self._gateway}/{device}/{_topic_level(quantity)}"

    def _announce(self, channel: str, record: Record, expire_s: float | None) -> None:
        """Home Assistant's MQTT discovery: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery ."""
        device, _, quantity = channel.partition(".")
        is_binary = isinstance(record.value, bool)
        name = f"{self._gateway}_{device}_{_topic_level(quantity)}"
        config: dict[str, Any] = {
            "name": f"{device} {quantity}",
            "unique_id": f"golmok_{name}",
            "object_id": name,
            "state_topic": self._topic(channel),
            "json_attributes_topic": self._topic(channel),
            "device": {"identifiers": [f"golmok_{self._gateway}"], "name": self._title, "manufacturer": "Golmok"},
        }
        if is_binary:
            config["value_template"] = (
                "{{ 'None' if value_json.value is none else 'ON' if value_json.value else 'OFF' }}"
            )
        else:
            config["value_template"] = "{{ value_json.value }}"
            if record.unit:
                config["unit_of_measurement"] = unit_sign(record.unit)
                config["state_class"] = "total_increasing" if record.unit in _ENERGY else "measurement"
            if device_class := _DEVICE_CLASSES.get(record.unit):
                config["device_class"] = device_class
        if expire_s:
            config["expire_after"] = max(1, round(expire_s))
        component = "binary_sensor" if is_binary else "sensor"
        topic = f"homeassistant/{component}/{name}/config"
        self._publish(topic, json.dumps(config, ensure_ascii=False).encode())


def _topic_level(quantity: str) -> str:
    """A quantity as one level of a topic, of the letters that Home Assistant takes."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "_-") else "_" for char in quantity)


_ENERGY: Final = frozenset({"W.h", "kW.h"})
_DEVICE_CLASSES: Final = {
    "Cel": "temperature",
    "[degF]": "temperature",
    "W": "power",
    "kW": "power",
    "W.h": "energy",
    "kW.h": "energy",
    "V": "voltage",
    "A": "current",
    "Hz": "frequency",
    "hPa": "pressure",
    "lx": "illuminance",
}
