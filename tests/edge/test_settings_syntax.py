"""What is not TOML is said in plain words on the right line, and the rest of the file is still read."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from golmok_edge.settings import syntax
from tests.edge.settings_files import DESIGN, changed, examined, line_of


class Slip(NamedTuple):
    """A slip of the pen: the text, and what must be found."""

    text: str
    code: str
    line: int = 1


SLIPS = {
    "no equals sign": Slip("a\n", "syntax-no-equals"),
    "no quotes": Slip("x = 1\na = fridge\n", "syntax-value", 2),
    "a capital": Slip("a = True\n", "syntax-value"),
    "no value": Slip("a =   # later\n", "syntax-no-value"),
    "curly quotes": Slip("a = “fridge”\n", "syntax-curly"),
    "no such day": Slip("a = 2025-02-30\n", "syntax-date"),
    "a unit": Slip("a = 8 Cel\n", "syntax-rest"),
    "a decimal comma": Slip("a = 1,5\n", "syntax-rest"),
    "an address": Slip("a = 127.0.0.1\n", "syntax-rest"),
    "a leading zero": Slip("a = 01\n", "syntax-rest"),
    "an open header": Slip("[site\na = 1\n", "syntax-header"),
    "half a header": Slip("[[device]\na = 1\n", "syntax-header"),
    "a section twice": Slip("[a]\n[b]\n[a]\n", "syntax-table-twice", 3),
    "a key twice": Slip("[a]\nx = 1\nx = 2\n", "syntax-key-twice", 3),
    "a key twice in braces": Slip("a = {x = 1, x = 2}\n", "syntax-key-twice"),
    "a value as a table": Slip("a = 1\na.b = 2\n", "syntax-key-twice", 2),
    "a Windows path": Slip('a = "C:\\golmok"\n', "syntax-escape"),
    "half a code": Slip('a = "\\u12"\n', "syntax-escape"),
    "no closing quote": Slip('x = 1\na = "fridge\ny = 2\n', "syntax-no-quote", 2),
    "no closing single quote": Slip("a = 'fridge\n", "syntax-no-quote"),
    "a bell": Slip('a = "\a"\n', "syntax-control"),
    "a bell in a remark": Slip("# \a\n", "syntax-control"),
    "a Korean key": Slip("이름 = 1\n", "syntax-statement"),
    "no key": Slip("= 1\n", "syntax-statement"),
    "no name of a section": Slip("[]\n", "syntax-key"),
    "a comma at the end": Slip("a = { x = 1, }\n", "syntax-key"),
    "an open list": Slip("x = 1\na = [1,\n2\n\nb = 3\n", "syntax-open-list", 2),
    "an open list at the end": Slip("x = 1\na = [1,\n", "syntax-open-list", 2),
    "open braces": Slip("x = 1\na = { x = 1\nb = 2\n", "syntax-open-table", 2),
    "a text without end": Slip('x = 1\na = """b\nc\n[d]\n', "syntax-no-end", 2),
    "a single-quoted text without end": Slip("x = 1\na = '''b\nc\n", "syntax-no-end", 2),
    "brackets without end": Slip("x = 1\na = " + "[" * 5000, "syntax-deep", 2),
    "dots without end": Slip("x = 1\n" + ".".join("a" * 100_000) + " = 1\n", "syntax-deep", 2),
    "quoted dots without end": Slip("x = 1\n" + " . ".join(["'a'"] * 1_000) + " = 1\n", "syntax-deep", 2),
    "digits without end": Slip("x = 1\na = " + "1" * 5000, "syntax-long-number", 2),
}


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS.keys())
def test_a_slip_is_named_on_its_line(slip: Slip) -> None:
    (fault,) = syntax.read(slip.text).faults
    assert (fault.code, fault.line) == (slip.code, slip.line)


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS.keys())
def test_windows_line_ends_move_nothing(slip: Slip) -> None:
    (fault,) = syntax.read(slip.text.replace("\n", "\r\n")).faults
    assert (fault.code, fault.line) == (slip.code, slip.line)


def test_where_it_stood_first_is_said(tmp_path: Path) -> None:
    text = DESIGN + "\n[store]\npath = 'x'\n"
    (mistake,) = examined(tmp_path, text).mistakes
    assert (mistake.key, mistake.line) == ("store", line_of("[store]\npath = 'x'", text))
    assert "first on line 6" in mistake.message()
    (mistake,) = examined(tmp_path, changed("port = 1883", 'host = "b"')).mistakes
    assert (mistake.key, mistake.line) == ("mqtt.host", 13)
    assert "first on line 12" in mistake.message()


def test_reading_goes_on_behind_a_slip(tmp_path: Path) -> None:
    text = changed('name = "한옥카페"', "name = 한옥카페")
    text = changed(
        "[cloud]",
        "[cloud",
        changed("port = 1883", "port = 0", changed("pin = 17", "pin = 17 # ok\ndebounce_s = 1 s", text)),
    )
    found = [(mistake.line, mistake.code) for mistake in examined(tmp_path, text).mistakes]
    assert found == [(3, "syntax-value"), (13, "range"), (15, "syntax-header"), (46, "syntax-rest")]


def test_a_line_left_out_is_not_missing_too(tmp_path: Path) -> None:
    text = changed('gateway = "gw-0001"', "gateway = gw-0001", changed('bus = "w1://0"', "bus = w1://0"))
    assert [mistake.code for mistake in examined(tmp_path, text).mistakes] == ["syntax-value", "syntax-value"]


def test_dots_in_text_are_not_deep() -> None:
    text = f"# {'.' * 200}\na = '{'x' * 70}{' . ' * 70}'\n"
    assert syntax.read(text).faults == []


def test_a_file_of_slips_ends_somewhere() -> None:
    assert len(syntax.read("x\n" * 10_000).faults) == syntax.MOST_FAULTS
