"""On which line each key of a TOML text stands: tomllib says what a file means, but not where.

The text has been through tomllib before, so that this reads valid TOML only and need not judge it; on a text
that ends early (`Locator` fed with the part before a syntax error) it still says what was left open.
It keeps its own stack: depth of nesting is the file's, not ours.
"""

from __future__ import annotations

import re
import tomllib
from typing import Final, Literal, NamedTuple, TypeAlias

Path: TypeAlias = "tuple[str | int, ...]"
"""Where a value is: keys, and positions (from 0) in lists."""

_TOKEN: Final = re.compile(
    r'''
      (?P<skip>    [ \t]+ | \#[^\n]* )
    | (?P<newline> \n )
    | (?P<quoted>  """ (?: [^"\\]++ | \\[\s\S] | "(?!"") )*+ "{3,5}
                 | \'\'\' (?: [^']++ | '(?!'') )*+ '{3,5}
                 | " (?!"") (?: [^"\\\n]++ | \\. )*+ "
                 | ' (?!'') [^'\n]*+ ' )
    | (?P<mark>    [\[\]{},=.] )
    | (?P<bare>    [^\s\[\]{},=.\#"']+ )
    | (?P<broken>  [\s\S] )
    ''',
    re.VERBOSE,
)


class _Open(NamedTuple):
    """A list or inline table that has begun and not ended."""

    kind: Literal["list", "table"]
    path: Path
    line: int


_Expect: TypeAlias = Literal["key", "header", "value", "end"]


class Locator:
    """Reads a text from its beginning; `lines` then holds the line (from 1) of every key, table and list item."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {(): 1}
        self.broken: int | None = None
        """The line of the first token that is not TOML, such as the `\"\"\"` of a text that never ends."""
        self.newest: Path = ()
        """The key or table named last, and in `earlier` the line where it had been named before, if it had."""
        self.earlier: int | None = None
        self._open: list[_Open] = []
        self._items: dict[Path, int] = {}
        self._table: Path = ()
        self._key: list[str] = []
        self._key_line = 1
        self._double = False
        self._expect: _Expect = "key"
        self._line = 1
        self._read(text)

    @property
    def left_open(self) -> int | None:
        """The line of the outermost list or inline table that the text does not close."""
        return self._open[0].line if self._open else None

    def _read(self, text: str) -> None:
        position = 0
        for token in _TOKEN.finditer(text):
            kind, word = token.lastgroup, token.group()
            if kind == "broken":
                self.broken = self._line
                return
            if kind == "newline":
                self._newline()
            elif kind == "mark":
                self._mark(word, doubled=text.startswith(word, token.end()))
            elif kind != "skip":
                self._word(word)
            self._line += text.count("\n", position, token.end())
            position = token.end()

    def _newline(self) -> None:
        if not self._open:
            self._expect = "key"
            self._key.clear()

    def _word(self, word: str) -> None:
        if self._expect in ("key", "header"):
            if not self._key:
                self._key_line = self._line
            self._key.append(_unquoted(word))
        elif self._expect == "value":
            self._begin_value()
            self._expect = "end"

    def _mark(self, mark: str, *, doubled: bool) -> None:
        match mark, self._expect:
            case "[", "key" if not self._open:
                self._expect, self._double = "header", doubled
            case "]", "header":
                self._header()
            case "=", "key":
                self._note(self._path(self._inside(), self._key))
                self._expect = "value"
            case (("[" | "{"), "value"):
                path = self._begin_value()
                self._open.append(_Open("list" if mark == "[" else "table", path, self._line))
                self._expect = "value" if mark == "[" else "key"
                self._key.clear()
            case ",", "end" if self._open:
                self._expect = "value" if self._open[-1].kind == "list" else "key"
                self._key.clear()
            case (("]" | "}"), _) if self._open:
                self._open.pop()
                self._expect = "end"

    def _header(self) -> None:
        """`[a.b]` names a table; `[[a.b]]` begins the next item of a list of tables."""
        if not self._key:
            return
        if self._double:
            listed = (*self._path((), self._key[:-1]), self._key[-1])
            self._table = (*listed, self._items.get(listed, -1) + 1)
            self._items[listed] = int(self._table[-1])
            self._name(listed, self._key_line)
        else:
            self._table = self._path((), self._key)
        self._note(self._table)
        self.lines[self._table] = self._key_line
        self._key.clear()
        self._expect = "end"

    def _inside(self) -> Path:
        return self._open[-1].path if self._open else self._table

    def _path(self, path: Path, keys: list[str]) -> Path:
        """Follow `keys` from `path`; through a list of tables the way leads into its last item."""
        for key in keys:
            path = (*path, key)
            if path in self._items:
                path = (*path, self._items[path])
        return path

    def _begin_value(self) -> Path:
        """The path of the value that begins here, noted if it is an item of a list."""
        if not self._open or self._open[-1].kind == "table":
            return self._path(self._inside(), self._key)
        listed = self._open[-1].path
        path = (*listed, self._items.get(listed, -1) + 1)
        self._items[listed] = int(path[-1])
        self._name(path, self._line)
        return path

    def _note(self, path: Path) -> None:
        self.newest, self.earlier = path, self.lines.get(path)
        self._name(path, self._key_line)

    def _name(self, path: Path, line: int) -> None:
        """Note where `path` stands, and the tables around it that have no line of their own."""
        while path not in self.lines:
            self.lines[path] = line
            path = path[:-1]


def _unquoted(word: str) -> str:
    return str(tomllib.loads(f"key = {word}")["key"]) if word[0] in "\"'" else word
