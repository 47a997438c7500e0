"""The line of every key, against TOML that we wrote ourselves and so know where everything stands."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golmok_edge.settings.locate import Locator, Path

SAMPLE = '''\
a.b."c d" = [1, {x = 1, y = "]}"}]   # [not] a = header
'single.quoted' = 1979-05-27 07:32:00.5
[site]
text = """
name = "inside"
[inside]
"""
after = \'\'\'two
lines\'\'\'
[[device]]
name = "a"
limits = { temperature = { high = 8.0 } }
[device.more]
x = -1.5e3

[[device]]
list = [
  1,  # first
  [2, 3,
   4],
  "a # b",
]
[[device.part]]
[[device.part]]
"\\u0041b" = true
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a", "b", "c d"), 1),
        (("a", "b", "c d", 1, "y"), 1),
        (("single.quoted",), 2),
        (("site",), 3),
        (("site", "text"), 4),
        (("site", "after"), 8),
        (("device", 0), 10),
        (("device", 0, "limits", "temperature", "high"), 12),
        (("device", 0, "more", "x"), 14),
        (("device", 1), 16),
        (("device", 1, "list", 1), 19),
        (("device", 1, "list", 1, 2), 20),
        (("device", 1, "list", 2), 21),
        (("device", 1, "part", 1, "Ab"), 25),
    ],
)
def test_every_way_of_writing_a_key_has_its_line(path: Path, line: int) -> None:
    assert Locator(SAMPLE).lines[path] == line


def test_what_tomllib_reads_is_what_is_located() -> None:
    assert set(Locator(SAMPLE).lines) == set(paths_of(tomllib.loads(SAMPLE)))


@pytest.mark.parametrize(
    ("text", "begun"),
    [("a = 1\nb = [1,\n2,\n", 2), ("a = {x = [\n1", 1), ("a = [1]\n", None)],
)
def test_what_is_left_open_is_said_with_its_beginning(text: str, begun: int | None) -> None:
    assert Locator(text).left_open == begun


@pytest.mark.parametrize("quotes", ['"""', "'''"])
def test_a_text_that_never_ends_is_said_with_its_beginning(quotes: str) -> None:
    assert Locator(f"a = 1\nb = {quotes}say {quotes[0]}hi\nc = 1\n").broken == 2


def paths_of(value: Any, path: Path = ()) -> list[Path]:
    """The path of every table, key and list item in `value`."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inside for found in paths_of(item, (*path, key)))]


# --- TOML that we wrote ourselves ------------------------------------------------------------------------------

keys = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=6) | st.sampled_from(
    ["a", "b-1", "name", 'quo"te', "do.t", "#", "[x]", "= 1"]
)
scalars = (
    st.integers(-(2**63), 2**63 - 1).map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.booleans().map(lambda value: str(value).lower())
    | st.sampled_from(["1979-05-27T07:32:00Z", "1979-05-27 07:32:00.25", "07:32:00", "nan", "-inf", "0xf"])
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12).map(
        lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )
    | st.sampled_from(
        ['""', "''", "'[\"#'", "'''a\n[b]\nc = \"\"\"\n'''", '"""\n]}\n\\" "" x"""', '""""two quotes"""""']
    )
)


class Writer:
    """Writes TOML and notes the line of everything it writes."""

    def __init__(self, newline: str) -> None:
        self.text = ""
        self.lines: dict[Path, int] = {(): 1}
        self._newline = newline

    @property
    def line(self) -> int:
        return self.text.count("\n") + 1

    def end_line(self, remark: bool) -> None:
        self.text += (' # = [x] """' if remark else "") + self._newline

    def key(self, key: str) -> str:
        bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
        return key if bare else '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def note(self, path: Path) -> None:
        while path not in self.lines:
            self.lines[path] = self.line
            path = path[:-1]

    def value(self, draw: Any, path: Path, depth: int) -> None:
        kind = draw(st.sampled_from(["scalar", "list", "table"])) if depth < 3 else "scalar"
        if kind == "scalar":
            self.text += draw(scalars).replace("\n", self._newline)
        elif kind == "list":
            self.list(draw, path, depth)
        else:
            self.inline(draw, path, depth)

    def list(self, draw: Any, path: Path, depth: int) -> None:
        self.text += "["
        for index in range(draw(st.integers(0, 3))):
            if draw(st.booleans()):
                self.end_line(draw(st.booleans()))
            self.note((*path, index))
            self.value(draw, (*path, index), depth + 1)
            self.text += " ,"
        self.text += "]"

    def inline(self, draw: Any, path: Path, depth: int) -> None:
        self.text += "{"
        for index, key in enumerate(draw(st.lists(keys, unique=True, max_size=3))):
            self.text += " , " if index else " "
            self.statement(draw, (*path, key), self.key(key), depth + 1)
        self.text += " }"

    def statement(self, draw: Any, path: Path, written: str, depth: int) -> None:
        self.note(path)
        self.text += written + " = "
        self.value(draw, path, depth)


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    writer = Writer(draw(st.sampled_from(["\n", "\r\n"])))
    for name in draw(st.lists(keys, unique=True, max_size=4)):
        listed = draw(st.booleans())
        for index in range(draw(st.integers(1, 3)) if listed else 1):
            path: Path = (name, index) if listed else (name,)
            writer.note(path)
            writer.text += f"[[{writer.key(name)}]]" if listed else f"[ {writer.key(name)} ]"
            writer.end_line(draw(st.booleans()))
            for key in draw(st.lists(keys, unique=True, max_size=3)):
                if draw(st.booleans()):
                    writer.statement(draw, (*path, key, "x y"), f'{writer.key(key)} . "x y"', 0)
                else:
                    writer.statement(draw, (*path, key), writer.key(key), 0)
                writer.end_line(draw(st.booleans()))
    return writer


@settings(deadline=None)
@given(documents())
def test_the_line_of_everything_in_any_document(written: Writer) -> None:
    data = tomllib.loads(written.text)
    lines = Locator(written.text.replace("\r\n", "\n")).lines
    assert lines == written.lines
    assert set(lines) == set(paths_of(data))
