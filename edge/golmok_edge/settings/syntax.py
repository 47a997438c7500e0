"""From text to plain data; what is not TOML is said in plain words, and reading goes on behind it where it can.

tomllib stops at the first syntax error. Most are in one line: that line is left out and the rest read again, so
that somebody with three typing mistakes hears of three. Where a mistake may swallow what follows (an open
list, a text that never ends) reading stops, since the rest would only give wrong alarms.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from golmok_edge.settings.locate import Locator, Path
from golmok_edge.settings.mistakes import shortened

MOST_FAULTS: Final = 50
"""After so many syntax errors it is not a settings file with mistakes but something else."""

_SKIPPED: Final = "golmok-left-out-"


class Fault(NamedTuple):
    """One syntax error: its line, the key if there is one, the message's code and what it is filled with."""

    line: int
    path: Path
    code: str
    args: dict[str, Any]


@dataclass
class Document:
    """What a text says. `data` is None when nothing of it can be judged; `partly` when lines were left out."""

    data: dict[str, Any] | None = None
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def partly(self) -> bool:
        return bool(self.faults)


class _Rule(NamedTuple):
    """What one of tomllib's messages means to somebody who does not know TOML."""

    pattern: str
    code: str
    one_line: bool = True
    """Whether the mistake ends with its line."""


_RULES: Final = (
    _Rule(r"Expected '=' after", "syntax-no-equals"),
    _Rule(r"Invalid value", "syntax-value"),
    _Rule(r"Invalid date", "syntax-date"),
    _Rule(r"Expected newline or end", "syntax-rest"),
    _Rule(r"Expected '\]\]?' at the end", "syntax-header"),
    _Rule(r"Cannot declare", "syntax-table-twice"),
    _Rule(r"Cannot (overwrite|redefine|mutate)|Duplicate inline", "syntax-key-twice"),
    _Rule(r"Unescaped|Invalid hex|Escaped character", "syntax-escape"),
    _Rule(r"Illegal character '\\n'|Unterminated string|Expected \"'|Found invalid character '\\n'", "syntax-no-quote"),
    _Rule(r"Illegal character|Found invalid character", "syntax-control"),
    _Rule(r"Invalid initial character for a key", "syntax-key"),
    _Rule(r"Invalid statement", "syntax-statement"),
    _Rule(r"Unclosed array", "syntax-open-list", one_line=False),
    _Rule(r"Unclosed inline table", "syntax-open-table", one_line=False),
)
_OTHER: Final = _Rule("", "syntax-other", one_line=False)
_WHERE: Final = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.S)
_KEY: Final = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DEEP_KEY: Final = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_KEY}[ \t]*+\.[ \t]*+){{64}}")
"""What would keep tomllib busy for hours: its time grows with the cube of the dots in a key."""
_LONG_NUMBER: Final = re.compile(r"[\d_]{4000,}")


def read(text: str) -> Document:
    """Read `text` (no byte order mark); never raises for what stands in it."""
    document = Document()
    text = text.replace("\r\n", "\n")
    if deep := _DEEP_KEY.search(text):
        document.faults.append(Fault(text.count("\n", 0, deep.start()) + 1, (), "syntax-deep", {}))
        return document
    while len(document.faults) < MOST_FAULTS:
        try:
            data = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            fault, one_line = _fault(text, error)
            if document.faults and not one_line:
                return document
            document.faults.append(fault)
            rest = _without_line(text, fault.line) if one_line else None
            if rest is None:
                return document
            text = rest
        else:
            document.data = {key: value for key, value in data.items() if not key.startswith(_SKIPPED)}
            document.lines = Locator(text).lines
            return document
    return document


def _fault(text: str, error: Exception) -> tuple[Fault, bool]:
    """The fault, and whether it ends with its line."""
    if isinstance(error, RecursionError):
        return Fault(_deepest_line(text), (), "syntax-deep", {}), False
    match = _WHERE.fullmatch(str(error))
    if not match:
        long = _LONG_NUMBER.search(text)
        return Fault(text.count("\n", 0, long.start()) + 1 if long else 1, (), "syntax-long-number", {}), False
    position = _position(text, match)
    line = text.count("\n", 0, min(position, max(len(text) - 1, 0))) + 1
    rule = next((rule for rule in _RULES if re.match(rule.pattern, match["what"])), _OTHER)
    before = Locator(_so_far(text, position))
    found = text[position:].partition("\n")[0].strip()
    first = before.earlier or before.lines.get(before.newest[:-1], line)
    args = {
        "column": position - text.rfind("\n", 0, position),
        "found": shortened(found),
        "raw": match["what"],
        "first": first,
    }
    code, one_line = rule.code, rule.one_line and before.left_open in (None, line)
    if code == "syntax-no-quote" and before.broken not in (None, line):
        code, one_line = "syntax-no-end", False
    elif code == "syntax-value" and not text[position:].strip() and before.left_open:
        code, one_line = "syntax-open-list", False
    elif code == "syntax-value" and (not found or found.startswith("#")):
        code = "syntax-no-value"
    elif code == "syntax-value" and found[0] in "“”‘’":
        code = "syntax-curly"
    if code in ("syntax-open-list", "syntax-open-table", "syntax-no-end"):
        line = before.broken or before.left_open or line
    return Fault(line, before.newest if code.endswith("-twice") else (), code, args), one_line


def _so_far(text: str, position: int) -> str:
    """The text up to the mistake; a section's name is closed, so that it counts as named."""
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return text[:position] + ("]" if line.lstrip().startswith("[") and not line.rstrip().endswith("]") else "")


def _position(text: str, match: re.Match[str]) -> int:
    if match["line"] is None:
        return len(text)
    start = 0
    for _ in range(int(match["line"]) - 1):
        start = text.index("\n", start) + 1
    return start + int(match["column"]) - 1


def _deepest_line(text: str) -> int:
    """The line that opens the most brackets."""
    lines = text.split("\n")
    return max(range(len(lines)), key=lambda index: sum(map(lines[index].count, "[{."))) + 1


def _without_line(text: str, line: int) -> str | None:
    """The text without what stands on `line`, or None if the next lines may belong to it.

    A header is replaced by one that nobody reads: what follows it must not fall into the table before.
    """
    lines = text.split("\n")
    wrong = lines[line - 1]
    if wrong.lstrip().startswith("["):
        lines[line - 1] = f"[{_SKIPPED}{line}]"
    elif any(wrong.count(left) != wrong.count(right) for left, right in ("[]", "{}")) or re.search("\"\"\"|'''", wrong):
        return None
    else:
        lines[line - 1] = ""
    return "\n".join(lines)
