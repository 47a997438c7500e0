"""The shop as a browser meets it: a real process behind a real port, a gateway that is only a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from golmok_edge.web import TEXTS
from golmok_edge.web.serving import is_this_machine
from tests.edge.shop_support import FakeGateway, ShopProcess, running_shop, write_settings

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> FakeGateway:
    folder = tmp_path_factory.mktemp("shop")
    write_settings(folder)
    gateway = FakeGateway(folder / "var")
    gateway.start()
    return gateway


@pytest.fixture(scope="module")
def shop(gateway: FakeGateway) -> Iterator[ShopProcess]:
    with running_shop(gateway.path.parent.parent / "golmok.toml") as shop:
        yield shop


@pytest.fixture
def browser(shop: ShopProcess) -> Iterator[httpx.Client]:
    with shop.client() as client:
        yield client


Event = tuple[str, dict[str, Any]]


def events(browser: httpx.Client, language: str = "ko") -> Iterator[Event]:
    """The page's live events, for as long as somebody takes them."""
    with browser.stream("GET", "/live", params={"lang": language}) as answer:
        name = ""
        for line in answer.iter_lines():
            field, _, text = line.partition(": ")
            if field == "event":
                name = text
            elif field == "data":
                yield name, json.loads(text)


def first(told: Iterator[Event], name: str, **wanted: Any) -> dict[str, Any]:
    """The first such event that says what is wanted; the browser's time limit ends the wait."""
    return next(data for event, data in told if event == name and wanted.items() <= data.items())


def test_the_page_comes_in_the_readers_language(browser: httpx.Client) -> None:
    for asked, language in (("ko-KR,en;q=0.5", "ko"), ("en-GB", "en"), ("fr", "en"), ("", "ko")):
        html = browser.get("/", headers={"Accept-Language": asked}).text
        assert f'<html lang="{language}">' in html
        assert TEXTS["language"][language] in html  # type: ignore[index]  # the loop's literals are languages


def test_a_chosen_language_is_remembered(browser: httpx.Client) -> None:
    chosen = browser.get("/", params={"lang": "en"}, headers={"Accept-Language": "ko"})
    assert "lang=en; HttpOnly; Max-Age=31536000; Path=/; SameSite=lax" in chosen.headers["Set-Cookie"]
    again = browser.get("/", headers={"Accept-Language": "ko"})
    assert '<html lang="en">' in again.text
    assert "Set-Cookie" not in again.headers
    assert "Set-Cookie" not in browser.get("/", params={"lang": "xx"}).headers


@pytest.mark.parametrize(
    "path", ["/", "/static/chart.js", "/static/none.js", "/live", "/curve?channel=a.b", "/nowhere"]
)
def test_every_answer_forbids_what_is_not_ours(browser: httpx.Client, path: str) -> None:
    with browser.stream("GET", path) as answer:
        assert answer.headers["Content-Security-Policy"] == CONTENT_POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "server" not in answer.headers


def test_nothing_is_loaded_from_elsewhere(browser: httpx.Client) -> None:
    html = browser.get("/").text
    assert "http://" not in html
    assert "https://" not in html
    assert "<script>" not in html
    assert "style=" not in html
    assert " on" + "click" not in html


def test_names_are_text_and_not_markup(browser: httpx.Client) -> None:
    html = browser.get("/").text
    assert "<h1>한옥카페 &lt;b&gt;&amp;amp;</h1>" in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    assert "<img src=x" not in html


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1:8480", True),
        ("localhost:8480", True),
        ("LOCALHOST", True),
        ("[::1]:8480", True),
        ("127.8.8.8", True),
        ("golmok.example:8480", False),
        ("127.0.0.1.golmok.example", False),
        ("localhost.golmok.example", False),
        ("192.168.0.9:8480", False),
        ("127.0.0.1@golmok.example", False),
        ("0x7f000001", False),
        ("", False),
    ],
)
def test_only_names_of_this_machine_are_answered(browser: httpx.Client, host: str, is_ours: bool) -> None:
    assert is_this_machine(host) is is_ours
    for path in ("/", "/live", "/static/owner.js"):
        with browser.stream("GET", path, headers={"Host": host}) as answer:
            assert answer.status_code == (200 if is_ours else 421)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_the_page_can_only_be_read(browser: httpx.Client, method: str) -> None:
    answer = browser.request(method, "/")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"


def test_a_file_is_sent_again_only_when_it_has_changed(browser: httpx.Client) -> None:
    sent = browser.get("/static/base.css")
    assert sent.headers["Content-Type"] == "text/css; charset=utf-8"
    again = browser.get("/static/base.css", headers={"If-None-Match": sent.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["none.js", "../owner.html", "..%2Fowner.html", "%2e%2e/texts.py"])
def test_only_the_pages_own_files_can_be_had(browser: httpx.Client, name: str) -> None:
    assert browser.get(f"/static/{name}").status_code == 404


def test_a_new_value_is_told_at_once_in_the_readers_language(browser: httpx.Client, gateway: FakeGateway) -> None:
    told = events(browser)
    assert first(told, "value", channel="door.open")["text"] == "닫힘"
    gateway.say("door.open", value=True)
    assert first(told, "value", channel="door.open")["text"] == "열림"
    gateway.say("fridge.temperature", value=5.55)
    wanted = {"name": "온도", "text": "5.5", "unit": "°C", "level": "good", "number": 5.55}
    assert first(told, "value", channel="fridge.temperature", text="5.5").items() >= wanted.items()
    assert first(events(browser, "en"), "value", channel="door.open")["text"] == "Open"


def test_a_channel_that_is_new_brings_its_card(browser: httpx.Client, gateway: FakeGateway) -> None:
    told = events(browser)
    before = first(told, "cards")
    gateway.say("door.battery", value=3)
    after = first(told, "cards")
    assert after["shape"] != before["shape"]
    assert 'data-channel="door.battery"' in after["html"]


def test_todays_curve_is_asked_from_midnight(browser: httpx.Client, gateway: FakeGateway) -> None:
    curve = browser.get("/curve", params={"channel": "fridge.temperature"}).json()
    asked = next(question for question in gateway.asked if question["get"] == "history")
    assert asked["channel"] == "fridge.temperature"
    assert asked["from_ms"] % 86_400_000 == 15 * 3_600_000  # midnight in Seoul
    assert curve["points"] == []
    assert curve["to"] == asked["to_ms"]


def test_a_curve_of_nothing_we_know_is_not_found(browser: httpx.Client) -> None:
    assert browser.get("/curve", params={"channel": "<b>.x"}).status_code == 404
    assert browser.get("/curve").status_code == 422


def test_the_page_says_that_the_gateway_is_down_and_heals(tmp_path: Path) -> None:
    config = write_settings(tmp_path)
    with running_shop(config) as shop, shop.client() as browser:
        told = events(browser)
        assert TEXTS["down"]["ko"] in next(d["html"] for n, d in told if n == "now" and d["announcement"])
        assert browser.get("/curve", params={"channel": "fridge.temperature"}).status_code == 204
        gateway = FakeGateway(tmp_path / "var")
        gateway.start()
        assert first(told, "value", channel="fridge.temperature")["text"] == "4.2"
        gateway.stop()
        assert next(d for n, d in told if n == "now" and d["announcement"])
        gateway.start()
        first(told, "now", announcement="")
        gateway.say("fridge.temperature", value=3.0)
        assert first(told, "value", channel="fridge.temperature", text="3.0")
        gateway.stop()
