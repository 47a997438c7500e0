"""The operator's pages in Chromium: with a real gateway behind them, and with many that are only heard of."""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Route, expect

from golmok_cloud_sync.protocol import Record, StreamReport
from golmok_cloud_sync.server.pages.texts import TEXTS
from tests.browser.conftest import Reader, Readers, eventually_changes
from tests.browser.contrast import too_faint
from tests.browser.street import Street
from tests.cloud_sync.server_support import CloudProcess, Sender, run_cli

WORDS = {"ko": ("온도", "연결됨"), "en": ("Temperature", "Online")}


@pytest.fixture(scope="package")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    """A cloud of its own, with no gateway yet."""
    cloud = CloudProcess(tmp_path_factory.mktemp("crowd") / "data")
    yield cloud
    cloud.kill()


def visit(readers: Readers, cloud: CloudProcess, *arguments: str, **options: Any) -> Reader:
    visitor = readers(*arguments, **options)
    visitor.allowed = (cloud.url,)
    return visitor


def now_ms() -> int:
    return int(time.time() * 1000)


def anchor() -> Record:
    """The boot's clock stood at 10 days when it was now."""
    at = {"mono_ms": 864_000_000, "wall_ms": now_ms(), "error_ms": 5}
    return Record("clock.anchor", json.dumps(at), "", "boot", 864_000_000)


def minutes_ago(minutes: float, value: float = 1.0, channel: str = "fridge.temperature") -> Record:
    return Record(channel, value, "Cel", "boot", 864_000_000 - int(minutes * 60_000))


@pytest.mark.parametrize("size", ["phone", "desktop"])
@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_new_value_shows_without_reload(reader: Readers, street: Street, language: str, size: str) -> None:
    operator = reader(size).open(street.cloud.url, language)
    row = operator.page.locator("#list > li", has_text="gw-0001")
    expect(row.locator(".state")).to_have_text(WORDS[language][1])
    expect(row.locator(".state use")).to_have_attribute("href", "/static/icons.svg#online")
    hall = row.locator(".latest li", has_text=f"hall · {WORDS[language][0]}").locator("b")
    _, after = eventually_changes(hall)
    assert re.fullmatch(r"\d\d\.\d °C", after)
    operator.picture(f"fleet-{size}-{language}")
    operator.check()


@pytest.mark.parametrize("size", ["phone", "desktop"])
@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_gateways_page_is_live(reader: Readers, street: Street, language: str, size: str) -> None:
    operator = reader(size).open(f"{street.cloud.url}/gateways/gw-0001", language)
    page = operator.page
    expect(page.locator("#state")).to_have_text(WORDS[language][1])
    card = page.locator(".channel", has=page.get_by_text("hall")).filter(has_text=WORDS[language][0])
    eventually_changes(card.locator(".value"))
    curve = card.locator("path.mean").last
    expect(curve).to_have_attribute("d", re.compile("L"))
    before = curve.get_attribute("d")
    expect(curve).not_to_have_attribute("d", before or "")
    page.get_by_role("button", name=TEXTS["range_7d"][language]).click()  # type: ignore[index]  # a language
    expect(page.locator('[data-range="7d"]')).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(re.compile("#7d$"))
    operator.picture(f"gateway-{size}-{language}")
    operator.check()


def test_a_lost_cloud_is_said_and_heals(reader: Readers, street: Street) -> None:
    operator = reader("phone", may_lose=True).open(street.cloud.url, "ko")
    expect(operator.page.locator("#list > li")).to_have_count(1)
    expect(operator.page.locator("#offline")).to_be_hidden()
    street.cloud.kill()
    try:
        expect(operator.page.locator("#offline")).to_be_visible()
        expect(operator.page.locator("#offline")).to_contain_text(TEXTS["offline"]["ko"])
        expect(operator.page.locator("#list > li")).to_have_count(1)  # what was last known stays
    finally:
        street.cloud.start()
    expect(operator.page.locator("#offline")).to_be_hidden()
    eventually_changes(operator.page.locator(".latest li", has_text="hall · 온도").locator("b"))
    operator.check()


def test_an_empty_fleet_says_how_to_begin_and_fills_by_itself(reader: Readers, tmp_path: Path) -> None:
    cloud = CloudProcess(tmp_path / "data")
    try:
        operator = visit(reader, cloud, "phone").open(cloud.url, "ko")
        expect(operator.page.locator("#empty")).to_contain_text(TEXTS["empty_title"]["ko"])
        expect(operator.page.locator("#empty pre").first).to_contain_text(f'url = "{cloud.url}"')
        operator.picture("fleet-phone-empty")
        with cloud.client() as client:
            first = Sender(client, gateway="gw-first")
            first.record("readings", [minutes_ago(0, 4.5)])
            first.send_all()
            expect(operator.page.locator("#list > li", has_text="gw-first")).to_contain_text("4.50 °C")
        expect(operator.page.locator("#empty")).to_be_hidden()
        operator.check()
    finally:
        cloud.kill()


def test_a_closed_cloud_asks_for_a_readers_token(reader: Readers, tmp_path: Path) -> None:
    cloud = CloudProcess(tmp_path / "data", "--listen", "127.0.0.1:0")
    try:
        made = run_cli("token", "--data", str(tmp_path / "data"), "--reader", "--json")
        token = json.loads(made.stdout)["token"]
        run_cli("token", "--data", str(tmp_path / "data"), "--gateway", "gw-0007")
        operator = visit(reader, cloud, may_lose=True)
        operator.page.goto(f"{cloud.url}?lang=en")
        field, button = operator.page.get_by_label("Token"), operator.page.get_by_role("button", name="Open")
        expect(operator.page.locator("#token-wrong")).to_be_hidden()
        field.fill("wrong")
        button.click()
        expect(operator.page.locator("#token-wrong")).to_be_visible()
        expect(operator.page.locator("#token-wrong")).to_have_text(TEXTS["token_wrong"]["en"])
        expect(field).to_have_value("")
        operator.picture("fleet-desktop-token")
        field.fill(token)
        button.click()
        expect(operator.page.locator("#list > li", has_text="gw-0007")).to_contain_text("Never seen")
        expect(operator.page.locator("#token")).to_be_hidden()
        operator.page.reload()
        expect(operator.page.locator("#list > li", has_text="gw-0007")).to_contain_text("Never seen")
        assert [error for error in operator.errors if "401" not in error] == []
    finally:
        cloud.kill()


def test_of_many_gateways_only_some_are_drawn_and_any_is_found(reader: Readers, crowd: CloudProcess) -> None:
    with crowd.client() as client:
        for i in range(200):
            Sender(client, gateway=f"many-{i:04d}").sync()
    operator = visit(reader, crowd).open(crowd.url, "en")
    rows = operator.page.locator("#list > li")
    expect(operator.page.locator('[data-state="all"] b')).to_have_text("200")
    expect(rows).to_have_count(60)
    operator.page.get_by_role("button", name="Show 60 more").click()
    expect(rows).to_have_count(120)
    operator.page.get_by_role("searchbox").fill("MANY-0199")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("many-0199")
    operator.page.get_by_role("searchbox").fill("nobody")
    expect(operator.page.locator("#none")).to_have_text(TEXTS["none_found"]["en"])
    operator.check()


def test_trouble_comes_first_in_words_and_shape(reader: Readers, crowd: CloudProcess) -> None:
    """The server calls a gateway late after 90 s; here its answer is changed on the way instead."""
    with crowd.client() as client:
        for name in ("aaa-online", "bbb-never", "ccc-late"):
            Sender(client, gateway=name).sync()
    states = {"bbb-never": ("never", None), "ccc-late": ("late", "2020-01-01T00:00:00.000Z")}

    def change(route: Route) -> None:
        document = route.fetch().json()
        for row in document:
            row["state"], row["last_contact"] = states.get(row["gateway"], (row["state"], row["last_contact"]))
        route.fulfill(json=document)

    operator = visit(reader, crowd, "phone")
    operator.page.route("**/v1/gateways", change)
    operator.open(crowd.url, "ko")
    rows = operator.page.locator("#list > li")
    expect(rows.nth(0)).to_contain_text("ccc-late")
    expect(rows.nth(0).locator(".state")).to_have_text("늦음")
    expect(rows.nth(0).locator(".state use")).to_have_attribute("href", "/static/icons.svg#late")
    expect(rows.nth(0).locator(".contact")).to_have_text(re.compile(r"[\d,]+일 전"))
    expect(rows.nth(1)).to_contain_text("bbb-never")
    expect(rows.nth(1)).to_contain_text(TEXTS["no_contact"]["ko"])
    operator.picture("fleet-phone-trouble")
    operator.page.locator('[data-state="late"]', has_text="늦음").first.click()
    expect(rows).to_have_count(1)
    operator.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_gap_is_hatched_with_its_reason_and_nothing_is_drawn_over_it(
    reader: Readers, crowd: CloudProcess, scheme: str
) -> None:
    with crowd.client() as client:
        sender = Sender(client)
        sender.record("readings", [minutes_ago(m, 4 + m / 60) for m in (*range(50, 35, -1), *range(20, 0, -1))])
        hole = {"from_ms": now_ms() - 36 * 60_000, "to_ms": now_ms() - 20 * 60_000}
        sender.record("events", [anchor(), Record("gap.broker", json.dumps(hole), "", "boot", 864_000_000)])
        sender.send_all()
    operator = visit(reader, crowd, "small", "ko-KR", scheme).open(f"{crowd.url}/gateways/{sender.gateway}", "ko")
    card = operator.page.locator(".channel")
    expect(card.locator("path.mean")).to_have_count(2)
    expect(card.locator("svg rect")).to_have_count(1)
    reason = "값 없음 – 장치 통신(MQTT)이 끊김"
    expect(card.locator(".legend .gap")).to_have_text(reason)
    card.get_by_text(TEXTS["show_values"]["ko"]).click()
    expect(card.locator("tbody tr", has_text=reason)).to_have_count(1)
    assert too_faint(operator.page) == []
    operator.picture(f"gateway-small-gap-{scheme}")
    operator.check()


MISSING = {
    "ko": ["아직 소식이 없음 %s부터 계속", "센서가 조용함 %s–%s · 값 16개가 빠짐"],
    "en": ["nothing heard yet since %s", "sensor silent %s–%s · 16 readings missing"],
}


@pytest.mark.parametrize(("size", "scheme"), [("phone", "light"), ("desktop", "dark"), ("desktop", "light")])
@pytest.mark.parametrize("language", ["ko", "en"])
def test_what_is_missing_can_be_read_and_what_was_not_heard_yet_is_no_gap(
    reader: Readers, crowd: CloudProcess, language: str, size: str, scheme: str
) -> None:
    with crowd.client() as client:
        sender = Sender(client, timezone="Asia/Seoul")
        sender.record("readings", [minutes_ago(m, 4 + m / 60) for m in (*range(55, 37, -1), *range(21, 9, -1))])
        ends = {"from_mono_ms": minutes_ago(38).mono_ms, "to_mono_ms": minutes_ago(21).mono_ms}
        hole = {"channels": {"fridge.temperature": 16, "fridge.humidity": 16}, **ends, "detail": "timeout"}
        sender.record("events", [anchor(), Record("gap.silent", json.dumps(hole), "", "boot", 864_000_000)])
        sender.send_all()
        sender.sync(readings=StreamReport(tail=99))  # more is to come
    operator = visit(reader, crowd, size, "ko-KR", scheme).open(f"{crowd.url}/gateways/{sender.gateway}", language)
    card = operator.page.locator(".channel", has=operator.page.locator("svg rect"))
    expect(card.locator("g.gap rect")).to_have_count(1)
    expect(card.locator("g.unheard rect")).to_have_count(1)
    summary = card.locator(".missing summary")
    expect(summary).to_have_text(TEXTS["show_gaps"][language].format(count=1))  # type: ignore[index]  # a language
    summary.focus()
    operator.page.keyboard.press("Enter")
    said = [re.sub(r"\d\d:\d\d", "%s", text) for text in card.locator(".missing li").all_inner_texts()]
    assert said == MISSING[language]
    begin = f"{datetime.now(ZoneInfo('Asia/Seoul')) - timedelta(minutes=38):%H:%M}"
    assert begin[:3] in card.locator(".missing li").last.inner_text()
    expect(card.locator("g.gap title")).to_have_text(card.locator(".missing li").last.inner_text())
    assert too_faint(operator.page) == []
    operator.picture(f"gateway-missing-{size}-{language}-{scheme}")
    with operator.page.expect_download() as loading:
        operator.page.get_by_role("button", name=TEXTS["gaps_file"][language]).click()  # type: ignore[index]
    (row,) = csv.DictReader(loading.value.path().read_text().splitlines())
    assert (row["reason"], row["detail"], row["count"]) == ("silent", "timeout", "32")
    operator.check()


ZONES = [
    ("Asia/Seoul", "Asia/Seoul"),
    ("America/St_Johns", "America/St_Johns"),
    ("Mars/Olympus_Mons", "UTC"),
    ("", "UTC"),
]


@pytest.mark.parametrize(("said", "shown"), ZONES)
def test_times_are_those_of_the_place_not_of_the_reader_nor_the_server(
    reader: Readers, crowd: CloudProcess, said: str, shown: str
) -> None:
    with crowd.client() as client:
        sender = Sender(client, timezone=said)
        sender.record("readings", [minutes_ago(m) for m in range(30, 0, -1)])
        sender.record("events", [anchor()])
        sender.send_all()
        assert client.get(sender.path).json()["timezone"] == (said or None)
    operator = visit(reader, crowd, timezone="Pacific/Kiritimati").open(f"{crowd.url}/gateways/{sender.gateway}", "en")
    facts = operator.page.locator("#facts div", has_text=TEXTS["times_in"]["en"])
    expect(facts.locator("dd")).to_have_text(shown)
    card = operator.page.locator(".channel")
    expect(card.locator("path.mean")).to_have_count(1)
    card.get_by_text(TEXTS["show_values"]["en"]).click()
    expect(card.locator("thead th").first).to_have_text(f"Time ({shown})")
    times = {f"{datetime.now(ZoneInfo(shown)) - timedelta(minutes=m):%H:%M}" for m in range(6)}
    assert card.locator("tbody td").first.inner_text() in times
    ticks = card.locator("svg text.tick").all_text_contents()
    minutes = {tick[3:] for tick in ticks if ":" in tick}
    assert minutes
    assert all(int(minute) % 5 == 0 for minute in minutes)
    operator.check()


def test_what_gateways_send_is_inert(reader: Readers, crowd: CloudProcess) -> None:
    evil = '<img src=x onerror="alert(1)">'
    with crowd.client() as client:
        sender = Sender(client)
        sender.record("readings", [Record(f"{evil}.{evil}", evil, evil, "boot", 1, "bad", evil)])
        sender.send_all()
    for path in (f"/gateways/{sender.gateway}", "/"):
        operator = visit(reader, crowd).open(f"{crowd.url}{path}", "en")
        if path == "/":
            operator.page.get_by_role("searchbox").fill(sender.gateway)
        expect(operator.page.get_by_text(evil).first).to_be_visible()
        assert operator.page.locator('img:not([src="/static/favicon.svg"])').count() == 0
        operator.check()


def test_a_gateway_that_is_not_there_is_said_so(reader: Readers, crowd: CloudProcess) -> None:
    operator = visit(reader, crowd).open(f"{crowd.url}/gateways/nobody", "en")
    expect(operator.page.locator("#unknown")).to_have_text(TEXTS["unknown_gateway"]["en"])
    assert [error for error in operator.errors if "404" not in error] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_enough(reader: Readers, street: Street, scheme: str) -> None:
    operator = reader("small", scheme=scheme)
    for path in ("", "/gateways/gw-0001"):
        operator.open(street.cloud.url + path, "en")
        expect(operator.page.get_by_text("Temperature").first).to_be_visible()
        assert too_faint(operator.page) == []
        operator.check()
