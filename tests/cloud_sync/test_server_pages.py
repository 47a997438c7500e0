"""The operator's pages as they leave the server; what they do in a browser is in tests/browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from markupsafe import escape

from golmok_cloud_sync.server.pages.texts import TEXTS
from tests.cloud_sync.server_support import CloudProcess

PATHS = ["/", "/gateways/gw-0001", "/static/fleet.js", "/static/base.css", "/static/icons.svg"]


@pytest.fixture
def browser(cloud: CloudProcess) -> Iterator[httpx.Client]:
    with cloud.client() as client:
        yield client


@pytest.mark.parametrize("path", PATHS)
def test_a_page_lets_nothing_in_that_is_not_ours(browser: httpx.Client, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", PATHS[:2])
def test_a_page_has_no_script_or_style_of_its_own(browser: httpx.Client, path: str) -> None:
    html = browser.get(path).text
    assert re.findall(r"<script[^>]*>", html) == [
        f'<script type="module" src="/static/{"fleet" if path == "/" else "gateway"}.js">'
    ]
    assert not re.search(r"<style|style=|\son\w+=", html)


def test_the_page_speaks_the_readers_language_and_remembers_it(browser: httpx.Client) -> None:
    assert '<html lang="ko">' in browser.get("/", headers={"Accept-Language": "ko"}).text
    assert '<html lang="en">' in browser.get("/", params={"lang": "en"}).text
    assert '<html lang="en">' in browser.get("/", headers={"Accept-Language": "ko"}).text


def test_the_script_gets_its_texts_whole(browser: httpx.Client) -> None:
    html = browser.get("/", params={"lang": "ko"}).text
    found = re.search(r"data-texts='([^']*)'", html)
    assert found
    texts = json.loads(unescape(found[1]))
    assert texts["offline"] == TEXTS["offline"]["ko"]
    assert texts["quantities"]["temperature"] == "온도"
    assert texts["units"]["Cel"] == "°C"


@pytest.mark.parametrize("name", ["<script>alert(1)", '"><img src=x>', "'><b>"])
def test_a_name_in_the_address_is_text(browser: httpx.Client, name: str) -> None:
    html = browser.get(f"/gateways/{quote(name)}").text
    assert name not in html
    assert escape(name) in html


def test_only_the_pages_own_files_can_be_had(browser: httpx.Client) -> None:
    assert browser.get("/static/none.js").status_code == 404
    assert browser.get("/static/..%2Ftexts.py").status_code == 404


def test_a_file_is_sent_again_only_when_it_has_changed(browser: httpx.Client) -> None:
    tag = browser.get("/static/chart.js").headers["ETag"]
    assert browser.get("/static/chart.js", headers={"If-None-Match": tag}).status_code == 304


def test_the_pages_are_no_part_of_the_api(browser: httpx.Client) -> None:
    assert not [
        path
        for path in browser.get("/openapi.json").json()["paths"]
        if not path.startswith(("/v1", "/healthz", "/metrics"))
    ]


def test_the_pages_need_no_token_but_what_they_read_does(tmp_path: Path) -> None:
    closed = CloudProcess(tmp_path / "data", "--listen", "127.0.0.1:0")
    try:
        with closed.client() as browser:
            assert browser.get("/").status_code == 200
            assert browser.get("/v1/gateways").status_code == 401
    finally:
        closed.kill()
