"""The owner's page in Chromium, with the real gateway behind it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from golmok_edge.web import TEXTS
from tests.browser.conftest import Readers, eventually_changes
from tests.browser.contrast import too_faint
from tests.browser.street import Shop, Street

HALL = '[data-channel="hall.temperature"]'
WORDS = {"ko": ("온도", "닫힘", "열림"), "en": ("Temperature", "Closed", "Open")}


@pytest.mark.parametrize("size", ["phone", "desktop"])
@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_new_value_shows_without_reload(reader: Readers, street: Street, language: str, size: str) -> None:
    owner = reader(size).open(street.shop.url, language)
    page = owner.page
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.locator("#now h2")).to_have_text(TEXTS["fine"][language])  # type: ignore[index]  # a language
    hall = page.locator(HALL)
    expect(hall.locator("h3")).to_have_text(WORDS[language][0])
    _, after = eventually_changes(hall.locator(".value b"))
    assert re.fullmatch(r"\d\d\.\d", after)
    expect(hall.locator(".unit")).to_have_text("°C")
    expect(page.locator('[data-channel="back-door.open"] .value b')).to_have_text(
        re.compile("|".join(WORDS[language][1:]))
    )
    expect(hall.locator("path.mean").last).to_have_attribute("d", re.compile("L"))  # a curve, not a dot
    owner.picture(f"owner-{size}-{language}")
    owner.check()


def test_times_are_those_of_the_shop_not_of_the_reader(reader: Readers, street: Street) -> None:
    owner = reader("phone", timezone="America/St_Johns").open(street.shop.url, "en")
    operator = reader("phone", timezone="America/St_Johns").open(f"{street.cloud.url}/gateways/gw-0001", "en")
    for page in (owner.page, operator.page):
        card = page.locator(".channel", has_text="Humidity")
        expect(card.locator("path.mean").last).to_have_attribute("d", re.compile("L"))
        card.get_by_text(TEXTS["show_values"]["en"]).click()
        expect(card.locator("thead th").first).to_have_text("Time (Asia/Seoul)")
        times = {f"{datetime.now(ZoneInfo('Asia/Seoul')) - timedelta(minutes=m):%H:%M}" for m in range(20)}
        assert card.locator("tbody td").first.inner_text() in times
    owner.check()
    operator.check()


def test_the_language_switch_is_remembered(reader: Readers, street: Street) -> None:
    owner = reader(locale="en-GB").open(street.shop.url)
    owner.page.get_by_role("link", name="한국어").click()
    expect(owner.page.locator("html")).to_have_attribute("lang", "ko")
    owner.open(street.shop.url)
    expect(owner.page.locator("html")).to_have_attribute("lang", "ko")
    owner.check()


def test_names_are_inert(reader: Readers, street: Street) -> None:
    owner = reader("phone").open(street.shop.url, "ko")
    expect(owner.page.locator("h1")).to_have_text("한옥카페 <b>&amp;")
    expect(owner.page.get_by_role("heading", name="<img src=x onerror=alert(1)>")).to_be_visible()
    assert owner.page.locator('img:not([src="/static/favicon.svg"])').count() == 0
    eventually_changes(owner.page.locator(f"{HALL} .value b"))
    owner.check()


def test_what_a_sensor_says_is_inert_and_shows_at_once(reader: Readers, street: Street) -> None:
    if street.broker_port is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    owner = reader("desktop").open(street.shop.url, "ko")
    operator = reader("desktop").open(f"{street.cloud.url}/gateways/gw-0001", "ko")
    street.publish(power=1234.5, note="<img src=x onerror=alert(2)><script>alert(3)</script>")
    note = '[data-channel="plug.note"] .value b'
    expect(owner.page.locator(note)).to_have_text("<img src=x onerror=alert(2)><script>alert(3)</script>")
    expect(owner.page.locator('[data-channel="plug.power"] .value b')).to_have_text("1,234")
    expect(operator.page.get_by_text("<img src=x onerror=alert(2)>")).to_be_visible()
    street.publish(power=17.5, note="")
    expect(owner.page.locator('[data-channel="plug.power"] .value b')).to_have_text("17.5")
    expect(operator.page.locator(".channel", has_text="전력").locator(".value")).to_have_text("17.5 W")
    for somebody in (owner, operator):
        assert somebody.page.locator('img:not([src="/static/favicon.svg"])').count() == 0
        somebody.check()


def test_a_curve_can_be_read_as_a_table_and_by_a_screen_reader(reader: Readers, street: Street) -> None:
    owner = reader("phone").open(street.shop.url, "en")
    hall = owner.page.locator(HALL)
    picture = hall.get_by_role("img")
    expect(picture).to_have_accessible_name(re.compile("Temperature – today"))
    expect(picture).to_have_accessible_description(re.compile(r"Last .* °C, least .*, most .*, \d+ gaps"))
    hall.get_by_text("As a table").click()
    expect(hall.locator("tbody tr").first).to_contain_text("°C")
    expect(hall.locator("caption")).to_contain_text("Temperature")
    owner.check()


@pytest.mark.parametrize(("size", "scheme"), [("phone", "light"), ("phone", "dark"), ("desktop", "light")])
@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_owner_reads_when_nothing_was_recorded_and_why(
    reader: Readers, street: Street, language: str, size: str, scheme: str
) -> None:
    owner = reader(size, scheme=scheme)
    until = datetime.now(ZoneInfo("Asia/Seoul")) + timedelta(minutes=1)  # what comes live is no news to this chart
    noon = int(until.timestamp() * 1000)
    minutes = [*range(-180, -150), *range(-90, -60)]
    words = {"ko": ("센서가 조용함", "게이트웨이가 꺼져 있었음"), "en": ("sensor silent", "gateway was off")}[language]
    gaps = [
        {"from": noon - 150 * 60_000, "to": noon - 90 * 60_000, "reason": words[1], "open": False, "count": 360},
        {"from": noon - 60 * 60_000, "to": noon, "reason": words[0], "open": True, "count": None},
    ]
    points = [[noon + m * 60_000, 19.8, 20.2, 20.5] for m in minutes]
    drawn = {"from": noon - 180 * 60_000, "to": noon, "points": points, "gaps": gaps}
    owner.page.route("**/curve?*hall.temperature*", lambda route: route.fulfill(json=drawn))
    hall = owner.open(street.shop.url, language).page.locator(HALL)
    expect(hall.locator("g.gap rect")).to_have_count(2)
    summary = hall.locator(".missing summary")
    expect(summary).to_have_text(TEXTS["show_gaps"][language].format(count=2))  # type: ignore[index]  # a language
    summary.click()
    now, before = hall.locator(".missing li").all_inner_texts()
    lacks = TEXTS["lacks"][language].format(count=360)  # type: ignore[index]  # a language
    begin, end, since = (f"{until - timedelta(minutes=m):%H:%M}" for m in (150, 90, 60))
    assert before == f"{words[1]} {begin}–{end} · {lacks}"
    assert now == TEXTS["gap_open"][language].format(reason=words[0], **{"from": since})  # type: ignore[index]
    assert too_faint(owner.page) == []
    owner.picture(f"owner-missing-{size}-{language}-{scheme}")
    owner.check()


def test_the_page_says_that_the_gateway_is_down_and_heals(reader: Readers, street: Street) -> None:
    owner = reader("phone").open(street.shop.url, "ko")
    value = owner.page.locator(f"{HALL} .value b")
    eventually_changes(value)
    street.gateway.kill()
    try:
        expect(owner.page.locator("#now")).to_contain_text(TEXTS["down"]["ko"])
        expect(owner.page.locator("#announcement")).to_have_text(TEXTS["down"]["ko"])
        expect(value).to_have_text(re.compile(r"\d\d\.\d"))  # the last known value stays
        owner.picture("owner-phone-down")
        fresh = reader("desktop").open(street.shop.url, "en")
        expect(fresh.page.locator("#now")).to_contain_text(TEXTS["down"]["en"])
        expect(fresh.page.locator(f"{HALL} .value b")).to_have_text(re.compile(r"\d"))
        fresh.check()
    finally:
        street.gateway.start()
        street.gateway.wait_ready()
    expect(owner.page.locator("#now h2")).to_have_text(TEXTS["fine"]["ko"])
    expect(owner.page.locator("#announcement")).to_have_text("")
    eventually_changes(value)
    owner.check()


def test_the_page_says_that_it_has_lost_the_shop_and_heals(reader: Readers, street: Street) -> None:
    shop = Shop(street.gateway.config).start()
    street_addresses = (*street.addresses, shop.url)
    try:
        owner = reader("phone", may_lose=True)
        owner.allowed = street_addresses
        owner.open(shop.url, "en")
        eventually_changes(owner.page.locator(f"{HALL} .value b"))
        shop.kill()
        expect(owner.page.locator("#lost")).to_be_visible()
        expect(owner.page.locator("#lost")).to_contain_text(TEXTS["lost"]["en"])
        owner.picture("owner-phone-lost")
        shop.start()
        expect(owner.page.locator("#lost")).to_be_hidden()
        eventually_changes(owner.page.locator(f"{HALL} .value b"))
        owner.check()
    finally:
        shop.kill()


def test_the_page_says_what_waits_while_the_cloud_is_away(reader: Readers, street: Street) -> None:
    owner = reader("phone").open(street.shop.url, "ko")
    cloud = owner.page.locator("#now .cloud")
    expect(cloud).to_have_text(TEXTS["cloud_fine"]["ko"])
    street.cloud.kill()
    try:
        expect(cloud).to_have_text(re.compile(r"인터넷이 끊겨도 기록은 계속됩니다; [\d,]+개가 기다리는 중"))
        eventually_changes(cloud)
    finally:
        street.cloud.start()
    expect(cloud).to_have_text(TEXTS["cloud_fine"]["ko"])
    owner.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_enough(reader: Readers, street: Street, scheme: str) -> None:
    owner = reader("small", scheme=scheme).open(street.shop.url, "ko")
    expect(owner.page.locator(f"{HALL} path.mean").last).to_have_attribute("d", re.compile("L"))
    assert too_faint(owner.page) == []
    owner.picture(f"owner-small-{scheme}")
    owner.check()


def test_it_works_without_a_script(reader: Readers, street: Street, tmp_path: Path) -> None:
    browser = reader().page.context.browser
    assert browser is not None
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{street.shop.url}?lang=ko")
        expect(page.locator(f"{HALL} .value b")).to_have_text(re.compile(r"\d\d\.\d"))
        assert TEXTS["needs_script"]["ko"] in page.content()
