"""What both pages share: languages, words, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_cloud_sync.server.pages import texts
from golmok_cloud_sync.web import (
    FALSE,
    LANGUAGES,
    QUANTITIES,
    REASONS,
    TRUE,
    Words,
    assets,
    choose,
    quantity,
    reason,
    states,
    unit,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "language"),
    [
        ("en", "ko", "ko", "en"),
        (None, "en", "ko", "en"),
        ("xx", "en", "ko", "en"),
        (None, "xx", "ko", "ko"),
        (None, None, "en-US,en;q=0.9,ko;q=0.8", "en"),
        (None, None, "en;q=0.5, ko-KR;q=0.9", "ko"),
        (None, None, "fr-FR,fr;q=0.9", "en"),
        (None, None, "fr, ko;q=0", "en"),
        (None, None, "", "ko"),
        (None, None, None, "ko"),
        (None, None, "*", "ko"),
        (None, None, "ko;q=high, en;q=0.1", "en"),
        (None, None, ";;,,q=", "en"),
    ],
)
def test_the_language_is_the_chosen_one_else_the_browsers(
    query: str | None, cookie: str | None, accept: str | None, language: str
) -> None:
    assert choose(query, cookie, accept) == language


@given(st.text(), st.text(), st.text(alphabet=",;q=.0123456789*-koen "))
def test_nothing_a_browser_sends_leaves_the_page_without_a_language(query: str, cookie: str, accept: str) -> None:
    assert choose(query, cookie, accept) in LANGUAGES


@pytest.mark.parametrize("table", [QUANTITIES, TRUE, FALSE, REASONS, texts.TEXTS])
def test_every_text_is_there_in_every_language_with_the_same_names_to_fill_in(table: Words) -> None:
    for key, row in table.items():
        assert set(row) == set(LANGUAGES), key
        assert all(row.values()), key
        names = {frozenset(re.findall(r"\{(\w+)\}", text)) for text in row.values()}
        assert len(names) == 1, f"{key}: {names}"


def test_quantities_states_units_and_reasons_are_said_in_words() -> None:
    assert (quantity("ko", "temperature"), quantity("en", "temperature")) == ("온도", "Temperature")
    assert (states("ko", "open"), states("en", "froth")) == (("닫힘", "열림"), ("No", "Yes"))
    assert (unit("Cel"), unit("W")) == ("°C", "W")
    assert reason("ko", "gateway_off") == reason("ko", "gateway off") == "게이트웨이가 꺼져 있었음"


def test_what_is_not_in_a_table_is_shown_as_it_is() -> None:
    assert (quantity("ko", "froth"), unit("furlong"), reason("ko", "eclipse")) == ("froth", "furlong", "eclipse")


def test_a_file_changes_its_tag_with_its_content() -> None:
    ours = assets("golmok_cloud_sync.web", "golmok_cloud_sync.server.pages")
    tags = [asset.headers["ETag"] for asset in ours.values()]
    assert len(set(tags)) == len(tags) > 5
    assert ours["base.css"].is_held_by(ours["base.css"].headers["ETag"])
    assert not ours["base.css"].is_held_by(None)


def test_scripts_and_styles_load_nothing_from_elsewhere() -> None:
    files = [f for f in ROOT.glob("*/golmok_*/**/static/*") if f.suffix in (".js", ".css", ".svg")]
    assert len(files) > 10
    for file in files:
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|@font-face|url\(['\"]?[^#)]", text), file


def test_the_scripts_stay_small() -> None:
    lines = {f.name: len(f.read_text().splitlines()) for f in ROOT.glob("*/golmok_*/**/static/*.js")}
    assert max(lines.values()) < 250, lines
    assert sum(lines.values()) < 1_300, lines
