"""The two shops of the demo: a café and a workshop, as their settings and what happens in them."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

CAFE: Final = """\
[site]
gateway = "cafe-hanok"
name = "한옥카페"
timezone = "Asia/Seoul"

[[device]]
name = "fridge"
title = "음료 냉장고"
driver = "ds18b20"
bus = "sim+w1://scenario.toml"
address = "28-00000a1b2c3d"
interval_s = 2
limits = { temperature = { high = 8.0, for_s = 600 } }

[[device]]
name = "fridge-door"
title = "냉장고 문"
driver = "contact"
bus = "sim+gpio://scenario.toml"
pin = 17

[[device]]
name = "hall"
title = "홀"
driver = "sht4x"
bus = "sim+i2c://scenario.toml"
interval_s = 2

[[device]]
name = "ice-maker"
title = "제빙기 플러그"
driver = "mqtt-json"
topic = "tele/ice-maker/SENSOR"
channels = { power = { path = "ENERGY.Power", unit = "W" } }
expect_s = 60
"""

CAFE_SCENARIO: Final = """\
[device.fridge.signal.temperature]
kind = "fridge"
door = "fridge-door"
noise = 0.03

[device.fridge-door.signal.open]
kind = "door"

[device.hall.signal.temperature]
kind = "daily"
mean = 23.0
swing = 3.0
noise = 0.05

[device.hall.signal.humidity]
kind = "daily"
mean = 48.0
swing = 8.0
noise = 0.3

[device.ice-maker]
interval_s = 3
"""

WORKSHOP: Final = """\
[site]
gateway = "workshop-dojagi"
name = "도자기 공방"
timezone = "Asia/Seoul"

[[device]]
name = "drying-room"
title = "건조실"
driver = "sht4x"
bus = "sim+i2c://scenario.toml"
interval_s = 2
limits = { humidity = { low = 30.0, high = 75.0, for_s = 300 } }

[[device]]
name = "glaze-store"
title = "유약 창고"
driver = "ds18b20"
bus = "sim+w1://scenario.toml"
address = "28-0000055e61aa"
interval_s = 2

[[device]]
name = "kiln-door"
title = "가마 문"
driver = "contact"
bus = "sim+gpio://scenario.toml"
pin = 27

[[device]]
name = "wheel"
title = "물레 모터"
driver = "mqtt-json"
topic = "tele/wheel/SENSOR"
channels = { power = { path = "ENERGY.Power", unit = "W" } }
expect_s = 60
"""

WORKSHOP_SCENARIO: Final = """\
seed = 2

[device.drying-room.signal.temperature]
kind = "daily"
mean = 27.0
swing = 4.0
noise = 0.05

[device.drying-room.signal.humidity]
kind = "daily"
mean = 52.0
swing = 10.0
noise = 0.3

[device.glaze-store.signal.temperature]
kind = "daily"
mean = 16.0
swing = 2.0
noise = 0.05

[device.wheel]
interval_s = 3
"""


class Shop(NamedTuple):
    """A shop of the demo, before it has a folder and ports."""

    gateway: str
    title: str
    settings: str
    scenario: str


SHOPS: Final = (
    Shop("cafe-hanok", "한옥카페", CAFE, CAFE_SCENARIO),
    Shop("workshop-dojagi", "도자기 공방", WORKSHOP, WORKSHOP_SCENARIO),
)


def furnish(shop: Shop, folder: Path, *, broker_port: int, cloud_url: str, page: str) -> Path:
    """Write the shop's files into `folder`; gives the settings file."""
    folder.mkdir(parents=True)
    (folder / "scenario.toml").write_text(shop.scenario, encoding="utf-8")
    sections = (
        f'\n[store]\npath = "var"\n\n[mqtt]\nport = {broker_port}\n'
        f'\n[cloud]\nurl = "{cloud_url}"\ninterval_s = 2\n\n[web]\nlisten = "{page}"\n'
    )
    settings = folder / "gateway.toml"
    settings.write_text(shop.settings + sections, encoding="utf-8")
    return settings
