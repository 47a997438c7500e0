"""A street of real processes for the browser to look at: a cloud, a gateway on twins, its shop, and a broker if there
is a Mosquitto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import paho.mqtt.publish

from golmok_drivers.buses.broker import find_mosquitto
from golmok_edge.demo.broker import free_ports
from tests.drivers.broker import running_broker
from tests.edge.running import Cloud, Gateway, Program, until

TOPIC: Final = "tele/plug/SENSOR"
SETTINGS: Final = """\
[site]
gateway = "gw-0001"
name = "한옥카페 <b>&amp;"
timezone = "Asia/Seoul"

[store]
path = "var"
commit_interval_s = 0.2

[cloud]
url = "{cloud}"
interval_s = 1

[[device]]
name = "fridge"
title = "음료 냉장고"
driver = "ds18b20"
bus = "sim+w1://scenario.toml"
address = "28-00000a1b2c3d"
interval_s = 1
limits = {{ temperature = {{ high = 8.0, for_s = 600 }} }}

[[device]]
name = "hall"
title = "<img src=x onerror=alert(1)>"
driver = "sht4x"
bus = "sim+i2c://scenario.toml"
interval_s = 1

[[device]]
name = "back-door"
title = "뒷문"
driver = "contact"
bus = "sim+gpio://scenario.toml"
pin = 17
"""
SCENARIO: Final = """\
[device.hall.signal.temperature]
kind = "daily"
mean = 23.0
swing = 3.0
noise = 0.2

[device.hall.signal.humidity]
kind = "daily"
mean = 48.0
swing = 8.0
noise = 1.0
"""
PLUG: Final = f"""\

[mqtt]
port = {{port}}

[[device]]
name = "plug"
driver = "mqtt-json"
topic = "{TOPIC}"
channels = {{{{ power = {{{{ path = "power", unit = "W" }}}}, note = {{{{ path = "note" }}}} }}}}
"""


class Shop(Program):
    """golmok-shop on a port that stays its own over restarts."""

    def __init__(self, config: Path) -> None:
        port = next(free_ports(1))
        self.url = f"http://127.0.0.1:{port}"
        arguments = ["run", "--config", str(config), "--port", str(port)]
        super().__init__("golmok_edge.shop.cli", arguments, config.parent / "shop.log")

    def start(self) -> Shop:
        super().start()
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert self.url in line, f"{line!r}: {self.said()[-500:]}"
        return self


@dataclass
class Street:
    """All that runs."""

    cloud: Cloud
    gateway: Gateway
    shop: Shop
    broker_port: int | None

    @property
    def addresses(self) -> tuple[str, str]:
        """Where a browser may ask; everywhere else is elsewhere."""
        return self.cloud.url, self.shop.url

    def publish(self, **values: Any) -> None:
        """Let the plug say something."""
        assert self.broker_port is not None
        paho.mqtt.publish.single(TOPIC, json.dumps(values), qos=1, hostname="127.0.0.1", port=self.broker_port)

    def values(self) -> dict[str, Any]:
        """The newest value of each channel, as the cloud knows them."""
        gateway = self.cloud.get("/v1/gateways/gw-0001")
        return {row["channel"]: row["value"] for row in gateway["latest"]}


@contextmanager
def open_street(folder: Path) -> Iterator[Street]:
    """Start everything; a gateway that has sent its first values."""
    with ExitStack() as stack:
        port = stack.enter_context(running_broker(folder)) if find_mosquitto() else None
        cloud = stack.enter_context(Cloud(folder))
        (folder / "gateway").mkdir()
        (folder / "gateway" / "scenario.toml").write_text(SCENARIO)
        settings = (SETTINGS + (PLUG if port else "")).format(cloud=cloud.url, port=port)
        gateway = stack.enter_context(Gateway(folder / "gateway", settings)).wait_ready()
        shop = stack.enter_context(Shop(gateway.config))
        street = Street(cloud, gateway, shop, port)
        until(lambda: "hall.temperature" in _quietly(street.values), "the first values are in the cloud")
        yield street


def _quietly(values: Any) -> dict[str, Any]:
    try:
        found: dict[str, Any] = values()
    except OSError:  # 404 until the gateway has called for the first time
        return {}
    return found
