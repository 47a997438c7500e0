"""An alarm on both pages in Chromium, over real processes: told again, seen at the cloud, heard in the shop, over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect

from golmok_cloud_sync.server.pages.texts import TEXTS as CLOUD
from golmok_edge.web import TEXTS as SHOP
from tests.browser.conftest import Reader, Readers
from tests.browser.contrast import too_faint
from tests.browser.street import Shop
from tests.edge.running import Cloud, Gateway

SETTINGS = """
[site]
gateway = "gw-1"
name = "한옥카페"
timezone = "Asia/Seoul"
[store]
path = "var"
commit_interval_s = 0.2
[cloud]
url = "{url}"
interval_s = 1

[[device]]
name = "fridge"
title = "음료 냉장고"
driver = "ds18b20"
bus = "sim+w1://day.toml"
address = "28-00000a1b2c3d"
interval_s = 1

[[device]]
name = "oven"
title = "오븐"
driver = "ds18b20"
bus = "sim+w1://day.toml"
address = "28-00000a1b2c3e"
interval_s = 1

[[rule]]
name = "fridge-warm"
kind = "limit"
channel = "fridge.temperature"
high = 8.0
severity = "critical"
escalate_s = 2

[[rule]]
name = "oven-cold"
kind = "limit"
channel = "oven.temperature"
low = 60.0
"""
DAY = """
[device.fridge.signal.temperature]
kind = "constant"
value = {fridge}
[device.oven.signal.temperature]
kind = "constant"
value = {oven}
"""


@dataclass
class Place:
    """A shop with two alarms, and its cloud."""

    folder: Path
    cloud: Cloud
    shop: Shop
    gateway: Gateway

    def is_well_again(self) -> None:
        self.gateway.end()
        (self.folder / "day.toml").write_text(DAY.format(fridge=4.0, oven=90.0))
        self.gateway.start()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        cloud = stack.enter_context(Cloud(tmp_path).start())
        (tmp_path / "day.toml").write_text(DAY.format(fridge=12.0, oven=20.0))
        gateway = Gateway(tmp_path, SETTINGS.format(url=cloud.url), name="gw-1")
        stack.enter_context(gateway.start())
        gateway.wait_ready()
        yield Place(tmp_path, cloud, stack.enter_context(Shop(gateway.config).start()), gateway)


@pytest.mark.timeout(240)
def test_an_alarm_is_seen_at_the_cloud_and_in_the_shop_and_goes_away(reader: Readers, place: Place) -> None:
    pages = {(who, lang): reader("phone") for who in ("owner", "operator") for lang in ("ko", "en")}
    for (who, lang), one in pages.items():
        one.allowed, one.may_lose = (place.cloud.url, place.shop.url), True
        one.open(place.shop.url if who == "owner" else place.cloud.url, lang)
    owner, operator = pages["owner", "ko"].page, pages["operator", "ko"].page
    fridge = operator.locator("#alarms-list li", has_text="음료 냉장고")
    expect(fridge).to_contain_text(CLOUD["escalated"]["ko"])
    expect(owner.locator(".notice", has_text="음료 냉장고")).to_be_visible()
    taken(pages, "raised")
    fridge.get_by_role("button", name=CLOUD["seen_button"]["ko"]).click()
    expect(fridge).to_contain_text(f"{CLOUD['acknowledged']['ko']} {CLOUD['seen_as']['ko']}")
    expect(fridge.get_by_role("button")).to_be_hidden()
    expect(owner.locator(".notice", has_text="음료 냉장고")).to_contain_text(
        SHOP["rule_seen"]["ko"].format(by=CLOUD["seen_as"]["ko"])
    )
    oven = owner.locator(".notice", has_text="오븐")
    oven.get_by_role("button", name=SHOP["rule_button"]["ko"]).click()
    expect(oven.get_by_role("button")).to_have_count(0)
    expect(operator.locator("#alarms-list li", has_text="오븐")).to_contain_text(CLOUD["acknowledged"]["ko"])
    taken(pages, "seen")
    place.is_well_again()
    expect(operator.locator("#alarms")).to_be_hidden()
    expect(owner.locator(".notice", has_text="음료 냉장고")).to_have_count(0)
    for one in pages.values():
        one.check()


def taken(pages: dict[tuple[str, str], Reader], when: str) -> None:
    """A picture of each page, on which nothing is too faint to read."""
    for (who, lang), one in pages.items():
        one.picture(f"alarms-{when}-{who}-{lang}")
        assert too_faint(one.page) == []
