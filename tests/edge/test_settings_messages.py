"""The sentences: all there in both languages, all filled in, none without use."""

from __future__ import annotations

import string
from pathlib import Path

import pytest

import golmok_edge.settings
from golmok_edge.settings.language import Say, language_of
from golmok_edge.settings.messages import MESSAGES, PHRASES, Message, fill
from golmok_edge.settings.mistakes import Mistake, nearest, one_line, shown, written


def names_in(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


@pytest.mark.parametrize(("code", "message"), MESSAGES.items(), ids=MESSAGES.keys())
def test_both_languages_say_the_same(code: str, message: Message) -> None:
    assert all(message)
    english, korean = names_in(message.what) | names_in(message.do), names_in(message.what_ko) | names_in(message.do_ko)
    assert korean <= english
    assert any("가" <= char <= "힣" for char in message.what_ko)
    assert "\n" not in "".join(message)
    assert not message.what.endswith(".")


@pytest.mark.parametrize("phrase", PHRASES)
def test_phrases_are_in_both_languages(phrase: str) -> None:
    english, korean = PHRASES[phrase]
    assert names_in(english) == names_in(korean)


def test_every_message_is_used() -> None:
    folder = Path(golmok_edge.settings.__file__).parent
    source = "".join(file.read_text() for file in folder.glob("*.py") if file.name != "messages.py")
    assert [code for code in (*MESSAGES, *PHRASES) if f'"{code}"' not in source] == []


def test_pieces_of_sentences_come_in_the_readers_language() -> None:
    args = {"kind": Say("or", {"left": Say("whole"), "right": Say("text")})}
    assert fill("<{kind}>", args, "en") == "<a whole number or text>"
    assert fill("<{kind}>", args, "ko") == "<정수 또는 글>"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "ko", "LC_ALL": ""}, "ko"),
        ({"LANG": "ko", "LC_MESSAGES": "de_DE"}, "en"),
    ],
)
def test_the_language_is_that_of_the_environment(environment: dict[str, str], language: str) -> None:
    assert language_of(environment) == language


def test_a_sentence_stays_on_one_line() -> None:
    mistake = Mistake("a\nb.toml", 1, "x", "", "syntax-other", {"column": 1, "raw": "\x1b[31m\n"})
    assert mistake.sentence().isprintable()
    assert mistake.document()["message"].isprintable()
    assert one_line("한 글\t\u202e") == "한 글\\t\\u202e"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\tb", '"a\\tb"'),
        (True, "true"),
        ([1, 2, 3, 4], "[1, 2, 3, …]"),
        ([1], "[1]"),
        ({"a": 1}, "{ a = … }"),
        (10**70, "…"),
        ("x" * 100, '"' + "x" * 59 + '…"'),
    ],
)
def test_values_are_shown_short(value: object, text: str) -> None:
    assert shown(value) == text


def test_paths_count_from_one() -> None:
    assert written(("device", 0, "channels", "a b", "unit")) == 'device[1].channels."a b".unit'
    assert written((0,)) == "[1]"


def test_the_nearest_name_minds_neither_case_nor_dashes() -> None:
    assert nearest("Interval-S", ["interval_s", "expect_s"]) == "interval_s"
    assert nearest("zzz", ["interval_s"]) is None
